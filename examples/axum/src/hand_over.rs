//! From an upgrade of hyper's to a connection of the engine's.

use std::error::Error;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade;
use ringwire::{Adoption, Compression, Handle, NotAdopted};
use ringwire_protocol::deflate::{self, Agreed};
use ringwire_protocol::handshake::{self, Accept, Refusal, choose_subprotocol};
use tokio::net::TcpStream;
use tokio::time::sleep;

/// What the page speaks.
const SUBPROTOCOL: &str = "chat.v1";

/// How often a worker that is busy is asked again, and after how long.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// What a connection begins with.
type Negotiated = Option<(Agreed, Compression)>;

/// Answers a request for a WebSocket: with 101 and what was agreed on, or with a refusal.
///
/// The protocol parses heads as they come in, so it is given one: what hyper has made of the
/// request, written down again. So nothing that it is strict about is left out here.
pub(crate) fn answer(request: &Request) -> Result<(Response, Negotiated), handshake::Response> {
    let head = head(request);
    let (mut out, refuse) = (Vec::new(), |refusal: Refusal| refusal.response());
    let request = handshake::Request::parse(&head).map_err(refuse)?;
    if !is_own(&request) {
        return Err(handshake::Response::text(403, "The origin is not allowed.\n"));
    }
    let upgrade = request.upgrade().map_err(refuse)?;
    let upgrade = upgrade.ok_or_else(|| refuse(Refusal::UpgradeMissing))?;
    // What is said resembles what was said before: small windows, kept from message to message.
    let mut compression = Compression::dedicated();
    compression.policy.server_max_window_bits = 11;
    compression.policy.client_max_window_bits = 11;
    let agreed = deflate::negotiate(request.extensions(), &compression.policy);
    let extensions = agreed.as_ref().map(Agreed::response_header);
    let accept = Accept {
        subprotocol: choose_subprotocol(request.subprotocols(), &[SUBPROTOCOL]),
        extensions: extensions.as_deref(),
        ..Accept::default()
    };
    accept.encode(&upgrade, &mut out).map_err(|_misuse| handshake::Response::new(500))?;
    Ok((translate(&out), agreed.map(|agreed| (agreed, compression))))
}

/// Hands a connection over as soon as its 101 has left, with what was read behind the request.
pub(crate) async fn hand_over<S: Send + 'static>(
    upgrade: OnUpgrade,
    negotiated: Negotiated,
    state: S,
    handle: Handle,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let upgraded = upgrade.await?;
    let parts = upgrade::downcast::<TokioIo<TcpStream>>(upgraded)
        .map_err(|_| "the connection is none of TCP")?;
    let socket = parts.io.into_inner().into_std()?;
    let mut adoption = Adoption::upgraded(socket).leftover(parts.read_buf).state(state);
    if let Some((agreed, compression)) = negotiated {
        adoption = adoption.compression(agreed, compression);
    }
    for _ in 0..ATTEMPTS {
        match handle.adopt(adoption) {
            Ok(()) => return Ok(()),
            Err(error) if matches!(error.reason, NotAdopted::Full) => adoption = error.adoption,
            Err(error) => return Err(error.to_string().into()),
        }
        sleep(PAUSE).await;
    }
    Err("the engine is too busy".into())
}

/// The head of a request, as its client may have sent it.
fn head(request: &Request) -> Vec<u8> {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let start = format!("{} {target} {:?}\r\n", request.method(), request.version());
    let mut head = start.into_bytes();
    for (name, value) in request.headers() {
        head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    head.extend(b"\r\n");
    head
}

/// Whether the page that asks is of this server. The cookie goes along with no other site's, but
/// another port of this host counts as the same site.
fn is_own(request: &handshake::Request<'_>) -> bool {
    let origin = request.origin().map(str::from_utf8);
    // A client that is no browser has none.
    let Some(origin) = origin else { return true };
    let authority = origin.ok().and_then(|origin| origin.split_once("://")).map(|(_, it)| it);
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(request.host()))
}

/// A refusal, for hyper.
pub(crate) fn refused(response: &handshake::Response) -> Response {
    let mut out = Vec::new();
    match response.encode(&mut out) {
        Ok(()) => translate(&out),
        Err(_misuse) => plain(500),
    }
}

/// An answer that the protocol has written, for hyper, which writes its own.
fn translate(bytes: &[u8]) -> Response {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return plain(500) };
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.get(9..12)?.parse::<u16>().ok());
    let mut response = Response::builder().status(status.unwrap_or(500));
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        // Whether a connection goes on after an answer is up to hyper, but for an upgrade.
        if !name.eq_ignore_ascii_case("Connection") || status == Some(101) {
            response = response.header(name, value);
        }
    }
    response.body(Body::from(body.to_owned())).unwrap_or_else(|_| plain(500))
}

fn plain(status: u16) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = axum::http::StatusCode::from_u16(status).unwrap_or_default();
    response
}
