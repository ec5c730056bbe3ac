//! The handshake as a client sends it and checks its answer.

use alloc::vec::Vec;
use core::fmt;

use super::accept::check_extensions;
use super::extension::{Extension, extensions};
use super::headers::{Field, Headers, Only, TABLE, check_header, is_header_value, write_header};
use super::key::Key;
use super::list::token;
use super::subprotocol::has_duplicate;
use super::target::{is_authority, is_target_text};
use super::{Misuse, Refusal};

/// A client's request for a WebSocket, and the measure of the answer to it.
///
/// [`encode`](Self::encode) it, send that, find the end of the answer's head with
/// [`Head::response`](super::Head::response), and [`verify`](Self::verify) the head.
///
/// ```
/// use ringwire_protocol::handshake::ClientRequest;
///
/// // Real keys are 16 random bytes, new for every connection.
/// let request = ClientRequest::new("example.com", "/chat", *b"the sample nonce");
/// let mut out = Vec::new();
/// request.encode(&mut out)?;
/// let answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
///     Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
/// assert_eq!(request.verify(answer)?.subprotocol(), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientRequest<'a> {
    /// The server's host, and its port unless it is the default of the scheme.
    pub host: &'a str,
    /// Path and query; starts with `/`.
    pub target: &'a str,
    /// Random bytes, new for every connection (RFC 6455 section 4.1, item 7).
    pub key: [u8; 16],
    /// Subprotocols to offer, the preferred one first.
    pub subprotocols: &'a [&'a str],
    /// The value of `Sec-WebSocket-Extensions`, the preferred offer first.
    pub extensions: Option<&'a str>,
    /// The origin, which browsers must send and others may.
    pub origin: Option<&'a str>,
    /// Further headers, such as `Authorization`; none that the handshake writes itself.
    pub headers: &'a [(&'a str, &'a str)],
}

impl<'a> ClientRequest<'a> {
    /// A request that offers nothing.
    #[must_use]
    pub const fn new(host: &'a str, target: &'a str, key: [u8; 16]) -> Self {
        Self { host, target, key, subprotocols: &[], extensions: None, origin: None, headers: &[] }
    }

