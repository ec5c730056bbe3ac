//! What one connection may have of a turn when its few bytes are much work: compressed messages
//! that grow a thousandfold.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use ringwire::simulation::{Faults, Peer, Simulation};
use ringwire::{Compression, Config, Connection, Handler, Message};
use ringwire_protocol::deflate::{Compressor, Settings};
use ringwire_tests::{BINARY, FIN, REQUEST, RSV1, frame, text};

/// Bytes of a large message, and how many peers send one.
const SIZE: usize = 4 << 20;
const SENDERS: usize = 20;
/// A whole share, the smallest one, how many whole ones are granted at a time, and how often.
const SHARE: usize = 64 << 10;
const STEP: usize = 64 << 10;
const SHARES: usize = 4;

/// Counts what is whole, and answers what is small.
#[derive(Default)]
struct Counts {
    large: usize,
}

impl Handler for Counts {
    type State = ();

    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        if message.as_bytes().len() == SIZE {
            assert!(message.as_bytes().iter().all(|byte| *byte == 7));
            self.large += 1;
        } else {
            connection.send(&message);
        }
    }
}

fn open(simulation: &mut Simulation<Counts>) -> Peer {
    let peer = simulation.connect();
    let extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    let request = REQUEST.replace("\r\n\r\n", &format!("\r\n{extension}"));
    simulation.send(peer, request.as_bytes());
    simulation.run(20).unwrap();
    let answer = String::from_utf8(simulation.take(peer)).unwrap();
    assert!(answer.contains("permessage-deflate"), "{answer}");
    peer
}

/// A frame of some 4 KB that is a message of 4 MiB.
fn large() -> Vec<u8> {
    let settings = Settings { window_bits: 15, memory_level: 8, level: 9 };
    let mut payload = Vec::new();
    let mut compressor = Compressor::new(settings).unwrap();
    compressor.compress(&vec![7; SIZE], false, &mut payload).unwrap();
    assert!(payload.len() < 5000);
    frame(FIN | RSV1 | BINARY, &payload)
}

fn start() -> Simulation<Counts> {
    let config = Config {
        compression: Some(Compression::shared()),
        turn_size_max: SHARE,
        ping_interval: None,
        ..Config::default()
    };
    Simulation::new(1, config, Faults::default(), Counts::default()).unwrap()
}

#[test]
fn messages_that_grow_a_thousandfold_hold_nobody_up() {
    let mut simulation = start();
    let senders: Vec<_> = (0..SENDERS).map(|_| open(&mut simulation)).collect();
    let neighbor = open(&mut simulation);
    let large = large();
    for sender in &senders {
        simulation.send(*sender, &large);
    }
    let mut turns = 0;
    while simulation.handler().large < SENDERS {
        simulation.send(neighbor, &text("here"));
        simulation.turn().unwrap();
        simulation.turn().unwrap();
        turns += 2;
        assert_eq!(simulation.take(neighbor), b"\x81\x04here", "the neighbour waits");
    }
    // In a turn whole shares are granted to who sends, to who was deferred and to who goes on; then
    // each of the others, when it sends, may have one step.
    let most = 3 * (SHARES + 1) * (SHARE + STEP) + SENDERS * STEP;
    assert!(turns * most >= SENDERS * SIZE, "all of it in {turns} turns");
}

#[test]
fn who_stops_in_the_middle_goes_on_in_order() {
    let mut simulation = start();
    let sender = open(&mut simulation);
    let mut stream = Vec::new();
    for number in 0..5 {
        stream.extend(large());
        stream.extend(text(format!("{number}")));
    }
    // In pieces that have nothing to do with the frames.
    let mut answers = Vec::new();
    for piece in stream.chunks(3001) {
        simulation.send(sender, piece);
        simulation.run(3).unwrap();
        answers.extend(simulation.take(sender));
    }
    simulation.run(2000).unwrap();
    answers.extend(simulation.take(sender));
    assert_eq!(simulation.handler().large, 5);
    assert_eq!(answers, b"\x81\x010\x81\x011\x81\x012\x81\x013\x81\x014");
}

#[test]
fn a_burst_of_small_messages_is_shared_out() {
    const COUNT: usize = 4000;
    let mut simulation = start();
    let sender = open(&mut simulation);
    // All of it fits one receive buffer. Each message counts as a block of 256 bytes.
    simulation.send(sender, &text("x").repeat(COUNT));
    let (mut turns, mut answers) = (0, 0);
    while answers < COUNT {
        simulation.turn().unwrap();
        turns += 1;
        let taken = simulation.take(sender);
        assert!(taken.chunks(3).all(|answer| answer == b"\x81\x01x"));
        // It may have a share as one that sends, as one that was deferred and as one that goes on.
        assert!(taken.len() / 3 <= 3 * SHARE / 256, "{} in turn {turns}", taken.len() / 3);
        answers += taken.len() / 3;
    }
    assert_eq!(answers, COUNT);
}
