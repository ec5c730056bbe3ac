//! Another server beside the simulated one: it accepts, reads, answers, and hands over.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

use super::{Peer, Simulation};
use crate::handler::Handler;

impl<H: Handler> Simulation<H> {
    /// A client connects to another server, which may hand it over.
    pub fn connect_elsewhere(&mut self, address: IpAddr) -> Peer {
        Peer(self.world.borrow_mut().connect_elsewhere(address))
    }

    /// The other server reads at most `size` bytes of what a client has sent.
    pub fn read_elsewhere(&mut self, peer: Peer, size: usize) -> Vec<u8> {
        self.with(peer, |socket| {
            let size = size.min(socket.inbound.len());
            socket.inbound.drain(..size).collect()
        })
    }

    /// The other server sends bytes to a client.
    pub fn write_elsewhere(&mut self, peer: Peer, bytes: &[u8]) {
        self.with(peer, |socket| socket.outbound.extend_from_slice(bytes));
    }

    /// Whether the simulated server has taken the connection of a client in.
    #[must_use]
    pub fn has(&self, peer: Peer) -> bool {
        self.with(peer, |socket| socket.accepted)
    }

    /// The other server closes the connection of a client.
    pub fn close_elsewhere(&mut self, peer: Peer) {
        self.with(peer, |socket| (socket.ended, socket.closed) = (true, true));
    }

    /// What stands for the connection of a client to another server, for an
    /// [`Adoption`](crate::Adoption).
    ///
    /// # Errors
    /// The system has no descriptors left.
    ///
    /// # Panics
    /// When the simulated server has that connection.
    pub fn socket(&mut self, peer: Peer) -> io::Result<OwnedFd> {
        self.world.borrow_mut().pledge(peer.0)
    }
}
