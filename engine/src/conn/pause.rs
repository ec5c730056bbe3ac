//! A handler that falls behind, and the peer that waits for it.
//!
//! ```text
//!   handle ──paused──▶ hold ──▶ held ──resumed──▶ release ──▶ read, as if it came now
//! ```

use crate::conn::arrival::Arrival;
use crate::conn::connections::Connections;
use crate::conn::flow::Step;
use crate::conn::peer::{Peer, Stage, Waiting};
use crate::conn::releases::Parting;
use crate::conn::share::Spent;
use crate::driver::{Driver, Key};
use crate::handler::Handler;

impl<D: Driver, H: Handler> Connections<D, H> {
    /// Whether a connection goes on in the next turn.
    pub(super) const fn has_resumed(&self) -> bool {
        !self.shared.resumed.is_empty()
    }

    /// Pauses a connection for another thread.
    pub(crate) fn pause(&mut self, key: Key) {
        let Self { slots, shared, .. } = self;
        if let Some(Peer { stage: Stage::Open, link, .. }) = slots.at(key) {
            shared.pause(key, link);
        }
    }

    /// Resumes a connection for another thread.
    pub(crate) fn resume(&mut self, key: Key) {
        let Self { slots, shared, .. } = self;
        if let Some(Peer { stage: Stage::Open, link, .. }) = slots.at(key) {
            shared.resume(key, link);
        }
    }

    /// Whether what arrives on a connection is to be held: bytes, or what ends them.
    pub(super) fn holds(&mut self, key: Key, is_end: bool) -> bool {
        self.slots.at(key).is_some_and(|peer| peer.holds(is_end))
    }

    /// Keeps what has arrived behind what is kept already.
    pub(super) fn hold(&mut self, arrival: Arrival) {
        let key = arrival.key;
        let pieces = self.held.entry(key).or_default();
        match arrival.result {
            Ok(Some(lease)) => {
                pieces.push(lease.get(arrival.from..).unwrap_or_default());
                self.driver.recycle(lease);
            }
            Ok(None) | Err(_) => pieces.end = Some(arrival),
        }
        self.hold_early(key);
    }

    /// Hands over what is held of the connections that have been resumed, of each as much as its
    /// share of the turn.
    pub(super) fn release(&mut self) {
        if !self.has_resumed() {
            return;
        }
        self.shared.spent = Spent::default();
        let mut keys = std::mem::take(&mut self.shared.resumed).into_iter();
        while !self.shared.is_spent()
            && let Some(key) = keys.next()
        {
            if self.slots.at(key).is_some_and(|peer| peer.resumes()) {
                self.release_one(key);
            }
        }
        // Who is not reached is the first of the next turn, before who is resumed meanwhile or has
        // had its share.
        if !keys.as_slice().is_empty() {
            let later = std::mem::take(&mut self.shared.resumed);
            self.shared.resumed.extend(keys.chain(later));
        }
        if self.held.is_empty() {
            // What many of them took at once is given back.
            self.held.shrink_to_fit();
        }
    }

    fn release_one(&mut self, key: Key) {
        let mut pieces = self.held.remove(&key).unwrap_or_default();
        if !self.holds(key, true) {
            // It has ended.
            return;
        }
        let bytes = pieces.rest();
        let holds_more = self.slots.at(key).is_some_and(|peer| peer.receiver.holds_more());
        let left = if bytes.is_empty() && !holds_more { 0 } else { self.read(key, bytes) };
        pieces.keep(left);
        let Some(peer) = self.slots.at(key) else { return };
        if left == 0 && !peer.receiver.holds_more() {
            peer.link.flow = peer.link.flow.on(Step::Released);
        }
        if peer.link.parting != Parting::No {
            self.shared.mark(key, &mut peer.link);
        }
        if peer.is_stopped() {
            if peer.resumes() {
                self.shared.resumed.push(key);
            }
            if !pieces.is_empty() {
                self.held.insert(key, pieces);
            }
            return;
        }
        match pieces.end {
            Some(end) => {
                let left = self.handle(end);
                debug_assert!(left.is_none(), "an end is handled whole");
            }
            None => self.restart(key),
        }
    }

    /// Receives again. While nothing was read, no sign of life could be seen, nor could a message
    /// be gone on with: the time for it begins anew.
    fn restart(&mut self, key: Key) {
        let now = self.shared.stamp();
        let Some(peer) = self.slots.at(key) else { return };
        (peer.last_received, peer.link.last_message) = (now, now);
        peer.message_since = peer.message_since.map(|_| now);
        if peer.waiting == Waiting::Pong {
            peer.waiting = Waiting::Nothing;
        }
        self.arm(key);
        self.watch(key);
    }
}
