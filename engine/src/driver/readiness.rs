//! When a driver's descriptor is readable, or a listener, as a `tokio` runtime tells.

#![expect(unsafe_code, reason = "the runtime has to be promised that the descriptor stays open")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll, ready};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A descriptor that the runtime watches for edges.
#[derive(Debug)]
pub(crate) struct Readiness(AsyncFd<OwnedFd>);

impl Readiness {
    /// Has the runtime of this thread watch what is open there, by a descriptor of its own.
    ///
    /// # Errors
    /// There is no descriptor left, or the system cannot watch one more.
    pub(crate) fn new(watched: &impl AsRawFd) -> io::Result<Self> {
        // SAFETY: what is watched is here, and its descriptor is open.
        let descriptor = unsafe { BorrowedFd::borrow_raw(watched.as_raw_fd()) };
        let descriptor = descriptor.try_clone_to_owned()?;
        // SAFETY: it is open, and stays so and the same until the runtime gives it back.
        let watched = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
        Ok(Self(watched?))
    }

    /// Whether it has become readable since the last call that said so. What is watched is asked
    /// behind that, and what comes behind its answer is a new edge.
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.0.poll_read_ready(context))?.clear_ready();
        Poll::Ready(Ok(()))
    }
}
