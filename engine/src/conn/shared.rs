//! What all connections of a worker share.

use std::hash::RandomState;
use std::time::Duration;

use ringwire_protocol::frame::header;
use ringwire_protocol::{Message, Workspace};

use crate::config::{Config, Settings};
use crate::conn::dirty::Dirty;
use crate::conn::flow::{Flow, Step};
use crate::conn::follow::Follow;
use crate::conn::id::ConnectionId;
use crate::conn::last_values::LastValues;
use crate::conn::link::Link;
use crate::conn::outbox::BufferStore;
use crate::conn::policies::Policies;
use crate::conn::releases::Releases;
use crate::conn::share::Spent;
use crate::driver::Key;
use crate::handle::Handle;
use crate::secret::Secret;
use crate::stats::Stats;
use crate::timer::{Stamp, Time};
use crate::topic::Topics;

/// Bytes from which on a message is sent back in its own buffer. Smaller ones share a flight with
/// others.
pub(crate) const GIVEN_SIZE_MIN: usize = 64 << 10;

/// Bytes of the header of such a message: two, and eight for its length.
pub(crate) const GIVEN_HEADER_SIZE: usize = 10;

const _: () = assert!(GIVEN_SIZE_MIN > u16::MAX as usize);

/// A message in a buffer of its own: where it begins, how long it is, and what has become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gathered {
    pub(crate) address: usize,
    pub(crate) size: usize,
    /// As what it is to be sent back, if it is: text or not.
    pub(crate) promised: Option<bool>,
}

impl Gathered {
    pub(crate) fn new(message: &Message<'_>) -> Self {
        let bytes = message.as_bytes();
        Self { address: bytes.as_ptr().addr(), size: bytes.len(), promised: None }
    }
}

/// What all connections of a worker share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) worker: u8,
    pub(crate) settings: Settings,
    pub(crate) workspace: Workspace,
    pub(crate) store: BufferStore,
    pub(crate) stats: Stats,
    /// What is made of it no peer can foresee.
    pub(crate) secret: Secret,
    /// Connections with something for the driver, each once.
    pub(crate) dirty: Dirty,
    /// Who has subscribed what.
    pub(crate) topics: Topics<Key>,
    /// What has been published last.
    pub(crate) last_values: LastValues,
    /// What their subscriptions say of slow consumers.
    pub(crate) policies: Policies,
    /// Makes hashes of what is published that no publisher can foresee.
    pub(crate) hashes: RandomState,
    /// Reaches the other workers, and this one's mailbox.
    pub(crate) handle: Handle,
    /// Where latencies are measured.
    pub(crate) follow: Option<Box<Follow>>,
    /// The large message that is being handed over, where it can be sent back in its own buffer.
    pub(crate) gathered: Option<Gathered>,
    /// Connections that are to be released.
    pub(crate) releases: Releases,
    /// Connections that have been resumed and not yet looked at.
    pub(crate) resumed: Vec<Key>,
    /// The time of this turn.
    pub(crate) now: Time,
    /// The same, as connections keep it.
    pub(crate) stamp: Stamp,
    /// The number of this turn. It wraps.
    pub(crate) turn: u16,
    /// What all connections have had of it.
    pub(crate) spent: Spent,
    /// The shortest of the times that begin with what is sent, received or handed over, and may run
    /// while nothing is the matter with a connection: see `watch_sent`.
    pub(crate) timeout_min: Duration,
    /// Bytes that a connection may have to send without anybody having to look further: below its
    /// high mark, and what its policy grants. Zero where each message is looked at in any case.
    pub(crate) quick_max: usize,
}

impl Shared {
    /// What [`Shared::timeout_min`] is.
    pub(crate) fn timeout_min(config: &Config) -> Duration {
        let others = [
            config.outbox_age_max,
            config.message_timeout,
            config.idle_timeout,
            config.ping_interval,
        ];
        others.into_iter().flatten().fold(config.send_timeout, Duration::min)
    }

