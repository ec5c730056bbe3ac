//! What is counted: messages of every size and kind that are echoed, by the protocol alone and by
//! the engine on its simulated ring.

use std::error::Error;

use ringwire::simulation::{Faults, Simulation};
use ringwire::{Compression, Config, Connection, Handler, Message};
use ringwire_benches::client;
use ringwire_benches::feed::Feed;
use ringwire_protocol::deflate::{Agreed, Compressor, Policy, Settings};
use ringwire_protocol::frame::Opcode;
use ringwire_protocol::{Event, Limits, Receiver, Role, Sender, Workspace};

/// Messages of one kind, echoed by one half of the house.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// How often the smaller of two runs repeats it.
    pub(crate) count: u64,
    who: Who,
    opcode: Opcode,
    /// Bytes of a message, before it is compressed.
    size: usize,
    is_compressed: bool,
}

#[derive(Clone, Copy)]
enum Who {
    Protocol,
    /// With the simulated ring, which takes far more for a read than the engine itself: so a read
    /// has as many messages as fit.
    Engine,
}

use Opcode::{Binary, Text};
use Who::{Engine, Protocol};

/// All of them.
pub(crate) const CASES: [Case; 15] = [
    case("protocol, text, 20 bytes", Protocol, Text, 20, false),
    case("protocol, text, 1 KiB", Protocol, Text, 1 << 10, false),
    case("protocol, text, 64 KiB", Protocol, Text, 64 << 10, false),
    case("protocol, binary, 20 bytes", Protocol, Binary, 20, false),
    case("protocol, binary, 1 KiB", Protocol, Binary, 1 << 10, false),
    case("protocol, binary, 64 KiB", Protocol, Binary, 64 << 10, false),
    case("protocol, compressed text, 100 bytes", Protocol, Text, 100, true),
    case("protocol, compressed text, 1 KiB", Protocol, Text, 1 << 10, true),
    case("protocol, compressed text, 64 KiB", Protocol, Text, 64 << 10, true),
    case("engine, text, 20 bytes", Engine, Text, 20, false),
    case("engine, text, 1 KiB", Engine, Text, 1 << 10, false),
    case("engine, text, 64 KiB", Engine, Text, 64 << 10, false),
    case("engine, binary, 20 bytes", Engine, Binary, 20, false),
    case("engine, binary, 64 KiB", Engine, Binary, 64 << 10, false),
    case("engine, compressed text, 1 KiB", Engine, Text, 1 << 10, true),
];

const fn case(
    name: &'static str,
    who: Who,
    opcode: Opcode,
    size: usize,
    is_compressed: bool,
) -> Case {
    let count = if size > 10_000 || is_compressed { 20 } else { 100 };
    Case { name, count, who, opcode, size, is_compressed }
}

impl Case {
    /// Messages that are sent at a time, each in a frame of so many bytes.
    const fn at_once(&self, frame_size: usize) -> usize {
        match self.who {
            Protocol => 1,
            Engine if frame_size > READ_SIZE => 1,
            Engine => READ_SIZE / frame_size,
        }
    }

    /// Messages of a run that repeats so many times.
    pub(crate) fn messages(&self, count: u64) -> u64 {
        count * self.at_once(frame(self).len()) as u64
    }
}

/// What both sides of a compressed case have agreed on.
const AGREED: Agreed = Agreed {
    server_no_context_takeover: true,
    client_no_context_takeover: true,
    server_max_window_bits: None,
    client_max_window_bits: None,
};

/// Bytes of one read: what a receive buffer of the engine holds.
const READ_SIZE: usize = 32 << 10;

/// Has so many messages of the case echoed.
pub(crate) fn run(case: &Case, count: usize) -> Result<(), Box<dyn Error>> {
    let frame = frame(case);
    match case.who {
        Protocol => {
            let mut echo = Halves::new(case.is_compressed);
            drive(count, || echo.echo(&frame));
        }
        Engine => {
            let mut echo = Served::open(case.is_compressed)?;
            let frames = frame.repeat(case.at_once(frame.len()));
            drive(count, || echo.echo(&frames));
        }
    }
    Ok(())
}

