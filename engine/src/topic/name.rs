//! The names of topics, and the patterns that subscribe to many of them.
//!
//! ```text
//!   topic     prices.europe.DAX
//!   pattern   prices.europe.DAX    that topic
//!             prices.*.DAX         * is any one token
//!             prices.>             > is the rest: one token or more
//! ```
//!
//! They are NATS' own, so that a bridge to it translates nothing. What NATS merely advises against
//! is refused: `*` and `>` within a token, as well as white space and control characters, which
//! are slips or would forge the lines of a log.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// A topic's name: tokens with `.` between them.
///
/// It has at most 256 bytes and 16 tokens. No token is empty, or contains `*`, `>`, white space or
/// control characters. All other characters are allowed, and differ as their bytes do.
///
/// ```
/// use ringwire::topic::{Topic, TopicError};
///
/// let topic = Topic::new("prices.europe.DAX")?;
/// assert_eq!(topic.tokens().last(), Some("DAX"));
/// assert_eq!(Topic::new("prices..DAX"), Err(TopicError::EmptyToken { offset: 7 }));
/// # Ok::<(), TopicError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Topic<'a>(&'a str);

/// What a subscriber asks for: a topic, or all topics of a shape.
///
/// It is a [`Topic`] in which `*` may stand for any one token, and `>` at the end for one token or
/// more. Of `*` there are at most four, which is what bounds the work of publishing: at most 9,401
/// patterns match the same topic, whatever subscribers ask for. With a `*` for each token it would
/// be 131,071.
///
/// ```
/// use ringwire::topic::{Pattern, Topic};
///
/// let pattern = Pattern::new("prices.*.>")?;
/// assert!(pattern.matches(Topic::new("prices.europe.DAX")?));
/// assert!(!pattern.matches(Topic::new("prices.europe")?));
/// # Ok::<(), ringwire::topic::TopicError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pattern<'a>(&'a str);

/// A [`Topic`] that owns its name. A clone shares it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OwnedTopic(Arc<str>);

/// A [`Pattern`] that owns its name. A clone shares it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OwnedPattern(Arc<str>);

/// Why a name is none. Offsets are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TopicError {
    /// It has this many bytes, more than [`Topic::SIZE_MAX`].
    TooLong {
        /// How many.
        size: usize,
    },
    /// It has more tokens than [`Topic::TOKENS_MAX`].
    TooManyTokens,
    /// It has more `*` than [`Pattern::STARS_MAX`].
    TooManyStars,
    /// A token is empty, or the whole name is.
    EmptyToken {
        /// Where it should be.
        offset: usize,
    },
    /// White space or a control character.
    Character {
        /// Where it is.
        offset: usize,
    },
    /// A `*` or `>` in the name of a topic, or within a token, or a `>` before the last token.
    Wildcard {
        /// Where it is.
        offset: usize,
    },
}

/// Any one token.
pub(super) const STAR: &str = "*";

/// The rest of the tokens, at least one.
pub(super) const REST: &str = ">";

impl<'a> Topic<'a> {
    /// Bytes of a name at most. Names are kept in tables and sent to others, and 256 bytes hold the
    /// most talkative hierarchy.
    pub const SIZE_MAX: usize = 256;

    /// Tokens of a name at most: each is a step of every publish.
    pub const TOKENS_MAX: usize = 16;

    /// The topic of this name.
    ///
    /// # Errors
    /// What of the name is not allowed.
    pub fn new(name: &'a str) -> Result<Self, TopicError> {
        check(name)?;
        match name.find(['*', '>']) {
            Some(offset) => Err(TopicError::Wildcard { offset }),
            None => Ok(Self(name)),
        }
    }

    /// The topic of a name that has been one before.
    pub(super) const fn of_valid(name: &'a str) -> Self {
        Self(name)
    }

    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// The tokens of the name, from 1 to 16.
    pub fn tokens(self) -> impl Iterator<Item = &'a str> {
        self.0.split('.')
    }
}

