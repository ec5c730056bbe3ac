//! What names a connection.

use std::fmt;

use crate::driver::Key;

/// A connection of a worker, whatever the worker, at any time. It fits 64 bits; after its end it
/// names nothing, for the next 16 million connections in its place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId {
    pub(crate) worker: u8,
    pub(crate) key: Key,
}

impl ConnectionId {
    /// The identifier as a number, for logs and tables.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        (self.worker as u64) << 56 | self.key.bits()
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Key { slot, generation } = self.key;
        write!(formatter, "{}:{slot}:{generation}", self.worker)
    }
}
