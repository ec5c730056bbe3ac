//! Slow consumers by subscription: what each policy drops, replaces and tells, and that the other
//! messages of the connection are left alone.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use ringwire::simulation::{Faults, Peer, Simulation};
use ringwire::topic::{Pattern, SubscribeError};
use ringwire::{
    Compression, Config, Connection, ConnectionId, GapNotice, Handle, Handler, Message, Overflow,
    Post, SlowConsumer, Stats, Subscription,
};
use ringwire_protocol::deflate::{Agreed, Offer, accept};
use ringwire_protocol::handshake::{self, ClientRequest, Head};
use ringwire_protocol::{Event, Limits, Receiver, Role, Sender, Workspace};

const KEY: [u8; 16] = *b"0123456789abcdef";

/// Bytes of a message.
const SIZE: usize = 1000;

/// Subscribes what it is told to when it opens.
#[derive(Default)]
struct Broker {
    subscriptions: Vec<(&'static str, Option<SlowConsumer>)>,
    id: Option<ConnectionId>,
    dropped: u64,
    buffered_max: usize,
}

impl Handler for Broker {
    type State = ();

    fn open(&mut self, connection: &mut Connection<'_, ()>) {
        self.id = Some(connection.id());
        for (pattern, slow_consumer) in &self.subscriptions {
            let subscription =
                Subscription { slow_consumer: *slow_consumer, ..Subscription::default() };
            let pattern = Pattern::new(pattern).unwrap();
            assert_eq!(connection.subscribe_with(pattern, subscription), Ok(true));
        }
    }

    /// It subscribes what the message says, and takes it back at the second time.
    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        self.buffered_max = self.buffered_max.max(connection.buffered());
        if let Some(pattern) = message.as_text().and_then(|text| Pattern::new(text).ok())
            && !connection.unsubscribe(pattern)
        {
            let newest = SlowConsumer { size_max: 1 << 20, ..policy(Overflow::Conflate) };
            let subscription =
                Subscription { slow_consumer: Some(newest), ..Subscription::default() };
            assert_eq!(connection.subscribe_with(pattern, subscription), Ok(true));
        }
    }

    fn dropped(&mut self, _: &mut Connection<'_, ()>, messages: u64) {
        self.dropped += messages;
    }
}

/// A broker, and a subscriber that stalls.
struct Scene {
    simulation: Simulation<Broker>,
    peer: Peer,
    agreed: Option<Agreed>,
    /// Messages sent or published so far.
    count: usize,
    /// Whether the worker has seen all of them.
    is_seen: bool,
}

