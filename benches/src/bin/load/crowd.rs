//! The open connections, and the turns in which they send and receive.

use std::collections::VecDeque;
use std::io;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use ringwire_benches::client;
use ringwire_protocol::deflate::Agreed;

use crate::door::Door;
use crate::plan::Plan;
use crate::ring::{Bytes, Completion, Ring};
use crate::window::Window;
use crate::wrong::Wrong;

/// Bytes of one receive buffer: a batch of small messages, a quarter of a large one.
const BUFFER_SIZE_MIN: usize = 1024;
const BUFFER_SIZE_MAX: usize = 256 << 10;

/// Bytes beyond a power of two, so that the starts of buffers do not meet in the same lines of a
/// cache. They also hold the headers.
const BUFFER_SLACK: usize = 64;

/// Buffers, and bytes of all of them.
const BUFFERS_MIN: usize = 16;
const BUFFERS_MAX: usize = 4096;
const BUFFERS_SIZE: usize = 16 << 20;

/// Nothing has come for so long, in nanoseconds: something is lost.
const SILENCE: u64 = 10_000_000_000;

/// What a run wants of its connections.
pub(crate) trait Load {
    /// All are open. Adds those that are to send first.
    fn begin(&mut self, now: u64, due: &mut Due);

    /// Adds those that are to send by a schedule, up to `now`. Says when to be asked again:
    /// `u64::MAX` is never.
    fn tick(&mut self, now: u64, due: &mut Due) -> u64;

    /// What a connection is to send now, if anything. It has nothing else on its way.
    fn send(&mut self, number: usize, now: u64) -> Option<Bytes>;

    /// Takes what a connection has received, and adds those that are to send. What is appended to
    /// `reply` is sent before anything else.
    ///
    /// # Errors
    /// It is not what should have come.
    fn take(
        &mut self,
        number: usize,
        read: &mut [u8],
        turn: &mut Turn<'_, '_>,
    ) -> Result<(), Wrong>;

    /// Messages that have not arrived, of those that have been sent or should have been.
    fn missing(&self) -> u64;
}

/// What a [`Load`] is handed beside the bytes.
#[derive(Debug)]
pub(crate) struct Turn<'t, 'p> {
    pub(crate) now: u64,
    pub(crate) window: &'t mut Window<'p>,
    pub(crate) due: &'t mut Due,
    pub(crate) reply: &'t mut Vec<u8>,
}

/// The connections that may send in this turn, each once, in the order of their arrivals.
#[derive(Debug)]
pub(crate) struct Due {
    numbers: VecDeque<usize>,
    is_in: Vec<bool>,
}

impl Due {
    pub(crate) fn new(count: usize) -> Self {
        Self { numbers: VecDeque::with_capacity(count), is_in: vec![false; count] }
    }

    pub(crate) fn add(&mut self, number: usize) {
        if !std::mem::replace(&mut self.is_in[number], true) {
            self.numbers.push_back(number);
        }
    }

    fn pop(&mut self) -> Option<usize> {
        let number = self.numbers.pop_front()?;
        self.is_in[number] = false;
        Some(number)
    }
}

/// All connections of a run.
pub(crate) struct Crowd {
    // Dropped before the sockets that it receives from.
    ring: Ring,
    sockets: Vec<Socket>,
    due: Due,
}

struct Socket {
    stream: TcpStream,
    sending: Option<Bytes>,
    /// What comes before the next message.
    replies: VecDeque<Bytes>,
}

impl Crowd {
    /// Opens all connections, over the time that the plan gives for it. Says what each agreed on.
    ///
    /// # Errors
    /// One of them does not open.
    pub(crate) fn open(
        plan: &Plan,
        window: &Window<'_>,
    ) -> Result<(Self, Vec<Option<Agreed>>), Wrong> {
        let door = Door::new(plan);
        let (count, size) = buffers(plan);
        let mut ring = Ring::new(door.address(), plan.connections, count, size)?;
        let (mut sockets, mut agreed) = (Vec::new(), Vec::new());
        let start = window.now();
        for number in 0..plan.connections {
            let part = plan.ramp.as_nanos() * number as u128 / plan.connections as u128;
            let due = start + u64::try_from(part).unwrap_or(u64::MAX);
            thread::sleep(Duration::from_nanos(due.saturating_sub(window.now())));
            let (stream, agreement) = door.open()?;
            ring.receive(number, &stream);
            sockets.push(Socket { stream, sending: None, replies: VecDeque::new() });
            agreed.push(agreement);
        }
        Ok((Self { ring, sockets, due: Due::new(plan.connections) }, agreed))
    }

