//! What is published, and its way to the subscribers of a topic, on all workers.

use std::error::Error;
use std::fmt;

use ringwire_protocol::Payload;

use crate::conn::ConnectionId;
use crate::message::OwnedMessage;
use crate::topic::{OwnedTopic, Topic, TopicError};

/// A message that is published, and what it is to its topic. Anything that makes an
/// [`OwnedMessage`] makes one: a `&str`, a `Vec<u8>`, a received [`Message`](crate::Message).
///
/// **Key.** Names a thing within the topic: a post makes those before it worthless that have its
/// topic and its key. At most 256 bytes, any characters; without one it is empty, and the topic is
/// the thing. It is what last values are retained by, and what is conflated for slow consumers.
///
/// **Retained.** Each worker keeps the post, until the next retained one of the same topic and key
/// or until one that is empty, for who subscribes later.
///
/// ```
/// use ringwire::{Handle, Post, PublishError};
///
/// fn quote(handle: &Handle, share: &str, price: &str) -> Result<(), PublishError> {
///     handle.publish("prices.xetra", Post::new(price).with_key(share).retained())
/// }
///
/// /// It is not traded any more: subscribers get an empty message, and newcomers none.
/// fn withdraw(handle: &Handle, share: &str) -> Result<(), PublishError> {
///     handle.publish("prices.xetra", Post::new("").with_key(share).retained())
/// }
/// # let _ = (quote, withdraw);
/// assert_eq!(Post::from("24001"), Post::new("24001"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    pub(crate) message: OwnedMessage,
    pub(crate) key: Box<str>,
    pub(crate) is_retained: bool,
}

impl Post {
    /// A message without a key, which is not retained.
    pub fn new(message: impl Into<OwnedMessage>) -> Self {
        Self { message: message.into(), key: Box::default(), is_retained: false }
    }

    /// The same with a key, of at most 256 bytes.
    #[must_use]
    pub fn with_key(self, key: &str) -> Self {
        Self { key: key.into(), ..self }
    }

    /// The same, as the last value of its topic and key. One with an empty message clears that.
    #[must_use]
    pub fn retained(self) -> Self {
        Self { is_retained: true, ..self }
    }

    /// Whether which post of its topic comes last matters: then all workers have them in the same
    /// order, and the connection that publishes it has it with everybody else.
    pub(crate) fn is_ordered(&self) -> bool {
        self.is_retained || !self.key.is_empty()
    }
}

impl<M: Into<OwnedMessage>> From<M> for Post {
    fn from(message: M) -> Self {
        Self::new(message)
    }
}

/// What is published. One for all workers: each gets a reference.
#[derive(Debug)]
pub(crate) struct Publication {
    pub(crate) topic: OwnedTopic,
    pub(crate) post: Post,
    /// Who has it already, or is not to have it.
    pub(crate) except: Option<ConnectionId>,
}

impl Publication {
    pub(crate) fn new(
        topic: Topic<'_>,
        mut post: Post,
        except: Option<ConnectionId>,
    ) -> Result<Self, PublishError> {
        if post.key.len() > Topic::SIZE_MAX {
            return Err(PublishError::KeyTooLong { size: post.key.len() });
        }
        if post.is_retained {
            // It may stay for long, and counts as its bytes.
            post.message.shrink();
        }
        Ok(Self { topic: topic.into(), post, except })
    }

    /// The message.
    pub(crate) fn payload(&self) -> Payload<'_> {
        self.post.message.payload()
    }

    /// What it tells of, within its topic.
    pub(crate) fn key(&self) -> &str {
        &self.post.key
    }

    /// Bytes of memory that it holds, also those that its message has allocated and does not use.
    pub(crate) fn size(&self) -> usize {
        let names = self.topic.as_topic().as_str().len() + self.post.key.len();
        size_of::<Self>().saturating_add(names).saturating_add(self.post.message.capacity())
    }
}

/// Why a message was not published, or not everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublishError {
    /// The topic is none. Nobody gets the message.
    Topic(TopicError),
    /// The key is longer than [`Topic::SIZE_MAX`]. Nobody gets the message.
    KeyTooLong {
        /// Its bytes.
        size: usize,
    },
    /// The mailboxes of these workers are full, or cannot hold a message of this size, or they have
    /// ended: their subscribers do not get the message, all others do. What they retain stays as it
    /// was.
    Workers(Vec<usize>),
}

impl fmt::Display for PublishError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic(error) => error.fmt(formatter),
            Self::KeyTooLong { size } => {
                write!(formatter, "a key of {size} bytes, at most {}", Topic::SIZE_MAX)
            }
            Self::Workers(workers) => write!(formatter, "the workers {workers:?} did not take it"),
        }
    }
}

impl Error for PublishError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Topic(error) => Some(error),
            Self::KeyTooLong { .. } | Self::Workers(_) => None,
        }
    }
}

impl From<TopicError> for PublishError {
    fn from(error: TopicError) -> Self {
        Self::Topic(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_held_counts() {
        let topic = Topic::new("prices").unwrap();
        let sizes = [("", ""), ("", "message"), ("key", "message")].map(|(key, message)| {
            let post = Post::new(message).with_key(key);
            Publication::new(topic, post, None).unwrap().size() - size_of::<Publication>()
        });
        assert_eq!(sizes, [6, 13, 16]);
        // What is not used counts as well, and is given back before it is retained.
        let message = || {
            let mut message = Vec::with_capacity(1000);
            message.push(0_u8);
            message
        };
        for (post, size) in [(Post::new(message()), 1006), (Post::new(message()).retained(), 7)] {
            let publication = Publication::new(topic, post, None).unwrap();
            assert_eq!(publication.size() - size_of::<Publication>(), size);
        }
    }
}
