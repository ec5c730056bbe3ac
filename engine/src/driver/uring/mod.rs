//! The kernel's ring, driven directly. One per worker, used by its thread alone.
//!
//! One `io_uring_enter` a turn submits what is queued, runs the kernel's deferred work and waits.

#![expect(unsafe_code, reason = "submissions name memory and descriptors to the kernel")]

use std::hash::{BuildHasher, RandomState};
use std::hint;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use io_uring::types::{CancelBuilder, Fd, Napi, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use rustix::event::{EventfdFlags, eventfd};
use rustix::net::SendFlags;

use super::{Bytes, Completion, Descriptor, Driver, Fault, Key, Lease, Operation, Shutdown, Token};
use crate::mailbox::Wake;
use crate::timer::Time;
use acceptor::Acceptor;
use buffers::Buffers;
use flights::{Flight, Flights};

mod acceptor;
mod buffers;
mod flights;
mod preflight;
mod setup;

pub(crate) use setup::Step;

/// Bytes that one send asks the kernel to take: the result is a signed 32-bit number.
const SEND_SIZE_MAX: usize = 1 << 30;

/// How long tearing down waits for the kernel to let go of what is in flight.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(1);

/// Looks of a worker that does not sleep between two readings of the clock: some of these take half
/// a microsecond, so that no deadline is missed by more.
const LOOKS: u32 = 16;

/// A ring, its receive buffers, its listener.
pub(crate) struct Uring {
    // Dropped first, before the memory that it reads.
    ring: IoUring,
    buffers: Buffers,
    flights: Flights,
    acceptor: Acceptor,
    waker: Arc<Eventfd>,
    /// What did not fit the submission queue while the kernel would not take more.
    backlog: Vec<squeue::Entry>,
    /// The next send leaves at once: it is the first of a turn before which nobody has slept.
    sends_now: bool,
    /// A send that has left at once, to be told with what completes next.
    sent: Option<Completion>,
    enters: u64,
    start: Instant,
    now: Time,
}

/// Wakes the worker: a write completes the ring's poll.
struct Eventfd(OwnedFd);

impl Wake for Eventfd {
    fn wake(&self) {
        // It fails only where the counter is full, and then the worker has been woken.
        let _woken = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }
}

/// The size and number of the receive buffers of one ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BufferPool {
    /// A power of two, at most 2^15.
    pub(crate) count: u16,
    /// Bytes of each.
    pub(crate) size: usize,
}

impl Uring {
    /// A ring that works, on the calling thread, which must be the one that uses it.
    pub(crate) fn new(listener: TcpListener, pool: BufferPool) -> Result<Self, (Step, io::Error)> {
        let waker = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|errno| (Step::Descriptors, errno.into()))?;
        let acceptor = Acceptor::new(listener).map_err(|error| (Step::Descriptors, error))?;
        let ring = setup::ring(2 * u32::from(pool.count)).map_err(|error| (Step::Ring, error))?;
        let mut uring = Self {
            ring,
            buffers: Buffers::new(pool.count, pool.size),
            flights: Flights::default(),
            acceptor,
            waker: Arc::new(Eventfd(waker)),
            backlog: Vec::new(),
            sends_now: false,
            sent: None,
            enters: 0,
            start: Instant::now(),
            now: Time::ZERO,
        };
        let registered = uring.buffers.register(&uring.ring.submitter());
        registered.map_err(|error| (Step::Buffers, error))?;
        preflight::receive(&mut uring).map_err(|error| (Step::Trial, error))?;
        uring.arm_wake();
        Ok(uring)
    }

    /// Lets a wait poll the network cards of its sockets for so long before it sleeps.
    ///
    /// # Errors
    /// The kernel does not know how. Linux 6.9 does.
    pub(crate) fn poll_cards(&mut self, time: Duration) -> io::Result<()> {
        let time = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        self.ring.submitter().register_napi(&mut Napi::new().set_busy_poll_timeout(time))
    }

    /// Polls the event descriptor for good. It is not read: each write completes the poll.
    fn arm_wake(&mut self) {
        let descriptor = Fd(self.waker.0.as_raw_fd());
        let poll = opcode::PollAdd::new(descriptor, libc::POLLIN.cast_unsigned().into());
        self.push(poll.multi(true).build(), Token::of(Operation::Wake));
    }

    /// Queues an operation.
    fn push(&mut self, entry: squeue::Entry, token: Token) {
        let entry = entry.user_data(token.bits());
        if !self.backlog.is_empty() || !self.push_now(&entry) {
            self.backlog.push(entry);
        }
    }

    /// Queues an operation where there is room, or makes room by submitting.
    fn push_now(&mut self, entry: &squeue::Entry) -> bool {
        for _ in 0..2 {
            // SAFETY: what the entry names lives until its completion: sends own their bytes in
            // `flights`, receives use the registered buffers, and nothing else names memory.
            if unsafe { self.ring.submission().push(entry) }.is_ok() {
                return true;
            }
            // Full: what is there is the batch.
            self.enters += 1;
            if self.ring.submit().is_err() {
                return false;
            }
        }
        false
    }

    fn push_backlog(&mut self) {
        let backlog = std::mem::take(&mut self.backlog);
        for entry in backlog {
            if !self.backlog.is_empty() || !self.push_now(&entry) {
                self.backlog.push(entry);
            }
        }
    }

    /// The time now.
    fn read_clock(&self) -> Time {
        Time::ZERO.after(self.start.elapsed())
    }

    /// Enters the kernel once.
    fn enter(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.enters += 1;
        let entered = match timeout {
            None => self.ring.submitter().submit_and_wait(1),
            Some(Duration::ZERO) => self.ring.submitter().submit_with_args(0, &SubmitArgs::new()),
            Some(timeout) => {
                let timeout = Timespec::from(timeout);
                let args = SubmitArgs::new().timespec(&timeout);
                self.ring.submitter().submit_with_args(1, &args)
            }
        };
        match entered {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                // Time has passed, a signal came, or the completion queue must be emptied first.
                Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(()),
                _ => Err(error),
            },
        }
    }

    /// Appends everything that stands in the completion queue.
    fn reap(&mut self, into: &mut Vec<Completion>) {
        let mut wake_ended = false;
        for entry in self.ring.completion() {
            let token = Token::from_bits(entry.user_data());
            let more = cqueue::more(entry.flags());
            let completion = match token.operation() {
                Some(Operation::Receive) => received(&mut self.buffers, &entry),
                Some(Operation::Send) => {
                    let Some(flight) = self.flights.end(token.key().slot) else { continue };
                    let Flight { key, bytes } = flight;
                    let result = outcome(entry.result()).map(|size| size as usize);
                    Completion::Sent { key, result, bytes }
                }
                Some(Operation::Accept) => {
                    let result = outcome(entry.result());
                    let result = result.map(|number| Descriptor(number.cast_signed()));
                    Completion::Accepted { result, more }
                }
                Some(Operation::Cancel) => Completion::Cancelled { key: token.key() },
                Some(Operation::Wake) => {
                    wake_ended |= !more;
                    Completion::Woken
                }
                // Only a failed close completes, and then there is nothing left to do about it.
                Some(Operation::Close) | None => continue,
            };
            into.push(completion);
        }
        if wake_ended {
            self.arm_wake();
        }
    }
}

