//! The subscribers: they check every message, and take none of the server's time.
//!
//! They are looked at from time to time instead of being woken: waking a sleeper costs whoever
//! sends, which would be the server, and more where it is faster.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use ringwire_benches::client;
use ringwire_benches::order::{NUMBER_SIZE, Order};
use ringwire_protocol::Role;
use ringwire_protocol::frame::Opcode;
use ringwire_protocol::frame::header::Header;
use socket2::{Domain, Socket, Type};

/// Between two looks at what has arrived.
const LOOK: Duration = Duration::from_micros(500);

/// Nobody has got anything for so long: something is lost.
const SILENCE: Duration = Duration::from_secs(20);

/// A longer delay counts as this one.
const MICROS_MAX: u64 = 60_000_000;

/// Bytes that one read takes at most.
const READ_SIZE: usize = 256 << 10;

/// What a peer that reads nothing has room for: little, and as segments of an Ethernet, so that
/// neither end's kernel holds much for it.
const STUCK_ROOM: usize = 4096;
const STUCK_SEGMENT: u32 = 1448;

/// All subscribers of one server.
pub(crate) struct Subscribers {
    poll: Poll,
    readers: Vec<Reader>,
    /// They read nothing. Kept open.
    stuck: Vec<std::net::TcpStream>,
    buffer: Vec<u8>,
    /// Messages published so far.
    published: u64,
}

struct Reader {
    stream: TcpStream,
    arrivals: Arrivals,
}

/// What has arrived on one connection.
#[derive(Default)]
struct Arrivals {
    /// The number of the next message.
    next: u64,
    /// The part of a frame that has arrived.
    rest: Vec<u8>,
}

/// From an order to the arrival of each message, in microseconds.
pub(crate) type Delays = Histogram<u64>;

pub(crate) fn delays() -> io::Result<Delays> {
    Histogram::new_with_bounds(1, MICROS_MAX, 3).map_err(io::Error::other)
}

impl Subscribers {
    /// Opens so many connections, and so many more that will read nothing.
    pub(crate) fn connect(address: SocketAddr, readers: usize, stuck: usize) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut all = Self {
            poll,
            readers: Vec::with_capacity(readers),
            stuck: Vec::with_capacity(stuck),
            buffer: vec![0; READ_SIZE],
            published: 0,
        };
        for number in 0..readers {
            let stream = client::open(address)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            all.poll.registry().register(&mut stream, Token(number), Interest::READABLE)?;
            all.readers.push(Reader { stream, arrivals: Arrivals::default() });
        }
        for _ in 0..stuck {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
            socket.set_recv_buffer_size(STUCK_ROOM)?;
            socket.set_tcp_mss(STUCK_SEGMENT)?;
            socket.connect(&address.into())?;
            all.stuck.push(client::upgrade(socket.into())?);
        }
        Ok(all)
    }

    /// Has messages published, and waits until each reader has all of them. The delays of those of
    /// the first `measured` readers are recorded.
    pub(crate) fn order(
        &mut self,
        order: Order,
        measured: usize,
        delays: &mut Delays,
    ) -> io::Result<()> {
        let mut frame = Vec::new();
        let text = order.to_string();
        client::fragment(&mut frame, Opcode::Text, true, text.as_bytes(), [1, 2, 3, 4]);
        self.published += u64::from(order.count);
        let first = self.readers.first_mut().ok_or(io::ErrorKind::InvalidInput)?;
        let start = Instant::now();
        first.stream.write_all(&frame)?;
        let mut missing = self.readers.len();
        let (mut events, mut last) = (Events::with_capacity(1024), start);
        while missing > 0 {
            self.poll.poll(&mut events, Some(Duration::ZERO))?;
            if events.is_empty() {
                if last.elapsed() > SILENCE {
                    let what = format!("{missing} subscribers miss messages");
                    return Err(io::Error::other(what));
                }
                thread::sleep(LOOK);
                continue;
            }
            last = Instant::now();
            let micros = u64::try_from(last.duration_since(start).as_micros()).unwrap_or(u64::MAX);
            for event in &events {
                let Token(number) = event.token();
                let Some(reader) = self.readers.get_mut(number) else { continue };
                let count = reader.read(&mut self.buffer, order.size)?;
                if number < measured {
                    delays.saturating_record_n(micros.max(1), count);
                }
                if count > 0 && reader.arrivals.next == self.published {
                    missing -= 1;
                }
            }
        }
        Ok(())
    }

    /// Ends all connections, so that no port is held.
    pub(crate) fn close(self) -> io::Result<()> {
        for reader in self.readers {
            client::reset(std::net::TcpStream::from(reader.stream))?;
        }
        self.stuck.into_iter().try_for_each(client::reset)
    }
}

impl Reader {
    /// Takes what has arrived, and says how many messages that completes. Each must be the next
    /// one, of `size` bytes.
    fn read(&mut self, buffer: &mut [u8], size: usize) -> io::Result<u64> {
        let before = self.arrivals.next;
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    self.arrivals.take(&buffer[..read], size)?;
                    if read < buffer.len() {
                        return Ok(self.arrivals.next - before);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(self.arrivals.next - before);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Arrivals {
    /// Takes bytes as they came. Each message must be the next one, of `size` bytes.
    fn take(&mut self, read: &[u8], size: usize) -> io::Result<()> {
        let gathered;
        let mut bytes = if self.rest.is_empty() {
            read
        } else {
            self.rest.extend_from_slice(read);
            gathered = std::mem::take(&mut self.rest);
            &gathered
        };
        while let Some((frame, rest)) = split(bytes, size)? {
            if frame != self.next.to_le_bytes() {
                let what = format!("not message {}: {frame:?}", self.next);
                return Err(io::Error::other(what));
            }
            self.next += 1;
            bytes = rest;
        }
        self.rest.extend_from_slice(bytes);
        Ok(())
    }
}

/// The number of the first message and what follows it, if it is whole.
fn split(bytes: &[u8], size: usize) -> io::Result<Option<([u8; NUMBER_SIZE], &[u8])>> {
    let Some((header, start)) = Header::decode(bytes, Role::Server).map_err(io::Error::other)?
    else {
        return Ok(None);
    };
    if header.opcode != Opcode::Binary || !header.fin || header.length != size as u64 {
        return Err(io::Error::other(format!("not a message of {size} bytes: {header:?}")));
    }
    let Some((frame, rest)) = bytes.split_at_checked(start + size) else { return Ok(None) };
    let Some(number) = frame[start..].first_chunk() else { return Ok(None) };
    Ok(Some((*number, rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_taken_however_it_is_cut() {
        let mut bytes = Vec::new();
        for number in 0..3_u64 {
            let opcode = Opcode::Binary;
            let header =
                Header { fin: true, compressed: false, opcode, masking_key: None, length: 200 };
            header.encode(&mut bytes);
            bytes.extend_from_slice(&number.to_le_bytes());
            bytes.resize(bytes.len() + 192, b'x');
        }
        for cut in 0..bytes.len() {
            let mut arrivals = Arrivals::default();
            arrivals.take(&bytes[..cut], 200).expect("it is right");
            arrivals.take(&bytes[cut..], 200).expect("it is right");
            assert_eq!((arrivals.next, arrivals.rest.len()), (3, 0), "{cut}");
            let again = arrivals.take(&bytes, 200).expect_err("these have come before");
            assert!(again.to_string().starts_with("not message 3"), "{again}");
        }
    }
}
