//! A server of the examples as a process, on a free port of the loopback.

#![allow(dead_code, reason = "no test wants all of it")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running server, which ends with the test.
pub(crate) struct Program {
    process: Child,
    pub(crate) address: String,
    /// What it said at its start: where it listens, and its driver.
    pub(crate) lines: [String; 2],
}

impl Program {
    /// Starts a program with two workers and these options.
    pub(crate) fn start(program: Command, options: &[&str]) -> Self {
        Self::start_on("127.0.0.1:0", program, options)
    }

    /// As [`Program::start`], listening there.
    pub(crate) fn start_on(listen: &str, mut program: Command, options: &[&str]) -> Self {
        let mut process = program
            .args(["--listen", listen, "--workers", "2"])
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let output = process.stdout.take().expect("its output is piped");
        let mut output = BufReader::new(output).lines();
        let mut line = || output.next().expect("a line").expect("it says what it is");
        let lines = [line(), line()];
        let address = lines[0].split_once(" on ").and_then(|(_, rest)| rest.split(' ').next());
        let address = address.expect("an address").trim_start_matches("ws://").to_owned();
        Self { process, address, lines }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("the socket takes options");
        stream
    }

    /// The head and the body of a page.
    pub(crate) fn page(&self, path: &str) -> (String, String) {
        self.try_page(path).expect("it answers with text")
    }

    /// The same of a server that may have no place.
    pub(crate) fn try_page(&self, path: &str) -> io::Result<(String, String)> {
        let mut stream = self.connect();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok((head.to_owned(), body.to_owned()))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _killed = self.process.kill();
        let _ended = self.process.wait();
    }
}
