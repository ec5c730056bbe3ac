//! The engine on the seeded ring, with everything going wrong that may: what a peer receives is
//! always an unbroken beginning of what it is owed, and every connection comes to its end.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::env;
use std::time::Duration;

use ringwire::simulation::{Faults, Peer, Simulation};
use ringwire::{
    Cause, Chunk, Closed, Config, Connection, ConnectionId, Handler, Limits, Message, Request,
    Upgrade,
};
use ringwire_protocol::handshake::{self, ClientRequest, Head};
use ringwire_protocol::{Close, Event, Receiver, Role, Sender, Workspace};

/// Echoes, and keeps the books on what it was told.
#[derive(Default)]
struct Books {
    opened: usize,
    closed: usize,
    errors: usize,
    drained: usize,
    last: Option<ConnectionId>,
}

/// Told by `open`, and by `close` once.
#[derive(Default)]
struct Told {
    open: bool,
    closed: bool,
    failed: bool,
    terminated: bool,
    /// The text that is arriving in chunks.
    text: Vec<u8>,
}

impl Handler for Books {
    type State = Told;

    /// Every other connection takes its messages in chunks.
    fn upgrade(&mut self, _: &Request<'_>) -> Upgrade<Told> {
        Upgrade::accept().streaming(self.opened % 2 == 1)
    }

    fn open(&mut self, connection: &mut Connection<'_, Told>) {
        assert!(!connection.state().open, "opened twice");
        connection.state().open = true;
        self.opened += 1;
        self.last = Some(connection.id());
        connection.send("welcome");
    }

    fn message(&mut self, connection: &mut Connection<'_, Told>, message: Message<'_>) {
        assert!(connection.state().open && !connection.state().closed, "a message after the end");
        assert!(!connection.state().terminated, "a message after terminate");
        if message.as_bytes() == b"terminate" {
            connection.state().terminated = true;
            connection.terminate();
        } else if message.as_bytes() == b"close" {
            assert!(connection.close(4321, "as asked").is_ok() || !connection.is_open());
        } else {
            connection.send(&message);
        }
    }

    /// Echoes bytes chunk by chunk, and text when its last has come.
    fn chunk(&mut self, connection: &mut Connection<'_, Told>, mut chunk: Chunk<'_>) {
        assert!(connection.state().open && !connection.state().closed, "a chunk after the end");
        let Chunk { part: Message::Text(text), .. } = &mut chunk else {
            connection.send_fragment(&chunk, chunk.is_last);
            return;
        };
        connection.state().text.extend_from_slice(text.as_bytes());
        if chunk.is_last {
            let mut all = std::mem::take(&mut connection.state().text);
            self.message(connection, Message::Binary(&mut all));
        }
    }

    fn drain(&mut self, connection: &mut Connection<'_, Told>) {
        assert!(!connection.state().closed, "drained after the end");
        self.drained += 1;
    }

    fn error(&mut self, connection: &mut Connection<'_, Told>, _cause: &Cause) {
        assert!(!connection.state().failed && !connection.state().closed, "an error too many");
        connection.state().failed = true;
        self.errors += 1;
        connection.send("too late");
    }

    fn close(&mut self, connection: &mut Connection<'_, Told>, closed: Closed<'_>) {
        assert!(connection.state().open && !connection.state().closed, "closed twice");
        assert_eq!(closed.clean, !connection.state().failed);
        connection.state().closed = true;
        self.closed += 1;
        connection.send("later still");
    }
}

/// A client of the protocol crate, and what it is owed.
struct Client {
    peer: Peer,
    sender: Sender,
    workspace: Workspace,
    /// Echoes in order, the welcome first.
    owed: Vec<Vec<u8>>,
    /// Whether it kept to the protocol and stayed: then nothing of what it is owed may be missing.
    faithful: bool,
    closed: bool,
}

const KEY: [u8; 16] = *b"0123456789abcdef";

