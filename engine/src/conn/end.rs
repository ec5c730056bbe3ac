//! How a connection ends: its end is told once, its last bytes leave, both directions are shut
//! down, what is in flight is awaited, the descriptor is closed, the slot is freed.

use crate::cause::{Cause, Closed};
use crate::conn::connections::Connections;
use crate::conn::peer::{Lingering, Peer, Stage};
use crate::conn::releases::Parting;
use crate::conn::view::Connection;
use crate::driver::{Driver, Key, Shutdown};
use crate::handler::Handler;
use crate::trace;

impl<D: Driver, H: Handler> Connections<D, H> {
    /// The connection is of no use any more: tells so, if that has not been done, and ends it. The
    /// only way out of an opening handshake but an answer.
    pub(crate) fn lost(&mut self, key: Key, cause: Cause) {
        self.break_off(key, cause);
        self.terminate(key);
    }

    /// Tells of an end without a closing handshake, or counts one without an opening handshake. The
    /// caller takes the connection to its next stage, so that this happens once.
    pub(super) fn break_off(&mut self, key: Key, cause: Cause) {
        let Self { slots, handler, shared, .. } = self;
        let Some(peer) = slots.at(key) else { return };
        match peer.stage {
            Stage::Open => {}
            Stage::Opening(_) | Stage::Deciding(_) => {
                shared.stats.unanswered.add(&cause);
                trace::unanswered(&cause);
                return;
            }
            Stage::Lingering(_) | Stage::Terminating => return,
        }
        // Told once: the stage says so from here on, whatever the handler does.
        peer.stage = Stage::Lingering(Lingering::default());
        peer.since = shared.stamp();
        let Peer { link, state, .. } = peer;
        // It may still read.
        link.settle(&mut shared.workspace);
        link.sender.abandon();
        let cause = link.closer.broken(cause);
        let mut connection = Connection { key, state, link, shared };
        tell_end(handler, &mut connection, Closed::abnormal(&cause));
    }

    /// Lets what is queued leave, and then the connection end.
    pub(super) fn linger(&mut self, key: Key, lingering: Lingering) {
        self.forget(key);
        let Self { slots, shared, openings, .. } = self;
        let Some(peer) = slots.at(key) else { return };
        openings.leave(&peer.stage);
        peer.stage = Stage::Lingering(lingering);
        peer.since = shared.stamp();
        shared.mark(key, &mut peer.link);
    }

    /// Takes the next step of a connection that lingers.
    pub(super) fn linger_on(&mut self, key: Key) {
        let now = self.shared.stamp();
        let Some(peer) = self.slots.at(key) else { return };
        let Stage::Lingering(lingering) = &mut peer.stage else { return };
        if peer.link.buffered() > 0 {
            return;
        }
        if lingering.peer {
            self.terminate(key);
            return;
        }
        if !lingering.ours {
            //= RFC 6455 7.1.1: one would call shutdown() with SHUT_WR on the socket, call recv()
            //= until obtaining a return value of 0 indicating that the peer has also performed an
            //= orderly shutdown, and finally call close() on the socket.
            lingering.ours = true;
            peer.since = now;
            self.driver.shutdown(peer.descriptor, Shutdown::Write);
        }
        self.arm(key);
    }

    /// Shuts both directions down, so that everything in flight comes to its end.
    pub(super) fn terminate(&mut self, key: Key) {
        self.forget(key);
        let Some(peer) = self.slots.at(key) else { return };
        if matches!(peer.stage, Stage::Terminating) {
            return;
        }
        self.openings.leave(&peer.stage);
        peer.stage = Stage::Terminating;
        if !peer.is_joined() {
            self.driver.shutdown(peer.descriptor, Shutdown::Both);
        }
        self.wheel.clear(key.slot);
        self.join(key);
    }

    /// Closes and frees a connection that is terminating, once nothing of it is in flight.
    pub(super) fn join(&mut self, key: Key) {
        let Self { slots, driver, .. } = self;
        let Some(peer) = slots.at(key) else { return };
        if !matches!(peer.stage, Stage::Terminating) || !peer.is_joined() {
            return;
        }
        driver.close(peer.descriptor);
        self.free(key);
    }

    /// Frees the slot of a connection whose descriptor has been closed, or given away.
    pub(super) fn free(&mut self, key: Key) {
        let Self { slots, shared, held, .. } = self;
        if let Some(peer) = slots.remove(key) {
            held.remove(&key);
            if let Some(follow) = &mut shared.follow {
                follow.lost(key);
            }
            peer.link.outbox.abandon(&mut shared.store, &mut shared.workspace);
            peer.receiver.retire(&mut shared.workspace);
            peer.link.sender.retire(&mut shared.workspace);
            if let Some(place) = peer.place {
                self.leave(place);
            }
        }
        if self.slots.count() == 0 {
            // What the busiest time took need not stay until the next one.
            self.shared.store.clear();
            self.shared.workspace.clear();
        }
    }
}

/// Tells the handler how many messages its policy for slow consumers has cost, if any.
pub(super) fn tell_dropped<H: Handler>(
    handler: &mut H,
    connection: &mut Connection<'_, H::State>,
    count: u64,
) {
    if count > 0 {
        connection.shared.stats.messages_dropped += count;
        handler.dropped(connection, count);
    }
}

/// Tells the handler that a connection that was open has ended, and counts it. Whatever the end, it
/// passes here, and once.
pub(super) fn tell_end<H: Handler>(
    handler: &mut H,
    connection: &mut Connection<'_, H::State>,
    closed: Closed<'_>,
) {
    connection.shared.topics.remove(connection.key);
    if connection.link.parting != Parting::No {
        connection.link.parting = Parting::No;
        // Whoever waits for it is told that there is nothing to release.
        drop(connection.shared.releases.end(connection.key));
    }
    connection.shared.count_losses(connection.link);
    let dropped = connection.link.take_last_untold();
    tell_dropped(handler, connection, dropped);
    connection.shared.stats.ended.add(closed.cause);
    trace::ended(connection.id().as_u64(), closed.cause);
    if !closed.clean {
        handler.error(connection, closed.cause);
    }
    handler.close(connection, closed);
}
