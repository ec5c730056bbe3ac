//! Connections that open and close again, as fast as the server takes it.
//!
//! A cycle is the connection of TCP, the opening handshake, the closing handshake, which this side
//! begins, and the end that the server makes of it. What is left is reset: a port that waits for
//! late segments could not be used again.

use std::io;
use std::mem;
use std::time::Duration;

use ringwire_benches::client;
use ringwire_protocol::frame::Opcode;
use socket2::{Domain, Socket, Type};

use crate::door::Door;
use crate::plan::Plan;
use crate::ring::{Bytes, Completion, Ring};
use crate::stream::{Part, Stream};
use crate::window::Window;
use crate::wrong::Wrong;

/// Nothing has moved for so long, in nanoseconds.
const SILENCE: u64 = 10_000_000_000;

/// Bytes of a receive buffer: an answer to the request.
const BUFFER_SIZE: usize = 1024;

/// A close frame that says 1000, and its key.
const CLOSE: [u8; 2] = 1000_u16.to_be_bytes();
const KEY: [u8; 4] = [1, 2, 3, 4];

/// Connections that are all on their way.
pub(crate) struct Cycles {
    // Dropped before the sockets that it receives from.
    ring: Ring,
    door: Door,
    cycles: Vec<Cycle>,
    request: Bytes,
    close: Bytes,
    /// The head of the last answer that was found right. All have the same key, so that the same
    /// answer is right again: to look at each anew would cost what the server is to be given.
    right: Vec<u8>,
}

struct Cycle {
    socket: Socket,
    stage: Stage,
    /// When it began.
    since: u64,
}

/// Where a cycle is.
enum Stage {
    /// The answer to the request is arriving.
    Opening(Vec<u8>),
    /// The close frame has been sent.
    Closing(Stream),
    /// Both close frames have passed.
    Closed,
}

impl Cycle {
    fn new(since: u64) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_linger(Some(Duration::ZERO))?;
        Ok(Self { socket, stage: Stage::Opening(Vec::new()), since })
    }
}

impl Cycles {
    /// As many as the plan says, none of which has begun.
    ///
    /// # Errors
    /// What the system refuses.
    pub(crate) fn new(plan: &Plan) -> Result<Self, Wrong> {
        let door = Door::new(plan);
        let count = (2 * plan.connections).clamp(16, 4096).next_power_of_two();
        let count = u16::try_from(count).unwrap_or(1 << 12);
        let ring = Ring::new(door.address(), plan.connections, count, BUFFER_SIZE)?;
        let (mut request, mut close) = (Vec::new(), Vec::new());
        door.request().encode(&mut request).map_err(io::Error::other)?;
        client::fragment(&mut close, Opcode::Close, true, &CLOSE, KEY);
        let cycles = (0..plan.connections).map(|_| Cycle::new(0)).collect::<io::Result<_>>()?;
        let (request, close) = (request.into(), close.into());
        Ok(Self { ring, door, cycles, request, close, right: Vec::new() })
    }

    /// Goes round until the window is over.
    ///
    /// # Errors
    /// What the server did wrong first.
    pub(crate) fn run(&mut self, window: &mut Window<'_>) -> Result<(), Wrong> {
        window.begin();
        let mut heard = window.now();
        for number in 0..self.cycles.len() {
            self.start(number, heard);
        }
        let mut completions = Vec::new();
        loop {
            let now = window.now();
            if !window.turn(now)? {
                return Ok(());
            }
            if now.saturating_sub(heard) > SILENCE {
                return Err(Wrong::Silence { missing: self.cycles.len() as u64 });
            }
            self.ring.wait(window.patience(now), &mut completions)?;
            if !completions.is_empty() {
                heard = window.now();
            }
            for completion in completions.drain(..) {
                if let Some(number) = self.complete(completion)? {
                    window.count(self.cycles[number].since, heard, 1);
                    self.cycles[number] = Cycle::new(heard)?;
                    self.start(number, heard);
                }
            }
        }
    }

    fn start(&mut self, number: usize, now: u64) {
        let cycle = &mut self.cycles[number];
        cycle.since = now;
        self.ring.connect(number, &cycle.socket, &self.request);
    }

    /// The number of the cycle that this ends.
    fn complete(&mut self, completion: Completion) -> Result<Option<usize>, Wrong> {
        match completion {
            Completion::Connected(result) => result?,
            // Requests and close frames are short: they are taken whole, or not at all.
            Completion::Sent(_, size) => {
                size?;
            }
            Completion::Received(number, lease) => {
                let is_closed = matches!(self.cycles[number].stage, Stage::Closed);
                let mut lease = match lease {
                    Ok(Some(lease)) => lease,
                    Ok(None) | Err(_) if is_closed => return Ok(Some(number)),
                    Ok(None) => return Err(Wrong::Gone),
                    Err(error) => return Err(error.into()),
                };
                let taken = self.take(number, lease.bytes());
                self.ring.give_back(lease);
                taken?;
            }
        }
        Ok(None)
    }

    fn take(&mut self, number: usize, read: &[u8]) -> Result<(), Wrong> {
        let cycle = &mut self.cycles[number];
        cycle.stage = match mem::replace(&mut cycle.stage, Stage::Closed) {
            Stage::Opening(mut head) => {
                head.extend_from_slice(read);
                match self.door.find_end(&head, &mut self.right)? {
                    None => Stage::Opening(head),
                    Some(end) => {
                        self.ring.send(number, &cycle.socket, &self.close);
                        closing(Stream::default(), &head[end..])?
                    }
                }
            }
            Stage::Closing(stream) => closing(stream, read)?,
            // After its close frame nothing counts.
            Stage::Closed => Stage::Closed,
        };
        Ok(())
    }
}

/// Reads on until the server's close frame.
fn closing(mut stream: Stream, mut read: &[u8]) -> Result<Stage, Wrong> {
    while let Some(part) = stream.next(&mut read)? {
        match part {
            Part::Close => return Ok(Stage::Closed),
            // Whoever closes need not answer a ping.
            Part::Ping(_) => {}
            Part::Data { .. } => return Err(Wrong::Unasked),
        }
    }
    Ok(Stage::Closing(stream))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_frame_is_found_however_it_is_cut() {
        let bytes = b"\x89\x01?\x88\x02\x03\xe8";
        for cut in 0..bytes.len() {
            let stage = closing(Stream::default(), &bytes[..cut]).unwrap();
            let Stage::Closing(stream) = stage else { panic!("it has closed at {cut}") };
            assert!(matches!(closing(stream, &bytes[cut..]).unwrap(), Stage::Closed));
        }
        let message = closing(Stream::default(), b"\x81\x01a");
        assert!(matches!(message, Err(Wrong::Unasked)));
    }
}
