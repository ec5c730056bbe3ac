//! A queue in which the newest message of a key takes the place of the one that waits.
//!
//! ```text
//!   push(DAX, 3) into   │ DAX 1 │ CAC 1 │ log │
//!                 is    │ DAX 3 │ CAC 1 │ log │      and not behind the others
//! ```

use std::collections::{HashMap, VecDeque};
use std::error::Error as StdError;
use std::fmt;
use std::hash::Hash;

/// A bounded queue for a slow consumer of messages that each make the one before worthless: prices,
/// positions, states.
///
/// A message with a key that waits already replaces that one, where it stands. So a consumer that
/// falls behind finds the newest of everything, no key is overtaken for ever by those that change
/// more often, and what waits is bounded by the number of keys. Messages without a key are queued
/// like in any queue, and bounded by their bytes.
///
/// All operations cost the same however much waits.
///
/// ```
/// use ringwire::topic::{Conflation, ConflationLimits};
///
/// let mut queue = Conflation::new(ConflationLimits::default());
/// queue.push(Some("DAX"), "DAX 24001", 9)?;
/// queue.push(Some("CAC"), "CAC 7999", 8)?;
/// assert_eq!(queue.push(Some("DAX"), "DAX 24002", 9)?, Some("DAX 24001"));
///
/// assert_eq!(queue.pop(), Some("DAX 24002"));
/// assert_eq!(queue.pop(), Some("CAC 7999"));
/// assert_eq!(queue.pop(), None);
/// # Ok::<(), ringwire::topic::Full<&str>>(())
/// ```
#[derive(Debug)]
pub struct Conflation<K, T> {
    entries: VecDeque<Entry<K, T>>,
    /// The number of the message of each key that waits: its index, and those that left before.
    numbers: HashMap<K, u64>,
    /// The number of the first entry.
    first: u64,
    /// Bytes of all entries, as they are counted. `size <= limits.size_max`.
    size: usize,
    limits: ConflationLimits,
}

#[derive(Debug)]
struct Entry<K, T> {
    key: Option<K>,
    message: T,
    size: usize,
}

/// What a [`Conflation`] may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConflationLimits {
    /// Keys that wait. Default: 65,536.
    pub keys_max: usize,
    /// Bytes of all messages that wait, and of their entries, so that messages without content are
    /// bounded as well. Default: 1 MiB.
    pub size_max: usize,
}

impl Default for ConflationLimits {
    fn default() -> Self {
        Self { keys_max: 65_536, size_max: 1 << 20 }
    }
}

/// A message that does not fit. Nothing has changed: an earlier one of its key still waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full<T>(pub T);

/// Entries whose memory an empty queue keeps: those of a consumer that is hardly behind.
const SPARE_MAX: usize = 32;

impl<K: Clone + Eq + Hash, T> Conflation<K, T> {
    /// An empty queue, which has allocated nothing.
    #[must_use]
    pub fn new(limits: ConflationLimits) -> Self {
        Self { entries: VecDeque::new(), numbers: HashMap::new(), first: 0, size: 0, limits }
    }

    /// How many messages wait.
    #[must_use]
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes that wait, as [`ConflationLimits::size_max`] counts them.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }

    /// Queues a message of so many bytes: in the place of the one that waits with this key, which
    /// is returned, or behind all others.
    ///
    /// # Errors
    /// The message, if it does not fit. Whether older ones are then popped for it, or it is
    /// dropped, or the consumer is given up, is for the caller to decide.
    pub fn push(&mut self, key: Option<K>, message: T, size: usize) -> Result<Option<T>, Full<T>> {
        let size = size.saturating_add(size_of::<Entry<K, T>>());
        let room = self.limits.size_max - self.size;
        let number = key.as_ref().and_then(|key| self.numbers.get(key));
        let index = number.and_then(|number| usize::try_from(number - self.first).ok());
        if let Some(entry) = index.and_then(|index| self.entries.get_mut(index)) {
            if size > room + entry.size {
                return Err(Full(message));
            }
            self.size = self.size - entry.size + size;
            entry.size = size;
            return Ok(Some(std::mem::replace(&mut entry.message, message)));
        }
        if size > room || key.is_some() && self.numbers.len() >= self.limits.keys_max {
            return Err(Full(message));
        }
        if let Some(key) = &key {
            self.numbers.insert(key.clone(), self.first + self.entries.len() as u64);
        }
        self.entries.push_back(Entry { key, message, size });
        self.size += size;
        self.invariants();
        Ok(None)
    }

    /// The message that has kept its place the longest.
    #[must_use]
    pub fn front(&self) -> Option<&T> {
        self.entries.front().map(|entry| &entry.message)
    }

    /// Takes the message that has kept its place the longest.
    pub fn pop(&mut self) -> Option<T> {
        let Entry { key, message, size } = self.entries.pop_front()?;
        if let Some(key) = key {
            self.numbers.remove(&key);
        }
        self.first += 1;
        self.size -= size;
        if self.entries.is_empty() && self.entries.capacity() > SPARE_MAX {
            self.clear();
        }
        self.invariants();
        Some(message)
    }

    /// Drops all messages and their memory. Says how many that were.
    pub fn clear(&mut self) -> usize {
        let count = self.entries.len();
        *self = Self::new(self.limits);
        count
    }

    fn invariants(&self) {
        debug_assert!(self.size <= self.limits.size_max, "bytes are bounded");
        debug_assert!(self.numbers.len() <= self.limits.keys_max, "keys are bounded");
        debug_assert!(self.numbers.len() <= self.entries.len(), "a key waits once");
    }
}

