//! Writes the seeds that are kept, from which each run starts: `cargo run --example seeds`.
//!
//! A seed is the fields of an `Input` in their order, one byte for each small one, and then what
//! takes the rest. It shows libFuzzer a way that it would take long to find by itself.

use std::path::Path;
use std::{fs, io};

use ringwire_protocol::deflate::{Compressor, Settings};
use ringwire_protocol::handshake::ClientRequest;
use ringwire_protocol::{Close, Limits, Role};
use ringwire_protocol_fuzz::side::Side;

fn main() -> io::Result<()> {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    let targets = [
        ("header", header()),
        ("close", close()),
        ("receiver", receiver()),
        ("compressed", compressed()),
        ("decompressed", decompressed()),
        ("offers", offers()),
        ("handshake", handshake()),
    ];
    for (target, named) in targets {
        let folder = seeds.join(target);
        fs::create_dir_all(&folder)?;
        for (name, bytes) in named {
            fs::write(folder.join(name), bytes)?;
        }
    }
    Ok(())
}

type Seeds = Vec<(&'static str, Vec<u8>)>;

fn header() -> Seeds {
    // From a client or not, with compression or not.
    let seed = |name, from_client, deflate, bytes: &[u8]| {
        (name, [&[from_client, deflate], bytes].concat())
    };
    vec![
        seed("masked-text", 1, 0, b"\x81\x85\x37\xfa\x21\x3d"),
        seed("compressed", 0, 1, b"\xc1\x07"),
        seed("length-of-two-bytes", 0, 0, b"\x82\x7e\x01\x00"),
        seed("length-of-eight-bytes", 1, 0, b"\x82\xff\0\0\0\0\0\x01\0\0\x01\x02\x03\x04"),
        seed("ping", 0, 0, b"\x89\x00"),
    ]
}

fn close() -> Seeds {
    // Server or not, code or not, this side's code, the payload.
    vec![
        ("empty", vec![1, 0, 0, 0]),
        ("normal", b"\x01\x01\xe8\x03\x03\xe8done".to_vec()),
        ("application", b"\x00\x01\xa0\x0f\x0f\xa0caf\xc3\xa9".to_vec()),
        ("forbidden", b"\x00\x01\xee\x03\x03\xee".to_vec()),
    ]
}

/// What a side of this role sends.
fn sent(role: Role, send: impl FnOnce(&mut Side)) -> Vec<u8> {
    let mut side = Side::new(role, Limits::default());
    send(&mut side);
    side.out
}

fn receiver() -> Seeds {
    // Server or not, closed before or not, a limit of 255 << 8 bytes twice, 9 fragments, cuts.
    let seed = |name, server, closed, bytes: &[u8]| {
        (name, [&[server, closed, 255, 8, 255, 8, 9, 2, 0, 130, 6], bytes].concat())
    };
    let conversation = |role| {
        sent(role, |Side { sender, workspace, out, .. }| {
            let done = [
                sender.message("Hello é", workspace, out),
                sender.fragment(&[1, 2, 3][..], false, workspace, out),
                sender.ping(b"still there?", workspace, out),
                sender.fragment(&[4; 200][..], true, workspace, out),
                sender.pong(b"", workspace, out),
                sender.close(Close { code: Some(1000), reason: "done" }, workspace, out),
            ];
            assert_eq!(done, [Ok(()); 6]);
        })
    };
    let text_in_pieces = sent(Role::Client, |Side { sender, workspace, out, .. }| {
        for (index, piece) in ["κό", "σ", "", "με"].into_iter().enumerate() {
            let done = sender.fragment(piece, index == 3, workspace, out);
            assert_eq!(done, Ok(()));
        }
    });
    vec![
        seed("from-client", 1, 0, &conversation(Role::Client)),
        seed("from-server", 0, 0, &conversation(Role::Server)),
        seed("after-close", 1, 1, &conversation(Role::Client)),
        seed("text-in-pieces", 1, 0, &text_in_pieces),
        seed("text-cut-short", 0, 0, b"\x81\x05ab\xf0\x9f\x98"),
        seed("unfinished", 0, 0, b"\x02\x7e\x01\x00\x01\x02"),
    ]
}

fn compressed() -> Seeds {
    // Server or not, window, memory, level, takeover or not, smallest size, whether frames are
    // made by hand and how if so, cuts.
    let sender = |name, settings: [u8; 6], operations: &[u8]| {
        (name, [&settings[..], &[0, 2, 0, 130, 6], operations].concat())
    };
    let by_hand = |name, settings: [u8; 6], operations: &[u8]| {
        (name, [&settings[..], &[1, 0, 7, 30, 128, 2, 0, 130, 6], operations].concat())
    };
    let words =
        b"\x00\x05\x0bsome words \x01\x00\x04\x00\x01\x02\x03\x02\x00\x01p\x00\x05\x0bsome words ";
    let long = b"\x01\xff\x20the window is shorter than this.\x03\x00\x02as\x00\x00\x00";
    vec![
        sender("words", [1, 6, 7, 6, 1, 0], words),
        sender("words-forgotten", [0, 6, 7, 1, 0, 8], words),
        sender("long", [1, 0, 0, 9, 1, 0], long),
        by_hand("words-in-fragments", [0, 6, 7, 6, 1, 0], words),
        by_hand("long-in-fragments", [1, 3, 4, 0, 0, 0], long),
    ]
}

fn decompressed() -> Seeds {
    // Server or not, takeover or not, ratio, a limit of 255 << 11 bytes, cuts.
    let seed = |name, ratio: u16, message_size_max: [u8; 2], frames: &[u8]| {
        let [low, high] = ratio.to_le_bytes();
        let [size, shift] = message_size_max;
        (name, [&[1, 1, low, high, size, shift, 2, 0, 130, 6], frames].concat())
    };
    let payload = |message: &[u8]| {
        let settings = Settings { window_bits: 15, memory_level: 8, level: 9 };
        let mut compressor = Compressor::new(settings).expect("they are in range");
        let mut payload = Vec::new();
        compressor.compress(message, true, &mut payload).expect("zlib goes on");
        payload
    };
    let frame = |what: u8, payload: &[u8]| {
        let size = u8::try_from(payload.len()).expect("it is short");
        [&[what, size], payload].concat()
    };
    let (text, bomb) = (payload("a text, a text, é".as_bytes()), payload(&[0; 200_000]));
    let (start, rest) = text.split_at(5);
    let fragments = [frame(1, start), frame(8, b"ping"), frame(2, rest)].concat();
    vec![
        seed("text", 2000, [255, 11], &[frame(3, &text), frame(3, &text)].concat()),
        seed("fragments", 2000, [255, 11], &fragments),
        seed("too-dense", 100, [255, 11], &frame(2, &bomb)),
        seed("too-big", 2000, [100, 2], &frame(2, &bomb)),
        seed("no-text", 2000, [255, 11], &frame(3, &payload(b"caf\xe9"))),
        seed("last-block", 2000, [255, 11], b"\x02\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),
        seed("stored-block", 2000, [255, 11], b"\x02\x0b\x00\x05\x00\xfa\xffHello\x00"),
        seed("empty-blocks", 2000, [1, 0], &frame(18, &[0x00, 0x00, 0x00, 0xff, 0xff].repeat(40))),
        seed("broken-after-text", 2000, [255, 11], &frame(3, b"\x00\x02\x00\xfd\xffa\xff\x06")),
        seed(
            "uncompressed-between",
            2000,
            [255, 11],
            b"\x06\x02ab\x02\x07\xf2\x48\xcd\xc9\xc9\x07\x00",
        ),
    ]
}

fn offers() -> Seeds {
    // Bits and flags of the policy, bits and flags of the offer, then the two headers.
    let seed = |name, settings: [u8; 8], headers: &[u8]| (name, [&settings[..], headers].concat());
    vec![
        seed(
            "browser",
            [6, 6, 0, 0, 0, 7, 0, 0],
            b"permessage-deflate; client_max_window_bits\npermessage-deflate",
        ),
        seed(
            "narrow",
            [1, 1, 1, 1, 3, 3, 1, 1],
            b"permessage-deflate; server_max_window_bits=8, permessage-deflate; \
              server_max_window_bits=10; client_max_window_bits=\"12\"\npermessage-deflate; \
              server_no_context_takeover; server_max_window_bits=9; client_max_window_bits=10",
        ),
        seed(
            "alternatives",
            [6, 0, 0, 1, 7, 0, 0, 1],
            b"x-webkit-deflate-frame, permessage-deflate; server_no_context_takeover; \
              client_no_context_takeover, permessage-deflate; unknown\npermessage-deflate; \
              server_max_window_bits=15; client_no_context_takeover",
        ),
    ]
}

fn handshake() -> Seeds {
    // What the bytes are, what is taken off the three limits, cuts.
    let seed =
        |name, what, bytes: &[u8]| (name, [&[what, 0, 0, 0, 0, 0, 2, 0, 130, 6], bytes].concat());
    let mut asked = Vec::new();
    let request = ClientRequest {
        subprotocols: &["chat", "feed"],
        extensions: Some("permessage-deflate; client_max_window_bits"),
        origin: Some("https://example.com"),
        headers: &[("Authorization", "Basic YTpi")],
        ..ClientRequest::new("example.com:9001", "/feed?depth=5", *b"the sample nonce")
    };
    request.encode(&mut asked).expect("it is well-formed");
    vec![
        seed("upgrade", 0, &asked),
        seed("page", 0, b"GET http://a/b HTTP/1.1\r\nHost: [::1]:80\r\nCookie: c=d\r\n\r\n"),
        seed("post", 0, b"\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nHello"),
        seed("old", 0, b"GET / HTTP/1.0\r\n\r\n"),
        seed(
            "accepted",
            1,
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
              Sec-WebSocket-Protocol: feed\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
        ),
        seed("redirected", 1, b"HTTP/1.1 302 Found\r\nLocation: https://a/\r\n\r\n"),
        seed("asked", 2, b"example.com\n/feed?a=b\nchat\nhttps://example.com\nX-Node\n7"),
    ]
}
