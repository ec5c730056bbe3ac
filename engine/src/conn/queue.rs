//! How what is sent waits: in the outbox, or for a slow peer in its backlog.

use ringwire_protocol::{Close, Event, Misuse, Workspace};

use crate::cause::Closer;
use crate::config::Config;
use crate::conn::backlog::{Backlog, Content, Outgoing};
use crate::conn::view::{Link, Sent};
use crate::slow::{Overflow, SlowConsumer};
use crate::timer::{Stamp, Time};

impl Link {
    /// Bytes that have not left: waiting, queued and in flight.
    pub(crate) fn buffered(&self) -> usize {
        self.outbox.buffered() + self.backlog.as_ref().map_or(0, |backlog| backlog.size())
    }

    /// Whether a flight is due: something waits and nothing is under way.
    pub(crate) fn is_due(&self) -> bool {
        self.outbox.is_due() || (!self.outbox.is_flying() && self.holds_back())
    }

    /// Whether messages wait in the backlog.
    pub(crate) fn holds_back(&self) -> bool {
        self.backlog.as_ref().is_some_and(|backlog| !backlog.is_empty())
    }

    pub(super) fn policy(&self, config: &Config) -> SlowConsumer {
        self.backlog.as_ref().map_or(config.slow_consumer, |backlog| backlog.policy)
    }

    /// Makes room for a message of `size` bytes as the policy says. What became of the message,
    /// where it is not to be queued.
    pub(super) fn make_room(
        &mut self,
        size: usize,
        policy: SlowConsumer,
        workspace: &mut Workspace,
        now: Time,
    ) -> Option<Sent> {
        let max = policy.size_max;
        let is_full = self.buffered().saturating_add(size) > max;
        let is_stale = self.backlog.as_ref().is_some_and(|backlog| backlog.is_stale(now));
        if !is_full && !is_stale {
            return None;
        }
        if !self.sender.closing().is_open() {
            return Some(Sent::Closed);
        }
        match policy.overflow {
            Overflow::DropNewest => Some(Sent::Dropped),
            Overflow::DropOldest => {
                let in_flight = self.outbox.buffered();
                // Nothing is dropped for a message that would not fit even so.
                if in_flight.saturating_add(size) > max {
                    return Some(Sent::Dropped);
                }
                let backlog = self.backlog.as_mut()?;
                while backlog.is_stale(now) || in_flight + backlog.size() + size > max {
                    backlog.drop_oldest()?;
                }
                None
            }
            Overflow::Close(code) => {
                if let Some(backlog) = &mut self.backlog {
                    backlog.clear();
                }
                let close = Close { code: Some(code), reason: "too slow" };
                // The code was checked when the policy was set, and closing has not begun.
                let _closed = self.sender.close(close, workspace, &mut self.outbox.filling);
                self.closer = Closer::SlowConsumer;
                Some(Sent::Closed)
            }
        }
    }

    /// Queues a message: for the next flight, or behind what waits for it.
    pub(super) fn enqueue(
        &mut self,
        message: Outgoing<'_, '_>,
        policy: SlowConsumer,
        workspace: &mut Workspace,
        now: Time,
    ) -> Result<(), Misuse> {
        let flies = self.outbox.is_flying() || self.outbox.filling.len() >= policy.flight_size();
        // What others hold as well waits as a reference. What comes after it waits behind it.
        let is_shared = matches!(message, Outgoing::Prepared(_)) && self.sender.shares();
        let waits = flies && (is_shared || !policy.is_plain());
        if !waits && !self.holds_back() {
            let out = &mut self.outbox.filling;
            return match message {
                Outgoing::Message(payload) => self.sender.message(payload, workspace, out),
                Outgoing::Uncompressed(payload) => {
                    self.sender.message_uncompressed(payload, workspace, out)
                }
                Outgoing::Prepared(message) => {
                    let frame = self.sender.prepared(message, workspace)?;
                    out.extend_from_slice(&frame);
                    Ok(())
                }
            };
        }
        self.sender.check()?;
        let content = match message {
            Outgoing::Message(payload) => Content::copy(payload),
            Outgoing::Uncompressed(payload) => {
                Content::Uncompressed(Box::new(Content::copy(payload)))
            }
            Outgoing::Prepared(message) if self.sender.shares() => {
                Content::Frame(self.sender.prepared(message, workspace)?)
            }
            Outgoing::Prepared(message) => Content::copy(message.payload()),
        };
        self.backlog.get_or_insert_with(|| Box::new(Backlog::new(policy))).push(content, now);
        Ok(())
    }

    /// Fills the next flight, if none is under way.
    pub(super) fn refill(&mut self, workspace: &mut Workspace, now: Time) {
        if let Some(backlog) = &mut self.backlog
            && !self.outbox.is_flying()
        {
            let out = &mut self.outbox.filling;
            let oldest = backlog.refill(&mut self.sender, workspace, out, now);
            if let Some(since) = oldest {
                self.outbox.date(Stamp::of(since));
            }
        }
    }

    /// Messages that have been dropped and are to be told now: once in a turn, since a handler that
    /// sends when it is told may have others dropped, without end.
    pub(super) fn take_untold(&mut self, turn: u16) -> u64 {
        self.backlog.as_mut().map_or(0, |backlog| backlog.take_untold(turn))
    }

    /// Messages that have been dropped and not been told, when the connection ends.
    pub(super) fn take_last_untold(&mut self) -> u64 {
        self.backlog.as_mut().map_or(0, |backlog| backlog.take_last_untold())
    }

    /// The connection is lost, and with it what waits.
    pub(super) fn forget(&mut self) {
        if let Some(backlog) = &mut self.backlog {
            backlog.forget();
        }
    }

    /// Moves everything that waits into the outbox: what comes next must stand behind it.
    pub(super) fn settle(&mut self, workspace: &mut Workspace) {
        if let Some(backlog) = &mut self.backlog {
            let oldest = backlog.settle(&mut self.sender, workspace, &mut self.outbox.filling);
            if let Some(since) = oldest {
                self.outbox.date(Stamp::of(since));
            }
        }
    }

    /// What an event has written stands in the outbox from `mark` on. What waits goes before it if
    /// it is a close frame, since nothing may follow that.
    pub(super) fn settle_before(
        &mut self,
        event: &Event<'_>,
        mark: usize,
        workspace: &mut Workspace,
    ) {
        let is_over = matches!(event, Event::Close(_) | Event::Failed(_));
        if is_over && self.holds_back() {
            let close = self.outbox.filling.split_off(mark.min(self.outbox.filling.len()));
            self.settle(workspace);
            self.outbox.filling.extend_from_slice(&close);
        }
    }
}
