//! The place of what a slow peer misses, which waits as a message does, on the simulated ring.

use ringwire::simulation::{Faults, Simulation};
use ringwire::{
    Config, Connection, ConnectionId, GapNotice, Handler, Message, Overflow, Sent, SlowConsumer,
};
use ringwire_tests::{REQUEST, text};

/// Bytes of the messages.
const MESSAGE: &str = "ten bytes!";

const HIGH: usize = 500;

/// Sends for as long as there is room.
#[derive(Default)]
struct Filler {
    filled: Option<ConnectionId>,
    drained: usize,
}

impl Handler for Filler {
    type State = ();

    fn message(&mut self, connection: &mut Connection<'_, ()>, _message: Message<'_>) {
        while connection.buffered() + MESSAGE.len() <= HIGH {
            assert_eq!(connection.send(MESSAGE), Sent::Queued);
        }
        self.filled = Some(connection.id());
    }

    fn drain(&mut self, connection: &mut Connection<'_, ()>) {
        assert!(connection.buffered() <= HIGH);
        self.drained += 1;
    }
}

#[test]
fn a_gap_that_is_more_than_may_wait_drains() {
    let slow_consumer = SlowConsumer {
        overflow: Overflow::DropNewest,
        // So that the messages alone are no backlog.
        size_max: HIGH,
        gap_notice: Some(GapNotice::new(|gap| Some(format!("{} missing", gap.messages).into()))),
        ..SlowConsumer::default()
    };
    let config = Config {
        outbox_low: HIGH / 2,
        outbox_high: HIGH,
        outbox_size_max: 10 * HIGH,
        slow_consumer,
        ..Config::default()
    };
    let mut simulation = Simulation::new(1, config, Faults::default(), Filler::default()).unwrap();
    let peer = simulation.connect();
    simulation.send(peer, REQUEST.as_bytes());
    while simulation.received(peer).is_empty() {
        simulation.turn().unwrap();
    }
    simulation.set_window(peer, 0);
    simulation.send(peer, &text("go"));
    while simulation.handler().filled.is_none() {
        simulation.turn().unwrap();
    }
    let id = simulation.handler().filled.unwrap();
    simulation.handle().send(id, MESSAGE).unwrap();
    while simulation.stats().messages_dropped == 0 {
        simulation.turn().unwrap();
    }
    assert_eq!(simulation.stats().backlogs, 1, "more waits than should, and nobody knows");
    simulation.set_window(peer, usize::MAX);
    for _ in 0..20 {
        simulation.turn().unwrap();
    }
    assert_eq!(simulation.handler().drained, 1, "whoever waits to go on waits for ever");
    let notice = b"\x81\x091 missing";
    assert!(simulation.received(peer).windows(notice.len()).any(|bytes| bytes == notice));
}
