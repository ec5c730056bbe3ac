//! What a peer may send to make the other side work: each stream a builder for any size.

use ringwire_benches::client;
use ringwire_benches::random::Random;
use ringwire_protocol::deflate::{Agreed, Compressor, Settings};
use ringwire_protocol::frame::Opcode;

/// A way to send.
pub(crate) struct Stream {
    pub(crate) name: &'static str,
    /// Bytes of one read.
    pub(crate) read_size: usize,
    /// Whether compression was negotiated, and then without takeover.
    pub(crate) is_compressed: bool,
    /// Instructions for each byte received, at most.
    pub(crate) instructions_max: u64,
    /// About so many bytes of it.
    pub(crate) make: fn(usize) -> Vec<u8>,
}

/// Reads of the size of a receive buffer.
const BUFFER: usize = 32 << 10;

/// All of them. The constants are what was measured, and a quarter.
pub(crate) const STREAMS: [Stream; 18] = [
    plain("messages of 1 byte", BUFFER, 60, |size| messages(size, 1)),
    plain("empty messages", BUFFER, 63, |size| messages(size, 0)),
    plain("messages of 64 KiB", BUFFER, 2, |size| messages(size, 64 << 10)),
    plain("messages of 100 bytes, read by 1 byte", 1, 300, |size| messages(size, 100)),
    plain("empty continuations", BUFFER, 85, |size| fragments(size, 0)),
    plain("continuations of 1 byte", BUFFER, 80, |size| fragments(size, 1)),
    plain("continuations of 1 byte, read by 1 byte", 1, 240, |size| fragments(size, 1)),
    plain("empty pings", BUFFER, 62, |size| pings(size, 0)),
    plain("pings of 125 bytes, read by 1 byte", 1, 285, |size| pings(size, 125)),
    plain("one message, read by 1 byte", 1, 300, one),
    plain("one message, read by 100 bytes", 100, 5, one),
    plain("one text, read by 1 byte", 1, 380, one_text),
    plain("one text, read by 100 bytes", 100, 7, one_text),
    compressed("one compressed text, read by 1 byte", 1, 1350, |size| deflated(size, 4 * size)),
    compressed("compressed messages of 20 bytes", BUFFER, 155, |size| deflated(size, 20)),
    // The smallest that the echo compresses as well: forgetting them again clears 128 KiB.
    compressed("compressed messages of 128 zeros", BUFFER, 1510, |size| {
        let zeros = compress(&[0; 128]);
        until(size / 10, |out, key| client::compressed_text(out, &zeros, key))
    }),
    compressed("empty compressed messages", BUFFER, 290, empty_compressed),
    // A twentieth of the size: it comes to a thousand times as much.
    compressed("zeros, compressed a thousandfold", BUFFER, 3340, |size| zeros(size / 20)),
];

const fn plain(
    name: &'static str,
    read_size: usize,
    instructions_max: u64,
    make: fn(usize) -> Vec<u8>,
) -> Stream {
    Stream { name, read_size, is_compressed: false, instructions_max, make }
}

const fn compressed(
    name: &'static str,
    read_size: usize,
    instructions_max: u64,
    make: fn(usize) -> Vec<u8>,
) -> Stream {
    Stream { name, read_size, is_compressed: true, instructions_max, make }
}

/// What both sides of a compressed stream have agreed on.
pub(crate) const AGREED: Agreed = Agreed {
    server_no_context_takeover: true,
    client_no_context_takeover: true,
    server_max_window_bits: None,
    client_max_window_bits: None,
};

/// Masks in turn, so that none is special.
const KEYS: [[u8; 4]; 3] = [[1, 2, 3, 4], [0xFF, 0, 0x80, 7], [9, 9, 9, 9]];

fn until(size: usize, mut append: impl FnMut(&mut Vec<u8>, [u8; 4])) -> Vec<u8> {
    let mut out = Vec::with_capacity(size + 100);
    for key in KEYS.into_iter().cycle() {
        if out.len() >= size {
            break;
        }
        append(&mut out, key);
    }
    out
}

fn messages(size: usize, message_size: usize) -> Vec<u8> {
    let payload = vec![b'm'; message_size];
    until(size, |out, key| client::frame(out, &payload, key))
}

/// One text in that many fragments.
fn fragments(size: usize, fragment_size: usize) -> Vec<u8> {
    let payload = vec![b'f'; fragment_size];
    let mut opcode = Opcode::Text;
    let mut stream = until(size, |out, key| {
        client::fragment(out, opcode, false, &payload, key);
        opcode = Opcode::Continuation;
    });
    client::fragment(&mut stream, Opcode::Continuation, true, b"", KEYS[0]);
    stream
}

fn pings(size: usize, ping_size: usize) -> Vec<u8> {
    let payload = vec![b'p'; ping_size];
    until(size, |out, key| client::fragment(out, Opcode::Ping, true, &payload, key))
}

fn one(size: usize) -> Vec<u8> {
    let mut stream = Vec::new();
    client::frame(&mut stream, &vec![0xAB; size], KEYS[1]);
    stream
}

fn one_text(size: usize) -> Vec<u8> {
    let mut stream = Vec::new();
    client::fragment(&mut stream, Opcode::Text, true, text(size).as_bytes(), KEYS[1]);
    stream
}

/// Letters of one, two, three and four bytes, and about as dense as a language.
fn text(size: usize) -> String {
    let mut random = Random::new(1);
    let words = ["the ", "quick ", "größe ", "naïve ", "狐 ", "🦀 ", "jumps ", "over "];
    let mut text = String::new();
    while text.len() < size {
        text.push_str(words[random.below(words.len())]);
    }
    text
}

/// The same text of that size, compressed, until there is enough.
fn deflated(size: usize, message_size: usize) -> Vec<u8> {
    let text = compress(text(message_size).as_bytes());
    until(size, |out, key| client::compressed_text(out, &text, key))
}

/// The smallest compressed message: RFC 7692 section 7.2.3.6.
fn empty_compressed(size: usize) -> Vec<u8> {
    until(size, |out, key| client::compressed_text(out, &[0], key))
}

/// Messages of zeros, a MiB each.
fn zeros(size: usize) -> Vec<u8> {
    let zeros = compress(&[0; 1 << 20]);
    until(size, |out, key| client::compressed_text(out, &zeros, key))
}

/// The payload of a compressed message.
fn compress(bytes: &[u8]) -> Vec<u8> {
    let settings = Settings { window_bits: 15, memory_level: 8, level: 6 };
    let mut compressor = Compressor::new(settings).expect("the settings are right");
    let mut out = Vec::new();
    compressor.compress(bytes, false, &mut out).expect("there is no limit");
    out
}
