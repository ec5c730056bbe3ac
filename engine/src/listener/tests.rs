//! What may listen, what is inherited, and whose a path is.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;
use std::{env, process};

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_getfd, fcntl_setfd};
use socket2::{Domain, Socket, Type};

use super::*;

const NOTHING: Inherited = Inherited { unsent_max: None, busy_poll: None };

/// A path that nobody else uses.
fn path(name: &str) -> PathBuf {
    let path = env::temp_dir().join(format!("ringwire-{}-{name}", process::id()));
    let _removed = fs::remove_file(&path);
    path
}

fn tcp() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

#[test]
fn only_listening_streams_are_listeners() {
    let fault = |socket: OwnedFd| check(&socket).unwrap_err();
    let file = File::open("/dev/null").unwrap();
    assert!(matches!(fault(file.into()), ListenerFault::NotASocket(_)));
    let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
    assert!(matches!(fault(datagrams.into()), ListenerFault::NotAStream));
    let bound = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    assert!(matches!(fault(bound.into()), ListenerFault::NotListening));
    let listener = tcp();
    let address = listener.local_addr().unwrap();
    let connected = TcpStream::connect(address).unwrap();
    assert!(matches!(fault(connected.into()), ListenerFault::NotListening));
    let other = Socket::new(Domain::from(vsock()), Type::STREAM, None);
    if let Ok(other) = other
        && other.listen(1).is_ok()
    {
        assert!(matches!(fault(other.into()), ListenerFault::Family));
    }
    assert_eq!(check(&listener.into()).unwrap(), ListenAddress::Tcp(address));
    let path = path("check");
    let named = UnixListener::bind(&path).unwrap();
    assert_eq!(check(&named.into()).unwrap(), ListenAddress::Unix(Some(path.clone())));
    fs::remove_file(path).unwrap();
}

/// `AF_VSOCK` of socket(2): a family that listens, and that is none of ours.
const fn vsock() -> i32 {
    40
}

#[test]
fn what_is_given_has_the_options_of_what_is_bound() {
    let listener = tcp();
    let address = listener.local_addr().unwrap();
    let inherited = Inherited { unsent_max: Some(70_000), ..NOTHING };
    let listeners = Listeners::given(vec![listener.into()], 1, inherited).unwrap();
    assert_eq!(listeners.addresses, [ListenAddress::Tcp(address)]);
    let _client = TcpStream::connect(address).unwrap();
    let listening = listeners.listening[0].as_ref().unwrap();
    let accepted = rustix::net::accept(listening).unwrap();
    let accepted = SockRef::from(&accepted);
    assert_eq!(accepted.tcp_notsent_lowat().unwrap(), 70_000);
    assert!(accepted.tcp_nodelay().unwrap());
}

#[test]
fn workers_share_what_was_given_in_turn() {
    let given = |workers| {
        let path = path(&format!("turn-{workers}"));
        let unix = UnixListener::bind(&path).unwrap();
        fs::remove_file(path).unwrap();
        let listeners = vec![tcp().into(), Listener::from(unix).shared()];
        Listeners::given(listeners, workers, NOTHING).unwrap()
    };
    let numbers = |listeners: &Listeners| -> Vec<RawFd> {
        let listening = listeners.listening.iter().flatten();
        listening.map(|listening| listening.as_fd().as_raw_fd()).collect()
    };
    let two = numbers(&given(2));
    assert_ne!(two[0], two[1]);
    let listeners = given(5);
    let five = numbers(&listeners);
    assert_eq!(five, [five[0], five[1], five[0], five[1], five[0]]);
    assert_eq!(listeners.addresses.len(), 2);
    let nobody = Listeners::given(Vec::new(), 3, NOTHING).unwrap();
    assert_eq!((nobody.addresses.len(), nobody.listening.len()), (0, 3));
    assert!(nobody.listening.iter().all(Option::is_none));
}

/// What an environment says.
fn environment(
    variables: &'static [(&'static str, &'static str)],
) -> impl Fn(&str) -> Option<OsString> {
    move |name| {
        let found = variables.iter().find(|(other, _)| *other == name);
        found.map(|(_, value)| value.into())
    }
}

