//! What passes between a client and a server, whoever wrote them.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use crate::bytes::{CLOSE, CONTINUATION, FIN, RSV1, RSV2, RSV3};
use crate::patience::PATIENCE;

/// A relay for one connection, which keeps a copy.
#[derive(Debug)]
pub struct Wire {
    address: SocketAddr,
    relay: JoinHandle<(Vec<u8>, Vec<u8>)>,
}

/// What has passed.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// From the client.
    pub client: Direction,
    /// From the server.
    pub server: Direction,
}

/// What one side has sent.
#[derive(Clone, Debug)]
pub struct Direction {
    /// The head of its part of the handshake.
    pub head: String,
    /// Its messages, in their order.
    pub messages: Vec<Passed>,
}

/// A message as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Whether its first frame bore RSV1.
    pub compressed: bool,
    /// How many frames it came in.
    pub frames: usize,
    /// The bytes of their payloads.
    pub size: usize,
}

impl Wire {
    /// A relay to the server at `server`.
    ///
    /// # Panics
    /// If there are no more sockets.
    #[must_use]
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it has been bound");
        let relay = thread::spawn(move || {
            let (client, _) = listener.accept().expect("a client comes");
            let server = TcpStream::connect_timeout(&server, PATIENCE).expect("it listens");
            let back = (share(&server), share(&client));
            let back = thread::spawn(move || relay(back.0, &back.1));
            (relay(client, &server), back.join().expect("the relay does not panic"))
        });
        Self { address, relay }
    }

    /// Where the client is to connect.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the end of the connection.
    ///
    /// # Panics
    /// If what has passed is no WebSocket.
    #[must_use]
    pub fn join(self) -> Traffic {
        let (client, server) = self.relay.join().expect("the relay does not panic");
        Traffic { client: Direction::read(&client), server: Direction::read(&server) }
    }
}

fn share(stream: &TcpStream) -> TcpStream {
    stream.set_nodelay(true).expect("the socket takes options");
    stream.set_read_timeout(Some(PATIENCE)).expect("the socket takes options");
    stream.try_clone().expect("there are descriptors")
}

/// Copies until either side has had enough.
fn relay(mut from: TcpStream, mut to: &TcpStream) -> Vec<u8> {
    let (mut copy, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    while let Ok(size @ 1..) = from.read(&mut buffer) {
        copy.extend_from_slice(&buffer[..size]);
        if to.write_all(&buffer[..size]).is_err() {
            break;
        }
    }
    // The other side may have ended first.
    let _ended = to.shutdown(Shutdown::Write);
    copy
}

impl Direction {
    fn read(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head ends");
        let (head, mut rest) = bytes.split_at(end + 4);
        let head = String::from_utf8(head.to_vec()).expect("a head is text");
        let mut messages: Vec<Passed> = Vec::new();
        while !rest.is_empty() {
            let (first, size, after) = frame(rest);
            rest = after;
            if first & CLOSE != 0 {
                //= RFC 7692 6.1: An endpoint MUST NOT set the "Per-Message Compressed" bit of
                //= control frames and non-first fragments of a data message.
                assert_eq!(first & !0xF, FIN, "a control frame with reserved bits");
            } else if first & 0xF == CONTINUATION {
                assert_eq!(first & !FIN, CONTINUATION, "a continuation with reserved bits");
                let last = messages.last_mut().expect("there is a message to continue");
                (last.frames, last.size) = (last.frames + 1, last.size + size);
            } else {
                assert_eq!(
                    first & (RSV2 | RSV3),
                    0,
                    "reserved bits that nobody has given a meaning"
                );
                messages.push(Passed { compressed: first & RSV1 != 0, frames: 1, size });
            }
        }
        Self { head, messages }
    }

    /// The value of a header, whose name is given in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut values = lines.filter(|(other, _)| other.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value.trim())
    }

    /// The bytes of all messages together.
    #[must_use]
    pub fn size(&self) -> usize {
        self.messages.iter().map(|message| message.size).sum()
    }
}

/// The first byte of a frame, the size of its payload, and what follows it.
fn frame(bytes: &[u8]) -> (u8, usize, &[u8]) {
    let (length, header) = match bytes[1] & 0x7F {
        126 => (u64::from(u16::from_be_bytes([bytes[2], bytes[3]])), 4),
        127 => (u64::from_be_bytes(bytes[2..10].try_into().expect("eight bytes")), 10),
        short => (u64::from(short), 2),
    };
    let header = if bytes[1] & 0x80 == 0 { header } else { header + 4 };
    let size = usize::try_from(length).expect("it has been sent");
    (bytes[0], size, &bytes[header + size..])
}
