//! A driver over the ring of a `tokio-uring` runtime, on the runtime's own thread.
//!
//! ```text
//!   receive ─▶ receive ─▶ the runtime's ring ─▶ Done ─▶ Signal ─▶ the worker's task
//!   fill ────▶ poll ────▶ the runtime's ring ─▶ Done ─▶ Signal ─▶ the worker's task ─▶ recv
//!   send ────▶ send ────▶ the runtime's ring ─▶ Done ─▶ Signal ─▶ the worker's task
//! ```
//!
//! The runtime has single operations only, which keep what they are given until they complete. So a
//! receive is given nothing: a few buffers are shown to the ring, and the kernel picks one of them
//! when bytes arrive. One that goes on is begun again in each turn. All that is in flight on a
//! socket is cancelled by its descriptor, since the runtime does not tell what it calls an
//! operation; so a cancellation waits for the end of a send.
//!
//! A buffer that is filled belongs to a connection, which may want it back at any time. So a poll
//! waits for bytes, and owns nothing. It is left in flight when the fill is cancelled, and serves
//! the next one. When it has completed, what has arrived is received at once, by a call that does
//! not wait. Where the ring cannot do what the first paragraph takes, all receives are made so.
//!
//! It never waits: its `wait` reaps, and the worker's task rests in the runtime.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};

use super::acceptor::Listening;
use super::{BufferPool, Bytes, Completion, Descriptor, Driver, Fault, Key, Lease, Shutdown};
use crate::mailbox::Wake;
use crate::signal::Signal;
use crate::timer::Time;
use accepting::Accepting;
use buffers::{Buffers, Run, next_group};
use operations::{Ended, Operations};
use remains::{Heir, Remains};
use sockets::{Cancel, Receive, Socket, Sockets};
use way::Way;

mod accepting;
mod buffers;
mod calls;
mod operations;
mod remains;
mod sockets;
#[cfg(test)]
mod tests;
mod way;

/// The sockets of a worker and its share of the runtime's ring.
pub(crate) struct TokioUring {
    operations: Operations,
    sockets: Sockets,
    buffers: Buffers,
    way: Way,
    /// Under which buffers have been shown.
    group: Option<u16>,
    /// Kept for its memory. Empty between two looks.
    runs: Vec<Run>,
    /// Who watches the receives that are in flight when the driver is dropped.
    heir: Option<Heir>,
    /// Indexes of the sockets whose receive goes on: it is begun again in the next `wait`, behind
    /// the buffers that have come back until then.
    again: Vec<u32>,
    /// The buffers that are filled next. A connection has one at most.
    fills: HashMap<Key, Vec<u8>>,
    accepting: Accepting,
    /// Indexes of the sockets that are looked at in the next `wait`.
    listed: Vec<u32>,
    /// What has completed without the kernel.
    completed: Vec<Completion>,
    /// Kept for its memory. Empty between two waits.
    ended: Vec<Ended>,
    signal: Arc<Signal>,
    start: Instant,
    now: Time,
}

impl TokioUring {
    /// A driver for the calling thread, whose task `signal` wakes.
    ///
    /// # Errors
    /// What the system said of the listener.
    pub(crate) fn new(
        listener: Option<Listening>,
        pool: BufferPool,
        signal: Arc<Signal>,
    ) -> io::Result<Self> {
        Ok(Self {
            operations: Operations::new(Arc::clone(&signal)),
            sockets: Sockets::default(),
            buffers: Buffers::new(pool),
            way: Way::Unknown,
            group: None,
            runs: Vec::with_capacity(operations::SHOWS),
            heir: None,
            again: Vec::new(),
            fills: HashMap::new(),
            accepting: Accepting::new(listener, Arc::clone(&signal))?,
            listed: Vec::new(),
            completed: Vec::new(),
            ended: Vec::new(),
            signal,
            start: Instant::now(),
            now: Time::ZERO,
        })
    }

    /// The same without the ring's receives.
    #[cfg(test)]
    pub(super) fn polling(mut self) -> Self {
        self.way = Way::Poll;
        self
    }

    /// Arms a receive: it is looked for in the next `wait`.
    fn arm(&mut self, key: Key, descriptor: Descriptor, receive: Receive) {
        if self.way == Way::Unknown {
            self.ask();
        }
        let Some((index, socket)) = self.sockets.name(key, descriptor) else { return };
        debug_assert_eq!(socket.receive, Receive::None, "a second receive");
        socket.receive = receive;
        self.list(index);
    }

