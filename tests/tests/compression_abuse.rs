//! What a client that has negotiated compression can do wrong (RFC 7692), and what becomes of it:
//! its own connection fails with the right code, and its neighbours do not notice.

use ringwire::{Compression, Config, Limits};
use ringwire_protocol::deflate::{Compressor, Offer, Policy, Settings};
use ringwire_protocol::frame::Opcode;
use ringwire_tests::{
    BINARY, CLOSE, CONTINUATION, Client, FIN, Frame, Length, Neighbor, PING, PONG, Peer, RSV1,
    RSV2, RSV3, TEXT, TestServer, config, frame, header, mask, text, writes,
};

/// "Hello", as RFC 7692 section 7.2.3 has it.
const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
/// The same in a block that calls itself the last.
const HELLO_LAST: [u8; 7] = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
/// The same without compression, without the block that ends a message.
const HELLO_STORED: [u8; 10] = [0x00, 0x05, 0x00, 0xfa, 0xff, b'H', b'e', b'l', b'l', b'o'];

const SIZE_MAX: usize = 100_000;

fn server(compression: Compression) -> TestServer {
    let limits =
        Limits { message_size_max: SIZE_MAX, frame_size_max: SIZE_MAX, ..Limits::default() };
    TestServer::echo(Config { compression: Some(compression), limits, ..config() }).0
}

/// Both ways to keep the state of a connection: in it, or in a pool where others find it.
fn servers() -> [TestServer; 2] {
    [server(Compression::shared()), server(Compression::dedicated())]
}

/// One that compresses and one that does not.
struct Neighbors {
    plain: Neighbor,
    compressing: Peer,
    count: usize,
}

impl Neighbors {
    fn new(server: &TestServer) -> Self {
        let policy = Policy { size_min: 0, ..Policy::default() };
        let compressing = Peer::connect(server.address(), &Offer::default(), &policy);
        assert!(compressing.agreed().is_some());
        Self { plain: Neighbor::new(server), compressing, count: 0 }
    }

    fn check(&mut self) {
        self.plain.check();
        self.count += 1;
        let message = format!("message {} ", self.count).repeat(50);
        self.compressing.echo(&message.into());
    }
}

fn open(server: &TestServer) -> Client {
    let (client, accepted) = Client::offering(server.address(), &["permessage-deflate"]);
    assert!(accepted.is_some());
    client
}

/// A whole message whose payload is said to be compressed.
fn compressed(opcode: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(FIN | RSV1 | opcode, payload)
}

/// Checks that `stream` is answered with `echoes`, then with `code` and the end of the stream,
/// however it is cut.
#[track_caller]
fn answers(server: &TestServer, stream: &[u8], echoes: &[Frame], code: u16) {
    let mut neighbors = Neighbors::new(server);
    for pieces in writes(stream) {
        let mut client = open(server);
        for piece in &pieces {
            client.write(piece);
        }
        let mut frames = client.read_frames();
        let close = frames.pop().and_then(|close| close.close_code());
        assert_eq!((&frames[..], close), (echoes, Some(code)), "to {pieces:02X?}");
        neighbors.check();
    }
}

/// Checks that `stream` fails a connection with `code`; that a message before it is answered and
/// one after it is not.
#[track_caller]
fn fails(server: &TestServer, stream: &[u8], code: u16) {
    answers(server, stream, &[], code);
    let hello = compressed(TEXT, HELLO);
    let among = [&hello[..], stream, &hello, &text("late")].concat();
    answers(server, &among, &[Frame::text("Hello")], code);
}

/// Checks that `payload` is a message in itself, in one frame and in frames of a byte each.
#[track_caller]
fn reads(server: &TestServer, payload: &[u8], message: &[u8]) {
    let mut client = open(server);
    let hello = compressed(TEXT, HELLO);
    let frames = payload.chunks(1).enumerate().map(|(number, byte)| {
        let fin = if number + 1 == payload.len() { FIN } else { 0 };
        let bytewise = if number == 0 { RSV1 | BINARY } else { CONTINUATION };
        [frame(FIN | PING, ""), frame(fin | bytewise, byte)].concat()
    });
    let bytewise = frames.collect::<Vec<_>>().concat();
    client.write([hello.clone(), compressed(BINARY, payload), bytewise, hello].concat());
    let mut frames =
        std::iter::from_fn(|| client.read_frame()).filter(|frame| frame.first != FIN | PONG);
    for expected in
        [Frame::text("Hello"), Frame::binary(message), Frame::binary(message), Frame::text("Hello")]
    {
        assert_eq!(frames.next(), Some(expected), "to {payload:02X?}");
    }
}

