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

    pub(crate) const fn topic(&self) -> &OwnedTopic {
        &self.topic
    }
}

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
