//! Connections that their handler pauses: nothing is lost, nothing overtakes, everything ends.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use ringwire::simulation::{Faults, Peer, Simulation};
use ringwire::{Cause, Closed, Config, Connection, ConnectionId, Handle, Handler, Message};
use ringwire_tests::{Frame, PATIENCE, REQUEST, TestServer, binary, close, config, text};

/// Pauses after each so many messages, and notes all of them.
#[derive(Default)]
struct Slow {
    every: usize,
    books: Vec<Book>,
}

/// What was told of one connection, whose state is its index.
struct Book {
    id: ConnectionId,
    messages: Vec<Vec<u8>>,
    errors: usize,
    closed: Option<bool>,
}

impl Slow {
    fn book(&mut self, connection: &mut Connection<'_, usize>) -> &mut Book {
        &mut self.books[*connection.state()]
    }
}

impl Handler for Slow {
    type State = usize;

    fn open(&mut self, connection: &mut Connection<'_, usize>) {
        *connection.state() = self.books.len();
        let (id, messages) = (connection.id(), Vec::new());
        self.books.push(Book { id, messages, errors: 0, closed: None });
        if self.every == 1 {
            connection.pause();
        }
    }

    fn message(&mut self, connection: &mut Connection<'_, usize>, message: Message<'_>) {
        assert!(!connection.is_paused(), "a message while paused");
        let every = self.every;
        let book = self.book(connection);
        assert_eq!(book.closed, None, "a message after the end");
        book.messages.push(message.as_bytes().to_vec());
        if message.as_bytes() == b"close" {
            connection.close(4000, "").unwrap();
            connection.pause();
            assert!(!connection.is_paused(), "a pause would outlast the closing handshake");
        } else if message.as_bytes() == b"both" {
            connection.pause();
            assert!(connection.is_paused());
            connection.resume();
            assert!(!connection.is_paused());
        } else if message.as_bytes() == b"pause and close" {
            connection.pause();
            connection.close(4001, "").unwrap();
        } else if message.as_bytes() == b"pause and terminate" {
            connection.pause();
            connection.terminate();
        } else if book.messages.len().is_multiple_of(every) {
            connection.pause();
        }
    }

    fn error(&mut self, connection: &mut Connection<'_, usize>, _cause: &Cause) {
        self.book(connection).errors += 1;
    }

    fn close(&mut self, connection: &mut Connection<'_, usize>, closed: Closed<'_>) {
        let before = self.book(connection).closed.replace(closed.clean);
        assert_eq!(before, None, "closed twice");
    }
}

/// A worker with so many open connections.
fn start(seed: u64, faults: Faults, every: usize, count: usize) -> (Simulation<Slow>, Vec<Peer>) {
    let config = Config {
        buffers: 8,
        buffer_size: 100,
        turn_size_max: 4 * 256,
        ping_interval: Some(Duration::from_secs(30)),
        idle_timeout: Some(Duration::from_secs(60)),
        ..Config::default()
    };
    let handler = Slow { every, ..Slow::default() };
    let mut simulation = Simulation::new(seed, config, faults, handler).unwrap();
    let mut peers = Vec::new();
    for index in 0..count {
        // One after another, so that the books are in the order of the peers.
        let peer = simulation.connect();
        simulation.send(peer, REQUEST.as_bytes());
        while simulation.handler().books.len() == index {
            simulation.turn().unwrap();
        }
        peers.push(peer);
    }
    (simulation, peers)
}

/// Resumes a connection from outside.
fn resume(simulation: &mut Simulation<Slow>, index: usize) {
    let id = simulation.handler().books[index].id;
    simulation.handle().resume(id).unwrap();
}

/// A message that says its number, of a size that the seed chooses.
fn numbered(simulation: &mut Simulation<Slow>, number: usize) -> Vec<u8> {
    let mut message = number.to_be_bytes().to_vec();
    message.resize(8 + simulation.choose(300), u8::try_from(number % 256).unwrap());
    message
}

