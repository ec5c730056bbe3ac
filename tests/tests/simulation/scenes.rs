//! Single scenes, each with an outcome of its own.

use std::time::Duration;

use ringwire::simulation::{Faults, Simulation};
use ringwire::{Config, HandleError, OwnedMessage};

use crate::books::Books;
use crate::chance::Chance;
use crate::client::Client;

/// A server that only echoes, whose books welcome each client.
fn open(config: Config, faults: Faults) -> Simulation<Books> {
    let mut books = Books::new(&config, 0, Chance::new(3));
    books.welcomes = true;
    Simulation::new(1, config, faults, books).unwrap()
}

fn few_buffers() -> Config {
    Config { buffers: 4, buffer_size: 100, ping_interval: None, ..Config::default() }
}

/// Sends `count` messages, each its own number, as the smallest frames.
fn flood(client: &mut Client, simulation: &mut Simulation<Books>, count: u32) {
    let mut out = Vec::new();
    for number in 0..count {
        let message = OwnedMessage::Binary(number.to_be_bytes().to_vec());
        let (sender, workspace) = (&mut client.sender, &mut client.workspace);
        sender.message(message.payload(), workspace, &mut out).unwrap();
        client.sent.push(message);
    }
    simulation.send(client.peer, &out);
}

/// How many echoes have come, all of them the right ones.
fn echoes(client: &mut Client, simulation: &mut Simulation<Books>) -> usize {
    client.pump(simulation);
    let echoes = client.got.get(1..).unwrap_or_default();
    assert!(client.sent.starts_with(echoes));
    echoes.len()
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let bytes = |seed| {
        let config = Config::default();
        let books = Books::new(&config, 30, Chance::new(seed));
        let mut simulation = Simulation::new(seed, config, Faults::MANY, books).unwrap();
        let mut chance = Chance::new(seed);
        let mut client = Client::open(&mut simulation);
        for _ in 0..50 {
            client.act(&mut simulation, &mut chance);
            simulation.turn().unwrap();
        }
        (simulation.received(client.peer), simulation.elapsed(), simulation.journal())
    };
    assert_eq!(bytes(5), bytes(5));
    assert_ne!(bytes(5), bytes(6));
}

#[test]
fn a_peer_that_does_not_read_is_bounded_and_dropped() {
    let config =
        Config { outbox_low: 50, outbox_high: 500, outbox_size_max: 9000, ..few_buffers() };
    let mut simulation = open(config, Faults::default());
    let mut client = Client::open(&mut simulation);
    simulation.run(20).unwrap();
    simulation.set_window(client.peer, 0);
    flood(&mut client, &mut simulation, 50_000);
    let before = simulation.elapsed();
    // `turn` checks that what waits stays within its bound.
    simulation.run(200).unwrap();
    assert_eq!(simulation.connections(), 0, "it was not dropped");
    assert!(simulation.elapsed() - before >= Config::default().send_timeout);
    assert!(simulation.elapsed() - before < 2 * Config::default().send_timeout);
}

#[test]
fn a_peer_that_reads_in_trickles_gets_everything() {
    let mut simulation = open(few_buffers(), Faults::HARMLESS);
    let mut client = Client::open(&mut simulation);
    simulation.set_trickle(client.peer, 7);
    flood(&mut client, &mut simulation, 500);
    let mut turns = 0;
    while echoes(&mut client, &mut simulation) < 500 {
        turns += 1;
        assert!(turns < 10_000, "{} echoes", client.got.len());
        simulation.turn().unwrap();
    }
    assert!(turns > 500 * 6 / 7 / 3, "it has read it in {turns} turns");
}

#[test]
fn a_mute_peer_is_asked_and_dropped() {
    let mut simulation = open(Config::default(), Faults::default());
    let client = Client::open(&mut simulation);
    while simulation.elapsed() < Duration::from_secs(31) {
        simulation.turn().unwrap();
    }
    assert_eq!(simulation.stats().pings_sent, 1);
    while simulation.elapsed() < Duration::from_secs(52) && simulation.connections() > 0 {
        simulation.turn().unwrap();
    }
    assert_eq!(simulation.connections(), 0);
    let ledger = &simulation.handler().ledgers[client.number];
    assert_eq!(ledger.closed, Some(("time_out", "pong")));
}

