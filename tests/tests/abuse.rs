//! Situations that are rare and must not matter: few buffers, full mailboxes, handlers that panic
//! or close at once, closes that cross, peers that break the rules while the connection closes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use ringwire::{
    Config, Connection, ConnectionId, Error, HandleError, Handler, Message, TimeOut, Violation,
};
use ringwire_tests::{
    Client, End, Event, FIN, Frame, Neighbor, PATIENCE, REQUEST, TestServer, binary, close, config,
    ended, frame, message, ping, text, wait_until,
};

fn closed(code: u16, clean: bool) -> Event {
    Event::Close { code, reason: String::new(), clean }
}

/// A client to which the server has sent a close frame with 4000.
fn being_closed(server: &TestServer, events: &std::sync::mpsc::Receiver<Event>) -> Client {
    let mut client = server.client();
    let Ok(Event::Open(id, _)) = events.recv_timeout(PATIENCE) else { panic!("no opening") };
    assert_eq!(server.handle().close(id, 4000, ""), Ok(()));
    let frame = client.read_frame().expect("a close frame");
    assert_eq!(frame.close_code(), Some(4000));
    client
}

fn rest(events: &std::sync::mpsc::Receiver<Event>) -> Vec<Event> {
    let mut seen = Vec::new();
    while !matches!(seen.last(), Some(Event::Close { .. })) {
        seen.push(events.recv_timeout(PATIENCE).expect("the connection's events come"));
    }
    seen
}

#[test]
fn closes_that_cross() {
    let (server, events) = TestServer::echo(config());
    //= RFC 6455 7.1.5: in the case where both endpoints send a Close frame with different status
    //= codes, the two endpoints may not agree on the value of the code
    let mut client = being_closed(&server, &events);
    client.write(close(1001, ""));
    assert_eq!(client.read_frames(), []);
    assert_eq!(rest(&events), [closed(1001, true)]);
}

#[test]
fn violations_while_the_connection_closes() {
    let (server, events) = TestServer::echo(config());
    let mut neighbor = Neighbor::new(&server);
    let _opened = events.recv_timeout(PATIENCE);
    let cases = [
        (frame(FIN | 0x3, ""), Violation::ReservedOpcode(3)),
        (text(b"\xFF"), Violation::InvalidUtf8),
        (close(1005, ""), Violation::CloseCode(1005)),
    ];
    for (stream, violation) in cases {
        let mut client = being_closed(&server, &events);
        client.write([&stream[..], &close(1000, "")].concat());
        //= RFC 6455 5.5.1: If an endpoint receives a Close frame and did not previously send a
        //= Close frame, the endpoint MUST send a Close frame in response.
        // It did: there is no second one, whatever comes.
        assert_eq!(client.read_frames(), []);
        assert_eq!(rest(&events), [Event::Error(End::Violation(violation)), closed(1006, false)]);
    }
    neighbor.check();
}

#[test]
fn a_peer_that_goes_on_while_it_should_close() {
    let close_timeout = Duration::from_millis(100);
    let (server, events) = TestServer::echo(Config { close_timeout, ..config() });
    let mut client = being_closed(&server, &events);
    // Neither pings nor messages put the end off.
    while client.is_taken(&[ping(""), text("on and on")].concat()) {
        std::thread::sleep(close_timeout / 20);
    }
    let told: Vec<Event> =
        rest(&events).into_iter().filter(|event| !matches!(event, Event::Message(_))).collect();
    assert_eq!(told, [Event::Error(End::TimeOut(TimeOut::Close)), closed(1006, false)]);
}

/// What a handler does as soon as a connection is open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AtOnce {
    Close,
    Terminate,
}

impl Handler for AtOnce {
    type State = ();

    fn open(&mut self, connection: &mut Connection<'_, ()>) {
        connection.send("hello");
        match self {
            Self::Close => assert_eq!(connection.close(1013, "full"), Ok(())),
            Self::Terminate => connection.terminate(),
        }
    }

    fn message(&mut self, _connection: &mut Connection<'_, ()>, _message: Message<'_>) {
        assert!(*self == Self::Close, "nothing comes after `terminate`");
    }
}

#[test]
fn a_handler_that_closes_at_once() {
    let server = TestServer::start(config(), |_worker| AtOnce::Close);
    let mut client = Client::connect(server.address());
    client.write([REQUEST.as_bytes(), &text("behind the head")].concat());
    client.read_opening();
    client.expect(&Frame::text("hello"));
    let frame = client.read_frame().expect("a close frame");
    assert_eq!(frame.close_code(), Some(1013));
    client.write(close(1013, ""));
    assert_eq!(client.read_frame(), None);

    let server = TestServer::start(config(), |_worker| AtOnce::Terminate);
    for _ in 0..20 {
        let mut client = Client::connect(server.address());
        client.write(REQUEST);
        // What has not left is lost, the answer included.
        drop(client.read_to_end());
    }
}

#[test]
fn much_behind_a_head() {
    let (server, _events) = TestServer::echo(config());
    // More than a head may have.
    let payload = vec![b'x'; 20_000];
    let stream = [REQUEST.as_bytes(), &text(&payload), &close(1000, "")].concat();
    for cut in [0, 1, REQUEST.len() - 1, REQUEST.len(), REQUEST.len() + 3] {
        let mut client = Client::connect(server.address());
        client.write(&stream[..cut]);
        client.write(&stream[cut..]);
        client.read_opening();
        client.expect(&Frame::text(&payload));
        client.expect_close(Some(1000));
    }
}

