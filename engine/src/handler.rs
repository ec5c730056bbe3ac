//! What an application does with its connections.

use std::any::Any;
use std::time::Duration;

use ringwire_protocol::handshake::Response;
use ringwire_protocol::{Chunk, Message};

use crate::cause::{Cause, Closed};
use crate::conn::{Connection, Upgrade};
use crate::request::Request;

/// An application's answers to what happens. Each worker has a value of its own, made by the
/// factory that [`Server::run`](crate::Server::run) takes, so a method needs no locks; it must not
/// block, since all connections of its worker wait for it.
///
/// For each connection: `upgrade`, or `adopt` where another server hands it over, `open`, any
/// number of `message`, `chunk`, `pong` and `drain`, then `close`, or `released` where it goes on
/// elsewhere; before `close` comes `error` when the end is not a clean closing handshake.
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
    type State: Default + 'static;

    /// A client asks for a connection, and its request is right. The default accepts. Who has to
    /// ask others, and must not block meanwhile, answers [later](Upgrade::later).
    fn upgrade(&mut self, request: &Request<'_>) -> Upgrade<Self::State> {
        Upgrade::accept()
    }

    /// A client asks for something else: a page, say. The default answers 426.
    fn request(&mut self, request: &Request<'_>) -> Response {
        upgrade_required()
    }

    /// Another server hands a connection over, with a state for it
    /// ([`Adoption::state`](crate::Adoption::state)): what this server makes of it. `open` follows.
    /// The default takes it as it is, if it is a [`Handler::State`], and the default state
    /// otherwise.
    ///
    /// ```
    /// use std::any::Any;
    /// use ringwire::{Connection, Handler, Message};
    ///
    /// /// What the host knows of a user.
    /// struct Session {
    ///     user: String,
    /// }
    ///
    /// struct Chat;
    ///
    /// impl Handler for Chat {
    ///     type State = String;
    ///
    ///     fn adopt(&mut self, state: Box<dyn Any + Send>) -> String {
    ///         state.downcast::<Session>().map_or_else(|_| String::new(), |it| it.user)
    ///     }
    ///
    ///     fn message(&mut self, connection: &mut Connection<'_, String>, message: Message<'_>) {
    ///         let said = format!("{}: {message:?}", connection.state());
    ///         connection.send(&said);
    ///     }
    /// }
    /// # let session = Session { user: "ann".to_owned() };
    /// # assert_eq!(Chat.adopt(Box::new(session)), "ann");
    /// # assert_eq!(Chat.adopt(Box::new(7)), "");
    /// ```
    fn adopt(&mut self, state: Box<dyn Any + Send>) -> Self::State {
        state.downcast().map_or_else(|_| Self::State::default(), |state| *state)
    }

    /// The connection is open.
    fn open(&mut self, connection: &mut Connection<'_, Self::State>) {}

    /// A message has arrived. It may be changed in place, and is gone when the method returns.
    fn message(&mut self, connection: &mut Connection<'_, Self::State>, message: Message<'_>);

    /// A chunk of a message has arrived, on a connection that takes messages in chunks
    /// ([`Upgrade::streaming`], [`Connection::set_streaming`]): nothing is called for the whole
    /// message, and nothing but [`Limits::streamed_size_max`](crate::Limits::streamed_size_max)
    /// bounds it. Where the message is cut is up to the network. After a chunk that is not the last
    /// comes the next one, or the end of the connection: then the message is cut short.
    ///
    /// A handler that answers faster than its peer reads is called no more while
    /// [`Connection::buffered`] is above [`Config::outbox_high`](crate::Config::outbox_high), also
    /// in the middle of a message, until `drain` has been called.
    ///
    /// The default closes with 1011: to ask for chunks and not to take them is this side's mistake.
    /// To ignore them would lose data in silence, and the peer has done nothing that it could mend.
    ///
    /// ```
    /// use ringwire::{Chunk, Connection, Handler, Message, Request, Upgrade};
    ///
    /// /// Adds up what is uploaded, of any size.
    /// struct Sum;
    ///
    /// impl Handler for Sum {
    ///     type State = u64;
    ///
    ///     fn upgrade(&mut self, _: &Request<'_>) -> Upgrade<u64> {
    ///         Upgrade::accept().streaming(true)
    ///     }
    ///
    ///     fn message(&mut self, _: &mut Connection<'_, u64>, _: Message<'_>) {}
    ///
    ///     fn chunk(&mut self, connection: &mut Connection<'_, u64>, chunk: Chunk<'_>) {
    ///         if chunk.is_first {
    ///             *connection.state() = 0;
    ///         }
    ///         let bytes = chunk.part.as_bytes();
    ///         *connection.state() += bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    ///         if chunk.is_last {
    ///             let sum = connection.state().to_string();
    ///             connection.send(&sum);
    ///         }
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::io::{Read, Write};
    /// use ringwire::{Config, Server};
    ///
    /// let config = Config { workers: 1, pin_workers: false, ..Config::default() };
    /// let server = Server::bind("127.0.0.1:0", config)?;
    /// # let (address, handle) = (server.address().unwrap(), server.handle());
    /// # let client = std::thread::spawn(move || -> std::io::Result<Vec<u8>> {
    /// #     let mut stream = std::net::TcpStream::connect(address)?;
    /// #     let request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
    /// #         Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    /// #         Sec-WebSocket-Version: 13\r\n\r\n";
    /// #     stream.write_all(request.as_bytes())?;
    /// #     // A million times seven, masked with zeros, then a close.
    /// #     stream.write_all(b"\x82\xff\0\0\0\0\0\x0f\x42\x40\0\0\0\0")?;
    /// #     stream.write_all(&[7; 1_000_000])?;
    /// #     stream.write_all(b"\x88\x80\0\0\0\0")?;
    /// #     let mut answer = Vec::new();
    /// #     stream.read_to_end(&mut answer)?;
    /// #     handle.stop_now();
    /// #     Ok(answer)
    /// # });
    /// server.run(|_worker| Sum)?;
    /// # let answer = client.join().expect("the client does not panic")?;
    /// # assert!(answer.ends_with(b"\x81\x077000000\x88\0"), "{}", answer.escape_ascii());
    /// # Ok(())
    /// # }
    /// ```
    fn chunk(&mut self, connection: &mut Connection<'_, Self::State>, chunk: Chunk<'_>) {
        // Chunks go on arriving until the peer has answered: the first call has closed.
        let _closing = connection.close(1011, "messages are not taken in chunks");
    }

    /// There is room again: the bytes that have not left were above
    /// [`Config::outbox_high`](crate::Config::outbox_high), as
    /// [`Sent::Backlogged`](crate::Sent::Backlogged) or a flood of pings brings about, and have
    /// fallen to [`Config::outbox_low`](crate::Config::outbox_low).
    fn drain(&mut self, connection: &mut Connection<'_, Self::State>) {}

    /// So many messages that [`Connection::send`] had taken, or a subscription had brought, were
    /// dropped, because the peer is slow and its policy says so: by
    /// [`DropOldest`](crate::Overflow::DropOldest) or [`Conflate`](crate::Overflow::Conflate), or
    /// since it is [closed](crate::Overflow::Close). What the peer is told is up to
    /// [`SlowConsumer::gap_notice`](crate::SlowConsumer::gap_notice).
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

    /// The connection has been [released](crate::Connection::release): it goes on elsewhere, and
    /// neither `error` nor `close` follows. Nothing more can be sent here, and its subscriptions
    /// have ended. What is returned goes with the socket ([`Released::state`](crate::Released));
    /// by default nothing.
    fn released(
        &mut self,
        connection: &mut Connection<'_, Self::State>,
    ) -> Option<Box<dyn Any + Send>> {
        None
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
