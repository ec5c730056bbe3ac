//! Readiness instead of a ring, for systems that have or allow none: epoll on Linux, kqueue on BSD
//! and macOS, both through `mio`. One per worker, used by its thread alone.
//!
//! What the ring's driver asks the kernel to do, this one does itself when the kernel says that it
//! can be done. A turn is
//!
//! ```text
//!   wait: sends of the last turn ─▶ epoll_wait ─▶ accepts ─▶ receives ─▶ completions
//! ```
//!
//! so that the calls per message are those that any server on readiness makes: one receive, one
//! send, and a share of an `epoll_wait`. A wait that has completions of sends to tell does not look
//! for events as well, now and then excepted: the next one does, and may sleep.
//!
//! **Edges, not levels.** A socket is registered once, for both directions, when it comes. Events
//! set two bits of its [`Socket`](sockets::Socket), and calls that fall short clear them: less
//! received than there was room for, or less sent than there was, means that the next edge will
//! tell. So there is no call that only hears `EAGAIN`, and none that changes what is waited for.
//! But the end of the stream may have been told together with the last bytes, and a receive stops
//! before what a peer has called urgent: from then on only `EAGAIN` or the end itself is believed
//! (`is_ending`).
//!
//! **A share for each.** Who is readable stands in a list. A wait takes [`RECEIVES_MAX`] pieces
//! from it, of one socket at most [`RECEIVES_SOCKET`] in a row, and the rest is there for the next
//! one. So a fast sender waits for its turn, and the buffers that go round fit a cache, however
//! many sockets have become readable at once.
//!
//! What differs from the ring, above the seam only in numbers:
//! - every operation costs a system call of its own, and so does looking for events while spinning;
//! - an operation fails or succeeds when it is carried out, so that a cancellation is never late
//!   and nothing is in flight while nobody waits;
//! - who is refused for want of a descriptor needs one that is kept for this ([`Door`]).

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::hint;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use rustix::io::Errno;

use super::flights::Flights;
use super::{
    BufferPool, Bytes, Completion, Descriptor, Driver, FILL_SIZE_MAX, Fault, Key, Lease, Listening,
    SEND_SIZE_MAX, Shutdown,
};
use crate::mailbox::Wake;
use crate::timer::Time;
use buffers::Buffers;
use door::Door;
use sockets::{Receive, Sockets};

pub(super) mod buffers;
mod door;
mod sockets;
pub(super) mod transfer;

/// Pieces that one wait receives: with buffers of the usual size, what half of a core's second
/// cache holds.
const RECEIVES_MAX: usize = 16;

/// Pieces that one socket has in a row. Whole messages then arrive together, which are answered
/// together.
const RECEIVES_SOCKET: usize = 4;

/// Peers that one wait accepts: fewer than it receives from. Who is let in must be read before its
/// handshake gives way to those who come later.
const ACCEPTS_MAX: usize = 4;

const _: () = assert!(ACCEPTS_MAX * 4 <= RECEIVES_MAX);

/// Events that one look takes. The system keeps the others, and who has waited comes first.
const EVENTS: usize = 1024;

/// Waits in a row that do not look for events, since they have enough to do.
const UNLOOKED_MAX: u32 = 4;

/// Looks of a worker that does not sleep between two readings of the clock.
const LOOKS: u32 = 16;

/// What is told of a socket. That something urgent has come is told because a receive ends there.
#[cfg(target_os = "linux")]
const ALL: Interest = Interest::READABLE.add(Interest::WRITABLE).add(Interest::PRIORITY);
#[cfg(not(target_os = "linux"))]
const ALL: Interest = Interest::READABLE.add(Interest::WRITABLE);

const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);

