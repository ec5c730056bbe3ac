//! A connection of the simulation's, both ends of it.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

use crate::driver::{Bytes, Key};

/// Both ends of a connection.
#[derive(Debug)]
pub(crate) struct Socket {
    /// The peer's.
    pub(super) address: IpAddr,
    /// Sent by the peer, not yet received.
    pub(crate) inbound: VecDeque<u8>,
    /// The peer has ended its side.
    pub(crate) peer_ended: bool,
    /// The connection has been reset, or was lost otherwise.
    pub(crate) reset: bool,
    /// What the peer has received.
    pub(crate) outbound: Vec<u8>,
    /// Bytes that the peer still takes.
    pub(crate) window: usize,
    /// The peer makes room for at most so many bytes in each turn. Zero: only when the test says.
    pub(crate) trickle: usize,
    /// The server has ended its side: the peer has seen the end of the stream.
    pub(crate) ended: bool,
    /// The descriptor has been closed.
    pub(crate) closed: bool,
    /// The engine has been given the descriptor.
    pub(crate) accepted: bool,
    /// Both directions have been shut down.
    pub(super) shut: bool,
    /// Whose it is, once something has been received or sent.
    pub(super) key: Option<Key>,
    /// Armed.
    pub(super) receive: bool,
    /// It ends with the first piece.
    pub(super) once: bool,
    /// What it is to fill, and with how much, where it does not use the ring's buffers.
    pub(super) fill: Option<(Vec<u8>, usize)>,
    /// To be cancelled.
    pub(super) cancel: bool,
    pub(super) send: Option<Flight>,
    pub(super) untold: Untold,
    /// What stands for it above the seam, while the engine has it from another server.
    pub(super) pledge: Option<OwnedFd>,
}

/// A send.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) key: Key,
    pub(super) bytes: Bytes,
    pub(super) from: usize,
}

/// What the engine has begun and has not been told the end of. It may have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Untold {
    pub(crate) receive: bool,
    pub(crate) send: bool,
    pub(crate) cancel: bool,
}

impl Socket {
    /// A peer has connected, and takes everything.
    pub(super) const fn new(address: IpAddr) -> Self {
        Self {
            address,
            inbound: VecDeque::new(),
            peer_ended: false,
            reset: false,
            outbound: Vec::new(),
            window: usize::MAX,
            trickle: 0,
            ended: false,
            closed: false,
            accepted: false,
            shut: false,
            key: None,
            receive: false,
            once: false,
            fill: None,
            cancel: false,
            send: None,
            untold: Untold { receive: false, send: false, cancel: false },
            pledge: None,
        }
    }
}
