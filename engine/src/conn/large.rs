//! A peer whose messages are large: what it sends is received where its message is put together.
//!
//! ```text
//!   Multishot ──a large frame has begun──▶ Slowing ──it is cancelled, or has ended──▶ Single
//!      ▲                                                                               │
//!      └──────────── no large frame begins with it ◀── one piece into a lease ◀────────┤
//!                                                                        ▲             ▼
//!                                                     the frame is whole └── fills of the
//!                                                                         message's own buffer
//! ```
//!
//! So most of such a message is not copied on its way to the handler. Small ones are better off
//! with the multishot: it is not armed anew for each of them.

use crate::conn::arrival::Arrival;
use crate::conn::connections::Connections;
use crate::conn::peer::{Pace, Stage};
use crate::conn::shared::{GIVEN_SIZE_MIN, Gathered};
use crate::conn::view::Connection;
use crate::driver::{Driver, Fault, Key};
use crate::handler::Handler;
use ringwire_protocol::Message;

/// Receive buffers that would hold what a large frame lacks, at least: 128 KiB where they are of
/// the usual size. To arm twice for a message takes as long as to copy tens of kilobytes.
const LARGE_BUFFERS_MIN: usize = 4;

/// Hands over a message; `rest` is the input behind it. Says as what it is to be sent back in its
/// own buffer, text or not, if it is.
#[inline]
pub(super) fn hand_over<H: Handler>(
    handler: &mut H,
    connection: &mut Connection<'_, H::State>,
    message: Message<'_>,
    rest: &[u8],
) -> Option<bool> {
    if message.as_bytes().len() >= GIVEN_SIZE_MIN {
        return hand_over_large(handler, connection, message, rest);
    }
    handler.message(connection, message);
    None
}

#[cold]
fn hand_over_large<H: Handler>(
    handler: &mut H,
    connection: &mut Connection<'_, H::State>,
    message: Message<'_>,
    rest: &[u8],
) -> Option<bool> {
    // One that lay whole in the input ends where the rest of that begins.
    let lies_in_input = message.as_bytes().as_ptr_range().end == rest.as_ptr();
    connection.shared.gathered = (!lies_in_input).then(|| Gathered::new(&message));
    handler.message(connection, message);
    connection.shared.gathered.take().and_then(|gathered| gathered.promised)
}

/// Bytes that a message has taken, before more are received into its buffer: a length that is only
/// declared costs nothing.
const FILL_FROM: usize = 4096;

impl<D: Driver, H: Handler> Connections<D, H> {
    /// Arms a receive of one piece, into the message's own buffer where one is arriving.
    pub(super) fn arm_large(&mut self, key: Key) {
        let Self { slots, shared, driver, .. } = self;
        let Some(peer) = slots.at(key) else { return };
        peer.in_flight.receive.set_pace(Pace::Single);
        let lacks = if matches!(peer.stage, Stage::Open) { peer.receiver.lacks() } else { 0 };
        if lacks == 0 || peer.receiver.allocated() < FILL_FROM {
            driver.receive_once(key, peer.descriptor);
            return;
        }
        let buffer = peer.receiver.lend(&mut shared.workspace);
        let room = buffer.capacity() - buffer.len();
        driver.fill(key, peer.descriptor, buffer, room.min(lacks));
    }

    /// Looks whether what has arrived is the beginning of a large frame.
    pub(super) fn measure(&mut self, key: Key) {
        let Self { slots, shared, .. } = self;
        let Some(peer) = slots.at(key) else { return };
        let pace = peer.in_flight.receive.pace();
        if pace == Pace::Multishot && peer.receiver.is_between_messages() {
            return;
        }
        let lacks = if matches!(peer.stage, Stage::Open) { peer.receiver.lacks() } else { 0 };
        let is_large = lacks / LARGE_BUFFERS_MIN >= shared.config().buffer_size;
        let pace = match pace {
            Pace::Multishot if is_large && peer.receiver.allocated() >= FILL_FROM => {
                // It is cancelled when the connection is flushed.
                shared.mark(key, &mut peer.link);
                Pace::Slowing
            }
            Pace::Single if !is_large => Pace::Multishot,
            pace => pace,
        };
        peer.in_flight.receive.set_pace(pace);
    }

    /// The message's own buffer has more bytes, or will get none.
    pub(crate) fn on_filled(&mut self, key: Key, result: Result<usize, Fault>, buffer: Vec<u8>) {
        let Self { slots, shared, .. } = self;
        let Some(peer) = slots.at(key) else {
            debug_assert!(false, "a receive completed for a slot that is free");
            return;
        };
        debug_assert!(peer.in_flight.receive.is_armed(), "a receive completed that was not armed");
        peer.in_flight.receive.set_armed(false);
        let size = *result.as_ref().unwrap_or(&0);
        peer.receiver.restore(buffer, size, &mut shared.workspace);
        match result {
            Ok(0) => self.arrive(Arrival { key, result: Ok(None), from: 0 }),
            Ok(size) => {
                peer.last_received = shared.stamp();
                shared.stats.receives += 1;
                shared.stats.bytes_received += size as u64;
                self.read_filled(key);
            }
            Err(Fault::Cancelled) => {}
            Err(fault) => self.arrive(Arrival { key, result: Err(fault), from: 0 }),
        }
        self.look_again(key);
        self.arm(key);
        self.join(key);
    }

    /// Reads what the message's buffer has got, now or, as the connection is paused or has had its
    /// share of the turn, later.
    fn read_filled(&mut self, key: Key) {
        let Self { slots, shared, .. } = self;
        let Some(peer) = slots.at(key) else { return };
        if peer.is_stopped() {
            return;
        }
        if peer.link.share.is_spent(shared.turn, shared.share_max()) {
            shared.wait(key, &mut peer.link);
            return;
        }
        let left = self.read(key, &mut []);
        debug_assert!(left == 0, "something is left of nothing");
    }
}
