//! What a server does when there are no descriptors left. It is a program of its own, because the
//! limit is the process's.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use ringwire::{Config, Limit};
use ringwire_tests::{Client, Frame, REQUEST, TestServer, config, text};
use rustix::process::{Resource, Rlimit, setrlimit};
use socket2::{Domain, Socket, Type};

/// Descriptors of the process, for the server and its clients together.
const LIMIT: u64 = 300;

/// A socket that has its descriptor before there are none left.
fn socket() -> Socket {
    Socket::new(Domain::IPV4, Type::STREAM, None).expect("there are descriptors")
}

fn connect(socket: Socket, address: SocketAddr) -> Client {
    socket.connect(&address.into()).expect("the server listens");
    let mut client = Client::on(socket.into());
    client.write(REQUEST);
    client
}

#[test]
fn handshakes_give_way_and_connections_stay() {
    let limit = Rlimit { current: Some(LIMIT), maximum: Some(LIMIT) };
    setrlimit(Resource::Nofile, limit).expect("a limit may be lowered");
    let (server, _events) = TestServer::echo(Config { handshakes_max: 4096, ..config() });
    let mut early = server.client();
    let good: Vec<Socket> = (0..10).map(|_| socket()).collect();
    // Handshakes that never end take a third of what there is, others take the rest.
    let silent: Vec<TcpStream> = (0..100)
        .map(|_| TcpStream::connect(server.address()).expect("there are descriptors"))
        .collect();
    server.stats_when(|stats| stats.accepted == 101);
    early.write(text("still here"));
    early.expect(&Frame::text("still here"));
    let mut rest: Vec<File> = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        rest.push(file);
    }
    assert!(!rest.is_empty(), "there was nothing left to take");
    for socket in good {
        let begun = Instant::now();
        let mut client = connect(socket, server.address());
        client.read_opening();
        assert!(begun.elapsed() < Duration::from_secs(1), "it took {:?}", begun.elapsed());
        // What was given up must not be there for the next one.
        while let Ok(file) = File::open("/dev/null") {
            rest.push(file);
        }
        client.write(text("in"));
        client.expect(&Frame::text("in"));
        std::mem::forget(client);
    }
    let stats = server.stats_when(|stats| stats.opened == 11);
    let evicted = stats.turned_away(Limit::Handshakes);
    assert!(evicted > 0 && stats.accept_pauses > 0, "{stats:?}");
    assert_eq!((stats.refused.total(), stats.unanswered.total()), (0, evicted));
    assert_eq!(stats.opening() + evicted, silent.len() as u64);
    early.write(text("and here"));
    early.expect(&Frame::text("and here"));
    drop(rest);
}