    /// Appends the request to `out`.
    ///
    /// # Errors
    ///
    /// A [`Misuse`] if a part is malformed or a header is not the caller's. Then `out` is as
    /// it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), Misuse> {
        self.check()?;
        out.extend_from_slice(b"GET ");
        out.extend_from_slice(self.target.as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        write_header(out, "Host", self.host.as_bytes());
        out.extend_from_slice(b"Upgrade: websocket\r\nConnection: Upgrade\r\n");
        write_header(out, "Sec-WebSocket-Key", Key::new(self.key).as_bytes());
        out.extend_from_slice(b"Sec-WebSocket-Version: 13\r\n");
        if !self.subprotocols.is_empty() {
            write_header(out, "Sec-WebSocket-Protocol", self.subprotocols.join(", ").as_bytes());
        }
        if let Some(extensions) = self.extensions {
            write_header(out, "Sec-WebSocket-Extensions", extensions.as_bytes());
        }
        if let Some(origin) = self.origin {
            write_header(out, "Origin", origin.as_bytes());
        }
        for (name, value) in self.headers {
            write_header(out, name, value.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Checks the head of the server's answer (RFC 6455 section 4.1).
    ///
    /// # Errors
    ///
    /// The first requirement that is not met. The connection is then to be closed.
    pub fn verify<'h>(&self, head: &'h [u8]) -> Result<Accepted<'h>, HandshakeError> {
        let headers = parse_answer(head)?;
        //= RFC 6455 4.1: If the response lacks an |Upgrade| header field or the |Upgrade| header
        //= field contains a value that is not an ASCII case-insensitive match for
        //= the value "websocket", the client MUST _Fail the WebSocket Connection_.
        match headers.only(Field::Upgrade) {
            Only::Once(value) if value.eq_ignore_ascii_case(b"websocket") => {}
            Only::Once(_) | Only::Missing | Only::Duplicate => return Err(HandshakeError::Upgrade),
        }
        if !headers.list_contains(Field::Connection, "upgrade") {
            return Err(HandshakeError::Connection);
        }
        //= RFC 6455 4.1: but ignoring any leading and trailing whitespace
        match headers.only(Field::Accept) {
            Only::Once(value) if value == Key::new(self.key).accept() => {}
            Only::Once(_) => return Err(HandshakeError::AcceptWrong),
            Only::Missing => return Err(HandshakeError::AcceptMissing),
            //= RFC 6455 11.3.3: The |Sec-WebSocket-Accept| header MUST NOT appear more than once in
            //= an HTTP response.
            Only::Duplicate => return Err(HandshakeError::AcceptDuplicate),
        }
        let subprotocol = self.verify_subprotocol(&headers)?;
        self.verify_extensions(&headers)?;
        Ok(Accepted { subprotocol, headers })
    }

    fn check(&self) -> Result<(), Misuse> {
        if !is_authority(self.host) {
            return Err(Misuse::Host);
        }
        if !self.target.starts_with('/') || !is_target_text(self.target) {
            return Err(Misuse::Target);
        }
        if self.subprotocols.iter().any(|name| token(name.as_bytes()).is_none()) {
            return Err(Misuse::SubprotocolMalformed);
        }
        if has_duplicate(&mut self.subprotocols.to_vec()) {
            return Err(Misuse::SubprotocolDuplicate);
        }
        if let Some(extensions) = self.extensions {
            let _names = check_extensions(extensions)?;
        }
        if !self.origin.is_none_or(is_header_value) {
            return Err(Misuse::HeaderValue);
        }
        self.headers.iter().try_for_each(|(name, value)| check_header(name, value, &RESERVED))
    }

    fn verify_subprotocol<'h>(
        &self,
        headers: &Headers<'h>,
    ) -> Result<Option<&'h str>, HandshakeError> {
        let chosen = match headers.only(Field::Protocol) {
            Only::Missing => return Ok(None),
            Only::Once(value) => token(value),
            //= RFC 6455 11.3.4: the |Sec-WebSocket-Protocol| header field MUST NOT appear more than
            //= once in an HTTP response.
            Only::Duplicate => return Err(HandshakeError::SubprotocolDuplicate),
        };
        //= RFC 6455 4.1: (the server has indicated a subprotocol not requested by the client), the
        //= client MUST _Fail the WebSocket Connection_.
        match chosen {
            Some(chosen) if self.subprotocols.contains(&chosen) => Ok(Some(chosen)),
            Some(_) | None => Err(HandshakeError::SubprotocolNotOffered),
        }
    }

    /// Only the names: whether the parameters answer the offer is for the extension to say.
    fn verify_extensions(&self, headers: &Headers<'_>) -> Result<(), HandshakeError> {
        let offered =
            || extensions(self.extensions.map(str::as_bytes).into_iter()).map_while(Result::ok);
        for extension in extensions(headers.values(Field::Extensions)) {
            let extension = extension.map_err(|_| HandshakeError::ExtensionsMalformed)?;
            //= RFC 6455 4.1: (the server has indicated an extension not requested by the client),
            //= the client MUST _Fail the WebSocket Connection_.
            if !offered().any(|offer| offer.name == extension.name) {
                return Err(HandshakeError::ExtensionNotOffered);
            }
        }
        Ok(())
    }
}

/// A server's answer that opens the WebSocket, made by [`ClientRequest::verify`] alone.
#[derive(Clone, Debug)]
pub struct Accepted<'h> {
    subprotocol: Option<&'h str>,
    headers: Headers<'h>,
}

impl<'h> Accepted<'h> {
    /// The subprotocol the server has chosen among those offered.
    #[must_use]
    pub const fn subprotocol(&self) -> Option<&'h str> {
        self.subprotocol
    }

    /// The extensions the server has chosen; each name is one of those offered.
    pub fn extensions(&self) -> impl Iterator<Item = Extension<'h>> {
        extensions(self.headers.values(Field::Extensions)).map_while(Result::ok)
    }

    /// All header lines in their order.
    pub fn headers(&self) -> impl Iterator<Item = (&'h str, &'h [u8])> {
        self.headers.iter()
    }
}

