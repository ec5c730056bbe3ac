//! The kernel's ring, driven directly. One per worker, used by its thread alone.
//!
//! One `io_uring_enter` a turn submits what is queued, runs the kernel's deferred work and waits.

#![expect(unsafe_code, reason = "submissions name memory and descriptors to the kernel")]

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::hint;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use io_uring::types::{CancelBuilder, DestinationSlot, Fd, Fixed, Napi, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use rustix::event::{EventfdFlags, eventfd};
use rustix::net::SendFlags;

use super::acceptor::Acceptor;
use super::flights::Flights;
use super::{
    BufferPool, Bytes, Completion, Descriptor, Driver, FILL_SIZE_MAX, Fault, Key, Lease, Listening,
    SEND_SIZE_MAX, Shutdown, Step,
};
use crate::mailbox::Wake;
use crate::refusal::RingFeature;
use crate::timer::Time;
use buffers::Buffers;
use setup::Sleep;
use token::{Operation, Token};

mod buffers;
mod preflight;
mod setup;
mod token;

pub(crate) use setup::lacks;

/// How long taking a peer off the backlog may take who waits there: as long as to see nobody.
static REFUSE_TIMEOUT: Timespec = Timespec::new().nsec(1_000_000);

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
    flights: Flights<Flight>,
    /// The buffers that the kernel fills. A connection has one at most.
    fills: HashMap<Key, Vec<u8>>,
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
    /// What the ring has to go without.
    lacks: Vec<RingFeature>,
}

/// One send.
struct Flight {
    key: Key,
    bytes: Bytes,
}

/// Wakes the worker: a write completes the ring's poll.
struct Eventfd(OwnedFd);

impl Wake for Eventfd {
    fn wake(&self) {
        // It fails only where the counter is full, and then the worker has been woken.
        let _woken = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }
}

impl Uring {
    /// A ring that works, on the calling thread, which must be the one that uses it. Without a
    /// `listener` nobody is accepted.
    pub(crate) fn new(
        listener: Option<Listening>,
        pool: BufferPool,
    ) -> Result<Self, (Step, io::Error)> {
        Self::build(listener, pool, Sleep::Ring)
    }

    /// A ring for a worker that sleeps elsewhere, until the ring's descriptor is readable.
    #[cfg(feature = "tokio")]
    pub(crate) fn hosted(
        listener: Option<Listening>,
        pool: BufferPool,
    ) -> Result<Self, (Step, io::Error)> {
        Self::build(listener, pool, Sleep::Host)
    }

