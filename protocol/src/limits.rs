//! How much a peer may make this side hold.

/// The bounds of what is received. They are checked against what a header declares, before a byte
/// of it is kept, and memory is only ever taken for bytes that have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a whole message, all its fragments together. Default 16 MiB, as most peers have it:
    /// large enough for what a browser sends in one piece, small enough that a few thousand of them
    /// do not end a server.
    pub message_size_max: usize,
    /// Bytes of a message that is taken in chunks
    /// ([`Receiver::set_streaming`](crate::Receiver::set_streaming)), in place of
    /// `message_size_max` and `frame_size_max`. Default `u64::MAX`: nothing of it is held, so that
    /// it costs no more than as many bytes in several messages, which no limit forbids.
    pub streamed_size_max: u64,
    /// Bytes of the payload of one data frame. Default 16 MiB: no bound of its own below that of
    /// the message.
    pub frame_size_max: usize,
    /// Frames of one message. Default 262,144: a message of the full size may still come in pieces
    /// of 64 bytes, while an endless train of empty fragments, which costs its sender two to six
    /// bytes each, comes to an end.
    pub fragments_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_size_max: 16 << 20,
            streamed_size_max: u64::MAX,
            frame_size_max: 16 << 20,
            fragments_max: 262_144,
        }
    }
}
