//! Slow consumers: what is dropped, what is not, and that memory stays bounded meanwhile.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::time::Duration;

use ringwire::simulation::{Faults, Peer, Simulation};
use ringwire::{
    Closed, Compression, Config, Connection, ConnectionId, Handler, Message, Overflow, Sent,
    SlowConsumer,
};
use ringwire_protocol::deflate::{Agreed, Offer, accept};
use ringwire_protocol::handshake::{self, ClientRequest, Head};
use ringwire_protocol::{Event, Limits, Receiver, Role, Sender, Workspace};

const KEY: [u8; 16] = *b"0123456789abcdef";

/// Bytes of a message.
const SIZE: usize = 1000;

/// What is granted to a slow consumer.
const SIZE_MAX: usize = 20 * SIZE;

/// Sends a hundred numbered messages whenever it is asked to.
#[derive(Default)]
struct Feed {
    next: usize,
    /// Messages that were taken.
    sent: usize,
    /// Messages that were dropped after they had been taken.
    dropped: u64,
    buffered_max: usize,
    id: Option<ConnectionId>,
    closed: Option<u16>,
    policy: Option<SlowConsumer>,
}

impl Handler for Feed {
    type State = ();

    fn open(&mut self, connection: &mut Connection<'_, ()>) {
        self.id = Some(connection.id());
        if let Some(policy) = self.policy {
            connection.set_slow_consumer(policy).unwrap();
        }
    }

    fn message(&mut self, connection: &mut Connection<'_, ()>, _message: Message<'_>) {
        for _ in 0..100 {
            let sent = connection.send(&*numbered(self.next));
            self.next += 1;
            self.sent += usize::from(matches!(sent, Sent::Queued | Sent::Backlogged));
            self.buffered_max = self.buffered_max.max(connection.buffered());
        }
    }

    fn dropped(&mut self, _connection: &mut Connection<'_, ()>, messages: u64) {
        assert!(messages > 0);
        self.dropped += messages;
    }

    fn close(&mut self, _connection: &mut Connection<'_, ()>, closed: Closed<'_>) {
        self.closed = Some(closed.code);
    }
}

fn numbered(number: usize) -> String {
    format!("{number:08} {}", "x".repeat(SIZE - 9))
}

/// A feed, and one client of it.
struct Scene {
    simulation: Simulation<Feed>,
    peer: Peer,
    agreed: Option<Agreed>,
}

/// What the client has received.
#[derive(Debug, Default)]
struct Seen {
    numbers: Vec<usize>,
    close: Option<u16>,
    pongs: usize,
}

impl Scene {
    fn new(slow_consumer: SlowConsumer, compression: Option<Compression>, seed: u64) -> Self {
        let config = Config { slow_consumer, compression, ..Config::default() };
        Self::open(config, Feed::default(), seed)
    }

    fn open(config: Config, feed: Feed, seed: u64) -> Self {
        let config = Config { ping_interval: None, ..config };
        let mut simulation = Simulation::new(seed, config, Faults::default(), feed).unwrap();
        let peer = simulation.connect();
        let offer = Offer::default();
        let header = offer.offer_header();
        let mut request = ClientRequest::new("example.com", "/", KEY);
        request.extensions = Some(&header);
        let mut bytes = Vec::new();
        request.encode(&mut bytes).unwrap();
        simulation.send(peer, &bytes);
        let limits = handshake::Limits::default();
        let answer = loop {
            simulation.turn().unwrap();
            let received = simulation.received(peer);
            if Head::response().scan(&received, &limits).unwrap().is_some() {
                break received;
            }
        };
        let accepted = request.verify(&answer).unwrap();
        let agreed = accept(accepted.extensions(), &offer).unwrap();
        Self { simulation, peer, agreed }
    }

    /// Has the feed send, `times` times, in turns of their own.
    fn ask(&mut self, times: usize) {
        for _ in 0..times {
            let next = self.simulation.handler().next;
            self.simulation.send(self.peer, &[0x81, 0x80, 0, 0, 0, 0]);
            // No turn more than that: where nothing happens, time passes until something is due.
            while self.simulation.handler().next == next {
                self.simulation.turn().unwrap();
            }
        }
    }

    fn stall(&mut self) {
        self.simulation.set_window(self.peer, 100);
    }

    fn read_on(&mut self) {
        self.simulation.set_window(self.peer, usize::MAX);
        self.simulation.run(2000).unwrap();
    }

