//! Connections that are given away: what comes out is all there is, and the peer does not notice.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::any::Any;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ringwire::{
    Adoption, Compression, Config, Connection, ConnectionId, Handle, Handler, Message, NotQuiet,
    ReleaseError, Released, Sent, Stats,
};
use ringwire_tests::{
    BINARY, Client, End, Event, FIN, Frame, PATIENCE, REQUEST, TestServer, binary, close, config,
    frame, ping, text,
};

type Outcome = Result<Released, ReleaseError>;

/// Releases, and waits for what becomes of it.
fn release(handle: &Handle, id: ConnectionId) -> Outcome {
    ask(handle, id).recv_timeout(PATIENCE).unwrap()
}

fn ask(handle: &Handle, id: ConnectionId) -> mpsc::Receiver<Outcome> {
    let (sender, outcome) = mpsc::channel();
    handle.release(id, move |released| sender.send(released).unwrap()).unwrap();
    outcome
}

fn opened(events: &mpsc::Receiver<Event>) -> ConnectionId {
    match events.recv_timeout(PATIENCE).unwrap() {
        Event::Open(id, _) => id,
        event => panic!("{event:?}"),
    }
}

fn text_frame(payload: &str) -> Frame {
    Frame { first: FIN | 1, payload: payload.as_bytes().to_vec() }
}

#[test]
fn a_quiet_connection_is_given_away_and_counted() {
    let (server, events) = TestServer::echo(config());
    let mut client = server.client();
    let id = opened(&events);
    client.write(text("before"));
    client.expect(&text_frame("before"));
    let released = release(&server.handle(), id).unwrap();
    assert_eq!((released.unread.len(), released.compression, released.streaming), (0, None, false));
    assert!(released.state.is_none());
    let mut socket = TcpStream::from(released.socket);
    client.write("unread");
    let mut bytes = [0; 6];
    socket.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"unread");
    socket.write_all(b"\x81\x02hi").unwrap();
    client.expect(&text_frame("hi"));
    // It is no more.
    assert_eq!(release(&server.handle(), id).err(), Some(ReleaseError::Ended));
    server.handle().send(id, "to nobody").unwrap();
    let stats = server.stats_when(|stats| stats.released == 1);
    assert_eq!((stats.opened, stats.open(), stats.ended.total()), (1, 0, 0));
    // The handler was told of no end.
    let seen: Vec<Event> = events.try_iter().collect();
    assert!(matches!(seen[..], [Event::Message(_)]), "{seen:?}");
    assert!(client.is_silent(Duration::from_millis(20)));
}

#[test]
fn the_same_server_takes_it_again_any_number_of_times() {
    let (server, events) = TestServer::echo(Config { workers: 2, ..config() });
    let mut client = server.client();
    for number in 0..50 {
        let id = opened(&events);
        client.write(text(number.to_string()));
        client.expect(&text_frame(&number.to_string()));
        assert!(matches!(events.recv_timeout(PATIENCE).unwrap(), Event::Message(_)));
        let released = release(&server.handle(), id).unwrap();
        let adoption = Adoption::from(released).worker(number % 2);
        server.handle().adopt(adoption).unwrap();
    }
    client.write(close(1000, ""));
    client.expect_close(Some(1000));
    // Each worker makes its numbers known in its own time.
    let numbers = |it: &Stats| (it.opened, it.released, it.adopted, it.ended.total());
    server.stats_when(|stats| numbers(stats) == (51, 50, 50, 1));
}