    /// What [`Shared::quick_max`] is, where latencies are measured or not.
    pub(crate) fn quick_max(config: &Config, measures: bool) -> usize {
        if measures || !config.slow_consumer.is_plain() {
            return 0;
        }
        let granted = config.slow_consumer.size_max.min(config.outbox_size_max);
        granted.min(config.outbox_high).saturating_sub(header::SIZE_MAX)
    }

    pub(crate) const fn config(&self) -> &Config {
        &self.settings.config
    }

    /// Bytes that one connection may have handled now.
    #[inline]
    pub(crate) fn share_max(&self) -> usize {
        self.spent.share_max(self.settings.config.turn_size_max)
    }

    /// Whether those who wait are to wait for the next turn.
    pub(crate) const fn is_spent(&self) -> bool {
        self.spent.is_all(self.settings.config.turn_size_max)
    }

    /// What names a connection of this worker to others.
    pub(crate) const fn id(&self, key: Key) -> ConnectionId {
        ConnectionId { worker: self.worker, key }
    }

    /// The time of this turn, as connections keep it.
    pub(crate) const fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Begins a turn: the time holds until the next one.
    pub(crate) fn begin_turn(&mut self, now: Time) {
        self.now = now;
        self.stamp = Stamp::of(now);
        self.turn = self.turn.wrapping_add(1);
        self.spent = Spent::default();
    }

    /// Wants nothing more from a connection. Once it closes, the peer's answer must be read.
    pub(crate) fn pause(&mut self, key: Key, link: &mut Link) {
        if link.sender.closing().is_open() {
            link.flow = link.flow.on(Step::Pause);
            // Its receive is cancelled when it is flushed.
            self.mark(key, link);
        }
    }

    /// Wants more from a connection that may be paused.
    pub(crate) fn resume(&mut self, key: Key, link: &mut Link) {
        if link.flow == Flow::Paused {
            link.flow = link.flow.on(Step::Resume);
            self.resumed.push(key);
        }
    }

    /// There is room again for what a handler answers to chunks, unless it has been filled already.
    pub(crate) fn drained(&mut self, key: Key, link: &mut Link) {
        if link.flow == Flow::Full && !link.backlogged {
            link.flow = link.flow.on(Step::Drain);
            self.resumed.push(key);
        }
    }

    /// Goes on in the next turn with what the decompressor has, before anything is received.
    pub(crate) fn wait(&mut self, key: Key, link: &mut Link) {
        if link.flow == Flow::Running {
            link.flow = link.flow.on(Step::Wait);
            self.resumed.push(key);
            self.mark(key, link);
        }
    }

    /// What is marked from here on is one message for many.
    pub(crate) fn begin_fan(&mut self) {
        self.dirty.set_fans_out(true);
        if let Some(follow) = &mut self.follow {
            follow.begin_fan();
        }
    }

    /// It has been encoded for all of them.
    pub(crate) fn end_fan(&mut self) {
        self.dirty.set_fans_out(false);
        if let Some(follow) = &mut self.follow {
            follow.end_fan();
        }
    }

    /// Takes note that a connection has something for the driver.
    #[inline]
    pub(crate) fn mark(&mut self, key: Key, link: &mut Link) {
        self.dirty.mark(key, &mut link.dirty);
    }

    /// Counts what has become of messages that waited.
    pub(crate) fn count_losses(&mut self, link: &mut Link) {
        if let Some(backlog) = &mut link.backlog {
            let losses = backlog.take_losses();
            self.stats.bytes_dropped += losses.bytes;
            self.stats.messages_conflated += losses.conflated;
            self.stats.gaps_told += losses.gaps;
        }
    }

    /// Takes note that a peer has fallen behind: it is not read until it has caught up.
    pub(crate) const fn fall_behind(&mut self, link: &mut Link) {
        if !link.backlogged {
            link.backlogged = true;
            self.stats.backlogs += 1;
        }
    }
}
