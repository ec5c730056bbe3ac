//! How a server ends: when its peers are told, what they get before, and who is refused meanwhile.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use ringwire::simulation::{Faults, Peer, Simulation};
use ringwire::{
    Config, Connection, ConnectionId, Handler, Message, Misuse, OwnedMessage, Server, Stop,
};
use ringwire_tests::{
    CLOSE, Client, Event, Frame, PATIENCE, REQUEST, TestServer, close, config, text,
};

/// Keeps the identifiers of its connections, and echoes.
#[derive(Default)]
struct Crowd {
    opened: Vec<ConnectionId>,
    messages: usize,
}

impl Handler for Crowd {
    type State = ();

    fn open(&mut self, connection: &mut Connection<'_, ()>) {
        self.opened.push(connection.id());
    }

    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        self.messages += 1;
        connection.send(&message);
    }
}

/// The frames that a simulated peer has received, after the head of the answer.
fn frames(simulation: &Simulation<Crowd>, peer: Peer) -> Vec<Vec<u8>> {
    let bytes = simulation.received(peer);
    let Some(head) = bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return vec![] };
    let mut rest = &bytes[head + 4..];
    let mut frames = Vec::new();
    while let [_, size, after @ ..] = rest {
        assert!(*size < 126, "these tests send short messages");
        let Some(payload) = after.get(..usize::from(*size)) else { break };
        frames.push([&rest[..1], payload].concat());
        rest = &after[payload.len()..];
    }
    frames
}

/// The close frame that a simulated peer has received, as its code and reason.
fn told(simulation: &Simulation<Crowd>, peer: Peer) -> Option<(u16, Vec<u8>)> {
    let frames = frames(simulation, peer);
    let [0x88, high, low, reason @ ..] = frames.last()?.as_slice() else { return None };
    Some((u16::from_be_bytes([*high, *low]), reason.to_vec()))
}

/// A server with open connections.
fn crowd(seed: u64, faults: Faults, count: usize) -> (Simulation<Crowd>, Vec<Peer>) {
    let config = Config { ping_interval: None, buffers: 16, ..Config::default() };
    let mut simulation = Simulation::new(seed, config, faults, Crowd::default()).unwrap();
    let peers: Vec<Peer> = (0..count).map(|_| simulation.connect()).collect();
    for peer in &peers {
        simulation.send(*peer, REQUEST.as_bytes());
    }
    while simulation.handler().opened.len() < count {
        assert!(simulation.turn().unwrap());
    }
    simulation.run(20).unwrap();
    (simulation, peers)
}

/// Lets the server end. Peers answer its close frames; says when each of them came.
fn end(simulation: &mut Simulation<Crowd>, peers: &[Peer]) -> Vec<Duration> {
    let begun = simulation.elapsed();
    let mut times = vec![None; peers.len()];
    loop {
        let serves = simulation.turn().unwrap();
        for (peer, time) in peers.iter().zip(&mut times) {
            if time.is_none() && told(simulation, *peer).is_some() {
                *time = Some(simulation.elapsed() - begun);
                simulation.send(*peer, &close(1001, ""));
                simulation.end(*peer);
            }
        }
        if !serves {
            return times.into_iter().map(|time| time.expect("each is told")).collect();
        }
    }
}

#[test]
fn close_frames_are_spread() {
    let spread = Duration::from_secs(10);
    let mut runs = Vec::new();
    for seed in [1, 2] {
        let (mut simulation, peers) = crowd(seed, Faults::default(), 100);
        let stop = Stop { code: 1012, reason: "later".into(), spread, ..Stop::default() };
        assert_eq!(simulation.handle().stop_with(stop), Ok(()));
        let mut times = end(&mut simulation, &peers);
        for peer in &peers {
            assert_eq!(told(&simulation, *peer), Some((1012, b"later".to_vec())));
        }
        times.sort();
        assert!(times[0] < Duration::from_millis(1), "the first one waits");
        assert!(times.iter().all(|time| *time < spread + Duration::from_millis(1)));
        for second in 0..10 {
            let seconds = Duration::from_secs(second)..Duration::from_secs(second + 1);
            let count = times.iter().filter(|time| seconds.contains(time)).count();
            assert!((8..=12).contains(&count), "{count} in second {second}");
        }
        runs.push(times);
    }
    let gap = |(first, second): (&Duration, &Duration)| first.abs_diff(*second);
    let apart = runs[0].iter().zip(&runs[1]).map(gap);
    let apart = apart.filter(|gap| *gap > Duration::from_millis(5)).count();
    assert!(apart > 50, "two servers keep step: {apart}");
}

