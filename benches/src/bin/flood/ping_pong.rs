//! Connections that send a message, wait for its echo, and send the next.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use ringwire_benches::client;

/// Bytes of a message.
const SIZE: usize = 20;

/// Bytes of its echo: the header of a server's small frame has two.
const ECHO_SIZE: usize = SIZE + 2;

/// Longer round trips count as this long.
const NANOS_MAX: u64 = 60_000_000_000;

/// All of them, in one thread.
pub(crate) struct PingPong {
    poll: Poll,
    connections: Vec<Connection>,
}

struct Connection {
    stream: TcpStream,
    sent: Instant,
    /// Bytes of the echo that have arrived.
    received: usize,
    /// Its message is under way.
    waits: bool,
}

impl PingPong {
    /// Opens `count` connections.
    pub(crate) fn connect(address: SocketAddr, count: usize) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut connections = Vec::new();
        for number in 0..count {
            let stream = client::open(address)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(number), Interest::READABLE)?;
            let sent = Instant::now();
            connections.push(Connection { stream, sent, received: 0, waits: false });
        }
        Ok(Self { poll, connections })
    }

    /// Plays for `time`. Each round trip is in the result, in nanoseconds.
    pub(crate) fn run(&mut self, time: Duration) -> io::Result<Histogram<u64>> {
        let new = Histogram::new_with_bounds(1, NANOS_MAX, 3);
        let mut histogram = new.map_err(io::Error::other)?;
        let mut events = Events::with_capacity(256);
        let end = Instant::now() + time;
        for connection in &mut self.connections {
            connection.send()?;
        }
        while self.connections.iter().any(|connection| connection.waits) {
            self.poll.poll(&mut events, Some(Duration::from_secs(10)))?;
            if events.is_empty() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            for event in &events {
                let Some(connection) = self.connections.get_mut(event.token().0) else { continue };
                let Some(nanos) = connection.receive()? else { continue };
                histogram.saturating_record(nanos);
                if Instant::now() < end {
                    connection.send()?;
                }
            }
        }
        Ok(histogram)
    }
}

impl Connection {
    fn send(&mut self) -> io::Result<()> {
        let mut frame = Vec::with_capacity(64);
        client::frame(&mut frame, [b'x'; SIZE].as_slice(), [1, 2, 3, 4]);
        self.sent = Instant::now();
        (self.waits, self.received) = (true, 0);
        // Nothing else is under way, so there is room for all of it.
        self.stream.write_all(&frame)
    }

    /// The time of the round trip, if the echo has arrived whole.
    fn receive(&mut self) -> io::Result<Option<u64>> {
        let mut buffer = [0; 2 * ECHO_SIZE];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(size) => self.received += size,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
            if self.received >= ECHO_SIZE {
                self.waits = false;
                let nanos = self.sent.elapsed().as_nanos();
                return Ok(Some(u64::try_from(nanos).unwrap_or(u64::MAX)));
            }
        }
    }
}
