//! Messages that are received into their own buffers, on the kernel's ring.

use ringwire::simulation::{Faults, Simulation};
use ringwire::{Config, Connection, Handler, Message, OwnedMessage, Sent};
use ringwire_tests::{
    BINARY, FIN, Frame, Length, TEXT, TestServer, binary, close, config, frame, header, message,
    noise, ping, text,
};

const MIB: usize = 1 << 20;

#[test]
fn large_and_small_ones_take_turns() {
    let (server, _events) = TestServer::echo(config());
    let mut client = server.client();
    for size in [MIB, 10, 3 * MIB + 1, 0, 130 << 10, 200, MIB, MIB, 40 << 10, 5] {
        let bytes = noise(size);
        client.write(binary(&bytes));
        client.expect(&Frame::binary(&bytes));
    }
    // Several at once, so that one begins in the buffer in which another one ends.
    let bytes = noise(300 << 10);
    let written = [binary(&bytes), ping("between"), binary(&bytes), text("last")].concat();
    let mut writer = client.share();
    let writing = std::thread::spawn(move || writer.write(written));
    client.expect(&Frame::binary(&bytes));
    client.expect(&Frame::pong("between"));
    client.expect(&Frame::binary(&bytes));
    client.expect(&Frame::text("last"));
    writing.join().expect("all of it has been written");
    client.write(close(1000, ""));
    client.expect_close(Some(1000));
}

#[test]
fn fragments_and_pieces_come_together() {
    let (server, _events) = TestServer::echo(config());
    let mut client = server.client();
    let sentence = "größer als ein Puffer 😀 ";
    let long = sentence.repeat(MIB / sentence.len());
    let (start, end) = long.as_bytes().split_at(MIB / 3);
    for piece_size in [1000, 100_000] {
        let stream = message(TEXT, &[start, b"", end]);
        for piece in stream.chunks(piece_size) {
            client.write(piece);
        }
        client.expect(&Frame::text(&long));
    }
}

#[test]
fn a_wrong_byte_is_found_in_the_middle() {
    let (server, _events) = TestServer::echo(config());
    let mut client = server.client();
    let mut bytes = "ü".repeat(MIB).into_bytes();
    bytes[MIB] = 0xFF;
    // The server ends before all of it has been taken.
    let _taken = client.is_taken(&frame(FIN | TEXT, &bytes));
    client.expect_close(Some(1007));
}

#[test]
fn a_peer_ends_in_the_middle() {
    let (server, _events) = TestServer::echo(config());
    for size in [MIB / 2, MIB - 1] {
        let mut client = server.client();
        let stream = binary(noise(MIB));
        client.write(&stream[..size]);
        client.end();
        assert_eq!(client.read_to_end(), []);
    }
    server.stats_when(|stats| stats.ended.total() == 2);
}

/// Sends each message back, alone or among others.
#[derive(Default)]
struct Back {
    count: usize,
}

impl Handler for Back {
    type State = ();

    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        self.count += 1;
        if self.count % 4 == 1 {
            connection.send("before");
        }
        let size = message.as_bytes().len();
        let before = connection.buffered();
        let sent = connection.send_back(message);
        assert!(matches!(sent, Sent::Queued | Sent::Backlogged));
        assert!(connection.buffered() > before + size, "it is counted at once");
        if self.count % 4 > 1 {
            connection.send("after");
        }
        if self.count % 4 == 3 {
            connection.send(vec![7; 100_000].as_slice());
        }
    }
}

/// What [`Back`] answers to `messages`.
fn answers(messages: &[OwnedMessage]) -> Vec<OwnedMessage> {
    let mut answers = Vec::new();
    for (message, count) in messages.iter().zip(1..) {
        answers.extend((count % 4 == 1).then(|| "before".into()));
        answers.push(message.clone());
        answers.extend((count % 4 > 1).then(|| "after".into()));
        answers.extend((count % 4 == 3).then(|| OwnedMessage::Binary(vec![7; 100_000])));
    }
    answers
}

/// Messages of all sizes.
fn messages() -> Vec<OwnedMessage> {
    let sizes = [MIB, 300 << 10, 65_536, 65_535, 100, 200 << 10, 70_000, 40_000, MIB, MIB / 2, 9];
    let message = |(number, size): (usize, usize)| match number % 3 {
        0 => OwnedMessage::from("é".repeat(size / 2).as_str()),
        _ => OwnedMessage::Binary(noise(size)),
    };
    sizes.into_iter().cycle().take(33).enumerate().map(message).collect()
}

#[test]
fn what_is_sent_back_keeps_its_place() {
    let server = TestServer::start(config(), |_worker| Back::default());
    let mut client = server.client();
    let messages = messages();
    let mut writer = client.share();
    let written = messages.clone();
    let writing = std::thread::spawn(move || {
        for message in written {
            writer.write(match &message {
                OwnedMessage::Text(message) => text(&**message),
                OwnedMessage::Binary(message) => binary(message),
            });
        }
    });
    for answer in answers(&messages) {
        client.expect(&match answer {
            OwnedMessage::Text(answer) => Frame::text(&*answer),
            OwnedMessage::Binary(answer) => Frame::binary(answer),
        });
    }
    writing.join().expect("all of it has been written");
    let stats = server.stats_when(|stats| stats.messages_received == 33);
    assert_eq!(stats.messages_sent, answers(&messages).len() as u64);
}

#[test]
fn whatever_happens_to_the_pieces() {
    let request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let messages = messages();
    for seed in 0..4 {
        let config = Config { ping_interval: None, idle_timeout: None, ..Config::default() };
        let faults = if seed == 0 { Faults::default() } else { Faults::HARMLESS };
        let mut simulation =
            Simulation::new(seed, config, faults, Back::default()).expect("it is right");
        let peer = simulation.connect();
        simulation.send(peer, request.as_bytes());
        let mut unsent = Vec::new();
        for message in &messages {
            unsent.extend(match message {
                OwnedMessage::Text(message) => text(&**message),
                OwnedMessage::Binary(message) => binary(message),
            });
        }
        let mut unsent = unsent.chunks(150_000);
        let mut expected = Vec::new();
        for answer in answers(&messages) {
            let opcode = match answer {
                OwnedMessage::Text(_) => TEXT,
                OwnedMessage::Binary(_) => BINARY,
            };
            let payload = answer.payload().as_bytes();
            expected.extend(header(FIN | opcode, Length::shortest(payload.len()), None));
            expected.extend_from_slice(payload);
        }
        let mut got = Vec::new();
        for _ in 0..50_000 {
            if let Some(piece) = unsent.next() {
                simulation.send(peer, piece);
            }
            simulation.turn().expect("it goes on");
            got.extend(simulation.take(peer));
            if got.len() > expected.len() && got.ends_with(&expected[expected.len() - 9..]) {
                break;
            }
        }
        assert!(got.ends_with(&expected), "seed {seed}: {:?}", simulation.journal());
        assert_eq!(simulation.stats().messages_received, 33, "seed {seed}");
    }
}
