//! Sockets that another server hands over: at whatever byte it stops reading, nothing is lost,
//! doubled or reordered; and who cannot be taken is told, or given back.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::any::Any;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;

use ringwire::{
    Adoption, Compression, Config, Connection, DeflateAgreed, Handle, Handler, HandshakeLimits,
    Limit, Limits, Message, NotAdopted, Server,
};
use ringwire_tests::{
    BINARY, CLOSE, Client, Event, FIN, Frame, PONG, REQUEST, TestServer, binary, close, config,
    ended, frame, ping, text,
};

/// A client and the socket of a server that has accepted it.
fn pair() -> (Client, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Client::connect(listener.local_addr().unwrap());
    let (socket, _) = listener.accept().unwrap();
    (client, socket)
}

/// Hands a socket over that has been upgraded.
fn adopt(handle: &Handle, leftover: &[u8]) -> Client {
    let (client, socket) = pair();
    handle.adopt(Adoption::upgraded(socket).leftover(leftover)).unwrap();
    client
}

/// Frames of all kinds, and what an echo makes of them.
fn frames() -> (Vec<u8>, Vec<Frame>) {
    let mut sent = Vec::new();
    let mut expected = Vec::new();
    let mut push = |frame: Vec<u8>, first: u8, payload: &[u8]| {
        sent.extend_from_slice(&frame);
        expected.push(Frame { first, payload: payload.to_vec() });
    };
    push(text("one"), FIN | 1, b"one");
    push(ping(b"are you there"), FIN | PONG, b"are you there");
    push(binary([7; 130]), FIN | BINARY, &[7; 130]);
    push([frame(1, b"fra"), frame(FIN, b"gments")].concat(), FIN | 1, b"fragments");
    push(text(""), FIN | 1, b"");
    push(text("the last"), FIN | 1, b"the last");
    (sent, expected)
}

fn finish(mut client: Client) {
    client.write(close(1000, ""));
    client.expect_close(Some(1000));
}

#[test]
fn nothing_is_lost_wherever_the_host_stops_reading() {
    let (server, _events) = TestServer::echo(config());
    let (sent, expected) = frames();
    for split in 0..=sent.len() {
        let (read, rest) = sent.split_at(split);
        let (mut client, socket) = pair();
        // Hosts have theirs either way.
        socket.set_nonblocking(split % 2 == 0).unwrap();
        client.write(rest);
        server.handle().adopt(Adoption::upgraded(socket).leftover(read)).unwrap();
        for frame in &expected {
            client.expect(frame);
        }
        finish(client);
    }
    let count = sent.len() as u64 + 1;
    let stats = server.stats_when(|stats| stats.ended.total() == count);
    assert_eq!((stats.accepted, stats.adopted, stats.opened), (count, count, count));
    assert_eq!((stats.opening(), stats.open()), (0, 0));
}

#[test]
fn a_handshake_goes_on_wherever_the_host_stops_reading() {
    let (server, _events) = TestServer::echo(config());
    let (frames, expected) = frames();
    let sent = [REQUEST.as_bytes(), &frames].concat();
    for split in 0..=sent.len() {
        let (read, rest) = sent.split_at(split);
        let (mut client, socket) = pair();
        socket.set_nonblocking(split % 2 == 1).unwrap();
        server.handle().adopt(Adoption::accepted(socket).leftover(read)).unwrap();
        client.write(rest);
        client.read_opening();
        for frame in &expected {
            client.expect(frame);
        }
        finish(client);
    }
    let count = sent.len() as u64 + 1;
    let stats = server.stats_when(|stats| stats.ended.total() == count);
    assert_eq!((stats.accepted, stats.adopted, stats.opened), (count, count, count));
}

#[test]
fn requests_that_are_refused_are_answered_here_as_well() {
    let (server, _events) = TestServer::echo(config());
    let cases: [(&[u8], u16); 3] = [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 426),
        (b"nonsense\r\n\r\n", 400),
        (&[b'a'; 100_000], 414),
    ];
    for (request, status) in cases {
        let (mut client, socket) = pair();
        server.handle().adopt(Adoption::accepted(socket).leftover(request)).unwrap();
        assert_eq!(client.read_answer().status, status, "{}", request.len());
    }
    let stats = server.stats_when(|stats| stats.refused.total() == 3);
    assert_eq!((stats.adopted, stats.opening(), stats.opened), (3, 0, 0));
}

