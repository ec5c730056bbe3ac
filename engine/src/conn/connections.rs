//! The connections of a worker, and everything that happens to them.
//!
//! The files beside this one add to [`Connections`] by what happens: `admit` (who gets a place),
//! `adopt` (who comes from another server), `open` (the opening handshake), `defer` (requests that
//! are decided later), `turn`, `receive`, `large`, `pause`, `send`, `end` (terminate → join → close
//! → free), `deadline`.

use std::collections::{HashMap, VecDeque};
use std::hash::RandomState;
use std::sync::Arc;

use ringwire_protocol::handshake::Response;
use ringwire_protocol::{Close, Payload, Prepared, Workspace};

use crate::admission::{Admission, Bucket};
use crate::cause::{Cause, Closer};
use crate::config::{Config, Settings};
use crate::conn::arrival::Arrival;
use crate::conn::decisions::Decisions;
use crate::conn::dirty::Dirty;
use crate::conn::follow::Follow;
use crate::conn::held::{Held, Pieces};
use crate::conn::last_values::LastValues;
use crate::conn::lifetime::Lifetimes;
use crate::conn::openings::Openings;
use crate::conn::outbox::BufferStore;
use crate::conn::outgoing::{Origin, Outgoing};
use crate::conn::peer::{Peer, Stage};
use crate::conn::policies::{OWN, Policies};
use crate::conn::promise::Awaited;
use crate::conn::releases::{RELEASE_SIZE, Releases};
use crate::conn::share::Spent;
use crate::conn::shared::Shared;
use crate::conn::slots::Slots;
use crate::conn::upgrade::Decision;
use crate::conn::view::Connection;
use crate::driver::{Driver, Key};
use crate::handle::Handle;
use crate::handler::Handler;
use crate::message::OwnedMessage;
use crate::secret::Secret;
use crate::stats::Stats;
use crate::timer::{Stamp, Time, Wheel};
use crate::topic::Topics;
use crate::trace;

/// Slots beyond those of the connections: for refusals, and for what is evicted in one turn, whose
/// slots are free in the next one. As many as the completion queue may hold of new peers.
pub(crate) const SLOTS_SPARE: usize = 8192;

/// Receive buffers that are counted on for each connection that is armed again: what has arrived
/// for it meanwhile seldom fits one.
const BUFFERS_EACH: usize = 4;

/// All connections of one worker.
pub(crate) struct Connections<D, H: Handler> {
    pub(crate) driver: D,
    pub(crate) handler: H,
    pub(super) slots: Slots<Peer<H::State>>,
    pub(super) wheel: Wheel,
    pub(super) shared: Shared,
    pub(super) admission: Arc<Admission>,
    /// Connections with a place. `placed <= slots.count()`.
    pub(super) placed: usize,
    pub(super) openings: Openings,
    /// Requests that have been put off: of each connection that is deciding.
    pub(super) deferrals: HashMap<Key, Awaited<Decision<H::State>>>,
    /// Which of them have been decided.
    pub(super) decisions: Arc<Decisions>,
    /// Where the rate of requests is limited.
    pub(super) bucket: Option<Bucket>,
    pub(super) lifetimes: Lifetimes,
    /// Connections that found no receive buffer, to be armed again once buffers have come back, the
    /// one that has waited for longest first.
    pub(super) parked: VecDeque<Key>,
    /// What has arrived and waits for a later turn: in order for each connection. At most half
    /// of the receive buffers.
    pub(super) deferred: VecDeque<Arrival>,
    /// What has arrived on connections that are paused.
    pub(super) held: Held,
    /// Whether the server stops: who comes now is refused.
    pub(super) stopping: bool,
    /// Whether all are being ended: who comes now is ended as well.
    pub(super) ending: bool,
    /// Slots whose deadline has come. Empty between turns.
    pub(super) expired: Vec<u32>,
}

impl<D: Driver, H: Handler> Connections<D, H> {
    pub(crate) fn new(
        mut driver: D,
        handler: H,
        settings: Settings,
        worker: u8,
        admission: Arc<Admission>,
        handle: Handle,
    ) -> Self {
        let topics = Topics::new(settings.config.topics);
        let last_values = LastValues::new(settings.config.retained);
        let now = driver.now();
        let config = &settings.config;
        let slots = Slots::new(config.connections_max.saturating_add(SLOTS_SPARE));
        let bucket = config.handshake_rate.map(|rate| Bucket::new(rate, config.handshake_burst));
        let workspace = Workspace::new(settings.config.limits);
        let store = BufferStore::default();
        let secret = Secret::new(driver.secret());
        let decisions = Arc::new(Decisions::new(handle.clone(), worker));
        let measuring = handle.measuring.clone();
        let follow = measuring.map(|measuring| Box::new(Follow::new(measuring, worker)));
        let (stats, dirty, resumed) = (Stats::default(), Dirty::default(), Vec::new());
        let shared = Shared {
            timeout_min: Shared::timeout_min(&settings.config),
            quick_max: Shared::quick_max(&settings.config, follow.is_some()),
            worker,
            settings,
            workspace,
            store,
            stats,
            secret,
            dirty,
            topics,
            last_values,
            policies: Policies::default(),
            hashes: RandomState::new(),
            handle,
            follow,
            gathered: None,
            releases: Releases::default(),
            resumed,
            now,
            stamp: Stamp::of(now),
            turn: 0,
            spent: Spent::default(),
        };
        let wheel = Wheel::new(now);
        // The first that find no buffer come all at once, before as many go round as are wanted.
        let parked = VecDeque::with_capacity(shared.config().buffers.into());
        let (deferred, expired) = (VecDeque::new(), Vec::new());
        Self {
            driver,
            handler,
            slots,
            wheel,
            shared,
            admission,
            placed: 0,
            openings: Openings::default(),
            deferrals: HashMap::new(),
            decisions,
            bucket,
            lifetimes: Lifetimes::default(),
            parked,
            deferred,
            held: Held::new(),
            stopping: false,
            ending: false,
            expired,
        }
    }

