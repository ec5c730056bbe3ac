//! What holds between two turns of the loop, checked connection by connection in a simulation.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use crate::admission::Place;
use crate::config::Config;
use crate::conn::connections::Connections;
use crate::conn::dirty::Mark;
use crate::conn::flow::Flow;
use crate::conn::held::Pieces;
use crate::conn::outbox::SPARE_MAX;
use crate::conn::peer::{Peer, Stage};
use crate::conn::releases::Parting;
use crate::driver::{Descriptor, Driver, Key};
use crate::handler::Handler;
use ringwire_protocol::Workspace;

/// What the engine believes to be in flight on a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Belief {
    pub(crate) descriptor: Descriptor,
    pub(crate) receive: bool,
    pub(crate) send: bool,
    pub(crate) cancel: bool,
    /// Bytes that the connection has allocated, but for what is in flight.
    pub(crate) allocated: usize,
    /// Whether it is in its opening handshake.
    pub(crate) is_opening: bool,
    /// Whether it counts as a connection: it is not there to be refused.
    pub(crate) has_place: bool,
}

/// Bytes beyond all limits that one connection may have queued: the answer to its request, a close
/// frame, the header of its last message.
const OVERHEAD: usize = 1024;

impl<D: Driver, H: Handler> Connections<D, H> {
    /// Says what it believes to be in flight.
    ///
    /// # Panics
    /// When something does not hold.
    pub(crate) fn check(&mut self) -> Vec<Belief> {
        assert!(self.expired.is_empty(), "a deadline has not been acted on");
        let mut deferred: HashMap<Key, usize> = HashMap::new();
        for arrival in &self.deferred {
            *deferred.entry(arrival.key).or_default() += 1;
        }
        for key in self.held.keys() {
            assert!(self.slots.at(*key).is_some(), "something is held for {key:?}, which is free");
        }
        let parked: HashSet<Key> = self.parked.iter().copied().collect();
        let resumed: HashSet<Key> = self.shared.resumed.iter().copied().collect();
        let keys: Vec<Key> = self.keys().collect();
        assert_eq!(keys.len(), self.count(), "the table is out of step");
        self.check_places(&keys);
        let fans_out = self.shared.dirty.waits() && self.has_work();
        let (mut beliefs, mut deciding) = (Vec::with_capacity(keys.len()), 0);
        for key in keys {
            self.check_deadline(key);
            let Some(peer) = self.slots.at(key) else { continue };
            let count = deferred.get(&key).copied().unwrap_or_default();
            assert_eq!(usize::from(peer.deferred), count, "{key:?} has lost an arrival");
            let is_read = !peer.wants_receive() || parked.contains(&key);
            assert!(is_read, "nobody reads {key:?}: {:?}", peer.stage);
            let parts = peer.link.parting == Parting::Stopped;
            let resumes = peer.link.flow != Flow::Resuming || resumed.contains(&key) || parts;
            assert!(resumes || !peer.is_stopped(), "{key:?} will not resume");
            let has_turn = peer.link.dirty != Mark::Later || fans_out;
            assert!(has_turn, "{key:?} is left out of a fan-out");
            let is_told = matches!(peer.stage, Stage::Open);
            let subscriptions = self.shared.topics.subscription_count(key);
            assert!(is_told || subscriptions == 0, "{key:?} has ended and is subscribed");
            let is_asked = peer.link.parting != Parting::No;
            assert_eq!(is_asked, self.shared.releases.contains(key), "who waits for {key:?}");
            assert!(!(parts && peer.may_depart()), "{key:?} has not been released");
            check_flights(key, peer);
            if let Some(backlog) = &peer.link.backlog {
                backlog.invariants();
            }
            check_size(key, peer, self.shared.config());
            let held = self.held.get(&key).map_or(0, Pieces::allocated);
            let is_deciding = matches!(peer.stage, Stage::Deciding(_));
            let is_put_off = self.deferrals.contains_key(&key);
            assert_eq!(is_put_off, is_deciding, "{key:?} is put off: {:?}", peer.stage);
            deciding += usize::from(is_deciding);
            if is_deciding {
                check_early(key, self.held.get(&key), self.shared.config());
            }
            beliefs.push(belief(peer, held));
        }
        assert_eq!(self.deferrals.len(), deciding, "a request is put off that is none");
        self.check_memory();
        beliefs
    }

