//! A server in a process of its own, which says its port and ends with its input
//! ([`announce`](crate::order::announce)).

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread::{self, JoinHandle};

use crate::system;

/// The core of the servers. Everything else has another one.
pub const SERVER_CORE: usize = 1;

/// The core of whoever measures them.
pub const OTHER_CORE: usize = 0;

/// A server that ends with this value.
#[derive(Debug)]
pub struct Server {
    child: Child,
    port: u16,
    /// Gives the last line of its complaints, once it has ended.
    complaints: Option<JoinHandle<String>>,
}

impl Server {
    /// Starts a program on [`SERVER_CORE`], puts the calling thread on [`OTHER_CORE`], and waits
    /// until the server listens. What it complains of is passed on.
    ///
    /// # Errors
    /// It cannot be started, or has ended without a port; then its last complaint.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // It inherits the core.
        system::pin(SERVER_CORE);
        let child = command.spawn();
        system::pin(OTHER_CORE);
        let mut child = child?;
        let complaints = child.stderr.take().map(|errors| thread::spawn(|| pass_on(errors)));
        let mut server = Self { child, port: 0, complaints };
        let mut line = String::new();
        if let Some(output) = server.child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        match line.trim().parse() {
            Ok(port) => server.port = port,
            Err(_) => return Err(io::Error::other(server.end())),
        }
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), self.port)
    }

    /// The number of its process.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Why it ended, if it has.
    pub fn ended(&mut self) -> Option<String> {
        matches!(self.child.try_wait(), Ok(Some(_))).then(|| self.end())
    }

    /// Ends it. Says what it complained of last, or how it ended.
    fn end(&mut self) -> String {
        let _ended = self.child.kill();
        let status = self.child.wait();
        let last = self.complaints.take().and_then(|complaints| complaints.join().ok());
        match (last.filter(|last| !last.is_empty()), status) {
            (Some(last), _) => last,
            (None, Ok(status)) => format!("the server does not listen: {status}"),
            (None, Err(error)) => error.to_string(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _why = self.end();
    }
}

/// Copies lines to this program's own, and keeps the last.
fn pass_on(errors: ChildStderr) -> String {
    let mut last = String::new();
    for line in BufReader::new(errors).lines() {
        // It need not be UTF-8; then it is over.
        let Ok(line) = line else { break };
        let _told = writeln!(io::stderr(), "{line}");
        last = line;
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> io::Result<Server> {
        Server::start(Command::new("sh").args(["-c", script]))
    }

    #[test]
    fn its_port_and_its_end() {
        let mut server = shell("echo 4711; exec cat").expect("it says a port");
        assert_eq!((server.port(), server.address().port()), (4711, 4711));
        assert_eq!(server.ended(), None);
        let process = server.process();
        assert!(system::cpu_time(process).is_ok());
        drop(server);
        assert!(system::cpu_time(process).is_err(), "it has not ended");
    }

    #[test]
    fn why_there_is_none() {
        let why = |script| shell(script).expect_err("it says no port").to_string();
        assert_eq!(why("echo one >&2; echo two >&2; exit 2"), "two");
        assert!(why("exec 2>&-; exit 3").contains("does not listen"));
        let mut server = shell("echo 1; exec 1>&-; echo over >&2").expect("it says a port");
        let ended = (0..500).find_map(|_| {
            thread::sleep(std::time::Duration::from_millis(10));
            server.ended()
        });
        assert_eq!(ended.as_deref(), Some("over"));
    }
}
