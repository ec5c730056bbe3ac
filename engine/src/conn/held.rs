//! What has arrived on connections that are paused, and is kept until they are resumed; or behind
//! a request that is being decided about, until it is.
//!
//! It is copied: a pause may be long, and the receive buffers are everybody's. Nothing is received
//! while a connection is paused, so it is what the kernel had filled before it learned of that: at
//! most the receive buffers of two turns, and mostly the rest of one. A connection that is not
//! paused has nothing here, not even room.

use std::collections::HashMap;

use crate::conn::arrival::Arrival;
use crate::driver::Key;

/// What is kept for the connections of a worker.
pub(crate) type Held = HashMap<Key, Pieces>;

/// What is kept for one connection.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    bytes: Vec<u8>,
    /// Those that have been handed over. `from <= bytes.len()`.
    from: usize,
    /// What came after the bytes, and ends them: the end of the stream, or a fault.
    pub(crate) end: Option<Arrival>,
}

impl Pieces {
    /// The last `left` of these bytes.
    pub(crate) fn of(bytes: Vec<u8>, left: usize) -> Self {
        Self { from: bytes.len().saturating_sub(left), bytes, end: None }
    }

    /// Adds what has arrived.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Bytes that are to be handed over.
    pub(crate) const fn len(&self) -> usize {
        self.bytes.len() - self.from
    }

    /// Bytes that it has allocated.
    #[cfg(feature = "simulation")]
    pub(crate) const fn allocated(&self) -> usize {
        self.bytes.capacity()
    }

    /// What is to be handed over.
    pub(crate) fn rest(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.from..).unwrap_or_default()
    }

    /// Takes note that all but the last `left` bytes have been handed over.
    pub(crate) fn keep(&mut self, left: usize) {
        debug_assert!(left <= self.bytes.len() - self.from);
        self.from = self.bytes.len().saturating_sub(left);
    }

    /// Whether there is nothing.
    pub(crate) const fn is_empty(&self) -> bool {
        self.len() == 0 && self.end.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::Pieces;

    #[test]
    fn what_was_kept_first_comes_first() {
        let mut pieces = Pieces::default();
        assert!(pieces.is_empty());
        pieces.push(b"one");
        pieces.push(b"two");
        assert_eq!(pieces.rest(), b"onetwo");
        pieces.keep(2);
        pieces.push(b"three");
        assert_eq!(pieces.rest(), b"wothree");
        assert!(!pieces.is_empty());
        pieces.keep(0);
        assert!(pieces.is_empty());
    }
}