    /// Whoever has a place is counted, nobody else is, and no limit is passed.
    fn check_places(&mut self, keys: &[Key]) {
        let Self { slots, driver, openings, .. } = self;
        let mut openings_count = 0;
        let mut places = Vec::new();
        let mut addresses: HashMap<Place, IpAddr> = HashMap::new();
        let mut of_addresses: HashMap<IpAddr, Place> = HashMap::new();
        for key in keys {
            let Some(peer) = slots.at(*key) else { continue };
            let is_opening = matches!(peer.stage, Stage::Opening(_) | Stage::Deciding(_));
            openings_count += usize::from(is_opening);
            assert!(peer.place.is_some() || !is_opening, "{key:?} has no place");
            let Some(place) = peer.place else { continue };
            places.push(place);
            if place != Place::ANYWHERE
                && let Some(address) = driver.peer_address(peer.descriptor)
            {
                let address = address.ip().to_canonical();
                let known = addresses.insert(place, address);
                assert!(known.is_none_or(|known| known == address), "{known:?} is {address}");
                let known = of_addresses.insert(address, place);
                assert!(known.is_none_or(|known| known == place), "{address} has two places");
            }
        }
        let config = self.shared.config();
        assert_eq!(openings.count(), openings_count, "handshakes are counted wrong");
        assert!(openings_count <= config.handshakes_max, "{openings_count} handshakes");
        assert_eq!(self.placed, places.len(), "places are counted wrong");
        assert!(self.placed <= config.connections_max, "{} connections", self.placed);
        self.admission.check(&places);
    }

    /// What the connections share stays within what [`Config::memory_max`] counts for it.
    fn check_memory(&self) {
        let shared = &self.shared;
        let (spare, messages) = (shared.store.allocated(), shared.workspace.allocated());
        assert!(spare <= SPARE_MAX, "{spare} spare bytes for sends");
        assert!(messages <= Workspace::SPARE_MAX, "{messages} spare bytes for messages");
        let config = shared.config();
        let topics = shared.topics.allocated() as u64;
        let topics_max = config.memory_topics(config.connections_max);
        assert!(topics <= topics_max, "{topics} bytes are subscribed, at most {topics_max}");
    }

    fn check_deadline(&mut self, key: Key) {
        let Self { slots, shared, wheel, .. } = self;
        if let Some((deadline, alarm)) =
            slots.at(key).and_then(|it| it.alarm(shared.config(), shared.now))
        {
            assert!(wheel.watches(key.slot, deadline), "nobody waits for {alarm:?} of {key:?}");
        }
    }
}

/// All that could be done has been.
fn check_flights<S>(key: Key, peer: &Peer<S>) {
    assert!(peer.link.dirty != Mark::Now, "{key:?} has been left dirty");
    if peer.link.dirty == Mark::Later {
        // It has its turn with a later slice of a message for many.
        return;
    }
    assert!(!peer.wants_cancel(), "{key:?} is read, and should not be");
    if matches!(peer.stage, Stage::Terminating) {
        assert!(!peer.is_joined(), "{key:?} has not been freed");
        return;
    }
    assert!(!peer.link.terminated, "{key:?} has not been terminated");
    assert!(!peer.link.is_due(), "{key:?} has something to send");
    let drains = !peer.link.backlogged || peer.link.outbox.is_flying();
    assert!(drains, "nothing will drain {key:?}");
}

/// What waits is bounded.
fn check_size<S>(key: Key, peer: &Peer<S>, config: &Config) {
    // What has arrived before it was read no more may be answered by as many bytes.
    let arrived = usize::from(config.buffers) * config.buffer_size;
    let size_max = config.outbox_size_max.saturating_add(arrived + OVERHEAD);
    let size = peer.link.buffered();
    assert!(size <= size_max, "{size} bytes wait for {key:?}, at most {size_max}");
    if let Stage::Opening(opening) = &peer.stage {
        let size_max = config.handshake.head_size_max + config.buffer_size;
        assert!(opening.head.len() <= size_max, "{key:?} has too long a head");
    }
}

/// What has come before an answer is little, and what the kernel had filled until it was told so.
fn check_early(key: Key, pieces: Option<&Pieces>, config: &Config) {
    let filled = usize::from(config.buffers) * config.buffer_size;
    let (size, size_max) = (pieces.map_or(0, Pieces::len), config.handshake.head_size_max);
    assert!(size <= size_max + 2 * filled, "{size} bytes are held for {key:?}");
}

fn belief<S>(peer: &Peer<S>, held: usize) -> Belief {
    let (head, is_opening) = match &peer.stage {
        Stage::Opening(opening) | Stage::Deciding(opening) => (opening.head.capacity(), true),
        Stage::Open | Stage::Lingering(_) | Stage::Terminating => (0, false),
    };
    let waiting = peer.link.backlog.as_ref().map_or(0, |backlog| backlog.allocated());
    let filling = peer.link.outbox.allocated();
    Belief {
        allocated: head + held + waiting + filling + peer.receiver.allocated(),
        is_opening,
        has_place: peer.place.is_some(),
        descriptor: peer.descriptor,
        receive: peer.in_flight.receive.is_armed(),
        send: peer.link.outbox.is_flying(),
        cancel: peer.in_flight.cancel,
    }
}
