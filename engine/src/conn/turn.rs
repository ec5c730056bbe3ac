//! What arrives, in order, and no more of it than the connection's share of a turn.
//!
//! ```text
//!   completion ──▶ arrive ──▶ handle ──▶ the handler
//!                    │          │ ▲
//!    more waits of   │          │ │ in the next turn, after what arrives then
//!    this connection ▼          ▼ │
//!                  deferred ──────┘  at most half of the receive buffers
//! ```
//!
//! So a peer that floods delays the others by its share, however much of it has arrived: the kernel
//! fills up to 32 buffers from one socket before it looks at another.

use std::collections::VecDeque;

use crate::cause::Cause;
use crate::conn::arrival::{Arrival, DEFERRED_MAX};
use crate::conn::connections::Connections;
use crate::conn::share::Spent;
use crate::driver::{Driver, Key};
use crate::handler::Handler;

impl<D: Driver, H: Handler> Connections<D, H> {
    /// The receive buffers that wait.
    #[cfg(feature = "simulation")]
    pub(crate) fn deferred_leases(&self) -> usize {
        self.deferred.iter().filter(|arrival| matches!(arrival.result, Ok(Some(_)))).count()
    }

    /// Handles what has arrived, as far as it may be now.
    pub(super) fn arrive(&mut self, arrival: Arrival) {
        let is_end = !matches!(arrival.result, Ok(Some(_)));
        let peer = self.slots.at(arrival.key);
        let (waits, holds) =
            peer.map_or((false, false), |peer| (peer.deferred > 0, peer.holds(is_end)));
        let left = match (waits, holds) {
            (true, _) => Some(arrival),
            (false, true) => return self.hold(arrival),
            (false, false) => self.handle_now(arrival),
        };
        if let Some(arrival) = left {
            self.defer(arrival);
        }
    }

    /// Gives those that have something deferred their shares of this turn, until it is spent.
    pub(crate) fn handle_deferred(&mut self) {
        self.shared.spent = Spent::default();
        // Who is not reached is the first of the next turn.
        let mut first = VecDeque::new();
        // Each arrival goes round once, so those of one connection stay in order.
        for _ in 0..self.deferred.len() {
            let Some(arrival) = self.deferred.pop_front() else { break };
            let key = arrival.key;
            let (turn, share_max) = (self.shared.turn, self.shared.share_max());
            let share = self.slots.at(key).map(|peer| &mut peer.link.share);
            let (waits, had) = share.map_or((false, false), |share| {
                (share.is_spent(turn, share_max), share.has_had(turn))
            });
            if !had && self.shared.is_spent() {
                first.push_back(arrival);
                continue;
            }
            match if waits { Some(arrival) } else { self.handle(arrival) } {
                Some(arrival) => self.deferred.push_back(arrival),
                None => self.undefer(key),
            }
        }
        if !first.is_empty() {
            first.append(&mut self.deferred);
            self.deferred = first;
        }
    }

    /// Puts an arrival behind what waits already.
    fn defer(&mut self, arrival: Arrival) {
        let half = usize::from(self.shared.config().buffers / 2);
        if self.deferred.len() >= half.clamp(1, DEFERRED_MAX.into()) {
            self.handle_oldest();
        }
        let key = arrival.key;
        let Self { slots, shared, deferred, .. } = self;
        if let Some(peer) = slots.at(key) {
            peer.deferred += 1;
            if peer.wants_cancel() {
                shared.mark(key, &mut peer.link);
            }
        }
        deferred.push_back(arrival);
    }

    /// Handles the oldest arrival whole: the others need the buffer more than they need the time.
    fn handle_oldest(&mut self) {
        let mut left = self.deferred.pop_front();
        while let Some(arrival) = left {
            let key = arrival.key;
            if let Some(peer) = self.slots.at(key) {
                peer.link.share.renew();
            }
            left = self.handle(arrival);
            if left.is_none() {
                self.undefer(key);
            }
        }
    }

    /// A deferred arrival has been handled. After the last one receiving goes on.
    fn undefer(&mut self, key: Key) {
        let Some(peer) = self.slots.at(key) else { return };
        peer.deferred = peer.deferred.saturating_sub(1);
        self.look_again(key);
        self.arm(key);
    }

    /// Acts on an arrival, or holds it while the connection is paused or decided about. Gives back
    /// what is left of it, when the connection's share is spent.
    pub(super) fn handle(&mut self, arrival: Arrival) -> Option<Arrival> {
        let is_end = !matches!(arrival.result, Ok(Some(_)));
        if self.holds(arrival.key, is_end) {
            self.hold(arrival);
            return None;
        }
        self.handle_now(arrival)
    }

    /// Acts on an arrival that is not to be held.
    fn handle_now(&mut self, mut arrival: Arrival) -> Option<Arrival> {
        let key = arrival.key;
        match arrival.result {
            Ok(Some(mut lease)) => {
                let bytes = lease.get_mut(arrival.from..).unwrap_or_default();
                let left = self.read(key, bytes);
                if left > 0 {
                    arrival.from = lease.len() - left;
                    arrival.result = Ok(Some(lease));
                    if self.holds(key, false) {
                        self.hold(arrival);
                        return None;
                    }
                    return Some(arrival);
                }
                self.driver.recycle(lease);
            }
            Ok(None) => self.read_end(key),
            Err(fault) => self.lost(key, Cause::Io(fault.into())),
        }
        None
    }
}