#[test]
fn more_than_a_share_of_a_turn_is_read_in_later_ones() {
    let small = Config { turn_size_max: 256, ..config() };
    let (server, _events) = TestServer::echo(small);
    let numbers = 0..5000_u32;
    let sent: Vec<u8> = numbers.clone().flat_map(|it| binary(it.to_be_bytes())).collect();
    for (split, is_upgraded) in [(sent.len(), true), (sent.len() - 3, true), (40_001, false)] {
        let (read, rest) = sent.split_at(split);
        let (mut client, socket) = pair();
        client.write(rest);
        let adoption = match is_upgraded {
            true => Adoption::upgraded(socket).leftover(read),
            false => Adoption::accepted(socket).leftover([REQUEST.as_bytes(), read].concat()),
        };
        server.handle().adopt(adoption).unwrap();
        if !is_upgraded {
            client.read_opening();
        }
        for number in numbers.clone() {
            let payload = number.to_be_bytes().to_vec();
            client.expect(&Frame { first: FIN | BINARY, payload });
        }
        finish(client);
    }
}

#[test]
fn a_large_frame_that_has_begun_goes_on() {
    let (server, _events) = TestServer::echo(config());
    let payload: Vec<u8> = (0..2_000_000_u32).map(|index| index.to_be_bytes()[3]).collect();
    let sent = binary(&payload);
    for split in [1, 13, 14, 15, 5000, 1_000_001] {
        let (read, rest) = sent.split_at(split);
        let mut client = adopt(&server.handle(), read);
        let mut writer = client.share();
        std::thread::scope(|scope| {
            scope.spawn(|| writer.write(rest));
            client.expect(&Frame { first: FIN | BINARY, payload: payload.clone() });
        });
        finish(client);
    }
}

#[test]
fn a_violation_that_the_host_has_read_is_answered() {
    let limits = Limits { message_size_max: 1000, frame_size_max: 1000, ..Limits::default() };
    let (server, events) = TestServer::echo(Config { limits, ..config() });
    let unmasked = [&text("good")[..], b"\x81\x01a", &text("after")].concat();
    let too_large = [text("good"), binary([0; 1001])].concat();
    for (leftover, code) in [(unmasked, 1002), (too_large, 1009)] {
        let mut client = adopt(&server.handle(), &leftover);
        client.expect(&Frame { first: FIN | 1, payload: b"good".to_vec() });
        client.expect_close(Some(code));
        let seen = ended(&events);
        assert!(matches!(seen[0], Event::Message(_)) && seen.len() == 3, "{seen:?}");
    }
}

#[test]
fn who_finds_no_place_is_told_so_and_counted() {
    let full = Config { connections_max: 1, ..config() };
    let (server, events) = TestServer::echo(full);
    let mut first = adopt(&server.handle(), &text("in"));
    first.expect(&Frame { first: FIN | 1, payload: b"in".to_vec() });
    // What it has sent is not read, and nothing is reset over the close frame.
    let (mut upgraded, socket) = pair();
    upgraded.write(text("unread"));
    server.handle().adopt(Adoption::upgraded(socket).leftover(text("nor this"))).unwrap();
    let frame = upgraded.read_frame().unwrap();
    assert_eq!((frame.first, frame.close_code()), (FIN | CLOSE, Some(1013)));
    upgraded.end();
    assert_eq!(upgraded.read_frame(), None);
    let (mut accepted, socket) = pair();
    server.handle().adopt(Adoption::accepted(socket).leftover(REQUEST)).unwrap();
    assert_eq!(accepted.read_answer().status, 503);
    let stats = server.stats_when(|stats| stats.turned_away(Limit::Connections) == 2);
    assert_eq!(stats.refused.count_limit(Limit::Connections), 1);
    assert_eq!((stats.accepted, stats.adopted, stats.opened, stats.opening()), (3, 3, 1, 0));
    finish(first);
    let seen = ended(&events);
    assert!(matches!(seen[..], [Event::Message(_), Event::Close { .. }]), "{seen:?}");
    // The place is free again, a moment after the end.
    let is_in = || {
        let mut next = adopt(&server.handle(), &text("in"));
        next.read_frame().unwrap().first == FIN | 1
    };
    assert!((0..1000).any(|_| is_in()), "a place has been lost");
}

#[test]
fn the_limit_of_an_address_holds_for_it_too() {
    let config = Config { connections_address_max: Some(2), ..config() };
    let (server, _events) = TestServer::echo(config);
    let mut clients = [adopt(&server.handle(), &text("in")), adopt(&server.handle(), &text("in"))];
    for client in &mut clients {
        client.expect(&Frame { first: FIN | 1, payload: b"in".to_vec() });
    }
    let mut third = adopt(&server.handle(), b"");
    assert_eq!(third.read_frame().unwrap().close_code(), Some(1013));
    let stats = server.stats_when(|stats| stats.turned_away(Limit::ConnectionsAddress) == 1);
    assert_eq!(stats.accepted, 3);
}

