//! The last value of each topic, for those who come later.
//!
//! Values stand in one ordered table under the topic's name, a zero byte and the key. No name holds
//! a byte as small as that, so the order of the table is that of the topics, and of the keys within
//! a topic.

use std::collections::{BTreeMap, btree_map};
use std::error::Error as StdError;
use std::fmt;
use std::ops::Bound;

use super::name::{Pattern, REST, STAR, Topic};

/// The last value of each topic, or of each key within a topic, bounded in number and in bytes.
///
/// A value is anything that lends bytes and is cheap to clone: an `Arc<[u8]>`, a prepared frame.
/// Where keys have no meaning they are empty.
///
/// **A snapshot, then updates.** Who subscribes is given what [`matching`](Self::matching) finds,
/// and after that what is published. On one thread there is neither a gap nor a duplicate between
/// the two, if a message is set here and published in one go, and so are subscribing and taking the
/// snapshot.
///
/// ```
/// use std::sync::Arc;
/// use ringwire::topic::{Pattern, Retained, RetainedLimits, Topic};
///
/// let mut retained: Retained<Arc<[u8]>> = Retained::new(RetainedLimits::default());
/// let prices = [("prices.DAX", "24001"), ("prices.CAC", "7999"), ("prices.DAX", "24002")];
/// for (topic, price) in prices {
///     retained.set(Topic::new(topic)?, "", price.as_bytes().into())?;
/// }
///
/// let snapshot: Vec<_> = retained
///     .matching(Pattern::new("prices.*")?)
///     .map(|(topic, _key, price)| (topic.as_str(), &**price))
///     .collect();
/// assert_eq!(snapshot, [("prices.CAC", &b"7999"[..]), ("prices.DAX", b"24002")]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Retained<V> {
    values: BTreeMap<Box<str>, V>,
    /// Bytes of all values, as they are counted. `size <= limits.size_max`.
    size: usize,
    limits: RetainedLimits,
    /// Where names and keys are put together: empty but for its memory in between.
    place: String,
}

/// What a [`Retained`] may hold; of a server's last values, what each worker may
/// ([`Config::retained`](crate::Config::retained)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetainedLimits {
    /// Values. Default: 65,536.
    pub count_max: usize,
    /// Bytes of all values with their names and keys, and what the table needs for each, some 32
    /// bytes. Default: 64 MiB.
    pub size_max: usize,
}

impl Default for RetainedLimits {
    fn default() -> Self {
        Self { count_max: 65_536, size_max: 64 << 20 }
    }
}

/// Why a value is not retained. Nothing has changed: an earlier value stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetainError {
    /// The key has more than 256 bytes.
    KeyTooLong,
    /// There are as many values as [`RetainedLimits::count_max`].
    TooMany,
    /// There would be more bytes than [`RetainedLimits::size_max`].
    TooLarge,
}

/// Bytes of a key at most, as of a name.
const KEY_SIZE_MAX: usize = Topic::SIZE_MAX;

/// Less than any character of a name.
const END: char = '\0';

/// More than [`END`], less than any character of a name.
const AFTER_END: char = '\u{1}';

/// The character that follows `.`: what begins with a name and a `.` ends before it.
const AFTER_SEPARATOR: char = '/';

impl<V: AsRef<[u8]>> Retained<V> {
    /// No values yet.
    #[must_use]
    pub const fn new(limits: RetainedLimits) -> Self {
        Self { values: BTreeMap::new(), size: 0, limits, place: String::new() }
    }

    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.values.len()
    }

    /// Bytes of all values, as [`RetainedLimits::size_max`] counts them.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }

    /// The value of a topic and key.
    #[must_use]
    pub fn value(&self, topic: Topic<'_>, key: &str) -> Option<&V> {
        let place = [topic.as_str(), key].join(END.encode_utf8(&mut [0]));
        self.values.get(&*place)
    }

    /// Retains a value in place of the last one, which is returned. A value without bytes is not
    /// retained: it clears.
    ///
    /// # Errors
    /// There is no room for it, or the key is too long.
    pub fn set(&mut self, topic: Topic<'_>, key: &str, value: V) -> Result<Option<V>, RetainError> {
        if key.len() > KEY_SIZE_MAX {
            return Err(RetainError::KeyTooLong);
        }
        if value.as_ref().is_empty() {
            return Ok(self.clear(topic, key));
        }
        self.put_together(topic, key);
        let added = Self::size_of(&self.place, &value);
        let is_full = self.values.len() >= self.limits.count_max;
        let present = self.values.get_mut(&*self.place);
        let removed = present.as_deref().map_or(0, |value| Self::size_of(&self.place, value));
        if added > self.limits.size_max.saturating_sub(self.size - removed) {
            return Err(RetainError::TooLarge);
        }
        let replaced = match present {
            Some(present) => Some(std::mem::replace(present, value)),
            None if is_full => return Err(RetainError::TooMany),
            None => self.values.insert(self.place.as_str().into(), value),
        };
        self.size = self.size - removed + added;
        Ok(replaced)
    }

    /// Forgets a value and returns it.
    pub fn clear(&mut self, topic: Topic<'_>, key: &str) -> Option<V> {
        self.put_together(topic, key);
        let value = self.values.remove(&*self.place)?;
        self.size -= Self::size_of(&self.place, &value);
        Some(value)
    }

    /// The values of all topics that match, each with its topic and key, in the order of their
    /// bytes.
    ///
    /// What cannot match is skipped: the cost is that of the values which match, and of those
    /// tokens in the place of a `*` under which none does. So a pattern that begins with literals
    /// is cheap, and one that begins with `*` looks at each first token.
    pub fn matching<'a>(
        &'a self,
        pattern: Pattern<'a>,
    ) -> impl Iterator<Item = (Topic<'a>, &'a str, &'a V)> {
        let prefix = pattern.prefix();
        let start = prefix.rfind('.').map_or(0, |at| at + 1);
        let rest = pattern.as_str().get(start..).unwrap_or_default();
        Matching { values: &self.values, range: from(&self.values, prefix), prefix, rest, start }
    }

    fn put_together(&mut self, topic: Topic<'_>, key: &str) {
        self.place.clear();
        self.place.push_str(topic.as_str());
        self.place.push(END);
        self.place.push_str(key);
    }

    fn size_of(place: &str, value: &V) -> usize {
        size_of::<(Box<str>, V)>() + place.len() + value.as_ref().len()
    }
}

