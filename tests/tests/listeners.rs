//! What a server may listen on: sockets that are given, paths, both families, and nothing at all.
//! Each on both drivers.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use ringwire::{
    Config, Connection, DriverChoice, DriverKind, Error, Handler, ListenAddress, Listener,
    ListenerFault, Message, Request, Server, Upgrade,
};
use ringwire_tests::{
    Client, Echo, Event, Frame, PATIENCE, REQUEST, TestServer, close, config, is_in_tokio_uring,
    text,
};

const BOTH: [DriverChoice; 2] = [DriverChoice::Uring, DriverChoice::Epoll];

/// A path that no other test uses.
fn path(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("ringwire-{}-{name}", std::process::id()));
    let _removed = fs::remove_file(&path);
    path
}

/// Echoes on what `server` listens on.
fn echo(server: Server) -> (TestServer, Receiver<Event>) {
    let (sender, events) = mpsc::channel();
    (TestServer::run(server, move |worker| Echo::new(worker, sender.clone())), events)
}

/// Opens a connection and has a message back.
fn assert_echoes(mut client: Client) -> Client {
    client.write(REQUEST);
    client.read_opening();
    client.write(text("there and back"));
    client.expect(&Frame::text("there and back"));
    client
}

/// Is told that the server stops.
#[track_caller]
fn assert_told(client: &mut Client) {
    let frame = client.read_frame().expect("a close frame");
    assert_eq!(frame.close_code(), Some(1001));
}

fn with(driver: DriverChoice, workers: usize) -> Config {
    Config { driver, workers, ..config() }
}

#[test]
fn all_workers_accept_from_one_that_is_given() {
    for driver in BOTH {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server::listen_on([listener.into()], with(driver, 4)).unwrap();
        assert_eq!(server.addresses(), [ListenAddress::Tcp(address)]);
        let expected =
            if driver == DriverChoice::Epoll { DriverKind::Epoll } else { DriverKind::Uring };
        assert_eq!((server.driver(), server.handle().probe().kind()), (expected, expected));
        let (server, events) = echo(server);
        let mut counts = [0; 4];
        let clients: Vec<Client> = (0..200).map(|_| server.client()).collect();
        for _ in &clients {
            match events.recv_timeout(PATIENCE).unwrap() {
                Event::Open(_, worker) => counts[worker] += 1,
                event => panic!("{event:?} is no opening"),
            }
        }
        // The ring takes them in turn. On epoll, and in another runtime's ring, all workers are
        // told, and who is first has the peer, which may well be the same one for a while.
        if driver == DriverChoice::Uring && !is_in_tokio_uring() {
            assert!(counts.iter().all(|count| (25..=100).contains(count)), "{counts:?}");
        }
        assert_eq!(counts.iter().sum::<usize>(), clients.len());
        drop(clients);
        server.handle().stop();
        assert!(server.join().is_ok());
        // The last worker has closed it.
        let refused = TcpStream::connect(address).map_err(|error| error.kind());
        assert_eq!(refused.map(|_| ()), Err(ErrorKind::ConnectionRefused));
    }
}

#[test]
fn a_shared_one_is_left_to_the_next_with_all_who_wait() {
    for driver in BOTH {
        let ours = TcpListener::bind("127.0.0.1:0").unwrap();
        let next = ours.try_clone().unwrap();
        let address = ours.local_addr().unwrap();
        let given = Listener::from(ours).shared();
        let (server, _events) = echo(Server::listen_on([given], with(driver, 1)).unwrap());
        let mut open = server.client();
        server.handle().stop();
        assert_told(&mut open);
        // It has let the listener go, and waits for the answer.
        let late = Client::connect(address);
        open.write(close(1001, ""));
        drop(open);
        assert!(server.join().is_ok());
        let (_server, _events) = echo(Server::listen_on([next.into()], with(driver, 1)).unwrap());
        assert_echoes(late);
    }
}

