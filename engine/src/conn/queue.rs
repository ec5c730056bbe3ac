//! How what is sent waits: in the outbox, or for a slow peer in its backlog.

use ringwire_protocol::{Close, Event, Misuse, Workspace};

use crate::cause::Closer;
use crate::config::Config;
use crate::conn::backlog::{Backlog, Terms};
use crate::conn::content::Content;
use crate::conn::entry::{ENTRY_SIZE, Missing};
use crate::conn::link::Link;
use crate::conn::outgoing::{Origin, Outgoing};
use crate::conn::policies::OWN;
use crate::conn::view::Sent;
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

    /// The policy for what the connection is sent by itself.
    pub(super) fn policy<'a>(&'a self, config: &'a Config) -> &'a SlowConsumer {
        self.backlog.as_ref().map_or(&config.slow_consumer, |backlog| &backlog.policy)
    }

    /// Bytes that the connection may be sent by itself before anything is dropped.
    pub(super) fn room(&self, config: &Config) -> usize {
        let lane = self.backlog.as_ref().map_or(0, |backlog| backlog.lane_size(OWN));
        let own = self.policy(config).size_max.saturating_sub(self.outbox.buffered() + lane);
        own.min(config.outbox_size_max.saturating_sub(self.buffered()))
    }

    /// Makes room for a message of `size` bytes as its policy says. What became of the message,
    /// where it is not to be queued.
    #[inline]
    pub(super) fn make_room(
        &mut self,
        size: usize,
        terms: &Terms<'_>,
        origin: &mut Origin<'_, '_>,
        workspace: &mut Workspace,
    ) -> Option<Sent> {
        if self.backlog.is_none() && self.fits(size, terms, 0) {
            return None;
        }
        self.make_room_behind(size, terms, origin, workspace)
    }

    fn make_room_behind(
        &mut self,
        size: usize,
        terms: &Terms<'_>,
        origin: &mut Origin<'_, '_>,
        workspace: &mut Workspace,
    ) -> Option<Sent> {
        if self.sender.check().is_err() {
            // What is wrong is said when the message is queued.
            return None;
        }
        let Terms { tag, policy, now, .. } = *terms;
        if let Some(backlog) = &mut self.backlog
            && policy.conflates()
            && !backlog.is_empty()
            && let Some((number, older)) = origin.name().and_then(|name| backlog.find(tag, name))
        {
            if self.fits(size, terms, older) {
                return None;
            }
            // What is newer is behind all others then, if there is room at all.
            if self.fits_without(size.saturating_add(place_size(terms, origin)), terms) {
                self.withdraw(tag, number);
            }
        }
        let place = if self.holds_back() { place_size(terms, origin) } else { 0 };
        let whole = size.saturating_add(place);
        let is_stale = self.backlog.as_ref().is_some_and(|backlog| backlog.is_stale(tag, now));
        if !is_stale && self.fits(whole, terms, 0) {
            return None;
        }
        match policy.overflow {
            Overflow::DropNewest => Some(self.refuse(size, terms, origin)),
            Overflow::DropOldest | Overflow::Conflate => {
                // Nothing is dropped for a message that would not fit even so.
                if !self.fits_without(whole, terms) {
                    return Some(self.refuse(size, terms, origin));
                }
                let backlog = self.backlog.as_mut()?;
                while backlog.is_stale(tag, now) && backlog.drop_first(tag) {}
                while !self.fits(whole, terms, 0) {
                    if !self.backlog.as_mut()?.drop_first(tag) {
                        return Some(self.refuse(size, terms, origin));
                    }
                }
                None
            }
            Overflow::Close(code) => {
                if let Some(backlog) = &mut self.backlog {
                    backlog.clear();
                }
                let close = Close { code: Some(code), reason: "too slow" };
                // The code was checked when the policy was set, and closing has not begun.
                let _closed = self.sender.close(close, workspace, self.outbox.filling());
                self.closer = Closer::SlowConsumer;
                Some(Sent::Closed)
            }
        }
    }

    /// Whether there is room for so many bytes more, when `less` have left.
    fn fits(&self, size: usize, terms: &Terms<'_>, less: usize) -> bool {
        let backlog = self.backlog.as_deref();
        let lane = backlog.map_or(0, |backlog| backlog.lane_size(terms.tag));
        self.fits_beside(size, terms, lane - less.min(lane), self.buffered() - less)
    }

    /// Whether there would be room if no other message of its policy waited.
    fn fits_without(&self, size: usize, terms: &Terms<'_>) -> bool {
        let backlog = self.backlog.as_deref();
        let lane = backlog.map_or(0, |backlog| backlog.lane_size(terms.tag));
        self.fits_beside(size, terms, 0, self.buffered() - lane)
    }

    /// Whether there is room beside so many bytes that wait under the same policy, and so many that
    /// there are in all. What has been filled for sending is not told apart any more: it counts as
    /// sent by the connection itself.
    #[inline]
    fn fits_beside(&self, size: usize, terms: &Terms<'_>, lane: usize, all: usize) -> bool {
        let own = if terms.tag == OWN { lane + self.outbox.buffered() } else { lane };
        own.saturating_add(size) <= terms.policy.size_max
            && all.saturating_add(size) <= terms.size_max
    }

    /// A message is dropped that has not been taken.
    fn refuse(&mut self, size: usize, terms: &Terms<'_>, origin: &mut Origin<'_, '_>) -> Sent {
        if terms.policy.gap_notice.is_some() {
            let missing = Missing::one(size, origin.name());
            self.backlog(terms).refuse(terms, missing);
        }
        Sent::Dropped
    }

    fn withdraw(&mut self, tag: u8, number: u32) {
        if let Some(backlog) = &mut self.backlog {
            backlog.withdraw(tag, number);
        }
    }

    /// What waits, from now on.
    fn backlog(&mut self, terms: &Terms<'_>) -> &mut Backlog {
        self.backlog.get_or_insert_with(|| Box::new(Backlog::new(*terms.connection)))
    }

    /// Queues a message: for the next flight, or behind what waits for it.
    pub(super) fn enqueue(
        &mut self,
        message: Outgoing<'_, '_>,
        terms: &Terms<'_>,
        origin: &mut Origin<'_, '_>,
        workspace: &mut Workspace,
    ) -> Result<(), Misuse> {
        let flies = self.outbox.is_flying() || self.outbox.filled() >= terms.flight_size;
        // What others hold as well waits as a reference. What comes after it waits behind it.
        let is_prepared = matches!(message, Outgoing::Prepared(_));
        let is_shared = !matches!(origin, Origin::Lent) || (is_prepared && self.sender.shares());
        let waits = flies && (is_shared || !terms.policy.is_plain());
        if !waits && !self.holds_back() {
            let Self { sender, outbox, .. } = self;
            return match message {
                Outgoing::Message(payload) => sender.message(payload, workspace, outbox.filling()),
                Outgoing::Uncompressed(payload) => {
                    sender.message_uncompressed(payload, workspace, outbox.filling())
                }
                Outgoing::Prepared(message) => {
                    outbox.push(sender.prepared(message, workspace)?);
                    Ok(())
                }
            };
        }
        self.sender.check()?;
        let content = match message {
            Outgoing::Prepared(message) if self.sender.shares() => {
                Content::Frame(self.sender.prepared(message, workspace)?)
            }
            message => origin.content(&message),
        };
        let name = if terms.policy.names() { origin.name() } else { None };
        let backlog = self.backlog(terms);
        let older = name.and_then(|name| backlog.find(terms.tag, name));
        match older {
            Some((number, _)) => backlog.replace(terms, number, content),
            None => backlog.push(terms, content, name.cloned()),
        }
        Ok(())
    }

    /// Fills the next flight, if none is under way.
    pub(super) fn refill(&mut self, workspace: &mut Workspace, now: Time) {
        if let Some(backlog) = &mut self.backlog
            && !self.outbox.is_flying()
        {
            let Self { sender, outbox, .. } = self;
            let oldest = backlog.refill(sender, workspace, outbox, now);
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

    /// From here on nothing that waits is replaced: see [`Backlog::seal`].
    pub(super) fn seal(&mut self) {
        if let Some(backlog) = &mut self.backlog {
            backlog.seal();
        }
    }

    /// Moves everything that waits into the outbox: what comes next must stand behind it.
    pub(super) fn settle(&mut self, workspace: &mut Workspace) {
        if let Some(backlog) = &mut self.backlog {
            let oldest = backlog.settle(&mut self.sender, workspace, &mut self.outbox);
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
            let filling = self.outbox.filling();
            let close = filling.split_off(mark.min(filling.len()));
            self.settle(workspace);
            self.outbox.filling().extend_from_slice(&close);
        }
    }
}

/// Bytes that a message takes beside what there is to send, if it has to wait.
fn place_size(terms: &Terms<'_>, origin: &mut Origin<'_, '_>) -> usize {
    let name = if terms.policy.names() { origin.name() } else { None };
    ENTRY_SIZE + name.map_or(0, |name| name.size())
}