impl Client {
    fn connect(simulation: &mut Simulation<Books>) -> Self {
        let mut request = Vec::new();
        ClientRequest::new("example.com", "/", KEY).encode(&mut request).unwrap();
        let peer = simulation.connect();
        simulation.send(peer, &request);
        let workspace = Workspace::new(Limits::default()).with_masking_keys(|| [9, 8, 7, 6]);
        let sender = Sender::new(Role::Client);
        let owed = vec![b"welcome".to_vec()];
        Self { peer, sender, workspace, owed, faithful: true, closed: false }
    }

    /// Does one thing of many, chosen by the seed.
    fn act(&mut self, simulation: &mut Simulation<Books>) {
        if self.closed {
            return;
        }
        let mut out = Vec::new();
        let (sender, workspace) = (&mut self.sender, &mut self.workspace);
        match simulation.choose(40) {
            0 => {
                let close = Close { code: Some(1000), reason: "done" };
                sender.close(close, workspace, &mut out).unwrap();
                self.closed = true;
            }
            1 => {
                out.extend_from_slice(&[0xF1, 0x80, 0, 0, 0, 0]);
                self.closed = true;
            }
            2 => {
                simulation.reset(self.peer);
                (self.faithful, self.closed) = (false, true);
            }
            3 => {
                simulation.end(self.peer);
                self.closed = true;
            }
            4 => {
                sender.message("terminate", workspace, &mut out).unwrap();
                (self.faithful, self.closed) = (false, true);
            }
            5 => {
                sender.message("close", workspace, &mut out).unwrap();
                self.closed = true;
            }
            6 => {
                simulation.set_window(self.peer, 300);
                self.faithful = false;
            }
            7..12 => sender.ping(b"are you there", workspace, &mut out).unwrap(),
            12..16 => {
                let parts = ["frag", "men", "ted"];
                for (index, part) in parts.into_iter().enumerate() {
                    sender.fragment(part, index == 2, workspace, &mut out).unwrap();
                }
                self.owed.push(b"fragmented".to_vec());
            }
            size => {
                let byte = u8::try_from(self.owed.len() % 251).unwrap();
                let message = vec![byte; simulation.choose(size * 20)];
                sender.message(&message, workspace, &mut out).unwrap();
                self.owed.push(message);
            }
        }
        simulation.send(self.peer, &out);
    }

    /// What it has received, decoded: the messages, and the close frame's code if one came.
    fn decoded(&mut self, simulation: &Simulation<Books>) -> (Vec<Vec<u8>>, Option<u16>) {
        let mut bytes = simulation.received(self.peer);
        let size = Head::response().scan(&bytes, &handshake::Limits::default()).unwrap();
        let Some(size) = size else { return (Vec::new(), None) };
        if bytes.starts_with(b"HTTP/1.1 503") {
            return (Vec::new(), None);
        }
        assert!(bytes.starts_with(b"HTTP/1.1 101"));
        let (mut messages, mut code, mut out) = (Vec::new(), None, Vec::new());
        let mut receiver = Receiver::new(Role::Client);
        let mut sender = Sender::new(Role::Client);
        let mut input = &mut bytes[size..];
        while let Some(event) =
            receiver.next(&mut input, &mut sender, &mut self.workspace, &mut out)
        {
            match event {
                Event::Message(message) => messages.push(message.as_bytes().to_vec()),
                Event::Chunk(chunk) => panic!("{chunk:?}, and no chunks are taken"),
                Event::Ping(_) => {}
                Event::Pong(payload) => assert_eq!(payload, b"are you there"),
                Event::Close(close) => code = close.code,
                Event::Failed(violation) => panic!("the server violated the protocol: {violation}"),
            }
        }
        (messages, code)
    }
}

