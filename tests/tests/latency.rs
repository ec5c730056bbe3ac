//! The histograms of how long messages take, beside what was sent.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::time::{Duration, Instant};

use ringwire::simulation::{Faults, Simulation};
use ringwire::topic::Pattern;
use ringwire::{Config, Connection, Handler, Histogram, Latencies, Message};
use ringwire_tests::{Client, Frame, PATIENCE, REQUEST, TestServer, config, text};

/// Subscribes everybody to one topic, and answers, or publishes what begins with an exclamation
/// mark.
struct Feed;

impl Handler for Feed {
    type State = ();

    fn open(&mut self, connection: &mut Connection<'_, ()>) {
        connection.subscribe(Pattern::new("feed").unwrap()).unwrap();
    }

    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        if message.as_bytes().starts_with(b"!") {
            connection.publish("feed", &message).unwrap();
        } else {
            connection.send(&message);
        }
    }
}

fn feed(measure_latency: bool, clients: usize) -> (TestServer, Vec<Client>) {
    let server = TestServer::start(Config { measure_latency, ..config() }, |_| Feed);
    let clients = (0..clients).map(|_| server.client()).collect();
    server.stats_when(|stats| stats.open() > 0);
    (server, clients)
}

/// The histograms, once they are as expected: they come with a delay.
fn latencies_when(server: &TestServer, expected: impl Fn(&Latencies) -> bool) -> Latencies {
    let begun = Instant::now();
    loop {
        let latencies = server.handle().latencies();
        if expected(&latencies) {
            return latencies;
        }
        assert!(begun.elapsed() < PATIENCE, "{latencies:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn counts(latencies: &Latencies) -> Vec<u64> {
    latencies.stages().map(|(_, times)| times.count()).collect()
}

/// Where each message is followed to its end, the stages make up the whole to the nanosecond.
fn assert_whole(latencies: &Latencies) {
    let Latencies { encoded, submitted, completed, message, .. } = latencies;
    assert_eq!(encoded.sum() + submitted.sum() + completed.sum(), message.sum());
    assert!(message.sum() > 0);
}

#[test]
fn each_message_is_counted_at_each_stage() {
    let begun = Instant::now();
    let (server, mut clients) = feed(true, 1);
    for _ in 0..50 {
        clients[0].write(text("echo"));
        clients[0].expect(&Frame::text("echo"));
    }
    let latencies = latencies_when(&server, |latencies| latencies.message.count() == 50);
    assert_eq!(counts(&latencies), [50, 50, 50, 50, 0, 0]);
    assert_whole(&latencies);
    assert!(latencies.message.max() < u64::try_from(begun.elapsed().as_nanos()).unwrap());
    assert!(latencies.message.percentile(50.0) <= latencies.message.percentile(99.9));
}

#[test]
fn publications_of_other_threads_and_of_connections() {
    let (server, mut clients) = feed(true, 1);
    for number in 0..20 {
        server.handle().publish("feed", number.to_string()).unwrap();
        clients[0].expect(&Frame::text(number.to_string()));
    }
    let latencies = latencies_when(&server, |latencies| latencies.last.count() == 20);
    assert_eq!(counts(&latencies), [20; 6]);
    assert_whole(&latencies);
    assert!(latencies.first.sum() <= latencies.last.sum());
    // One recipient is the first and the last.
    assert_eq!(latencies.last, latencies.message);
    clients.push(server.client());
    clients[0].write(text("!all"));
    clients.iter_mut().for_each(|client| client.expect(&Frame::text("!all")));
    let latencies = latencies_when(&server, |latencies| latencies.last.count() == 21);
    assert_eq!(latencies.first.count(), 21);
}

#[test]
fn of_very_many_recipients_some_are_measured() {
    const CLIENTS: u64 = 200;
    let (server, mut clients) = feed(true, usize::try_from(CLIENTS).unwrap());
    server.stats_when(|stats| stats.open() == CLIENTS);
    for _ in 0..3 {
        server.handle().publish("feed", "news").unwrap();
        clients.iter_mut().for_each(|client| client.expect(&Frame::text("news")));
    }
    let latencies = latencies_when(&server, |latencies| latencies.last.count() == 3);
    // The first, those 64, 128 and 192 after it, and the last.
    assert_eq!(counts(&latencies), [3, 15, 15, 15, 3, 3]);
    assert!(latencies.first.max() <= latencies.last.max());
    assert_eq!(latencies.last.max(), latencies.message.max());
}

#[test]
fn nothing_is_measured_unless_it_is_asked_for() {
    let (server, mut clients) = feed(false, 1);
    clients[0].write(text("echo"));
    clients[0].expect(&Frame::text("echo"));
    server.stats_when(|stats| stats.messages_sent == 1);
    assert_eq!(server.handle().latencies(), Latencies::default());
}

#[test]
fn a_simulation_measures_its_own_time() {
    let run = |seed| {
        let config = Config { measure_latency: true, ..Config::default() };
        let mut simulation = Simulation::new(seed, config, Faults::MANY, Feed).unwrap();
        for round in 0..20 {
            let peer = simulation.connect();
            simulation.send(peer, REQUEST.as_bytes());
            simulation.send(peer, &[text("a"), text("!b")].concat());
            simulation.run(10).unwrap();
            let _full = simulation.handle().publish("feed", round.to_string());
        }
        simulation.run(500).unwrap();
        simulation.handle().latencies()
    };
    let mut all = 0;
    for seed in 0..40 {
        let latencies = run(seed);
        let [encoded, submitted, completed, message, first, last] = counts(&latencies)[..] else {
            panic!("there are six")
        };
        assert!(submitted >= completed && completed == message, "{latencies:?}");
        assert!(encoded > 0 && first >= last && last <= message, "{latencies:?}");
        let longest = Histogram::max;
        assert!(longest(&latencies.last) <= longest(&latencies.message));
        assert_eq!(latencies, run(seed), "seed {seed}");
        all += last;
    }
    assert!(all > 400, "{all}");
}
