//! Publish and subscribe: names, subscriptions, retained values and queues that conflate, for the
//! thread that owns them.
//!
//! ```text
//!   Topic ──▶ Topics: patterns ──▶ subscribers, each once ──▶ send, or a Conflation where one
//!         └─▶ Retained: the last values ──▶ who subscribes      does not keep up
//! ```
//!
//! None of it sends: it says to whom. A handler has one [`Topics`] for the connections of its
//! worker and sends within [`Topics::publish`].
//!
//! [`Connection::subscribe_with`](crate::Connection::subscribe_with) and
//! [`Handle::publish`](crate::Handle::publish) have all of it built in; these are the parts, for a
//! handler that has an order of its own.
//!
//! Who subscribes is given what there is, and then what is published:
//!
//! ```
//! use std::sync::Arc;
//! use ringwire::topic::{Pattern, Retained, RetainedLimits, Topic, TopicLimits, Topics};
//!
//! struct Feed {
//!     topics: Topics<u32>,
//!     retained: Retained<Arc<[u8]>>,
//! }
//!
//! impl Feed {
//!     fn publish(
//!         &mut self,
//!         topic: Topic<'_>,
//!         price: &str,
//!         mut send: impl FnMut(u32, &str),
//!     ) -> Result<(), Box<dyn std::error::Error>> {
//!         self.retained.set(topic, "", price.as_bytes().into())?;
//!         self.topics.publish(topic, None, |peer, _tag| send(peer, price))?;
//!         Ok(())
//!     }
//!
//!     fn subscribe(
//!         &mut self,
//!         peer: u32,
//!         pattern: Pattern<'_>,
//!         mut send: impl FnMut(u32, &str),
//!     ) -> Result<(), Box<dyn std::error::Error>> {
//!         if self.topics.subscribe(peer, pattern)? {
//!             for (_topic, _key, price) in self.retained.matching(pattern) {
//!                 send(peer, std::str::from_utf8(price)?);
//!             }
//!         }
//!         Ok(())
//!     }
//! }
//!
//! let mut feed = Feed {
//!     topics: Topics::new(TopicLimits::default()),
//!     retained: Retained::new(RetainedLimits::default()),
//! };
//! let mut sent = Vec::new();
//! let mut send = |peer, price: &str| sent.push((peer, price.to_owned()));
//! feed.publish(Topic::new("prices.DAX")?, "24001", &mut send)?;
//! feed.subscribe(7, Pattern::new("prices.*")?, &mut send)?;
//! feed.publish(Topic::new("prices.DAX")?, "24002", &mut send)?;
//! assert_eq!(sent, [(7, "24001".to_owned()), (7, "24002".to_owned())]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod conflation;
mod limits;
mod memory;
mod name;
mod own;
mod retained;
mod subscriptions;
mod tight;
mod tokens;
mod topics;
mod trie;

pub use conflation::{Conflation, ConflationLimits, Full};
pub use limits::{SubscribeError, TooManyMatches, TopicLimits};
pub use name::{OwnedPattern, OwnedTopic, Pattern, Topic, TopicError};
pub use retained::{RetainError, Retained, RetainedLimits};
pub use topics::Topics;
