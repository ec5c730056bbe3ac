//! Limits of time and of places, on the seeded ring: what a slow peer may hold, when a connection
//! has lived long enough, and who gives way to whom at the door.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::collections::BTreeSet;
use std::time::Duration;

use ringwire::simulation::{Faults, Peer, Simulation};
use ringwire::{
    Chunk, Config, Connection, ConnectionId, Handler, Limit, Message, Overflow, SlowConsumer,
    Stats, TimeOut,
};
use ringwire_tests::{End, REQUEST, TEXT, close, frame, ping, text};

/// Echoes, and remembers why connections ended.
#[derive(Default)]
struct Echo {
    opened: usize,
    messages: usize,
    errors: Vec<End>,
    closed: usize,
    last: Option<ConnectionId>,
    /// Whether messages are taken in chunks, and how many have been.
    streaming: bool,
    chunks: usize,
}

impl Handler for Echo {
    type State = ();

    fn open(&mut self, connection: &mut Connection<'_, ()>) {
        self.opened += 1;
        self.last = Some(connection.id());
        connection.set_streaming(self.streaming);
    }

    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        self.messages += 1;
        connection.send(&message);
    }

    fn chunk(&mut self, _connection: &mut Connection<'_, ()>, _chunk: Chunk<'_>) {
        self.chunks += 1;
    }

    fn error(&mut self, _connection: &mut Connection<'_, ()>, cause: &ringwire::Cause) {
        self.errors.push(End::from(cause));
    }

    fn close(&mut self, _connection: &mut Connection<'_, ()>, _closed: ringwire::Closed<'_>) {
        self.closed += 1;
    }
}

/// Two ticks of the engine's, and a turn.
const SLACK: Duration = Duration::from_millis(15);

const SHORT: Duration = Duration::from_millis(100);

fn start(config: Config, faults: Faults, seed: u64) -> Simulation<Echo> {
    Simulation::new(seed, config, faults, Echo::default()).unwrap()
}

fn quiet() -> Config {
    Config { ping_interval: None, ..Config::default() }
}

/// A client that has sent its request.
fn ask(simulation: &mut Simulation<Echo>) -> Peer {
    let peer = simulation.connect();
    simulation.send(peer, REQUEST.as_bytes());
    peer
}

fn open(simulation: &mut Simulation<Echo>) -> Peer {
    let peer = ask(simulation);
    until(simulation, |simulation| status(simulation, peer).is_some());
    assert_eq!(status(simulation, peer), Some(101));
    peer
}

/// Turns until something is so, and no further: where nothing happens time leaps to a deadline.
fn until(simulation: &mut Simulation<Echo>, is_so: impl Fn(&mut Simulation<Echo>) -> bool) {
    for _ in 0..1000 {
        if is_so(simulation) {
            return;
        }
        simulation.turn().unwrap();
    }
    panic!("it is not so after 1000 turns");
}

/// The status of the answer, if one has come.
fn status(simulation: &Simulation<Echo>, peer: Peer) -> Option<u16> {
    let received = simulation.received(peer);
    let code = received.get(9..12)?;
    std::str::from_utf8(code).unwrap().parse().ok()
}

/// Every connection is counted in one place at any time: where it is, or why it is no more.
fn check_stats(simulation: &mut Simulation<Echo>) {
    let stats = simulation.stats();
    let (opening, open) = simulation.census();
    let over = stats.refused.total() + stats.unanswered.total();
    assert_eq!(stats.accepted, opening + over + stats.opened, "{stats:?}");
    assert_eq!(stats.opened, open + stats.ended.total(), "{stats:?}");
    let Echo { opened, closed, .. } = *simulation.handler();
    assert_eq!((stats.opened, stats.ended.total()), (opened as u64, closed as u64));
}

/// Whether the last thing received is a close frame with this code and reason.
fn is_told(simulation: &Simulation<Echo>, peer: Peer, code: u16, reason: &str) -> bool {
    let payload = [&code.to_be_bytes()[..], reason.as_bytes()].concat();
    let frame = [&[0x88, u8::try_from(payload.len()).unwrap()], &payload[..]].concat();
    simulation.received(peer).ends_with(&frame)
}

