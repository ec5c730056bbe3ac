//! How many may come in, on real sockets: what is over is refused at the door, and peers that only
//! stand in it keep nobody out.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ringwire::{Config, Limit, TimeOut};
use ringwire_tests::{
    Client, End, Event, Frame, PATIENCE, REQUEST, TestServer, close, config, ended, text,
};
use socket2::{Domain, Socket, Type};

/// What a good client may wait while others besiege the server.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// A client from an address of the loopback's.
fn client_from(host: u8, server: SocketAddr) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("there are descriptors");
    let source = SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0));
    socket.bind(&source.into()).expect("all of 127/8 is this machine");
    socket.connect(&server.into()).expect("the server listens");
    Client::on(socket.into())
}

/// Checks that a client is refused before it has said anything.
#[track_caller]
fn assert_turned_away(mut client: Client) {
    let answer = client.read_answer();
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.header("retry-after"), Some("1"));
    client.read_to_end();
}

/// Checks that a client gets in, at the latest when those who have left are known to have.
#[track_caller]
fn assert_gets_in(connect: impl Fn() -> Client) -> Client {
    let begun = Instant::now();
    loop {
        let mut client = connect();
        client.write(REQUEST);
        if client.read_answer().status == 101 {
            check(&mut client);
            return client;
        }
        assert!(begun.elapsed() < PATIENCE, "no place comes free");
        thread::sleep(Duration::from_millis(5));
    }
}

fn check(client: &mut Client) {
    client.write(text("here"));
    client.expect(&Frame::text("here"));
}

#[test]
fn connections_of_one_address() {
    let config = Config { workers: 2, connections_address_max: Some(3), ..config() };
    let (server, _events) = TestServer::echo(config);
    let from = |host| client_from(host, server.address());
    let mut first: Vec<Client> = (0..3).map(|_| assert_gets_in(|| from(1))).collect();
    for _ in 0..10 {
        assert_turned_away(from(1));
    }
    // Others are none the worse.
    let mut other = assert_gets_in(|| from(2));
    first.iter_mut().for_each(check);
    first.pop();
    first.push(assert_gets_in(|| from(1)));
    first.iter_mut().for_each(check);
    check(&mut other);
    let limit = Limit::ConnectionsAddress;
    let stats = server.stats_when(|stats| stats.turned_away(limit) >= 10 && stats.opening() == 0);
    assert_eq!(stats.refused.total(), stats.turned_away(limit));
}

#[test]
fn an_address_that_connects_and_is_silent_is_limited_as_well() {
    let config = Config { connections_address_max: Some(2), ..config() };
    let (server, _events) = TestServer::echo(config);
    let silent = [client_from(3, server.address()), client_from(3, server.address())];
    // So that they have been accepted.
    check(&mut assert_gets_in(|| client_from(4, server.address())));
    assert_turned_away(client_from(3, server.address()));
    drop(silent);
    assert_gets_in(|| client_from(3, server.address()));
}

#[test]
fn connections_of_all_workers() {
    let config = Config { workers: 2, connections_server_max: Some(5), ..config() };
    let (server, _events) = TestServer::echo(config);
    let mut inside: Vec<Client> = (0..5).map(|_| server.client()).collect();
    for _ in 0..10 {
        assert_turned_away(Client::connect(server.address()));
    }
    server.stats_when(|stats| stats.turned_away(Limit::ConnectionsServer) == 10);
    let mut leaving = inside.remove(2);
    leaving.write(close(1000, ""));
    leaving.expect_close(Some(1000));
    drop(leaving);
    inside.push(assert_gets_in(|| Client::connect(server.address())));
    inside.iter_mut().for_each(check);
}

