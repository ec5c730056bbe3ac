//! What a send hands over.

use std::ops::Deref;

use ringwire_protocol::Frame;

/// Bytes on their way to a peer. They stay where they are until the send completes, however often
/// this value moves.
#[derive(Debug)]
pub(crate) enum Bytes {
    /// One connection's alone.
    Own(Vec<u8>),
    /// A frame for many connections, which nobody can change.
    Shared(Frame),
}

impl Bytes {
    /// Bytes that it has allocated. What it shares with others counts for each.
    #[cfg(feature = "simulation")]
    pub(crate) fn allocated(&self) -> usize {
        match self {
            Self::Own(buffer) => buffer.capacity(),
            Self::Shared(frame) => frame.len(),
        }
    }
}

impl Default for Bytes {
    fn default() -> Self {
        Self::Own(Vec::new())
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(frame) => frame,
        }
    }
}