#[test]
fn a_message_that_dribbles_is_failed() {
    let config = Config { message_timeout: Some(SHORT), ..quiet() };
    let mut simulation = start(config, Faults::default(), 1);
    let peer = open(&mut simulation);
    let begun = simulation.elapsed();
    simulation.send(peer, &frame(TEXT, "a fragment"));
    // Signs of life do not put it off, nor do other fragments.
    while simulation.handler().errors.is_empty() {
        simulation.send(peer, &ping("here"));
        simulation.send(peer, &frame(0, "."));
        simulation.turn().unwrap();
    }
    let lasted = simulation.elapsed() - begun;
    assert!(SHORT <= lasted && lasted <= SHORT + SLACK, "{lasted:?}");
    simulation.turn().unwrap();
    assert!(is_told(&simulation, peer, 1008, "message timeout"));
    simulation.end(peer);
    simulation.run(10).unwrap();
    assert_eq!(simulation.handler().errors, [End::TimeOut(TimeOut::Message)]);
    assert_eq!((simulation.handler().closed, simulation.connections()), (1, 0));
}

#[test]
fn a_frame_that_stops_is_failed_wherever_it_stops() {
    let whole = text(vec![b'a'; 200]);
    for size in [1, 2, 3, 5, 8, 100, whole.len() - 1] {
        let config = Config { message_timeout: Some(SHORT), ..quiet() };
        let mut simulation = start(config, Faults::default(), 1);
        let peer = open(&mut simulation);
        let begun = simulation.elapsed();
        simulation.send(peer, &whole[..size]);
        while simulation.handler().errors.is_empty() {
            simulation.turn().unwrap();
        }
        let lasted = simulation.elapsed() - begun;
        assert!(SHORT <= lasted && lasted <= SHORT + SLACK, "{lasted:?} for {size} bytes");
        assert_eq!(simulation.handler().errors, [End::TimeOut(TimeOut::Message)]);
    }
}

#[test]
fn a_stream_that_never_pauses_between_messages_goes_on() {
    let config = Config { message_timeout: Some(SHORT), ..quiet() };
    let mut simulation = start(config, Faults::default(), 1);
    let peer = open(&mut simulation);
    let message = text("a message in two pieces");
    let (head, tail) = message.split_at(7);
    // Whatever is read ends inside a message, in turn a data message and a control frame.
    simulation.send(peer, head);
    let begun = simulation.elapsed();
    let mut count = 0;
    while simulation.elapsed() - begun < 3 * SHORT {
        let control = ping("also in two");
        simulation.send(peer, &[tail, &control[..3]].concat());
        simulation.turn().unwrap();
        simulation.send(peer, &[&control[3..], head].concat());
        simulation.turn().unwrap();
        count += 1;
    }
    until(&mut simulation, |simulation| simulation.handler().messages == count);
    assert_eq!(simulation.handler().errors, []);
}

#[test]
fn a_peer_that_is_not_read_is_not_too_slow() {
    let message = text(vec![b'a'; 20_000]);
    for goes_on in [true, false] {
        let marks = Config { outbox_high: 100, outbox_low: 50, ..quiet() };
        let config = Config { message_timeout: Some(SHORT), send_timeout: 3 * SHORT, ..marks };
        let mut simulation = start(config, Faults::default(), 1);
        let peer = open(&mut simulation);
        let answer = simulation.received(peer).len();
        simulation.set_window(peer, 10);
        simulation.send(peer, &[&message[..], &message[..50]].concat());
        until(&mut simulation, |simulation| simulation.handler().messages == 1);
        let begun = simulation.elapsed();
        // It takes a byte a turn for longer than its next message may take.
        while simulation.elapsed() - begun < 2 * SHORT {
            simulation.set_window(peer, 1);
            simulation.turn().unwrap();
            assert_eq!(simulation.connections(), 1);
        }
        simulation.set_window(peer, usize::MAX);
        // It has all, and is read again: from here on the time counts.
        until(&mut simulation, |simulation| simulation.received(peer).len() == answer + 20_000 + 4);
        let drained = simulation.elapsed();
        if goes_on {
            simulation.send(peer, &message[50..]);
            until(&mut simulation, |simulation| simulation.handler().messages == 2);
            assert_eq!(simulation.handler().errors, []);
        } else {
            until(&mut simulation, |simulation| !simulation.handler().errors.is_empty());
            let lasted = simulation.elapsed() - drained;
            assert!(SHORT <= lasted && lasted <= SHORT + SLACK, "{lasted:?}");
        }
    }
}

