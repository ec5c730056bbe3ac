//! Pings that measure the way to the peer and back.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use ringwire::simulation::{Faults, Simulation};
use ringwire::{Config, Connection, Handler, Message, Sent};
use ringwire_tests::{FIN, Frame, PATIENCE, PING, REQUEST, TestServer, config, ping, pong, text};

/// Tells of each pong: its payload, what it measured, and the last measurement.
struct Listener(Sender<Told>);

type Told = (Vec<u8>, Option<Duration>, Option<Duration>);

impl Handler for Listener {
    type State = ();

    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        let sent = match message.as_text() {
            Some("measure") => connection.measure_round_trip(),
            _ => connection.ping(message.as_bytes()),
        };
        assert_eq!(sent, Sent::Queued);
    }

    fn pong(
        &mut self,
        connection: &mut Connection<'_, ()>,
        payload: &[u8],
        round_trip: Option<Duration>,
    ) {
        // A test that does not want to know has dropped its end.
        let _told = self.0.send((payload.to_vec(), round_trip, connection.round_trip()));
    }
}

fn start(config: Config) -> (TestServer, Receiver<Told>) {
    let (sender, told) = channel();
    (TestServer::start(config, move |_worker| Listener(sender.clone())), told)
}

fn next(told: &Receiver<Told>) -> Told {
    told.recv_timeout(PATIENCE).expect("a pong is told")
}

#[test]
fn the_engine_measures_with_its_own_pings() {
    let interval = Duration::from_millis(500);
    let (server, told) = start(Config { ping_interval: Some(interval), ..config() });
    let mut client = server.client();
    let mut payloads = Vec::new();
    for delay in [0, 10, 30] {
        let ping = client.read_frame().expect("a ping");
        let begun = Instant::now();
        assert_eq!((ping.first, ping.payload.len()), (FIN | PING, 8));
        // Neither of these answers it; both are signs of life.
        client.write([pong("unsolicited"), pong(&ping.payload[..7])].concat());
        assert_eq!((next(&told).1, next(&told).1), (None, None));
        std::thread::sleep(Duration::from_millis(delay));
        let waited = begun.elapsed();
        client.write(pong(&ping.payload));
        let (payload, round_trip, last) = next(&told);
        assert_eq!((&payload, round_trip), (&ping.payload, last));
        let round_trip = round_trip.expect("it answers the ping");
        assert!(round_trip >= waited && round_trip < waited + PATIENCE, "{round_trip:?}");
        // A second answer measures nothing, and the last measurement stays.
        client.write(pong(&ping.payload));
        assert_eq!(next(&told), (payload.clone(), None, last));
        assert!(!payloads.contains(&payload), "a payload twice");
        payloads.push(payload);
    }
}

#[test]
fn a_handler_measures_and_pings_as_it_likes() {
    let (server, told) = start(config());
    let mut client = server.client();
    client.write([text("marker"), text("measure"), text("measure")].concat());
    client.expect(&Frame::new(PING, "marker"));
    let [first, second] = [(); 2].map(|()| client.read_frame().expect("a ping"));
    assert_eq!((first.first, second.first), (FIN | PING, FIN | PING));
    client.write([pong("marker"), pong(&first.payload)].concat());
    assert_eq!(next(&told), (b"marker".to_vec(), None, None));
    // Both were written in the same turn, at the same time: the same ping twice.
    assert_eq!(first.payload, second.payload);
    let (_, round_trip, last) = next(&told);
    assert!(round_trip.is_some() && round_trip == last);
    // The peer's own pings are answered, and are no pongs.
    client.write(ping("mine"));
    client.expect(&Frame::pong("mine"));
    assert!(told.try_recv().is_err());
}

#[test]
fn another_connections_ping_is_not_answered() {
    let (server, told) = start(config());
    let (mut first, mut second) = (server.client(), server.client());
    first.write(text("measure"));
    second.write(text("measure"));
    let of_first = first.read_frame().expect("a ping");
    let of_second = second.read_frame().expect("a ping");
    assert_ne!(of_first.payload, of_second.payload);
    first.write(pong(&of_second.payload));
    assert_eq!(next(&told), (of_second.payload, None, None));
    first.write(pong(&of_first.payload));
    assert!(next(&told).1.is_some());
}

#[test]
fn it_is_as_long_as_the_clock_says() {
    let (sender, told) = channel();
    let config = Config { ping_interval: Some(Duration::from_secs(30)), ..config() };
    let simulation = Simulation::new(3, config, Faults::default(), Listener(sender));
    let mut simulation = simulation.expect("the configuration is right");
    let peer = simulation.connect();
    simulation.send(peer, REQUEST.as_bytes());
    simulation.run(3).expect("a simulated ring never fails");
    let (begun, before) = (simulation.elapsed(), simulation.received(peer).len());
    while simulation.received(peer).len() == before {
        simulation.turn().expect("a simulated ring never fails");
    }
    assert!(simulation.elapsed() - begun >= Duration::from_secs(30));
    let arrived = simulation.elapsed();
    let ping = simulation.received(peer).split_off(before + 2);
    // Another connection keeps the time from jumping to the next deadline.
    let other = simulation.connect();
    for byte in REQUEST.as_bytes() {
        simulation.send(other, &[*byte]);
        simulation.turn().expect("a simulated ring never fails");
    }
    let waited = simulation.elapsed() - arrived;
    simulation.send(peer, &pong(&ping));
    simulation.turn().expect("a simulated ring never fails");
    let round_trip = told.try_recv().expect("the pong is told").1.expect("it answers the ping");
    // A turn takes at most 50 microseconds.
    let error = Duration::from_micros(150);
    assert!(waited <= round_trip && round_trip <= waited + error, "{round_trip:?} {waited:?}");
}
