//! The listening socket, and what to do when there are no descriptors left.

use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, IntoRawFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::driver::Descriptor;

/// Peers that are taken off the backlog when accepting stops: more than wait where they have been
/// accepted all the time, and an end where more come than can be taken.
const WAITING_MAX: usize = 4096;

/// The worker's listener, until accepting is stopped.
pub(super) struct Acceptor {
    listener: Option<TcpListener>,
    /// A descriptor that is given up for a moment to take a peer off the backlog.
    spare: Option<File>,
}

impl Acceptor {
    pub(super) fn new(listener: TcpListener) -> io::Result<Self> {
        Ok(Self { listener: Some(listener), spare: Some(spare()?) })
    }

    /// The listener's descriptor, unless it is closed.
    pub(super) fn descriptor(&self) -> Option<i32> {
        self.listener.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// Closes the listener: the kernel refuses peers from now on. Gives back those that waited.
    pub(super) fn stop(&mut self) -> Vec<Descriptor> {
        let mut waiting = Vec::new();
        let Some(listener) = self.listener.take() else { return waiting };
        if listener.set_nonblocking(true).is_err() {
            return waiting;
        }
        for _ in 0..WAITING_MAX {
            match listener.accept() {
                Ok((peer, _)) => waiting.push(Descriptor(peer.into_raw_fd())),
                // It has gone again; the next one may be there.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                // There are no more peers, or no more descriptors.
                Err(_) => break,
            }
        }
        waiting
    }

    /// Takes the spare descriptor back that another thread was quicker to use, if there is one.
    pub(super) fn restore(&mut self) {
        if self.spare.is_none() {
            self.spare = spare().ok();
        }
    }

    /// Accepts one waiting peer in place of the spare descriptor and ends it at once. `false`:
    /// there was none, or it could not be done.
    pub(super) fn refuse(&mut self) -> bool {
        let Some(listener) = &self.listener else { return false };
        self.spare = None;
        // The listener blocks, for the ring's sake, so it is asked first. Nobody else accepts from
        // it; a peer that goes away in between is why it does not block for this one call.
        let mut waiting = [PollFd::new(listener, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut refused = false;
        if matches!(poll(&mut waiting, Some(&now)), Ok(1)) && listener.set_nonblocking(true).is_ok()
        {
            refused = listener.accept().is_ok();
            let _blocking_again = listener.set_nonblocking(false);
        }
        // Somebody else may have taken the descriptor; the next accept tries again.
        self.restore();
        refused
    }
}

/// Any descriptor that costs nothing else.
fn spare() -> io::Result<File> {
    File::open("/dev/null")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::net::TcpStream;

    #[test]
    fn who_waits_when_accepting_stops_is_not_lost() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut acceptor = Acceptor::new(listener).unwrap();
        let peers: Vec<TcpStream> = (0..5).map(|_| TcpStream::connect(address).unwrap()).collect();
        // Nobody closes them: they end with the process.
        let waiting: HashSet<i32> = acceptor.stop().iter().map(|peer| peer.0).collect();
        assert_eq!(waiting.len(), peers.len());
        assert_eq!(acceptor.descriptor(), None);
        let refused = TcpStream::connect(address).map(|_| ()).map_err(|error| error.kind());
        assert_eq!(refused, Err(io::ErrorKind::ConnectionRefused));
        assert!(acceptor.stop().is_empty());
    }
}
