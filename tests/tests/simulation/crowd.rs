//! More connections than one turn sends to.

use ringwire::simulation::{Faults, Simulation};
use ringwire::{Config, OwnedMessage};

use crate::books::Books;
use crate::chance::Chance;
use crate::client::Client;

/// Sends of a message for many in one turn.
const SLICE: u64 = 128;

/// So many that a message for all of them takes three turns.
const COUNT: usize = 300;

/// A server, and clients that have been welcomed and have subscribed with two patterns.
fn crowd() -> (Simulation<Books>, Vec<Client>) {
    let config = Config { buffers: 512, ping_interval: None, ..Config::default() };
    let mut books = Books::new(&config, 0, Chance::new(3));
    (books.welcomes, books.joins) = (true, &["a.*", ">"]);
    let mut simulation = Simulation::new(1, config, Faults::default(), books).unwrap();
    let mut clients: Vec<_> = (0..COUNT).map(|_| Client::open(&mut simulation)).collect();
    simulation.run(40).unwrap();
    assert_eq!(received(&mut simulation, &mut clients), COUNT);
    (simulation, clients)
}

/// How many messages all of them have, the welcome included.
fn received(simulation: &mut Simulation<Books>, clients: &mut [Client]) -> usize {
    clients.iter_mut().for_each(|client| client.pump(simulation));
    clients.iter().map(|client| client.got.len()).sum()
}

#[test]
fn a_message_for_many_leaves_in_slices_and_nobody_waits_for_it() {
    let (mut simulation, mut clients) = crowd();
    for topic in ["a.b", "b"] {
        simulation.handle().publish(topic, "for all").unwrap();
        let mut before = simulation.stats();
        let mut slices = Vec::new();
        let mut talker = 0;
        while slices.iter().sum::<u64>() < COUNT as u64 {
            // Somebody else asks in each turn, whose turn in the slices is yet to come or is over.
            talker = (talker + 97) % COUNT;
            let message = OwnedMessage::from("meanwhile");
            clients[talker].send(&mut simulation, message.clone());
            let enough = slices.len() < 5;
            assert!(enough, "{slices:?}");
            simulation.turn().unwrap();
            simulation.turn().unwrap();
            let after = simulation.stats();
            slices.push(after.sends - before.sends);
            before = after;
            received(&mut simulation, &mut clients);
            assert!(clients[talker].got.contains(&message), "it has waited");
        }
        // In two turns, and the answers of these.
        assert!(slices.iter().all(|slice| *slice <= 2 * SLICE + 2), "{slices:?}");
    }
}
