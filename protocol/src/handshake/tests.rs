//! The whole handshake, from bytes to bytes: tables of good and bad messages, in every split.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

/// What a server makes of some bytes.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Incomplete,
    Plain,
    Upgrade,
    Refused(Refusal),
}

/// Serves `bytes` that arrive in the pieces that end at `cuts`, and at their end.
fn serve(bytes: &[u8], cuts: &[usize], limits: &Limits) -> Outcome {
    let mut scan = Head::request();
    for &end in cuts.iter().chain([&bytes.len()]) {
        match scan.scan(&bytes[..end], limits) {
            Ok(None) => {}
            Ok(Some(length)) => return answer(&bytes[..length]),
            Err(refusal) => return Outcome::Refused(refusal),
        }
    }
    Outcome::Incomplete
}

fn answer(head: &[u8]) -> Outcome {
    let request = match Request::parse(head) {
        Ok(request) => request,
        Err(refusal) => return Outcome::Refused(refusal),
    };
    match request.upgrade() {
        Ok(Some(_)) => Outcome::Upgrade,
        Ok(None) => Outcome::Plain,
        Err(refusal) => Outcome::Refused(refusal),
    }
}

/// The answer, after making sure that it is the same in every split.
fn serve_in_every_split(bytes: &[u8]) -> Outcome {
    let limits = Limits::default();
    let whole = serve(bytes, &[], &limits);
    for cut in 0..bytes.len() {
        assert_eq!(serve(bytes, &[cut], &limits), whole, "{bytes:?} cut at {cut}");
    }
    let every: Vec<usize> = (0..bytes.len()).collect();
    assert_eq!(serve(bytes, &every, &limits), whole, "{bytes:?} byte by byte");
    whole
}

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";

/// The lines of the request in RFC 6455 section 1.2, without what it only offers.
const LINES: [&str; 6] = [
    "GET /chat HTTP/1.1",
    "Host: server.example.com",
    "Upgrade: websocket",
    "Connection: Upgrade",
    KEY,
    "Sec-WebSocket-Version: 13",
];

fn join(lines: &[&str]) -> Vec<u8> {
    (lines.join("\r\n") + "\r\n\r\n").into_bytes()
}

/// The good request with one line replaced (by several, or by none if empty).
fn with(line: usize, replacement: &str) -> Vec<u8> {
    let mut lines = LINES.to_vec();
    lines[line] = replacement;
    lines.retain(|line| !line.is_empty());
    join(&lines)
}

/// The good request with further lines.
fn and(more: &str) -> Vec<u8> {
    let mut lines = LINES.to_vec();
    lines.push(more);
    join(&lines)
}

fn accept(head: &[u8], accept: &Accept<'_>) -> Result<String, Misuse> {
    let request = Request::parse(head).unwrap();
    let upgrade = request.upgrade().unwrap().unwrap();
    let mut out = b"before".to_vec();
    let result = accept.encode(&upgrade, &mut out);
    if result.is_err() {
        assert_eq!(out, b"before", "a refused answer leaves nothing behind");
    }
    result.map(|()| String::from_utf8(out.split_off(6)).unwrap())
}

#[test]
fn the_example_of_the_standard() {
    let head = join(&[
        "GET /chat HTTP/1.1",
        "Host: server.example.com",
        "Upgrade: websocket",
        "Connection: Upgrade",
        KEY,
        "Origin: http://example.com",
        "Sec-WebSocket-Protocol: chat, superchat",
        "Sec-WebSocket-Version: 13",
    ]);
    assert_eq!(serve_in_every_split(&head), Outcome::Upgrade);
    let request = Request::parse(&head).unwrap();
    assert_eq!((request.method(), request.target()), ("GET", "/chat"));
    assert_eq!(request.host(), "server.example.com");
    assert_eq!(request.origin(), Some(&b"http://example.com"[..]));
    assert_eq!(request.headers().count(), 7);
    assert_eq!(request.subprotocols().collect::<Vec<_>>(), ["chat", "superchat"]);
    let subprotocol = choose_subprotocol(request.subprotocols(), &["superchat", "chat"]);
    assert_eq!(
        accept(&head, &Accept { subprotocol, ..Accept::default() }).unwrap(),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
         Sec-WebSocket-Protocol: chat\r\n\r\n"
    );
}