#[test]
fn what_was_sent_before_a_stop_arrives_before_the_close_frame() {
    const MESSAGES: u32 = 20;
    for seed in 0..12 {
        let faults = Faults::HARMLESS;
        let (mut simulation, peers) = crowd(seed, faults, 80);
        let ids = simulation.handler().opened.clone();
        let handle = simulation.handle();
        for number in 0..MESSAGES {
            for id in &ids {
                handle.send(*id, number.to_be_bytes().to_vec()).unwrap();
            }
            if number % 8 == 7 {
                simulation.turn().unwrap();
            }
        }
        // Others are slow, and have messages under way themselves.
        for peer in &peers[40..] {
            simulation.set_window(*peer, simulation.received(*peer).len() / 10);
            simulation.send(*peer, &text("mine"));
        }
        handle.stop_with(Stop { spread: Duration::ZERO, ..Stop::default() }).unwrap();
        simulation.run(10).unwrap();
        for peer in &peers {
            simulation.set_window(*peer, usize::MAX);
        }
        end(&mut simulation, &peers);
        for (index, peer) in peers.iter().enumerate() {
            let mut got = frames(&simulation, *peer);
            assert_eq!(got.pop(), Some(vec![0x88, 0x03, 0xE9]), "seed {seed}, peer {index}");
            got.retain(|frame| frame[0] == 0x82);
            let owed = (0..MESSAGES).map(|number| [&[0x82], &number.to_be_bytes()[..]].concat());
            assert!(got.into_iter().eq(owed), "seed {seed}, peer {index}");
        }
    }
}

#[test]
fn a_burst_of_close_frames_is_cut_into_turns() {
    let (mut simulation, peers) = crowd(1, Faults::default(), 500);
    let begun = simulation.elapsed();
    simulation.handle().stop_with(Stop { spread: Duration::ZERO, ..Stop::default() }).unwrap();
    let (mut before, mut turns) = (0, 0);
    while before < peers.len() {
        simulation.turn().unwrap();
        let count = peers.iter().filter(|peer| told(&simulation, **peer).is_some()).count();
        assert!(count - before <= 64, "{} in a turn", count - before);
        (before, turns) = (count, turns + 1);
    }
    assert!(turns < 20, "it takes {turns} turns");
    assert!(simulation.elapsed() - begun < Duration::from_millis(1), "it waits between the turns");
}

#[test]
fn who_has_not_been_let_in_is_refused() {
    let (mut simulation, peers) = crowd(1, Faults::default(), 40);
    let (silent, dribbling, whole) =
        (simulation.connect(), simulation.connect(), simulation.connect());
    simulation.send(dribbling, &REQUEST.as_bytes()[..60]);
    // No longer, or time jumps to the end of their handshakes.
    simulation.run(2).unwrap();
    // It waits in the backlog when the stop begins.
    let late = simulation.connect();
    simulation.send(late, REQUEST.as_bytes());
    let stop = Stop { spread: Duration::from_secs(5), ..Stop::default() };
    simulation.handle().stop_with(stop).unwrap();
    simulation.turn().unwrap();
    simulation.send(whole, REQUEST.as_bytes());
    simulation.send(dribbling, &REQUEST.as_bytes()[60..]);
    // Those that are open are served until it is their turn.
    let last = peers[39];
    simulation.send(last, &text("still here?"));
    simulation.run(8).unwrap();
    assert_eq!(frames(&simulation, last), [[&[0x81], &b"still here?"[..]].concat()]);
    end(&mut simulation, &peers);
    for peer in [silent, dribbling, whole, late] {
        let answer = String::from_utf8(simulation.received(peer)).unwrap();
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer:?}");
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer:?}");
        assert!(answer.contains("\r\nRetry-After: 1\r\n"), "{answer:?}");
    }
    assert_eq!(simulation.handler().opened.len(), 40);
}

#[test]
fn time_is_up_for_who_does_not_answer() {
    let (mut simulation, peers) = crowd(1, Faults::default(), 30);
    let (spread, timeout) = (Duration::from_secs(2), Duration::from_secs(3));
    let begun = simulation.elapsed();
    simulation.handle().stop_with(Stop { spread, timeout, ..Stop::default() }).unwrap();
    assert!(!simulation.run(10_000).unwrap(), "the server does not end");
    let elapsed = simulation.elapsed() - begun;
    assert!(elapsed > timeout && elapsed < spread + timeout + Duration::from_millis(10));
    assert!(peers.iter().all(|peer| simulation.has_closed(*peer)));
}

