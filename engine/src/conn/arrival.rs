//! What a receive has brought.

use crate::driver::{Fault, Key, Lease};

/// A piece of a stream, its end, or a fault.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) key: Key,
    pub(crate) result: Result<Option<Lease>, Fault>,
    /// Bytes that have been handled.
    pub(crate) from: usize,
}

/// Arrivals of all connections that wait for a later turn, at most: they are counted for each
/// connection in a byte.
pub(crate) const DEFERRED_MAX: u8 = u8::MAX;
