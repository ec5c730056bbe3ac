//! Deadlines: one per connection in the wheel, the nearest of all that concern it.

use std::mem;

use ringwire_protocol::handshake::Refusal;
use ringwire_protocol::{Close, Receiver, Role};

use crate::cause::{Cause, Closer, TimeOut};
use crate::conn::connections::Connections;
use crate::conn::peer::{Alarm, Lingering, Peer, Stage, Waiting};
use crate::driver::{Driver, Key};
use crate::handler::Handler;
use crate::timer::Time;

impl<D: Driver, H: Handler> Connections<D, H> {
    /// Sees to it that the wheel looks at this connection no later than its next deadline.
    ///
    /// A deadline that has moved away is left where it was: it is looked at then and put where it
    /// belongs, so that a busy connection costs the wheel nothing.
    pub(super) fn watch(&mut self, key: Key) {
        let Self { slots, wheel, shared, .. } = self;
        let Some(peer) = slots.at(key) else { return };
        let Some((deadline, _)) = peer.alarm(shared.config(), shared.now) else { return };
        wheel.advance(key.slot, deadline);
    }

    /// As [`watch`](Self::watch), after something has been sent. Where nothing is the matter,
    /// whatever has begun since something was received last takes the shortest of all times at
    /// least, and whatever began before is watched already.
    pub(super) fn watch_sent(&mut self, key: Key) {
        let Self { slots, wheel, shared, .. } = self;
        let Some(peer) = slots.at(key) else { return };
        // A stamp of months ago would be taken for one to come.
        let received = peer.last_received.time(shared.now).min(shared.now);
        let nearest = received.after(shared.timeout_min);
        if !(peer.is_plain() && wheel.watches(key.slot, nearest)) {
            self.watch(key);
        }
    }

    /// When the loop must look at the wheel again.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        [self.wheel.next(), self.shared.releases.next()].into_iter().flatten().min()
    }

    /// Acts on the deadlines that have come.
    pub(crate) fn expire(&mut self) {
        let mut expired = mem::take(&mut self.expired);
        self.wheel.expire(self.shared.now, &mut expired);
        for slot in expired.drain(..) {
            if let Some(key) = self.slots.key(slot) {
                self.expire_one(key);
                self.watch(key);
            }
        }
        self.expired = expired;
        self.expire_releases();
    }

    fn expire_one(&mut self, key: Key) {
        let now = self.shared.now;
        let Some(peer) = self.slots.at(key) else { return };
        let Some((deadline, alarm)) = peer.alarm(self.shared.config(), now) else { return };
        if now < deadline {
            return;
        }
        self.shared.stats.timers += 1;
        match alarm {
            Alarm::Handshake => self.expire_handshake(key),
            Alarm::Upgrade => self.expire_upgrade(key),
            Alarm::Ping => self.expire_ping(key),
            Alarm::Idle => {
                let close = Close { code: Some(1001), reason: "idle" };
                self.close(key, close, Closer::IdleTimeOut);
            }
            Alarm::Lifetime => {
                let code = Some(self.shared.config().lifetime_code);
                self.close(key, Close { code, reason: "lifetime" }, Closer::Lifetime);
            }
            Alarm::Message => self.expire_message(key),
            Alarm::Pong => self.lost(key, Cause::TimeOut(TimeOut::Pong)),
            Alarm::Send => self.lost(key, Cause::TimeOut(TimeOut::Send)),
            Alarm::Age => self.lost(key, Cause::TimeOut(TimeOut::Outbox)),
            Alarm::Close => self.lost(key, Cause::TimeOut(TimeOut::Close)),
            Alarm::Linger => self.terminate(key),
        }
    }

    /// Tells a peer that has begun a request that it was too slow.
    fn expire_handshake(&mut self, key: Key) {
        let Some(Peer { stage: Stage::Opening(opening), .. }) = self.slots.at(key) else { return };
        if opening.head.is_empty() {
            self.lost(key, Cause::TimeOut(TimeOut::Handshake));
        } else {
            self.refuse(key, &Refusal::TimeOut.response());
        }
    }

    /// Fails a connection whose peer takes too long over a message: it is there, so it is told why.
    fn expire_message(&mut self, key: Key) {
        //= RFC 6455 7.4.1: 1008 indicates that an endpoint is terminating the connection because it
        //= has received a message that violates its policy.
        let close = Close { code: Some(1008), reason: "message timeout" };
        self.close(key, close, Closer::MessageTimeOut);
        self.break_off(key, Cause::TimeOut(TimeOut::Message));
        self.linger(key, Lingering::default());
        if let Some(peer) = self.slots.at(key) {
            // What has come of the message is of no use to anybody.
            let receiver = mem::replace(&mut peer.receiver, Receiver::new(Role::Server));
            receiver.retire(&mut self.shared.workspace);
        }
    }

    fn expire_ping(&mut self, key: Key) {
        let Self { slots, shared, .. } = self;
        let Some(Peer { link, waiting, since, .. }) = slots.at(key) else { return };
        let payload = link.round_trip.ping(key, shared.now, shared.secret);
        if link.sender.ping(&payload, &mut shared.workspace, link.outbox.filling()).is_ok() {
            *waiting = Waiting::Pong;
            link.leave();
            *since = shared.stamp();
            shared.mark(key, link);
        }
    }
}
