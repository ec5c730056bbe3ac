//! Who gets a place: a new connection, or an older one that has not done its handshake.
//!
//! Peers that connect and say nothing, or dribble, cost an attacker next to nothing, so whoever
//! refuses the newest when there are too many of them refuses everybody. Here the oldest handshake
//! gives up its place instead. A good client sends its request with the first round trip and is
//! through before its turn comes; the others only drive each other out.

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
const REFUSALS_MAX: usize = 64;

/// Handshakes of which one ends at once where descriptors have run out, so that accepting can go on
/// for a while and most of the others still have their time.
const EVICTED_PART: usize = 8;

/// At most as many at once, since each is a system call.
const EVICTIONS_MAX: usize = 64;

impl<D: Driver, H: Handler> Connections<D, H> {
    /// Takes a new connection in. Where there is no place for it, it is refused with 503 before
    /// anything is read; where even that is being said to many, it is ended at once.
    pub(crate) fn accept(&mut self, descriptor: Descriptor) {
        if self.stopping {
            self.turn_back(descriptor);
            return;
        }
        let admitted = self.admit(descriptor);
        if let Err(limit) = admitted
            && self.count_without_place() >= REFUSALS_MAX
        {
            self.end_unanswered(descriptor, &Cause::Limit(limit));
            return;
        }
        let peer = self.newcomer(descriptor, admitted.ok());
        let Some(key) = self.slots.insert(|_| peer) else {
            if let Ok(place) = admitted {
                self.leave(place);
            }
            let limit = admitted.err().unwrap_or(Limit::Connections);
            self.end_unanswered(descriptor, &Cause::Limit(limit));
            return;
        };
        self.shared.stats.accepted += 1;
        match admitted {
            Ok(_) => self.openings.begin(key, |key| is_opening(&mut self.slots, key)),
            Err(limit) => self.turn_away(key, limit),
        }
        self.arm(key);
        self.watch(key);
    }

    /// Tells a new connection that the server stops. It needs no place for that.
    fn turn_back(&mut self, descriptor: Descriptor) {
        let peer = self.newcomer(descriptor, None);
        let Some(key) = self.slots.insert(|_| peer) else {
            self.end_unanswered(descriptor, &Cause::Stopped);
            return;
        };
        self.shared.stats.accepted += 1;
        self.refuse(key, &stopping());
        self.arm(key);
        self.watch(key);
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
        self.placed -= 1;
        self.admission.leave(place);
    }

    /// Finds a place for a new connection, that of the oldest handshake where there is no other.
    fn admit(&mut self, descriptor: Descriptor) -> Result<Place, Limit> {
        let place = match self.enter(descriptor) {
            Err(Limit::ConnectionsServer) if self.evict(Answer::IfBegun) => self.enter(descriptor),
            entered => entered,
        }?;
        let config = self.shared.config();
        let is_full = self.placed >= config.connections_max;
        let is_busy = self.openings.count() >= config.handshakes_max;
        if (is_full || is_busy) && !self.evict(Answer::IfBegun) {
            self.admission.leave(place);
            return Err(Limit::Connections);
        }
        self.placed += 1;
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
    fn end_unanswered(&mut self, descriptor: Descriptor, cause: &Cause) {
        self.count_unanswered(cause);
        self.driver.close(descriptor);
    }

    /// Connections that were refused or evicted, and have not been freed.
    const fn count_without_place(&self) -> usize {
        self.slots.count().saturating_sub(self.placed)
    }

    /// A connection that has been accepted. Without a place it is there to be told so.
    fn newcomer(&self, descriptor: Descriptor, place: Option<Place>) -> Peer<H::State> {
        let now = self.shared.stamp();
        let stage = match place {
            Some(_) => Stage::Opening(Box::new(Opening::new())),
            None => Stage::Lingering(Lingering::default()),
        };
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
