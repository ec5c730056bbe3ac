//! A connection that leaves for another server: its socket, and all that is known of it.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::os::fd::OwnedFd;

use ringwire_protocol::deflate::Agreed;

use crate::adoption::Adoption;
use crate::config::Compression;

/// What is left of a connection that has been released
/// ([`Connection::release`](crate::Connection::release),
/// [`Handle::release`](crate::Handle::release)): an open WebSocket between two frames, of which the
/// peer has noticed nothing. Made an [`Adoption`] it goes on in another server of this engine, or
/// on another worker of the same one.
#[derive(Debug)]
#[non_exhaustive]
pub struct Released {
    /// The socket. It blocks, whichever driver it was on.
    pub socket: OwnedFd,
    /// Bytes that have been received and not been handed over, as they came: a frame begins with
    /// the first, and is masked still. They come before what the socket brings.
    pub unread: Vec<u8>,
    /// The compression that was agreed on, if any. The peer starts its next message with an empty
    /// window, and so must the next owner.
    pub compression: Option<(Agreed, Compression)>,
    /// Whether its messages were taken in chunks.
    pub streaming: bool,
    /// What [`Handler::released`](crate::Handler::released) gives it for its way.
    pub state: Option<Box<dyn Any + Send>>,
}

impl From<Released> for Adoption {
    fn from(released: Released) -> Self {
        let Released { socket, unread, compression, streaming, state } = released;
        let mut adoption = Self::upgraded(socket).leftover(unread).streaming(streaming);
        (adoption.parts.compression, adoption.parts.state) = (compression, state);
        adoption
    }
}

/// Why a connection was not released. If it had not ended it goes on as if nothing had been asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReleaseError {
    /// It has ended, or one side has begun to close it, or the worker has ended.
    Ended,
    /// It is being released already.
    Releasing,
    /// It did not become quiet within [`Config::send_timeout`](crate::Config::send_timeout), or
    /// never will.
    NotQuiet(NotQuiet),
}

/// What there is of a connection that cannot be given away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotQuiet {
    /// A message or a frame has begun to arrive, and has not ended.
    Receiving,
    /// The handler has sent a fragment of a message, and not the last one.
    Sending,
    /// Bytes were sent that the peer does not take.
    Unsent,
    /// The peer has compressed messages, and may refer to them in later ones: a window cannot be
    /// given away. Where the handshake agrees on `client_no_context_takeover` there is none
    /// ([`Compression::shared`]).
    Window,
}

impl fmt::Display for ReleaseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Ended => "the connection has ended",
            Self::Releasing => "the connection is being released already",
            Self::NotQuiet(NotQuiet::Receiving) => "a message is arriving",
            Self::NotQuiet(NotQuiet::Sending) => "a message is being sent in fragments",
            Self::NotQuiet(NotQuiet::Unsent) => "the peer does not take what was sent",
            Self::NotQuiet(NotQuiet::Window) => "the peer's compression remembers its messages",
        })
    }
}

impl Error for ReleaseError {}

/// Whom to tell what has become of a release: once, also where nobody else does.
pub(crate) struct Done(Option<Box<Call>>);

/// Called on the worker's thread.
type Call = dyn FnOnce(Result<Released, ReleaseError>) + Send;

impl Done {
    pub(crate) fn new(done: impl FnOnce(Result<Released, ReleaseError>) + Send + 'static) -> Self {
        Self(Some(Box::new(done)))
    }

    pub(crate) fn tell(mut self, result: Result<Released, ReleaseError>) {
        if let Some(done) = self.0.take() {
            done(result);
        }
    }

    /// Tells nobody: who asked knows.
    pub(crate) fn forget(mut self) {
        self.0 = None;
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        if let Some(done) = self.0.take() {
            done(Err(ReleaseError::Ended));
        }
    }
}

impl fmt::Debug for Done {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Done").finish_non_exhaustive()
    }
}
