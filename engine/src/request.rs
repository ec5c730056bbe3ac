//! What a client asks for before there is a connection.

use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;

use ringwire_protocol::handshake;

/// A client's request: all of [`handshake::Request`], and where it came from.
pub struct Request<'a> {
    request: &'a handshake::Request<'a>,
    peer: &'a dyn Fn() -> Option<SocketAddr>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(
        request: &'a handshake::Request<'a>,
        peer: &'a dyn Fn() -> Option<SocketAddr>,
    ) -> Self {
        Self { request, peer }
    }

    /// The address of the peer. The system is asked for it at each call; `None` when the peer has
    /// gone already.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        (self.peer)()
    }
}

impl<'a> Deref for Request<'a> {
    type Target = handshake::Request<'a>;

    fn deref(&self) -> &Self::Target {
        self.request
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.request.fmt(formatter)
    }
}