#[test]
fn one_buffer_serves_everybody() {
    let (server, _events) = TestServer::echo(Config { buffers: 1, buffer_size: 64, ..config() });
    let mut clients: Vec<Client> = (0..20).map(|_| server.client()).collect();
    let pieces: Vec<Vec<u8>> = (0..40).map(|number| vec![number; 50]).collect();
    let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
    for client in &mut clients {
        client.write([text("short").repeat(30), message(0x2, &pieces), ping("last")].concat());
    }
    for client in &mut clients {
        for _ in 0..30 {
            client.expect(&Frame::text("short"));
        }
        client.expect(&Frame::binary(pieces.concat()));
        client.expect(&Frame::pong("last"));
        client.write(close(1000, ""));
        client.expect_close(Some(1000));
    }
}

#[test]
fn pings_whose_pongs_nobody_reads() {
    let config = Config {
        send_timeout: Duration::from_millis(100),
        outbox_high: 64 << 10,
        outbox_low: 32 << 10,
        ..config()
    };
    let (server, events) = TestServer::echo(config);
    let mut client = server.client();
    let pings = ping([7; 125]).repeat(1000);
    let writer =
        std::thread::spawn(move || (0..1000).take_while(|_| client.is_taken(&pings)).count());
    let expected = [Event::Error(End::TimeOut(TimeOut::Send)), closed(1006, false)];
    let mut told = ended(&events);
    told.retain(|event| *event != Event::Drain);
    assert_eq!(told, expected);
    assert!(writer.join().is_ok_and(|written| written < 1000));
    Neighbor::new(&server).check();
}

/// Waits at a gate, or panics, as a message says. Notes the first connection.
#[derive(Clone, Default)]
struct Unruly {
    gate: Arc<Mutex<()>>,
    is_at_gate: Arc<AtomicBool>,
    first: Arc<OnceLock<ConnectionId>>,
}

impl Handler for Unruly {
    type State = ();

    fn open(&mut self, connection: &mut Connection<'_, ()>) {
        self.first.get_or_init(|| connection.id());
    }

    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        match message.as_text() {
            Some("gate") => {
                self.is_at_gate.store(true, Ordering::Relaxed);
                drop(self.gate.lock());
            }
            Some("panic") => std::panic::resume_unwind(Box::new("as the test demands")),
            _ => {}
        }
        connection.send(&message);
    }
}

#[test]
fn a_mailbox_that_is_full() {
    let unruly = Unruly::default();
    let handler = unruly.clone();
    let config = Config { mailbox_size: 4, ..config() };
    let server = TestServer::start(config, move |_worker| handler.clone());
    let mut client = server.client();
    let id = *unruly.first.get().expect("the connection is open");
    let shut = unruly.gate.lock().expect("no handler panics");
    client.write(text("gate"));
    wait_until(|| unruly.is_at_gate.load(Ordering::Relaxed));
    let results: Vec<_> = (0..5).map(|_| server.handle().send(id, "mail")).collect();
    assert_eq!(results[..4], [Ok(()); 4]);
    assert_eq!(results[4], Err(HandleError::Full));
    drop(shut);
    client.expect(&Frame::text("gate"));
    for _ in 0..4 {
        client.expect(&Frame::text("mail"));
    }
    assert_eq!(server.handle().send(id, "again"), Ok(()));
    client.expect(&Frame::text("again"));
}

#[test]
fn a_mailbox_without_room_for_more_bytes() {
    let unruly = Unruly::default();
    let handler = unruly.clone();
    let config = Config { mailbox_bytes_max: 10, ..config() };
    let server = TestServer::start(config, move |_worker| handler.clone());
    let mut client = server.client();
    let id = *unruly.first.get().expect("the connection is open");
    assert_eq!(server.handle().send(id, "eleven here"), Err(HandleError::TooLarge));
    let shut = unruly.gate.lock().expect("no handler panics");
    client.write(text("gate"));
    wait_until(|| unruly.is_at_gate.load(Ordering::Relaxed));
    assert_eq!(server.handle().send(id, "seven b"), Ok(()));
    assert_eq!(server.handle().send(id, "four"), Err(HandleError::Full));
    let for_many = server.handle().send_many(&[id, id], "many").map_err(|error| error.error);
    assert_eq!(for_many, Err(HandleError::TooLarge), "the connections count as well");
    assert_eq!(server.handle().send(id, "two"), Ok(()));
    drop(shut);
    for mail in ["gate", "seven b", "two"] {
        client.expect(&Frame::text(mail));
    }
    assert_eq!(server.handle().send(id, "ten to fit"), Ok(()));
    client.expect(&Frame::text("ten to fit"));
}

#[test]
fn a_handler_that_panics_ends_all_workers() {
    let config = Config { workers: 2, ..config() };
    let server = TestServer::start(config, |_worker| Unruly::default());
    let mut others: Vec<Client> = (0..8).map(|_| server.client()).collect();
    let mut client = server.client();
    client.write(binary("well"));
    client.expect(&Frame::binary("well"));
    client.write(text("panic"));
    for other in &mut others {
        other.write(close(1000, ""));
    }
    drop((others, client));
    assert!(matches!(server.join(), Err(Error::HandlerPanicked)));
}

#[test]
fn a_panic_leaves_no_connection_open() {
    let config = Config { workers: 1, ..config() };
    let server = TestServer::start(config, |_worker| Unruly::default());
    let (mut culprit, mut bystander) = (server.client(), server.client());
    culprit.write(text("panic"));
    culprit.read_to_end();
    bystander.read_to_end();
    assert!(matches!(server.join(), Err(Error::HandlerPanicked)));
}