impl<'a> Pattern<'a> {
    /// `*` of a pattern at most.
    pub const STARS_MAX: usize = 4;

    /// Patterns that match one topic at most, whatever has been subscribed: 9,401.
    pub const MATCHES_MAX: usize = matches_max();

    /// The pattern of this name.
    ///
    /// # Errors
    /// What of the name is not allowed.
    pub fn new(name: &'a str) -> Result<Self, TopicError> {
        check(name)?;
        let mut stars = 0;
        let mut offset = 0;
        for token in name.split('.') {
            let end = offset + token.len();
            match token {
                STAR => stars += 1,
                REST if end == name.len() => {}
                _ => {
                    if let Some(at) = token.find(['*', '>']) {
                        return Err(TopicError::Wildcard { offset: offset + at });
                    }
                }
            }
            offset = end + 1;
        }
        if stars > Self::STARS_MAX {
            return Err(TopicError::TooManyStars);
        }
        Ok(Self(name))
    }

    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// The tokens of the name, from 1 to 16, `*` and `>` among them.
    pub fn tokens(self) -> impl Iterator<Item = &'a str> {
        self.0.split('.')
    }

    /// What the names of all topics that match begin with.
    pub(super) fn prefix(self) -> &'a str {
        let end = self.0.find(['*', '>']).unwrap_or(self.0.len());
        self.0.get(..end).unwrap_or_default()
    }

    /// Whether a topic is one of those asked for.
    #[must_use]
    pub fn matches(self, topic: Topic<'_>) -> bool {
        let mut rest = topic.tokens();
        for token in self.tokens() {
            match (token, rest.next()) {
                (REST, Some(_)) => return true,
                (STAR, Some(_)) => {}
                (literal, Some(token)) if literal == token => {}
                _ => return false,
            }
        }
        rest.next().is_none()
    }
}

/// What topics and patterns have in common.
fn check(name: &str) -> Result<(), TopicError> {
    if name.len() > Topic::SIZE_MAX {
        return Err(TopicError::TooLong { size: name.len() });
    }
    let is_banned = |character: char| character.is_control() || character.is_whitespace();
    if let Some(offset) = name.find(is_banned) {
        return Err(TopicError::Character { offset });
    }
    let mut offset = 0;
    for (index, token) in name.split('.').enumerate() {
        if index == Topic::TOKENS_MAX {
            return Err(TopicError::TooManyTokens);
        }
        if token.is_empty() {
            return Err(TopicError::EmptyToken { offset });
        }
        offset += token.len() + 1;
    }
    Ok(())
}

/// Ways to choose up to four stars among `n` tokens, for each `n` from 0 to 16: below 16 a `>`
/// follows them, at 16 nothing can.
const fn matches_max() -> usize {
    let mut sum = 0;
    let mut tokens = 0;
    while tokens <= Topic::TOKENS_MAX {
        let mut stars = 0;
        let mut ways = 1;
        while stars <= Pattern::STARS_MAX && stars <= tokens {
            sum += ways;
            ways = ways * (tokens - stars) / (stars + 1);
            stars += 1;
        }
        tokens += 1;
    }
    sum
}

const _: () = assert!(Pattern::MATCHES_MAX == 9_401);

impl<'a> From<Topic<'a>> for Pattern<'a> {
    /// The pattern of that topic alone.
    fn from(topic: Topic<'a>) -> Self {
        Self(topic.0)
    }
}

impl OwnedTopic {
    /// The topic.
    #[must_use]
    pub fn as_topic(&self) -> Topic<'_> {
        Topic(&self.0)
    }
}

impl OwnedPattern {
    /// The pattern.
    #[must_use]
    pub fn as_pattern(&self) -> Pattern<'_> {
        Pattern(&self.0)
    }
}

impl From<Topic<'_>> for OwnedTopic {
    fn from(topic: Topic<'_>) -> Self {
        Self(topic.0.into())
    }
}

impl From<Pattern<'_>> for OwnedPattern {
    fn from(pattern: Pattern<'_>) -> Self {
        Self(pattern.0.into())
    }
}

