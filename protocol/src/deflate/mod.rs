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
pub use decompressor::{Bounds, DecompressError, Decompressor};
pub(crate) use halves::{Deflating, Inflating};
pub use negotiation::{Agreed, Policy, negotiate};
pub use offer::{NegotiationError, Offer, accept};
pub use parameters::ParameterError;
pub use pool::Pool;

/// What every compressed message ends in, and what is not sent: length and its complement of an
/// empty block without compression.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
