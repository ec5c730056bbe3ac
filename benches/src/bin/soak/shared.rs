//! What all connections share: the seed, buffers, and the counts.

use ringwire_benches::random::Random;
use ringwire_protocol::{Limits, Workspace};

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) seed: u64,
    /// Connections that are open wait until all are.
    pub(crate) gathers: bool,
    /// Every connection closes as soon as it may, and none comes instead.
    pub(crate) leaves: bool,
    pub(crate) workspace: Workspace,
    /// What is read goes in here.
    pub(crate) buffer: Vec<u8>,
    /// The message that is being sent.
    pub(crate) payload: Vec<u8>,
    pub(crate) counts: Counts,
}

/// What has happened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Connections that were opened.
    pub(crate) opened: u64,
    /// Messages that came back as they were sent.
    pub(crate) messages: u64,
    /// Bytes in both directions.
    pub(crate) bytes: u64,
    /// Pings that were answered.
    pub(crate) pongs: u64,
    /// Connections that the client reset.
    pub(crate) resets: u64,
    /// Connections that ended with both close frames.
    pub(crate) closes: u64,
}

impl Shared {
    pub(crate) fn new(seed: u64) -> Self {
        let mut keys = Random::of(&[seed]);
        let workspace = Workspace::new(Limits::default());
        Self {
            seed,
            gathers: false,
            leaves: false,
            workspace: workspace.with_masking_keys(move || keys.masking_key()),
            buffer: vec![0; 1 << 17],
            payload: Vec::new(),
            counts: Counts::default(),
        }
    }
}
