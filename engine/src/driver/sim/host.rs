//! Sockets that another server has, before the engine does or after.
//!
//! Above the seam a socket is a descriptor of the system's. What stands for a simulated one there
//! is one end of a pair of real sockets, whose other end is closed.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use crate::driver::Descriptor;
use crate::driver::sim::socket::{Socket, Untold};
use crate::driver::sim::world::World;

impl World {
    /// A peer connects to another server.
    pub(crate) fn connect_elsewhere(&mut self, address: IpAddr) -> Descriptor {
        let descriptor = Descriptor(i32::try_from(self.sockets.len()).unwrap_or(i32::MAX));
        self.sockets.push(Socket::new(address));
        descriptor
    }

    /// What stands above the seam for a socket that another server has.
    pub(crate) fn pledge(&mut self, descriptor: Descriptor) -> io::Result<OwnedFd> {
        assert!(!self.open(descriptor).accepted, "the engine has {descriptor:?}");
        let pledge = OwnedFd::from(UnixStream::pair()?.0);
        self.pledges.insert(pledge.as_raw_fd(), descriptor);
        Ok(pledge)
    }

    pub(crate) fn adopt(&mut self, pledge: OwnedFd) -> io::Result<Descriptor> {
        let known = self.pledges.remove(&pledge.as_raw_fd());
        let descriptor = known.ok_or(io::ErrorKind::NotFound)?;
        self.journal.note(self.now, format_args!("adopt {descriptor:?}"));
        let socket = self.open(descriptor);
        assert!(!socket.accepted, "{descriptor:?} is adopted twice");
        (socket.accepted, socket.pledge) = (true, Some(pledge));
        Ok(descriptor)
    }

    pub(crate) fn release(&mut self, descriptor: Descriptor) -> OwnedFd {
        self.journal.note(self.now, format_args!("release {descriptor:?}"));
        let socket = self.open(descriptor);
        assert!(socket.accepted, "the engine does not have {descriptor:?}");
        let Untold { receive, send, cancel } = socket.untold;
        assert!(
            !(receive || cancel || send),
            "{descriptor:?} is released with something in flight"
        );
        (socket.accepted, socket.key) = (false, None);
        let pledge = socket.pledge.take().or_else(|| Some(UnixStream::pair().ok()?.0.into()));
        let pledge = pledge.expect("there are descriptors");
        self.pledges.insert(pledge.as_raw_fd(), descriptor);
        pledge
    }
}