#[test]
fn a_pong_in_pieces_does_not_put_off_that_a_peer_is_idle() {
    let config = Config {
        ping_interval: None,
        idle_timeout: Some(Duration::from_secs(10)),
        ..Config::default()
    };
    let mut simulation = open(config, Faults::default());
    let client = Client::open(&mut simulation);
    simulation.run(3).unwrap();
    simulation.pass(Duration::from_secs(6));
    // While it arrives it may be a message, and nobody is idle.
    simulation.send(client.peer, &[0x8A, 0x80, 0]);
    simulation.turn().unwrap();
    simulation.pass(Duration::from_secs(6));
    // The wheel looks at it, and will again when it would be idle.
    simulation.turn().unwrap();
    simulation.send(client.peer, &[0, 0, 0]);
    simulation.run(4).unwrap();
    assert!(simulation.elapsed() < Duration::from_secs(14), "{:?}", simulation.elapsed());
    let received = simulation.received(client.peer);
    assert!(received.ends_with(b"\x03\xE9idle"), "{received:?}");
}

#[test]
fn a_machine_that_was_suspended_finds_its_peers_again() {
    let mut simulation = open(Config::default(), Faults::default());
    let mut client = Client::open(&mut simulation);
    simulation.run(3).unwrap();
    // Whatever was due meanwhile, a peer that is there has the time to say so.
    for _ in 0..5 {
        simulation.pass(Duration::from_secs(3600));
        for _ in 0..4 {
            simulation.turn().unwrap();
            client.pump(&mut simulation);
        }
    }
    flood(&mut client, &mut simulation, 1);
    simulation.run(3).unwrap();
    assert_eq!(echoes(&mut client, &mut simulation), 1);
}

#[test]
fn a_full_mailbox_says_so_and_a_closed_one_too() {
    let config = Config { mailbox_size: 3, ..Config::default() };
    let mut simulation = open(config, Faults::default());
    let mut client = Client::open(&mut simulation);
    simulation.run(3).unwrap();
    let id = simulation.handler().ledgers[client.number].id.unwrap();
    let handle = simulation.handle();
    assert_eq!(handle.send(id, "outside"), Ok(()));
    assert_eq!(handle.send_many(&[id, id], "outside"), Ok(()));
    assert_eq!(handle.close(id, 4000, ""), Ok(()));
    assert_eq!(handle.send(id, "too much"), Err(HandleError::Full));
    assert_eq!(handle.close(id, 4000, ""), Err(HandleError::Full));
    let undelivered = handle.send_many(&[id, id], "too much").unwrap_err();
    assert_eq!((undelivered.connections, undelivered.error), (vec![id, id], HandleError::Full));
    // A stop gets through.
    handle.stop();
    while simulation.turn().unwrap() {
        client.pump(&mut simulation);
    }
    assert_eq!(client.got[1..], ["outside"; 3].map(OwnedMessage::from));
    assert_eq!(client.closed, Some(Some(4000)));
    drop(simulation);
    assert_eq!(handle.send(id, "too late"), Err(HandleError::Stopped));
}

/// Two clients that are welcome, and a server that gives each four messages a turn.
fn pair() -> (Simulation<Books>, Client, Client) {
    let config = Config { buffers: 16, turn_size_max: 4 * 256, ..few_buffers() };
    let mut simulation = open(config, Faults::default());
    let (first, second) = (Client::open(&mut simulation), Client::open(&mut simulation));
    simulation.run(20).unwrap();
    (simulation, first, second)
}