/// A walk through the values of the topics that match.
struct Matching<'a, V> {
    values: &'a BTreeMap<Box<str>, V>,
    range: btree_map::Range<'a, Box<str>, V>,
    /// What all names that match begin with: the walk begins and ends with it.
    prefix: &'a str,
    /// The tokens of the pattern that are not wholly within the prefix.
    rest: &'a str,
    /// Where in a name the token begins that `rest` begins with.
    start: usize,
}

impl<'a, V> Iterator for Matching<'a, V> {
    type Item = (Topic<'a>, &'a str, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (place, value) = self.range.next()?;
            let (name, key) = place.split_once(END)?;
            if !name.starts_with(self.prefix) {
                return None;
            }
            match compare(self.rest, name, self.start) {
                Step::Take => return Some((Topic::of_valid(name), key, value)),
                Step::Skip(place) => self.range = from(self.values, &place),
                Step::End => return None,
            }
        }
    }
}

/// What to do at a name.
#[derive(Debug)]
enum Step {
    Take,
    /// Go on from here, which is behind it: nothing between matches.
    Skip(String),
    /// Nothing behind it matches.
    End,
}

/// Compares a topic's name from this offset with the tokens of a pattern.
fn compare(pattern: &str, name: &str, start: usize) -> Step {
    // Where the next token begins; behind the end when there is none.
    let mut at = start;
    for wanted in pattern.split('.') {
        let Some(rest) = name.get(at..) else {
            // Too short. What is longer may come right behind its keys: `a-b.c` is before `a.b`.
            return Step::Skip(format!("{name}{AFTER_END}"));
        };
        let token = rest.split('.').next().unwrap_or(rest);
        match wanted {
            REST => return Step::Take,
            STAR => {}
            literal if literal == token => {}
            literal => return skip_to(literal, name, at),
        }
        at += token.len() + 1;
    }
    // Too long, and so is all that begins like this.
    if at <= name.len() { skip_group(name, at) } else { Step::Take }
}

/// Where `literal` is wanted instead of the token that begins at this offset.
fn skip_to(literal: &str, name: &str, at: usize) -> Step {
    let (group, rest) = name.split_at_checked(at).unwrap_or((name, ""));
    if rest < literal {
        return Step::Skip(format!("{group}{literal}"));
    }
    // `a-b` stands between `a` and `a.b`, for there are characters before the `.`.
    match rest.strip_prefix(literal) {
        Some(longer) if longer < "." => Step::Skip(format!("{group}{literal}.")),
        _ => skip_group(name, at),
    }
}

/// Behind all that has the tokens of `name` before this offset, and more.
fn skip_group(name: &str, at: usize) -> Step {
    match at.checked_sub(1).and_then(|end| name.get(..end)) {
        Some(group) => Step::Skip(format!("{group}{AFTER_SEPARATOR}")),
        None => Step::End,
    }
}

fn from<'a, V>(
    values: &'a BTreeMap<Box<str>, V>,
    place: &str,
) -> btree_map::Range<'a, Box<str>, V> {
    values.range::<str, _>((Bound::Included(place), Bound::Unbounded))
}

impl fmt::Display for RetainError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyTooLong => write!(formatter, "the key has more than {KEY_SIZE_MAX} bytes"),
            Self::TooMany => formatter.write_str("too many values are retained"),
            Self::TooLarge => formatter.write_str("the retained values are too large"),
        }
    }
}

