//! The echo server as a process: one signal closes every connection, two end it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ringwire_tests::{CLOSE, Client, Frame, PATIENCE, close, text};
use rustix::process::{Pid, Signal, kill_process};

/// How long a stop waits for closing handshakes, when nothing else was asked for.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The server, which does not outlive the test.
struct Echo(Child);

impl Drop for Echo {
    fn drop(&mut self) {
        // It has ended, where the test has not failed.
        let _ended = self.0.kill();
        let _waited = self.0.wait();
    }
}

impl Echo {
    /// The server and clients whose connections are open.
    fn start(count: usize) -> (Self, Vec<Client>) {
        let child = Command::new(env!("CARGO_BIN_EXE_echo"))
            .args(["--listen", "127.0.0.1:0", "--workers", "1"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut echo = Self(child);
        let mut line = String::new();
        let output = echo.0.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut line).expect("the server says where it listens");
        let address = line.strip_prefix("listening on ws://").expect("that comes first");
        let (address, _) = address.split_once(' ').expect("the driver comes after");
        let address = address.parse().expect("it is an address");
        (echo, (0..count).map(|_| Client::open(address)).collect())
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).expect("it runs");
    }

    fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().expect("it is a child") {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn going_away() -> Frame {
    Frame::new(CLOSE, 1001_u16.to_be_bytes())
}

#[test]
fn one_signal_closes_every_connection() {
    for signal in [Signal::TERM, Signal::INT] {
        let (mut echo, clients) = Echo::start(20);
        let readers: Vec<_> = clients
            .into_iter()
            .map(|mut client| {
                client.write(text("before"));
                client.expect(&Frame::text("before"));
                thread::spawn(move || {
                    client.expect(&going_away());
                    let told = Instant::now();
                    client.write(close(1001, ""));
                    assert_eq!(client.read_frame(), None);
                    told
                })
            })
            .collect();
        echo.signal(signal);
        let times = readers.into_iter().map(|reader| reader.join().expect("each is told"));
        let (first, last) = times.fold((None, None), |(first, last), time| {
            (first.min(Some(time)).or(Some(time)), last.max(Some(time)))
        });
        let spread = last.expect("there are some") - first.expect("there are some");
        assert!(spread > Duration::from_millis(500), "they were told within {spread:?}");
        assert!(echo.wait().success());
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let (mut echo, mut clients) = Echo::start(1);
    let begun = Instant::now();
    echo.signal(Signal::TERM);
    // It never answers, and the server waits for it.
    clients[0].expect(&going_away());
    assert!(clients[0].is_silent(Duration::from_millis(200)));
    assert!(echo.0.try_wait().expect("it is a child").is_none(), "it does not wait");
    echo.signal(Signal::INT);
    assert!(echo.wait().success());
    assert!(begun.elapsed() < STOP_TIMEOUT);
    assert_eq!(clients[0].read_frame(), None);
}