    fn build(
        listener: Option<Listening>,
        pool: BufferPool,
        sleep: Sleep,
    ) -> Result<Self, (Step, io::Error)> {
        let waker = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|errno| (Step::Descriptors, errno.into()))?;
        let (ring, lacks) =
            setup::ring(2 * u32::from(pool.count), sleep).map_err(|error| (Step::Ring, error))?;
        let acceptor = Acceptor::new(listener);
        // Where an accept is not to wait, the ring has it fail instead.
        let blocks = acceptor.set_nonblocking(false);
        blocks.map_err(|errno| (Step::Descriptors, errno.into()))?;
        let mut uring = Self {
            ring,
            buffers: Buffers::new(pool.count, pool.size),
            flights: Flights::default(),
            fills: HashMap::new(),
            acceptor,
            waker: Arc::new(Eventfd(waker)),
            backlog: Vec::new(),
            sends_now: false,
            sent: None,
            enters: 0,
            start: Instant::now(),
            now: Time::ZERO,
            lacks,
        };
        let registered = uring.buffers.register(&uring.ring.submitter());
        registered.map_err(|error| (Step::Buffers, error))?;
        preflight::receive(&mut uring).map_err(|error| (Step::Trial, error))?;
        uring.arm_wake();
        Ok(uring)
    }

    /// What the ring has to go without.
    pub(crate) fn lacks(&self) -> &[RingFeature] {
        &self.lacks
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
            // `flights`, receives use the registered buffers or one in `fills`, and nothing else
            // names memory.
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

    /// Whether entering would do anything but wait. Deferred work is done by entering only; that
    /// there is some stands in shared memory, so that looking costs no system call.
    fn wants_enter(&mut self) -> bool {
        let submissions = self.ring.submission();
        !submissions.is_empty() || submissions.taskrun() || submissions.cq_overflow()
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
        let (mut wake_ended, mut refused) = (false, false);
        for entry in self.ring.completion() {
            let token = Token::from_bits(entry.user_data());
            let more = cqueue::more(entry.flags());
            let completion = match token.operation() {
                Some(Operation::Receive) => received(&mut self.buffers, &entry),
                Some(Operation::Fill) => {
                    let Some(buffer) = self.fills.remove(&token.key()) else { continue };
                    filled(token.key(), buffer, outcome(entry.result()))
                }
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
                Some(Operation::Refuse) => {
                    let result = outcome(entry.result()).map(|_| ());
                    refused |= result.is_ok();
                    Completion::Refused { result }
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
        if refused {
            // It is ended with the next enter, and the place is free for the next one.
            let close = opcode::Close::new(Fixed(setup::REFUSED)).build();
            let close = close.flags(squeue::Flags::SKIP_SUCCESS);
            self.push(close, Token::of(Operation::Close));
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

/// What has become of a buffer that the kernel was to fill.
fn filled(key: Key, mut buffer: Vec<u8>, result: Result<u32, Fault>) -> Completion {
    let result = result.map(|size| (size as usize).min(buffer.capacity() - buffer.len()));
    if let Ok(size) = result {
        // SAFETY: the kernel has written so many bytes behind those that were there, and there was
        // room for them.
        unsafe { buffer.set_len(buffer.len() + size) };
    }
    Completion::Filled { key, result, buffer }
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
    if matches!(size, Err(Fault::BuffersExhausted)) {
        buffers.grow();
    }
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
        let Some(listener) = self.acceptor.descriptor().map(Fd) else { return };
        let accept = if self.acceptor.is_shared() {
            // Of those who wait at one socket the kernel wakes the first, and a multishot stays the
            // first: one worker would have all peers. Who arms anew goes to the end of the queue.
            let accept = opcode::Accept::new(listener, ptr::null_mut(), ptr::null_mut());
            accept.flags(libc::SOCK_CLOEXEC).build()
        } else {
            opcode::AcceptMulti::new(listener).flags(libc::SOCK_CLOEXEC).build()
        };
        self.push(accept, Token::of(Operation::Accept));
    }

    fn accept_stop(&mut self) -> Vec<Descriptor> {
        if let Some(listener) = self.acceptor.descriptor() {
            // Whichever is armed: accepting, or refusing.
            let cancel = opcode::AsyncCancel2::new(CancelBuilder::fd(Fd(listener)).all()).build();
            // Its own completion says nothing that the end of the accept does not.
            let cancel = cancel.flags(squeue::Flags::SKIP_SUCCESS);
            self.push(cancel, Token::of(Operation::Close));
            // The listener may close only once the kernel no longer polls it.
            let _submitted = self.ring.submit();
        }
        let waiting = self.acceptor.stop();
        waiting.into_iter().map(|peer| Descriptor(peer.into_raw_fd())).collect()
    }

    fn accept_refuse(&mut self) -> bool {
        let Some(listener) = self.acceptor.descriptor_waiting() else { return false };
        let Ok(place) = DestinationSlot::try_from_slot_target(setup::REFUSED) else { return false };
        // Not with a descriptor that is kept for this: once it is given up for the accept, another
        // worker's accept may be the quicker one, and then there is none to give up any more.
        let accept = opcode::Accept::new(Fd(listener), ptr::null_mut(), ptr::null_mut());
        let accept = accept.file_index(Some(place)).build();
        // Another worker may be quicker. Then this one is not to wait for the next peer, for whom
        // there may well be a descriptor.
        self.push(accept.flags(squeue::Flags::IO_LINK), Token::of(Operation::Refuse));
        let timeout = opcode::LinkTimeout::new(&REFUSE_TIMEOUT).build();
        self.push(timeout.flags(squeue::Flags::SKIP_SUCCESS), Token::of(Operation::Close));
        true
    }

    fn adopt(&mut self, socket: OwnedFd) -> io::Result<Descriptor> {
        // On a socket that does not block the ring would not wait either: its operations would
        // complete with EAGAIN.
        rustix::io::ioctl_fionbio(&socket, false)?;
        Ok(Descriptor(socket.into_raw_fd()))
    }

    fn release(&mut self, descriptor: Descriptor) -> OwnedFd {
        // SAFETY: the descriptor is open, and the engine, whose only owner it was, names it to
        // nobody any more: nothing is in flight on it.
        unsafe { OwnedFd::from_raw_fd(descriptor.0) }
    }

    fn receive(&mut self, key: Key, descriptor: Descriptor) {
        let receive = opcode::RecvMulti::new(Fd(descriptor.0), buffers::GROUP);
        self.push(receive.build(), Token::new(Operation::Receive, key));
    }

    fn receive_once(&mut self, key: Key, descriptor: Descriptor) {
        // Of the length of the buffer that the kernel picks.
        let receive = opcode::Recv::new(Fd(descriptor.0), ptr::null_mut(), 0)
            .buf_group(buffers::GROUP)
            .build()
            .flags(squeue::Flags::BUFFER_SELECT);
        self.push(receive, Token::new(Operation::Receive, key));
    }

    fn fill(&mut self, key: Key, descriptor: Descriptor, mut buffer: Vec<u8>, size: usize) {
        let room = buffer.spare_capacity_mut();
        let size = u32::try_from(size.min(room.len()).min(FILL_SIZE_MAX)).unwrap_or(0);
        debug_assert!(size > 0, "a receive of nothing looks like the end of the stream");
        // Moving the value into `fills` does not move the bytes.
        let receive = opcode::Recv::new(Fd(descriptor.0), room.as_mut_ptr().cast(), size).build();
        let other = self.fills.insert(key, buffer);
        debug_assert!(other.is_none(), "a second receive");
        self.push(receive, Token::new(Operation::Fill, key));
    }

    fn receive_cancel(&mut self, key: Key) {
        let fills = self.fills.contains_key(&key);
        let operation = if fills { Operation::Fill } else { Operation::Receive };
        let receive = Token::new(operation, key).bits();
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
        let timeout = if waits { timeout } else { Some(Duration::ZERO) };
        if timeout != Some(Duration::ZERO) || self.wants_enter() {
            self.enter(timeout)?;
        }
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
            if self.wants_enter() {
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

#[cfg(feature = "tokio")]
impl AsRawFd for Uring {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.ring.as_raw_fd()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::Sharing;
    use std::net::{TcpListener, TcpStream};

    /// Far above what anything here takes.
    const PATIENCE: Duration = Duration::from_secs(10);

    /// The only thing that completes.
    fn completion(driver: &mut Uring) -> Completion {
        let mut completions = Vec::new();
        let begun = Instant::now();
        while completions.is_empty() && begun.elapsed() < PATIENCE {
            driver.wait(Some(PATIENCE), &mut completions).unwrap();
        }
        assert_eq!(completions.len(), 1, "{completions:?}");
        completions.remove(0)
    }

    #[test]
    fn who_has_gone_to_another_worker_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, other) = (listener.local_addr().unwrap(), listener.try_clone().unwrap());
        let listening = Listening::new(listener.into(), Sharing::Workers);
        let driver = Uring::new(Some(listening), BufferPool { count: 1, size: 64 });
        let mut driver = driver.map_err(|(_, error)| error).unwrap();
        let _first = TcpStream::connect(address).unwrap();
        assert!(driver.accept_refuse(), "one waits");
        let _accepted = other.accept().unwrap();
        let refused = completion(&mut driver);
        let cancelled = matches!(refused, Completion::Refused { result: Err(Fault::Cancelled) });
        assert!(cancelled, "{refused:?}");
        // From one that is shared peers are accepted one by one.
        driver.accept();
        let _second = TcpStream::connect(address).unwrap();
        let accepted = completion(&mut driver);
        assert!(matches!(accepted, Completion::Accepted { result: Ok(_), more: false }));
    }
}
