//! RFC 6455 section 4: the opening handshake, right and wrong, and the pages beside it.

use std::time::{Duration, Instant};

use ringwire::{
    Config, Connection, Handler, HandshakeLimits, Message, Origins, Request, Response, Upgrade,
};
use ringwire_tests::{
    Answer, Client, Frame, Neighbor, PATIENCE, REQUEST, TestServer, close, config, text,
};

/// [`REQUEST`] with `from` replaced by `to`.
fn changed(from: &str, to: &str) -> String {
    assert!(REQUEST.contains(from), "{from}");
    REQUEST.replacen(from, to, 1)
}

/// [`REQUEST`] with more header lines, each with its CRLF.
fn with(lines: &str) -> String {
    let blank = REQUEST.len() - 2;
    [&REQUEST[..blank], lines, "\r\n"].concat()
}

/// Checks that an open connection works, and ends.
fn check_open(client: &mut Client) {
    client.write([text("Hello"), close(1000, "")].concat());
    client.expect(&Frame::text("Hello"));
    client.expect_close(Some(1000));
}

/// What is answered to `request` before the connection ends: a head, and a body of the length that
/// the head says.
fn refused(server: &TestServer, request: impl AsRef<[u8]>) -> (Answer, Vec<u8>) {
    let mut client = Client::connect(server.address());
    client.write(request);
    let answer = client.read_answer();
    let body = client.read_to_end();
    assert!(answer.header("connection").is_some_and(|value| value.starts_with("close")));
    (answer, body)
}

fn check_refusals(server: &TestServer, cases: &[(u16, String)]) {
    let mut neighbor = Neighbor::new(server);
    for (status, request) in cases {
        let (answer, body) = refused(server, request);
        assert_eq!(answer.status, *status, "to {request:?}");
        let length = answer.header("content-length").and_then(|value| value.parse().ok());
        assert_eq!(length, Some(body.len()), "to {request:?}");
    }
    neighbor.check();
}

#[test]
fn good_requests() {
    let (server, _events) = TestServer::echo(config());
    //= RFC 6455 4.2.1: An |Upgrade| header field containing the value "websocket", treated as an
    //= ASCII case-insensitive value.
    //= RFC 6455 4.2.1: A |Connection| header field that includes the token "Upgrade", treated as
    //= an ASCII case-insensitive value.
    let requests = [
        REQUEST.to_owned(),
        changed("Upgrade: websocket", "uPGRADE: WebSOCKET"),
        changed("Upgrade: websocket", "Upgrade: h2c, websocket"),
        changed("Upgrade: websocket", "Upgrade: h2c\r\nUpgrade: websocket"),
        changed("Connection: Upgrade", "connection: keep-alive, UPGRADE"),
        changed("Connection: Upgrade", "Connection: keep-alive\r\nConnection: upgrade"),
        changed("Connection: Upgrade", "Connection:\tupgrade ,, close"),
        changed("Host: server.example.com", "Host:[::1]:9001   "),
        changed("/chat", "/chat?room=1&name=a%20b"),
        changed("/chat", "http://server.example.com/chat"),
        changed("/chat", "ws://server.example.com"),
        changed("Sec-WebSocket-Key", "SEC-WEBSOCKET-KEY"),
        with("Origin: https://example.com\r\nCookie: a=b\r\nUser-Agent: \u{e9}\r\n"),
        with("Content-Length: 0\r\n"),
        with("Sec-WebSocket-Protocol: chat, superchat\r\n"),
        format!("\r\n{REQUEST}"),
    ];
    for request in requests {
        let mut client = Client::connect(server.address());
        client.write(&request);
        let answer = client.read_opening();
        // A subprotocol is chosen by the handler alone.
        assert_eq!(answer.header("sec-websocket-protocol"), None, "to {request:?}");
        check_open(&mut client);
    }
}

#[test]
fn requests_in_every_split() {
    let (server, _events) = TestServer::echo(config());
    let stream = [REQUEST.as_bytes(), &text("behind the head"), &close(1000, "")].concat();
    let cuts = (1..stream.len()).map(|cut| vec![&stream[..cut], &stream[cut..]]);
    for pieces in cuts.chain([stream.chunks(1).collect(), vec![&stream[..]]]) {
        let mut client = Client::connect(server.address());
        for piece in pieces {
            client.write(piece);
        }
        client.read_opening();
        client.expect(&Frame::text("behind the head"));
        client.expect_close(Some(1000));
    }
}