#[test]
fn a_flood_gets_its_share_of_each_turn_and_loses_nothing() {
    let (mut simulation, mut flooder, mut neighbor) = pair();
    flood(&mut flooder, &mut simulation, 3000);
    let (mut rounds, mut before) = (0, 0);
    while before < 3000 {
        flood(&mut neighbor, &mut simulation, 1);
        simulation.run(2).unwrap();
        rounds += 1;
        assert_eq!(echoes(&mut neighbor, &mut simulation), rounds, "the neighbour waits");
        // Its share, and what was handled because others may need the buffers: at most three are
        // filled from one socket in a simulated turn, and each holds ten messages.
        let count = echoes(&mut flooder, &mut simulation) - before;
        assert!(count <= 2 * (4 + 3 * 10), "{count} messages in two turns");
        before += count;
    }
    assert!(rounds > 3000 / 2 / (4 + 3 * 10), "the flood was over in {rounds} rounds");
}

#[test]
fn a_flood_within_the_buffers_is_handled_four_a_turn() {
    let (mut simulation, mut flooder, _) = pair();
    // Seven buffers of the eight that may wait.
    flood(&mut flooder, &mut simulation, 70);
    simulation.end(flooder.peer);
    for turn in 1..=17 {
        simulation.turn().unwrap();
        let count = echoes(&mut flooder, &mut simulation);
        assert!(count <= 4 * turn, "{count} in {turn} turns");
        let closed = simulation.handler().totals.closed;
        assert_eq!(closed, 0, "the end overtakes what came before it");
    }
    simulation.run(20).unwrap();
    assert_eq!(echoes(&mut flooder, &mut simulation), 70);
    assert_eq!(simulation.handler().totals.closed, 1);
}

#[test]
fn what_waits_when_a_connection_ends_is_given_back() {
    let (mut simulation, mut flooder, mut neighbor) = pair();
    flood(&mut flooder, &mut simulation, 60);
    simulation.turn().unwrap();
    simulation.reset(flooder.peer);
    // `turn` checks that each buffer is free or waits.
    simulation.run(40).unwrap();
    assert_eq!((simulation.connections(), simulation.handler().totals.closed), (1, 1));
    flood(&mut neighbor, &mut simulation, 200);
    simulation.run(200).unwrap();
    assert_eq!(echoes(&mut neighbor, &mut simulation), 200);
}

#[test]
fn buffers_go_round_when_there_are_few() {
    let mut simulation = open(few_buffers(), Faults::default());
    let mut clients: Vec<_> = (0..40).map(|_| Client::open(&mut simulation)).collect();
    simulation.run(60).unwrap();
    for turn in 0..600 {
        for client in &mut clients {
            // Each sends the next message when the last has come back, and looks now and then.
            if simulation.choose(4) == 0 && echoes(client, &mut simulation) == client.sent.len() {
                flood(client, &mut simulation, 1);
            }
        }
        assert!(simulation.turn().unwrap(), "turn {turn}");
    }
    let counts = clients.iter().map(|client| client.sent.len());
    let [least, most] = [counts.clone().min(), counts.max()].map(Option::unwrap);
    // The simulated ring serves its first socket first, so the shares are not equal; but they are
    // shares. Were the last to come the first to be armed, one would have next to nothing.
    assert!(least * 20 > most, "one connection has had {least} messages back, another {most}");
}

#[test]
fn who_comes_while_the_server_stops_is_let_go() {
    for seed in 0..40 {
        let config = Config::default();
        let books = Books::new(&config, 0, Chance::new(seed));
        let faults = Faults { full_queue: 100, ..Faults::default() };
        let mut simulation = Simulation::new(seed, config, faults, books).unwrap();
        let clients: Vec<_> = (0..9).map(|_| Client::open(&mut simulation)).collect();
        // Some have been accepted, and the worker has not seen all of these.
        simulation.turn().unwrap();
        simulation.handle().stop_now();
        assert!(!simulation.run(100).unwrap(), "the server does not end");
        for client in &clients {
            assert!(simulation.has_closed(client.peer), "a descriptor stays open");
        }
    }
}