/// What it has sent meanwhile waits in the kernel: to close it then would lose that.
#[test]
fn a_peer_that_is_not_read_is_not_idle() {
    let marks = Config { outbox_high: 100, outbox_low: 50, ..quiet() };
    let config = Config { idle_timeout: Some(SHORT), ..marks };
    let mut simulation = start(config, Faults::default(), 1);
    let peer = open(&mut simulation);
    let answer = simulation.received(peer).len();
    simulation.set_window(peer, 10);
    let message = text(vec![b'a'; 20_000]);
    simulation.send(peer, &message);
    until(&mut simulation, |simulation| simulation.handler().messages == 1);
    let begun = simulation.elapsed();
    while simulation.elapsed() - begun < 3 * SHORT {
        simulation.set_window(peer, 1);
        simulation.turn().unwrap();
    }
    simulation.send(peer, &message);
    simulation.set_window(peer, usize::MAX);
    let all = answer + 2 * (20_000 + 4);
    until(&mut simulation, |simulation| simulation.received(peer).len() >= all);
    assert_eq!(simulation.received(peer).len(), all, "a close frame came in between");
    assert_eq!((simulation.handler().messages, simulation.connections()), (2, 1));
    let drained = simulation.elapsed();
    until(&mut simulation, |simulation| is_told(simulation, peer, 1001, "idle"));
    let lasted = simulation.elapsed() - drained;
    assert!(SHORT - SLACK <= lasted && lasted <= SHORT + SLACK, "{lasted:?}");
}

#[test]
fn a_peer_that_is_paused_is_not_too_slow() {
    let config = Config { message_timeout: Some(SHORT), ..quiet() };
    let mut simulation = start(config, Faults::default(), 1);
    let peer = open(&mut simulation);
    let id = simulation.handler().last.unwrap();
    let message = text("a message in two pieces");
    simulation.send(peer, &message[..9]);
    simulation.run(1).unwrap();
    simulation.handle().pause(id).unwrap();
    simulation.run(2).unwrap();
    simulation.pass(3 * SHORT);
    simulation.run(2).unwrap();
    assert_eq!(simulation.handler().errors, []);
    simulation.handle().resume(id).unwrap();
    let resumed = simulation.elapsed();
    // From here on the time counts.
    until(&mut simulation, |simulation| !simulation.handler().errors.is_empty());
    let lasted = simulation.elapsed() - resumed;
    assert!(SHORT <= lasted && lasted <= SHORT + SLACK, "{lasted:?}");
    assert_eq!(simulation.handler().errors, [End::TimeOut(TimeOut::Message)]);
}

#[test]
fn chunks_may_go_on_for_as_long_as_they_come() {
    let config = Config { message_timeout: Some(SHORT), ..quiet() };
    let mut simulation = start(config, Faults::default(), 1);
    simulation.handler().streaming = true;
    let peer = open(&mut simulation);
    let message = text("an upload");
    let (head, payload) = message.split_at(6);
    simulation.send(peer, head);
    for (count, byte) in (1..).zip(&payload[..payload.len() - 1]) {
        simulation.send(peer, &[*byte]);
        until(&mut simulation, |simulation| simulation.handler().chunks == count);
        simulation.pass(SHORT / 2);
    }
    assert_eq!(simulation.handler().errors, []);
    // The last one does not come.
    let begun = simulation.elapsed();
    until(&mut simulation, |simulation| !simulation.handler().errors.is_empty());
    let lasted = simulation.elapsed() - begun;
    assert!(SHORT / 2 <= lasted && lasted <= SHORT / 2 + SLACK, "{lasted:?}");
    assert_eq!(simulation.handler().errors, [End::TimeOut(TimeOut::Message)]);
}

