//! The line service on tokio-uring and its WebSocket port: both answer under load, and the
//! service's own timer goes on.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tungstenite::{Message, WebSocket, client};

struct Program {
    child: Child,
    lines: SocketAddr,
    web: SocketAddr,
}

impl Program {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tokio_uring"))
            .args(["127.0.0.1:0", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let addresses = line.trim().strip_prefix("lines on ").unwrap();
        let (lines, web) = addresses.split_once(", WebSocket on ").unwrap();
        Self { child, lines: lines.parse().unwrap(), web: web.parse().unwrap() }
    }

    fn socket(&self) -> WebSocket<TcpStream> {
        let stream = TcpStream::connect(self.web).unwrap();
        client(format!("ws://{}/", self.web), stream).unwrap().0
    }

    /// How often its timer has rung, asked on both ways.
    fn count(&self) -> (u64, u64) {
        let mut lines = BufReader::new(TcpStream::connect(self.lines).unwrap());
        lines.get_mut().write_all(b"count\n").unwrap();
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        let mut socket = self.socket();
        socket.send(Message::text("count")).unwrap();
        let message = socket.read().unwrap().into_text().unwrap();
        (line.trim().parse().unwrap(), message.as_str().parse().unwrap())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn both_answer_under_load_and_the_timer_rings() {
    const TIME: Duration = Duration::from_secs(2);
    let program = Program::start();
    let before = program.count();
    let begun = Instant::now();
    let answers: Vec<u32> = thread::scope(|scope| {
        let program = &program;
        let on_lines = (0..2).map(|_| {
            scope.spawn(move || {
                let mut lines = BufReader::new(TcpStream::connect(program.lines).unwrap());
                let mut count = 0;
                while begun.elapsed() < TIME {
                    lines.get_mut().write_all(b"a line\n").unwrap();
                    let mut line = String::new();
                    lines.read_line(&mut line).unwrap();
                    assert_eq!(line, "A LINE\n");
                    count += 1;
                }
                count
            })
        });
        let on_web = (0..2).map(|_| {
            scope.spawn(move || {
                let mut socket = program.socket();
                let mut count = 0;
                while begun.elapsed() < TIME {
                    for _ in 0..50 {
                        socket.write(Message::text("a message")).unwrap();
                    }
                    socket.flush().unwrap();
                    for _ in 0..50 {
                        assert_eq!(socket.read().unwrap(), Message::text("A MESSAGE"));
                    }
                    count += 50;
                }
                count
            })
        });
        let threads: Vec<_> = on_lines.chain(on_web).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let after = program.count();
    assert!(answers.iter().all(|count| *count > 50), "{answers:?}");
    // Some two hundred times, had it the machine for itself.
    for (before, after) in [(before.0, after.0), (before.1, after.1)] {
        assert!(after - before > 50, "{before} {after}");
    }
}