impl<T> fmt::Display for Full<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the message does not fit into the queue")
    }
}

impl<T: fmt::Debug> StdError for Full<T> {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ENTRY: usize = size_of::<Entry<u8, u32>>();

    proptest! {
        #[test]
        fn is_a_list_that_is_searched(
            acts in prop::collection::vec((0..8_u8, 0..12_u8, 0..40_usize), 0..300),
        ) {
            let limits = ConflationLimits { keys_max: 6, size_max: 12 * ENTRY + 100 };
            let mut queue = Conflation::new(limits);
            let mut list: Vec<(Option<u8>, u32, usize)> = Vec::new();
            for (number, (act, key, size)) in (0_u32..).zip(acts) {
                if act < 2 {
                    let popped = (!list.is_empty()).then(|| list.remove(0).1);
                    prop_assert_eq!(queue.pop(), popped);
                } else {
                    let key = Some(key).filter(|key| *key < 9);
                    let mut keys = list.iter().map(|(key, ..)| *key);
                    let waiting = key.and_then(|_| keys.position(|other| other == key));
                    let bytes: usize = list.iter().map(|(.., size)| size + ENTRY).sum();
                    let replaced = waiting.map_or(0, |index| list[index].2 + ENTRY);
                    let keys = list.iter().filter(|(key, ..)| key.is_some()).count();
                    let fits = bytes - replaced + size + ENTRY <= limits.size_max
                        && (waiting.is_some() || key.is_none() || keys < limits.keys_max);
                    let expected = match waiting {
                        _ if !fits => Err(Full(number)),
                        Some(index) => {
                            Ok(Some(std::mem::replace(&mut list[index], (key, number, size)).1))
                        }
                        None => {
                            list.push((key, number, size));
                            Ok(None)
                        }
                    };
                    prop_assert_eq!(queue.push(key, number, size), expected);
                }
                let bytes: usize = list.iter().map(|(.., size)| size + ENTRY).sum();
                prop_assert_eq!((queue.count(), queue.size()), (list.len(), bytes));
                prop_assert_eq!(queue.front().copied(), list.first().map(|(_, number, _)| *number));
                prop_assert_eq!(queue.is_empty(), list.is_empty());
            }
            prop_assert_eq!(queue.clear(), list.len());
            prop_assert_eq!((queue.count(), queue.size()), (0, 0));
        }
    }

    #[test]
    fn memory_is_that_of_the_keys() {
        let mut queue = Conflation::new(ConflationLimits::default());
        for round in 0..10_000 {
            assert_eq!(queue.push(Some(round % 100), round, 8).unwrap().is_some(), round >= 100);
        }
        assert_eq!(queue.count(), 100);
        assert!(queue.entries.capacity() <= 128);
        let left: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert!(left.into_iter().eq(9900..10_000));
        assert_eq!(queue.entries.capacity() + queue.numbers.capacity(), 0);
    }

    #[test]
    fn a_message_of_any_size_is_answered() {
        let mut queue = Conflation::new(ConflationLimits { keys_max: 1, size_max: 0 });
        assert_eq!(queue.push(None::<u8>, 'a', usize::MAX), Err(Full('a')));
        assert_eq!(queue.push(Some(1), 'b', 0), Err(Full('b')));
        assert_eq!((queue.count(), queue.pop()), (0, None));
    }
}