fn aging() -> Config {
    Config { send_timeout: SHORT / 2, outbox_age_max: Some(SHORT), ..quiet() }
}

#[test]
fn a_peer_that_takes_a_trickle_is_dropped() {
    let mut simulation = start(aging(), Faults::default(), 1);
    let peer = open(&mut simulation);
    simulation.set_window(peer, 0);
    simulation.send(peer, &text(vec![b'a'; 60_000]));
    let begun = simulation.elapsed();
    while simulation.handler().errors.is_empty() {
        simulation.set_window(peer, 1);
        simulation.turn().unwrap();
    }
    let lasted = simulation.elapsed() - begun;
    assert!(SHORT <= lasted && lasted <= SHORT + SLACK, "{lasted:?}");
    simulation.run(10).unwrap();
    assert_eq!(simulation.handler().errors, [End::TimeOut(TimeOut::Outbox)]);
    assert_eq!(simulation.connections(), 0);
    assert!(simulation.received(peer).len() > 1000, "it was taken as one that takes nothing");
}

#[test]
fn what_waits_behind_a_flight_ages_as_well() {
    // Half of this flies, for three quarters of the time; of the other half waits what has room,
    // message by message.
    let slow_consumer =
        SlowConsumer { overflow: Overflow::DropOldest, size_max: 6200, ..SlowConsumer::default() };
    let mut simulation = start(Config { slow_consumer, ..aging() }, Faults::default(), 1);
    let peer = open(&mut simulation);
    simulation.set_window(peer, 0);
    simulation.send(peer, &text(vec![b'a'; 100]).repeat(60));
    let begun = simulation.elapsed();
    while simulation.handler().errors.is_empty() {
        assert!(simulation.elapsed() - begun < 2 * SHORT, "it is served for ever");
        simulation.set_window(peer, 1);
        simulation.turn().unwrap();
    }
    let lasted = simulation.elapsed() - begun;
    assert!(SHORT <= lasted && lasted <= SHORT + SLACK, "{lasted:?}");
    assert_eq!(simulation.handler().errors, [End::TimeOut(TimeOut::Outbox)]);
    assert!(simulation.received(peer).len() > 3300, "the first flight has not landed");
}

#[test]
fn a_peer_that_lags_all_the_time_stays() {
    let mut simulation = start(aging(), Faults::default(), 1);
    let peer = open(&mut simulation);
    let begun = simulation.elapsed();
    let mut sent = 0;
    // Something is always queued, and none of it for long.
    while simulation.elapsed() - begun < 5 * SHORT {
        simulation.send(peer, &text(vec![b'a'; 121]));
        simulation.set_window(peer, 123);
        simulation.turn().unwrap();
        sent += 1;
    }
    simulation.set_window(peer, usize::MAX);
    simulation.run(20).unwrap();
    assert_eq!((simulation.handler().messages, simulation.handler().errors.len()), (sent, 0));
}

#[test]
fn what_lingers_ages_as_well() {
    let mut simulation = start(aging(), Faults::default(), 1);
    let peer = open(&mut simulation);
    simulation.set_window(peer, 0);
    simulation.send(peer, &[text(vec![b'a'; 60_000]), close(1000, "")].concat());
    let begun = simulation.elapsed();
    while simulation.connections() > 0 {
        simulation.set_window(peer, 1);
        simulation.turn().unwrap();
    }
    let lasted = simulation.elapsed() - begun;
    assert!(SHORT <= lasted && lasted <= SHORT + SLACK, "{lasted:?}");
    assert_eq!((simulation.handler().closed, simulation.handler().errors.len()), (1, 0));
}

