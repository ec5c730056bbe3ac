//! What the tests of the running engine share: a server in a thread, a handler that echoes and
//! tells what it saw, a client that writes any bytes, and adversaries with a neighbour.
//!
//! Everything is on the loopback, and every wait has an end ([`PATIENCE`]).

mod adversary;
mod bytes;
mod client;
mod echo;
mod host;
mod patience;
mod peer;
mod server;
mod wire;

pub use adversary::{Neighbor, answers, fails, writes};
pub use bytes::{
    BINARY, CLOSE, CONTINUATION, FIN, Frame, Length, PING, PONG, RSV1, RSV2, RSV3, TEXT, binary,
    close, frame, header, mask, message, noise, ping, pong, text,
};
pub use client::{Answer, Client, REQUEST};
pub use echo::{Echo, End, Event, ended};
pub use host::is_in_tokio_uring;
pub use patience::{PATIENCE, wait_until};
pub use peer::Peer;
pub use server::{TestServer, config};
pub use wire::{Direction, Passed, Traffic, Wire};
