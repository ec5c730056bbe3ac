//! The names of topics, and the patterns that subscribe to many of them.

mod name;

pub use name::{OwnedPattern, OwnedTopic, Pattern, Topic, TopicError};
