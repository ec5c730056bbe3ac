//! Who is let in: the listener, and a descriptor that is kept for those who are not.
//!
//! Nobody can be taken off the backlog without a descriptor. So one is kept in reserve, and where
//! none is left it is given up for as long as it takes to accept a peer and to end it:
//!
//! ```text
//!   reserve ──close──▶ (none) ──accept──▶ the peer's ──dup3 onto it──▶ reserve
//!                      └── nobody else may accept ──┘
//! ```
//!
//! `dup3` replaces the peer in one step, so that only what lies between the first two could let
//! somebody else take the descriptor. Other workers do not: who accepts holds [`DOOR`]. The rest of
//! the process may, with a file that it opens in that moment. Then the peer waits, and the next
//! connection that is closed becomes the reserve, in one step as well. Where it is the whole system
//! that has run out of files the reserve is of no use: those who come wait until there are some.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{PoisonError, RwLock};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::io::Errno;

use crate::driver::acceptor::{Acceptor, Listening};

/// Held by who gives its reserve up, and shared by those who accept. Descriptors are the process's,
/// and so is this: all servers of a process take theirs from the same table.
static DOOR: RwLock<()> = RwLock::new(());

/// The listener and what is known of it.
pub(super) struct Door {
    acceptor: Acceptor,
    reserve: Option<OwnedFd>,
    /// Peers are to be accepted.
    pub(super) is_armed: bool,
    /// Nothing has said that nobody waits.
    is_ready: bool,
}

impl Door {
    /// Lets `registry` tell under `token` when peers come, if there is a listener.
    pub(super) fn new(
        listener: Option<Listening>,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let (acceptor, mut reserve) = (Acceptor::new(listener), None);
        acceptor.set_nonblocking(true)?;
        if let Some(listener) = acceptor.listener() {
            registry.register(&mut SourceFd(&listener.as_raw_fd()), token, Interest::READABLE)?;
            reserve = Some(listener.try_clone()?);
        }
        Ok(Self { acceptor, reserve, is_armed: false, is_ready: true })
    }

    /// A peer has come.
    pub(super) const fn knock(&mut self) {
        self.is_ready = true;
    }

    /// Whether accepting may bring somebody.
    pub(super) fn is_open(&self) -> bool {
        self.is_armed && self.is_ready && self.acceptor.listener().is_some()
    }

    /// Accepts a peer. `None`: nobody waits.
    pub(super) fn accept(&mut self) -> Option<Result<OwnedFd, Errno>> {
        let _shared = DOOR.read().unwrap_or_else(PoisonError::into_inner);
        self.take_one()
    }

    /// Takes a peer off the backlog and ends it. `None`: nobody waits.
    pub(super) fn refuse(&mut self) -> Option<Result<(), Errno>> {
        self.acceptor.descriptor_waiting()?;
        let _alone = DOOR.write().unwrap_or_else(PoisonError::into_inner);
        self.reserve = None;
        let accepted = self.take_one();
        if let Some(Ok(peer)) = accepted {
            self.refill(peer);
            return Some(Ok(()));
        }
        self.reserve = self.acceptor.listener().and_then(|listener| listener.try_clone().ok());
        accepted.map(|accepted| accepted.map(|_| ()))
    }

    fn take_one(&mut self) -> Option<Result<OwnedFd, Errno>> {
        loop {
            match self.acceptor.accept() {
                Err(Errno::AGAIN) => {
                    self.is_ready = false;
                    return None;
                }
                // A descriptor is looked for before a peer is.
                Err(Errno::MFILE | Errno::NFILE)
                    if self.acceptor.descriptor_waiting().is_none() =>
                {
                    self.is_ready = false;
                    return None;
                }
                // It has gone again; the next one may be there.
                Err(Errno::CONNABORTED | Errno::INTR) => {}
                result => return Some(result),
            }
        }
    }

    /// Closes a socket, whose descriptor becomes the reserve if there is none.
    pub(super) fn refill(&mut self, mut socket: OwnedFd) {
        if self.reserve.is_none()
            && let Some(listener) = self.acceptor.listener()
            && replace(listener, &mut socket).is_ok()
        {
            self.reserve = Some(socket);
        }
    }

    /// Closes the listener, and gives back who waited. Says whether peers were to be accepted.
    pub(super) fn stop(&mut self, registry: &Registry) -> (bool, Vec<OwnedFd>) {
        self.reserve = None;
        if let Some(listener) = self.acceptor.descriptor() {
            // Others may hold it as well, and it would be told about for as long as they do.
            let _removed = registry.deregister(&mut SourceFd(&listener));
        }
        (std::mem::take(&mut self.is_armed), self.acceptor.stop())
    }
}

/// Lets the descriptor of `socket`, which is closed, be another one of `listener`.
#[cfg(not(target_vendor = "apple"))]
fn replace(listener: &OwnedFd, socket: &mut OwnedFd) -> rustix::io::Result<()> {
    rustix::io::dup3(listener, socket, rustix::io::DupFlags::CLOEXEC)
}

/// There it takes two calls.
#[cfg(target_vendor = "apple")]
fn replace(listener: &OwnedFd, socket: &mut OwnedFd) -> rustix::io::Result<()> {
    rustix::io::dup2(listener, socket)?;
    rustix::io::fcntl_setfd(socket, rustix::io::FdFlags::CLOEXEC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::Poll;
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_reserve_that_was_lost_is_the_next_descriptor_that_is_closed() {
        let poll = Poll::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut door = Door::new(Some(listener.into()), poll.registry(), Token(0)).unwrap();
        assert!(door.refuse().is_none(), "nobody waits");
        assert!(door.reserve.is_some());
        let mut guest = TcpStream::connect(address).unwrap();
        let inside = door.accept().unwrap().unwrap();
        // Somebody else has been the quicker one.
        door.reserve = None;
        let number = inside.as_raw_fd();
        door.refill(inside);
        assert_eq!(door.reserve.as_ref().map(AsRawFd::as_raw_fd), Some(number));
        assert_eq!(guest.read(&mut [0]).unwrap(), 0, "it is not closed");
        let mut refused = TcpStream::connect(address).unwrap();
        assert_eq!(door.refuse(), Some(Ok(())));
        assert_eq!(refused.read(&mut [0]).unwrap(), 0);
        assert!(door.reserve.is_some());
        // Neither keeps the listener open once it is to be closed.
        door.stop(poll.registry());
        assert!(TcpStream::connect(address).is_err());
    }
}
