//! Workers that look for work without sleeping, for a time and not beyond it.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::fs;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ringwire::simulation::{Faults, Simulation};
use ringwire::{
    Config, ConfigError, Connection, ConnectionId, Error, Handler, Limits, Message, Server, Upgrade,
};
use ringwire_tests::{
    Client, Event, Frame, PATIENCE, REQUEST, TestServer, close, config, noise, text,
};

/// Longer than any of these tests takes.
const ALWAYS: Duration = Duration::from_secs(1000);

/// A server that spins for so long, with a client that has its connection.
fn spinning(spin: Duration) -> (TestServer, Client, ConnectionId) {
    let (server, events) = TestServer::echo(Config { spin, ..config() });
    let client = server.client();
    let opened = events.recv_timeout(PATIENCE).unwrap();
    let Event::Open(id, _) = opened else { panic!("{opened:?}") };
    (server, client, id)
}

#[test]
fn mail_is_seen_without_a_wake() {
    let (server, mut client, id) = spinning(ALWAYS);
    for number in 0..100 {
        server.handle().send(id, number.to_string()).unwrap();
        client.expect(&Frame::text(number.to_string()));
        client.write(text("and back"));
        client.expect(&Frame::text("and back"));
    }
    let stats = server.stats_when(|stats| stats.messages_sent == 200);
    assert_eq!((stats.mails, stats.wakeups), (100, 0));
}

#[test]
fn the_first_send_of_a_turn_leaves_at_once() {
    let (server, mut client, id) = spinning(ALWAYS);
    let before = server.stats_when(|stats| stats.opened == 1);
    for _ in 0..100 {
        server.handle().send(id, "mail").unwrap();
        client.expect(&Frame::text("mail"));
    }
    let after = server.stats_when(|stats| stats.messages_sent == 100);
    if server.has_ring() {
        // Neither has the kernel been entered to look for mail, nor to submit.
        assert!(after.enters - before.enters < 50, "{before:?} {after:?}");
    }
    assert_eq!(after.sends - before.sends, 100);
}

#[test]
fn what_the_kernel_does_not_take_at_once_follows() {
    let limits = Limits { message_size_max: 32 << 20, ..Limits::default() };
    let config = Config { spin: ALWAYS, limits, ..config() };
    let (server, events) = TestServer::echo(config);
    let mut client = server.client();
    let opened = events.recv_timeout(PATIENCE).unwrap();
    let Event::Open(id, _) = opened else { panic!("{opened:?}") };
    // More than fits the sockets' buffers, which nobody reads yet.
    let message = noise(20 << 20);
    server.handle().send(id, message.clone()).unwrap();
    server.handle().send(id, "behind it").unwrap();
    server.stats_when(|stats| stats.messages_sent == 2);
    thread::sleep(Duration::from_millis(50));
    client.expect(&Frame::binary(message));
    client.expect(&Frame::text("behind it"));
    assert!(server.stats_when(|stats| stats.bytes_sent > 20 << 20).sends_short > 0);
}

#[test]
fn a_peer_that_has_gone_is_found_out() {
    let (server, client, id) = spinning(ALWAYS);
    drop(client);
    server.stats_when(|stats| {
        let _sent = server.handle().send(id, "anybody there?");
        stats.ended.total() == 1 && stats.open() == 0
    });
}

#[test]
fn a_worker_that_sleeps_is_woken() {
    let (server, mut client, id) = spinning(Duration::from_millis(1));
    let begun = Instant::now();
    // Once more where it did not sleep yet.
    while server.handle().stats().wakeups == 0 {
        assert!(begun.elapsed() < PATIENCE, "it does not sleep, or is not woken by mail");
        thread::sleep(Duration::from_millis(50));
        server.handle().send(id, "wake").unwrap();
        client.expect(&Frame::text("wake"));
    }
}

#[test]
fn looking_is_no_turn_and_costs_no_system_call_where_there_is_a_ring() {
    let (server, mut client, _) = spinning(ALWAYS);
    client.write(text("x"));
    client.expect(&Frame::text("x"));
    let before = server.stats_when(|stats| stats.messages_sent == 1);
    thread::sleep(Duration::from_millis(300));
    // Counted again when something has happened again.
    client.write(text("y"));
    client.expect(&Frame::text("y"));
    let after = server.stats_when(|stats| stats.messages_sent == 2);
    let enters = after.enters - before.enters;
    // Readiness is looked for by asking the kernel, again and again.
    assert!(if server.has_ring() { enters < 30 } else { enters > 300 }, "{before:?} {after:?}");
    assert!(after.turns - before.turns < 30, "{before:?} {after:?}");
}

