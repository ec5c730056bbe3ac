//! What the server begins: messages from other threads, the closing handshake, the end of all.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use ringwire::{
    Config, Connection, ConnectionId, Handle, HandleError, Handler, Message, Misuse, Sent, TimeOut,
};
use ringwire_tests::{
    Client, End, Event, Frame, PATIENCE, REQUEST, TestServer, close, config, ended, ping, text,
};

/// Does to its connection what a message says.
struct Obedient;

impl Handler for Obedient {
    type State = ();

    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        match message.as_text() {
            Some("close") => {
                connection.send("last");
                assert_eq!(connection.close(3001, "as you like"), Ok(()));
                assert!(!connection.is_open());
                //= RFC 6455 5.5.1: The application MUST NOT send any more data frames after sending
                //= a Close frame.
                assert_eq!(connection.send("too late"), Sent::Closed);
                assert_eq!(connection.close(1000, ""), Err(Misuse::Closing));
            }
            Some("misuse") => {
                assert_eq!(connection.close(1006, ""), Err(Misuse::CloseCode(1006)));
                assert_eq!(connection.ping(&[0; 126]), Sent::Misused(Misuse::ControlTooLong));
            }
            Some("fragments") => {
                connection.send_fragment("a", false);
                connection.ping(b"between");
                connection.send_fragment("b", true);
            }
            Some("terminate") => connection.terminate(),
            _ => {
                connection.send(&message);
            }
        }
    }
}

#[test]
fn a_handler_closes() {
    let server = TestServer::start(config(), |_worker| Obedient);
    let mut client = server.client();
    client.write([text("close"), ping("still"), text("in vain")].concat());
    client.expect(&Frame::text("last"));
    let frame = client.read_frame().expect("a close frame");
    assert_eq!(frame.payload, [&3001_u16.to_be_bytes()[..], b"as you like"].concat());
    // It has not received a close, so it answers pings, and waits for the close.
    client.expect(&Frame::pong("still"));
    assert!(client.is_silent(Duration::from_millis(50)));
    client.write(close(3001, ""));
    //= RFC 6455 7.1.1: the server MUST close the underlying TCP connection immediately
    assert_eq!(client.read_frame(), None);
}

#[test]
fn a_handler_does_other_things() {
    let server = TestServer::start(config(), |_worker| Obedient);
    let mut client = server.client();
    client.write([text("misuse"), text("fragments"), text("terminate")].concat());
    client.write(text("never"));
    // `terminate` loses what has not left.
    assert!(client.read_to_end().len() <= 20);
    let mut client = server.client();
    client.write([text("misuse"), text("fragments"), close(1000, "")].concat());
    client.expect(&Frame { first: 0x01, payload: b"a".to_vec() });
    client.expect(&Frame { first: 0x89, payload: b"between".to_vec() });
    client.expect(&Frame { first: 0x80, payload: b"b".to_vec() });
    client.expect_close(Some(1000));
}

/// The clients of a server and their identifiers.
fn crowd(
    server: &TestServer,
    events: &std::sync::mpsc::Receiver<Event>,
    count: usize,
) -> Vec<(Client, ConnectionId, usize)> {
    let open = |_| {
        let client = server.client();
        match events.recv_timeout(PATIENCE) {
            Ok(Event::Open(id, worker)) => (client, id, worker),
            event => panic!("{event:?} is no opening"),
        }
    };
    (0..count).map(open).collect()
}

