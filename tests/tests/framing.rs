//! RFC 6455 section 5.2: lengths, reserved bits and opcodes, and the limits of section 10.4.

use ringwire::{Config, Limits, Violation};
use ringwire_tests::{
    BINARY, CONTINUATION, End, Event, FIN, Frame, Length, TEXT, TestServer, answers, binary, close,
    config, ended, fails, frame, header, mask, message, text,
};

const KEY: [u8; 4] = [0xA5, 0, 0xFF, 1];

#[test]
fn every_length_in_its_shortest_form() {
    let lengths = [0, 1, 2, 7, 8, 63, 64, 124, 125, 126, 127, 128, 255, 256, 4095, 65_535, 65_536];
    // In the first, nothing but the shortest frames lies whole in one buffer.
    for buffer_size in [64, 32 << 10] {
        let (server, _events) = TestServer::echo(Config { buffer_size, ..config() });
        let mut client = server.client();
        for length in lengths.into_iter().chain([100_000, 1 << 20]) {
            let payload: Vec<u8> = (0..length).map(|at| b'a' + (at % 23) as u8).collect();
            client.write(binary(&payload));
            client.expect(&Frame::binary(&payload));
            client.write(text(&payload));
            client.expect(&Frame::text(&payload));
        }
        client.write(close(1000, ""));
        client.expect_close(Some(1000));
    }
}

#[test]
fn lengths_in_a_longer_form() {
    let (server, _events) = TestServer::echo(config());
    //= RFC 6455 5.2: Note that in all cases, the minimal number of bytes MUST be used to encode
    //= the length, for example, the length of a 124-byte-long string can't be encoded as the
    //= sequence 126, 0, 124.
    for length in [0, 1, 124, 125] {
        let payload = vec![b'x'; usize::from(length)];
        let stream = header(FIN | TEXT, Length::Medium(length), Some(KEY));
        fails(&server, &[stream, mask(&payload, KEY)].concat(), 1002);
    }
    for length in [0, 125, 126, 65_535] {
        // Without a byte of the payload: the length alone is wrong.
        fails(&server, &header(FIN | BINARY, Length::Long(length), Some(KEY)), 1002);
    }
}

#[test]
fn lengths_with_their_highest_bit_set() {
    let (server, _events) = TestServer::echo(config());
    //= RFC 6455 5.2: If 127, the following 8 bytes interpreted as a 64-bit unsigned integer (the
    //= most significant bit MUST be 0) are the payload length.
    for length in [1 << 63, 1 << 63 | 5, u64::MAX] {
        fails(&server, &header(FIN | BINARY, Length::Long(length), Some(KEY)), 1002);
    }
    // Without it, a length that nobody has room for is too big, and not wrong.
    fails(&server, &header(FIN | BINARY, Length::Long((1 << 63) - 1), Some(KEY)), 1009);
}

#[test]
fn reserved_bits() {
    let (server, events) = TestServer::echo(config());
    //= RFC 6455 5.2: If a nonzero value is received and none of the negotiated extensions defines
    //= the meaning of such a nonzero value, the receiving endpoint MUST _Fail the WebSocket
    //= Connection_.
    for bits in 1..8 {
        for opcode in [0x1, 0x2, 0x8, 0x9, 0xA] {
            fails(&server, &frame(FIN | bits << 4 | opcode, "x"), 1002);
        }
        let continued = [frame(TEXT, "a"), frame(FIN | bits << 4 | CONTINUATION, "b")].concat();
        fails(&server, &continued, 1002);
    }
    let told = events
        .try_iter()
        .any(|event| event == Event::Error(End::Violation(Violation::ReservedBits)));
    assert!(told, "the handler is told why");
}

#[test]
fn a_reserved_bit_shows_before_the_frame_is_whole() {
    let (server, _events) = TestServer::echo(config());
    let mut client = server.client();
    client.write([FIN | 0x40 | TEXT]);
    client.expect_close(Some(1002));
}

#[test]
fn reserved_opcodes() {
    let (server, _events) = TestServer::echo(config());
    //= RFC 6455 5.2: If an unknown opcode is received, the receiving endpoint MUST _Fail the
    //= WebSocket Connection_.
    for opcode in (3..=7).chain(0xB..=0xF) {
        for fin in [0, FIN] {
            fails(&server, &frame(fin | opcode, ""), 1002);
            fails(&server, &frame(fin | opcode, "x"), 1002);
        }
        // Inside a fragmented message too.
        fails(&server, &[frame(TEXT, "a"), frame(FIN | opcode, "")].concat(), 1002);
    }
}

#[test]
fn the_limits() {
    let limits = Limits {
        message_size_max: 300,
        frame_size_max: 200,
        fragments_max: 4,
        ..Limits::default()
    };
    let (server, _events) = TestServer::echo(Config { limits, ..config() });
    let (most, rest) = ([b'x'; 200], [b'x'; 100]);
    let accepted = [
        message(BINARY, &[&most]),
        message(BINARY, &[&most, &rest]),
        message(BINARY, &[b"", b"", b"", b""]),
        close(1000, ""),
    ];
    let echoes =
        [Frame::binary(most), Frame::binary([&most[..], &rest[..]].concat()), Frame::binary("")];
    answers(&server, &accepted.concat(), &echoes, Some(1000));
    //= RFC 6455 10.4: Implementations that have implementation- and/or platform-specific
    //= limitations regarding the frame size or total message size after reassembly from multiple
    //= frames MUST protect themselves against exceeding those limits.
    //= RFC 6455 7.4.1: 1009 indicates that an endpoint is terminating the connection because it
    //= has received a message that is too big for it to process.
    fails(&server, &frame(FIN | BINARY, [b'x'; 201]), 1009);
    fails(&server, &message(TEXT, &[&most, &rest, b"x"]), 1009);
    // What is declared is enough.
    fails(&server, &header(FIN | TEXT, Length::Medium(201), Some(KEY)), 1009);
    fails(&server, &header(TEXT, Length::Long(1 << 40), Some(KEY)), 1009);
    //= RFC 6455 7.4.1: 1008 indicates that an endpoint is terminating the connection because it
    //= has received a message that violates its policy.
    fails(&server, &message(BINARY, &[b"", b"", b"", b"", b""]), 1008);
}

#[test]
fn what_was_right_before_a_violation_is_told_first() {
    let (server, events) = TestServer::echo(config());
    let mut client = server.client();
    client.write([text("a"), binary("b"), frame(FIN | 0x3, "")].concat());
    client.expect(&Frame::text("a"));
    client.expect(&Frame::binary("b"));
    client.expect_close(Some(1002));
    let expected = [
        Event::Message("a".into()),
        Event::Message(b"b"[..].into()),
        Event::Error(End::Violation(Violation::ReservedOpcode(3))),
        Event::Close { code: 1006, reason: String::new(), clean: false },
    ];
    assert_eq!(ended(&events), expected);
}
