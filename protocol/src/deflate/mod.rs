//! `permessage-deflate` (RFC 7692), both roles, without I/O.
//!
//! ```text
//! server                                        client
//!
//! Request::extensions ─► negotiate ─► Agreed    Offer ─► offer_header ─► ClientRequest
//! Agreed::response_header ─► Accept             Accepted::extensions ─► accept ─► Agreed
//!
//! message ─► Compressor ─► payload of frames, the first of which bears RSV1
//! payload of such frames ─► Decompressor ─► pieces of the message, each as it comes
//! ```
//!
//! [`negotiate`] and [`accept`] are pure functions. An [`Agreed`] says what a [`Compressor`] is
//! made for and which direction forgets its window after each message. A [`Pool`] keeps the
//! memory of both, which is large: see [`Compressor::new`] and [`Decompressor`].
//!
//! # What a peer is told
//!
//! - An offer with a parameter that is unknown, repeated or out of range is declined: the next one
//!   counts, or the connection opens without compression. So is one that limits the server's
//!   window to 8 bits, for which there is no compressor.
//! - An answer with such a parameter, or beyond the offer, fails the handshake of the client:
//!   [`NegotiationError`].
//! - RSV1 without agreement, on a control frame or on a later fragment is answered with 1002: the
//!   frame is wrong whatever it carries (RFC 6455 section 5.2, RFC 7692 section 6.1).
//! - A payload that is not DEFLATE, or is cut short, is answered with 1007. RFC 7692 names no code.
//!   The frames are right, and RFC 6455 section 7.4.1 has this one for "data within a message that
//!   was not consistent with the type of the message", as text is that is not UTF-8.
//! - What becomes larger than [`Limits`](crate::Limits) allow, or too dense ([`Bounds`]), is
//!   answered with 1009, at the byte.
//! - A reference beyond the window that was agreed on is read: see [`Decompressor`].

mod compressor;
mod decompressor;
mod halves;
mod negotiation;
mod offer;
mod parameters;
mod pool;
#[cfg(test)]
mod tests;

pub use compressor::{CompressError, Compressor, Settings};
pub(crate) use decompressor::Flow;
pub use decompressor::{Bounds, DecompressError, Decompressor};
pub(crate) use halves::{Deflating, Inflating, streamed_max};
pub use negotiation::{Agreed, Policy, negotiate};
pub use offer::{NegotiationError, Offer, accept};
pub use parameters::ParameterError;
pub use pool::Pool;

/// What every compressed message ends in, and what is not sent: length and its complement of an
/// empty block without compression.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