impl Scene {
    fn new(
        subscriptions: &[(&'static str, Option<SlowConsumer>)],
        config: Config,
        seed: u64,
    ) -> Self {
        let config = Config { ping_interval: None, ..config };
        let broker = Broker { subscriptions: subscriptions.to_vec(), ..Broker::default() };
        let mut simulation = Simulation::new(seed, config, Faults::default(), broker).unwrap();
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
        let mut scene = Self { simulation, peer, agreed, count: 0, is_seen: true };
        scene.simulation.set_window(peer, 1);
        // What is under way fills the first flight: all that follows waits.
        scene.send("lead");
        scene.turn();
        scene
    }

    /// One turn, unless nothing is to be done: then time would pass until something is due.
    fn turn(&mut self) {
        if !std::mem::replace(&mut self.is_seen, true) {
            self.simulation.turn().unwrap();
        }
    }

    fn numbered(&mut self, name: &str) -> String {
        (self.count, self.is_seen) = (self.count + 1, false);
        let message = format!("{name} {:06} ", self.count);
        format!("{message}{}", "x".repeat(SIZE - message.len()))
    }

    /// Publishes a message whose number is returned.
    fn publish(&mut self, topic: &str) -> usize {
        let message = self.numbered(topic);
        self.simulation.handle().publish(topic, message).unwrap();
        self.count
    }

    /// Publishes a message with a key. Its number is returned.
    fn publish_keyed(&mut self, topic: &str, key: &str) -> usize {
        let post = Post::new(self.numbered(key)).with_key(key);
        self.simulation.handle().publish(topic, post).unwrap();
        self.count
    }

    /// Sends a message whose number is returned.
    fn send(&mut self, name: &str) -> usize {
        let message = self.numbered(name);
        let id = self.simulation.handler().id.unwrap();
        self.simulation.handle().send(id, message).unwrap();
        self.count
    }

    /// The peer reads on. What it has had then: what each message was of, and its number; or the
    /// text of a notice.
    fn read_on(&mut self) -> Vec<(String, usize)> {
        self.turn();
        self.simulation.set_window(self.peer, usize::MAX);
        self.simulation.run(1000).unwrap();
        let mut seen = self.seen();
        assert_eq!(seen.remove(0), ("lead".to_owned(), 1));
        seen
    }

    fn seen(&self) -> Vec<(String, usize)> {
        let mut bytes = self.simulation.received(self.peer);
        let limits = handshake::Limits::default();
        let size = Head::response().scan(&bytes, &limits).unwrap().unwrap();
        let mut input = &mut bytes[size..];
        let mut receiver = Receiver::new(Role::Client);
        if let Some(agreed) = &self.agreed {
            receiver = receiver.with_deflate(agreed, u32::MAX);
        }
        let mut workspace = Workspace::new(Limits::default()).with_masking_keys(|| [1, 2, 3, 4]);
        let (mut sender, mut out, mut seen) = (Sender::new(Role::Client), Vec::new(), Vec::new());
        while let Some(event) = receiver.next(&mut input, &mut sender, &mut workspace, &mut out) {
            match event {
                Event::Message(message) => {
                    let mut words = message.as_text().unwrap().split(' ');
                    let name = words.next().unwrap().to_owned();
                    seen.push((name, words.next().unwrap().parse().unwrap()));
                }
                Event::Close(close) => seen.push(("close".to_owned(), close.code.unwrap().into())),
                event => panic!("{event:?}"),
            }
        }
        seen
    }

    fn stats(&mut self) -> Stats {
        self.simulation.stats()
    }
}

fn policy(overflow: Overflow) -> SlowConsumer {
    SlowConsumer { overflow, ..SlowConsumer::default() }
}

fn told(policy: SlowConsumer) -> SlowConsumer {
    let gap_notice = GapNotice::new(|gap| {
        let topic = gap.topic.map_or("several", |topic| topic.as_str());
        assert!(gap.bytes > 0);
        Some(format!("missing:{topic} {}", gap.messages).into())
    });
    SlowConsumer { gap_notice: Some(gap_notice), ..policy }
}

fn numbers(seen: &[(String, usize)], name: &str) -> Vec<usize> {
    seen.iter().filter(|(of, _)| of == name).map(|(_, number)| *number).collect()
}

/// The bytes of what was dropped: of some the frame, of others the message.
fn bytes(stats: &Stats) -> RangeInclusive<u64> {
    let size = SIZE as u64;
    stats.messages_dropped * size..=stats.messages_dropped * (size + 4)
}

/// Without compression, with frames that connections share, and with windows of their own.
fn configs() -> [Config; 3] {
    [None, Some(Compression::shared()), Some(Compression::dedicated())]
        .map(|compression| Config { compression, ..Config::default() })
}

#[test]
fn conflation_ends_on_the_newest_of_each_topic() {
    for (config, seed) in configs().into_iter().zip(1..) {
        let newest = Some(policy(Overflow::Conflate));
        let mut scene = Scene::new(&[("prices.>", newest)], config, seed);
        let mut last = BTreeMap::new();
        for round in 0..2000 {
            let topic = format!("prices.{}", round * round % 50);
            last.insert(topic.clone(), scene.publish(&topic));
            if round % 7 == 0 {
                scene.turn();
            }
        }
        scene.simulation.send(scene.peer, &[0x81, 0x80, 0, 0, 0, 0]);
        scene.simulation.turn().unwrap();
        let waited = scene.simulation.handler().buffered_max;
        assert!(waited < (last.len() + 1) * (SIZE + 200), "{waited} bytes");
        let seen = scene.read_on();
        let newest: BTreeMap<_, _> = seen.iter().cloned().collect();
        assert_eq!(newest, last);
        assert_eq!(seen.len(), last.len(), "a value that is not the newest was sent");
        // Each has kept the place of its first value.
        assert!(
            seen.iter()
                .map(|(topic, _)| topic.as_str())
                .take(3)
                .eq(["prices.0", "prices.1", "prices.4"])
        );
        let stats = scene.stats();
        assert_eq!(stats.messages_conflated, (2000 - last.len()) as u64);
        assert_eq!((stats.messages_dropped, scene.simulation.handler().dropped), (0, 0));
    }
}

#[test]
fn no_older_value_follows_a_newer_one_for_a_peer_that_reads_now_and_then() {
    for seed in 0..20 {
        let newest = Some(policy(Overflow::Conflate));
        let mut scene = Scene::new(&[("prices.>", newest)], Config::default(), seed);
        let mut last = BTreeMap::new();
        for round in 0..1500 {
            let topic = format!("prices.{}", scene.simulation.choose(40));
            last.insert(topic.clone(), scene.publish(&topic));
            if scene.simulation.choose(10) == 0 {
                let window = scene.simulation.choose(30_000);
                scene.simulation.set_window(scene.peer, window);
                scene.simulation.turn().unwrap();
            }
            if round == 700 {
                // It changes nothing that what waits by then is replaced no more.
                let id = scene.simulation.handler().id.unwrap();
                scene.simulation.handle().send(id, "plain 1 ").unwrap();
            }
        }
        let seen = scene.read_on();
        for (topic, number) in last {
            let numbers = numbers(&seen, &topic);
            assert!(numbers.is_sorted(), "{topic}: {numbers:?}");
            assert_eq!(numbers.last(), Some(&number), "{topic}");
        }
    }
}

#[test]
fn a_key_names_a_thing_within_its_topic() {
    let newest = Some(policy(Overflow::Conflate));
    let mut scene = Scene::new(&[("prices.>", newest)], Config::default(), 9);
    let mut last = BTreeMap::new();
    for round in 0..100 {
        for (topic, key) in [("prices.a", "x"), ("prices.a", "y"), ("prices.b", "x")] {
            last.insert((topic, key), scene.publish_keyed(topic, key));
        }
        if round % 9 == 0 {
            scene.turn();
        }
    }
    let seen: Vec<_> = scene.read_on().into_iter().map(|(_, number)| number).collect();
    assert!(seen.iter().eq(last.values()), "{seen:?}");
}

/// A topic may come by one policy now and by another one then: what waits under the one is not
/// replaced by what is newer than what waits under the other, behind it.
#[test]
fn a_subscription_that_changes_has_no_older_value_behind_a_newer_one() {
    let newest = Some(policy(Overflow::Conflate));
    let mut scene = Scene::new(&[("prices.*", newest)], Config::default(), 10);
    let mut published = Vec::new();
    for round in 0..5 {
        published.push(scene.publish("prices.a"));
        scene.turn();
        if round < 4 {
            // Whether the exact name is subscribed as well, whose policy counts then.
            scene.simulation.send(scene.peer, b"\x81\x88\0\0\0\0prices.a");
            scene.simulation.turn().unwrap();
        }
    }
    assert_eq!(numbers(&scene.read_on(), "prices.a"), published);
}

#[test]
fn what_is_sent_beside_a_subscription_is_neither_lost_nor_reordered() {
    for (config, seed) in configs().into_iter().zip(1..) {
        let small = SlowConsumer { size_max: 5 * (SIZE + 200), ..policy(Overflow::Conflate) };
        let mut scene = Scene::new(&[("prices.>", Some(small))], config, seed);
        let mut sent = Vec::new();
        for round in 0..300 {
            sent.push(scene.send("own"));
            scene.publish(&format!("prices.{}", round % 20));
            scene.turn();
        }
        let seen = scene.read_on();
        assert_eq!(numbers(&seen, "own"), sent);
        let prices = seen.iter().filter(|(name, _)| name != "own").count();
        // What counts is what waits: of frames that connections share, the compressed bytes.
        let expected = if seed == 1 { 4..=5 } else { 1..=20 };
        assert!(expected.contains(&prices), "{prices} prices");
        let dropped = scene.simulation.handler().dropped;
        let stats = scene.stats();
        assert_eq!(dropped + stats.messages_conflated + prices as u64, 300);
        assert_eq!((stats.messages_dropped, stats.gaps_told), (dropped, 0));
        assert_eq!(stats.bytes_dropped > 0, dropped > 0);
    }
}

#[test]
fn each_subscription_has_its_own_policy_by_bytes() {
    let size_max = 10 * (SIZE + 200);
    let newest = SlowConsumer { size_max, ..told(policy(Overflow::DropNewest)) };
    let oldest = SlowConsumer { size_max, ..told(policy(Overflow::DropOldest)) };
    let subscriptions = [("a", Some(newest)), ("b", Some(oldest)), ("c", None)];
    let mut scene = Scene::new(&subscriptions, Config::default(), 3);
    let mut published = BTreeMap::<_, Vec<usize>>::new();
    for _ in 0..100 {
        for topic in ["a", "b", "c"] {
            let number = scene.publish(topic);
            published.entry(topic).or_default().push(number);
        }
        scene.turn();
    }
    let seen = scene.read_on();
    // The first of one, the last of the other, and all of the one without a policy.
    let [a, b, c] = ["a", "b", "c"].map(|topic| numbers(&seen, topic));
    assert_eq!(c, published["c"]);
    assert!((8..=11).contains(&a.len()) && published["a"].starts_with(&a), "{a:?}");
    assert!((8..=11).contains(&b.len()) && published["b"].ends_with(&b), "{b:?}");
    // Each is told of once, where they are missing.
    let missing = |of: &str, there: usize| (format!("missing:{of}"), 100 - there);
    let place = |of: (String, usize)| seen.iter().position(|it| *it == of);
    let last = place(("a".to_owned(), a[a.len() - 1]));
    assert!(place(missing("a", a.len())) > last, "{seen:?}");
    let first = place(("b".to_owned(), b[0]));
    assert_eq!(place(missing("b", b.len())).map(|gap| gap + 1), first, "{seen:?}");
    let stats = scene.stats();
    assert_eq!((stats.gaps_told, stats.messages_dropped), (2, 200 - (a.len() + b.len()) as u64));
    assert!(bytes(&stats).contains(&stats.bytes_dropped), "{} bytes", stats.bytes_dropped);
    // Only what had been accepted is told to the handler.
    assert_eq!(scene.simulation.handler().dropped, 100 - b.len() as u64);
}

#[test]
fn each_subscription_has_its_own_policy_by_age() {
    let age_max = Some(Duration::from_secs(1));
    let newest = SlowConsumer { age_max, ..told(policy(Overflow::DropNewest)) };
    let oldest = SlowConsumer { age_max, ..told(policy(Overflow::DropOldest)) };
    let conflate = SlowConsumer { age_max, ..told(policy(Overflow::Conflate)) };
    let subscriptions =
        [("a", Some(newest)), ("b", Some(oldest)), ("c.>", Some(conflate)), ("d", None)];
    let mut scene = Scene::new(&subscriptions, Config::default(), 4);
    let topics = ["a", "b", "c.old", "c.fresh", "d"];
    let before = topics.map(|topic| scene.publish(topic));
    scene.turn();
    scene.simulation.pass(Duration::from_secs(2));
    // One of the keys gets a value: it is as old as that.
    let after = ["a", "b", "c.fresh", "d"].map(|topic| scene.publish(topic));
    scene.turn();
    let seen = scene.read_on();
    // It has waited for too long, so that nothing is added, and is sent all the same.
    assert_eq!(numbers(&seen, "a"), [before[0]]);
    assert_eq!(numbers(&seen, "b"), [after[1]]);
    assert_eq!(numbers(&seen, "c.old"), []);
    assert_eq!(numbers(&seen, "c.fresh"), [after[2]]);
    assert_eq!(numbers(&seen, "d"), [before[4], after[3]]);
    for topic in ["a", "b", "c.old"] {
        assert_eq!(numbers(&seen, &format!("missing:{topic}")), [1], "{topic}");
    }
    assert_eq!(scene.stats().gaps_told, 3);
}

#[test]
fn a_subscription_may_close() {
    let age_max = Some(Duration::from_secs(1));
    let limits = [
        SlowConsumer { size_max: 10 * (SIZE + 200), ..policy(Overflow::Close(4000)) },
        SlowConsumer { age_max, ..policy(Overflow::Close(4000)) },
    ];
    for (index, limit) in limits.into_iter().enumerate() {
        let mut scene = Scene::new(&[("a", Some(limit)), ("b", None)], Config::default(), 5);
        for _ in 0..50 {
            scene.publish("b");
        }
        let count = if index == 0 { 11 } else { 3 };
        for _ in 0..count {
            scene.publish("a");
            scene.turn();
        }
        assert!(scene.simulation.handler().dropped == 0 || index == 0);
        scene.simulation.pass(Duration::from_secs(2));
        scene.publish("a");
        scene.turn();
        let seen = scene.read_on();
        assert_eq!(seen, [("close".to_owned(), 4000)], "{index}");
        let stats = scene.stats();
        // All that waited, and its bytes.
        let dropped = scene.simulation.handler().dropped;
        assert!(dropped >= 53, "{dropped} messages");
        assert_eq!(stats.messages_dropped, dropped);
        assert!(bytes(&stats).contains(&stats.bytes_dropped), "{} bytes", stats.bytes_dropped);
    }
}

#[test]
fn a_whole_connection_may_conflate() {
    let size_max = 20 * (SIZE + 200);
    let slow_consumer = SlowConsumer { size_max, ..policy(Overflow::Conflate) };
    let config = Config { slow_consumer, ..Config::default() };
    let mut scene = Scene::new(&[("prices.>", None)], config, 6);
    let mut newest = BTreeMap::new();
    for round in 0..400 {
        let topic = format!("prices.{}", round % 5);
        newest.insert(topic.clone(), scene.publish(&topic));
        scene.turn();
    }
    let seen = scene.read_on();
    assert_eq!(seen.iter().cloned().collect::<BTreeMap<_, _>>(), newest);
    assert_eq!(scene.stats().messages_dropped, 0);
    scene.simulation.set_window(scene.peer, 100);
    let mut sent = Vec::new();
    for _ in 0..100 {
        sent.push(scene.send("own"));
        scene.turn();
    }
    scene.simulation.set_window(scene.peer, usize::MAX);
    scene.simulation.run(100).unwrap();
    let own = numbers(&scene.seen(), "own");
    assert!(own.len() < 50 && own.is_sorted() && own.last() == sent.last(), "{own:?}");
}

#[test]
fn all_that_waits_is_held_to_the_outbox() {
    let config = Config {
        outbox_low: 1000,
        outbox_high: 2000,
        outbox_size_max: 30 * SIZE,
        ..Config::default()
    };
    let subscriptions = [
        ("a", Some(policy(Overflow::DropOldest))),
        ("b", Some(policy(Overflow::DropNewest))),
        ("c", None),
    ];
    let mut scene = Scene::new(&subscriptions, config, 7);
    for _ in 0..100 {
        for topic in ["a", "b", "c"] {
            scene.publish(topic);
        }
        scene.turn();
    }
    let seen = scene.read_on();
    assert!(seen.len() < 30, "{} messages", seen.len());
    // Who drops the oldest still has the newest of what there was room for.
    let a = numbers(&seen, "a");
    assert_eq!(a.last(), Some(&(scene.count - 2)), "{seen:?}");
}

#[test]
fn a_gap_is_told_before_a_close() {
    let oldest = SlowConsumer { size_max: 3 * (SIZE + 200), ..told(policy(Overflow::DropOldest)) };
    let mut scene = Scene::new(&[("a", Some(oldest))], Config::default(), 8);
    for _ in 0..10 {
        scene.publish("a");
    }
    let id = scene.simulation.handler().id.unwrap();
    scene.simulation.handle().close(id, 1000, "").unwrap();
    let seen = scene.read_on();
    let missing = ("missing:a".to_owned(), 10 - numbers(&seen, "a").len());
    assert_eq!((seen.first(), seen.len()), (Some(&missing), 5), "{seen:?}");
    assert_eq!(seen.last(), Some(&("close".to_owned(), 1000)));
    assert_eq!(scene.stats().gaps_told, 1);
}

/// Tries to subscribe in all ways that contradict themselves.
struct Wrong;

impl Handler for Wrong {
    type State = ();

    fn open(&mut self, connection: &mut Connection<'_, ()>) {
        let mut subscribe = |policy| {
            let subscription =
                Subscription { slow_consumer: Some(policy), ..Subscription::default() };
            connection.subscribe_with(Pattern::new("a").unwrap(), subscription)
        };
        let empty = SlowConsumer { size_max: 0, ..SlowConsumer::default() };
        assert_eq!(subscribe(empty), Err(SubscribeError::SlowConsumerSize));
        let code = policy(Overflow::Close(1005));
        assert_eq!(subscribe(code), Err(SubscribeError::SlowConsumerCode(1005)));
        for size_max in 1..=255 {
            let policy = SlowConsumer { size_max, ..SlowConsumer::default() };
            assert_eq!(subscribe(policy), Ok(size_max == 1));
        }
        let another = SlowConsumer { size_max: 256, ..SlowConsumer::default() };
        assert_eq!(subscribe(another), Err(SubscribeError::TooManySlowConsumers));
        connection.close(1000, "done").unwrap();
    }

    fn message(&mut self, _: &mut Connection<'_, ()>, _: Message<'_>) {}
}

#[test]
fn a_policy_that_contradicts_itself_is_refused() {
    let config = Config::default();
    let mut simulation = Simulation::new(1, config, Faults::default(), Wrong).unwrap();
    let peer = simulation.connect();
    let mut bytes = Vec::new();
    ClientRequest::new("example.com", "/", KEY).encode(&mut bytes).unwrap();
    simulation.send(peer, &bytes);
    simulation.run(5).unwrap();
    assert!(simulation.received(peer).ends_with(b"\x88\x06\x03\xE8done"));
}

/// Publishes through a handle first, and then by itself.
struct Both {
    handle: Option<Handle>,
}

impl Handler for Both {
    type State = ();

    fn open(&mut self, connection: &mut Connection<'_, ()>) {
        let slow_consumer = Some(policy(Overflow::Conflate));
        let subscription = Subscription { slow_consumer, ..Subscription::default() };
        let pattern = Pattern::new("t").unwrap();
        assert_eq!(connection.subscribe_with(pattern, subscription), Ok(true));
    }

    fn message(&mut self, connection: &mut Connection<'_, ()>, _: Message<'_>) {
        self.handle.as_ref().unwrap().publish("t", "older").unwrap();
        connection.publish("t", "newer").unwrap();
    }
}

#[test]
fn who_has_posts_conflated_ends_on_its_own_newest_as_well() {
    let both = Both { handle: None };
    let mut simulation = Simulation::new(1, Config::default(), Faults::default(), both).unwrap();
    let handle = simulation.handle();
    simulation.handler().handle = Some(handle);
    let peer = simulation.connect();
    let mut bytes = Vec::new();
    ClientRequest::new("example.com", "/", KEY).encode(&mut bytes).unwrap();
    bytes.extend([0x81, 0x80, 0, 0, 0, 0]);
    simulation.send(peer, &bytes);
    simulation.run(5).unwrap();
    assert!(simulation.received(peer).ends_with(b"\x81\x05older\x81\x05newer"));
}