#[test]
fn lifetimes_end_one_after_the_other() {
    let lifetime_max = Some(Duration::from_secs(100));
    let config = Config {
        lifetime_max,
        lifetime_jitter_percent: 50,
        lifetime_code: 4001,
        close_timeout: Duration::from_secs(200),
        ..quiet()
    };
    let mut simulation = start(config, Faults::default(), 1);
    let mut peers: Vec<Peer> = (0..100).map(|_| ask(&mut simulation)).collect();
    let mut by_tenth = [0; 10];
    while !peers.is_empty() {
        simulation.turn().unwrap();
        let (told, left): (Vec<Peer>, Vec<Peer>) =
            peers.into_iter().partition(|peer| is_told(&simulation, *peer, 4001, "lifetime"));
        for peer in told {
            simulation.send(peer, &close(4001, ""));
            let age = simulation.elapsed();
            assert!(age >= Duration::from_secs(50), "{age:?} is too early");
            assert!(age <= Duration::from_secs(100) + SLACK, "{age:?} is too late");
            let tenth = (age - Duration::from_secs(50)).as_millis() / 5001;
            by_tenth[usize::try_from(tenth).unwrap()] += 1;
        }
        peers = left;
    }
    assert!(by_tenth.iter().all(|count| (8..=12).contains(count)), "{by_tenth:?}");
    simulation.run(100).unwrap();
    // Each has answered: that is an end without an error.
    assert_eq!((simulation.handler().closed, simulation.handler().errors.len()), (100, 0));
}

#[test]
fn the_oldest_handshake_gives_way() {
    let config = Config { handshakes_max: 8, ..quiet() };
    let mut simulation = start(config, Faults::default(), 1);
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(simulation.connect());
        simulation.turn().unwrap();
    }
    let good = open(&mut simulation);
    assert!(!simulation.has_ended(good));
    let ended = silent.iter().filter(|peer| simulation.has_ended(**peer)).count();
    assert_eq!(ended, 93, "all but the newest, one for the good client");
    assert!(silent[..93].iter().all(|peer| simulation.has_ended(*peer)), "not the oldest");
    let stats = simulation.stats();
    assert_eq!(stats.turned_away(Limit::Handshakes), 93);
    assert_eq!((stats.unanswered.total(), stats.refused.total()), (93, 0));
    assert_eq!(simulation.connections(), 7 + 1);
}

#[test]
fn a_handshake_that_has_begun_is_told_that_it_gives_way() {
    let config = Config { handshakes_max: 1, ..quiet() };
    let mut simulation = start(config, Faults::default(), 1);
    let dribbling = simulation.connect();
    simulation.send(dribbling, b"GET / HT");
    simulation.run(3).unwrap();
    let good = open(&mut simulation);
    assert_eq!(status(&simulation, dribbling), Some(503));
    assert!(simulation.has_ended(dribbling) && !simulation.has_ended(good));
}

#[test]
fn a_full_server_keeps_its_connections_and_not_its_handshakes() {
    let config = Config { connections_server_max: Some(3), connections_max: 100, ..quiet() };
    let mut simulation = start(config, Faults::default(), 1);
    let first = open(&mut simulation);
    let silent = [simulation.connect(), simulation.connect()];
    simulation.run(2).unwrap();
    open(&mut simulation);
    open(&mut simulation);
    assert!(silent.iter().all(|peer| simulation.has_ended(*peer)));
    let late = simulation.connect();
    simulation.run(3).unwrap();
    // Nothing of it was read, and it is told.
    assert_eq!(status(&simulation, late), Some(503));
    let answer = String::from_utf8(simulation.received(late)).unwrap();
    assert!(answer.contains("\r\nRetry-After: 1\r\n"), "{answer}");
    let stats = simulation.stats();
    assert_eq!(stats.unanswered.count(("limit", "handshakes")), 2);
    assert_eq!(stats.refused.count_limit(Limit::ConnectionsServer), 1);
    assert_eq!((stats.unanswered.total(), stats.refused.total()), (2, 1));
    simulation.send(first, &close(1000, ""));
    simulation.end(first);
    simulation.run(5).unwrap();
    open(&mut simulation);
}

