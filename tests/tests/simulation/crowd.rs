//! More connections than one turn sends to.

use std::time::Duration;

use ringwire::simulation::{Faults, Simulation};
use ringwire::{Config, OwnedMessage};

use crate::books::Books;
use crate::chance::Chance;
use crate::client::Client;

/// Sends of a message for many in one turn.
const SLICE: usize = 128;

/// So many that a message for all of them takes three turns.
const COUNT: usize = 300;

/// Recipients of the mail that one turn reads, beside those of the last two.
const RECIPIENTS: usize = 65_536;

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

/// One turn. Says which clients have had a message in it.
fn turn(simulation: &mut Simulation<Books>, clients: &mut [Client]) -> Vec<usize> {
    simulation.turn().unwrap();
    let mut reached = Vec::new();
    for (number, client) in clients.iter_mut().enumerate() {
        let before = client.got.len();
        client.pump(simulation);
        reached.extend((client.got.len() > before).then_some(number));
    }
    reached
}

#[test]
fn a_message_for_many_leaves_in_slices() {
    let (mut simulation, mut clients) = crowd();
    for topic in ["a.b", "b"] {
        let (before, begun) = (received(&mut simulation, &mut clients), simulation.elapsed());
        simulation.handle().publish(topic, "for all").unwrap();
        // What leaves at the end of a turn arrives in the next.
        let reached: Vec<_> = (0..4).map(|_| turn(&mut simulation, &mut clients).len()).collect();
        assert_eq!(reached, [0, SLICE, SLICE, COUNT - 2 * SLICE]);
        assert_eq!(received(&mut simulation, &mut clients), before + COUNT);
        let elapsed = simulation.elapsed() - begun;
        assert!(elapsed < Duration::from_millis(1), "{elapsed:?} between the slices");
    }
}

#[test]
fn nobody_waits_for_a_message_for_many() {
    let (mut simulation, mut clients) = crowd();
    simulation.handle().publish("a.b", "rehearsal").unwrap();
    let reached = (0..4).map(|_| turn(&mut simulation, &mut clients)).last().unwrap();
    let last = *reached.last().unwrap();
    simulation.handle().publish("a.b", "for all").unwrap();
    assert_eq!(turn(&mut simulation, &mut clients), []);
    let question = OwnedMessage::from("a question");
    clients[last].send(&mut simulation, question.clone());
    // The answer leaves with the second slice, and not with the third.
    let reached = [(); 2].map(|()| turn(&mut simulation, &mut clients));
    assert!(!reached[0].contains(&last) && reached[1].contains(&last));
    let expected = ["for all".into(), question];
    assert!(clients[last].got.ends_with(&expected), "{:?}", clients[last].got);
}

#[test]
fn much_mail_is_read_in_several_turns() {
    let (mut simulation, mut clients) = crowd();
    let before = simulation.stats().deliveries;
    let count = 3 * RECIPIENTS / COUNT;
    let expected: Vec<OwnedMessage> =
        (0..count).map(|number| format!("number {number}").into()).collect();
    let handle = simulation.handle();
    for (number, message) in expected.iter().enumerate() {
        // In no row to the same topic, which would reach everybody as one.
        handle.publish(["a.b", "b"][number % 2], message.clone()).unwrap();
    }
    let mut delivered = 0;
    for _ in 0..3 {
        simulation.turn().unwrap();
        let now = usize::try_from(simulation.stats().deliveries - before).unwrap();
        let (turn, all) = (now - delivered, count * COUNT);
        assert!(turn >= RECIPIENTS || now == all, "{turn} of {all} in a turn");
        assert!(turn < RECIPIENTS + 2 * COUNT, "{turn} in a turn");
        delivered = now;
    }
    assert_eq!(delivered, count * COUNT);
    simulation.run(40).unwrap();
    assert_eq!(received(&mut simulation, &mut clients), COUNT * (1 + count));
    for client in &clients {
        assert!(client.got.ends_with(&expected), "in the order in which they were published");
    }
}

#[test]
fn mail_before_a_stop_is_read_whole() {
    let (mut simulation, mut clients) = crowd();
    let before = simulation.stats().deliveries;
    let count = 2 * RECIPIENTS / COUNT;
    let handle = simulation.handle();
    for number in 0..count {
        handle.publish(["a.b", "b"][number % 2], "before the end").unwrap();
    }
    handle.stop();
    simulation.turn().unwrap();
    assert_eq!(simulation.stats().deliveries - before, (count * COUNT) as u64);
    simulation.run(2000).unwrap();
    assert_eq!(received(&mut simulation, &mut clients), COUNT * (1 + count));
}
