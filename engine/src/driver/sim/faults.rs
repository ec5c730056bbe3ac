//! How often things go wrong.

/// How often things go wrong, each in percent of the occasions on which it can.
///
/// None of them breaks the kernel's promises; all of them happen under load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// An operation that could complete does so in a later turn.
    pub delays: u8,
    /// A receive brings, and a send takes, only a part of the bytes.
    pub short: u8,
    /// A multishot ends and must be armed again.
    pub ended_multishots: u8,
    /// A receive finds no buffer.
    pub buffers_exhausted: u8,
    /// A receive, or accepting, is cancelled without anybody's having asked for it.
    pub cancelled: u8,
    /// Accepting fails, for another reason than a lack of descriptors.
    pub broken_accepts: u8,
    /// The queue of completions is full: what does not fit is delivered in a later turn.
    pub full_queue: u8,
    /// The worker wakes for nothing.
    pub spurious_wakes: u8,
    /// An accept finds no descriptor, and neither do some of those that follow.
    pub descriptors_exhausted: u8,
    /// A receive fails, and the peer is gone.
    pub broken_receives: u8,
    /// A send fails, and the peer is gone.
    pub broken_sends: u8,
    /// A peer is gone after something of its connection has completed, whatever that was.
    pub lost_peers: u8,
    /// Up to two minutes pass at once, as when the machine was suspended.
    pub jumps: u8,
}

impl Faults {
    /// Those that cost no connection and no byte.
    pub const HARMLESS: Self = Self {
        delays: 40,
        short: 40,
        ended_multishots: 20,
        buffers_exhausted: 10,
        cancelled: 5,
        broken_accepts: 5,
        full_queue: 20,
        spurious_wakes: 10,
        descriptors_exhausted: 0,
        broken_receives: 0,
        broken_sends: 0,
        lost_peers: 0,
        jumps: 0,
    };

    /// All of them, often.
    pub const MANY: Self = Self {
        descriptors_exhausted: 10,
        broken_receives: 1,
        broken_sends: 1,
        lost_peers: 1,
        jumps: 1,
        ..Self::HARMLESS
    };
}
