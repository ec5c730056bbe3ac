//! Streams of bytes that a server must answer in one way only, however they are cut, and without a
//! neighbour's noticing.

use crate::bytes::{Frame, text};
use crate::client::Client;
use crate::server::TestServer;

/// Streams longer than this are not cut at each of their bytes: each cut costs a connection.
const CUT_SIZE_MAX: usize = 24;

/// Streams longer than this are not written byte by byte.
const BYTEWISE_SIZE_MAX: usize = 400;

/// A connection that does nothing wrong while others do.
#[derive(Debug)]
pub struct Neighbor {
    client: Client,
    count: usize,
}

impl Neighbor {
    /// Moves in.
    #[must_use]
    pub fn new(server: &TestServer) -> Self {
        Self { client: server.client(), count: 0 }
    }

    /// Checks that nothing has disturbed it.
    pub fn check(&mut self) {
        self.count += 1;
        let message = format!("neighbour {}", self.count);
        self.client.write(text(&message));
        self.client.expect(&Frame::text(&message));
    }
}

/// The ways in which `stream` is written: whole, byte by byte, and in two pieces at each position.
pub fn writes(stream: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    let whole = std::iter::once(vec![stream]);
    let bytewise = (stream.len() <= BYTEWISE_SIZE_MAX).then(|| stream.chunks(1).collect());
    let cuts = if stream.len() <= CUT_SIZE_MAX { 1..stream.len() } else { 0..0 };
    let pairs = cuts.map(|cut| <[_; 2]>::from(stream.split_at(cut)).to_vec());
    whole.chain(bytewise).chain(pairs)
}

/// Checks that an echo server answers `stream`, however it is cut, with `frames`, then exactly one
/// close frame with `code`, then the end of the stream.
///
/// # Panics
/// If it answers anything else.
pub fn answers(server: &TestServer, stream: &[u8], frames: &[Frame], code: Option<u16>) {
    let mut neighbor = Neighbor::new(server);
    for pieces in writes(stream) {
        let mut client = server.client();
        for piece in &pieces {
            client.write(piece);
        }
        let mut answer = client.read_frames();
        let close = answer.pop().expect("a close frame comes before the end of the stream");
        assert_eq!(answer, frames, "to {pieces:02X?}");
        assert_eq!(close.close_code(), code, "to {pieces:02X?}");
        neighbor.check();
    }
}

/// Checks that `stream` ends a connection with `code`, and that what was right before it is
/// answered first.
///
/// # Panics
/// If the server does anything else.
pub fn fails(server: &TestServer, stream: &[u8], code: u16) {
    //= RFC 6455 7.1.7: An endpoint MUST NOT continue to attempt to process data (including a
    //= responding Close frame) from the remote endpoint after being instructed to _Fail the
    //= WebSocket Connection_.
    let late = [stream, &text("late"), &crate::bytes::close(1000, "")].concat();
    answers(server, stream, &[], Some(code));
    let early = [&text("early")[..], &late].concat();
    answers(server, &early, &[Frame::text("early")], Some(code));
}