/// Sends what the kernel takes at once, a third of a microsecond sooner than through the ring.
/// `None`: it takes nothing, and the ring will wait until it does, or hear why it never will.
fn send_now(descriptor: Descriptor, bytes: &[u8]) -> Option<usize> {
    let bytes = bytes.get(..SEND_SIZE_MAX).unwrap_or(bytes);
    // SAFETY: the descriptor is open: the engine closes it last.
    let socket = unsafe { BorrowedFd::borrow_raw(descriptor.0) };
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    rustix::net::send(socket, bytes, flags).ok().filter(|size| *size > 0)
}

/// A result of the kernel's as a number or a fault.
fn outcome(result: i32) -> Result<u32, Fault> {
    u32::try_from(result).map_err(|_| Fault::from_errno(-result))
}

fn received(buffers: &mut Buffers, entry: &cqueue::Entry) -> Completion {
    let size = outcome(entry.result());
    let lease = match (&size, cqueue::buffer_select(entry.flags())) {
        (Ok(size), Some(id)) => buffers.take(id, *size as usize),
        (Err(_), Some(id)) => {
            // A buffer that came with an error goes straight back.
            if let Some(lease) = buffers.take(id, 0) {
                buffers.put_back(lease);
            }
            None
        }
        (_, None) => None,
    };
    let key = Token::from_bits(entry.user_data()).key();
    Completion::Received { key, result: size.map(|_| lease), more: cqueue::more(entry.flags()) }
}

impl Driver for Uring {
    fn now(&self) -> Time {
        self.now
    }

    fn secret(&mut self) -> u64 {
        // Its keys are the system's random numbers.
        RandomState::new().hash_one(self.start)
    }

    fn waker(&self) -> Arc<dyn Wake> {
        self.waker.clone()
    }

    fn accept(&mut self) {
        self.acceptor.restore();
        if let Some(listener) = self.acceptor.descriptor() {
            let accept = opcode::AcceptMulti::new(Fd(listener)).flags(libc::SOCK_CLOEXEC);
            self.push(accept.build(), Token::of(Operation::Accept));
        }
    }

    fn accept_stop(&mut self) -> Vec<Descriptor> {
        if self.acceptor.descriptor().is_some() {
            let accept = Token::of(Operation::Accept).bits();
            let cancel = opcode::AsyncCancel::new(accept).build();
            // Its own completion says nothing that the end of the accept does not.
            let cancel = cancel.flags(squeue::Flags::SKIP_SUCCESS);
            self.push(cancel, Token::of(Operation::Close));
            // The listener may close only once the kernel no longer polls it.
            let _submitted = self.ring.submit();
        }
        self.acceptor.stop()
    }

    fn accept_refuse(&mut self) -> bool {
        self.acceptor.refuse()
    }

