//! A message on its way to the subscribers of a topic, on all workers.

use std::error::Error;
use std::fmt;

use crate::conn::ConnectionId;
use crate::message::OwnedMessage;
use crate::topic::{OwnedTopic, TopicError};

/// What is published. One for all workers: each gets a reference.
#[derive(Debug)]
pub(crate) struct Publication {
    pub(crate) topic: OwnedTopic,
    pub(crate) message: OwnedMessage,
    /// Who has it already, or is not to have it.
    pub(crate) except: Option<ConnectionId>,
}

/// Why a message was not published, or not everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublishError {
    /// The topic is none. Nobody gets the message.
    Topic(TopicError),
    /// The mailboxes of these workers are full, or cannot hold a message of this size, or they have
    /// ended: their subscribers do not get the message, all others do.
    Workers(Vec<usize>),
}

impl fmt::Display for PublishError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic(error) => error.fmt(formatter),
            Self::Workers(workers) => write!(formatter, "the workers {workers:?} did not take it"),
        }
    }
}

impl Error for PublishError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Topic(error) => Some(error),
            Self::Workers(_) => None,
        }
    }
}

impl From<TopicError> for PublishError {
    fn from(error: TopicError) -> Self {
        Self::Topic(error)
    }
}
