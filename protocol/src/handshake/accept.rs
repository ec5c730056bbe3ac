//! The answer that opens a WebSocket.

use alloc::vec::Vec;

use super::extension::extensions;
use super::headers::{check_header, write_header};
use super::{Misuse, Upgrade};

/// What a server puts into its 101 answer, apart from what the handshake itself demands.
///
/// ```
/// use ringwire_protocol::handshake::{Accept, Request};
///
/// # let head = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
/// #     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
/// #     Sec-WebSocket-Protocol: chat\r\n\r\n";
/// let request = Request::parse(head)?;
/// let upgrade = request.upgrade()?.ok_or("a plain request")?;
/// let mut out = Vec::new();
/// Accept { subprotocol: Some("chat"), headers: &[("X-Node", "7")], ..Accept::default() }
///     .encode(&upgrade, &mut out)?;
/// assert!(out.ends_with(b"Sec-WebSocket-Protocol: chat\r\nX-Node: 7\r\n\r\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accept<'a> {
    /// One of the subprotocols offered, or none.
    pub subprotocol: Option<&'a str>,
    /// The value of `Sec-WebSocket-Extensions`: of the extensions offered, those in use.
    pub extensions: Option<&'a str>,
    /// Further headers, such as `Set-Cookie`; none that the handshake writes itself.
    pub headers: &'a [(&'a str, &'a str)],
}

impl Accept<'_> {
    /// Appends the answer to `upgrade` to `out`.
    ///
    /// # Errors
    ///
    /// A [`Misuse`] if the client did not offer what is chosen or a header is not allowed.
    /// Then `out` is as it was.
    pub fn encode(&self, upgrade: &Upgrade<'_, '_>, out: &mut Vec<u8>) -> Result<(), Misuse> {
        self.check(upgrade)?;
        out.reserve(SIZE);
        out.extend_from_slice(BEGINNING);
        out.extend_from_slice(&upgrade.key().accept());
        out.extend_from_slice(b"\r\n");
        if let Some(subprotocol) = self.subprotocol {
            write_header(out, "Sec-WebSocket-Protocol", subprotocol.as_bytes());
        }
        if let Some(extensions) = self.extensions {
            write_header(out, "Sec-WebSocket-Extensions", extensions.as_bytes());
        }
        for (name, value) in self.headers {
            write_header(out, name, value.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn check(&self, upgrade: &Upgrade<'_, '_>) -> Result<(), Misuse> {
        let request = upgrade.request();
        //= RFC 6455 4.2.2: Either a single value representing the subprotocol the server is ready
        //= to use or null. The value chosen MUST be derived from the client's
        //= handshake
        if let Some(chosen) = self.subprotocol
            && !request.subprotocols().any(|offered| offered == chosen)
        {
            return Err(Misuse::SubprotocolNotOffered);
        }
        if let Some(text) = self.extensions {
            let mut chosen = check_extensions(text)?;
            //= RFC 6455 9.1: A server MUST NOT respond with any extension not requested by the
            //= client.
            if !chosen.all(|name| request.extensions().any(|offered| offered.name == name)) {
                return Err(Misuse::ExtensionNotOffered);
            }
        }
        self.headers.iter().try_for_each(|(name, value)| check_header(name, value, &RESERVED))
    }
}

/// The names in a list of extensions, which is well-formed and not empty.
pub(super) fn check_extensions(text: &str) -> Result<impl Iterator<Item = &str>, Misuse> {
    let list = || extensions(core::iter::once(text.as_bytes()));
    let malformed = list().next().is_none() || list().any(|extension| extension.is_err());
    if malformed {
        return Err(Misuse::ExtensionsMalformed);
    }
    Ok(list().map_while(Result::ok).map(|extension| extension.name))
}

/// The answer up to the proof.
const BEGINNING: &[u8; 97] = b"HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ";

/// Bytes of an answer without anything that the caller chooses: the proof and two line ends follow.
const SIZE: usize = BEGINNING.len() + 28 + 4;

/// The headers that the handshake writes, or that would turn frames into content.
const RESERVED: [&str; 10] = [
    "Upgrade",
    "Connection",
    "Content-Length",
    "Transfer-Encoding",
    "Trailer",
    "Sec-WebSocket-Accept",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Version",
];
