//! Tokens by number, so that each is hashed once for a publish and not once for each branch.

use std::collections::HashMap;
use std::sync::Arc;

use super::memory;

/// The tokens of all patterns, each kept once and counted.
///
/// A number is given again when its token has gone. The table's hash is keyed: whoever chooses the
/// tokens cannot make them collide.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    numbers: HashMap<Arc<str>, u32>,
    /// By number. `count == 0` where the number is free.
    entries: Vec<Entry>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Entry {
    token: Arc<str>,
    count: u32,
}

impl Tokens {
    /// Bytes of a token at the most, without its characters.
    pub(super) const SIZE_MAX: usize = memory::in_table(size_of::<(Arc<str>, u32)>())
        + memory::in_list(size_of::<Entry>())
        + memory::in_list(size_of::<u32>())
        + memory::COUNTS_SIZE;

    /// Bytes that have been allocated.
    #[cfg(feature = "simulation")]
    pub(super) fn allocated(&self) -> usize {
        let tokens = self.numbers.keys().map(|token| token.len() + memory::COUNTS_SIZE);
        tokens.sum::<usize>()
            + memory::of_table(&self.numbers)
            + self.entries.capacity() * size_of::<Entry>()
            + self.free.capacity() * size_of::<u32>()
    }

    /// The number of a token that some pattern has.
    pub(super) fn number(&self, token: &str) -> Option<u32> {
        self.numbers.get(token).copied()
    }

    /// The number of a token, which is counted once more.
    pub(super) fn insert(&mut self, token: &str) -> u32 {
        if let Some(&number) = self.numbers.get(token) {
            if let Some(entry) = self.entries.get_mut(number as usize) {
                entry.count += 1;
            }
            return number;
        }
        let token: Arc<str> = token.into();
        let entry = Entry { token: Arc::clone(&token), count: 1 };
        let number = self.free.pop().unwrap_or_else(|| number_of(self.entries.len()));
        match self.entries.get_mut(number as usize) {
            Some(place) => *place = entry,
            None => self.entries.push(entry),
        }
        self.numbers.insert(token, number);
        number
    }

    /// Counts a token once less. It goes with its last count.
    pub(super) fn remove(&mut self, number: u32) {
        let Some(entry) = self.entries.get_mut(number as usize) else { return };
        debug_assert!(entry.count > 0, "a token is removed as often as it was inserted");
        entry.count -= 1;
        if entry.count > 0 {
            return;
        }
        let token = std::mem::take(&mut entry.token);
        self.numbers.remove(&token);
        self.free.push(number);
        if self.numbers.is_empty() {
            *self = Self::default();
        }
    }
}

/// The number of what stands at this index. Tables end long before numbers do.
pub(super) fn number_of(index: usize) -> u32 {
    debug_assert!(u32::try_from(index).is_ok(), "a table of more than 2^32");
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_with_its_last_count() {
        let mut tokens = Tokens::default();
        let (a, b) = (tokens.insert("a"), tokens.insert("b"));
        assert_eq!((tokens.insert("a"), tokens.number("a")), (a, Some(a)));
        assert_ne!(a, b);
        tokens.remove(a);
        assert_eq!(tokens.number("a"), Some(a));
        tokens.remove(a);
        assert_eq!((tokens.number("a"), tokens.number("b")), (None, Some(b)));
        assert_eq!(tokens.insert("c"), a, "its number is given again");
        tokens.remove(a);
        tokens.remove(b);
        assert_eq!(tokens.numbers.capacity() + tokens.entries.capacity(), 0);
    }
}