/// Readiness, receive buffers, a listener.
pub(crate) struct Epoll {
    poll: Poll,
    events: Events,
    waker: Arc<Doorbell>,
    door: Door,
    sockets: Sockets,
    buffers: Buffers,
    /// Sends of this turn, to be tried at the next wait.
    sends: Vec<Send>,
    /// Sends that wait until their sockets take bytes again.
    flights: Flights<Flight>,
    /// The buffers that are to be received into.
    fills: Flights<Fill>,
    /// Sockets that may have something to receive, each once.
    readable: VecDeque<u32>,
    /// What is known already, for the next wait.
    told: Vec<Completion>,
    /// Waits since it was last looked for events.
    unlooked: u32,
    enters: u64,
    start: Instant,
    now: Time,
}

struct Send {
    index: u32,
    flight: Flight,
}

/// What is to be sent of some bytes: those from `from` on.
struct Flight {
    bytes: Bytes,
    from: usize,
}

/// A buffer, and how many bytes are to be received behind what it has.
struct Fill {
    buffer: Vec<u8>,
    size: usize,
}

/// Wakes the worker out of a look that sleeps.
struct Doorbell(Waker);

impl Wake for Doorbell {
    fn wake(&self) {
        // It fails only where the system has no memory left, and then the next event wakes.
        let _woken = self.0.wake();
    }
}

impl Epoll {
    /// Bytes that a connection takes of this driver, whatever it does.
    pub(crate) const CONNECTION_SIZE: usize = Sockets::SOCKET_SIZE;