#[test]
fn no_byte_is_lost_and_none_overtakes() {
    let mut gentle = Faults::HARMLESS;
    for seed in 0..40 {
        if seed % 2 == 0 {
            gentle.delays = 0;
        }
        let every = 1 + usize::try_from(seed % 5).unwrap();
        let (mut simulation, peers) = start(seed, gentle, every, 6);
        let mut owed = vec![Vec::new(); peers.len()];
        for _ in 0..60 {
            let index = simulation.choose(peers.len());
            for _ in 0..simulation.choose(5) {
                let message = numbered(&mut simulation, owed[index].len());
                simulation.send(peers[index], &binary(&message));
                owed[index].push(message);
            }
            let index = simulation.choose(peers.len());
            match simulation.choose(3) {
                0 => resume(&mut simulation, index),
                1 => {
                    // It may take effect after more messages of the same turn.
                    let id = simulation.handler().books[index].id;
                    simulation.handle().pause(id).unwrap();
                }
                _ => {}
            }
            simulation.turn().unwrap();
        }
        for (index, peer) in peers.iter().enumerate() {
            if index % 2 == 0 {
                simulation.send(*peer, &close(1000, ""));
            }
            simulation.end(*peer);
        }
        let mut turns = 0;
        while simulation.connections() > 0 {
            let index = simulation.choose(peers.len());
            resume(&mut simulation, index);
            simulation.turn().unwrap();
            turns += 1;
            assert!(turns < 20_000, "seed {seed}: a connection is stuck");
        }
        for (index, book) in simulation.handler().books.iter().enumerate() {
            assert!(book.messages == owed[index], "seed {seed}, connection {index}");
            let is_clean = index % 2 == 0;
            assert_eq!((book.errors, book.closed), (usize::from(!is_clean), Some(is_clean)));
        }
    }
}

#[test]
fn what_comes_with_the_request_waits_for_a_resume() {
    let (mut simulation, peers) = start(1, Faults::default(), 1, 1);
    let peer = simulation.connect();
    simulation.send(peer, &[REQUEST.as_bytes(), &text("early"), &text("and more")].concat());
    simulation.run(20).unwrap();
    assert!(simulation.handler().books[1].messages.is_empty());
    resume(&mut simulation, 1);
    simulation.run(3).unwrap();
    assert_eq!(simulation.handler().books[1].messages, [b"early"]);
    resume(&mut simulation, 1);
    simulation.run(3).unwrap();
    assert_eq!(simulation.handler().books[1].messages.len(), 2);
    assert!(!simulation.has_ended(peers[0]));
}

#[test]
fn nothing_is_received_while_paused() {
    let (mut simulation, peers) = start(1, Faults::default(), 2, 1);
    let bytes: Vec<u8> = (0..1000).flat_map(|_| text("a hundred times and more")).collect();
    simulation.send(peers[0], &bytes);
    for round in 1..=5 {
        let before = simulation.waiting(peers[0]);
        simulation.run(50).unwrap();
        assert_eq!(simulation.handler().books[0].messages.len(), 2 * round);
        // In two turns the world fills at most six buffers.
        assert!(before - simulation.waiting(peers[0]) <= 600);
        resume(&mut simulation, 0);
    }
}

#[test]
fn a_paused_peer_is_not_late() {
    let (mut simulation, peers) = start(1, Faults::default(), 2, 1);
    simulation.send(peers[0], &[text("one"), text("two"), text("three")].concat());
    simulation.run(3).unwrap();
    assert_eq!(simulation.handler().books[0].messages.len(), 2);
    let before = simulation.received(peers[0]);
    let paused = simulation.elapsed();
    // Others come, are idle and are closed: time passes.
    while simulation.elapsed() - paused < Duration::from_secs(600) {
        let other = simulation.connect();
        simulation.send(other, REQUEST.as_bytes());
        while !simulation.has_closed(other) {
            simulation.turn().unwrap();
        }
    }
    assert_eq!(simulation.received(peers[0]), before, "it was asked for a sign of life");
    resume(&mut simulation, 0);
    let resumed = simulation.elapsed();
    simulation.run(2).unwrap();
    assert_eq!(simulation.handler().books[0].messages.len(), 3);
    // Time begins anew, for the ping and for idleness.
    while simulation.received(peers[0]) == before {
        simulation.turn().unwrap();
    }
    assert!(simulation.elapsed() - resumed >= Duration::from_secs(30));
    while simulation.connections() > 0 {
        simulation.turn().unwrap();
    }
    assert!(simulation.elapsed() - resumed < Duration::from_secs(70));
}