#[test]
fn a_server_that_stops_says_so_and_one_that_has_gives_it_back() {
    let (server, _events) = TestServer::echo(config());
    let mut stays = server.client();
    let handle = server.handle();
    handle.stop();
    // Its close frame has come, and the server waits for the answer.
    assert_eq!(stays.read_frame().unwrap().close_code(), Some(1001));
    let mut upgraded = adopt(&handle, &text("unread"));
    assert_eq!(upgraded.read_frame().unwrap().close_code(), Some(1001));
    let (mut accepted, socket) = pair();
    handle.adopt(Adoption::accepted(socket).leftover(REQUEST)).unwrap();
    assert_eq!(accepted.read_answer().status, 503);
    drop((upgraded, accepted));
    stays.write(close(1001, ""));
    assert_eq!(stays.read_frame(), None);
    drop(stays);
    assert!(server.join().is_ok());
    let stats = handle.stats();
    assert_eq!((stats.accepted, stats.adopted), (3, 2));
    assert_eq!(stats.unanswered.count(("stopped", "")), 1);
    let (mut client, socket) = pair();
    client.write("unread");
    let error = handle.adopt(Adoption::upgraded(socket).leftover(*b"read")).unwrap_err();
    assert!(matches!(error.reason, NotAdopted::Stopped), "{error}");
    gives_back(error.adoption, client, b"read", b"unread");
}

/// The socket and all bytes have come back, and the client has not noticed.
fn gives_back(adoption: Adoption, mut client: Client, read: &[u8], unread: &[u8]) {
    let (socket, leftover) = adoption.into_parts();
    assert_eq!(leftover, read);
    let mut stream = TcpStream::from(socket);
    let mut bytes = vec![0; unread.len()];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes, unread);
    stream.write_all(b"still here").unwrap();
    assert_eq!(client.take(10), b"still here");
}

#[test]
fn a_full_mailbox_gives_it_back() {
    let config = Config { mailbox_size: 1, workers: 2, ..config() };
    // Nobody reads the mail of a server that does not run.
    let server = Server::bind("127.0.0.1:0", config).unwrap();
    let handle = server.handle();
    let taken: Vec<Client> = (0..2).map(|_| adopt(&handle, b"")).collect();
    let (mut client, socket) = pair();
    client.write("unread");
    let error = handle.adopt(Adoption::upgraded(socket).leftover(*b"read")).unwrap_err();
    assert!(matches!(error.reason, NotAdopted::Full), "{error}");
    let error = handle.adopt(error.adoption.worker(1)).unwrap_err();
    assert!(matches!(error.reason, NotAdopted::Full), "{error}");
    let error = handle.adopt(error.adoption.worker(2)).unwrap_err();
    assert!(matches!(error.reason, NotAdopted::NoSuchWorker), "{error}");
    gives_back(error.adoption, client, b"read", b"unread");
    drop(taken);
}

#[test]
fn a_leftover_beyond_all_bounds_gives_it_back() {
    let handshake = HandshakeLimits { head_size_max: 200, ..HandshakeLimits::default() };
    let config = Config { buffers: 4, buffer_size: 75, handshake, ..config() };
    let (server, _events) = TestServer::echo(config);
    let (mut client, socket) = pair();
    let error = server.handle().adopt(Adoption::upgraded(socket).leftover([0; 801])).unwrap_err();
    assert!(matches!(error.reason, NotAdopted::TooLarge), "{error}");
    // As much as it may be, in a vector that is much larger.
    let mut leftover = Vec::with_capacity(1 << 20);
    leftover.extend_from_slice(&binary([5; 792]));
    assert_eq!(leftover.len(), 800);
    server.handle().adopt(error.adoption.leftover(leftover)).unwrap();
    client.expect(&Frame { first: FIN | BINARY, payload: vec![5; 792] });
}

#[test]
fn what_is_no_connected_stream_is_given_back() {
    let (server, _events) = TestServer::echo(config());
    let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
    datagrams.connect("127.0.0.1:9").unwrap();
    let descriptors: [OwnedFd; 3] = [
        std::fs::File::open("/dev/null").unwrap().into(),
        datagrams.into(),
        TcpListener::bind("127.0.0.1:0").unwrap().into(),
    ];
    for descriptor in descriptors {
        let error = server.handle().adopt(Adoption::accepted(descriptor)).unwrap_err();
        assert!(matches!(error.reason, NotAdopted::Socket(_)), "{error}");
    }
    assert_eq!(server.handle().stats().adopted, 0);
}