/// What is counted.
#[inline(never)]
fn drive(count: usize, mut echo: impl FnMut() -> usize) {
    let first = echo();
    assert!(first > 0, "nothing came back");
    for _ in 1..count {
        assert_eq!(echo(), first, "something else came back");
    }
}

/// A message as a client sends it.
fn frame(case: &Case) -> Vec<u8> {
    let (mut feed, mut frame) = (Feed::new(1), Vec::new());
    let mut text = feed.message(case.size.max(200)).into_bytes();
    while text.len() < case.size {
        text.extend_from_slice(feed.message(case.size).as_bytes());
    }
    text.truncate(case.size);
    let key = [0x37, 0xFA, 0x21, 0x3D];
    if case.is_compressed {
        let settings = Settings { window_bits: 15, memory_level: 8, level: 6 };
        let mut payload = Vec::new();
        let mut compressor = Compressor::new(settings).expect("the settings are right");
        compressor.compress(&text, false, &mut payload).expect("there is no limit");
        client::compressed_text(&mut frame, &payload, key);
    } else {
        client::fragment(&mut frame, case.opcode, true, &text, key);
    }
    frame
}

/// The two halves of a server's connection.
struct Halves {
    receiver: Receiver,
    sender: Sender,
    workspace: Workspace,
    received: Vec<u8>,
    out: Vec<u8>,
}

impl Halves {
    fn new(is_compressed: bool) -> Self {
        let (mut receiver, mut sender) = (Receiver::new(Role::Server), Sender::new(Role::Server));
        if is_compressed {
            receiver = receiver.with_deflate(&AGREED, u32::MAX);
            sender = sender.with_deflate(&AGREED, &Policy::default());
        }
        let (received, out) = (Vec::new(), Vec::new());
        Self { receiver, sender, workspace: Workspace::new(Limits::default()), received, out }
    }

    /// Bytes of the answer.
    fn echo(&mut self, frame: &[u8]) -> usize {
        let Self { receiver, sender, workspace, received, out } = self;
        received.clear();
        out.clear();
        received.extend_from_slice(frame);
        for read in received.chunks_mut(READ_SIZE) {
            let mut input = read;
            while let Some(event) = receiver.next(&mut input, sender, workspace, out) {
                match event {
                    Event::Message(message) => {
                        sender.message(&message, workspace, out).expect("it is open");
                    }
                    Event::Inflated(_) => {}
                    event => panic!("{event:?}"),
                }
            }
        }
        out.len()
    }
}

struct Echo;

impl Handler for Echo {
    type State = ();

    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        connection.send(&message);
    }
}

/// A server's worker, and one client.
struct Served {
    simulation: Simulation<Echo>,
    peer: ringwire::simulation::Peer,
}

impl Served {
    fn open(is_compressed: bool) -> Result<Self, Box<dyn Error>> {
        let config = Config {
            compression: is_compressed.then(Compression::shared),
            ping_interval: None,
            ..Config::default()
        };
        let mut simulation = Simulation::new(1, config, Faults::default(), Echo)?;
        let peer = simulation.connect();
        let mut request = Vec::new();
        client::request().encode(&mut request)?;
        if is_compressed {
            let extension = b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
            request.truncate(request.len() - 2);
            request.extend_from_slice(extension);
        }
        simulation.send(peer, &request);
        simulation.run(10)?;
        assert!(simulation.take(peer).starts_with(b"HTTP/1.1 101"), "it is not open");
        Ok(Self { simulation, peer })
    }

    /// Bytes of the answers, when all of them have come.
    fn echo(&mut self, frames: &[u8]) -> usize {
        self.simulation.send(self.peer, frames);
        let mut size = 0;
        loop {
            let more = self.simulation.turn().expect("there are no faults");
            let taken = self.simulation.take(self.peer).len();
            size += taken;
            assert!(more, "the server has ended");
            if taken == 0 && size > 0 {
                return size;
            }
        }
    }
}