#[test]
fn a_close_ends_the_pause() {
    // Within the message that pauses, before it, and from outside while it is paused.
    for (messages, code) in [
        (vec!["close", "later"], 4000_u16),
        (vec!["pause and close", "later"], 4001),
        (vec!["one", "two", "later"], 4002),
    ] {
        let (mut simulation, peers) = start(1, Faults::default(), 2, 1);
        let bytes: Vec<u8> = messages.iter().flat_map(text).collect();
        simulation.send(peers[0], &bytes);
        // No longer, or time jumps to the end of the closing handshake.
        simulation.run(2).unwrap();
        if code == 4002 {
            assert_eq!(simulation.handler().books[0].messages.len(), 2);
            let id = simulation.handler().books[0].id;
            simulation.handle().close(id, code, "").unwrap();
            simulation.run(2).unwrap();
        }
        assert!(simulation.received(peers[0]).ends_with(&code.to_be_bytes()));
        simulation.send(peers[0], &[text("sent meanwhile"), close(code, "")].concat());
        simulation.end(peers[0]);
        simulation.run(10).unwrap();
        let book = &simulation.handler().books[0];
        assert_eq!((book.errors, book.closed), (0, Some(true)), "code {code}");
        assert_eq!(book.messages.len(), messages.len() + 1, "code {code}");
        assert_eq!(simulation.connections(), 0);
    }
}

#[test]
fn a_paused_connection_ends_in_every_way() {
    type End = fn(&mut Simulation<Slow>, Peer);
    let ends: [(End, Option<bool>); 3] = [
        (|simulation, peer| simulation.reset(peer), None),
        (|simulation, peer| simulation.end(peer), None),
        (|simulation, _| simulation.handle().stop_now(), Some(false)),
    ];
    for (end, closed) in ends {
        let (mut simulation, peers) = start(1, Faults::default(), 1, 1);
        resume(&mut simulation, 0);
        simulation.send(peers[0], &[text("one"), text("two"), text("three")].concat());
        simulation.run(3).unwrap();
        end(&mut simulation, peers[0]);
        simulation.run(5).unwrap();
        // Nothing is read, so the end of the peer is not seen; of two messages we know.
        assert_eq!(simulation.handler().books[0].closed, closed);
        for count in [2, 3, 3, 3] {
            let books = &simulation.handler().books;
            if books[0].closed.is_none() {
                resume(&mut simulation, 0);
                simulation.run(3).unwrap();
                assert_eq!(simulation.handler().books[0].messages.len(), count);
            }
        }
        simulation.run(20).unwrap();
        let book = &simulation.handler().books[0];
        assert_eq!((book.errors, book.closed), (1, Some(false)));
        assert_eq!(simulation.connections(), 0);
    }
    let (mut simulation, peers) = start(1, Faults::default(), 9, 1);
    simulation.send(peers[0], &[text("pause and terminate"), text("never")].concat());
    simulation.run(5).unwrap();
    assert_eq!(simulation.connections(), 0);
    assert_eq!(simulation.handler().books[0].messages.len(), 1);
}