#[test]
fn other_threads_send_and_close() {
    let (server, events) = TestServer::echo(Config { workers: 2, ..config() });
    let mut crowd = crowd(&server, &events, 32);
    let workers: HashSet<usize> = crowd.iter().map(|(_, _, worker)| *worker).collect();
    assert_eq!(workers.len(), 2, "the kernel spreads connections");
    let ids: Vec<ConnectionId> = crowd.iter().map(|(_, id, _)| *id).collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 32, "each has its own identifier");
    let handle = server.handle();
    let speaker = thread::spawn(move || {
        for id in ids {
            for number in 0..10 {
                assert_eq!(handle.send(id, format!("text {number}")), Ok(()));
            }
            assert_eq!(handle.send(id, &b"bytes"[..]), Ok(()));
            let code = HandleError::Misuse(Misuse::CloseCode(1005));
            assert_eq!(handle.close(id, 1005, ""), Err(code));
            assert_eq!(handle.close(id, 4000, "enough"), Ok(()));
            // It comes too late, which the worker alone can know.
            assert_eq!(handle.send(id, "late"), Ok(()));
        }
    });
    for (client, _, _) in &mut crowd {
        for number in 0..10 {
            client.expect(&Frame::text(format!("text {number}")));
        }
        client.expect(&Frame::binary("bytes"));
        let frame = client.read_frame().expect("a close frame");
        assert_eq!(frame.close_code(), Some(4000));
        client.write(close(4000, ""));
        assert_eq!(client.read_frame(), None);
    }
    speaker.join().expect("the speaker does not panic");
}

#[test]
fn what_is_for_a_connection_that_has_ended_reaches_no_other() {
    let (server, events) = TestServer::echo(config());
    let mut first = crowd(&server, &events, 1).remove(0);
    first.0.write(close(1000, ""));
    first.0.expect_close(Some(1000));
    drop(first.0);
    assert!(matches!(events.recv_timeout(PATIENCE), Ok(Event::Close { clean: true, .. })));
    // It takes the slot that the first has left, or another.
    let mut second = crowd(&server, &events, 1).remove(0);
    assert_ne!(first.1, second.1);
    assert_eq!(server.handle().send(first.1, "for the first"), Ok(()));
    assert_eq!(server.handle().close(first.1, 1000, ""), Ok(()));
    assert_eq!(server.handle().send(second.1, "for the second"), Ok(()));
    second.0.expect(&Frame::text("for the second"));
}

/// Sends each message on every connection of every worker.
struct Broadcast {
    handle: Arc<OnceLock<Handle>>,
    everyone: Arc<Mutex<Vec<ConnectionId>>>,
}

impl Handler for Broadcast {
    type State = ();

    fn open(&mut self, connection: &mut Connection<'_, ()>) {
        self.everyone.lock().expect("no handler panics").push(connection.id());
    }

    fn message(&mut self, _connection: &mut Connection<'_, ()>, message: Message<'_>) {
        let handle = self.handle.get().expect("the test has set it");
        for id in self.everyone.lock().expect("no handler panics").iter() {
            assert_eq!(handle.send(*id, &message), Ok(()));
        }
    }
}

#[test]
fn workers_reach_each_others_connections() {
    let (handle, everyone) = (Arc::new(OnceLock::new()), Arc::new(Mutex::new(Vec::new())));
    let (set, count) = (Arc::clone(&handle), Arc::clone(&everyone));
    let server = TestServer::start(Config { workers: 2, ..config() }, move |_worker| Broadcast {
        handle: Arc::clone(&handle),
        everyone: Arc::clone(&everyone),
    });
    set.set(server.handle()).expect("it is set once");
    let mut clients: Vec<Client> = (0..32).map(|_| server.client()).collect();
    // The answer leaves in the turn in which `open` is called: all have been noted.
    assert_eq!(count.lock().expect("no handler panics").len(), 32);
    for number in 0..32 {
        clients[number].write(text(format!("from {number}")));
        for client in &mut clients {
            client.expect(&Frame::text(format!("from {number}")));
        }
    }
}

