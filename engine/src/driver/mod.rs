//! The seam between the engine and whatever moves its bytes: the kernel's ring, readiness where
//! there is no ring, or a seeded simulation.
//!
//! Above the seam nobody knows which one runs. Memory crosses it by ownership: a send gives its
//! bytes away and gets them back with the completion, a receive brings a [`Lease`] that is given
//! back, or has been given a buffer as a send is. So nothing above needs `unsafe`, and nothing can
//! be freed or changed while the kernel works on it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use crate::mailbox::Wake;
use crate::timer::Time;

mod acceptor;
mod bytes;
mod clock;
pub(crate) mod epoll;
mod flights;
mod key;
pub(crate) mod ladder;
mod lease;
mod memory;
mod pool;
#[cfg(any(feature = "tokio", feature = "tokio-uring"))]
mod readiness;
#[cfg(feature = "simulation")]
pub(crate) mod sim;
mod step;
#[cfg(test)]
mod tests;
#[cfg(feature = "tokio-uring")]
pub(crate) mod tokio_uring;
// A ring for who would have one: what is above does not ask on which system it is.
#[cfg_attr(not(target_os = "linux"), path = "absent.rs")]
pub(crate) mod uring;

pub(crate) use acceptor::{Listening, Sharing};
pub(crate) use bytes::Bytes;
pub(crate) use clock::Clock;
pub(crate) use key::Key;
pub(crate) use lease::Lease;
pub(crate) use pool::BufferPool;
#[cfg(feature = "tokio")]
pub(crate) use readiness::Readiness;
pub(crate) use step::Step;

/// Bytes that one send asks the kernel to take: a ring's result is a signed 32-bit number.
const SEND_SIZE_MAX: usize = 1 << 30;

/// Bytes that one receive into a buffer asks for: what is unmasked next is still in a cache.
const FILL_SIZE_MAX: usize = 256 << 10;

/// What the loop needs of the world below.
///
/// The contract: the owner calls `wait`, or `spin` in its place, once per turn and handles every
/// completion that it appends. Between two waits it queues operations; they are carried out in the
/// order they were queued for each descriptor, at the latest during the next `wait`. At most one
/// receive and one send are in flight on a descriptor; a descriptor is closed only when neither is.
pub(crate) trait Driver {
    /// The time of the last `wait`, read once per turn.
    fn now(&self) -> Time;

    /// A number that no peer can guess, and that a simulation's seed repeats.
    fn secret(&mut self) -> u64;

    /// What wakes this driver out of `wait`, from any thread.
    fn waker(&self) -> Arc<dyn Wake>;

    /// Begins to accept connections. Each one completes as [`Completion::Accepted`]; when `more`
    /// is `false` it has ended and must be armed again.
    fn accept(&mut self);

    /// Ends accepting for good: the listener is closed and peers are refused by the kernel. Those
    /// that waited in the backlog come back; the kernel would reset them.
    fn accept_stop(&mut self) -> Vec<Descriptor>;

    /// Begins to take one peer off the backlog and to end it, when there are no descriptors left to
    /// accept it with. Such a peer would wait for ever, and accepting would fail again and again on
    /// it. It needs no descriptor for that, or one that was kept, and completes as
    /// [`Completion::Refused`]; until then nothing is accepted. `false`: nobody waits.
    fn accept_refuse(&mut self) -> bool;

    /// Takes a connected socket over, which operates from then on as one that was accepted. It may
    /// be blocking or not before.
    ///
    /// # Errors
    /// What the system said. The socket is closed.
    fn adopt(&mut self, socket: OwnedFd) -> io::Result<Descriptor>;

    /// Gives the socket of a connection back, on which nothing is in flight: it blocks.
    fn release(&mut self, descriptor: Descriptor) -> OwnedFd;

    /// Begins to receive. Each piece completes as [`Completion::Received`]; when `more` is `false`
    /// it has ended and must be armed again.
    fn receive(&mut self, key: Key, descriptor: Descriptor);

    /// Receives once, into one of the driver's buffers: completes as [`Completion::Received`].
    fn receive_once(&mut self, key: Key, descriptor: Descriptor);

    /// Receives once, behind the bytes of `buffer`: at most `size` more, for which it has room.
    /// Completes as [`Completion::Filled`]. `size > 0`.
    fn fill(&mut self, key: Key, descriptor: Descriptor, buffer: Vec<u8>, size: usize);

    /// Ends a receive of any kind early. Its last completion says [`Fault::Cancelled`], unless it
    /// had ended by itself; then [`Completion::Cancelled`] follows in any case.
    fn receive_cancel(&mut self, key: Key);

