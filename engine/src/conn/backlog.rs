//! Messages that wait behind a flight for a slow peer, each whole, so that one can be dropped.
//!
//! ```text
//!   send ──▶ outbox, while nothing is in flight
//!       └──▶ backlog, after that ──refill──▶ outbox, when the flight has landed
//!                │ too many bytes, or too old
//!                ▼
//!             dropped, replaced, or the connection closed: as the policy of its lane says
//! ```
//!
//! A message is encoded when it leaves the backlog and not before: with context takeover a message
//! that has been compressed must be sent.
//!
//! All messages stand in one order, whatever policy applies to them. What one policy applies to is
//! a lane: what the connection is sent by itself, or what subscriptions of that policy bring.

use std::sync::Arc;

use ringwire_protocol::{Sender, Workspace};

use crate::conn::content::Content;
use crate::conn::entry::{ENTRY_SIZE, Entries, Entry, Missing, Thing};
use crate::conn::lane::Lane;
use crate::conn::name::Name;
use crate::conn::outbox::Outbox;
use crate::conn::policies::OWN;
use crate::slow::SlowConsumer;
use crate::timer::Time;

/// What one connection has waiting.
#[derive(Debug)]
pub(crate) struct Backlog {
    /// Of the connection.
    pub(crate) policy: SlowConsumer,
    entries: Entries,
    /// Of those that something waits in, or has: at most 256.
    lanes: Vec<Lane>,
    /// Accepted, dropped and not yet told to the handler.
    untold: u64,
    /// The turn in which that was told last. It wraps.
    told: Option<u16>,
    losses: Losses,
}

/// What has become of messages, for the worker to count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Losses {
    /// Bytes of messages that were accepted and dropped.
    pub(crate) bytes: u64,
    /// Messages that newer ones have replaced.
    pub(crate) conflated: u64,
    /// Gaps that the peer is told of.
    pub(crate) gaps: u64,
}

/// Bytes of a backlog that are not counted in its size: itself with as many lanes as there may be,
/// and the entries that the queue has room for at the least.
pub(crate) const BACKLOG_SIZE: usize =
    size_of::<Backlog>() + 256 * size_of::<Lane>() + 4 * ENTRY_SIZE;

/// Bytes of frames for many that are copied into one flight. A larger one flies as it is. A
/// thousand peers that have stopped reading hold as many copies, and those that read slowly are to
/// have some bytes for what a send costs.
const SHARED_SIZE: usize = 4096;

/// Under which policy a message waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<'a> {
    /// The lane: the number of the policy.
    pub(crate) tag: u8,
    pub(crate) policy: SlowConsumer,
    /// The policy of all connections that have none of their own.
    pub(crate) connection: &'a SlowConsumer,
    /// Bytes that may wait for the connection, whatever the policies say.
    pub(crate) size_max: usize,
    /// Bytes that are filled for one flight of the connection.
    pub(crate) flight_size: usize,
    pub(crate) now: Time,
}

impl Backlog {
    pub(crate) const fn new(policy: SlowConsumer) -> Self {
        Self {
            policy,
            entries: Entries::new(),
            lanes: Vec::new(),
            untold: 0,
            told: None,
            losses: Losses { bytes: 0, conflated: 0, gaps: 0 },
        }
    }

    /// Bytes that wait.
    pub(crate) const fn size(&self) -> usize {
        self.entries.size()
    }