#[test]
fn several_are_spread_over_the_workers() {
    for driver in BOTH {
        let path = path(&format!("several-{driver:?}"));
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let unix = UnixListener::bind(&path).unwrap();
        let listeners = || [tcp.try_clone().unwrap().into(), unix.try_clone().unwrap().into()];
        let few = Server::listen_on(listeners(), with(driver, 1)).map(|_| ());
        assert!(matches!(few, Err(Error::Listeners { listeners: 2, workers: 1 })), "{few:?}");
        let server = Server::listen_on(listeners(), with(driver, 3)).unwrap();
        assert_eq!(server.address(), Some(tcp.local_addr().unwrap()));
        assert_eq!(server.addresses()[1], ListenAddress::Unix(Some(path.clone())));
        let (server, _events) = echo(server);
        for _ in 0..8 {
            assert_echoes(Client::connect(server.address()));
            assert_echoes(Client::connect_unix(&path));
        }
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn what_does_not_listen_is_an_error() {
    let fault = |listener: Listener| match Server::listen_on([listener], config()) {
        Err(Error::Listener { number: 0, name: None, fault }) => fault,
        other => panic!("{other:?}"),
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let connected = std::os::fd::OwnedFd::from(peer);
    assert!(matches!(fault(connected.into()), ListenerFault::NotListening));
    let pair = UnixStream::pair().unwrap().0;
    assert!(matches!(fault(std::os::fd::OwnedFd::from(pair).into()), ListenerFault::NotListening));
    let file = fs::File::open("/dev/null").unwrap();
    assert!(matches!(fault(std::os::fd::OwnedFd::from(file).into()), ListenerFault::NotASocket(_)));
}

/// Sends the address that it is asked from.
struct Where(mpsc::Sender<Option<SocketAddr>>);

impl Handler for Where {
    type State = ();

    fn upgrade(&mut self, request: &Request<'_>) -> Upgrade<()> {
        self.0.send(request.peer()).unwrap();
        Upgrade::accept()
    }

    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        connection.send(&message);
    }
}

#[test]
fn a_path_serves_peers_without_an_address() {
    for driver in BOTH {
        let path = path(&format!("path-{driver:?}"));
        let config =
            Config { unix_mode: Some(0o660), connections_address_max: Some(1), ..with(driver, 2) };
        let server = Server::bind_unix(&path, config.clone()).unwrap();
        assert_eq!(server.address(), None);
        assert_eq!(server.addresses(), [ListenAddress::Unix(Some(path.clone()))]);
        assert_eq!(server.addresses()[0].to_string(), format!("unix:{}", path.display()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        let taken = Server::bind_unix(&path, config).unwrap_err();
        assert!(matches!(&taken, Error::ListenUnix { path: told, source }
            if *told == path && source.kind() == ErrorKind::AddrInUse));
        assert!(taken.to_string().contains("Another server listens there"), "{taken}");
        let (sender, addresses) = mpsc::channel();
        let server = TestServer::run(server, move |_worker| Where(sender.clone()));
        // More than one address may have.
        let mut clients: Vec<Client> =
            (0..5).map(|_| assert_echoes(Client::connect_unix(&path))).collect();
        assert!(addresses.try_iter().eq([None; 5]));
        let stats = server.stats_when(|stats| stats.messages_received == 5);
        assert_eq!((stats.opened, stats.open()), (5, 5));
        server.handle().stop();
        for client in &mut clients {
            assert_told(client);
            client.write(close(1001, ""));
        }
        drop(clients);
        assert!(server.join().is_ok());
        assert!(!path.exists(), "it is removed at the end");
    }
}

#[test]
fn a_path_is_free_again_while_a_server_stops() {
    for driver in BOTH {
        let path = path(&format!("next-{driver:?}"));
        let (first, _events) = echo(Server::bind_unix(&path, with(driver, 2)).unwrap());
        let mut open = assert_echoes(Client::connect_unix(&path));
        first.handle().stop();
        assert_told(&mut open);
        // All workers have let it go by then.
        let begun = std::time::Instant::now();
        let next = loop {
            match Server::bind_unix(&path, with(driver, 2)) {
                Ok(server) => break server,
                Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let (_next, _events) = echo(next);
        open.write(close(1001, ""));
        drop(open);
        assert!(first.join().is_ok());
        // What the first removes at its end is not the second one's.
        assert_echoes(Client::connect_unix(&path));
    }
}

#[test]
fn both_families_or_one() {
    for driver in BOTH {
        let Ok(any) = Server::bind("[::]:0", with(driver, 2)) else { return };
        let (any, _events) = echo(any);
        let port = any.address().port();
        for address in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
            assert_echoes(Client::connect(SocketAddr::new(address, port)));
        }
        let (one, _events) = echo(Server::bind("[::1]:0", with(driver, 2)).unwrap());
        assert_echoes(Client::connect(one.address()));
        let other = SocketAddr::from((Ipv4Addr::LOCALHOST, one.address().port()));
        let refused = TcpStream::connect(other).map_err(|error| error.kind());
        assert_eq!(refused.map(|_| ()), Err(ErrorKind::ConnectionRefused));
    }
}

#[test]
fn who_listens_nowhere_runs_and_stops() {
    for driver in BOTH {
        let server = Server::listen_on([], with(driver, 2)).unwrap();
        assert_eq!((server.address(), server.addresses()), (None, &[][..]));
        let (server, _events) = echo(server);
        server.handle().stop();
        assert!(server.join().is_ok());
    }
}