#[test]
fn a_second_stop_ends_at_once() {
    let (mut simulation, peers) = crowd(1, Faults::default(), 3000);
    let hour = Duration::from_secs(3600);
    let begun = simulation.elapsed();
    simulation.handle().stop_with(Stop { spread: hour, timeout: hour, ..Stop::default() }).unwrap();
    assert!(simulation.run(5).unwrap());
    // How a stop goes is said once.
    assert_eq!(simulation.handle().stop_with(Stop::default()), Ok(()));
    assert!(simulation.run(5).unwrap());
    assert_eq!(simulation.connections(), 3000, "the second one has changed the first");
    simulation.handle().stop_now();
    assert!(!simulation.run(10).unwrap(), "the server does not end");
    assert!(simulation.elapsed() - begun < Duration::from_secs(3600));
    assert!(peers.iter().all(|peer| simulation.has_closed(*peer)));
}

#[test]
fn a_close_frame_that_cannot_be_sent_stops_nothing() {
    let (server, _events) = TestServer::echo(config());
    let mut client = server.client();
    let handle = server.handle();
    let stop = Stop { code: 1005, ..Stop::default() };
    assert_eq!(handle.stop_with(stop), Err(Misuse::CloseCode(1005)));
    let stop = Stop { reason: "x".repeat(124), ..Stop::default() };
    assert_eq!(handle.stop_with(stop), Err(Misuse::CloseReasonTooLong));
    client.write(text("still here?"));
    client.expect(&Frame::text("still here?"));
    let stop = Stop { code: 4001, reason: "x".repeat(123), ..Stop::default() };
    assert_eq!(handle.stop_with(stop), Ok(()));
    client.expect(&close_frame(4001, &"x".repeat(123)));
    client.write(close(4001, ""));
    assert_eq!(client.read_frame(), None);
    drop(client);
    assert!(server.join().is_ok());
}

fn close_frame(code: u16, reason: &str) -> Frame {
    Frame::new(CLOSE, [&code.to_be_bytes()[..], reason.as_bytes()].concat())
}

/// Open clients and what names them.
fn clients(
    server: &TestServer,
    events: &std::sync::mpsc::Receiver<Event>,
    count: usize,
) -> Vec<(Client, ConnectionId)> {
    let open = |_| match (server.client(), events.recv_timeout(PATIENCE)) {
        (client, Ok(Event::Open(id, _))) => (client, id),
        (_, event) => panic!("{event:?} is no opening"),
    };
    (0..count).map(open).collect()
}

#[test]
fn every_peer_that_reads_gets_all_before_the_close_frame() {
    const MESSAGES: u32 = 400;
    let (server, events) = TestServer::echo(Config { workers: 2, ..config() });
    let clients = clients(&server, &events, 100);
    let handle = server.handle();
    let ids: Vec<ConnectionId> = clients.iter().map(|(_, id)| *id).collect();
    let readers = clients.into_iter().map(|(mut client, _)| {
        std::thread::spawn(move || {
            for number in 0..MESSAGES {
                client.expect(&Frame::text(format!("{number:0>500}")));
            }
            client.expect(&close_frame(1012, "back soon"));
            client.write(close(1012, ""));
            assert_eq!(client.read_frame(), None);
        })
    });
    let readers: Vec<_> = readers.collect();
    for number in 0..MESSAGES {
        let message = OwnedMessage::Text(format!("{number:0>500}"));
        handle.send_many(&ids, message).unwrap();
    }
    let spread = Duration::from_millis(200);
    let stop = Stop { code: 1012, reason: "back soon".into(), spread, timeout: PATIENCE };
    handle.stop_with(stop).unwrap();
    for reader in readers {
        reader.join().expect("a reader gets all");
    }
    assert!(server.join().is_ok());
}

#[test]
fn the_next_server_takes_over_while_peers_are_served() {
    let (server, events) = TestServer::echo(config());
    let address = server.address();
    let mut clients = clients(&server, &events, 3);
    let mut waiting = Client::connect(address);
    waiting.write(&REQUEST.as_bytes()[..30]);
    server.has_read(3 * REQUEST.len() + 30);
    let stop = Stop { spread: 3 * PATIENCE, ..Stop::default() };
    server.handle().stop_with(stop).unwrap();
    let begun = Instant::now();
    // The first one is told at once; with that the listener is closed.
    let (mut first, _) = clients.remove(0);
    first.expect(&close_frame(1001, ""));
    let refused = TcpStream::connect(address).map(|_| ()).map_err(|error| error.kind());
    assert_eq!(refused, Err(ErrorKind::ConnectionRefused));
    waiting.write(&REQUEST.as_bytes()[30..]);
    let answer = waiting.read_answer();
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert_eq!(answer.header("connection"), Some("close"));
    let next = Server::bind(address, config());
    assert!(next.is_ok(), "{next:?}");
    // The second may be told any moment; the last one not before a quarter of the time is over.
    let (last, _) = &mut clients[1];
    last.write(text("still here?"));
    last.expect(&Frame::text("still here?"));
    assert!(begun.elapsed() < PATIENCE);
    server.handle().stop_now();
    assert!(server.join().is_ok());
}