    fn seen(&self) -> Seen {
        let mut bytes = self.simulation.received(self.peer);
        let limits = handshake::Limits::default();
        let size = Head::response().scan(&bytes, &limits).unwrap().unwrap();
        let mut input = &mut bytes[size..];
        let mut receiver = Receiver::new(Role::Client);
        if let Some(agreed) = &self.agreed {
            receiver = receiver.with_deflate(agreed, u32::MAX);
        }
        let mut workspace = Workspace::new(Limits::default()).with_masking_keys(|| [1, 2, 3, 4]);
        let (mut sender, mut out, mut seen) =
            (Sender::new(Role::Client), Vec::new(), Seen::default());
        while let Some(event) = receiver.next(&mut input, &mut sender, &mut workspace, &mut out) {
            match event {
                Event::Message(message) => {
                    let text = message.as_text().unwrap();
                    let number = text[..8].parse().unwrap();
                    assert_eq!(text, numbered(number));
                    seen.numbers.push(number);
                }
                Event::Close(close) => seen.close = close.code,
                Event::Pong(_) => seen.pongs += 1,
                event => panic!("{event:?}"),
            }
        }
        seen
    }
}

fn policy(overflow: Overflow) -> SlowConsumer {
    SlowConsumer { overflow, size_max: SIZE_MAX, ..SlowConsumer::default() }
}

#[test]
fn the_newest_are_dropped_and_send_says_so() {
    let mut scene = Scene::new(policy(Overflow::DropNewest), None, 1);
    scene.stall();
    scene.ask(3);
    scene.read_on();
    scene.ask(1);
    scene.read_on();
    let seen = scene.seen();
    let feed = scene.simulation.handler();
    assert!(feed.buffered_max <= SIZE_MAX + 100);
    assert!(feed.sent < 60, "{}", feed.sent);
    // All that were taken, and no others.
    assert_eq!((seen.numbers.len(), feed.dropped), (feed.sent, 0));
    assert!(seen.numbers.is_sorted());
    assert_eq!(seen.numbers[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(seen.numbers.iter().filter(|number| **number >= 300).count(), 19);
}

#[test]
fn the_oldest_are_dropped_and_the_newest_arrive() {
    for compression in [None, Some(Compression::shared()), Some(Compression::dedicated())] {
        for seed in 0..5 {
            let mut scene = Scene::new(policy(Overflow::DropOldest), compression, seed);
            scene.stall();
            scene.ask(5);
            assert!(scene.simulation.handler().buffered_max <= SIZE_MAX + 100);
            scene.read_on();
            let seen = scene.seen();
            assert!(seen.numbers.is_sorted());
            // What is dropped is told, and everything else arrives; the newest of all, too.
            let feed = scene.simulation.handler();
            assert!(feed.dropped > 300, "{}", feed.dropped);
            let dropped = usize::try_from(feed.dropped).unwrap();
            assert_eq!(seen.numbers.len(), feed.sent - dropped);
            assert_eq!(seen.numbers.last(), Some(&499));
        }
    }
}

/// A policy without a limit of its own is held to that of all outboxes, also as to how much is
/// filled for one flight and cannot be dropped any more.
#[test]
fn the_newest_arrive_where_only_the_outbox_is_limited() {
    let unlimited = SlowConsumer { size_max: usize::MAX, ..policy(Overflow::DropOldest) };
    // Room for the headers, so that the peer is read all the time.
    let (outbox_low, size_max) = (0, SIZE_MAX + SIZE / 2);
    let limited = Config {
        outbox_low,
        outbox_high: size_max,
        outbox_size_max: size_max,
        ..Config::default()
    };
    let of_all = (Config { slow_consumer: unlimited, ..limited.clone() }, Feed::default());
    let of_one = (limited, Feed { policy: Some(unlimited), ..Feed::default() });
    for (config, feed) in [of_all, of_one] {
        let mut scene = Scene::open(config, feed, 3);
        scene.stall();
        scene.ask(5);
        assert!(scene.simulation.handler().buffered_max <= size_max);
        scene.read_on();
        let numbers = scene.seen().numbers;
        assert!(numbers.is_sorted() && numbers.len() < 100, "{} messages", numbers.len());
        // Half of what may wait can be dropped, and is the newest.
        assert!(numbers.ends_with(&[495, 496, 497, 498, 499]), "{:?}", numbers.last());
    }
}

#[test]
fn what_is_too_old_is_not_sent() {
    let age_max = Some(Duration::from_secs(1));
    let policy =
        SlowConsumer { overflow: Overflow::DropOldest, age_max, ..SlowConsumer::default() };
    let mut scene = Scene::new(policy, None, 3);
    scene.stall();
    scene.ask(2);
    scene.simulation.pass(Duration::from_secs(2));
    scene.ask(1);
    scene.read_on();
    let seen = scene.seen();
    assert_eq!(seen.numbers.last(), Some(&299));
    // What was in flight already, and what was sent after the wait.
    assert!(seen.numbers.iter().all(|number| *number < 100 || *number >= 200), "{seen:?}");
    assert_eq!(seen.numbers.iter().filter(|number| **number >= 200).count(), 100);
    let feed = scene.simulation.handler();
    assert_eq!(seen.numbers.len() + usize::try_from(feed.dropped).unwrap(), feed.sent);
}

#[test]
fn a_slow_consumer_is_closed() {
    let mut scene = Scene::new(policy(Overflow::Close(1013)), None, 4);
    scene.stall();
    scene.ask(2);
    scene.simulation.set_window(scene.peer, usize::MAX);
    scene.simulation.run(2).unwrap();
    let seen = scene.seen();
    assert_eq!(seen.close, Some(1013));
    let feed = scene.simulation.handler();
    assert!(feed.buffered_max <= SIZE_MAX + 200);
    // What was queued before the close is a beginning without a gap.
    assert!(seen.numbers.iter().copied().eq(0..feed.sent), "{seen:?}");
    scene.simulation.send(scene.peer, &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xF5]);
    scene.simulation.end(scene.peer);
    scene.simulation.run(200).unwrap();
    assert_eq!(scene.simulation.handler().closed, Some(1013));
    assert_eq!(scene.simulation.connections(), 0);
    assert_eq!(scene.simulation.stats().ended.count(("policy", "slow_consumer")), 1);
}

#[test]
fn a_close_comes_behind_what_waits() {
    let closes: [&[u8]; 2] = [
        // The peer's.
        &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8],
        // The server's, which fails the connection.
        &[0x83, 0x80, 0, 0, 0, 0],
    ];
    for close in closes {
        let mut scene = Scene::new(policy(Overflow::DropOldest), Some(Compression::dedicated()), 5);
        scene.stall();
        scene.ask(2);
        // A ping is answered ahead of what waits.
        scene.simulation.send(scene.peer, &[0x89, 0x80, 0, 0, 0, 0]);
        scene.simulation.send(scene.peer, close);
        scene.read_on();
        let seen = scene.seen();
        assert!(seen.close.is_some());
        assert_eq!(seen.pongs, 1);
        let feed = scene.simulation.handler();
        assert_eq!(seen.numbers.last(), Some(&199));
        assert_eq!(seen.numbers.len() + usize::try_from(feed.dropped).unwrap(), feed.sent);
    }
    let mut scene = Scene::new(policy(Overflow::DropOldest), None, 6);
    scene.stall();
    scene.ask(2);
    let id = scene.simulation.handler().id.unwrap();
    scene.simulation.handle().close(id, 1001, "").unwrap();
    scene.read_on();
    let seen = scene.seen();
    assert_eq!((seen.numbers.last(), seen.close), (Some(&199), Some(1001)));
}