#[test]
fn a_message_that_has_begun_is_waited_for_and_the_next_one_is_not_taken() {
    let (server, events) = TestServer::echo(config());
    let mut read = 0;
    for (begun, rest, echo) in [
        (&text("whole")[..3], &text("whole")[3..], "whole"),
        (&frame(1, "frag")[..], &frame(FIN, "ments")[..], "fragments"),
        (&text("x".repeat(300))[..9], &text("x".repeat(300))[9..], &*"x".repeat(300)),
    ] {
        let mut client = server.client();
        let id = opened(&events);
        client.write(begun);
        read += REQUEST.len() + begun.len();
        server.has_read(read);
        let outcome = ask(&server.handle(), id);
        assert!(outcome.recv_timeout(Duration::from_millis(30)).is_err(), "not between messages");
        client.write([rest, &ping("unread"), &text("unread")].concat());
        let released = outcome.recv_timeout(PATIENCE).unwrap().unwrap();
        client.expect(&text_frame(echo));
        let mut unread = released.unread;
        let rest = [ping("unread"), text("unread")].concat();
        let mut more = vec![0; rest.len() - unread.len()];
        TcpStream::from(released.socket).read_exact(&mut more).unwrap();
        unread.extend(more);
        assert_eq!(unread, rest);
        assert!(matches!(events.recv_timeout(PATIENCE).unwrap(), Event::Message(_)));
    }
}

#[test]
fn who_does_not_become_quiet_goes_on() {
    let quick = Config { send_timeout: Duration::from_millis(700), ..config() };
    let (server, events) = TestServer::echo(quick);
    let mut client = server.client();
    let id = opened(&events);
    let whole = text("in two parts");
    client.write(&whole[..5]);
    server.has_read(REQUEST.len() + 5);
    let first = ask(&server.handle(), id);
    // Who asks twice is told at once.
    assert_eq!(release(&server.handle(), id).err(), Some(ReleaseError::Releasing));
    let error = first.recv_timeout(PATIENCE).unwrap().err();
    assert_eq!(error, Some(ReleaseError::NotQuiet(NotQuiet::Receiving)));
    client.write(&whole[5..]);
    client.expect(&text_frame("in two parts"));
    let released = release(&server.handle(), id).unwrap();
    assert!(released.unread.is_empty());
}

#[test]
fn who_ends_meanwhile_is_not_released() {
    let (server, events) = TestServer::echo(config());
    // The peer closes, the peer goes, the server closes, the server stops.
    let mut closes = server.client();
    let mut goes = server.client();
    let mut closed = server.client();
    let mut stays = server.client();
    let ids: Vec<ConnectionId> = (0..4).map(|_| opened(&events)).collect();
    let begun = &text("begun")[..4];
    for client in [&mut closes, &mut goes, &mut closed, &mut stays] {
        client.write(begun);
    }
    server.has_read(4 * (REQUEST.len() + begun.len()));
    let outcomes: Vec<_> = ids.iter().map(|id| ask(&server.handle(), *id)).collect();
    closes.write([&text("begun")[4..], &close(1000, "")].concat());
    drop(goes);
    server.handle().close(ids[2], 4000, "").unwrap();
    let ended = |outcome: &mpsc::Receiver<Outcome>| {
        outcome.recv_timeout(PATIENCE).unwrap().err() == Some(ReleaseError::Ended)
    };
    assert!(ended(&outcomes[1]) && ended(&outcomes[2]));
    // This one was quiet in between, if it was asked before it had closed: then its close frame is
    // for the next server.
    match outcomes[0].recv_timeout(PATIENCE).unwrap() {
        Ok(released) => assert!(close(1000, "").starts_with(&released.unread)),
        Err(error) => assert_eq!(error, ReleaseError::Ended),
    }
    server.handle().stop_now();
    assert!(ended(&outcomes[3]));
    assert!(server.join().is_ok());
}

/// Releases when it is told to, from its methods, after having answered.
struct Releaser {
    outcomes: mpsc::Sender<Outcome>,
}

impl Handler for Releaser {
    type State = u32;

    fn message(&mut self, connection: &mut Connection<'_, u32>, message: Message<'_>) {
        *connection.state() += 1;
        connection.send(&message);
        let outcomes = self.outcomes.clone();
        match message.as_text() {
            Some("release") => {
                connection.release(move |outcome| outcomes.send(outcome).unwrap());
                connection.send("the last");
            }
            Some("fragment") => {
                connection.send_fragment("half", false);
            }
            _ => {}
        }
    }