#[test]
fn deadlines_pass_while_it_spins() {
    let interval = Some(Duration::from_millis(30));
    let (server, _events) =
        TestServer::echo(Config { spin: ALWAYS, ping_interval: interval, ..config() });
    let mut client = server.client();
    assert_eq!(client.read_frame().map(|frame| frame.first), Some(0x89));
    assert!(server.stats_when(|stats| stats.pings_sent > 0).timers > 0);
}

#[test]
fn a_stop_ends_it() {
    let (server, _client, _) = spinning(ALWAYS);
    let begun = Instant::now();
    server.handle().stop_now();
    assert!(server.join().is_ok());
    assert!(begun.elapsed() < Duration::from_secs(5));
    let (server, mut client, _) = spinning(ALWAYS);
    server.handle().stop();
    assert_eq!(client.read_frame().map(|frame| frame.first), Some(0x88));
    client.write(close(1001, ""));
    client.end();
    assert!(server.join().is_ok());
}

/// An echo that tells on which thread it is.
struct Told;

impl Handler for Told {
    type State = ();

    fn upgrade(&mut self, _: &ringwire::Request<'_>) -> Upgrade<()> {
        Upgrade::accept()
    }

    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        connection.send(&message);
    }
}

/// The time that a thread of this process has had a core for.
fn time_of(thread: i32) -> Duration {
    let text = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

#[test]
fn it_sleeps_when_the_time_is_over() {
    let (sender, threads) = mpsc::channel();
    let spin = Duration::from_millis(500);
    let server = TestServer::start(Config { spin, ..config() }, move |_| {
        sender.send(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
        Told
    });
    let thread = threads.recv_timeout(PATIENCE).unwrap();
    let mut client = server.client();
    client.write(text("x"));
    client.expect(&Frame::text("x"));
    let begun = time_of(thread);
    thread::sleep(Duration::from_millis(400));
    let spun = time_of(thread) - begun;
    // Others want the cores as well, so that it may have had a part of that time only.
    assert!(spun > Duration::from_millis(20), "{spun:?}");
    thread::sleep(Duration::from_millis(400));
    let before = time_of(thread);
    thread::sleep(Duration::from_millis(500));
    let idle = time_of(thread) - before;
    assert!(idle < Duration::from_millis(5), "{idle:?}");
}

#[test]
fn a_simulation_spins() {
    for seed in 0..50 {
        let config = Config {
            spin: Duration::from_micros(30 * seed),
            idle_timeout: Some(Duration::from_secs(20)),
            ping_interval: None,
            ..Config::default()
        };
        let mut simulation = Simulation::new(seed, config, Faults::HARMLESS, Told).unwrap();
        let peer = simulation.connect();
        simulation.send(peer, REQUEST.as_bytes());
        simulation.send(peer, &text("round"));
        simulation.run(300).unwrap();
        let received = simulation.received(peer);
        let echo = b"\x81\x05round";
        assert!(received.windows(echo.len()).any(|window| window == echo), "seed {seed}");
        // Idle for longer than it may be.
        assert_eq!(simulation.stats().ended.count(("time_out", "idle")), 1, "seed {seed}");
    }
}

#[test]
fn contradictions_are_typed() {
    let bind = |config| match Server::bind("127.0.0.1:0", config) {
        Ok(_) => None,
        Err(Error::Config(error)) => Some(error),
        Err(error) => panic!("{error}"),
    };
    let many = Config { spin: ALWAYS, workers: 250, ..Config::default() };
    assert!(matches!(bind(many), Some(ConfigError::Spin { .. })));
    let cores = |cores, workers| Config { cores, workers, ..Config::default() };
    assert_eq!(bind(cores(vec![0, 0], 2)), Some(ConfigError::Cores));
    assert_eq!(bind(cores(vec![100_000], 1)), Some(ConfigError::Cores));
    let long = Config { busy_poll: Some(ALWAYS), ..Config::default() };
    assert_eq!(bind(long), Some(ConfigError::BusyPoll));
}

#[test]
fn workers_stay_on_the_cores_that_were_chosen() {
    let allowed = rustix::thread::sched_getaffinity(None).unwrap();
    let last = (0..1024).rev().find(|core| allowed.is_set(*core)).unwrap();
    let (sender, sets) = mpsc::channel();
    let chosen = Config { pin_workers: true, cores: vec![last], ..config() };
    let _server = TestServer::start(chosen, move |_| {
        sender.send(rustix::thread::sched_getaffinity(None).unwrap()).unwrap();
        Told
    });
    let set = sets.recv_timeout(PATIENCE).unwrap();
    assert!(set.is_set(last) && set.count() == 1, "{set:?}");
}