#[test]
fn extensions_that_are_offered() {
    let (server, _events) = TestServer::echo(config());
    //= RFC 6455 9.1: A server MUST NOT respond with any extension not requested by the client.
    // And with none of those that it does not speak, which a client then does not use.
    for offer in ["permessage-deflate; client_max_window_bits", "foo, bar; baz=2", "x; y=\"z\""] {
        let mut client = Client::connect(server.address());
        client.write(with(&format!("Sec-WebSocket-Extensions: {offer}\r\n")));
        assert_eq!(client.read_opening().header("sec-websocket-extensions"), None);
        check_open(&mut client);
    }
}

#[test]
fn wrong_methods_versions_and_targets() {
    let (server, _events) = TestServer::echo(config());
    //= RFC 6455 4.2.1: An HTTP/1.1 or higher GET request, including a "Request-URI" [RFC2616] that
    //= should be interpreted as a /resource name/ defined in Section 3
    let cases = [
        (405, changed("GET", "POST")),
        (405, changed("GET", "get")),
        (405, changed("GET", "HEAD")),
        (405, changed("GET", "CONNECT")),
        (405, "DELETE / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
        (505, changed("HTTP/1.1", "HTTP/1.0")),
        (505, changed("HTTP/1.1", "HTTP/2.0")),
        (400, changed("HTTP/1.1", "HTTP/one")),
        (400, changed("GET /chat HTTP/1.1", "GET /chat")),
        (400, changed("/chat", "*")),
        (400, changed("/chat", "chat")),
        (400, changed("/chat", "/chat#fragment")),
        (400, changed("/chat", "ftp://server.example.com/")),
    ];
    check_refusals(&server, &cases);
}

#[test]
fn wrong_handshake_headers() {
    let (server, _events) = TestServer::echo(config());
    //= RFC 6455 4.2.1: A |Sec-WebSocket-Key| header field with a base64-encoded (see Section 4 of
    //= [RFC4648]) value that, when decoded, is 16 bytes in length.
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let keyed = |value: &str| changed(key, &format!("Sec-WebSocket-Key: {value}\r\n"));
    let cases = [
        (426, changed("Upgrade: websocket\r\n", "")),
        (426, changed("websocket", "websockets")),
        (400, changed("Connection: Upgrade\r\n", "")),
        (400, changed("Connection: Upgrade", "Connection: keep-alive")),
        (400, changed(key, "")),
        (400, keyed("")),
        (400, keyed("AAAA")),
        (400, keyed("dGhlIHNhbXBsZSBub25jZQ=")),
        (400, keyed("dGhlIHNhbXBsZSBub25jZ!==")),
        (400, keyed("dGhlIHNhbXBsZSBub25jZR==")),
        (400, keyed("dGhlIHNhbXBsZSBub25jZSBpcyBsb25n")),
        (400, with(key)),
        (400, with("Sec-WebSocket-Version: 13\r\n")),
        (400, with("Sec-WebSocket-Protocol: a b\r\n")),
        (400, with("Sec-WebSocket-Protocol: chat, chat\r\n")),
        (400, with("Sec-WebSocket-Extensions: a;\r\n")),
        (400, with("Origin: https://a\r\nOrigin: https://b\r\n")),
        (400, changed("Host: server.example.com\r\n", "")),
        (400, with("Host: server.example.com\r\n")),
        (400, changed("server.example.com", "a b")),
    ];
    check_refusals(&server, &cases);
}

#[test]
fn other_versions_are_told_ours() {
    let (server, _events) = TestServer::echo(config());
    //= RFC 6455 4.4: If the server doesn't support the requested version, it MUST respond with a
    //= |Sec-WebSocket-Version| header field (or multiple |Sec-WebSocket-Version| header fields)
    //= containing all versions it is willing to use.
    for version in ["0", "7", "8", "12", "14", "013", "13, 8", "255", ""] {
        let line = format!("Sec-WebSocket-Version: {version}\r\n");
        let (answer, _body) = refused(&server, changed("Sec-WebSocket-Version: 13\r\n", &line));
        assert_eq!(answer.status, 426, "to {version}");
        assert_eq!(answer.header("sec-websocket-version"), Some("13"));
    }
    let (answer, _body) = refused(&server, changed("Sec-WebSocket-Version: 13\r\n", ""));
    assert_eq!((answer.status, answer.header("sec-websocket-version")), (426, Some("13")));
}

#[test]
fn heads_that_are_not_http() {
    let (server, _events) = TestServer::echo(config());
    let cases = [
        (400, REQUEST.replace("\r\n", "\n")),
        (400, changed("Upgrade: websocket\r\n", "Upgrade: websocket\n")),
        (400, changed("Upgrade: websocket\r\n", "Upgrade: websocket\r")),
        (400, changed("Host: server", "Host: server\r\n .folded")),
        (400, changed("Host: server", "Host: server\r\n\t.folded")),
        (400, changed("/chat", "/chat\0")),
        (400, with("X: a\0b\r\n")),
        (400, with("X: a\x07b\r\n")),
        (400, with("X : a\r\n")),
        (400, with("no colon\r\n")),
        (400, with(": no name\r\n")),
        (400, "\x16\x03\x01\x02\0\x01".to_owned()),
        (400, " GET / HTTP/1.1\r\n\r\n".to_owned()),
    ];
    check_refusals(&server, &cases);
}

#[test]
fn content_and_sizes() {
    let (server, _events) = TestServer::echo(config());
    let cases = [
        (413, with("Content-Length: 5\r\n") + "hello"),
        (400, with("Content-Length: five\r\n")),
        (400, with("Content-Length: 0\r\nContent-Length: 0\r\n")),
        (400, with("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n")),
        (501, with("Transfer-Encoding: chunked\r\n") + "0\r\n\r\n"),
        (414, changed("/chat", &format!("/{}", "a".repeat(8000)))),
        (431, with(&format!("X: {}\r\n", "a".repeat(8192)))),
        (431, with(&"X: a\r\n".repeat(97))),
    ];
    check_refusals(&server, &cases);
    let mut client = Client::connect(server.address());
    client.write(with(&"X: a\r\n".repeat(95)));
    client.read_opening();
    check_open(&mut client);
}

#[test]
fn the_limits_of_a_head_are_set() {
    let handshake = HandshakeLimits { head_size_max: 256, start_line_size_max: 32, headers_max: 6 };
    let (server, _events) = TestServer::echo(Config { handshake, ..config() });
    let cases = [
        (414, changed("/chat", "/chat/a/little/longer")),
        (431, with("A: 1\r\nB: 2\r\n")),
        (431, with(&format!("A: {}\r\n", "a".repeat(100)))),
    ];
    check_refusals(&server, &cases);
}

#[test]
fn requests_that_come_too_slowly() {
    let handshake_timeout = Duration::from_millis(150);
    let (server, _events) = TestServer::echo(Config { handshake_timeout, ..config() });
    let mut neighbor = Neighbor::new(&server);
    let begun = Instant::now();
    let mut slow = Client::connect(server.address());
    let mut silent = Client::connect(server.address());
    slow.write(&REQUEST[..40]);
    assert_eq!(slow.read_answer().status, 408);
    assert!(!slow.read_to_end().is_empty());
    assert_eq!(silent.read_to_end(), b"");
    // A byte now and then does not put it off.
    let mut dribbling = Client::connect(server.address());
    for byte in REQUEST.as_bytes().chunks(1).take(60) {
        dribbling.write(byte);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(dribbling.read_answer().status, 408);
    assert!(begun.elapsed() >= 2 * handshake_timeout && begun.elapsed() < PATIENCE);
    neighbor.check();
}

#[test]
fn peers_that_leave_before_the_end_of_their_request() {
    let (server, _events) = TestServer::echo(config());
    let mut neighbor = Neighbor::new(&server);
    for cut in (0..REQUEST.len()).step_by(7) {
        let mut client = Client::connect(server.address());
        client.write(&REQUEST[..cut]);
        client.end();
        assert_eq!(client.read_to_end(), b"");
    }
    neighbor.check();
}

#[test]
fn origins() {
    let origins = Origins::List(vec!["https://example.com".to_owned()]);
    let (listed, _events) = TestServer::echo(Config { origins, ..config() });
    let (same, _events) = TestServer::echo(Config { origins: Origins::SameHost, ..config() });
    //= RFC 6455 4.2.2: If the server does not wish to accept this connection from this origin, it
    //= MUST return an appropriate HTTP error code (e.g., 403 Forbidden) and abort the WebSocket
    //= handshake
    let cases = [
        (&listed, "https://EXAMPLE.com", true),
        (&listed, "https://example.org", false),
        (&listed, "http://example.com", false),
        (&same, "http://server.example.com", true),
        (&same, "https://example.com", false),
        (&same, "null", false),
    ];
    for (server, origin, allowed) in cases {
        let request = with(&format!("Origin: {origin}\r\n"));
        if allowed {
            let mut client = Client::connect(server.address());
            client.write(request);
            client.read_opening();
            check_open(&mut client);
        } else {
            assert_eq!(refused(server, request).0.status, 403, "to {origin}");
        }
        // Who is no browser has no origin.
        check_open(&mut server.client());
    }
}

#[test]
fn more_connections_than_there_is_room_for() {
    let (server, _events) = TestServer::echo(Config { connections_max: 2, ..config() });
    let (mut first, mut second) = (Neighbor::new(&server), Neighbor::new(&server));
    let (answer, _body) = refused(&server, REQUEST);
    assert_eq!(answer.status, 503);
    first.check();
    second.check();
}

/// Decides by the path.
struct Gate;

impl Handler for Gate {
    type State = u8;

    fn upgrade(&mut self, request: &Request<'_>) -> Upgrade<u8> {
        match request.path() {
            "/chosen" => match request.subprotocols().find(|name| *name == "quotes.v2") {
                Some(name) => Upgrade::accept().subprotocol(name.to_owned()),
                None => Upgrade::accept(),
            },
            "/invented" => Upgrade::accept().subprotocol("invented"),
            "/header" => Upgrade::accept().header("X-Node", "7").state(7),
            "/broken" => Upgrade::accept().header("Connection", "close"),
            "/peer" if request.peer().is_some_and(|peer| peer.ip().is_loopback()) => {
                Upgrade::accept()
            }
            _ => Upgrade::refuse(Response::text(404, "no such feed\n").header("X-Why", "path")),
        }
    }

    fn request(&mut self, request: &Request<'_>) -> Response {
        match request.path() {
            "/health" => Response::text(200, "alive\n"),
            _ => Response::new(404),
        }
    }

    fn message(&mut self, connection: &mut Connection<'_, u8>, message: Message<'_>) {
        if *connection.state() == 7 {
            connection.send("seven");
        }
        connection.send(&message);
    }
}

fn opened(server: &TestServer, path: &str, lines: &str) -> (Client, Answer) {
    let mut client = Client::connect(server.address());
    client.write(with(lines).replacen("/chat", path, 1));
    let answer = client.read_opening();
    (client, answer)
}

#[test]
fn what_a_handler_accepts() {
    let server = TestServer::start(config(), |_worker| Gate);
    //= RFC 6455 4.2.2: If the server does not agree to any of the client's requested subprotocols,
    //= the only acceptable value is null.
    let cases = [
        ("Sec-WebSocket-Protocol: quotes.v1, quotes.v2\r\n", Some("quotes.v2")),
        ("Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: quotes.v2\r\n", Some("quotes.v2")),
        ("Sec-WebSocket-Protocol: QUOTES.V2\r\n", None),
        ("", None),
    ];
    for (lines, chosen) in cases {
        let (mut client, answer) = opened(&server, "/chosen", lines);
        assert_eq!(answer.header("sec-websocket-protocol"), chosen);
        check_open(&mut client);
    }
    let (mut client, answer) = opened(&server, "/header", "");
    assert_eq!(answer.header("x-node"), Some("7"));
    client.write(text("?"));
    client.expect(&Frame::text("seven"));
    check_open(&mut opened(&server, "/peer", "").0);
}

#[test]
fn what_a_handler_refuses() {
    let server = TestServer::start(config(), |_worker| Gate);
    let (answer, body) = refused(&server, REQUEST);
    assert_eq!((answer.status, answer.header("x-why")), (404, Some("path")));
    assert_eq!(body, b"no such feed\n");
    // A handler's own mistake is not the client's.
    for path in ["/invented", "/broken"] {
        assert_eq!(refused(&server, changed("/chat", path)).0.status, 500);
    }
}

#[test]
fn pages() {
    let server = TestServer::start(config(), |_worker| Gate);
    let page = "GET /health HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n";
    let (answer, body) = refused(&server, page);
    assert_eq!((answer.status, &body[..]), (200, &b"alive\n"[..]));
    //= RFC 9110 9.3.2: the server MUST NOT send content in the response
    let (answer, body) = refused(&server, page.replacen("GET", "HEAD", 1));
    assert_eq!((answer.status, &body[..]), (200, &b""[..]));
    assert_eq!(answer.header("content-length"), Some("6"));
    assert_eq!(refused(&server, page.replacen("health", "", 1)).0.status, 404);
    // Without a word of the handler's, a page is an upgrade that is missing.
    let (server, _events) = TestServer::echo(config());
    let (answer, _body) = refused(&server, page);
    assert_eq!((answer.status, answer.header("upgrade")), (426, Some("websocket")));
}
