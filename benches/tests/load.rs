//! The load generator against servers in this process: every mode, and what it says of a server
//! that is wrong.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ringwire::{Compression, Config, Connection, Handle, Handler, Message, Payload, Server};

/// An engine on a thread of its own, until it is dropped.
struct Running {
    port: u16,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start<H: Handler>(new: impl Fn(usize) -> H + Send + Sync + 'static) -> Self {
        Self::start_with(Config::default(), new)
    }

    fn start_with<H: Handler>(
        config: Config,
        new: impl Fn(usize) -> H + Send + Sync + 'static,
    ) -> Self {
        let compression = Some(Compression::shared());
        let config = Config { workers: 1, pin_workers: false, compression, ..config };
        let server = Server::bind("127.0.0.1:0", config).unwrap();
        let (port, handle) = (server.address().unwrap().port(), server.handle());
        let thread = Some(thread::spawn(move || server.run(new).unwrap()));
        Self { port, handle, thread }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.stop_now();
        let joined = self.thread.take().unwrap().join();
        assert!(thread::panicking() || joined.is_ok());
    }
}

struct Echo;

impl Handler for Echo {
    type State = ();

    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        connection.send(&message);
    }
}

fn run(port: u16, line: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_load"));
    command.args(["--port", &port.to_string(), "--milliseconds", "500", "--warm-up", "50"]);
    command.args(line.split_whitespace()).output().unwrap()
}

/// What a run says that must succeed.
struct Said(String);

impl Said {
    fn of(port: u16, line: &str) -> Self {
        let output = run(port, line);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{line}: {errors}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        let said = Self(text);
        assert_eq!(said.number("errors"), 0.0, "{}", said.0);
        said
    }

    /// The number of the first field with this name.
    fn number(&self, name: &str) -> f64 {
        let (_, rest) = self.0.split_once(&format!(r#""{name}":"#)).unwrap();
        rest[..rest.find([',', '}']).unwrap()].parse().unwrap()
    }
}

#[test]
fn every_echo_comes_back() {
    let server = Running::start(|_worker| Echo);
    for line in [
        "",
        "--size 0 --connections 3",
        "--connections 20 --size 125 --depth 5 --kind text",
        "--connections 3 --size 126 --depth 100 --burst 1",
        "--connections 2 --size 70000 --depth 4",
        "--size 1048576 --depth 2",
        "--connections 5 --size 900 --depth 3 --compressed 1 --kind text",
        "--connections 2 --size 300000 --compressed 1",
        "--connections 7 --rate 2000 --ramp 50",
    ] {
        let said = Said::of(server.port, line);
        assert!(said.number("messages") >= 1.0, "{line}: {}", said.0);
        assert!(said.number("count") >= 1.0, "{line}: {}", said.0);
        assert!((0.5..20.0).contains(&said.number("seconds")), "{line}: {}", said.0);
        assert!(said.number("client_cpu_ns") > 0.0, "{line}: {}", said.0);
        let delays = ["p50", "p90", "p99", "p99.9", "p99.99", "max"].map(|name| said.number(name));
        assert!(delays.is_sorted() && delays[0] > 0.0, "{line}: {}", said.0);
    }
}

#[test]
fn a_rate_is_kept_to_the_message() {
    let server = Running::start(|_worker| Echo);
    let said = Said::of(server.port, "--connections 10 --rate 1000 --warm-up 0");
    // Those of both edges may be due within or not.
    assert!((499.0..=501.0).contains(&said.number("count")), "{}", said.0);
}

#[test]
fn connections_open_and_close() {
    let server = Running::start(|_worker| Echo);
    for line in ["--connections 8", "--compressed 1"] {
        let said = Said::of(server.port, &format!("--mode connect {line}"));
        assert!(said.number("messages") >= 2.0, "{}", said.0);
        assert!(said.number("p50") > 0.0, "{}", said.0);
    }
}

#[test]
fn idle_connections_are_weighed() {
    let server = Fan::start("handler");
    let process = server.child.id();
    let line = format!("--mode idle --connections 500 --ramp 20 --process {process}");
    let said = Said::of(server.port, &line);
    assert_eq!((said.number("messages"), said.number("count")), (0.0, 0.0));
    let [before, after] = ["server_private_bytes_before", "server_private_bytes"];
    assert!(said.number(after) > said.number(before) + 50_000.0, "{}", said.0);
    assert!(said.number(before) > 0.0, "{}", said.0);
}

#[test]
fn pings_are_answered() {
    let ping_interval = Some(Duration::from_millis(100));
    let pong_timeout = Duration::from_millis(400);
    let config = Config { ping_interval, pong_timeout, ..Config::default() };
    let server = Running::start_with(config, |_worker| Echo);
    for line in ["--mode idle", "--rate 3", "--rate 3 --compressed 1"] {
        // Who does not answer is closed, which is an error here.
        Said::of(server.port, &format!("--connections 3 --milliseconds 1000 {line}"));
    }
    assert!(server.handle.stats().pongs_received >= 9);
}

/// A server of the fan-out, in a process of its own.
struct Fan {
    child: Child,
    port: u16,
}

impl Fan {
    fn start(name: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fanout"));
        command.args(["serve", name, "65536"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, port: line.trim().parse().unwrap() }
    }
}

impl Drop for Fan {
    fn drop(&mut self) {
        // It fails where the server has ended, and then there is nothing to do.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[test]
fn a_fan_out_reaches_all_and_its_server_is_weighed() {
    for name in ["handler", "thread"] {
        for line in ["", "--depth 16 --size 8", "--rate 100", "--rate 200 --depth 3"] {
            let server = Fan::start(name);
            let process = server.child.id();
            let said = Said::of(
                server.port,
                &format!("--mode fanout --connections 20 --size 100 --process {process} {line}"),
            );
            assert!(said.number("messages") >= 20.0, "{name} {line}: {}", said.0);
            assert!(said.number("server_private_bytes") > 0.0, "{name} {line}: {}", said.0);
            let time = said.number("server_user_ns") + said.number("server_system_ns");
            assert!(time > 0.0, "{name} {line}: {}", said.0);
        }
    }
}

#[test]
fn bytes_come_back_without_a_websocket() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let mut streams = listener.incoming().take(2).map(Result::unwrap);
        let (mut one, mut other) = (streams.next().unwrap(), streams.next().unwrap());
        let echo = move || {
            let mut bytes = [0; 4096];
            // The client resets.
            while let Ok(size @ 1..) = one.read(&mut bytes) {
                one.write_all(&bytes[..size]).unwrap_or_default();
            }
        };
        let first = thread::spawn(echo);
        let mut bytes = [0; 100];
        while let Ok(size @ 1..) = other.read(&mut bytes) {
            other.write_all(&bytes[..size]).unwrap_or_default();
        }
        first.join().unwrap();
    });
    let said = Said::of(port, "--protocol tcp --connections 2 --size 300 --depth 4");
    assert!(said.number("messages") >= 8.0, "{}", said.0);
    server.join().unwrap();
}

/// Changes the byte at 70 of the hundredth message.
struct Wrong(u32);

impl Handler for Wrong {
    type State = ();

    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        let mut bytes = message.as_bytes().to_vec();
        self.0 += 1;
        if self.0 == 100 {
            bytes[70] ^= 1;
        }
        connection.send(Payload::Binary(&bytes));
    }
}

/// Ends the connection at the first message.
struct Leaves;

impl Handler for Leaves {
    type State = ();

