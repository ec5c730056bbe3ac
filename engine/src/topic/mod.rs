//! Publish and subscribe for the thread that owns it: names, and who has subscribed them.
//!
//! None of it sends: it says to whom. A handler has one [`Topics`] for the connections of its
//! worker and sends within [`Topics::publish`].

mod limits;
mod name;
mod own;
mod subscriptions;
mod tight;
mod tokens;
mod topics;
mod trie;

pub use limits::{SubscribeError, TooManyMatches, TopicLimits};
pub use name::{OwnedPattern, OwnedTopic, Pattern, Topic, TopicError};
pub use topics::Topics;
