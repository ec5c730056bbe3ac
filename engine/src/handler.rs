//! What an application does with its connections.

use std::time::Duration;

use ringwire_protocol::Message;
use ringwire_protocol::handshake::Response;

use crate::cause::{Cause, Closed};
use crate::conn::{Connection, Upgrade};
use crate::request::Request;

/// An application's answers to what happens. Each worker has a value of its own, made by the
/// factory that [`Server::run`](crate::Server::run) takes, so a method needs no locks; it must not
/// block, since all connections of its worker wait for it.
///
/// For each connection: `upgrade`, `open`, any number of `message`, `pong` and `drain`, then
/// `close`; before `close` comes `error` when the end is not a clean closing handshake.
///
/// ```
/// use ringwire::{Connection, Handler, Message};
///
/// struct Echo;
///
/// impl Handler for Echo {
///     type State = ();
///
///     fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
///         connection.send(&message);
///     }
/// }
/// ```
#[expect(unused_variables, reason = "the names of the parameters are part of the documentation")]
pub trait Handler {
    /// What the handler keeps for each connection. It lives in the connection's slot.
    type State: Default;

    /// A client asks for a connection, and its request is right. The default accepts.
    fn upgrade(&mut self, request: &Request<'_>) -> Upgrade<Self::State> {
        Upgrade::accept()
    }

    /// A client asks for something else: a page, say. The default answers 426.
    fn request(&mut self, request: &Request<'_>) -> Response {
        upgrade_required()
    }

    /// The connection is open.
    fn open(&mut self, connection: &mut Connection<'_, Self::State>) {}

    /// A message has arrived. It may be changed in place, and is gone when the method returns.
    fn message(&mut self, connection: &mut Connection<'_, Self::State>, message: Message<'_>);

    /// There is room again: the bytes that have not left were above
    /// [`Config::outbox_high`](crate::Config::outbox_high), as
    /// [`Sent::Backlogged`](crate::Sent::Backlogged) or a flood of pings brings about, and have
    /// fallen to [`Config::outbox_low`](crate::Config::outbox_low).
    fn drain(&mut self, connection: &mut Connection<'_, Self::State>) {}

    /// So many messages that [`Connection::send`] had taken were dropped, because the peer is slow
    /// and [`Overflow::DropOldest`](crate::Overflow::DropOldest) says so.
    fn dropped(&mut self, connection: &mut Connection<'_, Self::State>, messages: u64) {}

    /// A pong has arrived, asked for or not. `round_trip` is how long it took, if it answers the
    /// last ping of the engine's; of others the `payload` tells which [`Connection::ping`] it was.
    fn pong(
        &mut self,
        connection: &mut Connection<'_, Self::State>,
        payload: &[u8],
        round_trip: Option<Duration>,
    ) {
    }

    /// The connection ends, and not by a clean closing handshake; `close` follows, with the same
    /// cause.
    fn error(&mut self, connection: &mut Connection<'_, Self::State>, cause: &Cause) {}

    /// The connection has ended, and `closed` says why. Nothing more can be sent.
    fn close(&mut self, connection: &mut Connection<'_, Self::State>, closed: Closed<'_>) {}
}

fn upgrade_required() -> Response {
    Response::text(426, "This is a WebSocket server.\n")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
}