#[test]
fn reserved_bits() {
    for server in servers() {
        //= RFC 7692 6.1: An endpoint MUST NOT set the "Per-Message Compressed" bit of control
        //= frames and non-first fragments of a data message.
        for opcode in [PING, PONG, CLOSE, CONTINUATION] {
            fails(&server, &frame(FIN | RSV1 | opcode, ""), 1002);
        }
        for first in [RSV1 | BINARY, BINARY] {
            let between = [frame(first, &HELLO[..3]), frame(FIN | RSV1 | PING, "")];
            fails(&server, &between.concat(), 1002);
            let next = [frame(first, &HELLO[..3]), frame(FIN | RSV1 | CONTINUATION, &HELLO[3..])];
            fails(&server, &next.concat(), 1002);
        }
        for bits in [RSV2, RSV3, RSV2 | RSV3, RSV1 | RSV2, RSV1 | RSV3, RSV1 | RSV2 | RSV3] {
            for opcode in [TEXT, BINARY, PING] {
                fails(&server, &frame(FIN | bits | opcode, HELLO), 1002);
            }
        }
    }
}

#[test]
fn a_reserved_bit_without_an_offer() {
    for server in servers() {
        let mut neighbors = Neighbors::new(&server);
        let mut client = server.client();
        client.write([text("early"), compressed(TEXT, HELLO), text("late")].concat());
        client.expect(&Frame::text("early"));
        client.expect_close(Some(1002));
        neighbors.check();
    }
}

#[test]
fn broken_streams() {
    let cases: [&[u8]; 16] = [
        // Nothing: not even the block whose end is cut.
        &[],
        // Cut in a block, and before the block that ends a message.
        &HELLO[..1],
        &HELLO[..5],
        &HELLO[..6],
        &HELLO_STORED[..4],
        &HELLO_STORED[..7],
        &HELLO_STORED,
        // The four octets that a sender removes.
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00, 0x00, 0xff, 0xff],
        // The reserved type of block, at once and in the second block.
        &[0x06],
        &[0x00, 0x00, 0x00, 0xff, 0xff, 0x06, 0x00],
        &[0xff, 0xff, 0xff, 0xff],
        // A length that its complement does not match.
        &[0x00, 0x05, 0x00, 0xfa, 0xfe, b'H', b'e', b'l', b'l', b'o', 0x00],
        // A reference to before the first byte of the connection.
        &[0x02, 0x00, 0x11, 0x00, 0x00],
        // A code with more symbols than it has room for.
        &[0x04, 0x00, 0xfe, 0xff, 0xff, 0xff, 0xff],
        // What follows a last block is no stream, or not a whole one.
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x07],
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0xf2, 0x48],
    ];
    for server in servers() {
        for case in cases {
            answers(&server, &compressed(BINARY, case), &[], 1007);
        }
        for case in cases.into_iter().filter(|case| !case.starts_with(&[0x02])) {
            fails(&server, &compressed(TEXT, case), 1007);
            let (first, rest) = case.split_at(case.len() / 2);
            let fragments = [
                frame(RSV1 | BINARY, first),
                frame(CONTINUATION, ""),
                frame(FIN | CONTINUATION, rest),
            ];
            fails(&server, &fragments.concat(), 1007);
        }
    }
}

#[test]
fn unusual_streams() {
    for server in servers() {
        // Nothing, in each type of block, last or not.
        for empty in [&[0x00][..], &[0x02, 0x00], &[0x03, 0x00], &[0x01, 0x00, 0x00, 0xff, 0xff]] {
            reads(&server, empty, b"");
        }
        reads(&server, &[&HELLO_STORED[..], &[0x00]].concat(), b"Hello");
        // A last block, with the octet that the RFC's example adds, and without.
        reads(&server, &[&HELLO_LAST[..], &[0x00]].concat(), b"Hello");
        reads(&server, &HELLO_LAST, b"Hello");
        // After a last block another stream.
        reads(&server, &[HELLO_LAST, HELLO_LAST].concat(), b"HelloHello");
        reads(&server, &[HELLO_LAST, HELLO].concat(), b"HelloHello");
        // Empty blocks at the end, each with its four octets but the last.
        let tails = [0x00, 0x00, 0x00, 0xff, 0xff].repeat(20);
        reads(&server, &[&HELLO_STORED[..], &tails, &[0x00]].concat(), b"Hello");
        reads(&server, &[&HELLO_LAST[..], &tails, &[0x00]].concat(), b"Hello");
    }
}