#[test]
fn a_place_comes_back_however_it_is_left() {
    let config = Config { workers: 2, connections_server_max: Some(1), ..config() };
    let (server, _events) = TestServer::echo(config);
    let ways: [fn(Client); 5] = [
        drop,
        |mut client| client.write([0xFF; 20]),
        |client| client.end(),
        |mut client| {
            client.write(close(1000, ""));
            client.expect_close(Some(1000));
        },
        |mut client| client.write(&text("half")[..4]),
    ];
    for leave in ways {
        for _ in 0..3 {
            leave(assert_gets_in(|| Client::connect(server.address())));
        }
    }
    // Nor does a refused request keep one.
    let mut page = Client::connect(server.address());
    page.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!([426, 503].contains(&page.read_answer().status));
    drop(page);
    assert_gets_in(|| Client::connect(server.address()));
}

#[test]
fn requests_of_a_second() {
    let rate = Config { handshake_rate: Some(1), handshake_burst: 5, ..config() };
    let (server, _events) = TestServer::echo(rate);
    let mut inside: Vec<Client> = (0..5).map(|_| server.client()).collect();
    // It is refused however right the request is, and before it is known whether it is.
    for request in [REQUEST, "GET no such thing\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let mut client = Client::connect(server.address());
        client.write(request);
        assert_turned_away(client);
    }
    inside.iter_mut().for_each(check);
    server.stats_when(|stats| stats.turned_away(Limit::HandshakeRate) == 3);
    assert_gets_in(|| Client::connect(server.address()));
}

#[test]
fn thousands_that_say_nothing_keep_nobody_out() {
    let siege = Config { handshakes_max: 256, ..config() };
    let (server, _events) = TestServer::echo(siege);
    let mut silent: Vec<TcpStream> = Vec::new();
    for _ in 0..4 {
        let connect = |_| TcpStream::connect(server.address()).expect("the server listens");
        silent.extend((0..1000).map(connect));
        let begun = Instant::now();
        let mut good = server.client();
        check(&mut good);
        assert!(begun.elapsed() < WAIT_MAX, "it took {:?}", begun.elapsed());
    }
    // The last good one is open, but that may not be published yet.
    let stats = server.stats_when(|stats| {
        let evicted = stats.turned_away(Limit::Handshakes);
        stats.accepted == 4004 && evicted + stats.opening() == silent.len() as u64
    });
    let evicted = stats.turned_away(Limit::Handshakes);
    assert!(stats.opening() <= 256, "{stats:?}");
    assert_eq!(evicted, stats.unanswered.total(), "who said nothing is told nothing");
}

#[test]
fn those_that_dribble_are_told_to_come_again() {
    let siege = Config { handshakes_max: 4, ..config() };
    let (server, _events) = TestServer::echo(siege);
    let mut first = Client::connect(server.address());
    first.write("GET / HTTP/1.1\r\nHo");
    // So that it has been read: what comes later on another connection is answered.
    check(&mut server.client());
    let others: Vec<Client> = (0..4).map(|_| Client::connect(server.address())).collect();
    assert_turned_away(first);
    check(&mut server.client());
    drop(others);
}

/// Opens a WebSocket. `None`: the machine was so slow to run this that its turn to give way had
/// come, as it does for whoever does not send a request in time.
fn try_to_open(address: SocketAddr) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(REQUEST.as_bytes()).ok()?;
    let mut status = [0; 12];
    stream.read_exact(&mut status).ok()?;
    (&status == b"HTTP/1.1 101").then_some(stream)
}

/// Sockets that one besieger holds at a time.
const HELD: usize = 200;

