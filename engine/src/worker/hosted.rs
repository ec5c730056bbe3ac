//! The turn of a worker that does not sleep by itself: its thread belongs to a host, which has
//! other things to do meanwhile.

use std::io;
use std::time::Duration;

use super::Worker;
use crate::driver::Driver;
use crate::handler::Handler;
use crate::timer::Time;

/// What a worker wants of its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another turn, when others have had theirs.
    Turn,
    /// To rest until something completes, somebody wakes it, or it is that late.
    Rest(Option<Time>),
    /// Nothing: it has been stopped, and nothing is left.
    End,
}

impl<D: Driver, H: Handler> Worker<D, H> {
    /// One turn, unless there is nothing to do. The driver never waits.
    ///
    /// When it is to rest it has said in its mailbox that it sleeps, so that mail wakes it, and it
    /// has looked behind that. The next call says that it no longer does; so does its end.
    /// `rested`: the last call wanted that.
    pub(crate) fn turn_hosted(&mut self, rested: bool) -> io::Result<Next> {
        self.mailbox.awake();
        if rested && !self.mailbox.is_empty() {
            self.connections.stats().wakeups += 1;
        }
        if self.has_ended()? {
            return Ok(Next::End);
        }
        let rests = !self.connections.has_work() && self.mailbox.prepare_sleep();
        self.connections.driver.wait(Some(Duration::ZERO), &mut self.completions)?;
        if rests && self.completions.is_empty() {
            let next = self.deadline();
            let now = self.connections.driver.now();
            if next.is_none_or(|next| now < next) {
                return Ok(Next::Rest(next));
            }
        }
        self.mailbox.awake();
        self.handle_completed();
        self.turn_end();
        Ok(Next::Turn)
    }

    /// The time of the last look.
    pub(crate) fn now(&self) -> Time {
        self.connections.driver.now()
    }
}