impl StdError for RetainError {}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    /// Tokens that are prefixes of each other, with characters on both sides of the `.`.
    fn token() -> impl Strategy<Value = String> {
        prop_oneof!["[ab]", "[ab][-/c]", "[ab]-[ab]"]
    }

    fn topic() -> impl Strategy<Value = String> {
        prop::collection::vec(token(), 1..5).prop_map(|tokens| tokens.join("."))
    }

    fn pattern() -> impl Strategy<Value = String> {
        let token = prop_oneof![2 => token(), 1 => Just(STAR.to_owned())];
        (prop::collection::vec(token, 1..5), any::<bool>()).prop_map(|(mut tokens, has_rest)| {
            if has_rest {
                tokens.push(REST.to_owned());
            }
            tokens.join(".")
        })
    }

    proptest! {
        #[test]
        fn finds_what_matches_one_by_one(
            sets in prop::collection::vec((topic(), "[ -0]{0,2}", 0..4_u8), 0..80),
            patterns in prop::collection::vec(pattern(), 1..20),
        ) {
            let mut retained = Retained::new(RetainedLimits::default());
            let mut table = BTreeMap::new();
            for (name, key, size) in &sets {
                let value = vec![b'x'; usize::from(*size)];
                let expected = if *size == 0 {
                    table.remove(&(&**name, &**key))
                } else {
                    table.insert((&**name, &**key), value.clone())
                };
                prop_assert_eq!(retained.set(Topic::new(name).unwrap(), key, value), Ok(expected));
            }
            let sizes = table.iter().map(|((name, key), value)| {
                size_of::<(Box<str>, Vec<u8>)>() + name.len() + 1 + key.len() + value.len()
            });
            prop_assert_eq!((retained.size(), retained.count()), (sizes.sum(), table.len()));
            for name in &patterns {
                let pattern = Pattern::new(name).unwrap();
                let expected = table
                    .iter()
                    .filter(|((name, _), _)| pattern.matches(Topic::new(name).unwrap()))
                    .map(|((name, key), value)| (*name, *key, value));
                let found: Vec<_> = retained
                    .matching(pattern)
                    .map(|(topic, key, value)| (topic.as_str(), key, value))
                    .collect();
                prop_assert!(expected.eq(found), "{}", name);
            }
            for (name, key) in table.keys() {
                prop_assert!(retained.clear(Topic::new(name).unwrap(), key).is_some());
            }
            prop_assert_eq!(retained.size(), 0);
        }
    }

    #[test]
    fn full_is_full_and_keeps_what_there_is() {
        let topic = Topic::new("a").unwrap();
        let value = |size| Arc::<[u8]>::from(vec![0; size]);
        let entry = Retained::size_of("a\0k", &value(0));
        let limits = RetainedLimits { count_max: 2, size_max: 2 * entry + 10 };
        let mut retained = Retained::new(limits);
        assert_eq!(retained.set(topic, "1", value(4)), Ok(None));
        assert_eq!(retained.set(topic, "2", value(7)), Err(RetainError::TooLarge));
        assert_eq!(retained.set(topic, "2", value(1)), Ok(None));
        assert_eq!(retained.set(topic, "1", value(10)), Err(RetainError::TooLarge));
        assert_eq!(retained.set(topic, "1", value(9)), Ok(Some(value(4))));
        assert_eq!(retained.size(), limits.size_max);
        assert_eq!(retained.set(topic, "1", value(1)), Ok(Some(value(9))));
        let limits = RetainedLimits { size_max: usize::MAX, ..limits };
        retained.limits = limits;
        assert_eq!(retained.set(topic, "3", value(1)), Err(RetainError::TooMany));
        let long = "k".repeat(257);
        assert_eq!(retained.set(topic, &long, value(1)), Err(RetainError::KeyTooLong));
        assert_eq!(retained.clear(topic, &long), None);
        assert_eq!(retained.set(topic, "1", value(0)), Ok(Some(value(1))));
        assert_eq!(retained.set(topic, "3", value(1)), Ok(None));
        let keys: Vec<_> = retained.matching(topic.into()).map(|(_, key, _)| key).collect();
        assert_eq!(keys, ["2", "3"]);
    }

    #[test]
    fn what_cannot_match_is_skipped() {
        let mut retained = Retained::new(RetainedLimits::default());
        for (market, number) in (0..10).flat_map(|market| (0..100).map(move |n| (market, n))) {
            let name = format!("m{market}.s{number:02}.price");
            retained.set(Topic::new(&name).unwrap(), "", [1]).unwrap();
        }
        let pattern = Pattern::new("*.s50.*").unwrap();
        let mut range = from(&retained.values, "");
        let (mut seen, mut taken) = (0, 0);
        while let Some((place, _)) = range.next() {
            seen += 1;
            match compare(pattern.as_str(), place.trim_end_matches(END), 0) {
                Step::Take => taken += 1,
                Step::Skip(place) => range = from(&retained.values, &place),
                Step::End => break,
            }
        }
        assert_eq!((taken, seen), (10, 30));
    }
}
