//! What a simulated ring works on: sockets with a peer at their other end, a backlog, buffers.

use std::collections::VecDeque;

use crate::driver::sim::random::Random;
use crate::driver::{Completion, Descriptor, Fault, Key, Lease};
use crate::timer::Time;

/// How often things go wrong, each in percent of the occasions on which it can.
///
/// None of them breaks the kernel's promises; all of them happen under load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// An operation that could complete does so in a later turn.
    pub delays: u8,
    /// A receive brings, and a send takes, only a part of the bytes.
    pub short: u8,
    /// A multishot ends and must be armed again.
    pub ended_multishots: u8,
    /// A receive finds no buffer.
    pub buffers_exhausted: u8,
    /// An accept finds no descriptor.
    pub descriptors_exhausted: u8,
    /// A send fails, and the peer is gone.
    pub broken_sends: u8,
}

impl Faults {
    /// All of them, often.
    pub const MANY: Self = Self {
        delays: 40,
        short: 40,
        ended_multishots: 20,
        buffers_exhausted: 10,
        descriptors_exhausted: 10,
        broken_sends: 1,
    };
}

/// Both ends of a connection.
#[derive(Debug)]
pub(crate) struct Socket {
    /// Sent by the peer, not yet received.
    pub(crate) inbound: VecDeque<u8>,
    /// The peer has ended its side.
    pub(crate) peer_ended: bool,
    /// The peer has reset the connection.
    pub(crate) reset: bool,
    /// What the peer has received.
    pub(crate) outbound: Vec<u8>,
    /// Bytes that the peer still takes.
    pub(crate) window: usize,
    /// The server has ended its side: the peer has seen the end of the stream.
    pub(crate) ended: bool,
    /// Both directions have been shut down.
    shut: bool,
    /// The descriptor has been closed.
    pub(crate) closed: bool,
    /// Whose it is, once something has been received.
    key: Option<Key>,
    /// Armed.
    receive: bool,
    /// To be cancelled.
    cancel: bool,
    send: Option<Flight>,
}

#[derive(Debug)]
struct Flight {
    key: Key,
    bytes: Vec<u8>,
    from: usize,
}

/// Everything below the seam.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) faults: Faults,
    pub(crate) now: Time,
    /// By descriptor.
    pub(crate) sockets: Vec<Socket>,
    pub(crate) backlog: VecDeque<Descriptor>,
    pub(crate) accept_armed: bool,
    pub(crate) accept_stopped: bool,
    /// Something could have completed, and chance put it off: time must not jump over it.
    pub(crate) held: bool,
    /// The buffers that nobody has.
    buffers: Vec<(u16, Box<[u8]>)>,
    pub(crate) buffer_count: usize,
}

impl World {
    pub(crate) fn new(seed: u64, faults: Faults, buffers: u16, buffer_size: usize) -> Self {
        Self {
            random: Random::new(seed),
            faults,
            now: Time::ZERO,
            sockets: Vec::new(),
            backlog: VecDeque::new(),
            accept_armed: false,
            accept_stopped: false,
            held: false,
            buffers: (0..buffers).map(|id| (id, vec![0; buffer_size].into())).collect(),
            buffer_count: usize::from(buffers),
        }
    }

    /// A peer connects.
    pub(crate) fn connect(&mut self) -> Descriptor {
        let descriptor = Descriptor(i32::try_from(self.sockets.len()).unwrap_or(i32::MAX));
        self.sockets.push(Socket {
            inbound: VecDeque::new(),
            peer_ended: false,
            reset: false,
            outbound: Vec::new(),
            window: usize::MAX,
            ended: false,
            shut: false,
            closed: false,
            key: None,
            receive: false,
            cancel: false,
            send: None,
        });
        self.backlog.push_back(descriptor);
        descriptor
    }

    /// The buffers that the engine has.
    pub(crate) fn lent(&self) -> usize {
        self.buffer_count - self.buffers.len()
    }

    fn open(&mut self, descriptor: Descriptor) -> &mut Socket {
        let index = usize::try_from(descriptor.0).unwrap_or(usize::MAX);
        let socket = &mut self.sockets[index];
        assert!(!socket.closed, "an operation on {descriptor:?}, which is closed");
        socket
    }

    pub(crate) fn receive(&mut self, key: Key, descriptor: Descriptor) {
        let socket = self.open(descriptor);
        assert!(!socket.receive, "a second receive on {descriptor:?}");
        assert!(!socket.cancel, "a receive that a cancellation under way would end");
        (socket.key, socket.receive) = (Some(key), true);
    }

    pub(crate) fn receive_cancel(&mut self, key: Key) {
        // The receive may have ended, and its completion be on its way.
        let named = |socket: &&mut Socket| !socket.closed && socket.key == Some(key);
        let socket = self.sockets.iter_mut().find(named).expect("nothing was ever received");
        assert!(!socket.cancel, "a second cancellation");
        socket.cancel = true;
    }

    pub(crate) fn send(&mut self, key: Key, descriptor: Descriptor, bytes: Vec<u8>, from: usize) {
        assert!(from < bytes.len(), "a send of nothing");
        let socket = self.open(descriptor);
        assert!(socket.send.is_none(), "a second send on {descriptor:?}");
        assert!(!socket.ended, "a send after the end of the stream");
        socket.send = Some(Flight { key, bytes, from });
    }

    pub(crate) fn shutdown(&mut self, descriptor: Descriptor, both: bool) {
        let socket = self.open(descriptor);
        socket.ended = true;
        socket.shut |= both;
    }