#[test]
fn a_message_above_the_limit_is_not_taken_even_when_nothing_waits() {
    for overflow in [Overflow::DropOldest, Overflow::DropNewest] {
        let policy = SlowConsumer { overflow, size_max: SIZE - 1, ..SlowConsumer::default() };
        let mut scene = Scene::new(policy, None, 10);
        scene.ask(1);
        let feed = scene.simulation.handler();
        assert_eq!((feed.next, feed.sent, feed.dropped), (100, 0, 0));
        assert!(feed.buffered_max < SIZE);
        assert!(scene.seen().numbers.is_empty());
    }
}

#[test]
fn what_is_sent_to_many_keeps_its_place() {
    for compression in [None, Some(Compression::shared()), Some(Compression::dedicated())] {
        let mut scene = Scene::new(SlowConsumer::default(), compression, 9);
        scene.stall();
        let id = scene.simulation.handler().id.unwrap();
        for number in 0..300 {
            let (handle, message) = (scene.simulation.handle(), numbered(number));
            match number % 3 {
                0 => handle.send(id, message).unwrap(),
                _ => handle.send_many(&[id], message).unwrap(),
            }
            if number % 10 == 0 {
                scene.simulation.pass(Duration::from_millis(1));
                scene.simulation.turn().unwrap();
            }
        }
        scene.read_on();
        assert!(scene.seen().numbers.into_iter().eq(0..300));
    }
}