/// One block without compression.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("a block has a length of 16 bits");
    [&[0x00][..], &length.to_le_bytes(), &(!length).to_le_bytes(), bytes].concat()
}

#[test]
fn text_that_is_not_utf8() {
    for server in servers() {
        for bad in [&b"a\xff"[..], b"\xed\xa0\x80", b"\xc0\x80", b"\xe2\x82"] {
            let payload = [&stored(bad)[..], &[0x00]].concat();
            fails(&server, &compressed(TEXT, &payload), 1007);
            reads(&server, &payload, bad);
        }
        // A character in two blocks, in two frames, is one.
        let halves = [stored(b"\xe2\x82"), stored(b"\xac"), vec![0x00]].concat();
        let mut client = open(&server);
        for cut in 0..=halves.len() {
            let (first, rest) = halves.split_at(cut);
            let frames = [frame(RSV1 | TEXT, first), frame(FIN | CONTINUATION, rest)];
            client.write(frames.concat());
            client.expect(&Frame::text("€"));
        }
    }
}

/// The first bytes of a frame that never ends, as if it were a compressed text of nearly the limit.
fn endless(start: &[u8]) -> Vec<u8> {
    let key = [9, 8, 7, 6];
    let length = Length::Long(SIZE_MAX as u64);
    [header(FIN | RSV1 | TEXT, length, Some(key)), mask(start, key)].concat()
}

/// The payload of a message of `size` zeros.
fn zeros(size: usize) -> Vec<u8> {
    let settings = Settings { window_bits: 15, memory_level: 8, level: 9 };
    let mut payload = Vec::new();
    let mut compressor = Compressor::new(settings).expect("good settings");
    compressor.compress(&vec![0; size], false, &mut payload).expect("it compresses");
    payload
}

#[test]
fn a_frame_that_never_ends_fails_at_once() {
    let bomb = zeros(2 * SIZE_MAX);
    for server in servers() {
        answers(&server, &endless(&stored(b"text\xff")), &[], 1007);
        answers(&server, &endless(&[0x06]), &[], 1007);
        answers(&server, &endless(&[stored(b"text"), vec![0x06]].concat()), &[], 1007);
        answers(&server, &endless(&bomb), &[], 1009);
    }
}

#[test]
fn a_message_is_too_big_at_the_byte() {
    for server in servers() {
        let mut neighbors = Neighbors::new(&server);
        let offer = Offer::default();
        for piece in [1, 7, usize::MAX] {
            let mut peer = Peer::connect(server.address(), &offer, &Policy::default());
            peer.send_frames(Opcode::Binary, &zeros(SIZE_MAX), piece);
            peer.expect(&vec![0; SIZE_MAX].into());
            peer.send_frames(Opcode::Binary, &zeros(SIZE_MAX + 1), piece);
            assert_eq!(peer.read(), Err(Some(1009)));
            neighbors.check();
        }
        // However much more there is.
        let mut peer = Peer::connect(server.address(), &offer, &Policy::default());
        peer.send_frames(Opcode::Text, &zeros(8 << 20), usize::MAX);
        assert_eq!(peer.read(), Err(Some(1009)));
        neighbors.check();
        // A frame beyond its own limit is too big whatever is in it.
        let frame = header(FIN | RSV1 | BINARY, Length::Long(SIZE_MAX as u64 + 1), Some([0; 4]));
        answers(&server, &frame, &[], 1009);
    }
}

#[test]
fn a_message_may_be_too_dense() {
    let server = server(Compression { ratio_max: 20, ..Compression::shared() });
    let mut neighbors = Neighbors::new(&server);
    let policy = Policy { level: 9, ..Policy::default() };
    let mut peer = Peer::connect(server.address(), &Offer::default(), &policy);
    peer.echo(&vec![0; 64 << 10].into());
    peer.send(&vec![0; (64 << 10) + 1].into());
    assert_eq!(peer.read(), Err(Some(1009)));
    neighbors.check();
}
