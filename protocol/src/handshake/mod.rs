//! The opening handshake (RFC 6455 section 4), both roles, without I/O.
//!
//! ```text
//! server                                          client
//!
//! bytes ─► Head::scan ─► length of the head       ClientRequest::encode ─► bytes
//! head  ─► Request::parse ─► Request              bytes ─► Head::scan ─► length of the head
//!          Request::upgrade ─► Upgrade | plain    head  ─► ClientRequest::verify ─► Accepted
//! Upgrade + Accept::encode    ─► 101
//! plain   + Response::encode  ─► 200, 404, …
//! Refusal::response           ─► 400, 426, …
//! ```
//!
//! # Contract
//!
//! The caller gathers bytes until [`Head::scan`] returns a length, and passes exactly that many
//! to [`Request::parse`] or [`ClientRequest::verify`]; what follows them are frames already. A
//! [`Refusal`] is final: it is answered with its [`response`](Refusal::response) and the
//! connection ends. Nothing here reads a clock or makes random bytes: the time-out and the
//! client's key are the caller's.
//!
//! Whatever a peer sends costs time linear in its length, or, for the one check that sorts,
//! a logarithm more, and is bounded by [`Limits`].
//!
//! # Example
//!
//! ```
//! use ringwire_protocol::handshake::{Accept, Head, Limits, Request};
//!
//! let bytes = b"GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n\
//!     Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
//!     Sec-WebSocket-Version: 13\r\n\r\n";
//! let mut out = Vec::new();
//! let mut scan = Head::request();
//! if let Some(length) = scan.scan(bytes, &Limits::default())? {
//!     let request = Request::parse(&bytes[..length])?;
//!     if let Some(upgrade) = request.upgrade()? {
//!         Accept::default().encode(&upgrade, &mut out)?;
//!     }
//! }
//! assert!(out.starts_with(b"HTTP/1.1 101 Switching Protocols\r\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod accept;
mod client;
mod extension;
mod head;
mod headers;
mod key;
mod limits;
mod list;
mod misuse;
mod refusal;
mod request;
mod response;
mod subprotocol;
mod target;
#[cfg(test)]
mod tests;
mod upgrade;

pub use accept::Accept;
pub use client::{Accepted, ClientRequest, HandshakeError};
pub use extension::{Extension, Parameter};
pub use head::Head;
pub use limits::Limits;
pub use misuse::Misuse;
pub use refusal::Refusal;
pub use request::Request;
pub use response::Response;
pub use subprotocol::choose_subprotocol;
pub use upgrade::Upgrade;