    /// Bytes that it has allocated, itself among them. What it shares with others counts for each.
    #[cfg(feature = "simulation")]
    pub(crate) fn allocated(&self) -> usize {
        let lanes = self.lanes.capacity() * size_of::<Lane>();
        size_of::<Self>() + lanes + self.entries.allocated()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of the messages in a lane.
    pub(crate) fn lane_size(&self, tag: u8) -> usize {
        self.lane(tag).map_or(0, Lane::size)
    }

    /// Whether the first message of a lane has waited for longer than it may.
    pub(crate) fn is_stale(&self, tag: u8, now: Time) -> bool {
        self.lane(tag).is_some_and(|lane| lane.is_stale(&self.entries, now))
    }

    /// Another policy applies to what the connection is sent by itself.
    pub(crate) fn set_policy(&mut self, policy: SlowConsumer) {
        self.policy = policy;
        if let Some(lane) = self.lanes.iter_mut().find(|lane| lane.tag == OWN) {
            lane.policy = policy;
        }
        self.seal();
    }

    /// From here on no message that waits is replaced: where the subscriptions have changed, what
    /// comes may be newer than what waits behind it in another lane.
    pub(crate) fn seal(&mut self) {
        for lane in &mut self.lanes {
            lane.seal();
        }
    }

    /// The message that one of this name replaces, and its bytes.
    pub(crate) fn find(&self, tag: u8, name: &Arc<Name>) -> Option<(u32, usize)> {
        let number = self.lane(tag)?.find(name)?;
        Some((number, self.entries.get(number)?.size_outside()))
    }

    /// Puts a message behind the others.
    pub(crate) fn push(&mut self, terms: &Terms<'_>, content: Content, name: Option<Arc<Name>>) {
        let index = self.lane_index(terms);
        if let Some(lane) = self.lanes.get_mut(index) {
            lane.push(&mut self.entries, content, name, terms.now);
        }
    }

    /// Puts a message in the place of an older one.
    pub(crate) fn replace(&mut self, terms: &Terms<'_>, number: u32, content: Content) {
        if let Some(lane) = lane(&mut self.lanes, terms.tag) {
            lane.replace(&mut self.entries, number, content, terms.now);
            self.losses.conflated += 1;
        }
    }

    /// Takes out a message that a newer one replaces elsewhere.
    pub(crate) fn withdraw(&mut self, tag: u8, number: u32) {
        if let Some(lane) = lane(&mut self.lanes, tag) {
            lane.take(&mut self.entries, number);
            self.losses.conflated += 1;
        }
    }

    /// Drops the first message of a lane. `false`: there is none.
    pub(crate) fn drop_first(&mut self, tag: u8) -> bool {
        let lane = lane(&mut self.lanes, tag);
        let Some(entry) = lane.and_then(|lane| lane.drop_first(&mut self.entries)) else {
            return false;
        };
        self.untold += 1;
        self.losses.bytes += entry.size_outside() as u64;
        true
    }

    /// Takes note that a message was not taken, for the peer to be told.
    pub(crate) fn refuse(&mut self, terms: &Terms<'_>, missing: Missing) {
        let index = self.lane_index(terms);
        if let Some(lane) = self.lanes.get_mut(index) {
            lane.refuse(&mut self.entries, missing, terms.now);
        }
    }

    /// Drops every message.
    pub(crate) fn clear(&mut self) {
        while let Some((number, tag)) = self.entries.first() {
            if let Some(Entry { thing: Thing::Message(content), .. }) = self.take(number, tag) {
                self.untold += 1;
                self.losses.bytes += content.size() as u64;
            }
        }
        self.forget();
    }

    /// Forgets every message: they are lost with their connection, and not dropped.
    pub(crate) fn forget(&mut self) {
        // What the longest queue took is given back.
        self.entries = Entries::new();
        self.lanes = Vec::new();
    }

    /// Messages that have been dropped since this was last asked in another turn.
    pub(crate) fn take_untold(&mut self, turn: u16) -> u64 {
        if self.untold == 0 || self.told == Some(turn) {
            return 0;
        }
        self.told = Some(turn);
        self.take_last_untold()
    }

    /// Messages that have been dropped since this was last asked.
    pub(crate) const fn take_last_untold(&mut self) -> u64 {
        std::mem::replace(&mut self.untold, 0)
    }

    /// What has become of messages since this was last asked.
    pub(crate) fn take_losses(&mut self) -> Losses {
        std::mem::take(&mut self.losses)
    }

    /// Moves messages to the outbox until there are enough for the next flight. Those that have
    /// become too old are dropped, where old ones are what is dropped. Says since when the oldest
    /// of those that were moved has waited.
    pub(crate) fn refill(
        &mut self,
        sender: &mut Sender,
        workspace: &mut Workspace,
        outbox: &mut Outbox,
        now: Time,
    ) -> Option<Time> {
        let mut oldest = None;
        while outbox.filled() < self.flight_size() {
            let Some((number, tag)) = self.entries.first() else {
                self.forget();
                break;
            };
            let drops_old = self.lane(tag).is_some_and(|lane| lane.policy.drops_old());
            // A gap is told once for all that is missing: it may have moved.
            if drops_old && self.is_stale(tag, now) && self.drop_first(tag) {
                continue;
            }
            let since = self.send_first(number, tag, sender, workspace, outbox);
            oldest = [oldest, since].into_iter().flatten().min();
        }
        oldest
    }

    /// Bytes that are filled for one flight, as far as what stands first may add to them.
    fn flight_size(&self) -> usize {
        let size = self.policy.flight_size();
        let first = self.entries.first().and_then(|(number, _)| self.entries.get(number));
        match first.map(|entry| &entry.thing) {
            Some(Thing::Message(Content::Frame(_))) => size.min(SHARED_SIZE),
            Some(Thing::Message(_) | Thing::Gap(_)) | None => size,
        }
    }

    /// Moves all messages to the outbox: a close frame or a fragment is to follow them. Says since
    /// when the oldest has waited.
    pub(crate) fn settle(
        &mut self,
        sender: &mut Sender,
        workspace: &mut Workspace,
        outbox: &mut Outbox,
    ) -> Option<Time> {
        let mut oldest = None;
        while let Some((number, tag)) = self.entries.first() {
            let since = self.send_first(number, tag, sender, workspace, outbox);
            oldest = [oldest, since].into_iter().flatten().min();
        }
        self.forget();
        oldest
    }

    /// Moves what stands first to the outbox. Says since when it has waited.
    fn send_first(
        &mut self,
        number: u32,
        tag: u8,
        sender: &mut Sender,
        workspace: &mut Workspace,
        outbox: &mut Outbox,
    ) -> Option<Time> {
        let notice = self.lane(tag).and_then(|lane| lane.policy.gap_notice);
        let entry = self.take(number, tag)?;
        match entry.thing {
            Thing::Message(Content::Frame(frame)) => outbox.push(frame),
            Thing::Message(content) => content.encode(sender, workspace, outbox.filling()),
            Thing::Gap(missing) => {
                if let Some(message) = notice.and_then(|notice| notice.tell(&missing.gap())) {
                    // As of any message that has been accepted, nothing can be wrong.
                    let out = outbox.filling();
                    let _encoded = sender.message_held(message.payload(), true, workspace, out);
                    self.losses.gaps += 1;
                }
            }
        }
        Some(entry.since)
    }

    /// Takes an entry out of the queue and its lane.
    fn take(&mut self, number: u32, tag: u8) -> Option<Entry> {
        let Self { entries, lanes, .. } = self;
        let lane = lane(lanes, tag)?;
        match entries.get(number)?.thing {
            Thing::Message(_) => lane.take(entries, number),
            Thing::Gap(_) => lane.take_gap(entries, number),
        }
    }

    fn lane(&self, tag: u8) -> Option<&Lane> {
        self.lanes.iter().find(|lane| lane.tag == tag)
    }

    /// Where the lane is, which is made if need be.
    fn lane_index(&mut self, terms: &Terms<'_>) -> usize {
        self.lanes.iter().position(|lane| lane.tag == terms.tag).unwrap_or_else(|| {
            self.lanes.push(Lane::new(terms.tag, terms.policy));
            self.lanes.len() - 1
        })
    }

    /// What holds between any two calls.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn invariants(&self) {
        let size = self.entries.iter().map(|(_, entry)| entry.size()).sum::<usize>();
        assert_eq!(size, self.size(), "a queue does not know its size");
        for (_, entry) in self.entries.iter() {
            assert!(self.lane(entry.tag).is_some(), "a message without a policy");
        }
        for lane in &self.lanes {
            lane.invariants(&self.entries);
        }
    }
}

fn lane(lanes: &mut [Lane], tag: u8) -> Option<&mut Lane> {
    lanes.iter_mut().find(|lane| lane.tag == tag)
}

#[cfg(test)]
mod tests;
