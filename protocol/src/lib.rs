//! WebSocket (RFC 6455) without I/O: no sockets, no clock, no randomness, no threads. `no_std` with
//! `alloc`; both roles.
//!
//! ```text
//!                read bytes                                        written bytes
//!                    │                                                   ▲
//!                    ▼                                                   │
//!  handshake: Head ─▶ Request ─▶ upgrade ─▶ the caller decides ─▶ Accept, Response
//!                    │                                                   ▲
//!                    ▼                                                   │
//!  Receiver: header ─▶ unmask in place ─▶ UTF-8 ─▶ assemble       Sender: header, payload
//!                    │                    │                              ▲
//!                    │                    └── pong, close, fail ─────────┤
//!                    ▼                                                   │
//!                  Event  ─────────────▶ the caller ─────────────────────┘
//! ```
//!
//! The caller brings bytes in and out. It reads, finds the end of the head with
//! [`handshake::Head`], answers the request, and from then on pulls events from a [`Receiver`] and
//! sends with a [`Sender`]. Both halves are separate values, because a caller sends while it holds
//! an event. What the connections of one thread share is a [`Workspace`].
//!
//! | module | what it holds |
//! |---|---|
//! | [`handshake`] | the opening handshake: requests, answers, refusals, the client's side |
//! | [`frame`] | opcodes, headers, close payloads: pure functions |
//! | [`mask`] | masking, one file per instruction set |
//! | [`utf8`] | validation that may stop and go on anywhere, one file per instruction set |
//! | [`deflate`] | `permessage-deflate` (RFC 7692): negotiation, compressor, decompressor |
//! | `copy` | of what may be large |
//! | `message`, `pieces` | fragments put together, or handed over in chunks, within limits |
//! | `receiver`, `sender` | the two halves |
//! | `prepared` | one message for many connections |
//! | `closing` | the closing handshake as one state machine |
//! | `event`, `error`, `limits`, `workspace` | what passes between the caller and the halves |
//! | `shelf` | large buffers between two messages |
//! | `traffic` | what is counted of it |
//!
//! # A server
//!
//! All of one that blocks, for who wants no engine: `cargo run --example blocking`.
//!
#![doc = concat!("```no_run\n", include_str!("../examples/blocking.rs"), "```")]
#![cfg_attr(not(any(feature = "std", test)), no_std)]

extern crate alloc;

mod closing;
mod copy;
pub mod deflate;
mod error;
mod event;
pub mod frame;
pub mod handshake;
mod limits;
pub mod mask;
mod message;
mod pieces;
mod prepared;
mod receiver;
mod sender;
mod shelf;
mod traffic;
pub mod utf8;
mod workspace;

pub use closing::Closing;
pub use error::{Misuse, Violation};
pub use event::{Chunk, Event, Message, Payload};
pub use frame::Role;
pub use frame::close::Close;
pub use limits::Limits;
pub use prepared::{Frame, Frames, Prepared, PreparedRun};
pub use receiver::{Burst, Receiver};
pub use sender::Sender;
pub use traffic::Traffic;
pub use workspace::Workspace;

#[cfg(test)]
mod tests;