    /// Takes what the runtime says has ended.
    fn take_ended(&mut self, into: &mut Vec<Completion>) {
        let mut again = std::mem::take(&mut self.again);
        again.drain(..).for_each(|index| self.list(index));
        self.again = again;
        let mut ended = std::mem::take(&mut self.ended);
        self.operations.take_ended(&mut ended);
        for ended in ended.drain(..) {
            match ended {
                Ended::Receive(index, result, id) => self.on_received(index, result, id, into),
                Ended::Send(index, key, result, bytes) => {
                    let result = usize::try_from(result).map_err(|_| Fault::from_errno(-result));
                    into.push(Completion::Sent { key, result, bytes });
                    self.on_sent(index);
                }
                Ended::Poll(index) => {
                    let Some(socket) = self.sockets.at(index) else { continue };
                    socket.poll = None;
                    socket.is_readable = true;
                    self.list(index);
                }
                Ended::Show(run, result) => {
                    self.way.on_shown(result);
                    if result < 0 {
                        self.buffers.take_back(run);
                    }
                }
                Ended::Cancel(result) => {
                    let asked = self.way;
                    self.way.on_cancelled(result);
                    if asked != Way::Poll && self.way == Way::Poll {
                        // No receive has named them, and none will.
                        self.buffers.hide();
                    }
                }
            }
        }
        self.ended = ended;
    }

    /// A receive in the ring has ended.
    fn on_received(
        &mut self,
        index: u32,
        result: i32,
        id: Option<u16>,
        into: &mut Vec<Completion>,
    ) {
        let size = usize::try_from(result).unwrap_or(0);
        let lease = id.and_then(|id| self.buffers.take_shown(id, size));
        let lease = match lease {
            Some(lease) if size > 0 => Some(lease),
            // Older kernels take one for the end of the stream, too.
            lease => {
                lease.into_iter().for_each(|lease| self.buffers.put_back(lease));
                None
            }
        };
        let Some(Socket { key: Some(key), receive, receives, cancel, .. }) = self.sockets.at(index)
        else {
            lease.into_iter().for_each(|lease| self.buffers.put_back(lease));
            return;
        };
        let key = *key;
        *receives = false;
        let cancels = std::mem::replace(cancel, Cancel::No) != Cancel::No;
        if result == -libc::ENOBUFS {
            // Who has found none is not begun again at once: with very many that find none, all of
            // them would fail again and again until the few have come back.
            self.buffers.grow();
        }
        let more = *receive == Receive::Multishot && lease.is_some() && !cancels;
        if !more {
            *receive = Receive::None;
        }
        let result = match result {
            0.. => Ok(lease),
            _ if cancels => Err(Fault::Cancelled),
            errno => Err(Fault::from_errno(-errno)),
        };
        into.push(Completion::Received { key, result, more });
        if cancels {
            into.push(Completion::Cancelled { key });
        }
        if more {
            self.again.push(index);
        }
    }

    /// A send has ended: what has waited for that is cancelled.
    fn on_sent(&mut self, index: u32) {
        let Some(socket) = self.sockets.at(index) else { return };
        socket.sends = false;
        if socket.cancel == Cancel::Waits {
            cancel(socket, &mut self.operations);
        }
    }

    /// Has the runtime's ring tell whether it can do all that is needed.
    fn ask(&mut self) {
        // Nothing is in flight on that; on a socket a send may be. Where there is no descriptor for
        // it, who receives next asks.
        let Ok(nothing) = eventfd(0, EventfdFlags::CLOEXEC) else { return };
        let Some(group) = next_group() else {
            self.way = Way::Poll;
            return;
        };
        self.heir = Some(Heir::new());
        self.way = Way::ask(group);
        self.group = Some(group);
        self.show(group);
        self.operations.cancel(nothing);
    }

    /// Shows buffers, if it is time.
    fn show(&mut self, group: u16) {
        self.buffers.show(&mut self.runs);
        for run in self.runs.drain(..) {
            self.operations.show(run, group);
        }
    }

    fn list(&mut self, index: u32) {
        if let Some(socket) = self.sockets.at(index)
            && !socket.is_listed
        {
            socket.is_listed = true;
            self.listed.push(index);
        }
    }

