//! The example `blocking` as a process: what a client is sent, and how connections end.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// The answer that RFC 6455 section 1.3 has for that key.
const ANSWER: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// The example, until it is dropped.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start() -> Self {
        // Examples are built with the tests, into the folder beside theirs.
        let tests = env::current_exe().unwrap();
        let path = tests.parent().unwrap().with_file_name("examples").join("blocking");
        let mut process =
            Command::new(path).arg("127.0.0.1:0").stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on ").unwrap().to_owned();
        Self { process, address }
    }

    /// Sends all of it in pieces of this size, ends this side, and reads what comes back.
    fn talk(&self, bytes: &[u8], size: usize) -> Vec<u8> {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        for piece in bytes.chunks(size) {
            stream.write_all(piece).unwrap();
        }
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// A client's frame, masked with zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0];
    frame.extend_from_slice(payload);
    frame
}

#[test]
fn echoes_and_closes_however_it_is_cut() {
    let server = Server::start();
    let mut sent = REQUEST.as_bytes().to_vec();
    let mut expected = ANSWER.as_bytes().to_vec();
    sent.extend(frame(0x81, "h\u{e9}".as_bytes()));
    expected.extend(b"\x81\x03h\xc3\xa9");
    // A message in two fragments, and a ping between them, which is answered first.
    sent.extend([frame(0x02, b"one "), frame(0x89, b"?"), frame(0x80, b"message")].concat());
    expected.extend(b"\x8a\x01?\x82\x0bone message");
    sent.extend(frame(0x88, b"\x03\xe8bye"));
    expected.extend(b"\x88\x02\x03\xe8");
    for size in [1, 3, 50, sent.len()] {
        assert_eq!(server.talk(&sent, size), expected, "in pieces of {size}");
    }
}

#[test]
fn names_what_is_wrong_behind_what_was_right() {
    let server = Server::start();
    let unmasked = b"\x81\x01a";
    let sent = [REQUEST.as_bytes(), &frame(0x81, b"a"), unmasked].concat();
    let answer = server.talk(&sent, sent.len());
    let frames = answer.strip_prefix(ANSWER.as_bytes()).unwrap();
    let close = frames.strip_prefix(b"\x81\x01a\x88").unwrap();
    assert_eq!(close[1..3], 1002_u16.to_be_bytes());
}

#[test]
fn refuses_what_asks_for_no_websocket() {
    let server = Server::start();
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "426"),
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/1.0\r\nHost: a\r\n\r\n", "505"),
    ] {
        let answer = String::from_utf8(server.talk(request.as_bytes(), 7)).unwrap();
        assert_eq!(&answer[9..12], status, "{answer}");
    }
}