#[test]
fn requests_beyond_the_rate_are_refused() {
    let config = Config { handshake_rate: Some(10), handshake_burst: 3, ..quiet() };
    let mut simulation = start(config, Faults::default(), 1);
    // Those who only connect take nothing from others.
    let silent: Vec<Peer> = (0..10).map(|_| simulation.connect()).collect();
    simulation.run(3).unwrap();
    let asked: Vec<Peer> = (0..10).map(|_| ask(&mut simulation)).collect();
    simulation.run(5).unwrap();
    let count = |simulation: &Simulation<Echo>, code| {
        asked.iter().filter(|peer| status(simulation, **peer) == Some(code)).count()
    };
    assert_eq!((count(&simulation, 101), count(&simulation, 503)), (3, 7));
    assert_eq!(simulation.stats().refused.count_limit(Limit::HandshakeRate), 7);
    let begun = simulation.elapsed();
    while simulation.elapsed() - begun < Duration::from_secs(1) {
        // The next deadline is one of those who linger, or are silent.
        simulation.turn().unwrap();
    }
    open(&mut simulation);
    assert!(silent.iter().all(|peer| status(&simulation, *peer).is_none()));
}

#[test]
fn no_place_is_lost_whatever_happens() {
    let config = Config {
        connections_max: 12,
        connections_server_max: Some(11),
        connections_address_max: Some(10),
        handshakes_max: 4,
        handshake_rate: Some(100_000),
        handshake_burst: 5,
        message_timeout: Some(SHORT),
        lifetime_max: Some(2 * SHORT),
        ..quiet()
    };
    let mut seen = BTreeSet::new();
    for seed in 0..40 {
        // Some messages are whole.
        let part = usize::try_from(seed % 12).unwrap();
        let mut simulation = start(config.clone(), Faults::MANY, seed);
        let mut peers = Vec::new();
        for _ in 0..400 {
            match simulation.choose(6) {
                0 => peers.push(simulation.connect()),
                1 => peers.push(ask(&mut simulation)),
                2 if !peers.is_empty() => {
                    let peer = peers[simulation.choose(peers.len())];
                    simulation.send(peer, &text("hello")[..part]);
                }
                3 if !peers.is_empty() => {
                    let peer = peers.swap_remove(simulation.choose(peers.len()));
                    simulation.reset(peer);
                }
                _ => {}
            }
            simulation.turn().unwrap();
            check_stats(&mut simulation);
        }
        for peer in peers {
            simulation.reset(peer);
        }
        simulation.run(2000).unwrap();
        assert_eq!(simulation.connections(), 0, "seed {seed}");
        check_stats(&mut simulation);
        let Echo { opened, closed, .. } = *simulation.handler();
        assert_eq!(opened, closed, "seed {seed}");
        // All places are there again, so ten of this address get in, in spite of the faults.
        let count = (0..200)
            .filter(|_| {
                let peer = ask(&mut simulation);
                until(&mut simulation, |simulation| {
                    status(simulation, peer).is_some() || simulation.has_ended(peer)
                });
                status(&simulation, peer) == Some(101)
            })
            .take(10)
            .count();
        assert_eq!(count, 10, "seed {seed}");
        simulation.handle().stop();
        assert!(!simulation.run(20_000).unwrap(), "the server does not end");
        check_stats(&mut simulation);
        seen.extend(counted(&simulation.stats()));
    }
    for end in ENDS {
        assert!(seen.contains(&end), "{end:?} is not among {seen:?}");
    }
}

/// What all seeds together come to see, among other ends.
const ENDS: [(&str, &str); 5] = [
    ("refused", "handshakes"),
    ("refused", "connections_address"),
    ("unanswered", "handshakes"),
    ("ended", "message"),
    ("ended", "lifetime"),
];

/// The second labels that were counted, each under its name.
fn counted(stats: &Stats) -> Vec<(&'static str, &'static str)> {
    let counted = stats.samples().filter(|sample| sample.value > 0);
    counted.filter_map(|sample| Some((sample.name, sample.labels.get(1)?.1))).collect()
}
