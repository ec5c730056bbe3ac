//! A receive buffer on loan.

use std::fmt;
use std::ops::{Deref, DerefMut};

use super::memory::Piece;

/// Received bytes in one of the driver's buffers. Only a completion makes one; it goes back with
/// [`Driver::recycle`](super::Driver::recycle), since a buffer that is dropped is lost to all
/// connections of the worker.
pub(crate) struct Lease {
    /// The whole buffer. While it is here the kernel does not know of it.
    pub(super) buffer: Piece,
    /// Which of the driver's buffers it is.
    pub(super) id: u16,
    /// Bytes received. `size <= buffer.len()`.
    pub(super) size: usize,
}

impl Deref for Lease {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.buffer.get(..self.size).unwrap_or_default()
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.buffer.get_mut(..self.size).unwrap_or_default()
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Lease(buffer {}, {} bytes)", self.id, self.size)
    }
}