    fn released(&mut self, connection: &mut Connection<'_, u32>) -> Option<Box<dyn Any + Send>> {
        assert_eq!(connection.send("too late"), Sent::Closed);
        Some(Box::new(*connection.state()))
    }
}

#[test]
fn a_handler_releases_behind_what_it_has_sent() {
    let (outcomes, outcome) = mpsc::channel();
    let quick = Config { send_timeout: Duration::from_millis(200), ..config() };
    let server = TestServer::start(quick, move |_| Releaser { outcomes: outcomes.clone() });
    let mut client = server.client();
    // What comes behind the message that asks for it is not handed over.
    let sent = [text("one"), text("release"), text("two"), text("three")].concat();
    client.write(&sent);
    let released = outcome.recv_timeout(PATIENCE).unwrap().unwrap();
    for expected in ["one", "release", "the last"] {
        client.expect(&text_frame(expected));
    }
    assert_eq!(released.state.as_ref().unwrap().downcast_ref(), Some(&2_u32));
    assert_eq!(released.unread, [text("two"), text("three")].concat());
    // With its state it goes on.
    server.handle().adopt(Adoption::from(released)).unwrap();
    client.expect(&text_frame("two"));
    client.expect(&text_frame("three"));
    client.write(text("release"));
    let released = outcome.recv_timeout(PATIENCE).unwrap().unwrap();
    assert_eq!(released.state.as_ref().unwrap().downcast_ref(), Some(&5_u32));
    // In the middle of a message of its own it stays.
    let mut other = server.client();
    other.write([text("fragment"), text("release")].concat());
    let error = outcome.recv_timeout(PATIENCE).unwrap().err();
    assert_eq!(error, Some(ReleaseError::NotQuiet(NotQuiet::Sending)));
    other.expect(&text_frame("fragment"));
    other.expect(&Frame { first: 1, payload: b"half".to_vec() });
}

#[test]
fn a_peer_that_does_not_read_holds_it_back() {
    let (server, events) = TestServer::echo(Config { outbox_size_max: 64 << 20, ..config() });
    let mut client = server.client();
    let id = opened(&events);
    let large = vec![3; 8 << 20];
    let mut writer = client.share();
    thread::scope(|scope| {
        scope.spawn(|| writer.write(binary(&large)));
        assert!(matches!(events.recv_timeout(PATIENCE).unwrap(), Event::Message(_)));
        let outcome = ask(&server.handle(), id);
        assert!(outcome.recv_timeout(Duration::from_millis(50)).is_err(), "unsent");
        client.expect(&Frame { first: FIN | BINARY, payload: large.clone() });
        assert!(outcome.recv_timeout(PATIENCE).unwrap().unwrap().unread.is_empty());
    });
}

#[test]
fn a_window_of_the_peers_cannot_be_given_away() {
    let hello = frame(FIN | 0x40 | 1, b"\xf2\x48\xcd\xc9\xc9\x07\x00");
    for (compression, is_given) in
        [(Compression::shared(), true), (Compression::dedicated(), false)]
    {
        let config = Config { compression: Some(compression), ..config() };
        let (server, events) = TestServer::echo(config);
        let (mut client, accepted) = Client::offering(server.address(), &["permessage-deflate"]);
        assert!(accepted.is_some());
        let id = opened(&events);
        client.write(text("plain"));
        client.expect(&text_frame("plain"));
        // Nothing has been compressed yet: there is no window either way.
        let released = release(&server.handle(), id).unwrap();
        let (agreed, given) = released.compression.unwrap();
        assert_eq!(given, compression);
        assert_eq!(agreed.client_no_context_takeover, is_given);
        server.handle().adopt(Adoption::from(released)).unwrap();
        assert!(matches!(events.recv_timeout(PATIENCE).unwrap(), Event::Message(_)));
        let id = opened(&events);
        client.write(&hello);
        client.expect(&text_frame("Hello"));
        match release(&server.handle(), id) {
            Ok(released) => {
                assert!(is_given);
                assert_eq!(released.compression, Some((agreed, compression)));
            }
            Err(error) => {
                assert!(!is_given);
                assert_eq!(error, ReleaseError::NotQuiet(NotQuiet::Window));
                client.write(&hello);
                client.expect(&text_frame("Hello"));
            }
        }
    }
}