    /// Begins receives in the ring. Of the others it receives on those that may have something, and
    /// has the rest polled.
    fn receive_listed(&mut self, into: &mut Vec<Completion>) {
        if let Way::Ring(group) = self.way {
            self.show(group);
        }
        let count = self.listed.len();
        for at in 0..count {
            let Some(&index) = self.listed.get(at) else { break };
            let Some(socket) = self.sockets.at(index) else { continue };
            socket.is_listed = false;
            let Some(key) = socket.key else { continue };
            if socket.receives {
                // It is told of when it ends.
                continue;
            }
            match (socket.receive, self.way) {
                (Receive::Multishot | Receive::Once, Way::Asked(_)) => {
                    socket.is_listed = true;
                    self.listed.push(index);
                    continue;
                }
                (Receive::Multishot | Receive::Once, Way::Ring(group)) => {
                    socket.receives = true;
                    let size = self.buffers.size();
                    self.operations.receive(&socket.descriptor, index, size, group);
                    continue;
                }
                (Receive::None | Receive::Fill(_), _) | (_, Way::Unknown | Way::Poll) => {}
            }
            if socket.is_readable {
                into.extend(match socket.receive {
                    Receive::None => None,
                    Receive::Fill(size) => calls::fill(socket, key, size, &mut self.fills),
                    Receive::Multishot | Receive::Once => {
                        calls::receive(socket, key, &mut self.buffers)
                    }
                });
            }
            if socket.receive == Receive::None {
                continue;
            }
            if socket.is_readable {
                // There may be more, but others have their turn first.
                socket.is_listed = true;
                self.listed.push(index);
            } else if socket.poll.is_none() {
                let poll = self.operations.poll(&socket.descriptor, index);
                socket.poll = Some(poll);
            }
        }
        self.listed.drain(..count);
    }
}

/// Ends the receive that is in the ring, and a poll. No send is.
fn cancel(socket: &mut Socket, operations: &mut Operations) {
    // Without a descriptor for it the receive ends with whatever comes, and with the connection.
    if let Ok(copy) = socket.descriptor.try_clone() {
        operations.cancel(copy);
    }
    socket.cancel = Cancel::Begun;
}

impl Driver for TokioUring {
    fn now(&self) -> Time {
        self.now
    }

    fn secret(&mut self) -> u64 {
        // Its keys are the system's random numbers.
        RandomState::new().hash_one(self.start)
    }

    fn waker(&self) -> Arc<dyn Wake> {
        self.signal.clone()
    }

    fn accept(&mut self) {
        self.accepting.arm();
    }

    fn accept_stop(&mut self) -> Vec<Descriptor> {
        let (waiting, ended) = self.accepting.stop();
        self.completed.extend(ended);
        waiting.into_iter().map(|peer| self.sockets.insert(peer)).collect()
    }

    fn accept_refuse(&mut self) -> bool {
        false
    }

    fn adopt(&mut self, socket: OwnedFd) -> io::Result<Descriptor> {
        // On a socket that does not block a send that has to wait would end with EAGAIN.
        rustix::io::ioctl_fionbio(&socket, false)?;
        Ok(self.sockets.insert(socket))
    }

    fn release(&mut self, descriptor: Descriptor) -> OwnedFd {
        let socket = self.sockets.remove(descriptor).expect("the engine has it");
        debug_assert!(!socket.receives && !socket.sends, "something is in flight");
        if let Some(poll) = socket.poll {
            self.operations.forget(poll);
            // It would hold the socket open behind the back of who has it next. Where there is no
            // descriptor for that it ends with whatever the peer sends.
            if let Ok(copy) = socket.descriptor.try_clone() {
                self.operations.cancel(copy);
            }
        }
        Rc::into_inner(socket.descriptor).expect("nothing is in flight on it")
    }

    fn receive(&mut self, key: Key, descriptor: Descriptor) {
        self.arm(key, descriptor, Receive::Multishot);
    }

    fn receive_once(&mut self, key: Key, descriptor: Descriptor) {
        self.arm(key, descriptor, Receive::Once);
    }

    fn fill(&mut self, key: Key, descriptor: Descriptor, buffer: Vec<u8>, size: usize) {
        debug_assert!(size > 0, "a receive of nothing looks like the end of the stream");
        let other = self.fills.insert(key, buffer);
        debug_assert!(other.is_none(), "a second receive");
        self.arm(key, descriptor, Receive::Fill(size));
    }

