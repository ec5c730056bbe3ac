//! RFC 6455 section 8.1: text is UTF-8, and what is not fails at its first wrong byte.

use ringwire::Config;
use ringwire_tests::{
    BINARY, CONTINUATION, FIN, Frame, Length, TEXT, TestServer, answers, close, config, fails,
    frame, header, mask, message, text,
};

const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// The borders of each form of character.
const CHARACTERS: [&str; 12] = [
    "\0",
    "\u{7F}",
    "\u{80}",
    "\u{7FF}",
    "\u{800}",
    "\u{D7FF}",
    "\u{E000}",
    "\u{FEFF}",
    "\u{FFFF}",
    "\u{10000}",
    "\u{FFFFF}",
    "\u{10FFFF}",
];

/// Bytes after which no text can follow: the last is the first wrong one.
const WRONG: [&[u8]; 20] = [
    b"\x80",
    b"\xBF",
    b"\xC0",
    b"\xC1",
    b"\xC2\x7F",
    b"\xC2\xC0",
    b"\xE0\x9F",
    b"\xE1\xC0",
    b"\xE1\x80\x7F",
    b"\xED\xA0",
    b"\xEF\x80\xC0",
    b"\xF0\x8F",
    b"\xF1\x7F",
    b"\xF1\x80\x7F",
    b"\xF1\x80\x80\x7F",
    b"\xF4\x90",
    b"\xF5",
    b"\xF8",
    b"\xFE",
    b"\xFF",
];

#[test]
fn every_form_of_character() {
    let (server, _events) = TestServer::echo(config());
    let mut client = server.client();
    for character in CHARACTERS {
        // Behind enough text that all ways of looking at it come to their turn.
        for before in [0, 1, 15, 31, 63, 64, 100] {
            let payload = format!("{}{character}!", "a".repeat(before));
            client.write(text(&payload));
            client.expect(&Frame::text(&payload));
        }
    }
}

#[test]
fn characters_split_over_fragments() {
    let (server, _events) = TestServer::echo(config());
    //= RFC 6455 5.6: Note that a particular text frame might include a partial UTF-8 sequence;
    //= however, the whole message MUST contain valid UTF-8.
    let mut client = server.client();
    let payload = CHARACTERS.concat();
    for cut in 0..=payload.len() {
        let (left, right) = payload.as_bytes().split_at(cut);
        client.write(message(TEXT, &[left, right]));
        client.expect(&Frame::text(&payload));
    }
    let bytes: Vec<&[u8]> = payload.as_bytes().chunks(1).collect();
    client.write(message(TEXT, &bytes));
    client.expect(&Frame::text(&payload));
}

#[test]
fn characters_split_over_writes() {
    for buffer_size in [64, 32 << 10] {
        let (server, _events) = TestServer::echo(Config { buffer_size, ..config() });
        let mut client = server.client();
        let payload = CHARACTERS.concat();
        for byte in text(&payload) {
            client.write([byte]);
        }
        client.expect(&Frame::text(&payload));
        let long = payload.repeat(100);
        client.write(text(&long));
        client.expect(&Frame::text(&long));
    }
}

#[test]
fn text_that_is_wrong() {
    let (server, _events) = TestServer::echo(config());
    //= RFC 6455 8.1: When an endpoint is to interpret a byte stream as UTF-8 but finds that the
    //= byte stream is not, in fact, a valid UTF-8 stream, that endpoint MUST _Fail the WebSocket
    //= Connection_.
    for wrong in WRONG {
        fails(&server, &text(wrong), 1007);
        fails(&server, &text([b"good ", wrong, b" good"].concat()), 1007);
        fails(&server, &message(TEXT, &[b"good", wrong, b"good"]), 1007);
    }
    // Of a sequence, the bytes may come in fragments of their own.
    fails(&server, &message(TEXT, &[b"\xED", b"\xA0", b"\x80"]), 1007);
    fails(&server, &message(TEXT, &[b"\xC2", b"", b"a"]), 1007);
}

#[test]
fn text_that_ends_inside_a_character() {
    let (server, _events) = TestServer::echo(config());
    for cut in [&b"\xC2"[..], b"\xE1\x80", b"\xF1\x80\x80", b"\xF1"] {
        fails(&server, &text([b"good", cut].concat()), 1007);
        fails(&server, &message(TEXT, &[b"good", cut, b""]), 1007);
    }
}

#[test]
fn it_shows_while_the_frame_is_arriving() {
    let (server, _events) = TestServer::echo(config());
    for wrong in WRONG {
        // The frame is never finished, and neither is the message.
        for (first, length) in [(FIN | TEXT, 100), (TEXT, 100), (FIN | TEXT, 60_000)] {
            let payload = [b"good ", wrong].concat();
            let head = header(first, Length::shortest(length), Some(KEY));
            let mut client = server.client();
            client.write([head, mask(&payload, KEY)].concat());
            client.expect_close(Some(1007));
        }
        let mut client = server.client();
        let head = header(CONTINUATION, Length::Short(100), Some(KEY));
        client.write([frame(TEXT, "good"), head, mask(wrong, KEY)].concat());
        client.expect_close(Some(1007));
    }
}

#[test]
fn it_shows_at_the_byte_that_is_wrong() {
    let (server, _events) = TestServer::echo(config());
    for wrong in WRONG {
        let head = header(FIN | TEXT, Length::Short(50), Some(KEY));
        let stream = [head, mask(&[b"good", wrong].concat(), KEY)].concat();
        let mut client = server.client();
        for byte in &stream {
            client.write([*byte]);
        }
        client.expect_close(Some(1007));
    }
}

#[test]
fn bytes_are_not_text() {
    let (server, _events) = TestServer::echo(config());
    let wrong = WRONG.concat();
    let stream = [frame(FIN | BINARY, &wrong), message(BINARY, &WRONG), close(1000, "")];
    let echoes = [Frame::binary(&wrong), Frame::binary(&wrong)];
    answers(&server, &stream.concat(), &echoes, Some(1000));
}
