//! Who gets a place: a new connection, or an older one that has not done its handshake.
//!
//! Peers that connect and say nothing, or dribble, cost an attacker next to nothing, so whoever
//! refuses the newest when there are too many of them refuses everybody. Here the oldest handshake
//! gives up its place instead. A good client sends its request with the first round trip and is
//! through before its turn comes; the others only drive each other out.
//!
//! A request that has arrived and waits for a decision does not give way. It is this side that
//! takes its time over it, so newcomers who say nothing could drive out everybody; and where it is
//! slow because it is asked too much, what it has done for the oldest would be in vain each time.

use ringwire_protocol::{Receiver, Role, Sender};

use crate::admission::Place;
use crate::cause::{Cause, Limit};
use crate::conn::connections::{Connections, stopping};
use crate::conn::link::Link;
use crate::conn::outbox::Outbox;
use crate::conn::peer::{InFlight, Lingering, Opening, Peer, Stage, Waiting};
use crate::conn::slots::Slots;
use crate::driver::{Descriptor, Driver, Key};
use crate::handler::Handler;

/// Peers without a place that are being told so at the same time. Others are ended without a word.
pub(super) const REFUSALS_MAX: usize = 64;

/// Handshakes of which one ends at once where descriptors have run out, so that accepting can go on
/// for a while and most of the others still have their time.
const EVICTED_PART: usize = 8;

/// At most as many at once, since each is a system call.
const EVICTIONS_MAX: usize = 64;

impl<D: Driver, H: Handler> Connections<D, H> {
    /// Takes a new connection in. Where there is no place for it, it is refused with 503 before
    /// anything is read; where even that is being said to many, it is ended at once.
    pub(crate) fn accept(&mut self, descriptor: Descriptor) {
        if let Some(key) = self.seat(descriptor) {
            self.arm(key);
            self.watch(key);
        }
    }

    /// Gives a new connection a slot: for its opening handshake, or for being told that there is
    /// none. What it sends is to be received. `None`: it has been ended.
    pub(super) fn seat(&mut self, descriptor: Descriptor) -> Option<Key> {
        if self.stopping {
            return self.turn_back(descriptor);
        }
        let admitted = self.admit(descriptor, true);
        if let Err(limit) = admitted
            && self.count_without_place() >= REFUSALS_MAX
        {
            self.end_unanswered(descriptor, &Cause::Limit(limit));
            return None;
        }
        let stage = match admitted {
            Ok(_) => Stage::Opening(Box::new(Opening::new())),
            Err(_) => Stage::Lingering(Lingering::default()),
        };
        let peer = self.newcomer(descriptor, admitted.ok(), stage);
        let Some(key) = self.slots.insert(|_| peer) else {
            if let Ok(place) = admitted {
                self.leave(place);
            }
            let limit = admitted.err().unwrap_or(Limit::Connections);
            self.end_unanswered(descriptor, &Cause::Limit(limit));
            return None;
        };
        self.shared.stats.accepted += 1;
        match admitted {
            Ok(_) => self.openings.begin(key, |key| is_opening(&mut self.slots, key)),
            Err(limit) => self.turn_away(key, limit),
        }
        Some(key)
    }

    /// Tells a new connection that the server stops. It needs no place for that.
    fn turn_back(&mut self, descriptor: Descriptor) -> Option<Key> {
        let peer = self.newcomer(descriptor, None, Stage::Lingering(Lingering::default()));
        let Some(key) = self.slots.insert(|_| peer) else {
            self.end_unanswered(descriptor, &Cause::Stopped);
            return None;
        };
        self.shared.stats.accepted += 1;
        self.refuse(key, &stopping());
        Some(key)
    }

    /// Makes room where descriptors have run out, by ending the oldest handshakes. `false`: there
    /// are none.
    pub(crate) fn evict_for_descriptors(&mut self) -> bool {
        let evictions = (self.openings.count() / EVICTED_PART + 1).min(EVICTIONS_MAX);
        (0..evictions).take_while(|_| self.evict(Answer::Nothing)).count() > 0
    }