    fn receive_cancel(&mut self, key: Key) {
        if let Some(socket) = self.sockets.of_key(key) {
            if socket.receives {
                // Its end, which may be on its way, tells of both.
                debug_assert_eq!(socket.cancel, Cancel::No, "a second cancellation");
                socket.cancel = Cancel::Waits;
                if !socket.sends {
                    cancel(socket, &mut self.operations);
                }
                return;
            }
            // A poll that is in flight takes nothing from the socket: it stays for the next one.
            let result = Err(Fault::Cancelled);
            let receive = std::mem::replace(&mut socket.receive, Receive::None);
            match (receive, self.fills.remove(&key)) {
                (Receive::None, _) => {}
                (Receive::Fill(_), Some(buffer)) => {
                    let result = Err(Fault::Cancelled);
                    self.completed.push(Completion::Filled { key, result, buffer });
                }
                _ => self.completed.push(Completion::Received { key, result, more: false }),
            }
        }
        self.completed.push(Completion::Cancelled { key });
    }

    fn send(&mut self, key: Key, descriptor: Descriptor, bytes: Bytes, from: usize) {
        let index = Sockets::index(descriptor);
        match self.sockets.at(index) {
            Some(socket) => {
                socket.sends = true;
                self.operations.send(&socket.descriptor, (index, key), bytes, from);
            }
            None => debug_assert!(false, "a send on a socket that is closed"),
        }
    }

    fn shutdown(&mut self, descriptor: Descriptor, how: Shutdown) {
        let how = match how {
            Shutdown::Write => rustix::net::Shutdown::Write,
            Shutdown::Both => rustix::net::Shutdown::Both,
        };
        if let Some(socket) = self.sockets.of(descriptor) {
            // It fails where the peer has reset the connection, which ends both directions as well.
            let _ended = rustix::net::shutdown(&socket.descriptor, how);
        }
    }

    fn close(&mut self, descriptor: Descriptor) {
        let Some(socket) = self.sockets.remove(descriptor) else { return };
        debug_assert!(!socket.receives && !socket.sends, "something is in flight");
        if let Some(poll) = socket.poll {
            // It would hold the socket open until the peer does something.
            let _ended = rustix::net::shutdown(&socket.descriptor, rustix::net::Shutdown::Both);
            self.operations.forget(poll);
            // Its number is another's only when the ring has taken the poll in, and let go of it.
            Rc::into_inner(socket.descriptor).into_iter().for_each(|it| self.operations.cancel(it));
        }
    }

    fn abandon(&mut self, descriptor: Descriptor) {
        // What is in flight ends with both directions, and keeps the socket until then.
        self.shutdown(descriptor, Shutdown::Both);
        let poll = self.sockets.remove(descriptor).and_then(|socket| socket.poll);
        poll.into_iter().for_each(|poll| self.operations.forget(poll));
    }

    fn peer_address(&self, descriptor: Descriptor) -> Option<SocketAddr> {
        let socket = self.sockets.of(descriptor)?;
        rustix::net::getpeername(&socket.descriptor).ok()??.try_into().ok()
    }

    fn enters(&self) -> u64 {
        // It is the runtime that enters.
        0
    }

    fn recycle(&mut self, lease: Lease) {
        self.buffers.put_back(lease);
    }

    fn wait(&mut self, _timeout: Option<Duration>, into: &mut Vec<Completion>) -> io::Result<()> {
        self.now = Time::ZERO.after(self.start.elapsed());
        into.append(&mut self.completed);
        self.take_ended(into);
        self.accepting.accept(&mut self.sockets, into);
        self.operations.reserve(self.sockets.places());
        self.receive_listed(into);
        Ok(())
    }

    fn spin(
        &mut self,
        _until: Time,
        _is_wanted: impl Fn() -> bool,
        into: &mut Vec<Completion>,
    ) -> io::Result<()> {
        self.wait(Some(Duration::ZERO), into)
    }
}

impl Drop for TokioUring {
    fn drop(&mut self) {
        for socket in self.sockets.iter().filter(|socket| socket.receives || socket.sends) {
            // What is in flight ends with that.
            let _ended = rustix::net::shutdown(&socket.descriptor, rustix::net::Shutdown::Both);
        }
        let receives = self.operations.receives();
        if !receives.is_empty() {
            let remains = Remains::new(self.buffers.memory(), receives);
            if let Some(heir) = self.heir.take() {
                heir.inherit(remains);
            }
        }
        // The ring of a runtime that ends forgets what it was shown.
        if self.operations.is_entered() {
            self.group.into_iter().for_each(Operations::hide);
        }
    }
}