    /// Begins a turn: the time holds until the next one.
    pub(crate) fn begin_turn(&mut self, now: Time) {
        self.shared.begin_turn(now);
    }

    /// The time of this turn.
    pub(crate) const fn now(&self) -> Time {
        self.shared.now
    }

    /// Ends a turn: what it left to do goes to the driver.
    pub(crate) fn end_turn(&mut self) {
        self.release();
        self.flush();
        self.unpark();
    }

    /// Arms those again that have waited longest for a receive buffer, no more than will find one.
    /// All others would fail again, and whoever asks first would go on being served alone.
    fn unpark(&mut self) {
        // What has not been deferred has come back by now.
        let buffers = usize::from(self.shared.config().buffers);
        let free = buffers.saturating_sub(self.deferred.len());
        let count = (free / BUFFERS_EACH).max(1);
        for _ in 0..count {
            let Some(key) = self.parked.pop_front() else { return };
            self.arm(key);
        }
    }

    /// Whether there is more to do, without anything that completes.
    pub(crate) fn has_work(&self) -> bool {
        !self.deferred.is_empty()
            || !self.parked.is_empty()
            || self.has_resumed()
            || self.shared.dirty.waits()
    }

    /// What has been counted.
    pub(crate) const fn stats(&mut self) -> &mut Stats {
        &mut self.shared.stats
    }

    /// Counts a connection that was accepted and ended at once.
    pub(crate) fn count_unanswered(&mut self, cause: &Cause) {
        self.shared.stats.accepted += 1;
        self.shared.stats.unanswered.add(cause);
        trace::unanswered(cause);
    }

    /// Connections in their opening handshake, and open ones, counted one by one.
    #[cfg(feature = "simulation")]
    pub(crate) fn census(&mut self) -> (u64, u64) {
        let keys: Vec<Key> = self.keys().collect();
        let (mut opening, mut open) = (0, 0);
        for key in keys {
            match self.slots.at(key).map(|peer| &peer.stage) {
                Some(Stage::Opening(_) | Stage::Deciding(_)) => opening += 1,
                Some(Stage::Open) => open += 1,
                Some(Stage::Lingering(_) | Stage::Terminating) | None => {}
            }
        }
        (opening, open)
    }

    /// Connections whose request was put off and has not been decided.
    #[cfg(feature = "simulation")]
    pub(crate) fn deciding(&self) -> usize {
        self.deferrals.len()
    }

    /// Different patterns that have been subscribed.
    #[cfg(feature = "simulation")]
    pub(crate) const fn patterns(&self) -> usize {
        self.shared.topics.pattern_count()
    }

    /// Adds what was counted below and beside to what has been counted here.
    pub(crate) fn collect(&mut self) -> &Stats {
        self.shared.stats.set_traffic(self.shared.workspace.traffic());
        self.shared.stats.enters = self.driver.enters();
        &self.shared.stats
    }

    /// What is done now was called for by another thread at that time, or no longer is.
    pub(crate) fn set_called(&mut self, called: Option<Time>) {
        if let Some(follow) = &mut self.shared.follow {
            follow.set_called(called);
        }
    }

    /// Makes known how long messages have taken, where that is measured.
    pub(crate) fn publish_latencies(&mut self) {
        if let Some(follow) = &mut self.shared.follow {
            follow.publish();
        }
    }

    /// The worker's number.
    pub(crate) const fn worker(&self) -> u8 {
        self.shared.worker
    }

    /// Connections that have not been freed.
    pub(crate) const fn count(&self) -> usize {
        self.slots.count()
    }

    /// Sends a message of another thread's. `false`: the connection is not open.
    pub(crate) fn send(&mut self, key: Key, message: Payload<'_>) -> bool {
        let Self { slots, shared, .. } = self;
        match slots.at(key) {
            Some(Peer { stage: Stage::Open, link, state, .. }) => {
                let mut connection = Connection { key, state, link, shared };
                let sent = connection.send(message);
                connection.count_interrupting(sent);
                true
            }
            Some(_) | None => false,
        }
    }