    /// Takes a token for a request that has arrived whole. `false`: it is refused.
    pub(super) fn may_answer(&mut self) -> bool {
        let now = self.shared.now;
        self.bucket.as_mut().is_none_or(|bucket| bucket.take(now))
    }

    /// Gives a place back.
    pub(super) fn leave(&mut self, place: Place) {
        self.set_placed(self.placed - 1);
        self.admission.leave(place);
    }

    /// Takes note of how many connections have a place, and makes it known.
    fn set_placed(&mut self, placed: usize) {
        self.placed = placed;
        self.shared.handle.loads.set(self.shared.worker.into(), placed);
    }

    /// Finds a place for a new connection, which begins a handshake or has done it, that of the
    /// oldest handshake where there is no other.
    pub(super) fn admit(
        &mut self,
        descriptor: Descriptor,
        is_opening: bool,
    ) -> Result<Place, Limit> {
        let place = match self.enter(descriptor) {
            Err(Limit::ConnectionsServer) if self.evict(Answer::IfBegun) => self.enter(descriptor),
            entered => entered,
        }?;
        let config = self.shared.config();
        let is_full = self.placed >= config.connections_max;
        let is_busy = is_opening && self.openings.count() >= config.handshakes_max;
        if (is_full || is_busy) && !self.evict(Answer::IfBegun) {
            self.admission.leave(place);
            return Err(if is_full { Limit::Connections } else { Limit::Handshakes });
        }
        self.set_placed(self.placed + 1);
        Ok(place)
    }

    fn enter(&self, descriptor: Descriptor) -> Result<Place, Limit> {
        self.admission.enter(|| self.driver.peer_address(descriptor))
    }

    /// Takes the oldest handshake's place away and ends it. `false`: there is none.
    fn evict(&mut self, answer: Answer) -> bool {
        let slots = &mut self.slots;
        let Some(key) = self.openings.oldest(|key| is_opening(slots, key)) else { return false };
        let Some(peer) = slots.at(key) else { return false };
        let has_begun = matches!(&peer.stage, Stage::Opening(opening) if !opening.head.is_empty());
        if let Some(place) = peer.place.take() {
            self.leave(place);
        }
        let may_tell = self.count_without_place() <= REFUSALS_MAX;
        if has_begun && may_tell && answer == Answer::IfBegun {
            self.turn_away(key, Limit::Handshakes);
        } else {
            self.lost(key, Cause::Limit(Limit::Handshakes));
        }
        true
    }

    /// Ends a connection for which there is not even a slot, or a refusal.
    pub(super) fn end_unanswered(&mut self, descriptor: Descriptor, cause: &Cause) {
        self.count_unanswered(cause);
        self.driver.close(descriptor);
    }

    /// Connections that were refused or evicted, and have not been freed.
    pub(super) const fn count_without_place(&self) -> usize {
        self.slots.count().saturating_sub(self.placed)
    }

    /// A connection that begins. Without a place it is there to be told so.
    pub(super) fn newcomer(
        &self,
        descriptor: Descriptor,
        place: Option<Place>,
        stage: Stage,
    ) -> Peer<H::State> {
        let now = self.shared.stamp();
        Peer {
            descriptor,
            stage,
            in_flight: InFlight::default(),
            receiver: Receiver::new(Role::Server),
            link: Link::new(Sender::new(Role::Server), Outbox::default(), now),
            state: H::State::default(),
            place,
            last_received: now,
            last_progress: now,
            since: now,
            message_since: None,
            expires: None,
            waiting: Waiting::Nothing,
            deferred: 0,
        }
    }
}

/// What an evicted peer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// That the server is full, if it has begun its request.
    IfBegun,
    /// Its descriptor is needed now.
    Nothing,
}

fn is_opening<S>(slots: &mut Slots<Peer<S>>, key: Key) -> bool {
    slots.at(key).is_some_and(|peer| matches!(peer.stage, Stage::Opening(_)))
}
