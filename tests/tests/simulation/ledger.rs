//! What a handler knows of one connection, and of all of them together.

use ringwire::{ConnectionId, OwnedMessage, SlowConsumer};

use crate::owed::{Kind, Owed};

/// What the statistics must say as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) opened: u64,
    pub(crate) closed: u64,
    pub(crate) released: u64,
    pub(crate) received: u64,
    pub(crate) taken: u64,
    /// Taken, and dropped later.
    pub(crate) dropped: u64,
    /// Not taken, and counted as dropped.
    pub(crate) refused: u64,
    /// Sent by mail, to connections that were open then. Some may not have been taken.
    pub(crate) mailed: u64,
    pub(crate) drained: u64,
    /// Requests that the handler was asked about.
    pub(crate) asked: u64,
}

/// One connection's.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) id: Option<ConnectionId>,
    pub(crate) received: Vec<OwnedMessage>,
    /// What `send` has taken, and what has come by mail, in the order in which it is to leave.
    pub(crate) owed: Vec<Owed>,
    /// How often its subscriptions or its policy have changed.
    pub(crate) epoch: usize,
    pub(crate) policy: Option<SlowConsumer>,
    /// How much of it `send` has taken.
    pub(crate) taken: u64,
    /// Of all of it, what was reported as dropped.
    pub(crate) dropped: u64,
    pub(crate) opened: bool,
    pub(crate) error: Option<(&'static str, &'static str)>,
    pub(crate) closed: Option<(&'static str, &'static str)>,
    pub(crate) clean: bool,
    /// The handler has ended it, or has wished to.
    pub(crate) left: bool,
    /// More waits than should, and `drain` is to say when there is room again.
    pub(crate) backlogged: bool,
    pub(crate) terminated: bool,
    /// Of a message that arrives in chunks, what has come.
    pub(crate) partial: Vec<u8>,
    /// It is sent on chunk by chunk, and its last has not come.
    pub(crate) relaying: bool,
}

/// Which client a connection is.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) number: Option<usize>,
}

impl Told {
    pub(crate) const fn new(number: usize) -> Self {
        Self { number: Some(number) }
    }
}

impl Ledger {
    /// A message is sent, behind all before it.
    pub(crate) fn owe(&mut self, message: OwnedMessage, kind: Kind) {
        self.owed.push(Owed::new(message, kind, self.epoch, self.relaying));
    }
}