impl fmt::Display for Topic<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

impl fmt::Display for Pattern<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

impl fmt::Display for OwnedTopic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Display for OwnedPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Display for TopicError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { size } => {
                write!(formatter, "{size} bytes, at most {}", Topic::SIZE_MAX)
            }
            Self::TooManyTokens => write!(formatter, "more than {} tokens", Topic::TOKENS_MAX),
            Self::TooManyStars => write!(formatter, "more than {} stars", Pattern::STARS_MAX),
            Self::EmptyToken { offset } => write!(formatter, "an empty token at byte {offset}"),
            Self::Character { offset } => {
                write!(formatter, "white space or a control character at byte {offset}")
            }
            Self::Wildcard { offset } => write!(formatter, "a misplaced wildcard at byte {offset}"),
        }
    }
}

impl StdError for TopicError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_none() {
        use TopicError::*;
        let long = "a".repeat(257);
        let deep = ["a"; 17].join(".");
        for (name, error) in [
            ("", EmptyToken { offset: 0 }),
            (".", EmptyToken { offset: 0 }),
            (".a", EmptyToken { offset: 0 }),
            ("a.", EmptyToken { offset: 2 }),
            ("a..b", EmptyToken { offset: 2 }),
            ("a b", Character { offset: 1 }),
            ("a.\0", Character { offset: 2 }),
            ("a\u{a0}", Character { offset: 1 }),
            ("ä.\u{85}", Character { offset: 3 }),
            ("a*", Wildcard { offset: 1 }),
            ("a.>>", Wildcard { offset: 2 }),
            (">.a", Wildcard { offset: 0 }),
            ("*.>.a", Wildcard { offset: 2 }),
            (&long, TooLong { size: 257 }),
            (&deep, TooManyTokens),
        ] {
            assert_eq!(Pattern::new(name), Err(error), "{name}");
            assert!(Topic::new(name).is_err(), "{name}");
            assert!(!error.to_string().is_empty());
        }
        for (name, offset) in [("*", 0), (">", 0), ("a.*.b", 2), ("a.>", 2)] {
            assert_eq!(Topic::new(name), Err(Wildcard { offset }));
            assert_eq!(Pattern::new(name).map(Pattern::as_str), Ok(name));
        }
        assert_eq!(Pattern::new("*.*.*.*.*"), Err(TooManyStars));
        assert!(Pattern::new("*.*.*.*.>").is_ok());
    }

    #[test]
    fn the_largest_names_are_names() {
        let long = "a".repeat(256);
        let deep = ["ä"; 16].join(".");
        for name in [&*long, &deep, "a-b_c/d:e", "a"] {
            let topic = Topic::new(name).unwrap();
            assert_eq!(topic.tokens().collect::<Vec<_>>().join("."), name);
            assert_eq!(OwnedTopic::from(topic).as_topic(), topic);
            let pattern = Pattern::new(name).unwrap();
            assert_eq!(Pattern::from(topic), pattern);
            assert_eq!(OwnedPattern::from(pattern).as_pattern().to_string(), name);
            assert!(pattern.matches(topic));
        }
    }

    #[test]
    fn what_patterns_match() {
        for (pattern, topic, matches) in [
            ("a.b", "a.b", true),
            ("a.b", "a.c", false),
            ("a.b", "a", false),
            ("a", "a.b", false),
            ("*", "a", true),
            ("*", "a.b", false),
            ("a.*.c", "a.b.c", true),
            ("a.*.c", "a.b.d", false),
            ("a.*", "a", false),
            (">", "a", true),
            (">", "a.b.c", true),
            ("a.>", "a", false),
            ("a.>", "a.b.c", true),
            ("a.>", "b.b.c", false),
            ("*.>", "a", false),
            ("*.*.>", "a.b.c", true),
        ] {
            let (pattern, topic) = (Pattern::new(pattern).unwrap(), Topic::new(topic).unwrap());
            assert_eq!(pattern.matches(topic), matches, "{pattern} {topic}");
        }
    }
}
