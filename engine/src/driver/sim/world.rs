//! What a simulated ring works on: sockets with a peer at their other end, a backlog, buffers.
//! What the engine must not do is asserted here; what chance makes of it is in `progress`.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use crate::driver::memory::{Memory, Piece};
use crate::driver::sim::faults::Faults;
use crate::driver::sim::journal::Journal;
use crate::driver::sim::random::Random;
use crate::driver::sim::socket::{Flight, Socket, Untold};
use crate::driver::{Bytes, Completion, Descriptor, Key, Lease};
use crate::timer::Time;

/// Everything below the seam.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) faults: Faults,
    pub(crate) now: Time,
    pub(crate) journal: Journal,
    /// By descriptor.
    pub(crate) sockets: Vec<Socket>,
    pub(super) backlog: VecDeque<Descriptor>,
    pub(super) accept_armed: bool,
    pub(super) accept_stopped: bool,
    /// The engine has not been told that accepting has ended.
    pub(super) accept_untold: bool,
    /// A peer is to be refused.
    pub(super) refuse_armed: bool,
    /// The engine has not been told what became of it.
    pub(super) refuse_untold: bool,
    /// Accepts to come that find no descriptor.
    pub(super) accept_failures: usize,
    /// Something could have completed, and chance put it off: time must not jump over it.
    pub(super) held: bool,
    /// What has completed and is not delivered yet.
    pub(super) queue: VecDeque<Completion>,
    /// The buffers that nobody has.
    pub(super) buffers: Vec<(u16, Piece)>,
    buffer_count: usize,
    /// The sockets that other servers have, by what stands for them above the seam.
    pub(super) pledges: HashMap<i32, Descriptor>,
}

impl World {
    pub(crate) fn new(seed: u64, faults: Faults, buffers: u16, buffer_size: usize) -> Self {
        Self {
            random: Random::new(seed),
            faults,
            now: Time::ZERO,
            journal: Journal::default(),
            sockets: Vec::new(),
            backlog: VecDeque::new(),
            accept_armed: false,
            accept_stopped: false,
            accept_untold: false,
            refuse_armed: false,
            refuse_untold: false,
            accept_failures: 0,
            held: false,
            queue: VecDeque::new(),
            buffers: (0..buffers).zip(Memory::new(buffers, buffer_size).1).collect(),
            buffer_count: usize::from(buffers),
            pledges: HashMap::new(),
        }
    }

    /// A peer connects.
    pub(crate) fn connect(&mut self, address: IpAddr) -> Descriptor {
        let descriptor = Descriptor(i32::try_from(self.sockets.len()).unwrap_or(i32::MAX));
        self.sockets.push(Socket::new(address));
        self.backlog.push_back(descriptor);
        descriptor
    }

    /// Who is at the other end. The kernel does not know any more once the connection has been
    /// reset.
    pub(crate) fn peer_address(&self, descriptor: Descriptor) -> Option<SocketAddr> {
        let socket = self.sockets.get(usize::try_from(descriptor.0).ok()?)?;
        let port = u16::try_from(descriptor.0 % 0x1_0000).ok()?;
        (!socket.reset).then(|| (socket.address, port).into())
    }

    /// The buffers that the engine has.
    pub(crate) fn lent(&self) -> usize {
        let queued = self
            .queue
            .iter()
            .filter(|it| matches!(it, Completion::Received { result: Ok(Some(_)), .. }))
            .count();
        self.buffer_count - self.buffers.len() - queued
    }

    /// Whether nothing is under way in any direction, the news of a reset included.
    pub(crate) fn is_quiet(&self) -> bool {
        let is_busy =
            |socket: &Socket| socket.reset || !socket.inbound.is_empty() || socket.send.is_some();
        self.queue.is_empty()
            && !self.refuse_armed
            && !self.sockets.iter().any(|it| !it.closed && is_busy(it))
    }

    /// Bytes that were allocated for what the engine has sent and not been told the end of.
    pub(crate) fn flight_size(&self, descriptor: Descriptor) -> usize {
        let index = usize::try_from(descriptor.0).unwrap_or(usize::MAX);
        let Some(socket) = self.sockets.get(index) else { return 0 };
        let landed = self.queue.iter().map(|completion| match completion {
            Completion::Sent { key, bytes, .. } if socket.key == Some(*key) => bytes.allocated(),
            _ => 0,
        });
        socket.send.as_ref().map_or(0, |flight| flight.bytes.allocated()) + landed.sum::<usize>()
    }

    /// The descriptors that the engine has, and what it may believe to be in flight on each.
    pub(crate) fn owned(&self) -> impl Iterator<Item = (Descriptor, Untold)> {
        let owned = self.sockets.iter().enumerate().filter(|(_, it)| it.accepted && !it.closed);
        owned.map(|(index, socket)| {
            (Descriptor(i32::try_from(index).unwrap_or(i32::MAX)), socket.untold)
        })
    }

    pub(super) fn open(&mut self, descriptor: Descriptor) -> &mut Socket {
        let index = usize::try_from(descriptor.0).unwrap_or(usize::MAX);
        let socket = &mut self.sockets[index];
        assert!(!socket.closed, "an operation on {descriptor:?}, which is closed");
        socket
    }

