//! A bare ring loop: what the system takes for the same bytes to the same sockets, and nothing
//! else.
//!
//! It shakes hands, then knows no frames but those that it makes once for all. The ring is set up
//! and the sends are batched as the engine does both. A poll is armed on every connection, as a
//! receive is in a server. It has neither subscriptions nor queues: a connection that takes no more
//! would lose bytes here, so that it ends the program.

#![expect(unsafe_code, reason = "submissions name memory to the kernel")]

use std::error::Error;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use io_uring::types::Fd;
use io_uring::{IoUring, cqueue, opcode, squeue};
use ringwire_benches::order::{Order, Series, announce};
use ringwire_protocol::handshake::{Accept, Head, Limits, Request};
use ringwire_protocol::{Event, Limits as MessageLimits, Payload};
use ringwire_protocol::{Receiver, Role, Sender, Workspace};

/// Sends of one submission, as in the engine.
const BATCH: usize = 128;

/// Entries of the queue of submissions, as in the engine.
const SUBMISSIONS: u32 = 2048;

/// What a completion is of: the listener, a poll of a connection, a send. The rest of the bits is
/// the connection's number.
const ACCEPT: u64 = 0;
const POLL: u64 = 1;
const SEND: u64 = 2;

/// Serves until its input is closed.
pub(crate) fn serve() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut bare = Bare { ring: ring()?, listener, connections: Vec::new() };
    announce(bare.listener.local_addr()?.port())?;
    bare.arm_accept()?;
    let mut frames = Frames::default();
    loop {
        let mut asked = None;
        for completion in bare.wait()? {
            let number = usize::try_from(completion.user_data() >> 8)?;
            match completion.user_data() & 0xff {
                ACCEPT => {
                    bare.take_in()?;
                    bare.arm_accept()?;
                }
                POLL => asked = asked.or(Some(number)),
                _ => return Err("a send of nobody's".into()),
            }
        }
        if let Some(number) = asked {
            match bare.read(number)? {
                Some(order) => bare.fan_out(frames.of(order))?,
                // All connections end together.
                None => return Ok(()),
            }
        }
    }
}

struct Bare {
    ring: IoUring,
    listener: TcpListener,
    connections: Vec<TcpStream>,
}

fn ring() -> std::io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder
        .setup_single_issuer()
        .setup_submit_all()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .setup_cqsize(4 * SUBMISSIONS);
    let ring = builder.build(SUBMISSIONS)?;
    let _unregistered = ring.submitter().register_ring_fd();
    Ok(ring)
}

impl Bare {
    /// Says when somebody waits at the listener.
    fn arm_accept(&mut self) -> Result<(), Box<dyn Error>> {
        let poll = opcode::PollAdd::new(Fd(self.listener.as_raw_fd()), POLLIN).build();
        self.push(&poll.user_data(ACCEPT))
    }

    fn wait(&mut self) -> std::io::Result<Vec<cqueue::Entry>> {
        self.ring.submit_and_wait(1)?;
        Ok(self.ring.completion().collect())
    }

    /// Shakes hands with the next peer.
    fn take_in(&mut self) -> Result<(), Box<dyn Error>> {
        let (mut stream, _) = self.listener.accept()?;
        stream.set_nodelay(true)?;
        let (mut head, mut bytes, mut scan) = (Vec::new(), [0; 1024], Head::request());
        while scan.scan(&head, &Limits::default())?.is_none() {
            let size = stream.read(&mut bytes)?;
            head.extend_from_slice(bytes.get(..size).filter(|_| size > 0).ok_or("it has gone")?);
        }
        let request = Request::parse(&head)?;
        let mut answer = Vec::new();
        Accept::default().encode(&request.upgrade()?.ok_or("no upgrade")?, &mut answer)?;
        stream.write_all(&answer)?;
        let number = u64::try_from(self.connections.len())?;
        let poll = opcode::PollAdd::new(Fd(stream.as_raw_fd()), POLLIN).multi(true).build();
        self.connections.push(stream);
        self.push(&poll.user_data(number << 8 | POLL))
    }

    /// What a connection asks for, in one frame. `None`: it has ended.
    fn read(&mut self, number: usize) -> Result<Option<Order>, Box<dyn Error>> {
        let mut bytes = [0; 1024];
        let size = match self.connections[number].read(&mut bytes) {
            Ok(size) if size > 0 => size,
            Ok(_) | Err(_) => return Ok(None),
        };
        let (mut sender, mut receiver) = (Sender::new(Role::Server), Receiver::new(Role::Server));
        let mut workspace = Workspace::new(MessageLimits::default());
        let mut input = &mut bytes[..size];
        match receiver.next(&mut input, &mut sender, &mut workspace, &mut Vec::new()) {
            Some(Event::Message(message)) => {
                let text = str::from_utf8(message.as_bytes())?;
                Ok(Some(Order::parse(text).ok_or("no order")?))
            }
            _ => Err("not one message".into()),
        }
    }

    /// Sends the same bytes to all, and waits until they have been taken.
    fn fan_out(&mut self, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
        let size = u32::try_from(bytes.len())?;
        let (mut next, mut landed) = (0, 0);
        while landed < self.connections.len() {
            let end = (next + BATCH).min(self.connections.len());
            for descriptor in next..end {
                let descriptor = Fd(self.connections[descriptor].as_raw_fd());
                let send = opcode::Send::new(descriptor, bytes.as_ptr(), size);
                self.push(&send.flags(MSG_NOSIGNAL).build().user_data(SEND))?;
            }
            next = end;
            for completion in self.wait()? {
                if completion.user_data() & 0xff != SEND {
                    return Err("somebody came or spoke in the middle of a fan-out".into());
                }
                if completion.result() != size.cast_signed() {
                    return Err("a connection did not take all".into());
                }
                landed += 1;
            }
        }
        Ok(())
    }

    fn push(&mut self, entry: &squeue::Entry) -> Result<(), Box<dyn Error>> {
        // SAFETY: a poll names no memory, and `fan_out` holds the bytes of its sends until the
        // last one has completed or the process ends.
        while unsafe { self.ring.submission().push(entry) }.is_err() {
            self.ring.submit()?;
        }
        Ok(())
    }
}

/// `POLLIN` and `MSG_NOSIGNAL` of Linux, on all its architectures.
const POLLIN: u32 = 1;
const MSG_NOSIGNAL: i32 = 0x4000;

/// Makes the bytes of an order.
#[derive(Default)]
struct Frames {
    series: Series,
    bytes: Vec<u8>,
}

impl Frames {
    fn of(&mut self, order: Order) -> &[u8] {
        let mut workspace = Workspace::new(MessageLimits::default());
        let mut sender = Sender::new(Role::Server);
        self.bytes.clear();
        for _ in 0..order.count {
            let message = self.series.message(order.size);
            let payload = Payload::Binary(&message);
            // Nothing was closed, so it is sent.
            let _sent = sender.message(payload, &mut workspace, &mut self.bytes);
        }
        &self.bytes
    }
}