#[test]
fn messages_without_content_are_bounded() {
    let mut scene = Scene::new(policy(Overflow::DropOldest), None, 8);
    scene.stall();
    scene.ask(1);
    let id = scene.simulation.handler().id.unwrap();
    let before = scene.simulation.handler().dropped;
    for _ in 0..1000 {
        scene.simulation.handle().send(id, "").unwrap();
    }
    scene.simulation.turn().unwrap();
    let dropped = scene.simulation.handler().dropped - before;
    assert!(dropped > 500, "{dropped}");
}

#[test]
fn one_connection_may_have_a_policy_of_its_own() {
    let own = Some(policy(Overflow::DropOldest));
    let feed = Feed { policy: own, ..Feed::default() };
    let mut scene = Scene::open(Config::default(), feed, 7);
    scene.stall();
    scene.ask(3);
    scene.read_on();
    let seen = scene.seen();
    assert_eq!(seen.numbers.last(), Some(&299));
    assert!(scene.simulation.handler().dropped > 100);
    assert!(scene.simulation.handler().buffered_max <= SIZE_MAX + 100);
}

/// Says so whenever messages were dropped.
struct Apology(Feed);

impl Handler for Apology {
    type State = ();

    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        self.0.message(connection, message);
    }

    fn dropped(&mut self, connection: &mut Connection<'_, ()>, messages: u64) {
        self.0.dropped += messages;
        self.0.sent += 1;
        // It has another one dropped.
        assert_eq!(connection.send(&*numbered(0)), Sent::Queued);
    }
}

#[test]
fn who_sends_when_told_of_drops_is_not_told_without_end() {
    let config = Config {
        slow_consumer: policy(Overflow::DropOldest),
        ping_interval: None,
        ..Config::default()
    };
    let handler = Apology(Feed::default());
    let mut simulation = Simulation::new(1, config, Faults::default(), handler).unwrap();
    let peer = simulation.connect();
    let mut bytes = Vec::new();
    ClientRequest::new("example.com", "/", KEY).encode(&mut bytes).unwrap();
    simulation.send(peer, &bytes);
    simulation.run(3).unwrap();
    simulation.set_window(peer, 100);
    simulation.send(peer, &[0x81, 0x80, 0, 0, 0, 0]);
    simulation.run(2).unwrap();
    let feed = &simulation.handler().0;
    assert!((80..100).contains(&feed.dropped), "{} dropped", feed.dropped);
    simulation.set_window(peer, usize::MAX);
    simulation.run(20).unwrap();
    let feed = &simulation.handler().0;
    assert!(feed.dropped < 110, "{} dropped", feed.dropped);
}

#[test]
fn drops_of_the_last_turn_are_told() {
    let mut scene = Scene::new(policy(Overflow::DropOldest), None, 9);
    scene.stall();
    // A hundred messages more than there is room for, and the end, in the same turn.
    scene.simulation.send(scene.peer, &[0x81, 0x80, 0, 0, 0, 0, 0x83, 0x80, 0, 0, 0, 0]);
    scene.read_on();
    let seen = scene.seen();
    assert_eq!((seen.numbers.last(), seen.close), (Some(&99), Some(1002)));
    let dropped = scene.simulation.stats().messages_dropped;
    let feed = scene.simulation.handler();
    assert!(feed.dropped > 70, "{} dropped", feed.dropped);
    assert_eq!(dropped, feed.dropped);
    assert_eq!(seen.numbers.len() + usize::try_from(feed.dropped).unwrap(), feed.sent);
}

#[test]
fn a_peer_is_read_again_when_all_that_waited_was_dropped() {
    let age_max = Some(Duration::from_secs(1));
    let slow_consumer =
        SlowConsumer { overflow: Overflow::DropOldest, age_max, ..SlowConsumer::default() };
    let config = Config { slow_consumer, outbox_high: 5000, outbox_low: 5000, ..Config::default() };
    let mut scene = Scene::open(config, Feed::default(), 10);
    scene.stall();
    // More than fits a flight, so that some waits, until it is too old.
    scene.ask(1);
    scene.simulation.pass(Duration::from_secs(2));
    scene.simulation.set_window(scene.peer, usize::MAX);
    scene.simulation.run(5).unwrap();
    assert!(scene.simulation.handler().dropped > 20, "nothing was dropped");
    scene.simulation.send(scene.peer, &[0x81, 0x80, 0, 0, 0, 0]);
    scene.simulation.run(5).unwrap();
    assert_eq!(scene.simulation.handler().next, 200, "the peer is not read");
}
