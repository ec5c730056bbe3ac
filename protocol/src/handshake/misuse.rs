//! What the caller got wrong about a message it wants written.

use core::fmt;

/// A message that the caller asked for and that must not be sent. Nothing has been written.
///
/// Each of these is a mistake on this side of the connection; the peer's mistakes are
/// [`Refusal`](super::Refusal) and [`HandshakeError`](super::HandshakeError).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Misuse {
    /// The name of a header is not a token.
    HeaderName,
    /// The value of a header holds a control character, such as a line break.
    HeaderValue,
    /// The header is one that this crate writes itself.
    HeaderReserved,
    /// The status is not one of 200 to 599, of which a final answer can be made.
    Status,
    /// The status is one whose answer has no content, and there is a body.
    BodyNotAllowed,
    /// The subprotocol is not one of those that the client offered.
    SubprotocolNotOffered,
    /// A subprotocol to offer is not a token.
    SubprotocolMalformed,
    /// A subprotocol is offered twice.
    SubprotocolDuplicate,
    /// The extensions are not a list as in RFC 6455 section 9.1.
    ExtensionsMalformed,
    /// An extension is not one of those that the client offered.
    ExtensionNotOffered,
    /// The host is not a host with an optional port.
    Host,
    /// The target is not in origin-form: a path that starts with `/`, and a query.
    Target,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HeaderName => "a header name is not a token",
            Self::HeaderValue => "a header value holds a control character",
            Self::HeaderReserved => "a header is reserved to the handshake",
            Self::Status => "the status is not one of 200 to 599",
            Self::BodyNotAllowed => "an answer with this status has no body",
            Self::SubprotocolNotOffered => "the subprotocol was not offered",
            Self::SubprotocolMalformed => "a subprotocol is not a token",
            Self::SubprotocolDuplicate => "a subprotocol is offered twice",
            Self::ExtensionsMalformed => "the extensions are not a well-formed list",
            Self::ExtensionNotOffered => "an extension was not offered",
            Self::Host => "the host is not a host with an optional port",
            Self::Target => "the target is not a path with an optional query",
        })
    }
}

impl core::error::Error for Misuse {}
