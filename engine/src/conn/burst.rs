//! Small messages in a row, which is what a feed sends: handed over with as little as possible
//! between them.
//!
//! What holds for all of them is looked at once: that the receiver is free, what the connection may
//! have of this turn, what time it is. After each, only what its handler may have changed.

use ringwire_protocol::Receiver;

use crate::conn::flow::Flow;
use crate::conn::link::Link;
use crate::conn::share::blocks;
use crate::conn::shared::Shared;
use crate::conn::view::Connection;
use crate::handler::Handler;

/// Hands over messages that lie whole in `input`, until something else comes, the share of the turn
/// is spent or the handler has decided something. What is left is for [`Receiver::next`].
#[inline]
pub(super) fn read<H: Handler>(
    handler: &mut H,
    receiver: &mut Receiver,
    input: &mut &mut [u8],
    connection: Connection<'_, H::State>,
) {
    let Connection { key, state, link, shared } = connection;
    if link.streaming || stops(link, shared) {
        return;
    }
    let Some(mut burst) = receiver.burst() else { return };
    let room = link.share.room(shared.share_max());
    let mut spent = 0;
    while let Some(message) = burst.next(input, &link.sender, &mut shared.workspace) {
        let size = message.as_bytes().len();
        spent += blocks(size);
        let mut connection = Connection { key, state, link, shared };
        connection.on_message(size);
        handler.message(&mut connection, message);
        if spent >= room || link.terminated || link.streaming || link.flow != Flow::Running {
            break;
        }
    }
    shared.spent.add(link.share.spend_blocks(spent));
}

/// Whether nothing more is to be handed over now.
#[inline]
pub(super) fn stops(link: &mut Link, shared: &Shared) -> bool {
    let stops = link.terminated || matches!(link.flow, Flow::Paused | Flow::Full);
    stops || link.share.is_spent(shared.turn, shared.share_max())
}
