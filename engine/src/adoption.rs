//! A socket that another server hands over, with all that is known of it.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;

use ringwire_protocol::deflate::Agreed;
use socket2::{SockRef, Type};

use crate::config::Compression;

/// A connected socket on its way to a server of this engine
/// ([`Handle::adopt`](crate::Handle::adopt)): one that another server has upgraded, or one that it
/// has only accepted.
///
/// ```
/// use std::io::{Read, Write};
/// use std::net::{TcpListener, TcpStream};
/// use ringwire::{Adoption, Config, Connection, Handler, Message, Server};
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
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config { workers: 1, pin_workers: false, ..Config::default() };
/// let server = Server::bind("127.0.0.1:0", config)?;
/// let handle = server.handle();
/// // Some other server accepts, answers with 101, and has read a frame by then.
/// let other = TcpListener::bind("127.0.0.1:0")?;
/// let mut client = TcpStream::connect(other.local_addr()?)?;
/// let (socket, _) = other.accept()?;
/// let read = b"\x81\x82\0\0\0\0hi";
/// handle.adopt(Adoption::upgraded(socket).leftover(read))?;
///
/// let told = handle.clone();
/// let client = std::thread::spawn(move || -> std::io::Result<[u8; 4]> {
///     let mut answer = [0; 4];
///     client.read_exact(&mut answer)?;
///     told.stop_now();
///     Ok(answer)
/// });
/// server.run(|_worker| Echo)?;
/// assert_eq!(client.join().expect("the client does not panic")?, *b"\x81\x02hi");
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Adoption {
    /// In a box, so that what carries it stays small.
    pub(crate) parts: Box<Parts>,
}

/// What an [`Adoption`] holds.
pub(crate) struct Parts {
    pub(crate) socket: OwnedFd,
    pub(crate) is_upgraded: bool,
    /// Bytes that have been read from the socket and not been used.
    pub(crate) leftover: Vec<u8>,
    pub(crate) compression: Option<(Agreed, Compression)>,
    pub(crate) streaming: bool,
    pub(crate) state: Option<Box<dyn Any + Send>>,
    pub(crate) worker: Option<usize>,
}

impl Adoption {
    /// A socket whose opening handshake is over: the answer with status 101 has left, and the next
    /// byte that is read from it, or the first of the [`leftover`](Self::leftover), begins a frame.
    pub fn upgraded(socket: impl Into<OwnedFd>) -> Self {
        Self::new(socket.into(), true)
    }

    /// A socket that has been accepted, and to which nothing has been written: the opening
    /// handshake runs here, with [`Handler::upgrade`](crate::Handler::upgrade) and all limits of
    /// handshakes. The [`leftover`](Self::leftover) begins with the request: any part of it, or all
    /// of it and frames. What was agreed on is up to the handshake, so
    /// [`compression`](Self::compression) and [`streaming`](Self::streaming) say nothing here.
    pub fn accepted(socket: impl Into<OwnedFd>) -> Self {
        Self::new(socket.into(), false)
    }

    fn new(socket: OwnedFd, is_upgraded: bool) -> Self {
        let (leftover, compression, streaming) = (Vec::new(), None, false);
        let (state, worker) = (None, None);
        let parts = Parts { socket, is_upgraded, leftover, compression, streaming, state, worker };
        Self { parts: Box::new(parts) }
    }

    /// Bytes that have been read from the socket already, as they came: frames are masked still.
    /// They are read here before anything else, in the turn in which the connection is adopted as
    /// far as its share of that goes ([`Config::turn_size_max`](crate::Config::turn_size_max)).
    pub fn leftover(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.parts.leftover = bytes.into();
        self
    }

    /// The `permessage-deflate` that the opening handshake has agreed on, and how this side
    /// compresses. Without it messages are not compressed. Neither side may have compressed
    /// anything yet, or its windows are forgotten after each message: a window cannot be handed
    /// over.
    pub fn compression(mut self, agreed: Agreed, compression: Compression) -> Self {
        self.parts.compression = Some((agreed, compression));
        self
    }

    /// Takes the connection's messages in chunks, as
    /// [`Upgrade::streaming`](crate::Upgrade::streaming). Default `false`.
    pub fn streaming(mut self, streaming: bool) -> Self {
        self.parts.streaming = streaming;
        self
    }

    /// What [`Handler::adopt`](crate::Handler::adopt) makes the connection's state of. Without it
    /// the state is the default one, or what `upgrade` has set.
    pub fn state<T: Any + Send>(mut self, state: T) -> Self {
        self.parts.state = Some(Box::new(state));
        self
    }

    /// The number of the worker that takes it, from 0. Default: the one with the fewest
    /// connections.
    pub fn worker(mut self, worker: usize) -> Self {
        self.parts.worker = Some(worker);
        self
    }

    /// Gives the socket and the leftover back.
    #[must_use]
    pub fn into_parts(self) -> (OwnedFd, Vec<u8>) {
        (self.parts.socket, self.parts.leftover)
    }

    /// Whether there is a peer at the other end of a stream.
    pub(crate) fn check(&self) -> io::Result<()> {
        let socket = SockRef::from(&self.parts.socket);
        if socket.r#type()? != Type::STREAM {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        socket.peer_addr().map(|_| ())
    }

    /// Bytes of memory that it holds.
    pub(crate) fn size(&self) -> usize {
        let state = self.parts.state.as_ref().map_or(0, |state| size_of_val(&**state));
        size_of::<Parts>() + self.parts.leftover.capacity() + state
    }
}

impl fmt::Debug for Adoption {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { socket, is_upgraded, leftover, .. } = &*self.parts;
        formatter
            .debug_struct("Adoption")
            .field("socket", socket)
            .field("is_upgraded", is_upgraded)
            .field("leftover", &leftover.len())
            .finish_non_exhaustive()
    }
}

/// A socket that was not adopted. It comes back as it was, with all of its bytes: nothing happened.
#[derive(Debug)]
pub struct AdoptError {
    /// What was to be adopted.
    pub adoption: Adoption,
    /// Why it was not.
    pub reason: NotAdopted,
}

/// Why a socket was not adopted.
#[derive(Debug)]
#[non_exhaustive]
pub enum NotAdopted {
    /// The worker's mailbox is full, or those of all workers are: try again later.
    Full,
    /// The leftover is larger than twice [`Config::buffers`](crate::Config::buffers) ×
    /// [`Config::buffer_size`](crate::Config::buffer_size) and the size of a head, or all of it
    /// larger than [`Config::mailbox_bytes_max`](crate::Config::mailbox_bytes_max).
    TooLarge,
    /// The worker has ended.
    Stopped,
    /// There is no worker of this number.
    NoSuchWorker,
    /// The descriptor is no stream socket, or is not connected.
    Socket(io::Error),
}

impl fmt::Display for AdoptError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the socket was not adopted: ")?;
        match &self.reason {
            NotAdopted::Full => formatter.write_str("the workers' mailboxes are full"),
            NotAdopted::TooLarge => formatter.write_str("too much has been read from it"),
            NotAdopted::Stopped => formatter.write_str("the worker has ended"),
            NotAdopted::NoSuchWorker => formatter.write_str("there is no such worker"),
            NotAdopted::Socket(error) => {
                write!(formatter, "it is no connected stream socket: {error}")
            }
        }
    }
}

impl Error for AdoptError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.reason {
            NotAdopted::Socket(error) => Some(error),
            NotAdopted::Full
            | NotAdopted::TooLarge
            | NotAdopted::Stopped
            | NotAdopted::NoSuchWorker => None,
        }
    }
}