#[test]
fn good_handshakes() {
    let cases = [
        join(&LINES),
        [b"\r\n", &join(&LINES)[..]].concat(),
        [&join(&LINES)[..], b"\x00 frames \n"].concat(),
        with(0, "GET http://server.example.com/chat?x=1 HTTP/1.1"),
        with(0, "GET wss://server.example.com HTTP/1.1"),
        with(0, "GET /a|b?{\"c\"} HTTP/1.1"),
        with(1, "host:[::1]:80"),
        with(2, "UPGRADE:\tWebSocket \t"),
        with(2, "Upgrade: h2c, ,websocket"),
        with(2, "Upgrade: h2c\r\nUpgrade: WEBSOCKET"),
        with(3, "Connection: keep-alive, upgrade"),
        with(3, "Connection: keep-alive\r\nConnection: UPGRADE ,"),
        with(4, "sec-websocket-key:  dGhlIHNhbXBsZSBub25jZQ==  "),
        and("Content-Length: 0"),
        and("Cookie: \u{e9}=\u{fc}\r\nX-Empty:"),
        and("Sec-WebSocket-Protocol: a,,b\r\nSec-WebSocket-Protocol: A"),
        and("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"),
        and("Sec-WebSocket-Extensions: a;b=\"c\", a\r\nSec-WebSocket-Extensions: d"),
    ];
    for case in cases {
        let outcome = serve_in_every_split(&case);
        assert_eq!(outcome, Outcome::Upgrade, "{}", String::from_utf8_lossy(&case));
    }
}

#[test]
fn plain_requests() {
    let cases = [
        join(&["GET / HTTP/1.1", "Host: a"]),
        join(&["HEAD /x?y HTTP/1.1", "Host: a", "Connection: keep-alive"]),
        join(&["GET / HTTP/1.1", "Host: a", "Upgrade: h2c", "Connection: Upgrade"]),
    ];
    for case in cases {
        assert_eq!(serve_in_every_split(&case), Outcome::Plain);
    }
}

/// A request, what is wrong with it, and the status of the answer.
type Bad = (Vec<u8>, Refusal, u16);

