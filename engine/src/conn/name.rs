//! What a publication is known by.

use std::hash::{Hash, Hasher};

use crate::topic::OwnedTopic;

/// A topic and a key: a newer publication of the same name makes one worthless that waits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// Of the two others. No publisher can foresee what is made of it.
    hash: u64,
    topic: OwnedTopic,
    key: Box<str>,
}

impl Name {
    pub(crate) fn new(topic: OwnedTopic, key: &str, hash: u64) -> Self {
        Self { hash, topic, key: key.into() }
    }

    /// Bytes that it takes, as if nobody shared it, with its place in a table of names.
    pub(crate) fn size(&self) -> usize {
        OVERHEAD + self.topic.as_topic().as_str().len() + self.key.len()
    }

    pub(crate) const fn topic(&self) -> &OwnedTopic {
        &self.topic
    }
}

/// Bytes of a name and what counts the references to it and to its topic; and of a table that is
/// half full, a reference, a number and a byte.
const OVERHEAD: usize = size_of::<Name>() + 4 * size_of::<usize>() + 2 * (2 * size_of::<u64>() + 1);

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// Hands on a hash that has been made once for all connections.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        debug_assert!(false, "{} bytes that are no hash", bytes.len());
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
