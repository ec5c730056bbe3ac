//! The opening handshake on the side of the server, from the bytes of a browser's request to those
//! of the answer. `fastwebsockets` leaves it to an HTTP server, and is missing.

use std::hint::black_box;

use ringwire_protocol::handshake::{Accept, Head, Limits, Request};
use sockudo_ws::handshake::{build_response, generate_accept_key, parse_request};
use tokio_tungstenite::tungstenite;

use super::contest::{Contest, Job};
use super::memory::{Memory, ready};

const REQUEST: &[u8] = b"GET /feed?symbols=EURUSD HTTP/1.1\r\n\
    Host: stream.example.com\r\n\
    Connection: Upgrade\r\n\
    Pragma: no-cache\r\n\
    Cache-Control: no-cache\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/142.0.0.0 Safari/537.36\r\n\
    Upgrade: websocket\r\n\
    Origin: https://www.example.com\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    \r\n";

pub(super) fn contests() -> Vec<Contest> {
    let mut out = Vec::with_capacity(1024);
    let mut theirs = Vec::with_capacity(1024);
    let builder = tokio_websockets::ServerBuilder::new();
    let jobs = vec![
        Job::new("ringwire", move || {
            out.clear();
            answer(black_box(REQUEST), &mut out);
            assert!(!black_box(&out).is_empty());
        }),
        Job::new("sockudo-ws", move || {
            theirs.clear();
            if let Ok(Some((request, _))) = parse_request(black_box(REQUEST)) {
                let key = generate_accept_key(request.key);
                theirs.extend_from_slice(&build_response(&key, None, None));
            }
            assert!(!black_box(&theirs).is_empty());
        }),
        Job::new("tungstenite", || {
            assert!(black_box(tungstenite::accept(Memory::new(black_box(REQUEST)))).is_ok());
        }),
        Job::new("tokio-websockets", move || {
            let accepted = ready(builder.accept(Memory::new(black_box(REQUEST))));
            assert!(black_box(accepted).is_ok());
        }),
    ];
    let size = REQUEST.len();
    vec![Contest { kernel: "handshake".to_owned(), case: size.to_string(), size, jobs }]
}

/// Appends the answer; nothing where the request is refused.
fn answer(bytes: &[u8], out: &mut Vec<u8>) {
    let Ok(Some(length)) = Head::request().scan(bytes, &Limits::default()) else { return };
    if let Ok(request) = Request::parse(&bytes[..length])
        && let Ok(Some(upgrade)) = request.upgrade()
    {
        assert!(Accept::default().encode(&upgrade, out).is_ok());
    }
}
