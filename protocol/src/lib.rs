//! WebSocket (RFC 6455) without I/O.
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

pub mod handshake;
pub mod mask;
pub mod utf8;
