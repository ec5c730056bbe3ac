//! One client: what it sends, in what pieces, how it leaves, and what it insists on.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::time::Instant;

use mio::net::TcpStream;
use ringwire_benches::client;
use ringwire_benches::random::Random;
use ringwire_protocol::frame::Opcode;
use ringwire_protocol::handshake::{Head, Limits};
use ringwire_protocol::{Close, Event, Message, Receiver, Role, Sender};

use crate::content::Content;
use crate::shared::Shared;

/// Messages that may be under way at the same time.
const DEPTH: u64 = 2;

/// Of a thousand actions.
const RESETS: usize = 5;
const CLOSES: usize = 5;
const PINGS: usize = 50;

/// A connection, from `connect` to its end.
pub(crate) struct Connection {
    stream: TcpStream,
    stage: Stage,
    /// Never the same twice: with the seed it says everything that this connection does.
    serial: u64,
    random: Random,
    receiver: Receiver,
    sender: Sender,
    /// Frames of which `written` bytes have been taken.
    outbox: Vec<u8>,
    written: usize,
    /// Messages sent, and messages that came back.
    sent: u64,
    echoed: u64,
    /// Pings that have not been answered.
    pings: u64,
    /// When it last came on.
    pub(crate) progress: Instant,
}

/// Where a connection is in its life.
#[derive(Debug, PartialEq)]
enum Stage {
    /// The answer to the request is arriving.
    Opening(Vec<u8>),
    Open,
    /// What has been queued is the last; then it resets.
    Resetting,
    /// The close frame has been sent.
    Closing,
    /// Both close frames have passed; the end of the stream comes.
    Closed,
}

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Lives,
    /// It ended as it wanted to.
    Ended,
}

/// What the server did wrong.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An echo that is not what was sent.
    Mismatch { serial: u64, number: u64 },
    /// The closing handshake passed before these messages came back.
    Lost { serial: u64, count: u64 },
    /// The answer to a ping is none of ours.
    Pong { serial: u64 },
    /// It ended a connection that had not asked for it.
    Ended { serial: u64, why: String },
    /// Nothing came for too long.
    Silent { serial: u64, stage: String },
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mismatch { serial, number } => {
                write!(formatter, "connection {serial}: the echo of message {number} is another")
            }
            Self::Lost { serial, count } => {
                write!(formatter, "connection {serial}: closed with {count} messages missing")
            }
            Self::Pong { serial } => write!(formatter, "connection {serial}: a pong of no ping"),
            Self::Ended { serial, why } => write!(formatter, "connection {serial}: ended, {why}"),
            Self::Silent { serial, stage } => {
                write!(formatter, "connection {serial}: nothing moves, {stage}")
            }
        }
    }
}

impl Connection {
    /// A connection that is being established.
    pub(crate) fn new(stream: TcpStream, seed: u64, serial: u64) -> io::Result<Self> {
        let mut outbox = Vec::new();
        client::request().encode(&mut outbox).map_err(|_| ErrorKind::InvalidInput)?;
        Ok(Self {
            stream,
            stage: Stage::Opening(Vec::new()),
            serial,
            random: Random::of(&[seed, serial]),
            receiver: Receiver::new(Role::Client),
            sender: Sender::new(Role::Client),
            outbox,
            written: 0,
            sent: 0,
            echoed: 0,
            pings: 0,
            progress: Instant::now(),
        })
    }

    pub(crate) const fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Whether it has been opened.
    pub(crate) const fn is_open(&self) -> bool {
        !matches!(self.stage, Stage::Opening(_))
    }

    /// What it would be accused of, had it been silent for too long.
    pub(crate) fn silent(&self) -> Failure {
        Failure::Silent { serial: self.serial, stage: format!("{:?}", self.stage) }
    }