fn config() -> Config {
    Config {
        buffers: 4,
        buffer_size: 100,
        // Three small messages, so that a busy connection waits for its next turn.
        turn_size_max: 3 * 256,
        outbox_low: 50,
        outbox_high: 500,
        outbox_size_max: 100_000,
        connections_max: 24,
        // These clients do not answer; a test of its own is about those that do not.
        ping_interval: None,
        ..Config::default()
    }
}

/// One run: clients come and act, then the server stops.
fn run(seed: u64, faults: Faults) {
    let mut simulation = Simulation::new(seed, config(), faults, Books::default()).unwrap();
    let mut clients: Vec<Client> = Vec::new();
    let mut paused: Vec<ConnectionId> = Vec::new();
    for _ in 0..400 {
        if clients.len() < 20 && simulation.choose(4) == 0 {
            clients.push(Client::connect(&mut simulation));
        }
        for client in &mut clients {
            if simulation.choose(6) == 0 {
                client.act(&mut simulation);
            }
        }
        if simulation.choose(50) == 0
            && let Some(id) = simulation.handler().last
        {
            // From outside; it may name a connection that is no more.
            let _taken = simulation.handle().close(id, 4000, "from outside");
        }
        match simulation.choose(20) {
            0 => {
                let last = simulation.handler().last;
                last.inspect(|id| simulation.handle().pause(*id).unwrap());
                paused.extend(last);
            }
            1 => {
                let id = paused.pop();
                id.inspect(|id| simulation.handle().resume(*id).unwrap());
            }
            _ => {}
        }
        assert!(simulation.turn().unwrap());
        check_stats(&mut simulation);
    }
    for id in paused {
        simulation.handle().resume(id).unwrap();
    }
    // Nobody acts any more: everything that can arrive does.
    for turn in 0..3000 {
        simulation.turn().unwrap();
        if turn % 20 == 0 {
            check_stats(&mut simulation);
        }
    }
    for client in &mut clients {
        check(client, &simulation, faults);
    }
    simulation.handle().stop();
    assert!(!simulation.run(20_000).unwrap(), "the server does not end");
    assert_eq!(simulation.connections(), 0);
    check_stats(&mut simulation);
    for client in &clients {
        assert!(simulation.has_ended(client.peer), "a peer was forgotten");
    }
    let books = simulation.handler();
    assert_eq!(books.opened, books.closed, "each connection that opens closes");
    assert!(books.errors <= books.closed);
}

/// Every connection is counted in one place at any time: where it is, or why it is no more.
fn check_stats(simulation: &mut Simulation<Books>) {
    let stats = simulation.stats();
    let (opening, open) = simulation.census();
    assert_eq!((stats.opening(), stats.open()), (opening, open), "{stats:?}");
    let over = stats.refused.total() + stats.unanswered.total();
    assert_eq!(stats.accepted, opening + over + stats.opened);
    assert_eq!(stats.opened, open + stats.ended.total());
    let books = simulation.handler();
    assert_eq!((stats.opened, stats.ended.total()), (books.opened as u64, books.closed as u64));
}

fn check(client: &mut Client, simulation: &Simulation<Books>, faults: Faults) {
    let (messages, code) = client.decoded(simulation);
    assert!(messages.len() <= client.owed.len(), "more than it is owed");
    for (index, (got, owed)) in messages.iter().zip(&client.owed).enumerate() {
        assert_eq!(got, owed, "message {index}");
    }
    // A close from outside cuts the echoes short, and so does a broken send or a refusal.
    let cut = code == Some(4000) || faults.broken_sends > 0 || faults.descriptors_exhausted > 0;
    if client.faithful && !cut {
        assert_eq!(messages.len(), client.owed.len(), "messages are missing, code {code:?}");
    }
}

/// The seeds of a run: a fixed set, and some that have never been tried. `RINGWIRE_SEED` repeats
/// one.
fn seeds() -> Vec<u64> {
    if let Some(seed) = env::var("RINGWIRE_SEED").ok().and_then(|seed| seed.parse().ok()) {
        return vec![seed];
    }
    let fresh = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |time| u64::from(time.subsec_nanos()) << 32 | time.as_secs());
    (0..60).chain((0..20).map(|index| fresh.wrapping_add(index))).collect()
}