    fn message(&mut self, connection: &mut Connection<'_, ()>, _message: Message<'_>) {
        connection.terminate();
    }
}

#[test]
fn a_server_that_is_wrong_is_found_out() {
    let failed = |port, line: &str| {
        let output = run(port, line);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = Said(String::from_utf8(output.stdout).unwrap());
        assert_eq!(said.number("errors"), 1.0);
        String::from_utf8(output.stderr).unwrap()
    };
    let server = Running::start(|_worker| Wrong(0));
    let errors = failed(server.port, "--size 90 --depth 3");
    assert_eq!(errors, "load: byte 70 of a message is wrong\n");
    let server = Running::start(|_worker| Wrong(100));
    let errors = failed(server.port, "--kind text");
    assert_eq!(errors, "load: a message is of the wrong kind\n");
    let server = Running::start(|_worker| Leaves);
    let errors = failed(server.port, "--connections 4");
    assert!(errors.starts_with("load: "), "{errors}");
}

#[test]
fn what_cannot_begin_says_nothing_but_why() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (port, line) in [(closed, ""), (closed, "--mode none"), (closed, "--protocol tcp")] {
        let output = run(port, line);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(output.stdout.is_empty() && output.stderr.starts_with(b"load: "), "{output:?}");
    }
}

#[test]
fn percentiles_are_written() {
    let server = Running::start(|_worker| Echo);
    let path = std::env::temp_dir().join(format!("load-percentiles-{}", std::process::id()));
    let said = Said::of(server.port, &format!("--histogram {}", path.display()));
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let last: Vec<_> = text.lines().last().unwrap().split(' ').collect();
    assert_eq!(last[2].parse::<f64>().unwrap(), said.number("count"));
    assert_eq!(last[1], "1.000000000");
}