    pub(crate) fn close(&mut self, descriptor: Descriptor) {
        let socket = self.open(descriptor);
        assert!(!socket.receive, "{descriptor:?} is closed with a receive in flight");
        assert!(!socket.cancel, "{descriptor:?} is closed with a cancel in flight");
        assert!(socket.send.is_none(), "{descriptor:?} is closed with a send in flight");
        socket.closed = true;
        socket.ended = true;
    }

    pub(crate) fn abandon(&mut self, descriptor: Descriptor) {
        let socket = self.open(descriptor);
        (socket.closed, socket.ended) = (true, true);
    }

    pub(crate) fn recycle(&mut self, lease: Lease) {
        let known = self.buffers.iter().any(|(id, _)| *id == lease.id);
        assert!(!known, "buffer {} came back twice", lease.id);
        self.buffers.push((lease.id, lease.buffer));
    }

    /// Takes one peer off the backlog and ends it.
    pub(crate) fn refuse(&mut self) -> bool {
        let Some(descriptor) = self.backlog.pop_front() else { return false };
        self.close(descriptor);
        true
    }

    /// Lets everything in flight make what progress chance allows.
    pub(crate) fn progress(&mut self, into: &mut Vec<Completion>) {
        self.held = false;
        self.progress_accept(into);
        let mut by_socket: Vec<VecDeque<Completion>> = Vec::new();
        for index in 0..self.sockets.len() {
            let mut completions = VecDeque::new();
            // The kernel looks at a socket more than once in a turn.
            for _ in 0..=self.random.below(3) {
                self.progress_receive(index, &mut completions);
                self.progress_send(index, &mut completions);
                self.progress_cancel(index, &mut completions);
            }
            if !completions.is_empty() {
                by_socket.push(completions);
            }
        }
        // In order on each socket, in any order among them.
        while !by_socket.is_empty() {
            let choice = self.random.below(by_socket.len());
            match by_socket[choice].pop_front() {
                Some(completion) => into.push(completion),
                None => drop(by_socket.swap_remove(choice)),
            }
        }
    }

    fn progress_accept(&mut self, into: &mut Vec<Completion>) {
        while self.accept_armed && !self.backlog.is_empty() {
            if self.random.chance(self.faults.descriptors_exhausted) {
                self.accept_armed = false;
                let result = Err(Fault::DescriptorsExhausted);
                into.push(Completion::Accepted { result, more: false });
                return;
            }
            let Some(descriptor) = self.backlog.pop_front() else { return };
            let more = !self.random.chance(self.faults.ended_multishots);
            self.accept_armed = more;
            into.push(Completion::Accepted { result: Ok(descriptor), more });
        }
    }

    fn progress_receive(&mut self, index: usize, into: &mut VecDeque<Completion>) {
        let Self { random, faults, sockets, buffers, held, .. } = self;
        let socket = &mut sockets[index];
        let (Some(key), true) = (socket.key, socket.receive) else { return };
        let ended = socket.peer_ended || socket.shut;
        if socket.reset {
            socket.receive = false;
            let result = Err(Fault::from_errno(libc::ECONNRESET));
            into.push_back(Completion::Received { key, result, more: false });
            return;
        }
        if socket.inbound.is_empty() && !ended {
            return;
        }
        if random.chance(faults.delays) {
            *held = true;
            return;
        }
        if socket.inbound.is_empty() {
            socket.receive = false;
            into.push_back(Completion::Received { key, result: Ok(None), more: false });
            return;
        }
        let exhausted = random.chance(faults.buffers_exhausted);
        let Some((id, mut buffer)) = (if exhausted { None } else { buffers.pop() }) else {
            socket.receive = false;
            let result = Err(Fault::BuffersExhausted);
            into.push_back(Completion::Received { key, result, more: false });
            return;
        };
        let mut size = socket.inbound.len().min(buffer.len());
        if random.chance(faults.short) {
            size = 1 + random.below(size);
        }
        for (place, byte) in buffer.iter_mut().zip(socket.inbound.drain(..size)) {
            *place = byte;
        }
        let more = !random.chance(faults.ended_multishots);
        if !more {
            socket.receive = false;
        }
        let result = Ok(Some(Lease { buffer, id, size }));
        into.push_back(Completion::Received { key, result, more });
    }

    fn progress_send(&mut self, index: usize, into: &mut VecDeque<Completion>) {
        let Self { random, faults, sockets, held, .. } = self;
        let socket = &mut sockets[index];
        let Some(flight) = &socket.send else { return };
        let broken = socket.reset || socket.shut;
        let rest = flight.bytes.len() - flight.from;
        let mut size = rest.min(socket.window);
        if !broken && size == 0 {
            return;
        }
        if random.chance(faults.delays) {
            *held = true;
            return;
        }
        let Some(Flight { key, bytes, from }) = socket.send.take() else { return };
        if broken || random.chance(faults.broken_sends) {
            socket.reset = true;
            let result = Err(Fault::from_errno(libc::EPIPE));
            into.push_back(Completion::Sent { key, result, bytes });
            return;
        }
        if random.chance(faults.short) {
            size = 1 + random.below(size);
        }
        socket.outbound.extend_from_slice(&bytes[from..from + size]);
        socket.window -= size;
        into.push_back(Completion::Sent { key, result: Ok(size), bytes });
    }

    fn progress_cancel(&mut self, index: usize, into: &mut VecDeque<Completion>) {
        let socket = &mut self.sockets[index];
        let (Some(key), true) = (socket.key, socket.cancel) else { return };
        if self.random.chance(self.faults.delays) {
            self.held = true;
            return;
        }
        socket.cancel = false;
        if std::mem::take(&mut socket.receive) {
            let result = Err(Fault::Cancelled);
            into.push_back(Completion::Received { key, result, more: false });
        }
        into.push_back(Completion::Cancelled { key });
    }
}