#[test]
fn what_is_said_about_inherited_sockets_is_taken_at_its_word() {
    let refused = |variables| {
        let error = inherited::take(environment(variables), 77, 1000).unwrap_err();
        format!("{error:?}")
    };
    assert_eq!(refused(&[]), r#"Absent { variable: "LISTEN_PID" }"#);
    assert_eq!(refused(&[("LISTEN_PID", "77")]), r#"Absent { variable: "LISTEN_FDS" }"#);
    assert_eq!(refused(&[("LISTEN_PID", "78"), ("LISTEN_FDS", "1")]), r#"Process { value: "78" }"#);
    for variables in [
        &[("LISTEN_PID", ""), ("LISTEN_FDS", "1")],
        &[("LISTEN_PID", "+77"), ("LISTEN_FDS", "1")],
        &[("LISTEN_PID", "77 "), ("LISTEN_FDS", "1")],
    ] {
        assert!(refused(variables).starts_with("Process"), "{variables:?}");
    }
    for variables in [
        &[("LISTEN_PID", "77"), ("LISTEN_FDS", "0")],
        &[("LISTEN_PID", "77"), ("LISTEN_FDS", "257")],
        &[("LISTEN_PID", "77"), ("LISTEN_FDS", "-1")],
        &[("LISTEN_PID", "77"), ("LISTEN_FDS", "")],
        &[("LISTEN_PID", "77"), ("LISTEN_FDS", "99999999999999999999999")],
    ] {
        assert!(refused(variables).starts_with("Count"), "{variables:?}");
    }
    let names = &[("LISTEN_PID", "77"), ("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", "a:b:c")];
    assert_eq!(refused(names), "Names { names: 3, sockets: 2 }");
    let closed = refused(&[("LISTEN_PID", "77"), ("LISTEN_FDS", "1")]);
    assert!(closed.starts_with("Descriptor { number: 1000, fault: NotASocket(Os { code: 2,"));
}

/// Above all that the other tests open.
const FREE: RawFd = 600;

#[test]
fn inherited_sockets_are_duplicates_by_their_names() {
    let two = environment(&[("LISTEN_PID", "7"), ("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", "a:b")]);
    let (first, other) = (tcp(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let passed = fcntl_dupfd_cloexec(&first, FREE).unwrap();
    fcntl_setfd(&passed, FdFlags::empty()).unwrap();
    assert_eq!(passed.as_raw_fd(), FREE);
    let one = environment(&[("LISTEN_PID", "7"), ("LISTEN_FDS", "1")]);
    for _ in 0..2 {
        let listeners = inherited::take(&one, 7, FREE).unwrap();
        assert_eq!((listeners.len(), listeners[0].name()), (1, None));
        assert_ne!(listeners[0].socket.as_raw_fd(), FREE);
        assert!(listeners[0].is_shared);
        assert!(fcntl_getfd(&listeners[0].socket).unwrap().contains(FdFlags::CLOEXEC));
    }
    assert!(fcntl_getfd(&passed).unwrap().contains(FdFlags::CLOEXEC));
    let wrong = fcntl_dupfd_cloexec(&other, FREE + 1).unwrap();
    assert_eq!(wrong.as_raw_fd(), FREE + 1);
    let error = inherited::take(&two, 7, FREE).unwrap_err().to_string();
    let line = "no socket can be inherited: descriptor 601 is not that of a stream (SOCK_STREAM)";
    assert_eq!(error, line);
    drop(wrong);
    let _second = fcntl_dupfd_cloexec(tcp(), FREE + 1).unwrap();
    let names: Vec<_> = inherited::take(&two, 7, FREE).unwrap();
    let names: Vec<_> = names.iter().map(Listener::name).collect();
    assert_eq!(names, [Some("a"), Some("b")]);
}

#[test]
fn a_path_is_taken_from_the_dead_alone() {
    let path = path("dead");
    let bind = || file::bind(&path, 16, Some(0o620));
    let taken = || bind().map(|_| ()).map_err(|error| error.kind());
    let (socket, file) = bind().unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o620);
    UnixStream::connect(&path).unwrap();
    assert_eq!(taken(), Err(ErrorKind::AddrInUse), "somebody listens");
    // As a server that is killed leaves it.
    drop(socket);
    let (next, second) = bind().unwrap();
    // The name is another's now.
    drop(file);
    UnixStream::connect(&path).unwrap();
    drop((next, second));
    assert!(!path.exists());
    // Nothing but a socket is ever removed, and only one on which nobody listens.
    fs::write(&path, "precious").unwrap();
    assert_eq!(taken(), Err(ErrorKind::AddrInUse));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    fs::remove_file(&path).unwrap();
    let datagrams = UnixDatagram::bind(&path).unwrap();
    assert_eq!(taken(), Err(ErrorKind::AddrInUse));
    drop(datagrams);
    fs::remove_file(&path).unwrap();
}

#[test]
fn a_full_backlog_is_not_a_dead_server() {
    let path = path("full");
    let (_socket, _file) = file::bind(&path, 1, None).unwrap();
    let connect = || {
        let client = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None).unwrap();
        client.connect(&socket2::SockAddr::unix(&path).unwrap()).map(|()| client)
    };
    let mut waiting = Vec::new();
    let full = loop {
        match connect() {
            Ok(client) => waiting.push(client),
            Err(error) => break error.kind(),
        }
    };
    assert_eq!(full, ErrorKind::WouldBlock);
    let taken = file::bind(&path, 1, None).map(|_| ()).map_err(|error| error.kind());
    assert_eq!(taken, Err(ErrorKind::AddrInUse));
}
