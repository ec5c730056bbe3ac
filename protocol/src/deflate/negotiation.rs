//! What a server makes of a client's offers (RFC 7692 section 7.1).

use alloc::string::{String, ToString};

use super::Settings;
use super::parameters::{Bits, NAME, Parameters};
use crate::frame::Role;
use crate::handshake::Extension;

/// What a server wants of `permessage-deflate`.
///
/// ```
/// use ringwire_protocol::deflate::Policy;
///
/// // No state is kept between messages, so that one pool serves all connections of a thread.
/// let shared = Policy::default().shared();
/// assert!(shared.server_no_context_takeover && shared.client_no_context_takeover);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The largest window that this side compresses with, 9 to 15.
    pub server_max_window_bits: u8,
    /// The largest window that the client is asked to compress with, 9 to 15. A client that does
    /// not offer to limit it cannot be asked, and uses 15.
    pub client_max_window_bits: u8,
    /// Whether this side forgets its window after each message, also where the client does not ask.
    pub server_no_context_takeover: bool,
    /// Whether the client is told to forget its window after each message.
    pub client_no_context_takeover: bool,
    /// 1 to 9, see [`Settings::memory_level`].
    pub memory_level: u8,
    /// 0 to 9, see [`Settings::level`].
    pub level: u8,
    /// Messages of fewer bytes go out uncompressed: they gain nothing.
    pub size_min: usize,
}

impl Default for Policy {
    /// zlib's own defaults, but level 1: the next ones cost time in proportion, and give little on
    /// the short messages that most are.
    fn default() -> Self {
        Self {
            server_max_window_bits: 15,
            client_max_window_bits: 15,
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            memory_level: 8,
            level: 1,
            size_min: 128,
        }
    }
}

impl Policy {
    /// The same without takeover in either direction: a connection holds no window between two
    /// messages.
    #[must_use]
    pub const fn shared(mut self) -> Self {
        self.server_no_context_takeover = true;
        self.client_no_context_takeover = true;
        self
    }

    /// What the compressor of a `role` is made for.
    #[must_use]
    pub fn settings(&self, agreed: &Agreed, role: Role) -> Settings {
        Settings {
            window_bits: match role {
                Role::Server => agreed.server_bits(),
                Role::Client => agreed.client_bits(),
            },
            memory_level: self.memory_level.clamp(1, 9),
            level: self.level.min(9),
        }
    }

    fn server_bits(&self) -> u8 {
        self.server_max_window_bits.clamp(9, 15)
    }
}

/// What both sides hold to for the life of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Agreed {
    /// The server starts each message with an empty window.
    pub server_no_context_takeover: bool,
    /// The client starts each message with an empty window.
    pub client_no_context_takeover: bool,
    /// The limit of the server's window, where one was stated.
    pub server_max_window_bits: Option<u8>,
    /// The limit of the client's window, where one was stated.
    pub client_max_window_bits: Option<u8>,
}

impl Agreed {
    /// Whether a `role` goes on with its window from message to message.
    #[must_use]
    pub const fn takeover(&self, role: Role) -> bool {
        match role {
            Role::Server => !self.server_no_context_takeover,
            Role::Client => !self.client_no_context_takeover,
        }
    }

    /// The base-two logarithm of the largest window of the server, 8 to 15.
    #[must_use]
    pub fn server_bits(&self) -> u8 {
        self.server_max_window_bits.unwrap_or(15)
    }

    /// The base-two logarithm of the largest window of the client, 8 to 15. With 8 the client
    /// cannot compress here, since there is no such [`Compressor`](super::Compressor), and sends
    /// uncompressed, which RFC 7692 section 6 leaves to it.
    #[must_use]
    pub fn client_bits(&self) -> u8 {
        self.client_max_window_bits.unwrap_or(15)
    }

    /// The server's `Sec-WebSocket-Extensions`, for [`Accept`](crate::handshake::Accept).
    #[must_use]
    pub fn response_header(&self) -> String {
        Parameters {
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
            server_max_window_bits: self.server_max_window_bits,
            client_max_window_bits: self.client_max_window_bits.map_or(Bits::Absent, Bits::Value),
        }
        .to_string()
    }
}

/// Takes the first acceptable one of a client's offers, which come in its order of preference.
///
/// `None` where none is: then the connection goes on without compression.
///
/// ```
/// use ringwire_protocol::deflate::{Policy, negotiate};
/// use ringwire_protocol::handshake::Request;
///
/// let head = b"GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Extensions: permessage-deflate; \
///     client_max_window_bits; server_max_window_bits=10\r\n\r\n";
/// let request = Request::parse(head)?;
/// let agreed = negotiate(request.extensions(), &Policy::default()).ok_or("declined")?;
/// assert_eq!(agreed.response_header(), "permessage-deflate; server_max_window_bits=10");
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub fn negotiate<'a>(
    offers: impl Iterator<Item = Extension<'a>>,
    policy: &Policy,
) -> Option<Agreed> {
    let mut offers = offers.filter(|offer| offer.name == NAME);
    offers.find_map(|offer| {
        // An offer with an unknown, repeated or invalid parameter is declined; the next one may
        // be there for just this case (RFC 7692 section 5.1).
        let offered = Parameters::parse(&offer).ok()?;
        answer(&offered, policy)
    })
}

/// The answer to one valid offer.
fn answer(offered: &Parameters, policy: &Policy) -> Option<Agreed> {
    let server_cap = policy.server_bits();
    let server_max_window_bits = match offered.server_max_window_bits {
        // The answer must hold the same or a smaller value, and zlib has no compressor for 8.
        Some(8) => return None,
        // Stated also where it is 15: that is how the limit is accepted.
        Some(bits) => Some(bits.min(server_cap)),
        None => (server_cap < 15).then_some(server_cap),
    };
    let client_cap = policy.client_max_window_bits.clamp(9, 15);
    let client_bits = match offered.client_max_window_bits {
        // A client that does not offer to limit its window must not be told to.
        Bits::Absent => 15,
        Bits::Bare => client_cap,
        // 8 is fine here: it is the client that compresses, and any window is read.
        Bits::Value(bits) => bits.min(client_cap),
    };
    Some(Agreed {
        server_no_context_takeover: offered.server_no_context_takeover
            || policy.server_no_context_takeover,
        // The client hints that it does without; to say so lets both forget the window.
        client_no_context_takeover: offered.client_no_context_takeover
            || policy.client_no_context_takeover,
        server_max_window_bits,
        client_max_window_bits: (client_bits < 15).then_some(client_bits),
    })
}
