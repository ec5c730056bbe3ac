//! The loop over all connections: they come, are served as they become ready, go and come again.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};

use crate::connection::{Connection, Failure, Step};
use crate::shared::Shared;

/// Connections that are being opened at the same time: fewer than wait in the server's backlog.
const OPENING_MAX: usize = 2048;

/// Addresses that connections come from, so that their ports do not run out.
const SOURCES: u64 = 64;

/// A connection on which nothing moves for this long has been forgotten.
const SILENCE: Duration = Duration::from_secs(30);

/// Failures that are kept; the rest is only counted.
const FAILURES_MAX: usize = 20;

/// All connections of one process.
pub(crate) struct Load {
    poll: Poll,
    address: SocketAddr,
    connections: Vec<Option<Connection>>,
    /// Places without a connection, the one that has been so for longest first.
    vacant: VecDeque<usize>,
    opening: usize,
    serial: u64,
    pub(crate) shared: Shared,
    pub(crate) failure_count: u64,
    pub(crate) failures: Vec<Failure>,
}

impl Load {
    pub(crate) fn new(address: SocketAddr, count: usize, seed: u64) -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            address,
            connections: (0..count).map(|_| None).collect(),
            vacant: (0..count).collect(),
            opening: 0,
            serial: 0,
            shared: Shared::new(seed),
            failure_count: 0,
            failures: Vec::new(),
        })
    }

    /// Connections that there are.
    pub(crate) fn count(&self) -> usize {
        self.connections.len() - self.vacant.len()
    }

    /// Those of them that are being opened.
    pub(crate) const fn opening(&self) -> usize {
        self.opening
    }

    /// Opens all connections, then serves them for `time`. Calls `tell` every second.
    pub(crate) fn run(&mut self, time: Duration, tell: &mut dyn FnMut(&Self)) -> io::Result<()> {
        (self.shared.leaves, self.shared.gathers) = (false, true);
        self.serve(tell, |load| load.vacant.is_empty() && load.opening == 0)?;
        self.shared.gathers = false;
        let end = Instant::now() + time;
        self.advance_all();
        self.serve(tell, |_| Instant::now() >= end)
    }

    /// Lets all connections end, each as soon as everything has come back.
    pub(crate) fn leave(&mut self, tell: &mut dyn FnMut(&Self)) -> io::Result<()> {
        self.shared.leaves = true;
        self.advance_all();
        self.serve(tell, |load| load.count() == 0)
    }

    fn serve(
        &mut self,
        tell: &mut dyn FnMut(&Self),
        is_over: impl Fn(&Self) -> bool,
    ) -> io::Result<()> {
        let mut events = Events::with_capacity(256);
        let mut told = Instant::now();
        while !is_over(self) {
            self.connect()?;
            self.poll.poll(&mut events, Some(Duration::from_millis(100)))?;
            for event in &events {
                self.advance(event.token().0);
            }
            if told.elapsed() >= Duration::from_secs(1) {
                told = Instant::now();
                self.find_silent();
                tell(self);
            }
        }
        Ok(())
    }

    /// Fills vacant places, as many as may be opening.
    fn connect(&mut self) -> io::Result<()> {
        while !self.shared.leaves && self.opening < OPENING_MAX {
            let Some(number) = self.vacant.pop_front() else { return Ok(()) };
            self.serial += 1;
            let source = Ipv4Addr::from(Ipv4Addr::LOCALHOST.to_bits() + 1 + low(self.serial));
            let mut stream = connect(source, self.address)?;
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut stream, Token(number), interest)?;
            let connection = Connection::new(stream, self.shared.seed, self.serial)?;
            self.connections[number] = Some(connection);
            self.opening += 1;
        }
        Ok(())
    }

    fn advance_all(&mut self) {
        for number in 0..self.connections.len() {
            self.advance(number);
        }
    }

    fn advance(&mut self, number: usize) {
        let Some(place) = self.connections.get_mut(number) else { return };
        let Some(connection) = place else { return };
        let was_open = connection.is_open();
        let step = connection.advance(&mut self.shared);
        if !was_open && (connection.is_open() || !matches!(step, Ok(Step::Lives))) {
            self.opening -= 1;
        }
        match step {
            Ok(Step::Lives) => {}
            Ok(Step::Ended) => self.vacate(number),
            Err(failure) => self.fail(number, failure),
        }
    }

    fn vacate(&mut self, number: usize) {
        if let Some(mut connection) = self.connections[number].take() {
            let _known = self.poll.registry().deregister(connection.stream());
            self.vacant.push_back(number);
        }
    }

    fn fail(&mut self, number: usize, failure: Failure) {
        self.vacate(number);
        self.failure_count += 1;
        if self.failures.len() < FAILURES_MAX {
            self.failures.push(failure);
        }
    }

    fn find_silent(&mut self) {
        for number in 0..self.connections.len() {
            let Some(Some(connection)) = self.connections.get(number) else { continue };
            if connection.progress.elapsed() > SILENCE {
                let failure = connection.silent();
                self.opening -= usize::from(!connection.is_open());
                self.fail(number, failure);
            }
        }
    }
}

/// The last part of a source address.
fn low(serial: u64) -> u32 {
    u32::try_from(serial % SOURCES).unwrap_or(0)
}

fn connect(source: Ipv4Addr, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => Err(error),
        Ok(()) | Err(_) => Ok(TcpStream::from_std(socket.into())),
    }
}
