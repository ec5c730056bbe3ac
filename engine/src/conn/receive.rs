//! What arrives: bytes into events, events into the handler's methods.

use ringwire_protocol::{Close, Event, Receiver};

use crate::cause::{Cause, Closed, Closer};
use crate::conn::arrival::Arrival;
use crate::conn::burst;
use crate::conn::connections::Connections;
use crate::conn::end::tell_end;
use crate::conn::flow::Flow;
use crate::conn::large::hand_over;
use crate::conn::link::Link;
use crate::conn::peer::{Lingering, Pace, Peer, Stage, Waiting};
use crate::conn::releases::Parting;
use crate::conn::shared::Shared;
use crate::conn::view::Connection;
use crate::driver::{Driver, Fault, Key, Lease};
use crate::handler::Handler;

impl<D: Driver, H: Handler> Connections<D, H> {
    /// Arms a receive where one is wanted and none is armed.
    pub(super) fn arm(&mut self, key: Key) {
        let Some(peer) = self.slots.at(key) else { return };
        if peer.wants_receive() {
            peer.in_flight.receive.set_armed(true);
            if peer.in_flight.receive.pace() != Pace::Multishot {
                return self.arm_large(key);
            }
            self.driver.receive(key, peer.descriptor);
        }
    }

    /// A piece of the stream, its end, or a fault. `more`: the receive is still armed.
    pub(crate) fn on_received(
        &mut self,
        key: Key,
        result: Result<Option<Lease>, Fault>,
        more: bool,
    ) {
        let Some(peer) = self.slots.at(key) else {
            // A slot is freed only when nothing of it is in flight, so this does not happen; the
            // buffer would be lost if it did.
            debug_assert!(false, "a receive completed for a slot that is free");
            if let Ok(Some(lease)) = result {
                self.driver.recycle(lease);
            }
            return;
        };
        debug_assert!(peer.in_flight.receive.is_armed(), "a receive completed that was not armed");
        peer.in_flight.receive.set_armed(more);
        match result {
            Err(Fault::BuffersExhausted) => {
                self.shared.stats.receives_without_buffer += 1;
                // Armed again at the end of a turn, when buffers have come back, unless it ends.
                self.parked.push_back(key);
                self.look_again(key);
                self.join(key);
                return;
            }
            Err(Fault::Cancelled) => {}
            result => {
                if let Ok(Some(lease)) = &result {
                    peer.last_received = self.shared.stamp();
                    self.shared.stats.receives += 1;
                    self.shared.stats.bytes_received += lease.len() as u64;
                }
                self.arrive(Arrival { key, result, from: 0 });
                self.measure(key);
            }
        }
        if !more {
            self.look_again(key);
            self.arm(key);
            self.join(key);
        }
    }

    /// The cancellation of a receive has been dealt with.
    pub(crate) fn on_cancelled(&mut self, key: Key) {
        let Self { slots, shared, .. } = self;
        let Some(peer) = slots.at(key) else { return };
        peer.in_flight.cancel = false;
        if peer.wants_cancel() {
            // It came too early or too late, and the receive is armed.
            shared.mark(key, &mut peer.link);
        }
        self.look_again(key);
        self.arm(key);
        self.join(key);
    }

    /// Reads what has arrived. Says how many of the last bytes are left for a later turn.
    pub(super) fn read(&mut self, key: Key, bytes: &mut [u8]) -> usize {
        let Some(peer) = self.slots.at(key) else { return 0 };
        match peer.stage {
            Stage::Open => self.read_messages(key, bytes),
            Stage::Opening(_) => self.read_head(key, bytes),
            // Bytes are held until it is decided.
            Stage::Deciding(_) | Stage::Lingering(_) | Stage::Terminating => 0,
        }
    }

    /// Pulls events out of `bytes` and hands them to the handler, until there are none or the
    /// connection has had its share of the turn. Says how many of the last bytes are left.
    pub(super) fn read_messages(&mut self, key: Key, bytes: &mut [u8]) -> usize {
        let Self { slots, handler, shared, .. } = self;
        let Some(peer) = slots.at(key) else { return 0 };
        if peer.link.terminated {
            // It ends with this turn; what arrived before that is not handed over any more.
            return 0;
        }
        if peer.link.share.is_spent(shared.turn, shared.share_max()) {
            return bytes.len();
        }
        see_life(key, peer, shared);
        let Peer { receiver, link, state, message_since, .. } = peer;
        link.outbox.fetch(&mut shared.store);
        let had_begun = message_since.is_some();
        let mut input = bytes;
        let mut over = false;
        while goes_on(handler, receiver, &mut input, Connection { key, state, link, shared }) {
            receiver.set_streaming(link.streaming);
            let (sender, out) = (&mut link.sender, link.outbox.filling());
            let mark = out.len();
            let event = receiver.next(&mut input, sender, &mut shared.workspace, out);
            let Some(event) = event else { break };
            shared.spent.add(link.share.spend(&event));
            link.settle_before(&event, mark, &mut shared.workspace);
            let mut connection = Connection { key, state, link, shared };
            match event {
                Event::Message(message) => {
                    connection.on_message(message.as_bytes().len());
                    if let Some(is_text) = hand_over(handler, &mut connection, message, input) {
                        link.outbox.fulfil(receiver.take_frame(is_text, &mut shared.workspace));
                    }
                }
                Event::Chunk(chunk) => {
                    connection.on_chunk(&chunk);
                    handler.chunk(&mut connection, chunk);
                    link.fill();
                    *message_since = None;
                }
                // The pong has been written; the message is not whole.
                Event::Ping(_) | Event::Inflated(_) => {}
                Event::Pong(payload) => {
                    let measured = connection.on_pong(payload);
                    handler.pong(&mut connection, payload, measured);
                }
                Event::Close(close) => {
                    tell_close(handler, &mut connection, close);
                    over = true;
                }
                Event::Failed(violation) => {
                    let cause = Closer::violated(violation, receiver.violation_offset());
                    tell_end(handler, &mut connection, Closed::abnormal(&cause));
                    over = true;
                }
            }
            if receiver.is_between_messages() {
                *message_since = None;
            }
        }
        let left = if over || link.terminated { 0 } else { input.len() };
        if over {
            peer.stage = Stage::Lingering(Lingering::default());
            peer.since = shared.stamp();
        }
        self.read_finish(key, had_begun);
        left
    }

