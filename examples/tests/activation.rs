//! The echo server on sockets that it is started with, as systemd passes them on.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};

use program::{PATIENCE, Program};
use ringwire_tests::Client;
use tungstenite::{Message, client};

mod program;

/// The echo server, which is passed `socket` as descriptor 3, and told about it as systemd does:
/// by the number of the process that it becomes.
fn activated(socket: impl Into<OwnedFd>, said: &str) -> Command {
    let mut command = Command::new("sh");
    let script = format!("LISTEN_PID=$$ {said} exec \"$0\" \"$@\" 3<&0 0</dev/null");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_echo")]).stdin(Stdio::from(socket.into()));
    command
}

#[test]
fn it_serves_on_what_it_is_started_with() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    // Who comes before it runs waits.
    let early = std::net::TcpStream::connect(&address).expect("it listens");
    early.set_read_timeout(Some(PATIENCE)).expect("the socket takes options");
    let keeper = listener.try_clone().expect("a descriptor");
    let server = Program::start_on("systemd", activated(listener, "LISTEN_FDS=1"), &[]);
    assert_eq!(server.address, address);
    let url = format!("ws://{address}/");
    let (mut socket, _) = client(&url, early).expect("it opens");
    socket.send(Message::text("there and back")).expect("it reads");
    assert_eq!(socket.read().expect("it echoes"), Message::text("there and back"));
    drop(server);
    // The one who passed it on has it still, and starts the next one with it.
    let waiting = Client::connect(address.parse().expect("an address"));
    let said = "LISTEN_FDS=1 LISTEN_FDNAMES=web";
    let _next = Program::start_on("systemd", activated(keeper, said), &[]);
    let mut waiting = waiting;
    waiting.write(ringwire_tests::REQUEST);
    waiting.read_opening();
}

#[test]
fn it_serves_on_a_path_that_it_is_started_with_and_leaves_it() {
    let path = std::env::temp_dir().join(format!("ringwire-{}-passed", std::process::id()));
    let listener = UnixListener::bind(&path).expect("a free path");
    let server = Program::start_on("systemd", activated(listener, "LISTEN_FDS=1"), &[]);
    assert_eq!(server.address, format!("unix:{}", path.display()));
    let mut client = Client::connect_unix(&path);
    client.write(ringwire_tests::REQUEST);
    client.read_opening();
    drop(server);
    // It is who bound it that removes it.
    std::fs::remove_file(&path).expect("it is still there");
}

#[test]
fn it_serves_on_a_path_of_its_own() {
    let path = std::env::temp_dir().join(format!("ringwire-{}-own", std::process::id()));
    let listen = format!("unix:{}", path.display());
    let server = Program::start_on(&listen, Command::new(env!("CARGO_BIN_EXE_echo")), &[]);
    assert_eq!(server.address, listen);
    let stream = UnixStream::connect(&path).expect("it listens");
    let (mut socket, _) = client("ws://localhost/", stream).expect("it opens");
    socket.send(Message::text("there and back")).expect("it reads");
    assert_eq!(socket.read().expect("it echoes"), Message::text("there and back"));
    drop(server);
    // It was killed, so it is left, and the next one replaces it.
    let next = Program::start_on(&listen, Command::new(env!("CARGO_BIN_EXE_echo")), &[]);
    let stream = UnixStream::connect(&path).expect("it listens");
    drop((client("ws://localhost/", stream).expect("it opens"), next));
    std::fs::remove_file(&path).expect("it is left once more");
}

#[test]
fn each_way_in_which_that_can_be_wrong_is_told() {
    let told = |said: &str| {
        let file = std::fs::File::open("/dev/null").expect("it is always there");
        let mut command = activated(file, said);
        let mut process = command
            .args(["--listen", "systemd"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut output = String::new();
        process.stdout.take().expect("it is piped").read_to_string(&mut output).expect("text");
        assert_eq!(output, "", "it does not listen");
        let mut error = String::new();
        let told = process.stderr.take().expect("it is piped");
        BufReader::new(told).read_line(&mut error).expect("text");
        assert_eq!(process.wait().expect("it ends").code(), Some(1));
        error
    };
    for (said, expected) in [
        ("", "LISTEN_FDS is not set"),
        ("LISTEN_FDS=0", "LISTEN_FDS is \"0\", and not from 1 to 256"),
        ("LISTEN_FDS=two", "LISTEN_FDS is \"two\", and not from 1 to 256"),
        ("LISTEN_FDS=1 LISTEN_FDNAMES=a:b", "LISTEN_FDNAMES has 2 names for 1 sockets"),
        ("LISTEN_PID=1 LISTEN_FDS=1", "LISTEN_PID is \"1\", and not this process"),
        ("LISTEN_FDS=1", "descriptor 3 is no socket"),
        ("LISTEN_FDS=2", "descriptor 3 is no socket"),
    ] {
        let error = told(said);
        assert!(error.contains(expected), "{said}: {error}");
    }
}