/// Prints the seed of a run that fails.
struct Announce(u64);

impl Drop for Announce {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with RINGWIRE_SEED={}", self.0);
        }
    }
}

fn run_all(faults: Faults) {
    for seed in seeds() {
        let _announce = Announce(seed);
        run(seed, faults);
    }
}

#[test]
fn nothing_is_lost_without_faults() {
    run_all(Faults::default());
}

#[test]
fn nothing_is_lost_by_delays_and_short_operations() {
    run_all(Faults { descriptors_exhausted: 0, broken_sends: 0, ..Faults::MANY });
}

#[test]
fn everything_ends_whatever_happens() {
    run_all(Faults::MANY);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let bytes = |seed| {
        let mut simulation =
            Simulation::new(seed, config(), Faults::MANY, Books::default()).unwrap();
        let mut client = Client::connect(&mut simulation);
        for _ in 0..50 {
            client.act(&mut simulation);
            simulation.turn().unwrap();
        }
        (simulation.received(client.peer), simulation.elapsed())
    };
    assert_eq!(bytes(5), bytes(5));
    assert_ne!(bytes(5), bytes(6));
}

#[test]
fn a_peer_that_does_not_read_is_bounded_and_dropped() {
    let mut simulation = Simulation::new(1, config(), Faults::default(), Books::default()).unwrap();
    let mut client = Client::connect(&mut simulation);
    simulation.run(20).unwrap();
    simulation.set_window(client.peer, 0);
    let mut sent = Vec::new();
    for _ in 0..5000 {
        let (sender, workspace) = (&mut client.sender, &mut client.workspace);
        sender.message(&[0; 90], workspace, &mut sent).unwrap();
    }
    simulation.send(client.peer, &sent);
    let before = simulation.elapsed();
    simulation.run(200).unwrap();
    assert_eq!(simulation.connections(), 0, "it was not dropped");
    assert!(simulation.elapsed() - before >= Config::default().send_timeout);
    assert!(simulation.elapsed() - before < 2 * Config::default().send_timeout);
}

#[test]
fn a_mute_peer_is_asked_and_dropped() {
    let mut simulation =
        Simulation::new(1, Config::default(), Faults::default(), Books::default()).unwrap();
    let client = Client::connect(&mut simulation);
    while simulation.elapsed() < Duration::from_secs(31) {
        simulation.turn().unwrap();
    }
    let received = simulation.received(client.peer);
    let ping = received.last_chunk::<10>().map(|frame| &frame[..2]);
    assert_eq!(ping, Some(&[0x89, 8][..]), "it was sent no ping");
    while simulation.elapsed() < Duration::from_secs(52) && simulation.connections() > 0 {
        simulation.turn().unwrap();
    }
    assert_eq!(simulation.connections(), 0);
    assert_eq!(simulation.handler().errors, 1);
}

/// Two clients that are welcome, and a server that gives each four messages a turn.
fn pair() -> (Simulation<Books>, Client, Client) {
    let config = Config {
        buffers: 16,
        buffer_size: 100,
        turn_size_max: 4 * 256,
        ping_interval: None,
        ..Config::default()
    };
    let mut simulation = Simulation::new(1, config, Faults::default(), Books::default()).unwrap();
    let (first, second) = (Client::connect(&mut simulation), Client::connect(&mut simulation));
    simulation.run(20).unwrap();
    (simulation, first, second)
}

/// Sends `count` messages, each its own number, as the smallest frames.
fn flood(client: &mut Client, simulation: &mut Simulation<Books>, count: u32) {
    let mut out = Vec::new();
    for number in 0..count {
        let message = number.to_be_bytes();
        client.sender.message(&message, &mut client.workspace, &mut out).unwrap();
        client.owed.push(message.to_vec());
    }
    simulation.send(client.peer, &out);
}