#[test]
fn workers_share_what_comes_at_once() {
    const COUNT: usize = 400;
    const WORKERS: usize = 4;
    let (server, events) = TestServer::echo(Config { workers: WORKERS, ..config() });
    let handle = server.handle();
    let sockets: Vec<_> = (0..COUNT).map(|_| UnixStream::pair().unwrap()).collect();
    let (mut ours, theirs): (Vec<_>, Vec<_>) = sockets.into_iter().unzip();
    std::thread::scope(|scope| {
        let mut rest = theirs;
        while !rest.is_empty() {
            let some = rest.split_off(rest.len() - COUNT / 2);
            let handle = handle.clone();
            scope.spawn(move || {
                for socket in some {
                    handle.adopt(Adoption::upgraded(socket)).unwrap();
                }
            });
        }
    });
    let mut counts = [0; WORKERS];
    for _ in 0..COUNT {
        let Event::Open(_, worker) = events.recv().unwrap() else { panic!("only openings") };
        counts[worker] += 1;
    }
    // Two threads may choose the same at the same moment.
    let even = COUNT / WORKERS;
    assert!(counts.iter().all(|count| (even - 5..=even + 5).contains(count)), "{counts:?}");
    // Also where somebody has chosen.
    let (mut client, socket) = UnixStream::pair().unwrap();
    handle.adopt(Adoption::upgraded(socket).worker(3)).unwrap();
    assert!(matches!(events.recv().unwrap(), Event::Open(_, 3)));
    client.write_all(&text("over a Unix socket")).unwrap();
    let mut echo = [0; 20];
    client.read_exact(&mut echo).unwrap();
    assert_eq!(&echo[2..], b"over a Unix socket");
    ours.clear();
}

/// Tells the state that it was given, and takes what it gets in chunks.
struct Teller {
    told: mpsc::Sender<(String, bool)>,
}

impl Handler for Teller {
    type State = String;

    fn adopt(&mut self, state: Box<dyn Any + Send>) -> String {
        match state.downcast::<u32>() {
            Ok(number) => format!("number {number}"),
            Err(state) => state.downcast().map_or_else(|_| "nothing".to_owned(), |text| *text),
        }
    }

    fn message(&mut self, connection: &mut Connection<'_, String>, _: Message<'_>) {
        self.told.send((connection.state().clone(), false)).unwrap();
    }

    fn chunk(&mut self, connection: &mut Connection<'_, String>, _: ringwire::Chunk<'_>) {
        self.told.send((connection.state().clone(), true)).unwrap();
    }
}

#[test]
fn the_state_comes_with_it() {
    let (told, heard) = mpsc::channel();
    let server = TestServer::start(config(), move |_| Teller { told: told.clone() });
    let next = || heard.recv_timeout(ringwire_tests::PATIENCE).unwrap();
    let hello = text("hello");
    let with = |adoption: Adoption| {
        server.handle().adopt(adoption).unwrap();
        next()
    };
    let upgraded = || {
        let (client, socket) = pair();
        (client, Adoption::upgraded(socket).leftover(hello.clone()))
    };
    let (_a, adoption) = upgraded();
    assert_eq!(with(adoption.state(7_u32)), ("number 7".to_owned(), false));
    let (_b, adoption) = upgraded();
    let adoption = adoption.state("ann".to_owned()).streaming(true);
    assert_eq!(with(adoption), ("ann".to_owned(), true));
    let (_c, adoption) = upgraded();
    assert_eq!(with(adoption), (String::new(), false));
    let (_d, socket) = pair();
    let adoption = Adoption::accepted(socket).leftover([REQUEST.as_bytes(), &hello].concat());
    assert_eq!(with(adoption.state(8_u32)), ("number 8".to_owned(), false));
}

#[test]
fn what_was_agreed_on_holds() {
    let (server, _events) = TestServer::echo(config());
    let agreed = DeflateAgreed {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        server_max_window_bits: None,
        client_max_window_bits: None,
    };
    let (mut client, socket) = UnixStream::pair().unwrap();
    // RFC 7692 7.2.3.1: "Hello", compressed; and in a window of its own again.
    let hello = frame(FIN | 0x40 | 1, b"\xf2\x48\xcd\xc9\xc9\x07\x00");
    let adoption = Adoption::upgraded(socket).compression(agreed, Compression::shared());
    server.handle().adopt(adoption.leftover(hello.repeat(2))).unwrap();
    let mut echoes = [0; 14];
    client.read_exact(&mut echoes).unwrap();
    assert_eq!(echoes, *b"\x81\x05Hello\x81\x05Hello");
    // Where nothing was agreed on the bit means nothing.
    let mut other = adopt(&server.handle(), &hello);
    other.expect_close(Some(1002));
}