#[test]
fn a_paused_connection_takes_along_what_is_held() {
    let (server, events) = TestServer::echo(config());
    let mut client = server.client();
    let id = opened(&events);
    server.handle().pause(id).unwrap();
    server.stats_when(|stats| stats.mails == 1);
    let sent = [text("held"), text("and held")].concat();
    client.write(&sent);
    let released = release(&server.handle(), id).unwrap();
    server.handle().adopt(Adoption::from(released)).unwrap();
    client.expect(&text_frame("held"));
    client.expect(&text_frame("and held"));
}

/// Gives each connection that opens to the other server. Says how often that was asked for.
fn move_all(from: &Handle, to: &Handle, events: &mpsc::Receiver<Event>) -> u64 {
    let mut asked = 0;
    for event in events {
        match event {
            Event::Open(id, _) => {
                let to = to.clone();
                let released = from.release(id, move |outcome| {
                    if let Ok(released) = outcome {
                        to.adopt(Adoption::from(released)).unwrap();
                    }
                });
                asked += u64::from(released.is_ok());
            }
            Event::Error(End::Gone | End::Io) => panic!("a client noticed"),
            _ => {}
        }
    }
    asked
}

/// Sends numbered messages, reads them back in order, and closes.
fn play(mut client: Client, number: usize, messages: u32) {
    let payload = move |index: u32| {
        let size = usize::try_from(index).unwrap() * (number + 7) % 700;
        [index.to_be_bytes().to_vec(), vec![number.to_le_bytes()[0]; size]].concat()
    };
    let mut writer = client.share();
    thread::scope(|scope| {
        scope.spawn(move || {
            for index in 0..messages {
                writer.write(binary(payload(index)));
            }
            writer.write(close(1000, ""));
        });
        for index in 0..messages {
            client.expect(&Frame { first: FIN | BINARY, payload: payload(index) });
        }
        client.expect_close(Some(1000));
    });
}

/// Each connection goes to and fro between two servers, while its client numbers its messages and
/// checks the numbers of those that come back.
#[test]
fn a_client_does_not_notice_under_load() {
    const CLIENTS: usize = 8;
    const MESSAGES: u32 = 20_000;
    let small = || Config { buffers: 16, buffer_size: 256, turn_size_max: 4096, ..config() };
    let (one, one_events) = TestServer::echo(small());
    let (two, two_events) = TestServer::echo(small());
    let (first, second) = (one.handle(), two.handle());
    let (there, back) = ((first.clone(), second.clone()), (second, first));
    let movers = [
        thread::spawn(move || move_all(&there.0, &there.1, &one_events)),
        thread::spawn(move || move_all(&back.0, &back.1, &two_events)),
    ];
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let client = one.client();
            scope.spawn(move || play(client, number, MESSAGES));
        }
    });
    let sum = |pick: fn(&Stats) -> u64| pick(&one.handle().stats()) + pick(&two.handle().stats());
    // Each server makes its numbers known in its own time.
    let (clients, messages) = (CLIENTS as u64, u64::from(MESSAGES) * CLIENTS as u64);
    one.stats_when(|_| sum(|it| it.ended.total()) == clients);
    one.stats_when(|_| sum(|it| it.messages_received) == messages);
    one.stats_when(|_| sum(|it| it.released) == sum(|it| it.adopted));
    one.stats_when(|_| sum(|it| it.opened) == sum(|it| it.released) + clients);
    let released = sum(|it| it.released);
    assert!(released > 100 * clients, "only {released} moves");
    drop((one, two));
    let asked: u64 = movers.into_iter().map(|mover| mover.join().unwrap()).sum();
    assert!(asked >= released);
}