    /// Sends `bytes[from..]`. `from < bytes.len()`.
    fn send(&mut self, key: Key, descriptor: Descriptor, bytes: Bytes, from: usize);

    /// Ends the direction of writing, or both. What is in flight in an ended direction completes.
    fn shutdown(&mut self, descriptor: Descriptor, how: Shutdown);

    /// Gives the descriptor back to the system. Nothing is in flight on it.
    fn close(&mut self, descriptor: Descriptor);

    /// Ends a connection with whatever is in flight on it. The driver is dropped next.
    fn abandon(&mut self, descriptor: Descriptor);

    /// The address of the peer, if the system still knows it.
    fn peer_address(&self, descriptor: Descriptor) -> Option<SocketAddr>;

    /// How many times the system was entered, to submit or to wait. Where no ring takes operations
    /// in, each of them enters it once more: a receive, a send, an accept.
    fn enters(&self) -> u64;

    /// Gives a receive buffer back.
    fn recycle(&mut self, lease: Lease);

    /// Carries out what is queued, waits until something completes or `timeout` has passed (`None`
    /// waits for ever), and appends what has completed.
    ///
    /// # Errors
    /// What makes going on impossible. A time-out or a signal is no error.
    fn wait(&mut self, timeout: Option<Duration>, into: &mut Vec<Completion>) -> io::Result<()>;

    /// As `wait`, but without sleeping: looks again and again until something completes, there is
    /// other work (`is_wanted`), or it is `until`.
    ///
    /// # Errors
    /// As `wait`.
    fn spin(
        &mut self,
        until: Time,
        is_wanted: impl Fn() -> bool,
        into: &mut Vec<Completion>,
    ) -> io::Result<()>;
}

/// The numbers of the system's errors that are told apart above the seam.
pub(crate) mod errno {
    pub(crate) use libc::{EACCES, EINVAL, EMFILE, ENFILE, ENOMEM, ENOSYS, EPERM};
}

/// A connection below the seam.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Descriptor(pub(crate) i32);

/// Which direction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shutdown {
    Write,
    Both,
}

/// What has come to an end, or has happened, below the seam.
#[derive(Debug)]
pub(crate) enum Completion {
    /// A connection has been accepted, or none could be.
    Accepted { result: Result<Descriptor, Fault>, more: bool },
    /// A peer has been taken off the backlog and ended, or that could not be done.
    Refused { result: Result<(), Fault> },
    /// Bytes have arrived; `None` is the end of the stream.
    Received { key: Key, result: Result<Option<Lease>, Fault>, more: bool },
    /// So many bytes have arrived and been appended to the buffer; none is the end of the stream.
    Filled { key: Key, result: Result<usize, Fault>, buffer: Vec<u8> },
    /// A send has ended: how many of its bytes went, and the bytes themselves.
    Sent { key: Key, result: Result<usize, Fault>, bytes: Bytes },
    /// A cancellation has been dealt with.
    Cancelled { key: Key },
    /// Another thread has woken this one.
    Woken,
}

/// Why an operation failed, as far as the engine answers differently.
#[derive(Debug)]
pub(crate) enum Fault {
    /// All receive buffers are in use: try again when one has come back.
    BuffersExhausted,
    /// The process or the system has no descriptor left.
    DescriptorsExhausted,
    /// It was cancelled.
    Cancelled,
    /// Anything else.
    Io(io::Error),
}

impl Fault {
    /// From a negative result of the kernel's, without its sign.
    pub(crate) fn from_errno(errno: i32) -> Self {
        match errno {
            libc::ENOBUFS => Self::BuffersExhausted,
            libc::EMFILE | libc::ENFILE => Self::DescriptorsExhausted,
            libc::ECANCELED => Self::Cancelled,
            errno => Self::Io(io::Error::from_raw_os_error(errno)),
        }
    }
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::BuffersExhausted => Self::from_raw_os_error(libc::ENOBUFS),
            Fault::DescriptorsExhausted => Self::from_raw_os_error(libc::EMFILE),
            Fault::Cancelled => Self::from_raw_os_error(libc::ECANCELED),
            Fault::Io(error) => error,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuffersExhausted => formatter.write_str("no receive buffer is free"),
            Self::DescriptorsExhausted => formatter.write_str("no descriptor is free"),
            Self::Cancelled => formatter.write_str("cancelled"),
            Self::Io(error) => error.fmt(formatter),
        }
    }
}
