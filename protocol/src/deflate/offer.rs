//! What a client offers, and what it makes of the server's answer (RFC 7692 section 7.1).

use alloc::string::{String, ToString};
use core::fmt;

use super::parameters::{Bits, NAME, Parameters};
use super::{Agreed, ParameterError};
use crate::handshake::Extension;

/// A client's offer of `permessage-deflate`.
///
/// ```
/// use ringwire_protocol::deflate::Offer;
///
/// let header = Offer::default().offer_header();
/// assert_eq!(header, "permessage-deflate; client_max_window_bits");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Whether the server is asked to forget its window after each message.
    pub server_no_context_takeover: bool,
    /// Whether this side forgets its window after each message, whatever the answer.
    pub client_no_context_takeover: bool,
    /// The largest window that the server is asked to use, 9 to 15; `None` does not ask.
    pub server_max_window_bits: Option<u8>,
    /// The largest window that this side uses, 9 to 15, offered without a value where it is 15;
    /// `None` does not let the server choose a smaller one.
    pub client_max_window_bits: Option<u8>,
}

impl Default for Offer {
    /// Asks for nothing, and lets the server limit this side's window.
    fn default() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: None,
            client_max_window_bits: Some(15),
        }
    }
}

impl Offer {
    /// The client's `Sec-WebSocket-Extensions`, for
    /// [`ClientRequest`](crate::handshake::ClientRequest).
    #[must_use]
    pub fn offer_header(&self) -> String {
        let client_max_window_bits = match self.client_bits() {
            None => Bits::Absent,
            Some(15) => Bits::Bare,
            Some(bits) => Bits::Value(bits),
        };
        Parameters {
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
            server_max_window_bits: self.server_bits(),
            client_max_window_bits,
        }
        .to_string()
    }

    fn server_bits(&self) -> Option<u8> {
        self.server_max_window_bits.map(|bits| bits.clamp(9, 15))
    }

    fn client_bits(&self) -> Option<u8> {
        self.client_max_window_bits.map(|bits| bits.clamp(9, 15))
    }
}

/// Checks the server's answer to `offer`. `None` says that the server declined it.
///
/// Extensions of other names are passed over.
///
/// # Errors
///
/// [`NegotiationError`]: the client must _Fail the WebSocket Connection_.
pub fn accept<'a>(
    mut response: impl Iterator<Item = Extension<'a>>,
    offer: &Offer,
) -> Result<Option<Agreed>, NegotiationError> {
    let Some(extension) = response.by_ref().find(|extension| extension.name == NAME) else {
        return Ok(None);
    };
    if response.any(|extension| extension.name == NAME) {
        return Err(NegotiationError::Twice);
    }
    let answer = Parameters::parse(&extension).map_err(NegotiationError::Parameter)?;
    if offer.server_no_context_takeover && !answer.server_no_context_takeover {
        return Err(NegotiationError::ServerContextTakeover);
    }
    // The server may limit its own window unasked, but not pass over the limit asked for.
    let limit = offer.server_bits();
    if limit.is_some_and(|limit| answer.server_max_window_bits.is_none_or(|bits| bits > limit)) {
        return Err(NegotiationError::ServerWindow);
    }
    let client_max_window_bits = match (answer.client_max_window_bits, offer.client_bits()) {
        // Without an answer the offer still binds this side, which has promised it.
        (Bits::Absent, offered) => offered.filter(|&bits| bits < 15),
        (Bits::Bare, _) => return Err(NegotiationError::Parameter(ParameterError::Value)),
        (Bits::Value(_), None) => return Err(NegotiationError::ClientWindow),
        (Bits::Value(bits), Some(offered)) if bits > offered => {
            return Err(NegotiationError::ClientWindow);
        }
        (Bits::Value(bits), Some(_)) => Some(bits),
    };
    Ok(Some(Agreed {
        server_no_context_takeover: answer.server_no_context_takeover,
        client_no_context_takeover: answer.client_no_context_takeover
            || offer.client_no_context_takeover,
        server_max_window_bits: answer.server_max_window_bits,
        client_max_window_bits,
    }))
}

/// What is wrong with a server's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NegotiationError {
    /// The extension stands in it twice, for one offer.
    Twice,
    /// A parameter is unknown, repeated or invalid.
    Parameter(ParameterError),
    /// The server was asked to forget its window and does not say that it will.
    ServerContextTakeover,
    /// The server was asked to limit its window and says nothing, or more.
    ServerWindow,
    /// The server limits a window of the client that it was not offered, or to more than that.
    ClientWindow,
}

impl fmt::Display for NegotiationError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Twice => "permessage-deflate is accepted twice",
            Self::Parameter(error) => return error.fmt(formatter),
            Self::ServerContextTakeover => "the server does not give up its context takeover",
            Self::ServerWindow => "the server does not limit its window as asked",
            Self::ClientWindow => "the server limits the client's window beyond the offer",
        })
    }
}

impl core::error::Error for NegotiationError {}