#[test]
fn a_flood_of_handshakes_that_never_end_keeps_nobody_out() {
    let siege = Config { workers: 2, handshakes_max: 512, ..config() };
    let (server, _events) = TestServer::echo(siege);
    let (address, over) = (server.address(), Arc::new(AtomicBool::new(false)));
    let connected = Arc::new(AtomicUsize::new(0));
    let besieger = |dribbles: bool| {
        let (over, connected) = (Arc::clone(&over), Arc::clone(&connected));
        thread::spawn(move || {
            let mut held = std::collections::VecDeque::new();
            while !over.load(Ordering::Relaxed) {
                let Ok(mut stream) = TcpStream::connect(address) else { continue };
                connected.fetch_add(1, Ordering::Relaxed);
                if dribbles {
                    // The server may have ended it already.
                    let _taken = stream.write_all(b"GET / HTTP/1.1\r\n");
                }
                held.push_back(stream);
                if held.len() > HELD {
                    held.pop_front();
                }
            }
        })
    };
    let besiegers = [besieger(false), besieger(true)];
    let (mut worst, mut tries) = (Duration::ZERO, 0);
    for _ in 0..50 {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            tries += 1;
            if try_to_open(address).is_some() {
                break;
            }
        }
        worst = worst.max(begun.elapsed());
        thread::sleep(Duration::from_millis(5));
    }
    over.store(true, Ordering::Relaxed);
    for besieger in besiegers {
        besieger.join().expect("a besieger does not panic");
    }
    let connected = connected.load(Ordering::Relaxed);
    eprintln!("{connected} besieging connections; 50 good clients in {tries} tries, {worst:?}");
    assert!(worst < WAIT_MAX, "it took {worst:?}");
    assert!(connected > 100, "that was no siege");
}

#[test]
fn a_message_that_stops_half_way() {
    let message_timeout = Some(Duration::from_millis(200));
    let (server, events) = TestServer::echo(Config { message_timeout, ..config() });
    let mut client = server.client();
    check(&mut client);
    let begun = Instant::now();
    client.write(&text("never whole")[..9]);
    client.expect_close(Some(1008));
    assert!(begun.elapsed() >= Duration::from_millis(200));
    let error = ended(&events).into_iter().find(|event| matches!(event, Event::Error(_)));
    assert_eq!(error, Some(Event::Error(End::TimeOut(TimeOut::Message))));
}

#[test]
fn a_reader_that_takes_a_trickle() {
    let config = Config {
        send_timeout: Duration::from_millis(500),
        outbox_age_max: Some(Duration::from_millis(500)),
        ..config()
    };
    let (server, events) = TestServer::echo(config);
    let mut stream = TcpStream::connect(server.address()).expect("the server listens");
    stream.write_all(REQUEST.as_bytes()).expect("the server reads");
    let message = ringwire_tests::binary(vec![7; 8 << 20]);
    let begun = Instant::now();
    stream.write_all(&message).expect("the server reads");
    stream.set_read_timeout(Some(PATIENCE)).expect("the socket takes options");
    // Some of it all the time, so that the kernel takes more, but never the whole in time.
    let ended = loop {
        match stream.read(&mut [0; 100_000]) {
            Ok(0) => break "ended",
            Ok(_) => thread::sleep(Duration::from_millis(20)),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break "reset",
            Err(error) => panic!("{error}"),
        }
        assert!(begun.elapsed() < PATIENCE, "it is served for ever");
    };
    assert!(begun.elapsed() >= Duration::from_millis(500), "{ended} at once");
    let error =
        ringwire_tests::ended(&events).into_iter().find(|event| matches!(event, Event::Error(_)));
    assert_eq!(error, Some(Event::Error(End::TimeOut(TimeOut::Outbox))));
}

#[test]
fn a_life_that_has_lasted_long_enough() {
    let lifetime_max = Some(Duration::from_millis(500));
    let config = Config { lifetime_max, lifetime_jitter_percent: 50, ..config() };
    let (server, events) = TestServer::echo(config);
    let begun = Instant::now();
    let mut client = server.client();
    check(&mut client);
    let frame = client.read_frame().expect("a close frame");
    assert_eq!(frame.close_code(), Some(1001));
    let lived = begun.elapsed();
    assert!(lived >= Duration::from_millis(250) && lived < PATIENCE, "{lived:?}");
    client.write(close(1001, ""));
    assert_eq!(client.read_frame(), None);
    let end = ended(&events).pop();
    assert_eq!(end, Some(Event::Close { code: 1001, reason: String::new(), clean: true }));
}