    /// Does all that can be done now.
    pub(crate) fn advance(&mut self, shared: &mut Shared) -> Result<Step, Failure> {
        loop {
            if self.read(shared)? == Step::Ended {
                return Ok(Step::Ended);
            }
            self.act(shared);
            let has_written = self.write(shared).map_err(|error| self.ended(&error))?;
            if self.stage == Stage::Resetting && self.outbox.is_empty() {
                return Ok(self.reset(shared));
            }
            // What has left may have made room for more.
            if !has_written || !self.outbox.is_empty() || !self.wants_more(shared) {
                return Ok(Step::Lives);
            }
        }
    }

    fn wants_more(&self, shared: &Shared) -> bool {
        self.stage == Stage::Open
            && !shared.gathers
            && (shared.leaves || self.sent - self.echoed < DEPTH)
    }

    /// Ends without a word.
    pub(crate) fn reset(&self, shared: &mut Shared) -> Step {
        let socket = socket2::SockRef::from(&self.stream);
        // It fails only where the connection has ended already.
        let _set = socket.set_linger(Some(std::time::Duration::ZERO));
        shared.counts.resets += 1;
        Step::Ended
    }

    fn ended(&self, why: &dyn fmt::Display) -> Failure {
        Failure::Ended { serial: self.serial, why: format!("{:?}: {why}", self.stage) }
    }

    /// Reads until nothing is there.
    fn read(&mut self, shared: &mut Shared) -> Result<Step, Failure> {
        let mut buffer = std::mem::take(&mut shared.buffer);
        let step = loop {
            match self.stream.read(&mut buffer) {
                Ok(0) if self.stage == Stage::Closed => {
                    shared.counts.closes += 1;
                    break Ok(Step::Ended);
                }
                Ok(0) => break Err(self.ended(&"the end of the stream")),
                Ok(size) => {
                    self.progress = Instant::now();
                    shared.counts.bytes += size as u64;
                    if let Err(failure) = self.take(&mut buffer[..size], shared) {
                        break Err(failure);
                    }
                }
                Err(error) => match error.kind() {
                    // Not connected: it is being established.
                    ErrorKind::WouldBlock | ErrorKind::NotConnected => break Ok(Step::Lives),
                    ErrorKind::Interrupted => {}
                    _ => break Err(self.ended(&error)),
                },
            }
        };
        shared.buffer = buffer;
        step
    }

    /// Looks at what has been read.
    fn take(&mut self, bytes: &mut [u8], shared: &mut Shared) -> Result<(), Failure> {
        let Stage::Opening(head) = &mut self.stage else { return self.take_frames(bytes, shared) };
        head.extend_from_slice(bytes);
        let mut head = std::mem::take(head);
        match Head::response().scan(&head, &Limits::default()) {
            Ok(None) => {
                self.stage = Stage::Opening(head);
                Ok(())
            }
            Ok(Some(size)) => {
                let (head, rest) = head.split_at_mut(size);
                client::request().verify(head).map_err(|error| self.ended(&error))?;
                self.stage = Stage::Open;
                shared.counts.opened += 1;
                self.take_frames(rest, shared)
            }
            Err(refusal) => Err(self.ended(&format!("{refusal:?}"))),
        }
    }

    fn take_frames(&mut self, bytes: &mut [u8], shared: &mut Shared) -> Result<(), Failure> {
        let mut input = bytes;
        let serial = self.serial;
        while let Some(event) = self.receiver.next(
            &mut input,
            &mut self.sender,
            &mut shared.workspace,
            &mut self.outbox,
        ) {
            match event {
                Event::Chunk(chunk) => panic!("{chunk:?}, and no chunks are taken"),
                Event::Message(message) => {
                    check(&message, shared.seed, serial, self.echoed)?;
                    self.echoed += 1;
                    shared.counts.messages += 1;
                }
                Event::Pong(payload) if payload == serial.to_be_bytes() && self.pings > 0 => {
                    self.pings -= 1;
                    shared.counts.pongs += 1;
                }
                Event::Ping(_) | Event::Inflated(_) => {}
                Event::Pong(_) => return Err(Failure::Pong { serial }),
                Event::Close(close) if self.stage == Stage::Closing && close.code == Some(1000) => {
                    let count = self.sent - self.echoed;
                    if count > 0 || self.pings > 0 {
                        return Err(Failure::Lost { serial, count });
                    }
                    self.stage = Stage::Closed;
                }
                Event::Close(close) => {
                    let why = format!("{:?}: {close:?}", self.stage);
                    return Err(Failure::Ended { serial, why });
                }
                Event::Failed(violation) => {
                    let why = violation.to_string();
                    return Err(Failure::Ended { serial, why });
                }
            }
        }
        Ok(())
    }