    fn receive(&mut self, key: Key, descriptor: Descriptor) {
        let receive = opcode::RecvMulti::new(Fd(descriptor.0), buffers::GROUP);
        self.push(receive.build(), Token::new(Operation::Receive, key));
    }

    fn receive_cancel(&mut self, key: Key) {
        let receive = Token::new(Operation::Receive, key).bits();
        let cancel = opcode::AsyncCancel::new(receive);
        self.push(cancel.build(), Token::new(Operation::Cancel, key));
    }

    fn send(&mut self, key: Key, descriptor: Descriptor, bytes: Bytes, from: usize) {
        let rest = bytes.get(from..).unwrap_or_default();
        if std::mem::take(&mut self.sends_now)
            && let Some(size) = send_now(descriptor, rest)
        {
            self.sent = Some(Completion::Sent { key, result: Ok(size), bytes });
            return;
        }
        let size = u32::try_from(rest.len().min(SEND_SIZE_MAX)).unwrap_or(0);
        // Moving the value into `flights` does not move the bytes.
        let send = opcode::Send::new(Fd(descriptor.0), rest.as_ptr(), size)
            // No signal when the peer is gone. Not MSG_WAITALL: it would complete with the last
            // byte only, so that nobody could tell a slow peer from one that takes nothing.
            .flags(libc::MSG_NOSIGNAL)
            .build();
        let slot = self.flights.begin(Flight { key, bytes });
        self.push(send, Token::new(Operation::Send, Key { slot, generation: 0 }));
    }

    fn shutdown(&mut self, descriptor: Descriptor, how: Shutdown) {
        let how = match how {
            Shutdown::Write => rustix::net::Shutdown::Write,
            Shutdown::Both => rustix::net::Shutdown::Both,
        };
        // A direct call: in the ring it would go to a thread of the kernel's.
        // SAFETY: the descriptor is open: the engine closes it last.
        let socket = unsafe { BorrowedFd::borrow_raw(descriptor.0) };
        // It fails where the peer has reset the connection, which ends both directions as well.
        let _ended = rustix::net::shutdown(socket, how);
    }

    fn close(&mut self, descriptor: Descriptor) {
        let close = opcode::Close::new(Fd(descriptor.0)).build();
        let close = close.flags(squeue::Flags::SKIP_SUCCESS);
        self.push(close, Token::of(Operation::Close));
    }

    fn abandon(&mut self, descriptor: Descriptor) {
        // What is in flight holds the socket until the ring ends.
        self.shutdown(descriptor, Shutdown::Both);
        self.close(descriptor);
    }

    fn peer_address(&self, descriptor: Descriptor) -> Option<SocketAddr> {
        // SAFETY: the descriptor is open: the engine closes it last.
        let socket = unsafe { BorrowedFd::borrow_raw(descriptor.0) };
        rustix::net::getpeername(socket).ok()??.try_into().ok()
    }

    fn enters(&self) -> u64 {
        self.enters
    }

    fn recycle(&mut self, lease: Lease) {
        self.buffers.put_back(lease);
    }

    fn wait(&mut self, timeout: Option<Duration>, into: &mut Vec<Completion>) -> io::Result<()> {
        self.buffers.publish();
        self.push_backlog();
        // What the submission queue could not take must not wait for the next event, and neither
        // must what is known already.
        let waits = self.backlog.is_empty() && self.sent.is_none();
        self.enter(if waits { timeout } else { Some(Duration::ZERO) })?;
        self.now = self.read_clock();
        self.sends_now = false;
        into.extend(self.sent.take());
        self.reap(into);
        Ok(())
    }

    fn spin(
        &mut self,
        until: Time,
        is_wanted: impl Fn() -> bool,
        into: &mut Vec<Completion>,
    ) -> io::Result<()> {
        self.buffers.publish();
        self.push_backlog();
        into.extend(self.sent.take());
        // Ends at the first look that finds something.
        for look in (1..=LOOKS).cycle() {
            let submissions = self.ring.submission();
            // Deferred work is done by entering only. That there is some stands in shared memory,
            // so that looking costs no system call.
            let enters =
                !submissions.is_empty() || submissions.taskrun() || submissions.cq_overflow();
            drop(submissions);
            if enters {
                self.enter(Some(Duration::ZERO))?;
            }
            // What the submission queue could not take must not wait for the next event.
            let is_over = !self.ring.completion().is_empty() || !self.backlog.is_empty();
            if is_over
                || !into.is_empty()
                || is_wanted()
                || (look == LOOKS && until <= self.read_clock())
            {
                break;
            }
            hint::spin_loop();
        }
        self.now = self.read_clock();
        self.sends_now = self.backlog.is_empty();
        self.reap(into);
        Ok(())
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        // The last descriptors are closed by what is still queued.
        self.push_backlog();
        let _submitted = self.ring.submit();
        // Nothing may write into the buffers or read from the flights once they are freed.
        let timeout = Timespec::from(CANCEL_TIMEOUT);
        let _cancelled =
            self.ring.submitter().register_sync_cancel(Some(timeout), CancelBuilder::any());
    }
}