    pub(crate) fn accept(&mut self) {
        self.journal.note(self.now, format_args!("accept"));
        assert!(!self.accept_untold, "a second accept");
        assert!(!self.refuse_untold, "an accept while a peer is being refused");
        self.accept_armed = !self.accept_stopped;
        self.accept_untold = self.accept_armed;
    }

    pub(crate) fn receive(&mut self, key: Key, descriptor: Descriptor) {
        self.journal.note(self.now, format_args!("receive {key:?} {descriptor:?}"));
        let socket = self.open(descriptor);
        assert!(!socket.untold.receive, "a second receive on {descriptor:?}");
        assert!(!socket.untold.cancel, "a receive that a cancellation under way would end");
        (socket.key, socket.receive, socket.untold.receive) = (Some(key), true, true);
        socket.once = false;
    }

    pub(crate) fn receive_once(&mut self, key: Key, descriptor: Descriptor) {
        self.receive(key, descriptor);
        self.open(descriptor).once = true;
    }

    pub(crate) fn fill(&mut self, key: Key, descriptor: Descriptor, buffer: Vec<u8>, size: usize) {
        let room = buffer.capacity() - buffer.len();
        assert!(
            0 < size && size <= room,
            "a receive of {size} bytes where there is room for {room}"
        );
        self.receive(key, descriptor);
        let socket = self.open(descriptor);
        (socket.once, socket.fill) = (true, Some((buffer, size)));
    }

    pub(crate) fn receive_cancel(&mut self, key: Key) {
        self.journal.note(self.now, format_args!("cancel {key:?}"));
        // The receive may have ended, and its completion be on its way.
        let named = |socket: &&mut Socket| !socket.closed && socket.key == Some(key);
        let socket = self.sockets.iter_mut().find(named).expect("nothing was ever received");
        assert!(!socket.untold.cancel, "a second cancellation");
        (socket.cancel, socket.untold.cancel) = (true, true);
    }

    pub(crate) fn send(&mut self, key: Key, descriptor: Descriptor, bytes: Bytes, from: usize) {
        let size = bytes.len();
        self.journal.note(self.now, format_args!("send {key:?} {descriptor:?} {from}..{size}"));
        assert!(from < bytes.len(), "a send of nothing");
        let socket = self.open(descriptor);
        assert!(!socket.untold.send, "a second send on {descriptor:?}");
        assert!(!socket.ended, "a send after the end of the stream");
        socket.send = Some(Flight { key, bytes, from });
        (socket.key, socket.untold.send) = (Some(key), true);
    }

    pub(crate) fn shutdown(&mut self, descriptor: Descriptor, both: bool) {
        self.journal.note(self.now, format_args!("shutdown {descriptor:?}, both {both}"));
        let socket = self.open(descriptor);
        socket.ended = true;
        socket.shut |= both;
    }

    pub(crate) fn close(&mut self, descriptor: Descriptor) {
        self.journal.note(self.now, format_args!("close {descriptor:?}"));
        let socket = self.open(descriptor);
        let Untold { receive, send, cancel } = socket.untold;
        assert!(!receive, "{descriptor:?} is closed with a receive in flight");
        assert!(!cancel, "{descriptor:?} is closed with a cancel in flight");
        assert!(!send, "{descriptor:?} is closed with a send in flight");
        (socket.closed, socket.ended, socket.pledge) = (true, true, None);
    }

    /// Asserts nothing: it is called when a worker is dropped, which may be after a panic.
    pub(crate) fn abandon(&mut self, descriptor: Descriptor) {
        let index = usize::try_from(descriptor.0).unwrap_or(usize::MAX);
        if let Some(socket) = self.sockets.get_mut(index) {
            (socket.closed, socket.ended, socket.pledge) = (true, true, None);
        }
    }

    pub(crate) fn recycle(&mut self, lease: Lease) {
        let known = self.buffers.iter().any(|(id, _)| *id == lease.id);
        assert!(!known, "buffer {} came back twice", lease.id);
        self.buffers.push((lease.id, lease.buffer));
    }

    /// Accepts nobody any more. Who waits is handed over.
    pub(crate) fn accept_stop(&mut self) -> Vec<Descriptor> {
        self.journal.note(self.now, format_args!("stop accepting"));
        self.accept_stopped = true;
        self.accept_armed = false;
        let waiting: Vec<Descriptor> = self.backlog.drain(..).collect();
        for descriptor in &waiting {
            self.open(*descriptor).accepted = true;
        }
        waiting
    }

    /// Begins to take one peer off the backlog and to end it.
    pub(crate) fn refuse(&mut self) -> bool {
        self.journal.note(self.now, format_args!("refuse"));
        assert!(!self.accept_untold, "a peer is refused while others are accepted");
        assert!(!self.refuse_untold, "a second refusal");
        self.refuse_armed = !self.backlog.is_empty();
        self.refuse_untold = self.refuse_armed;
        self.refuse_armed
    }
}