    /// Chooses what to do next, as long as there is something to choose.
    fn act(&mut self, shared: &mut Shared) {
        while self.stage == Stage::Open && self.outbox.is_empty() && !shared.gathers {
            if shared.leaves {
                return self.close(shared);
            }
            if self.sent - self.echoed >= DEPTH {
                return;
            }
            let choice = self.random.below(1000);
            if choice < RESETS {
                // In the middle of a message, and whatever has not come back is given up.
                self.message(shared);
                let size = self.random.below(self.outbox.len());
                self.outbox.truncate(size);
                self.stage = Stage::Resetting;
            } else if choice < RESETS + CLOSES {
                self.close(shared);
            } else {
                self.message(shared);
            }
        }
    }

    fn close(&mut self, shared: &mut Shared) {
        let close = Close { code: Some(1000), reason: "enough" };
        let closed = self.sender.close(close, &mut shared.workspace, &mut self.outbox);
        debug_assert!(closed.is_ok());
        self.stage = Stage::Closing;
    }

    /// Queues the next message, in one frame or in many of any size, with pings between them.
    fn message(&mut self, shared: &mut Shared) {
        let content = Content::new(shared.seed, self.serial, self.sent);
        let mut payload = std::mem::take(&mut shared.payload);
        content.write(&mut payload);
        self.sent += 1;
        let mut opcode = content.opcode();
        let mut rest = &payload[..];
        let is_whole = self.random.chance(500);
        loop {
            let size = if is_whole { rest.len() } else { self.random.below(rest.len() + 1) };
            let (fragment, after) = rest.split_at(size);
            let fin = after.is_empty();
            let key = self.random.masking_key();
            client::fragment(&mut self.outbox, opcode, fin, fragment, key);
            if self.random.below(1000) < PINGS {
                let (key, serial) = (self.random.masking_key(), self.serial.to_be_bytes());
                client::fragment(&mut self.outbox, Opcode::Ping, true, &serial, key);
                self.pings += 1;
            }
            if fin {
                break;
            }
            (opcode, rest) = (Opcode::Continuation, after);
        }
        shared.payload = payload;
    }

    /// Writes what is queued. Says whether anything was taken.
    fn write(&mut self, shared: &mut Shared) -> io::Result<bool> {
        let before = self.written;
        while self.written < self.outbox.len() {
            match self.stream.write(&self.outbox[self.written..]) {
                Ok(size) => {
                    self.written += size;
                    shared.counts.bytes += size as u64;
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::NotConnected => break,
                    ErrorKind::Interrupted => {}
                    _ => return Err(error),
                },
            }
        }
        if self.written > before {
            self.progress = Instant::now();
        }
        let is_done = self.written > 0 && self.written == self.outbox.len();
        if is_done {
            // Thousands wait at a time, so none keeps its memory.
            (self.outbox, self.written) = (Vec::new(), 0);
        }
        Ok(is_done)
    }
}

fn check(message: &Message<'_>, seed: u64, serial: u64, number: u64) -> Result<(), Failure> {
    if Content::new(seed, serial, number).is(message) {
        return Ok(());
    }
    Err(Failure::Mismatch { serial, number })
}