/// Requests that are bad as HTTP.
fn bad_messages() -> Vec<Bad> {
    use Refusal::*;
    let raw = |text: &str| text.as_bytes().to_vec();
    Vec::from([
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), NotHttp, 400),
        (raw("\0"), NotHttp, 400),
        (raw("\r\n\r\n"), NotHttp, 400),
        (raw("GET / HTTP/1.1\nHost: a\n\n"), BareLineFeed, 400),
        (raw("GET / HTTP/1.1\rHost: a\r\r"), BareCarriageReturn, 400),
        (raw("GET / HTTP/1.1\r\nHost: a\0\r\n\r\n"), ControlByte, 400),
        (raw("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), ObsoleteFolding, 400),
        (raw("GET / HTTP/1.1\r\nHost: a\r\n\tb\r\n\r\n"), ObsoleteFolding, 400),
        (raw("GET / HTTP/1.1\r\n: a\r\n\r\n"), HeaderMalformed, 400),
        (raw("GET / HTTP/1.1\r\nHost : a\r\n\r\n"), HeaderMalformed, 400),
        (raw("GET / HTTP/1.1\r\nHost\r\n\r\n"), HeaderMalformed, 400),
        (raw("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"), RequestLineMalformed, 400),
        (raw("GET / HTTP/1.1 \r\nHost: a\r\n\r\n"), RequestLineMalformed, 400),
        (raw("GET\r\nHost: a\r\n\r\n"), RequestLineMalformed, 400),
        (raw("GET / HTTQ/1.1\r\nHost: a\r\n\r\n"), RequestLineMalformed, 400),
        (raw("GET / HTTP/x.1\r\nHost: a\r\n\r\n"), RequestLineMalformed, 400),
        (raw("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), VersionNotSupported, 505),
        (raw("GET / HTTP/1.0\r\nHost: a\r\n\r\n"), VersionNotSupported, 505),
        (raw("\r\nGET / HTTP/3.0\r\n\r\n"), VersionNotSupported, 505),
        (raw("POST / HTTP/1.1\r\nHost: a\r\n\r\n"), MethodNotAllowed, 405),
        (raw("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), MethodNotAllowed, 405),
        (raw("GET a HTTP/1.1\r\nHost: a\r\n\r\n"), TargetMalformed, 400),
        (format!("GET /{} HTTP/1.1", "a".repeat(8000)).into_bytes(), StartLineTooLarge, 414),
        (and(&format!("A: {}", "a".repeat(8192))), HeadTooLarge, 431),
        (and(&"A:\r\n".repeat(96)), TooManyHeaders, 431),
    ])
}

/// The good handshake with one line replaced.
fn bad_lines() -> impl Iterator<Item = Bad> {
    use Refusal::*;
    [
        (0, "POST /chat HTTP/1.1", MethodNotGet, 405),
        (0, "HEAD /chat HTTP/1.1", MethodNotGet, 405),
        (0, "get /chat HTTP/1.1", MethodNotGet, 405),
        (0, "GET /chat#top HTTP/1.1", TargetMalformed, 400),
        (0, "GET * HTTP/1.1", TargetMalformed, 400),
        (0, "GET server.example.com:80 HTTP/1.1", TargetMalformed, 400),
        (0, "GET /\u{e9} HTTP/1.1", TargetMalformed, 400),
        (1, "", HostMissing, 400),
        (1, "Host:", HostMalformed, 400),
        (1, "Host: a b", HostMalformed, 400),
        (1, "Host: a, b", HostMalformed, 400),
        (1, "Host: \u{e9}", HostMalformed, 400),
        (1, "Host: a\r\nhost: a", HostDuplicate, 400),
        (2, "", UpgradeMissing, 426),
        (2, "Upgrade: h2c", UpgradeMissing, 426),
        (2, "Upgrade: websocket2", UpgradeMissing, 426),
        (3, "", ConnectionMissing, 400),
        (3, "Connection: keep-alive", ConnectionMissing, 400),
        (4, "", KeyMissing, 400),
        (4, "Sec-WebSocket-Key:", KeyMalformed, 400),
        (4, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ", KeyMalformed, 400),
        (4, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==", KeyMalformed, 400),
        (4, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSE=", KeyMalformed, 400),
        (5, "", WebSocketVersion, 426),
        (5, "Sec-WebSocket-Version: 8", WebSocketVersion, 426),
        (5, "Sec-WebSocket-Version: 013", WebSocketVersion, 426),
        (5, "Sec-WebSocket-Version: 13, 8", WebSocketVersion, 426),
    ]
    .into_iter()
    .map(|(line, text, refusal, status)| (with(line, text), refusal, status))
}

/// The good handshake with something added.
fn bad_additions() -> impl Iterator<Item = Bad> {
    use Refusal::*;
    [
        (KEY, KeyDuplicate, 400),
        ("Sec-WebSocket-Version: 13", WebSocketVersionDuplicate, 400),
        ("Sec-WebSocket-Protocol:", SubprotocolsMalformed, 400),
        ("Sec-WebSocket-Protocol: , ,", SubprotocolsMalformed, 400),
        ("Sec-WebSocket-Protocol: a b", SubprotocolsMalformed, 400),
        ("Sec-WebSocket-Protocol: a/1", SubprotocolsMalformed, 400),
        ("Sec-WebSocket-Protocol: a, b, a", SubprotocolDuplicate, 400),
        ("Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: a", SubprotocolDuplicate, 400),
        ("Sec-WebSocket-Extensions:", ExtensionsMalformed, 400),
        ("Sec-WebSocket-Extensions: a;", ExtensionsMalformed, 400),
        ("Sec-WebSocket-Extensions: a b", ExtensionsMalformed, 400),
        ("Sec-WebSocket-Extensions: a;b=\"c d\"", ExtensionsMalformed, 400),
        ("Sec-WebSocket-Extensions: a\r\nSec-WebSocket-Extensions: ;", ExtensionsMalformed, 400),
        ("Origin: http://a\r\nOrigin: http://b", OriginDuplicate, 400),
        ("Content-Length: 1", ContentTooLarge, 413),
        ("Content-Length: 99999999999999999999999", ContentTooLarge, 413),
        ("Content-Length: -1", ContentLengthMalformed, 400),
        ("Content-Length: +0", ContentLengthMalformed, 400),
        ("Content-Length:", ContentLengthMalformed, 400),
        ("Content-Length: 0, 0", ContentLengthMalformed, 400),
        ("Content-Length: 0\r\nContent-Length: 5", ContentLengthMalformed, 400),
        ("Content-Length: 0\r\nContent-Length: 0", ContentLengthMalformed, 400),
        ("Content-Length: 0\r\nTransfer-Encoding: chunked", ContentLengthMalformed, 400),
        ("Transfer-Encoding: chunked", TransferEncoding, 501),
    ]
    .into_iter()
    .map(|(text, refusal, status)| (and(text), refusal, status))
}

fn bad_requests() -> impl Iterator<Item = Bad> {
    bad_messages().into_iter().chain(bad_lines()).chain(bad_additions())
}

#[test]
fn bad_requests_are_refused_in_every_split() {
    for (bytes, refusal, status) in bad_requests() {
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(serve(&bytes, &[], &Limits::default()), Outcome::Refused(refusal), "{text}");
        assert_eq!(refusal.status(), status, "{text}");
        if bytes.len() < 1000 {
            serve_in_every_split(&bytes);
        }
    }
}

#[test]
fn a_refusal_tells_what_to_do_and_nothing_of_the_peer() {
    for (_, refusal, status) in bad_requests() {
        let mut out = Vec::new();
        refusal.response().encode(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{text}");
        assert!(text.ends_with(&format!("\r\n\r\n{refusal}.\n")), "{text}");
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(lines.contains(&"Allow: GET"), refusal == Refusal::MethodNotGet);
        assert_eq!(lines.contains(&"Allow: GET, HEAD"), refusal == Refusal::MethodNotAllowed);
        for line in
            ["Upgrade: websocket", "Sec-WebSocket-Version: 13", "Connection: close, Upgrade"]
        {
            assert_eq!(lines.contains(&line), status == 426, "{text}");
        }
        assert_eq!(lines.contains(&"Connection: close"), status != 426, "{text}");
    }
    let busy = Refusal::Unavailable { retry_after: 7 };
    let mut out = Vec::new();
    busy.response().encode(&mut out).unwrap();
    assert!(String::from_utf8(out).unwrap().contains("\r\nRetry-After: 7\r\n"));
    assert_eq!((busy.status(), Refusal::TimeOut.status()), (503, 408));
}

#[test]
fn absolute_form_names_the_host() {
    let head = with(0, "GET ws://other.example:81/p?q HTTP/1.1");
    let request = Request::parse(&head).unwrap();
    assert_eq!(request.host(), "other.example:81");
    assert_eq!((request.path(), request.query()), ("/p", Some("q")));
}

#[test]
fn an_answer_stays_within_the_offer() {
    let head = and("Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Extensions: e; x=1, f");
    let none = Accept::default();
    let good = Accept {
        subprotocol: Some("a"),
        extensions: Some("f, e; y"),
        headers: &[("Set-Cookie", "b=c"), ("Set-Cookie", "d=\u{e9}")],
    };
    assert!(accept(&head, &good).unwrap().ends_with(
        "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Extensions: f, e; y\r\n\
         Set-Cookie: b=c\r\nSet-Cookie: d=\u{e9}\r\n\r\n"
    ));
    for bad in ["b", "A", "", "a\r\n"] {
        let result = accept(&head, &Accept { subprotocol: Some(bad), ..none });
        assert_eq!(result, Err(Misuse::SubprotocolNotOffered));
    }
    for bad in ["", ",", "e;", "e\r\nA: b", "e; x=\"\r\n\""] {
        let result = accept(&head, &Accept { extensions: Some(bad), ..none });
        assert_eq!(result, Err(Misuse::ExtensionsMalformed), "{bad:?}");
    }
    let result = accept(&head, &Accept { extensions: Some("e, g"), ..none });
    assert_eq!(result, Err(Misuse::ExtensionNotOffered));
    for (name, value, misuse) in [
        ("A", "b\r\nC: d", Misuse::HeaderValue),
        ("A:", "b", Misuse::HeaderName),
        ("sec-websocket-accept", "b", Misuse::HeaderReserved),
        ("Content-Length", "5", Misuse::HeaderReserved),
    ] {
        assert_eq!(accept(&head, &Accept { headers: &[(name, value)], ..none }), Err(misuse));
    }
}

const CLIENT: ClientRequest<'_> = ClientRequest {
    host: "a:80",
    target: "/p?q",
    key: *b"the sample nonce",
    subprotocols: &["chat", "superchat"],
    extensions: Some("permessage-deflate; client_max_window_bits, permessage-deflate"),
    origin: Some("http://b"),
    headers: &[("Authorization", "Basic eDp5")],
};

#[test]
fn both_roles_agree() {
    let mut head = Vec::new();
    CLIENT.encode(&mut head).unwrap();
    assert_eq!(serve_in_every_split(&head), Outcome::Upgrade);
    let request = Request::parse(&head).unwrap();
    assert_eq!((request.host(), request.target()), ("a:80", "/p?q"));
    assert_eq!(request.origin(), Some(&b"http://b"[..]));
    assert_eq!(request.header("authorization"), Some(&b"Basic eDp5"[..]));
    assert_eq!(request.extensions().count(), 2);
    let answer = accept(
        &head,
        &Accept {
            subprotocol: Some("superchat"),
            extensions: Some("permessage-deflate"),
            headers: &[("X", "y")],
        },
    )
    .unwrap();
    let length = Head::response().scan(answer.as_bytes(), &Limits::default()).unwrap().unwrap();
    assert_eq!(length, answer.len());
    let accepted = CLIENT.verify(answer.as_bytes()).unwrap();
    assert_eq!(accepted.subprotocol(), Some("superchat"));
    let names: Vec<&str> = accepted.extensions().map(|extension| extension.name).collect();
    assert_eq!(names, ["permessage-deflate"]);
    assert!(accepted.headers().any(|header| header == ("X", b"y")));
}

#[test]
fn a_client_cannot_be_made_to_inject() {
    let check = |request: ClientRequest<'_>| {
        let mut out = Vec::new();
        let result = request.encode(&mut out).unwrap_err();
        assert!(out.is_empty());
        result
    };
    for host in ["", "a b", "a\r\nB: c", "u@a", "a/b"] {
        assert_eq!(check(ClientRequest { host, ..CLIENT }), Misuse::Host, "{host:?}");
    }
    for target in ["", "*", "a", "/ ", "/#a", "/\r\n", "/\u{e9}", "ws://a/"] {
        assert_eq!(check(ClientRequest { target, ..CLIENT }), Misuse::Target, "{target:?}");
    }
    let subprotocols = |list| check(ClientRequest { subprotocols: list, ..CLIENT });
    assert_eq!(subprotocols(&["a", ""]), Misuse::SubprotocolMalformed);
    assert_eq!(subprotocols(&["a\r\nb"]), Misuse::SubprotocolMalformed);
    assert_eq!(subprotocols(&["a", "b", "a"]), Misuse::SubprotocolDuplicate);
    let extensions = Some("a\r\nB: c");
    assert_eq!(check(ClientRequest { extensions, ..CLIENT }), Misuse::ExtensionsMalformed);
    assert_eq!(check(ClientRequest { origin: Some("\n"), ..CLIENT }), Misuse::HeaderValue);
    for (name, value, misuse) in [
        ("A", "\r", Misuse::HeaderValue),
        ("A\n", "b", Misuse::HeaderName),
        ("HOST", "b", Misuse::HeaderReserved),
        ("Sec-WebSocket-Key", "b", Misuse::HeaderReserved),
    ] {
        assert_eq!(check(ClientRequest { headers: &[(name, value)], ..CLIENT }), misuse);
    }
}

#[test]
fn a_client_accepts_only_the_answer_to_its_request() {
    use HandshakeError::*;
    let good = [
        "HTTP/1.1 101 Switching Protocols",
        "upgrade: WebSocket",
        "connection: keep-alive, upgrade",
        "sec-websocket-accept: \ts3pPLMBiTxaQ9kYGzzhZRbK+xOo= ",
        "X: y",
    ];
    assert!(CLIENT.verify(&join(&good)).is_ok());
    let cases = [
        (0, "HTTP/1.1 200 OK", Status(200)),
        (0, "HTTP/1.0 302 Found", Status(302)),
        (0, "HTTP/1.0 101 Switching Protocols", Head(Refusal::VersionNotSupported)),
        (0, "HTTP/2.0 101 Switching Protocols", Head(Refusal::VersionNotSupported)),
        (0, "HTTP/1.1 1x1 Switching", StatusLine),
        (1, "", Upgrade),
        (1, "Upgrade: websocket, h2c", Upgrade),
        (1, "Upgrade: websocket\r\nUpgrade: websocket", Upgrade),
        (2, "", Connection),
        (2, "Connection: close", Connection),
        (3, "", AcceptMissing),
        (3, "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=", AcceptWrong),
        (4, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", AcceptDuplicate),
        (4, "Sec-WebSocket-Protocol: other", SubprotocolNotOffered),
        (4, "Sec-WebSocket-Protocol: chat, superchat", SubprotocolNotOffered),
        (4, "Sec-WebSocket-Protocol:", SubprotocolNotOffered),
        (4, "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat", SubprotocolDuplicate),
        (4, "Sec-WebSocket-Extensions: other", ExtensionNotOffered),
        (4, "Sec-WebSocket-Extensions: permessage-deflate; =", ExtensionsMalformed),
        (4, "bad header", Head(Refusal::HeaderMalformed)),
    ];
    for (line, replacement, expected) in cases {
        let mut lines = good.to_vec();
        lines[line] = replacement;
        lines.retain(|line| !line.is_empty());
        assert_eq!(CLIENT.verify(&join(&lines)).unwrap_err(), expected, "{replacement}");
    }
    let half = CLIENT.verify(b"HTTP/1.1 101 Swi").unwrap_err();
    assert_eq!(half, Head(Refusal::HeadIncomplete));
}

#[test]
fn errors_are_one_sentence() {
    let texts = [
        Refusal::NotHttp.to_string(),
        HandshakeError::from(Refusal::NotHttp).to_string(),
        HandshakeError::Status(404).to_string(),
        Misuse::Host.to_string(),
    ];
    assert_eq!(texts[0], texts[1]);
    assert_eq!(texts[2], "The server answered with status 404");
    assert!(texts.iter().all(|text| !text.is_empty() && !text.ends_with('.')));
}

/// Pieces that requests are made of, to reach deeper than random bytes do.
const PIECES: [&[u8]; 24] = [
    b"GET / HTTP/1.1\r\n",
    b"\r\n",
    b"\r\n\r\n",
    b"Host: a\r\n",
    b"Upgrade: ",
    b"websocket",
    b"Connection: ",
    b"Upgrade",
    b"Sec-WebSocket-Key: ",
    b"dGhlIHNhbXBsZSBub25jZQ==",
    b"Sec-WebSocket-Version: 13\r\n",
    b"Sec-WebSocket-Extensions: ",
    b"Sec-WebSocket-Protocol: ",
    b"a",
    b";",
    b",",
    b"=",
    b"\"",
    b"\\",
    b" ",
    b"\t",
    b"\x80",
    b"\n",
    b"HTTP/1.1 101 \r\n",
];

/// Asks everything there is to ask of any bytes.
fn touch(bytes: &[u8]) {
    serve(bytes, &[], &Limits::default());
    let _ = CLIENT.verify(bytes);
    let _ = Head::response().scan(bytes, &Limits::default());
    let Ok(request) = Request::parse(bytes) else { return };
    let _ = (request.path(), request.query(), request.origin(), request.is_upgrade());
    let _ = (request.subprotocols().count(), request.headers().count());
    for extension in request.extensions() {
        assert!(!extension.name.is_empty());
        let filled = |text: &str| !text.is_empty();
        for parameter in extension.parameters() {
            assert!(filled(parameter.name) && parameter.value.as_deref().is_none_or(filled));
        }
    }
    if let Ok(Some(upgrade)) = request.upgrade() {
        let mut out = Vec::new();
        assert_eq!(Accept::default().encode(&upgrade, &mut out), Ok(()));
    }
}

/// The header lines of a good request in some order, case and spacing.
fn good_request() -> impl Strategy<Value = Vec<u8>> {
    let lines: Vec<(String, String)> = LINES[1..]
        .iter()
        .chain(&["Sec-WebSocket-Protocol: a, b", "Sec-WebSocket-Extensions: c; d=e, f"])
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let count = lines.len();
    let blank = || prop_oneof![Just(""), Just(" "), Just("\t"), Just(" \t ")];
    let style = (any::<u64>(), blank(), blank());
    (Just(lines).prop_shuffle(), proptest::collection::vec(style, count)).prop_map(
        |(lines, styles)| {
            let mut head = String::from("GET / HTTP/1.1\r\n");
            for ((name, value), (cases, before, after)) in lines.iter().zip(styles) {
                for (index, letter) in name.chars().enumerate() {
                    let upper = cases >> (index % 64) & 1 == 1;
                    let letter = if upper {
                        letter.to_ascii_uppercase()
                    } else {
                        letter.to_ascii_lowercase()
                    };
                    head.push(letter);
                }
                head.push_str(&format!(":{before}{value}{after}\r\n"));
            }
            (head + "\r\n").into_bytes()
        },
    )
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        touch(&bytes);
    }

    #[test]
    fn no_pieces_panic(
        pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..40),
        good in any::<bool>(),
    ) {
        let start = if good { join(&LINES) } else { Vec::new() };
        let start = start.strip_suffix(b"\r\n").unwrap_or_default();
        touch(&[start, &pieces.concat()].concat());
    }

    #[test]
    fn order_case_and_spacing_do_not_matter(head in good_request()) {
        prop_assert_eq!(serve(&head, &[], &Limits::default()), Outcome::Upgrade);
    }

    #[test]
    fn one_changed_byte_gives_one_answer_in_every_split(
        head in good_request(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut head = head;
        let place = place.index(head.len());
        head[place] = byte;
        serve_in_every_split(&head);
    }
}
