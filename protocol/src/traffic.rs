//! What has passed through a workspace, counted.

/// Numbers that only grow, of all connections of one [`Workspace`](crate::Workspace).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Frames whose header has arrived and is right.
    pub frames_received: u64,
    /// Frames that were written, those of the closing handshake included.
    pub frames_sent: u64,
    /// Pings that have arrived.
    pub pings_received: u64,
    /// Pings that were written.
    pub pings_sent: u64,
    /// Pongs that have arrived, asked for or not.
    pub pongs_received: u64,
    /// Pongs that were written.
    pub pongs_sent: u64,
    /// Messages that were compressed. One for many connections counts once.
    pub messages_compressed: u64,
    /// Their bytes before that.
    pub compression_bytes_before: u64,
    /// Their bytes after that.
    pub compression_bytes_after: u64,
}

impl Traffic {
    pub(crate) const NONE: Self = Self {
        frames_received: 0,
        frames_sent: 0,
        pings_received: 0,
        pings_sent: 0,
        pongs_received: 0,
        pongs_sent: 0,
        messages_compressed: 0,
        compression_bytes_before: 0,
        compression_bytes_after: 0,
    };

    /// Counts a message, or a fragment of one, that was compressed.
    pub(crate) const fn compress(&mut self, before: usize, after: usize) {
        self.messages_compressed += 1;
        self.compression_bytes_before += before as u64;
        self.compression_bytes_after += after as u64;
    }
}
