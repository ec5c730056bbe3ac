//! RFC 6455 section 5.4: messages in several frames.

use ringwire::Config;
use ringwire_tests::{
    BINARY, CONTINUATION, FIN, Frame, TEXT, TestServer, answers, close, config, fails, frame,
    message, ping, pong, text,
};

#[test]
fn fragments_become_one_message() {
    let (server, _events) = TestServer::echo(config());
    let stream = [
        message(TEXT, &[b"Hel", b"lo"]),
        message(BINARY, &[b"\x00", b"\xFF", b"\x80"]),
        text("whole"),
        close(1000, ""),
    ];
    let echoes = [Frame::text("Hello"), Frame::binary(b"\x00\xFF\x80"), Frame::text("whole")];
    answers(&server, &stream.concat(), &echoes, Some(1000));
}

#[test]
fn empty_fragments() {
    let (server, _events) = TestServer::echo(config());
    //= RFC 6455 5.4: A fragmented message consists of a single frame with the FIN bit clear and an
    //= opcode other than 0, followed by zero or more frames with the FIN bit clear and the opcode
    //= set to 0, and terminated by a single frame with the FIN bit set and an opcode of 0.
    let stream = [
        message(TEXT, &[b"", b""]),
        message(BINARY, &[b"", b"", b""]),
        message(TEXT, &[b"", b"a", b"", b"b", b""]),
        close(1000, ""),
    ];
    let echoes = [Frame::text(""), Frame::binary(""), Frame::text("ab")];
    answers(&server, &stream.concat(), &echoes, Some(1000));
}

#[test]
fn control_frames_between_fragments() {
    let (server, _events) = TestServer::echo(config());
    //= RFC 6455 5.4: Control frames (see Section 5.5) MAY be injected in the middle of a fragmented
    //= message.
    let stream = [
        frame(TEXT, "a"),
        ping("1"),
        frame(CONTINUATION, "b"),
        pong("unasked"),
        ping(""),
        frame(FIN | CONTINUATION, "c"),
        close(1001, ""),
    ];
    let answer = [Frame::pong("1"), Frame::pong(""), Frame::text("abc")];
    answers(&server, &stream.concat(), &answer, Some(1001));
}

#[test]
fn a_close_between_fragments() {
    let (server, _events) = TestServer::echo(config());
    let stream = [frame(TEXT, "a"), close(3000, "enough"), frame(FIN | CONTINUATION, "b")];
    answers(&server, &stream.concat(), &[], Some(3000));
}

#[test]
fn continuations_without_a_message() {
    let (server, _events) = TestServer::echo(config());
    for first in [CONTINUATION, FIN | CONTINUATION] {
        fails(&server, &frame(first, ""), 1002);
        fails(&server, &frame(first, "x"), 1002);
    }
    // The message before it has ended; its echo is due all the same.
    let stream = [message(TEXT, &[b"a", b"b"]), frame(FIN | CONTINUATION, "c")].concat();
    answers(&server, &stream, &[Frame::text("ab")], Some(1002));
}

#[test]
fn a_message_inside_another() {
    let (server, _events) = TestServer::echo(config());
    //= RFC 6455 5.4: The fragments of one message MUST NOT be interleaved between the fragments of
    //= another message unless an extension has been negotiated that can interpret the interleaving.
    for (outer, inner) in [(TEXT, TEXT), (TEXT, BINARY), (BINARY, TEXT), (BINARY, BINARY)] {
        for fin in [0, FIN] {
            fails(&server, &[frame(outer, "a"), frame(fin | inner, "b")].concat(), 1002);
        }
        let later = [frame(outer, "a"), frame(CONTINUATION, "b"), frame(inner, "")].concat();
        fails(&server, &later, 1002);
    }
}

#[test]
fn large_fragments_and_many() {
    for buffer_size in [64, 4096] {
        let (server, _events) = TestServer::echo(Config { buffer_size, ..config() });
        let mut client = server.client();
        let piece: Vec<u8> = (0..3000_u16).flat_map(u16::to_be_bytes).collect();
        let pieces = vec![&piece[..]; 50];
        client.write(message(BINARY, &pieces));
        client.expect(&Frame::binary(pieces.concat()));
        let letters = vec![&b"x"[..]; 5000];
        client.write(message(TEXT, &letters));
        client.expect(&Frame::text(letters.concat()));
    }
}
