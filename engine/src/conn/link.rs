//! What a connection keeps for sending, and for what its handler decides.

use ringwire_protocol::Sender;

use crate::cause::Closer;
use crate::conn::backlog::Backlog;
use crate::conn::dirty::Mark;
use crate::conn::flow::{Flow, Step};
use crate::conn::outbox::Outbox;
use crate::conn::releases::Parting;
use crate::conn::round_trip::RoundTrip;
use crate::conn::share::Share;
use crate::timer::Stamp;

/// What a connection and its handler's view share: everything but the handler's own state and the
/// receiving half.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) sender: Sender,
    pub(crate) outbox: Outbox,
    /// Where the policy for slow consumers looks at single messages, from the first that waits.
    pub(crate) backlog: Option<Box<Backlog>>,
    /// In the list of those that have something for the driver.
    pub(crate) dirty: Mark,
    /// Above the high mark, and `drain` is owed.
    pub(crate) backlogged: bool,
    /// The handler wants it to end at once.
    pub(crate) terminated: bool,
    /// The handler takes messages in chunks.
    pub(crate) streaming: bool,
    pub(crate) closer: Closer,
    /// Flights that have to land before the ping or the close that is waited on has left.
    /// `leaving <= outbox.flights()`.
    pub(crate) leaving: u8,
    /// When the last message went in or out.
    pub(crate) last_message: Stamp,
    pub(crate) flow: Flow,
    /// Whether it is to be released.
    pub(crate) parting: Parting,
    pub(crate) round_trip: RoundTrip,
    /// What it has had of the present turn.
    pub(crate) share: Share,
}

impl Link {
    pub(crate) const fn new(sender: Sender, outbox: Outbox, now: Stamp) -> Self {
        Self {
            sender,
            outbox,
            backlog: None,
            dirty: Mark::None,
            backlogged: false,
            terminated: false,
            streaming: false,
            closer: Closer::Nobody,
            leaving: 0,
            last_message: now,
            flow: Flow::Running,
            parting: Parting::No,
            round_trip: RoundTrip::new(),
            share: Share::new(),
        }
    }

    /// After a chunk: a handler that is backlogged takes no other.
    pub(crate) const fn fill(&mut self) {
        if self.backlogged {
            self.flow = self.flow.on(Step::Fill);
        }
    }

    /// From here on the answer to what was written last is waited for, once that has left.
    pub(crate) fn leave(&mut self) {
        self.leaving = self.outbox.flights();
    }
}