    /// Lets the connections do what `load` wants until the window is over, and until everything has
    /// arrived that was due in it by a schedule.
    ///
    /// # Errors
    /// What the server did wrong first.
    pub(crate) fn run(
        &mut self,
        load: &mut impl Load,
        window: &mut Window<'_>,
        waits_for_all: bool,
    ) -> Result<(), Wrong> {
        window.begin();
        let (mut heard, mut completions) = (window.now(), Vec::new());
        load.begin(heard, &mut self.due);
        loop {
            let now = window.now();
            let goes_on = window.turn(now)?;
            let next = load.tick(now.min(window.end()), &mut self.due);
            let missing = load.missing();
            if !(goes_on || waits_for_all && missing > 0) {
                return Ok(());
            }
            if missing > 0 && now.saturating_sub(heard) > SILENCE {
                return Err(Wrong::Silence { missing });
            }
            while let Some(number) = self.due.pop() {
                self.feed(number, load, now);
            }
            let idle = if goes_on { next.saturating_sub(window.now()) } else { u64::MAX };
            let patience = window.patience(now).min(Duration::from_nanos(idle));
            self.ring.wait(patience, &mut completions)?;
            if !completions.is_empty() || missing == 0 {
                heard = window.now();
            }
            for completion in completions.drain(..) {
                self.complete(completion, load, heard, window)?;
            }
        }
    }

    /// Resets all connections, so that no port is held.
    ///
    /// # Errors
    /// What a socket says.
    pub(crate) fn reset(self) -> io::Result<()> {
        let Self { ring, sockets, .. } = self;
        drop(ring);
        sockets.into_iter().try_for_each(|socket| client::reset(socket.stream))
    }

    /// Sends what a connection has to send, unless something is on its way.
    fn feed(&mut self, number: usize, load: &mut impl Load, now: u64) {
        let socket = &mut self.sockets[number];
        if socket.sending.is_some() {
            return;
        }
        let next = socket.replies.pop_front().or_else(|| load.send(number, now));
        if let Some(bytes) = next {
            self.ring.send(number, &socket.stream, &bytes);
            socket.sending = Some(bytes);
        }
    }

    fn complete(
        &mut self,
        completion: Completion,
        load: &mut impl Load,
        now: u64,
        window: &mut Window<'_>,
    ) -> Result<(), Wrong> {
        match completion {
            Completion::Sent(number, size) => self.sent(number, size?),
            Completion::Received(number, lease) => {
                let mut lease = lease?.ok_or(Wrong::Gone)?;
                let (due, mut reply) = (&mut self.due, Vec::new());
                let mut turn = Turn { now, window, due, reply: &mut reply };
                let taken = load.take(number, lease.bytes(), &mut turn);
                self.ring.give_back(lease);
                if !reply.is_empty() {
                    self.sockets[number].replies.push_back(reply.into());
                    self.due.add(number);
                }
                return taken;
            }
            Completion::Connected(..) => {}
        }
        Ok(())
    }

    fn sent(&mut self, number: usize, size: usize) {
        let socket = &mut self.sockets[number];
        let Some(mut bytes) = socket.sending.take() else { return };
        bytes.range.start += size;
        if bytes.range.is_empty() {
            return self.due.add(number);
        }
        self.ring.send(number, &socket.stream, &bytes);
        socket.sending = Some(bytes);
    }
}

/// The count and the size of the receive buffers.
fn buffers(plan: &Plan) -> (u16, usize) {
    let size = plan.size.saturating_mul(if plan.burst { plan.depth } else { 1 });
    let size = size.clamp(BUFFER_SIZE_MIN, BUFFER_SIZE_MAX).next_power_of_two() + BUFFER_SLACK;
    let most = (BUFFERS_SIZE / size).clamp(BUFFERS_MIN, BUFFERS_MAX);
    let count = (2 * plan.connections).clamp(BUFFERS_MIN, most).next_power_of_two();
    (u16::try_from(count).unwrap_or(1 << 12), size)
}
