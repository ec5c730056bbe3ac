//! The listening socket, and who waits in its backlog.

use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, Result};
#[cfg(not(target_vendor = "apple"))]
use rustix::net::SocketFlags;

/// Peers that are taken off the backlog when accepting stops: more than wait where they have been
/// accepted all the time, and an end where more come than can be taken.
const WAITING_MAX: usize = 4096;

/// A listening stream socket of any family, and who else accepts from it.
#[derive(Clone, Debug)]
pub(crate) struct Listening {
    socket: Arc<OwnedFd>,
    sharing: Sharing,
}

/// Who accepts from a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// One worker.
    Alone,
    /// Several workers of one server.
    Workers,
    /// Somebody outside this process as well, now or later: who waits in the backlog is not ours.
    Processes,
}

impl Listening {
    pub(crate) fn new(socket: OwnedFd, sharing: Sharing) -> Self {
        Self { socket: Arc::new(socket), sharing }
    }
}

impl AsFd for Listening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl From<OwnedFd> for Listening {
    fn from(socket: OwnedFd) -> Self {
        Self::new(socket, Sharing::Alone)
    }
}

impl From<TcpListener> for Listening {
    fn from(listener: TcpListener) -> Self {
        OwnedFd::from(listener).into()
    }
}

impl From<UnixListener> for Listening {
    fn from(listener: UnixListener) -> Self {
        OwnedFd::from(listener).into()
    }
}

/// The worker's listener, until accepting is stopped.
pub(super) struct Acceptor {
    listener: Option<Listening>,
}

impl Acceptor {
    /// `None`: nobody is ever accepted here.
    pub(super) const fn new(listener: Option<Listening>) -> Self {
        Self { listener }
    }

    /// The listener, unless it is closed or there never was one.
    pub(super) fn listener(&self) -> Option<&OwnedFd> {
        self.listener.as_ref().map(|listener| &*listener.socket)
    }

    /// The listener's descriptor.
    pub(super) fn descriptor(&self) -> Option<RawFd> {
        self.listener().map(AsRawFd::as_raw_fd)
    }

    /// Accepts one peer. A listener that is closed has none.
    ///
    /// # Errors
    /// [`Errno::AGAIN`] where nobody waits, if the listener does not wait for somebody either.
    pub(super) fn accept(&self) -> Result<OwnedFd> {
        accept(self.listener().ok_or(Errno::AGAIN)?)
    }

    /// Whether others accept from the listener, so that who waits may be gone in the next moment.
    #[cfg(any(target_os = "linux", test))]
    pub(super) fn is_shared(&self) -> bool {
        self.listener.as_ref().is_some_and(|listener| listener.sharing != Sharing::Alone)
    }

    /// Says whether an accept that finds nobody returns at once. The flag is that of the socket,
    /// for everybody who has it.
    pub(super) fn set_nonblocking(&self, is_nonblocking: bool) -> Result<()> {
        match self.listener() {
            Some(listener) => rustix::io::ioctl_fionbio(listener, is_nonblocking),
            None => Ok(()),
        }
    }

    /// Lets the listener go; the last worker that does closes it, and the kernel refuses peers from
    /// then on. Gives that one those that waited, unless somebody outside will accept them.
    pub(super) fn stop(&mut self) -> Vec<OwnedFd> {
        let mut waiting = Vec::new();
        let Some(Listening { socket, sharing }) = self.listener.take() else { return waiting };
        let Some(listener) = Arc::into_inner(socket) else { return waiting };
        if sharing == Sharing::Processes || rustix::io::ioctl_fionbio(&listener, true).is_err() {
            return waiting;
        }
        for _ in 0..WAITING_MAX {
            match accept(&listener) {
                Ok(peer) => waiting.push(peer),
                // It has gone again; the next one may be there.
                Err(Errno::CONNABORTED | Errno::INTR) => {}
                // There are no more peers, or no more descriptors.
                Err(_) => break,
            }
        }
        waiting
    }

    /// The listener's descriptor, where a peer waits to be accepted. A peer that goes away stays in
    /// the backlog until it is accepted; from a shared one somebody else may accept it first.
    pub(super) fn descriptor_waiting(&self) -> Option<RawFd> {
        let listener = self.listener()?;
        let mut waiting = [PollFd::new(listener, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        matches!(poll(&mut waiting, Some(&now)), Ok(1)).then(|| listener.as_raw_fd())
    }
}

/// Accepts one peer, whose descriptor no program that is started inherits.
#[cfg(not(target_vendor = "apple"))]
fn accept(listener: &OwnedFd) -> Result<OwnedFd> {
    rustix::net::accept_with(listener, SocketFlags::CLOEXEC)
}

/// There it takes two calls.
#[cfg(target_vendor = "apple")]
fn accept(listener: &OwnedFd) -> Result<OwnedFd> {
    let peer = rustix::net::accept(listener)?;
    rustix::io::fcntl_setfd(&peer, rustix::io::FdFlags::CLOEXEC)?;
    Ok(peer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;
    use std::net::TcpStream;
    use std::os::unix::net::UnixStream;

    #[test]
    fn who_waits_when_accepting_stops_is_not_lost() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut acceptor = Acceptor::new(Some(listener.into()));
        let peers: Vec<TcpStream> = (0..5).map(|_| TcpStream::connect(address).unwrap()).collect();
        let waiting = acceptor.stop();
        assert_eq!(waiting.len(), peers.len());
        for descriptor in waiting {
            let flags = rustix::io::fcntl_getfd(&descriptor).unwrap();
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        }
        assert_eq!(acceptor.descriptor(), None);
        let refused = TcpStream::connect(address).map(|_| ()).map_err(|error| error.kind());
        assert_eq!(refused, Err(ErrorKind::ConnectionRefused));
        assert!(acceptor.stop().is_empty());
    }

    #[test]
    fn any_stream_socket_may_listen_and_none_may() {
        let path = std::env::temp_dir().join(format!("ringwire-acceptor-{}", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        let mut acceptor = Acceptor::new(Some(listener.into()));
        assert_eq!(acceptor.descriptor_waiting(), None);
        let _peer = UnixStream::connect(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(acceptor.descriptor_waiting(), acceptor.descriptor());
        assert_eq!(acceptor.stop().len(), 1);

        let mut nobody = Acceptor::new(None);
        assert_eq!((nobody.descriptor(), nobody.descriptor_waiting()), (None, None));
        assert!(nobody.stop().is_empty());
    }

    #[test]
    fn the_last_worker_has_who_waits_and_another_process_keeps_them() {
        for (sharing, count) in [(Sharing::Workers, 3), (Sharing::Processes, 0)] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let other = listener.try_clone().unwrap();
            let listening = Listening::new(listener.into(), sharing);
            let mut first = Acceptor::new(Some(listening.clone()));
            let mut last = Acceptor::new(Some(listening));
            assert!(first.is_shared());
            let peers: Vec<TcpStream> =
                (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
            assert!(first.stop().is_empty());
            assert_eq!(last.descriptor_waiting(), last.descriptor());
            assert_eq!(last.stop().len(), count);
            other.set_nonblocking(true).unwrap();
            let left = std::iter::from_fn(|| other.accept().ok()).count();
            assert_eq!(left, peers.len() - count);
        }
    }
}
