//! What a table of topics may hold, and what is said when it is full.

use std::error::Error as StdError;
use std::fmt;

use super::name::Pattern;

/// What a [`Topics`](super::Topics) may hold, and do for one publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicLimits {
    /// Subscriptions of one subscriber. Default: 1,024, more than a person looks at.
    pub subscriptions_max: usize,
    /// Different patterns of all subscribers. Default: 65,536. Each takes some 200 bytes for each
    /// token that it does not share with others: 10 to 20 MB in all where the last token differs,
    /// 200 MB where peers contrive the names.
    pub patterns_max: usize,
    /// Patterns that one publish may match. Default: [`Pattern::MATCHES_MAX`], which none exceeds.
    /// Where peers choose the patterns, fewer would let one peer keep others from publishing.
    pub matches_max: usize,
}

impl Default for TopicLimits {
    fn default() -> Self {
        Self { subscriptions_max: 1024, patterns_max: 65_536, matches_max: Pattern::MATCHES_MAX }
    }
}

/// Why a subscription was refused. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The subscriber has as many as [`TopicLimits::subscriptions_max`].
    TooManySubscriptions,
    /// The pattern is a new one, and there are as many as [`TopicLimits::patterns_max`].
    TooManyPatterns,
    /// Of a connection that wants a snapshot: with the values that match, each with 128 bytes and a
    /// sixteenth, more than its policy lets wait might wait for it, or what waits is too old
    /// already.
    SnapshotTooLarge,
    /// Of a connection that wants a snapshot: it is sending a message in fragments, and no other
    /// may come between.
    MessageUnfinished,
    /// Its policy for slow consumers is another one than the 255 of its worker.
    TooManySlowConsumers,
    /// By its policy for slow consumers nothing may wait: `size_max` is zero.
    SlowConsumerSize,
    /// Its policy for slow consumers closes with a code that cannot be sent.
    SlowConsumerCode(u16),
}

/// A message was published to nobody: its topic matches more patterns than
/// [`TopicLimits::matches_max`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyMatches;

impl fmt::Display for SubscribeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::TooManySubscriptions => "the subscriber has too many subscriptions",
            Self::TooManyPatterns => "there are too many different patterns",
            Self::SnapshotTooLarge => "the values that match are more than may wait for the peer",
            Self::MessageUnfinished => "a message that is sent in fragments is unfinished",
            Self::TooManySlowConsumers => "there are too many different policies",
            Self::SlowConsumerSize => "by the policy for slow consumers nothing may wait",
            Self::SlowConsumerCode(code) => {
                return write!(formatter, "a slow consumer cannot be closed with {code}");
            }
        })
    }
}

impl fmt::Display for TooManyMatches {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the topic matches too many patterns")
    }
}

impl StdError for SubscribeError {}
impl StdError for TooManyMatches {}