    /// Without a `listener` nobody is accepted.
    pub(crate) fn new(listener: Option<Listening>, pool: BufferPool) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let door = Door::new(listener, poll.registry(), LISTENER)?;
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS),
            waker: Arc::new(Doorbell(waker)),
            door,
            sockets: Sockets::default(),
            buffers: Buffers::new(pool),
            sends: Vec::new(),
            flights: Flights::default(),
            fills: Flights::default(),
            readable: VecDeque::new(),
            told: Vec::new(),
            unlooked: 0,
            enters: 0,
            start: Instant::now(),
            now: Time::ZERO,
        })
    }

    /// Takes a connected socket in.
    fn adopt(&mut self, socket: OwnedFd) -> io::Result<Descriptor> {
        let number = socket.as_raw_fd();
        let index = self.sockets.insert(socket);
        let token = self.sockets.token(index);
        if let Err(error) = self.poll.registry().register(&mut SourceFd(&number), token, ALL) {
            self.sockets.remove(index);
            return Err(error);
        }
        Ok(Descriptor(index.cast_signed()))
    }

    /// Gives a socket back, about which nothing is told any more.
    fn release(&mut self, descriptor: Descriptor) -> Option<OwnedFd> {
        let (index, _) = self.sockets.of(descriptor)?;
        let socket = self.sockets.remove(index)?;
        // Closing it would not do where others hold it as well: a child, or who has handed it over.
        let _removed = self.poll.registry().deregister(&mut SourceFd(&socket.as_raw_fd()));
        Some(socket)
    }

    /// Arms a receive.
    fn arm(&mut self, key: Key, descriptor: Descriptor, receive: Receive) -> bool {
        let Some((index, socket)) = self.sockets.name(key, descriptor) else { return false };
        debug_assert_eq!(socket.receive, Receive::None, "a second receive");
        socket.receive = receive;
        self.list(index);
        true
    }

    /// Puts a socket that has something to look for into the list of those.
    fn list(&mut self, index: u32) {
        if let Some(socket) = self.sockets.at(index)
            && socket.is_to_be_received()
            && !socket.is_listed
        {
            socket.is_listed = true;
            self.readable.push_back(index);
        }
    }

    /// Tells what is known, and does what the last turn has asked for. Says whether there is
    /// something to go on with, so that nobody is to sleep.
    fn begin(&mut self, into: &mut Vec<Completion>) -> bool {
        let before = into.len();
        into.append(&mut self.told);
        let mut sends = std::mem::take(&mut self.sends);
        for Send { index, flight } in sends.drain(..) {
            self.send_now(index, flight, into);
        }
        self.sends = sends;
        into.len() > before || !self.readable.is_empty() || self.door.is_open()
    }

    /// Whether a wait that has something to tell or to do goes without looking for events.
    const fn goes_on(&mut self, is_busy: bool) -> bool {
        let goes_on = is_busy && self.unlooked < UNLOOKED_MAX;
        self.unlooked = if goes_on { self.unlooked + 1 } else { 0 };
        goes_on
    }

    /// Looks for events, and asleep for so long if there are none.
    fn look(&mut self, timeout: Option<Duration>, into: &mut Vec<Completion>) -> io::Result<()> {
        self.enters += 1;
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        let looked = self.poll.poll(&mut events, timeout);
        if looked.is_ok() {
            for event in &events {
                self.on_event(event, into);
            }
        }
        self.events = events;
        match looked {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            looked => looked,
        }
    }

    fn on_event(&mut self, event: &mio::event::Event, into: &mut Vec<Completion>) {
        match event.token() {
            LISTENER => return self.door.knock(),
            WAKER => return into.push(Completion::Woken),
            _ => {}
        }
        let Some(index) = self.sockets.of_event(event.token()) else { return };
        let Some(socket) = self.sockets.at(index) else { return };
        // What has failed is heard of by trying, in either direction.
        let is_broken = event.is_error() || event.is_write_closed();
        socket.is_ending |= event.is_read_closed() || event.is_priority() || is_broken;
        socket.is_readable |= event.is_readable() || socket.is_ending;
        socket.is_writable |= event.is_writable() || is_broken;
        let waiting = socket.is_writable.then(|| socket.send.take()).flatten();
        self.list(index);
        if let Some(flight) = waiting.and_then(|flight| self.flights.end(flight)) {
            self.send_now(index, flight, into);
        }
    }

    /// Accepts and receives what the events said.
    fn progress(&mut self, into: &mut Vec<Completion>) {
        for _ in 0..ACCEPTS_MAX {
            if !self.door.is_open() || !self.accept_one(into) {
                break;
            }
        }
        let most = into.len() + RECEIVES_MAX;
        while into.len() < most
            && let Some(index) = self.readable.pop_front()
        {
            if let Some(socket) = self.sockets.at(index) {
                socket.is_listed = false;
            }
            for _ in 0..RECEIVES_SOCKET.min(most - into.len()) {
                if !self.receive_now(index, into) {
                    break;
                }
            }
            self.list(index);
        }
    }

    /// Says whether there may be another one.
    fn accept_one(&mut self, into: &mut Vec<Completion>) -> bool {
        self.enters += 1;
        let Some(accepted) = self.door.accept() else { return false };
        let accepted = accepted.map_err(fault);
        let result = accepted.and_then(|socket| self.adopt(socket).map_err(Fault::Io));
        let more = result.is_ok();
        self.door.is_armed = more;
        into.push(Completion::Accepted { result, more });
        more
    }

    /// Receives once, if a receive is armed that has something to look for. Says whether it has
    /// brought bytes and goes on.
    fn receive_now(&mut self, index: u32, into: &mut Vec<Completion>) -> bool {
        let Some(socket) = self.sockets.at(index) else { return false };
        if !socket.is_to_be_received() {
            return false;
        }
        let Some(descriptor) = &socket.descriptor else { return false };
        let receive = socket.receive;
        if let Receive::Fill(fill) = receive {
            self.fill_now(index, fill, into);
            return false;
        }
        let key = socket.key;
        let Some(mut lease) = self.buffers.take() else {
            socket.receive = Receive::None;
            let result = Err(Fault::BuffersExhausted);
            into.push(Completion::Received { key, result, more: false });
            return false;
        };
        self.enters += 1;
        let received = transfer::receive(descriptor, &mut lease.buffer);
        if let Ok(size @ 1..) = received {
            socket.has_received(size, lease.buffer.len());
            let more = receive == Receive::Multishot;
            if !more {
                socket.receive = Receive::None;
            }
            lease.size = size;
            into.push(Completion::Received { key, result: Ok(Some(lease)), more });
            return more;
        }
        self.buffers.put_back(lease);
        if received == Err(Errno::AGAIN) {
            socket.is_readable = false;
            return false;
        }
        socket.receive = Receive::None;
        let result = received.map(|_| None).map_err(fault);
        into.push(Completion::Received { key, result, more: false });
        false
    }

    /// Receives into the buffer that waits for it.
    fn fill_now(&mut self, index: u32, fill: u32, into: &mut Vec<Completion>) {
        let Some(socket) = self.sockets.at(index) else { return };
        let Some(descriptor) = &socket.descriptor else { return };
        let Some(Fill { mut buffer, size }) = self.fills.end(fill) else { return };
        self.enters += 1;
        let received = transfer::fill(descriptor, &mut buffer, size);
        if received == Err(Errno::AGAIN) {
            socket.is_readable = false;
            socket.receive = Receive::Fill(self.fills.begin(Fill { buffer, size }));
            return;
        }
        if let Ok(received) = received {
            socket.has_received(received, size);
        }
        socket.receive = Receive::None;
        let (key, result) = (socket.key, received.map_err(fault));
        into.push(Completion::Filled { key, result, buffer });
    }

    /// Sends what the kernel takes at once, or waits until it takes some.
    fn send_now(&mut self, index: u32, flight: Flight, into: &mut Vec<Completion>) {
        let Some(socket) = self.sockets.at(index) else { return };
        let Some(descriptor) = &socket.descriptor else { return };
        if !socket.is_writable {
            socket.send = Some(self.flights.begin(flight));
            return;
        }
        let Flight { bytes, from } = flight;
        let rest = bytes.get(from..).unwrap_or_default();
        let rest = rest.get(..SEND_SIZE_MAX).unwrap_or(rest);
        self.enters += 1;
        let sent = transfer::transmit(descriptor, rest);
        socket.is_writable = sent == Ok(rest.len());
        if sent == Err(Errno::AGAIN) {
            socket.send = Some(self.flights.begin(Flight { bytes, from }));
            return;
        }
        let (key, result) = (socket.key, sent.map_err(fault));
        into.push(Completion::Sent { key, result, bytes });
    }

    /// The time now.
    fn read_clock(&self) -> Time {
        Time::ZERO.after(self.start.elapsed())
    }
}