#[test]
fn one_message_reaches_many() {
    let (server, events) = TestServer::echo(Config { workers: 2, ..config() });
    let mut clients = crowd(&server, &events, 40);
    let mut ids: Vec<ConnectionId> = clients.iter().map(|(_, id, _)| *id).collect();
    // The last one does not get it, and one that has gone disturbs nobody.
    let (mut last, _, _) = clients.pop().expect("there are forty");
    ids.pop();
    drop(clients.pop());
    let handle = server.handle();
    assert_eq!(handle.send_many(&ids, "to all but one"), Ok(()));
    assert_eq!(handle.send_many(&[], "to nobody"), Ok(()));
    assert_eq!(handle.send_many(&ids, &[1, 2, 3][..]), Ok(()));
    for (client, _, _) in &mut clients {
        client.expect(&Frame::text("to all but one"));
        client.expect(&Frame::binary([1, 2, 3]));
    }
    last.write(text("nothing came before"));
    last.expect(&Frame::text("nothing came before"));
    handle.stop_now();
    assert!(server.join().is_ok());
    let undelivered = handle.send_many(&ids, "nobody is there").expect_err("all have ended");
    assert_eq!((undelivered.connections.len(), undelivered.error), (39, HandleError::Stopped));
}

#[test]
fn a_stop_closes_everybody() {
    let (server, events) = TestServer::echo(Config { workers: 2, ..config() });
    let mut crowd = crowd(&server, &events, 8);
    let mut waiting = Client::connect(server.address());
    waiting.write("GET");
    server.has_read(8 * REQUEST.len() + 3);
    server.handle().stop();
    //= RFC 6455 7.4.1: 1001 indicates that an endpoint is "going away", such as a server going down
    for (client, _, _) in &mut crowd {
        let frame = client.read_frame().expect("a close frame");
        assert_eq!(frame.close_code(), Some(1001));
        client.write(close(1001, ""));
        assert_eq!(client.read_frame(), None);
    }
    assert_eq!(waiting.read_answer().status, 503);
    let ids: Vec<ConnectionId> = crowd.iter().map(|(_, id, _)| *id).collect();
    drop((crowd, waiting));
    let handle = server.handle();
    assert!(server.join().is_ok());
    assert_eq!(handle.send(ids[0], "nobody is there"), Err(HandleError::Stopped));
    let closes = events
        .try_iter()
        .filter(|event| *event == Event::Close { code: 1001, reason: String::new(), clean: true });
    assert_eq!(closes.count(), 8);
}

#[test]
fn a_stop_waits_for_nobody_for_ever() {
    let stop_timeout = Duration::from_millis(100);
    let (server, events) = TestServer::echo(Config { stop_timeout, ..config() });
    let mut mute = server.client();
    server.handle().stop();
    assert!(server.join().is_ok());
    mute.expect_close(Some(1001));
    let abnormal = Event::Close { code: 1006, reason: String::new(), clean: false };
    assert_eq!(ended(&events), [Event::Error(End::Stopped), abnormal]);
}

#[test]
fn a_stop_at_once() {
    let (server, _events) = TestServer::echo(config());
    let mut mute = server.client();
    server.handle().stop_now();
    assert!(server.join().is_ok());
    assert!(mute.read_frames().len() <= 1);
}

#[test]
fn a_peer_that_never_answers_a_close() {
    let close_timeout = Duration::from_millis(100);
    let (server, events) = TestServer::echo(Config { close_timeout, ..config() });
    let mut mute = server.client();
    let Ok(Event::Open(id, _)) = events.recv_timeout(PATIENCE) else { panic!("no opening") };
    assert_eq!(server.handle().close(id, 1000, "bye"), Ok(()));
    mute.expect_close(Some(1000));
    let error = events.recv_timeout(PATIENCE).expect("an event");
    assert_eq!(error, Event::Error(End::TimeOut(TimeOut::Close)));
}

#[test]
fn a_stop_closes_what_a_peer_has_half_closed() {
    for _ in 0..3 {
        let (server, _events) = TestServer::echo(config());
        let mut client = server.client();
        server.handle().stop();
        let frame = client.read_frame().expect("a close frame");
        assert_eq!(frame.close_code(), Some(1001));
        client.write(close(1001, ""));
        client.end();
        // The end comes, though the last thing that the server does is to close this socket.
        client.read_to_end();
        assert!(server.join().is_ok());
    }
}
