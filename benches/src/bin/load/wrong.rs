//! What a server can do wrong.

use std::{fmt, io};

use ringwire_protocol::Violation;
use ringwire_protocol::handshake::{HandshakeError, Refusal};

/// Why a run ends before its time.
#[derive(Debug)]
pub(crate) enum Wrong {
    /// The byte at this place of the echo is another than what was sent.
    Byte { at: usize },
    /// The echo ends here, and should not; or it goes on.
    Size { at: usize },
    /// A text came back as binary, or the other way round; or as what it should not.
    Kind,
    /// More has come back than was sent.
    Unasked,
    /// A frame breaks the protocol.
    Violation(Violation),
    /// A fragment of no message, or a message within one.
    Fragment,
    /// A message that was to be number `expected` says that it is another.
    Number { expected: u64, got: u64 },
    /// The server has closed, or its connection has ended.
    Gone,
    /// Nothing has come for too long, and so many messages are missing.
    Silence { missing: u64 },
    /// The answer to a handshake opens nothing.
    Handshake(HandshakeError),
    /// The connection failed.
    Io(io::Error),
}

impl fmt::Display for Wrong {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Byte { at } => write!(formatter, "byte {at} of a message is wrong"),
            Self::Size { at } => write!(formatter, "a message has not the size: {at} bytes"),
            Self::Kind => formatter.write_str("a message is of the wrong kind"),
            Self::Unasked => formatter.write_str("more came back than was sent"),
            Self::Violation(violation) => write!(formatter, "{violation}"),
            Self::Fragment => formatter.write_str("a fragment is out of place"),
            Self::Number { expected, got } => {
                write!(formatter, "message {got} came where {expected} was to come")
            }
            Self::Gone => formatter.write_str("the server has gone"),
            Self::Silence { missing } => write!(formatter, "{missing} messages are missing"),
            Self::Handshake(error) => write!(formatter, "{error}"),
            Self::Io(error) => write!(formatter, "{error}"),
        }
    }
}

impl std::error::Error for Wrong {}

impl From<Violation> for Wrong {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

impl From<HandshakeError> for Wrong {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(error)
    }
}

impl From<Refusal> for Wrong {
    fn from(refusal: Refusal) -> Self {
        Self::Handshake(refusal.into())
    }
}

impl From<io::Error> for Wrong {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
