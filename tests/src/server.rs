//! A server in a thread of its own, which ends with the test.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ringwire::{Config, Error, Handle, Handler, Server, Stats};

use crate::client::Client;
use crate::echo::{Echo, Event};
use crate::host;
use crate::patience::PATIENCE;

/// One worker, which shares the cores with those of the other tests. Nothing of its time-outs comes
/// within [`PATIENCE`]: what a test sees happens at once, or because the test has set its time-out.
#[must_use]
pub fn config() -> Config {
    let never = 10 * PATIENCE;
    Config {
        workers: 1,
        pin_workers: false,
        handshake_timeout: never,
        upgrade_timeout: never,
        send_timeout: never,
        ping_interval: None,
        close_timeout: never,
        linger_timeout: never,
        stop_spread: Duration::ZERO,
        stop_timeout: never,
        ..Config::default()
    }
}

/// A server that serves until it is dropped.
#[derive(Debug)]
pub struct TestServer {
    address: SocketAddr,
    driver: String,
    handle: Handle,
    ended: mpsc::Receiver<Result<(), Error>>,
    thread: Option<JoinHandle<()>>,
}

impl TestServer {
    /// Serves with the handlers of `factory` on a free port of the loopback: on threads of its own,
    /// or hosted as the variable `RINGWIRE_TEST_HOST` says.
    ///
    /// # Panics
    /// If that is not possible here.
    pub fn start<H: Handler>(
        config: Config,
        factory: impl Fn(usize) -> H + Send + Sync + 'static,
    ) -> Self {
        let server = Server::bind("127.0.0.1:0", config).expect("the server listens");
        Self::run(server, factory)
    }

    /// Serves with the handlers of `factory` on what `server` listens on. If that is no address,
    /// [`TestServer::address`] is one that nobody can connect to.
    ///
    /// # Panics
    /// If that is not possible here.
    pub fn run<H: Handler>(
        server: Server,
        factory: impl Fn(usize) -> H + Send + Sync + 'static,
    ) -> Self {
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let (address, handle) = (server.address().unwrap_or(nowhere), server.handle());
        let driver = server.driver().to_string();
        let (ready, serves) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let body = move || {
            let told = || ready.send(()).expect("the test waits");
            // The test may have ended without waiting for this.
            let _told = end.send(host::run(server, factory, told));
        };
        let thread = thread::Builder::new().spawn(body).expect("a thread starts");
        serves.recv_timeout(PATIENCE).expect("the server serves");
        Self { address, driver, handle, ended, thread: Some(thread) }
    }

    /// Serves with [`Echo`]; what happens is told to the receiver.
    #[must_use]
    pub fn echo(config: Config) -> (Self, mpsc::Receiver<Event>) {
        let (sender, events) = mpsc::channel();
        (Self::start(config, move |worker| Echo::new(worker, sender.clone())), events)
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it runs on a ring, which takes operations in without a system call for each.
    #[must_use]
    pub fn has_ring(&self) -> bool {
        self.driver == "io_uring"
    }

    /// What reaches it from any thread.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// A client whose connection is open.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::open(self.address)
    }

    /// The numbers, once they are as expected; they come with a delay.
    ///
    /// # Panics
    /// If they do not become so in time.
    pub fn stats_when(&self, expected: impl Fn(&Stats) -> bool) -> Stats {
        let begun = Instant::now();
        loop {
            let stats = self.handle.stats();
            if expected(&stats) {
                return stats;
            }
            assert!(begun.elapsed() < PATIENCE, "{stats:#?}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until `run` has read so many bytes of all its peers together.
    ///
    /// # Panics
    /// If it does not come to that in time.
    pub fn has_read(&self, size: usize) {
        self.stats_when(|stats| stats.bytes_received >= size as u64);
    }

    /// Waits until `run` has returned, and says what it did.
    ///
    /// # Errors
    /// What `run` returned.
    ///
    /// # Panics
    /// If it does not return in time.
    pub fn join(mut self) -> Result<(), Error> {
        let result = self.ended.recv_timeout(PATIENCE).expect("the server ends");
        self.thread.take().map(JoinHandle::join);
        result
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if self.thread.is_none() {
            return;
        }
        self.handle.stop_now();
        let ended = self.ended.recv_timeout(PATIENCE);
        // A test that has failed already says why.
        if !thread::panicking() {
            assert!(matches!(ended, Ok(Ok(()))), "the server ended with {ended:?}");
            self.thread.take().map(JoinHandle::join);
        }
    }
}