/// Why a server's answer opens no WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HandshakeError {
    /// The head is no head of an HTTP/1.1 response, for this cause.
    Head(Refusal),
    /// The first line is no status line.
    StatusLine,
    /// The server answered with this status instead of 101: a redirect, a challenge or an error.
    Status(u16),
    /// `Upgrade` is not exactly `websocket`.
    Upgrade,
    /// `Connection` does not name `upgrade`.
    Connection,
    /// No `Sec-WebSocket-Accept`.
    AcceptMissing,
    /// More than one `Sec-WebSocket-Accept`.
    AcceptDuplicate,
    /// The `Sec-WebSocket-Accept` does not answer the key.
    AcceptWrong,
    /// More than one `Sec-WebSocket-Protocol`.
    SubprotocolDuplicate,
    /// The subprotocol chosen is not one of those offered.
    SubprotocolNotOffered,
    /// `Sec-WebSocket-Extensions` breaks the grammar of RFC 6455 section 9.1.
    ExtensionsMalformed,
    /// An extension chosen is not one of those offered.
    ExtensionNotOffered,
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Head(refusal) => return fmt::Display::fmt(refusal, f),
            Self::Status(status) => return write!(f, "The server answered with status {status}"),
            Self::StatusLine => "The status line is malformed",
            Self::Upgrade => "The Upgrade header is not websocket",
            Self::Connection => "The Connection header does not name upgrade",
            Self::AcceptMissing => "The Sec-WebSocket-Accept header is missing",
            Self::AcceptDuplicate => "There is more than one Sec-WebSocket-Accept header",
            Self::AcceptWrong => "The Sec-WebSocket-Accept header does not answer the key",
            Self::SubprotocolDuplicate => "There is more than one Sec-WebSocket-Protocol header",
            Self::SubprotocolNotOffered => "The subprotocol was not offered",
            Self::ExtensionsMalformed => "The Sec-WebSocket-Extensions header is malformed",
            Self::ExtensionNotOffered => "An extension was not offered",
        })
    }
}

impl core::error::Error for HandshakeError {}

impl From<Refusal> for HandshakeError {
    fn from(refusal: Refusal) -> Self {
        Self::Head(refusal)
    }
}

/// The headers of an answer with status 101.
fn parse_answer(head: &[u8]) -> Result<Headers<'_>, HandshakeError> {
    let mut table = TABLE;
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    match config.parse_response_with_uninit_headers(&mut parsed, head, &mut table) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(Refusal::HeadIncomplete.into()),
        Err(error) => return Err(error_of(error)),
    }
    //= RFC 6455 4.1: If the status code received from the server is not 101, the client handles the
    //= response per HTTP [RFC2616] procedures.
    match (parsed.version, parsed.code) {
        (_, Some(status)) if status != 101 => Err(HandshakeError::Status(status)),
        (Some(1), Some(_)) => Ok(Headers::new(head, parsed.headers)),
        (_, _) => Err(Refusal::VersionNotSupported.into()),
    }
}

fn error_of(error: httparse::Error) -> HandshakeError {
    match error {
        httparse::Error::TooManyHeaders => Refusal::TooManyHeaders.into(),
        httparse::Error::HeaderName | httparse::Error::HeaderValue => {
            Refusal::HeaderMalformed.into()
        }
        httparse::Error::Version => Refusal::VersionNotSupported.into(),
        httparse::Error::Token | httparse::Error::NewLine | httparse::Error::Status => {
            HandshakeError::StatusLine
        }
    }
}

/// The headers that the handshake writes, or that would announce content.
const RESERVED: [&str; 12] = [
    "Host",
    "Upgrade",
    "Connection",
    "Origin",
    "Content-Length",
    "Transfer-Encoding",
    "Trailer",
    "Sec-WebSocket-Accept",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Version",
];
