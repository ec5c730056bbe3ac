//! A request that has been found to be a correct WebSocket handshake.

use super::extension::extensions;
use super::headers::{Field, Only};
use super::key::Key;
use super::subprotocol::check_subprotocols;
use super::{Refusal, Request};

/// A correct handshake, made by [`Request::upgrade`] alone: what an
/// [`Accept`](super::Accept) answers.
#[derive(Clone, Copy, Debug)]
pub struct Upgrade<'r, 'a> {
    request: &'r Request<'a>,
    key: Key,
}

impl<'r, 'a> Upgrade<'r, 'a> {
    /// The request.
    #[must_use]
    pub const fn request(&self) -> &'r Request<'a> {
        self.request
    }

    /// Checks the requirements of RFC 6455 section 4.2.1 in its order, but for the version:
    /// another version may have another key.
    pub(super) fn check(request: &'r Request<'a>) -> Result<Self, Refusal> {
        if request.method() != "GET" {
            return Err(Refusal::MethodNotGet);
        }
        if !request.has_target() {
            return Err(Refusal::TargetMalformed);
        }
        let headers = request.table();
        //= RFC 6455 4.2.1: An |Upgrade| header field containing the value "websocket", treated
        //= as an ASCII case-insensitive value.
        if !headers.list_contains(Field::Upgrade, "websocket") {
            return Err(Refusal::UpgradeMissing);
        }
        //= RFC 6455 4.2.1: A |Connection| header field that includes the token "Upgrade",
        //= treated as an ASCII case-insensitive value.
        if !headers.list_contains(Field::Connection, "upgrade") {
            return Err(Refusal::ConnectionMissing);
        }
        //= RFC 6455 4.2.1: A |Sec-WebSocket-Version| header field, with a value of 13.
        match headers.only(Field::Version) {
            Only::Once(b"13") => {}
            Only::Missing | Only::Once(_) => return Err(Refusal::WebSocketVersion),
            Only::Duplicate => return Err(Refusal::WebSocketVersionDuplicate),
        }
        //= RFC 6455 11.3.1: The |Sec-WebSocket-Key| header field MUST NOT appear more than once
        //= in an HTTP request.
        let key = match headers.only(Field::Key) {
            Only::Once(value) => Key::parse(value).ok_or(Refusal::KeyMalformed)?,
            Only::Missing => return Err(Refusal::KeyMissing),
            Only::Duplicate => return Err(Refusal::KeyDuplicate),
        };
        if !headers.only(Field::Protocol).is_missing() {
            check_subprotocols(headers.values(Field::Protocol))?;
        }
        if !headers.only(Field::Extensions).is_missing() {
            check_extensions(headers.values(Field::Extensions))?;
        }
        Ok(Self { request, key })
    }

    pub(super) const fn key(&self) -> &Key {
        &self.key
    }
}

impl<'a> Request<'a> {
    /// Checks the request as a WebSocket handshake (RFC 6455 section 4.2.1).
    ///
    /// `Ok(None)` is a plain GET or HEAD that asks for no WebSocket, for the caller to answer
    /// with a [`Response`](super::Response).
    ///
    /// # Errors
    ///
    /// The [`Refusal`] of the first requirement that is not met, or of a plain request with
    /// another method.
    pub fn upgrade(&self) -> Result<Option<Upgrade<'_, 'a>>, Refusal> {
        if self.is_upgrade() {
            return Upgrade::check(self).map(Some);
        }
        if !matches!(self.method(), "GET" | "HEAD") {
            return Err(Refusal::MethodNotAllowed);
        }
        if self.has_target() { Ok(None) } else { Err(Refusal::TargetMalformed) }
    }
}

/// Checks all lines of one head: one or more extensions.
fn check_extensions<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<(), Refusal> {
    let mut offers = extensions(values).peekable();
    if offers.peek().is_none() {
        return Err(Refusal::ExtensionsMalformed);
    }
    //= RFC 6455 9.1: If a value is received by either the client or the server during
    //= negotiation that does not conform to the ABNF below, the recipient of such
    //= malformed data MUST immediately _Fail the WebSocket Connection_.
    if offers.any(|offer| offer.is_err()) { Err(Refusal::ExtensionsMalformed) } else { Ok(()) }
}