/// What an operation has failed with, as it is told above.
fn fault(errno: Errno) -> Fault {
    Fault::from_errno(errno.raw_os_error())
}

#[cfg(feature = "tokio")]
impl AsRawFd for Epoll {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.poll.as_raw_fd()
    }
}

impl Driver for Epoll {
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
        self.door.is_armed = true;
    }

    fn accept_stop(&mut self) -> Vec<Descriptor> {
        let (was_armed, waiting) = self.door.stop(self.poll.registry());
        if was_armed {
            let result = Err(Fault::Cancelled);
            self.told.push(Completion::Accepted { result, more: false });
        }
        waiting.into_iter().filter_map(|peer| self.adopt(peer).ok()).collect()
    }

    fn accept_refuse(&mut self) -> bool {
        let Some(refused) = self.door.refuse() else { return false };
        self.told.push(Completion::Refused { result: refused.map_err(fault) });
        true
    }

    fn adopt(&mut self, socket: OwnedFd) -> io::Result<Descriptor> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Self::adopt(self, socket)
    }

    fn release(&mut self, descriptor: Descriptor) -> OwnedFd {
        let socket = Self::release(self, descriptor).expect("the engine has it");
        let _blocks = rustix::io::ioctl_fionbio(&socket, false);
        socket
    }

    fn receive(&mut self, key: Key, descriptor: Descriptor) {
        self.arm(key, descriptor, Receive::Multishot);
    }

    fn receive_once(&mut self, key: Key, descriptor: Descriptor) {
        self.arm(key, descriptor, Receive::Once);
    }

    fn fill(&mut self, key: Key, descriptor: Descriptor, buffer: Vec<u8>, size: usize) {
        let size = size.min(buffer.capacity() - buffer.len()).min(FILL_SIZE_MAX);
        debug_assert!(size > 0, "a receive of nothing looks like the end of the stream");
        let fill = self.fills.begin(Fill { buffer, size });
        let is_armed = self.arm(key, descriptor, Receive::Fill(fill));
        debug_assert!(is_armed, "a receive on a descriptor that is closed");
    }

    fn receive_cancel(&mut self, key: Key) {
        if let Some(socket) = self.sockets.of_key(key) {
            let result = Err(Fault::Cancelled);
            match std::mem::replace(&mut socket.receive, Receive::None) {
                Receive::None => {}
                Receive::Multishot | Receive::Once => {
                    self.told.push(Completion::Received { key, result, more: false });
                }
                Receive::Fill(fill) => {
                    if let Some(Fill { buffer, .. }) = self.fills.end(fill) {
                        let result = Err(Fault::Cancelled);
                        self.told.push(Completion::Filled { key, result, buffer });
                    }
                }
            }
        }
        self.told.push(Completion::Cancelled { key });
    }

    fn send(&mut self, key: Key, descriptor: Descriptor, bytes: Bytes, from: usize) {
        let named = self.sockets.name(key, descriptor);
        debug_assert!(named.is_some(), "a send on a descriptor that is closed");
        if let Some((index, _)) = named {
            self.sends.push(Send { index, flight: Flight { bytes, from } });
        }
    }

    fn shutdown(&mut self, descriptor: Descriptor, how: Shutdown) {
        let Some((index, socket)) = self.sockets.of(descriptor) else { return };
        let Some(open) = &socket.descriptor else { return };
        let both = how == Shutdown::Both;
        let how = if both { rustix::net::Shutdown::Both } else { rustix::net::Shutdown::Write };
        // It fails where the peer has reset the connection, which ends both directions as well.
        let _ended = rustix::net::shutdown(open, how);
        socket.is_writable = true;
        socket.is_readable |= both;
        socket.is_ending |= both;
        // What was in flight is tried again, and hears of the end.
        let waiting = socket.send.take().and_then(|flight| self.flights.end(flight));
        self.sends.extend(waiting.map(|flight| Send { index, flight }));
        self.list(index);
    }

    fn close(&mut self, descriptor: Descriptor) {
        if let Some((_, socket)) = self.sockets.of(descriptor) {
            debug_assert_eq!((socket.receive, socket.send), (Receive::None, None), "in flight");
        }
        if let Some(socket) = self.release(descriptor) {
            self.door.refill(socket);
        }
    }

    fn abandon(&mut self, descriptor: Descriptor) {
        // What is in flight ends with the driver.
        self.shutdown(descriptor, Shutdown::Both);
        drop(self.release(descriptor));
    }

    fn peer_address(&self, descriptor: Descriptor) -> Option<SocketAddr> {
        let socket = self.sockets.descriptor(descriptor)?;
        rustix::net::getpeername(socket).ok()??.try_into().ok()
    }

    fn enters(&self) -> u64 {
        self.enters
    }

    fn recycle(&mut self, lease: Lease) {
        self.buffers.put_back(lease);
    }

    fn wait(&mut self, timeout: Option<Duration>, into: &mut Vec<Completion>) -> io::Result<()> {
        let is_busy = self.begin(into);
        if !self.goes_on(is_busy) {
            self.look(if is_busy { Some(Duration::ZERO) } else { timeout }, into)?;
        }
        self.progress(into);
        self.now = self.read_clock();
        Ok(())
    }

    fn spin(
        &mut self,
        until: Time,
        is_wanted: impl Fn() -> bool,
        into: &mut Vec<Completion>,
    ) -> io::Result<()> {
        let is_busy = self.begin(into);
        if self.goes_on(is_busy) {
            self.progress(into);
            self.now = self.read_clock();
            return Ok(());
        }
        // Ends at the first look that finds something.
        for look in (1..=LOOKS).cycle() {
            self.look(Some(Duration::ZERO), into)?;
            self.progress(into);
            let is_over = look == LOOKS && until <= self.read_clock();
            if is_over || !into.is_empty() || is_wanted() {
                break;
            }
            hint::spin_loop();
        }
        self.now = self.read_clock();
        Ok(())
    }
}
