//! Why a connection ended.

use std::error::Error;
use std::fmt;
use std::io;

use ringwire_protocol::Violation;

/// Why a connection ended by anything but a clean closing handshake.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause {
    /// The peer violated the protocol, and was told so.
    Violation(Violation),
    /// The peer went away without a close frame.
    Gone,
    /// The system reported an error of this connection, as when the peer has reset it.
    Io(io::Error),
    /// The peer was too slow.
    TimeOut(TimeOut),
    /// The handler ended it.
    Terminated,
    /// The server was stopped, and the closing handshake took longer than the stop.
    Stopped,
}

/// What a peer took too long for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimeOut {
    /// To say anything after a ping ([`Config::pong_timeout`](crate::Config::pong_timeout)).
    Pong,
    /// To take any of what was sent ([`Config::send_timeout`](crate::Config::send_timeout)).
    Send,
    /// To answer a close frame ([`Config::close_timeout`](crate::Config::close_timeout)).
    Close,
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Violation(violation) => violation.fmt(formatter),
            Self::Gone => formatter.write_str("the peer went away without a close frame"),
            Self::Io(error) => error.fmt(formatter),
            Self::TimeOut(TimeOut::Pong) => formatter.write_str("the peer did not answer a ping"),
            Self::TimeOut(TimeOut::Send) => formatter.write_str("the peer took no data"),
            Self::TimeOut(TimeOut::Close) => formatter.write_str("the peer did not answer a close"),
            Self::Terminated => formatter.write_str("the handler ended the connection"),
            Self::Stopped => formatter.write_str("the server was stopped"),
        }
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Violation(violation) => Some(violation),
            Self::Io(error) => Some(error),
            Self::Gone | Self::TimeOut(_) | Self::Terminated | Self::Stopped => None,
        }
    }
}

/// The end of a connection, as the browser's API tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed<'a> {
    /// The code of the peer's close frame; 1005 where it had none, 1006 where none came.
    pub code: u16,
    /// The reason that it gave, or nothing.
    pub reason: &'a str,
    /// Whether both close frames passed.
    pub clean: bool,
}

impl Closed<'_> {
    /// The end without a closing handshake.
    pub(crate) const ABNORMAL: Self = Self { code: 1006, reason: "", clean: false };
}