    /// Sends a message on those of `keys` that are open, encoded once for all of them.
    pub(crate) fn send_many(&mut self, keys: &[Key], message: &Arc<OwnedMessage>) {
        let Self { slots, shared, .. } = self;
        let mut prepared = Prepared::new(message.payload());
        shared.begin_fan();
        for &key in keys {
            if let Some(Peer { stage: Stage::Open, link, state, .. }) = slots.at(key) {
                let outgoing = Outgoing::Prepared(&mut prepared);
                let mut connection = Connection { key, state, link, shared };
                let sent = connection.queue(outgoing, OWN, &mut Origin::Shared(message));
                connection.count_interrupting(sent);
            }
        }
        shared.end_fan();
    }

    /// Begins the closing handshake, unless it has begun: for another thread, for the end of the
    /// server, for a deadline.
    pub(crate) fn close(&mut self, key: Key, close: Close<'_>, closer: Closer) {
        let Self { slots, shared, .. } = self;
        let Some(Peer { stage: Stage::Open, link, .. }) = slots.at(key) else { return };
        link.settle(&mut shared.workspace);
        let out = link.outbox.filling();
        if link.sender.close(close, &mut shared.workspace, out).is_ok() {
            link.closer = closer;
            shared.mark(key, link);
        }
    }

    /// From now on nobody is let in: requests are refused.
    pub(crate) fn stop(&mut self) {
        self.stopping = true;
        self.let_go_all();
    }

    /// From now on whoever is handed over is ended.
    pub(crate) const fn end_all(&mut self) {
        self.ending = true;
    }

    /// Ends a connection because the server ends: an open one by the closing handshake. `false`: it
    /// ends already.
    pub(crate) fn stop_one(&mut self, key: Key, close: Close<'_>) -> bool {
        let Some(peer) = self.slots.at(key) else { return false };
        match peer.stage {
            Stage::Opening(_) | Stage::Deciding(_) => self.refuse(key, &stopping()),
            Stage::Open if peer.link.sender.closing().is_open() => {
                self.close(key, close, Closer::Stop);
            }
            Stage::Open | Stage::Lingering(_) | Stage::Terminating => return false,
        }
        true
    }

    /// Ends every connection without a word or a wait: the worker ends before them.
    pub(crate) fn abandon(&mut self) {
        self.let_go_all();
        let keys: Vec<Key> = self.keys().collect();
        for key in keys {
            if let Some(peer) = self.slots.remove(key) {
                match peer.stage {
                    Stage::Opening(_) | Stage::Deciding(_) => {
                        self.shared.stats.unanswered.add(&Cause::Stopped);
                        trace::unanswered(&Cause::Stopped);
                    }
                    Stage::Open => {
                        self.shared.stats.ended.add(&Cause::Stopped);
                        trace::ended(self.shared.id(key).as_u64(), &Cause::Stopped);
                    }
                    Stage::Lingering(_) | Stage::Terminating => {}
                }
                self.driver.abandon(peer.descriptor);
                if let Some(place) = peer.place {
                    self.leave(place);
                }
            }
        }
    }

    /// The configuration.
    pub(crate) const fn config(&self) -> &Config {
        self.shared.config()
    }

    /// What no peer can guess.
    pub(crate) const fn secret(&self) -> Secret {
        self.shared.secret
    }

    /// The connection in the slot of this number, if there is one.
    pub(crate) fn key(&self, number: u32) -> Option<Key> {
        self.slots.key(number)
    }

    /// Numbers from 0 up to this one are slots.
    pub(crate) fn end(&self) -> u32 {
        self.slots.end()
    }

    /// The keys of all connections.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key> + use<'_, D, H> {
        (0..self.end()).filter_map(|number| self.key(number))
    }
}

/// Bytes of a connection that is idle: its slot, and its deadline in a table that may have twice
/// the capacity that is used.
pub(crate) const fn slot_size<S>() -> usize {
    Slots::<Peer<S>>::SLOT_SIZE + 2 * Wheel::SLOT_SIZE
}

/// Bytes of a request that is put off, without its head and what is decided, in a table that may
/// have three times the capacity that is used.
pub(crate) const DEFERRAL_SIZE: usize = 3 * (size_of::<(Key, Awaited<()>)>() + 1);

/// Bytes of the lists that a busy connection is in, with twice the capacity that is used: a key in
/// `dirty`, `parked` and `resumed`, a number in `expired`, the driver's note of a send; and with
/// three times the capacity, as a table may have it, its entry in `held`; and what it has in
/// `releases`.
pub(crate) const LISTS_SIZE: usize = 2
    * (3 * size_of::<Key>() + size_of::<u32>() + size_of::<(Key, Vec<u8>)>())
    + 3 * (size_of::<(Key, Pieces)>() + 1)
    + RELEASE_SIZE;

/// The answer to a request that has not been decided when the server stops. Another server may be
/// there already.
pub(super) fn stopping() -> Response {
    Response::text(503, "The server is stopping.\n").header("Retry-After", "1")
}