#[test]
fn a_stop_does_not_wait_for_a_resume() {
    let (mut simulation, peers) = start(1, Faults::default(), 1, 3);
    simulation.handle().stop();
    let begun = simulation.elapsed();
    while simulation.turn().unwrap() {
        for peer in &peers {
            if simulation.received(*peer).ends_with(&[0x88, 2, 0x03, 0xE9]) {
                simulation.send(*peer, &close(1001, ""));
                simulation.end(*peer);
            }
        }
    }
    assert!(simulation.elapsed() - begun < Duration::from_secs(1));
    assert!(simulation.handler().books.iter().all(|book| book.closed == Some(true)));
}

#[test]
fn a_pause_that_is_taken_back_is_none() {
    let (mut simulation, peers) = start(1, Faults::default(), 100, 1);
    let bytes = [text("both"), text("two"), text("both"), text("four")].concat();
    simulation.send(peers[0], &bytes);
    simulation.run(3).unwrap();
    simulation.send(peers[0], &bytes);
    simulation.run(3).unwrap();
    let messages = simulation.handler().books[0].messages.concat();
    assert_eq!(messages, b"bothtwobothfourbothtwobothfour");
}

/// Gives what arrives to a thread that is slow, and pauses while it has enough.
struct Bridge(Sender<(ConnectionId, Vec<u8>)>);

impl Handler for Bridge {
    type State = ();

    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        self.0.send((connection.id(), message.as_bytes().to_vec())).unwrap();
        connection.pause();
    }
}

fn bridge(config: Config) -> (TestServer, Handle, Receiver<(ConnectionId, Vec<u8>)>) {
    let (sender, received) = channel();
    let server = TestServer::start(config, move |_worker| Bridge(sender.clone()));
    let handle = server.handle();
    (server, handle, received)
}

#[test]
fn a_slow_thread_slows_the_peer() {
    const MESSAGES: usize = 1000;
    const SIZE: usize = 60_000;
    let (server, handle, received) = bridge(config());
    let mut client = server.client();
    let mut writer = client.share();
    let writer = thread::spawn(move || {
        for number in 0..MESSAGES {
            writer.write(binary(vec![u8::try_from(number % 256).unwrap(); SIZE]));
        }
    });
    thread::sleep(Duration::from_millis(200));
    // More is sent than the kernel keeps, and one message is all that was handed over.
    let (id, _) = received.recv_timeout(PATIENCE).unwrap();
    assert!(received.try_recv().is_err(), "a message while paused");
    assert!(!writer.is_finished(), "the peer is not slowed down");
    handle.resume(id).unwrap();
    for number in 1..MESSAGES {
        let (id, message) = received.recv_timeout(PATIENCE).unwrap();
        assert!(message == vec![u8::try_from(number % 256).unwrap(); SIZE], "message {number}");
        if number % 100 == 0 {
            thread::sleep(Duration::from_millis(20));
        }
        assert!(received.try_recv().is_err(), "a message while paused");
        handle.resume(id).unwrap();
    }
    writer.join().unwrap();
    client.write(close(1000, ""));
    client.expect_close(Some(1000));
}

#[test]
fn other_connections_go_on() {
    // Fewer buffers than connections that are paused with something held.
    let (server, handle, received) = bridge(Config { buffers: 4, ..config() });
    let mut clients: Vec<_> = (0..20).map(|_| server.client()).collect();
    for client in &mut clients {
        client.write([text("one"), text("two"), text("three")].concat());
    }
    let ids: Vec<ConnectionId> =
        (0..20).map(|_| received.recv_timeout(PATIENCE).unwrap()).map(|(id, _)| id).collect();
    let mut last = server.client();
    last.write(text("here"));
    assert_eq!(received.recv_timeout(PATIENCE).unwrap().1, b"here");
    for expected in ["two", "three"] {
        for id in &ids {
            handle.resume(*id).unwrap();
            assert_eq!(received.recv_timeout(PATIENCE).unwrap(), (*id, expected.into()));
        }
    }
    for id in &ids {
        handle.resume(*id).unwrap();
        handle.send(*id, "done").unwrap();
    }
    for client in &mut clients {
        client.expect(&Frame::text("done"));
    }
}