#[test]
fn a_flood_gets_its_share_of_each_turn_and_loses_nothing() {
    let (mut simulation, mut flooder, mut neighbor) = pair();
    flood(&mut flooder, &mut simulation, 3000);
    let mut rounds = 0;
    let mut before = 0;
    while before < flooder.owed.len() {
        flood(&mut neighbor, &mut simulation, 1);
        simulation.run(2).unwrap();
        assert_eq!(neighbor.decoded(&simulation).0, neighbor.owed, "the neighbour waits");
        let (messages, _) = flooder.decoded(&simulation);
        assert_eq!(messages, flooder.owed[..messages.len()]);
        // Its share, and what was handled because others may need the buffers: at most three are
        // filled from one socket in a simulated turn, and each holds ten messages.
        let count = messages.len() - before;
        assert!(count <= 2 * (4 + 3 * 10), "{count} messages in two turns");
        (rounds, before) = (rounds + 1, messages.len());
    }
    assert!(rounds > 3000 / 2 / (4 + 3 * 10), "the flood was over in {rounds} rounds");
}

#[test]
fn a_flood_within_the_buffers_is_handled_four_a_turn() {
    let (mut simulation, mut flooder, _) = pair();
    let welcome = flooder.owed.len();
    // Seven buffers of the eight that may wait.
    flood(&mut flooder, &mut simulation, 70);
    simulation.end(flooder.peer);
    for turn in 1..=17 {
        simulation.turn().unwrap();
        let (messages, _) = flooder.decoded(&simulation);
        assert_eq!(messages, flooder.owed[..messages.len()]);
        assert!(messages.len() <= welcome + 4 * turn, "{} in {turn} turns", messages.len());
        assert_eq!(simulation.handler().closed, 0, "the end overtakes what came before it");
    }
    simulation.run(20).unwrap();
    assert_eq!(flooder.decoded(&simulation).0, flooder.owed);
    assert_eq!(simulation.handler().closed, 1);
}

#[test]
fn what_waits_when_a_connection_ends_is_given_back() {
    let (mut simulation, mut flooder, mut neighbor) = pair();
    flood(&mut flooder, &mut simulation, 60);
    simulation.turn().unwrap();
    simulation.reset(flooder.peer);
    // `turn` checks that each buffer is free or waits.
    simulation.run(40).unwrap();
    assert_eq!((simulation.connections(), simulation.handler().errors), (1, 1));
    flood(&mut neighbor, &mut simulation, 200);
    simulation.run(200).unwrap();
    assert_eq!(neighbor.decoded(&simulation).0, neighbor.owed);
}

#[test]
fn buffers_go_round_when_there_are_few() {
    let config = Config { buffers: 4, buffer_size: 100, ping_interval: None, ..Config::default() };
    let mut simulation = Simulation::new(1, config, Faults::default(), Books::default()).unwrap();
    let mut clients: Vec<_> = (0..40).map(|_| Client::connect(&mut simulation)).collect();
    simulation.run(60).unwrap();
    for turn in 0..600 {
        for client in &mut clients {
            // Each sends the next message when the last has come back, and looks now and then.
            if simulation.choose(4) == 0 {
                let (messages, _) = client.decoded(&simulation);
                if messages.len() == client.owed.len() {
                    flood(client, &mut simulation, 1);
                }
            }
        }
        assert!(simulation.turn().unwrap(), "turn {turn}");
    }
    let counts = clients.iter().map(|client| client.owed.len());
    let [least, most] = [counts.clone().min(), counts.max()].map(Option::unwrap);
    // The simulated ring serves its first socket first, so the shares are not equal; but they are
    // shares. Were the last to come the first to be armed, one would have next to nothing.
    assert!(least * 20 > most, "one connection has had {least} messages back, another {most}");
}
