//! What a listener is told through `tracing`: the life of workers and connections, not messages.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use ringwire::simulation::{Faults, Simulation};
use ringwire::{Config, Connection, DriverChoice, Handler, Message, Server};
use ringwire_tests::{REQUEST, close, header, text};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// An event: its level, its message, its other fields as text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    level: Level,
    message: String,
    fields: BTreeMap<&'static str, String>,
}

impl Told {
    fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

/// Keeps what it is told.
#[derive(Clone, Default)]
struct Listener {
    told: Arc<Mutex<Vec<Told>>>,
}

impl Listener {
    fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }
}

impl Subscriber for Listener {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn event(&self, event: &Event<'_>) {
        let level = *event.metadata().level();
        let mut told = Told { level, message: String::new(), fields: BTreeMap::new() };
        event.record(&mut told);
        self.told.lock().unwrap().push(told);
    }

    fn new_span(&self, _attributes: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}
    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}
    fn enter(&self, _span: &Id) {}
    fn exit(&self, _span: &Id) {}
}

impl Visit for Told {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.fields.insert(field.name(), format!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }
}

struct Echo;

impl Handler for Echo {
    type State = ();

    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        connection.send(&message);
    }
}

/// What is told during `act`, on a worker of its own.
fn listen(faults: Faults, act: impl FnOnce(&mut Simulation<Echo>, &Listener)) -> Vec<Told> {
    let listener = Listener::default();
    tracing::subscriber::with_default(listener.clone(), || {
        let config = Config { ping_interval: None, ..Config::default() };
        let mut simulation = Simulation::new(11, config, faults, Echo).unwrap();
        act(&mut simulation, &listener);
    });
    listener.told()
}

#[test]
fn the_life_of_a_connection_is_told() {
    let told = listen(Faults::default(), |simulation, _| {
        let peer = simulation.connect();
        let wrong = header(0x81, ringwire_tests::Length::Short(1), None);
        simulation.send(peer, &[REQUEST.as_bytes(), &wrong].concat());
        simulation.run(20).unwrap();
    });
    let messages: Vec<&str> = told.iter().map(|told| told.message.as_str()).collect();
    assert_eq!(messages, ["worker started", "opened", "ended", "worker stopped"]);
    let levels = [Level::INFO, Level::DEBUG, Level::DEBUG, Level::INFO];
    assert!(told.iter().map(|told| told.level).eq(levels));
    assert_eq!(told[1].field("peer"), "127.0.0.1:0");
    assert_eq!(told[1].field("connection"), told[2].field("connection"));
    assert_eq!((told[2].field("cause"), told[2].field("detail")), ("violation", "unmasked"));
    let place = format!("(RFC 6455 5.1), at byte {}", REQUEST.len());
    assert!(told[2].field("text").ends_with(&place), "{told:?}");
    assert_eq!((told[3].field("worker"), told[3].field("opened")), ("0", "1"));
}

#[test]
fn a_refusal_and_an_early_end_are_told() {
    let told = listen(Faults::default(), |simulation, _| {
        let peer = simulation.connect();
        simulation.send(peer, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let early = simulation.connect();
        simulation.end(early);
        simulation.run(20).unwrap();
    });
    let refused = told.iter().find(|told| told.message == "refused").unwrap();
    assert_eq!((refused.field("status"), refused.field("peer")), ("426", "127.0.0.1:0"));
    assert_eq!(refused.field("limit"), "");
    let unanswered = told.iter().find(|told| told.message == "unanswered").unwrap();
    assert_eq!(unanswered.field("cause"), "gone");
}

#[test]
fn messages_are_not_told() {
    let faults = Faults::HARMLESS;
    listen(faults, |simulation, listener| {
        let peer = simulation.connect();
        simulation.send(peer, REQUEST.as_bytes());
        simulation.run(200).unwrap();
        let before = listener.told();
        for _ in 0..100 {
            simulation.send(peer, &text("a message"));
            simulation.run(20).unwrap();
        }
        assert!(simulation.stats().messages_sent > 50);
        assert_eq!(listener.told(), before);
        simulation.send(peer, &close(1000, ""));
        simulation.run(200).unwrap();
        assert_eq!(listener.told().last().unwrap().message, "ended");
    });
}

#[test]
fn every_end_that_is_counted_is_told() {
    let faults = Faults { descriptors_exhausted: 30, ..Faults::MANY };
    let mut counted = None;
    let told = listen(faults, |simulation, _| {
        for round in 0..60 {
            let peer = simulation.connect();
            simulation
                .send(peer, if round % 3 == 0 { b"nonsense\r\n" } else { REQUEST.as_bytes() });
            if round % 2 == 0 {
                simulation.send(peer, &close(1000, ""));
            }
            simulation.run(5).unwrap();
        }
        simulation.handle().stop();
        simulation.run(5000).unwrap();
        counted = Some(simulation.stats());
    });
    let stats = counted.unwrap();
    let count = |message| told.iter().filter(|told| told.message == message).count() as u64;
    assert!(stats.opened > 0 && stats.refused.total() > 0 && stats.unanswered.total() > 0);
    assert_eq!(count("opened"), stats.opened);
    assert_eq!(count("ended"), stats.ended.total());
    assert_eq!(count("refused"), stats.refused.total());
    assert_eq!(count("unanswered"), stats.unanswered.total());
    assert!(count("made room") > 0);
    assert_eq!(count("accepting paused") + count("made room"), stats.accept_pauses);
}

#[test]
fn the_driver_is_told_once_with_the_reason() {
    let listener = Listener::default();
    tracing::subscriber::with_default(listener.clone(), || {
        let config = Config { driver: DriverChoice::Epoll, workers: 2, ..Config::default() };
        Server::bind("127.0.0.1:0", config).unwrap();
    });
    let told = listener.told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].level, &*told[0].message), (Level::INFO, "driver chosen"));
    let fields = (told[0].field("driver"), told[0].field("why"));
    assert_eq!(fields, ("epoll", "epoll, as Config::driver demands"));
}
