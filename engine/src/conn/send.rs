//! What leaves: once per connection and turn, everything that the turn has queued.

use std::io;

use crate::cause::Cause;
use crate::conn::connections::Connections;
use crate::conn::dirty::Mark;
use crate::conn::end::tell_dropped;
use crate::conn::peer::{Peer, Stage, Waiting};
use crate::conn::releases::Parting;
use crate::conn::view::Connection;
use crate::driver::{Bytes, Driver, Fault, Key};
use crate::handler::Handler;
use ringwire_protocol::Closing;

impl<D: Driver, H: Handler> Connections<D, H> {
    /// Gives the driver what this turn has left to do, for each connection that has something.
    pub(super) fn flush(&mut self) {
        self.shared.dirty.begin_flush();
        // A connection that is flushed may be marked again, as when its end calls the handler.
        while let Some((key, mark)) = self.shared.dirty.pop() {
            // It may have left with an answer of its own, and its place in the fan-out is stale.
            if self.slots.at(key).is_some_and(|peer| peer.link.dirty == mark) {
                self.shared.dirty.spend(mark);
                self.flush_one(key);
            }
        }
    }

    fn flush_one(&mut self, key: Key) {
        let now = self.shared.stamp();
        let Self { slots, shared, handler, .. } = self;
        let Some(peer) = slots.at(key) else { return };
        peer.link.dirty = Mark::None;
        if peer.link.terminated && !matches!(peer.stage, Stage::Terminating) {
            self.lost(key, Cause::Terminated);
            return;
        }
        peer.link.refill(&mut shared.workspace, shared.now);
        shared.count_losses(&mut peer.link);
        if let Peer { stage: Stage::Open, link, state, .. } = peer {
            let count = link.take_untold(shared.turn);
            tell_dropped(handler, &mut Connection { key, state, link, shared }, count);
        }
        peer.link.outbox.date(now);
        if peer.link.outbox.is_due() && !matches!(peer.stage, Stage::Terminating) {
            let bytes = peer.link.outbox.take_off();
            peer.last_progress = now;
            self.shared.stats.sends += 1;
            if let Some(follow) = &mut self.shared.follow {
                follow.submitted(key);
            }
            let from = peer.link.outbox.flies_from(&bytes);
            self.driver.send(key, peer.descriptor, bytes, from);
        }
        if !peer.link.outbox.is_flying() {
            // All that waited may have been dropped: then no send will end and say so.
            self.drain(key);
        }
        let Some(peer) = self.slots.at(key) else { return };
        let closing = peer.link.sender.closing();
        if closing == Closing::CloseSent && peer.waiting != Waiting::Close {
            peer.waiting = Waiting::Close;
            // The peer's answer is behind what it has sent before.
            self.shared.resume(key, &mut peer.link);
            peer.link.leave();
            peer.since = now;
        }
        if peer.link.parting != Parting::No && self.part(key) {
            return;
        }
        self.flush_receive(key);
        self.watch_sent(key);
    }

    /// After what is sent: what is received, while that goes on.
    fn flush_receive(&mut self, key: Key) {
        let Some(peer) = self.slots.at(key) else { return };
        if peer.wants_cancel() {
            peer.in_flight.cancel = true;
            self.driver.receive_cancel(key);
        }
        if matches!(peer.stage, Stage::Lingering(_)) {
            self.linger_on(key);
        }
    }

    /// A send has ended, whole, in part, or not at all.
    pub(crate) fn on_sent(&mut self, key: Key, result: Result<usize, Fault>, bytes: Bytes) {
        let Self { slots, shared, driver, .. } = self;
        let Some(peer) = slots.at(key) else {
            debug_assert!(false, "a send completed for a slot that is free");
            return;
        };
        let size = match result {
            Ok(size) if size > 0 => size,
            Ok(_) | Err(_) => {
                peer.link.outbox.crash();
                peer.link.forget();
                shared.store.give_sent(bytes, &mut shared.workspace);
                let error = match result {
                    Ok(_) => io::ErrorKind::WriteZero.into(),
                    Err(fault) => fault.into(),
                };
                self.lost(key, Cause::Io(error));
                self.join(key);
                return;
            }
        };
        peer.last_progress = shared.stamp();
        shared.stats.bytes_sent += size as u64;
        if matches!(peer.stage, Stage::Terminating) {
            // Both directions have been shut down: the rest could only fail.
            peer.link.outbox.crash();
            shared.store.give_sent(bytes, &mut shared.workspace);
            self.join(key);
            return;
        }
        if let Some(from) = peer.link.outbox.land(&bytes, size) {
            shared.stats.sends_short += 1;
            shared.stats.sends += 1;
            driver.send(key, peer.descriptor, bytes, from);
            return;
        }
        if let Some(follow) = &mut shared.follow {
            follow.completed(key);
        }
        // What ends only takes a deadline away, unless the time for an answer or for signs of life
        // begins with it, or what it has held up.
        let begins =
            peer.link.leaving > 0 || peer.link.backlogged || !matches!(peer.stage, Stage::Open);
        if peer.link.leaving > 0 {
            peer.link.leaving -= 1;
            // When the ping or the close has left, the time for its answer begins.
            peer.since = shared.stamp();
        }
        shared.store.give_sent(bytes, &mut shared.workspace);
        if peer.link.is_due() || matches!(peer.stage, Stage::Lingering(_)) {
            shared.mark(key, &mut peer.link);
        }
        if peer.link.parting != Parting::No {
            shared.mark(key, &mut peer.link);
        }
        if begins {
            self.drain(key);
            self.watch(key);
        }
    }

    /// Calls `drain` and reads on, when what has not left has fallen to the low mark.
    fn drain(&mut self, key: Key) {
        let Self { slots, shared, handler, .. } = self;
        let Some(peer) = slots.at(key) else { return };
        let Peer { link, state, stage, waiting, last_received, message_since, .. } = peer;
        let low = shared.config().outbox_low;
        if !link.backlogged || link.terminated || link.buffered() > low {
            return;
        }
        link.backlogged = false;
        shared.stats.drains += 1;
        // While nothing was read no sign of life could be seen: the time for it begins anew.
        (*last_received, link.last_message) = (shared.stamp(), shared.stamp());
        // Nor could the peer go on with its message.
        *message_since = message_since.map(|_| shared.stamp());
        if *waiting == Waiting::Pong {
            *waiting = Waiting::Nothing;
        }
        if matches!(stage, Stage::Open) {
            handler.drain(&mut Connection { key, state, link, shared });
        }
        shared.drained(key, link);
        self.arm(key);
    }
}