    /// After reading: what was written is to leave; a peer that takes nothing is read no more; a
    /// message that has begun and not ended is to end in time. `had_begun`: one had, before.
    fn read_finish(&mut self, key: Key, had_begun: bool) {
        let Self { slots, shared, .. } = self;
        let Some(Peer { link, stage, receiver, message_since, .. }) = slots.at(key) else { return };
        if receiver.holds_more() {
            shared.wait(key, link);
        } else if link.flow == Flow::Paused {
            // What the last message took goes back now: a pause may be long.
            let (mut nothing, out): (&mut [u8], _) = (&mut [], link.outbox.filling());
            let event = receiver.next(&mut nothing, &mut link.sender, &mut shared.workspace, out);
            debug_assert!(event.is_none(), "an event of no bytes");
        }
        let begins = message_since.is_none() && !receiver.is_between_messages();
        if begins {
            *message_since = Some(shared.stamp());
        }
        if link.outbox.filled() == 0 {
            // An idle connection holds no buffer.
            link.outbox.release(&mut shared.store, &mut shared.workspace);
        } else {
            shared.mark(key, link);
        }
        if link.buffered() > shared.config().outbox_high {
            shared.fall_behind(link);
            shared.mark(key, link);
        }
        if !matches!(stage, Stage::Open) || link.parting != Parting::No {
            shared.mark(key, link);
        }
        // After a control frame in pieces the last message may be long ago.
        if begins || had_begun {
            self.watch(key);
        }
    }

    /// The peer has ended its side.
    pub(super) fn read_end(&mut self, key: Key) {
        let Some(peer) = self.slots.at(key) else { return };
        match &mut peer.stage {
            Stage::Opening(_) | Stage::Deciding(_) => self.lost(key, Cause::Gone),
            Stage::Open if peer.link.terminated => {}
            Stage::Open => {
                // It may still read, so what is queued is sent to it.
                self.break_off(key, Cause::Gone);
                self.linger(key, Lingering { peer: true, ours: false });
            }
            Stage::Lingering(lingering) => {
                lingering.peer = true;
                self.shared.mark(key, &mut peer.link);
            }
            Stage::Terminating => {}
        }
    }
}

/// Anything is a sign of life. The next ping may be due before the pong was.
fn see_life<S>(key: Key, peer: &mut Peer<S>, shared: &mut Shared) {
    if peer.waiting == Waiting::Pong {
        peer.waiting = Waiting::Nothing;
        shared.mark(key, &mut peer.link);
    }
}

/// Hands over what comes in a row. Says whether something else may be handed over after it.
#[inline]
fn goes_on<H: Handler>(
    handler: &mut H,
    receiver: &mut Receiver,
    input: &mut &mut [u8],
    connection: Connection<'_, H::State>,
) -> bool {
    let Connection { key, state, link, shared } = connection;
    if parts(link, receiver) {
        return false;
    }
    burst::read(handler, receiver, input, Connection { key, state, link, shared });
    !burst::stops(link, shared) && !parts(link, receiver)
}

/// Whether the connection is to be released, and is between two messages: what follows is the next
/// server's.
#[inline]
fn parts(link: &mut Link, receiver: &Receiver) -> bool {
    let parts = link.parting != Parting::No && receiver.is_between_messages();
    if parts {
        link.parting = Parting::Stopped;
    }
    parts
}

/// Both close frames have passed.
fn tell_close<H: Handler>(
    handler: &mut H,
    connection: &mut Connection<'_, H::State>,
    close: Close<'_>,
) {
    let code = close.code.unwrap_or(1005);
    let cause = connection.link.closer.completed(code);
    let closed = Closed { code, reason: close.reason, clean: true, cause: &cause };
    tell_end(handler, connection, closed);
}
