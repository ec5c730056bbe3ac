//! The opening handshake, as a server and as a client.

use arbitrary::Arbitrary;
use ringwire_protocol::deflate::{Offer, Policy, negotiate};
use ringwire_protocol::handshake::{
    Accept, ClientRequest, Head, Limits, Refusal, Request, Response, choose_subprotocol,
};

use crate::cuts::Cuts;

/// A head, or what one is made of.
#[derive(Arbitrary, Debug)]
pub struct Input<'a> {
    /// What the bytes are, as the remainder of three: a request, a response, the lines of a
    /// [`ClientRequest`].
    pub what: u8,
    /// Less than the default by this, as are the other limits.
    pub head_size_less: u16,
    /// See [`Limits::start_line_size_max`].
    pub start_line_size_less: u16,
    /// See [`Limits::headers_max`].
    pub headers_less: u8,
    /// How the bytes arrive.
    pub cuts: Cuts,
    /// What was received.
    pub bytes: &'a [u8],
}

impl Input<'_> {
    /// In any pieces the head ends at the same byte or is refused for the same cause, and
    /// whatever it says has an answer that is HTTP.
    pub fn check(&self) {
        match self.what % 3 {
            0 => self.check_request(),
            1 => self.check_response(),
            _ => check_own_request(self.bytes),
        }
    }

    fn check_request(&self) {
        match self.scan(Head::request()) {
            Ok(Some(length)) => {
                let head = self.bytes[..length].to_vec();
                answer(&head);
            }
            Ok(None) => {}
            Err(refusal) => refuse(refusal),
        }
    }

    fn check_response(&self) {
        if let Ok(Some(length)) = self.scan(Head::response()) {
            let head = self.bytes[..length].to_vec();
            let request = ClientRequest {
                subprotocols: &["chat", "feed"],
                extensions: Some("permessage-deflate; client_max_window_bits"),
                ..ClientRequest::new("a", "/", *b"the sample nonce")
            };
            if let Ok(accepted) = request.verify(&head) {
                assert!(accepted.headers().count() >= 3);
                assert!(matches!(accepted.subprotocol(), None | Some("chat" | "feed")));
                assert!(accepted.extensions().all(|it| it.name == "permessage-deflate"));
            }
        }
    }

    /// What the scan finds, which is the same in one piece, in single bytes and in other pieces.
    fn scan(&self, head: Head) -> Result<Option<usize>, Refusal> {
        let less = Limits::default();
        let limits = Limits {
            head_size_max: less.head_size_max - usize::from(self.head_size_less % 8192),
            start_line_size_max: less.start_line_size_max
                - usize::from(self.start_line_size_less % 8000),
            headers_max: less.headers_max - usize::from(self.headers_less % 100),
        };
        let whole = scan(head, &limits, [self.bytes]);
        assert_eq!(scan(head, &limits, self.cuts.pieces(self.bytes)), whole);
        assert_eq!(scan(head, &limits, Cuts::BYTEWISE.pieces(self.bytes)), whole);
        if let Ok(Some(length)) = whole {
            assert!(length <= limits.head_size_max && length <= self.bytes.len());
            assert!(self.bytes[..length].ends_with(b"\r\n\r\n"));
        }
        whole
    }
}

/// Scans what has arrived after each piece, until that says something.
fn scan<'p>(
    mut head: Head,
    limits: &Limits,
    pieces: impl IntoIterator<Item = &'p [u8]>,
) -> Result<Option<usize>, Refusal> {
    let mut received = Vec::new();
    for piece in pieces {
        received.extend_from_slice(piece);
        let found = head.scan(&received, limits);
        if found != Ok(None) {
            assert_eq!(head.scan(&received, limits), found, "it is final");
            return found;
        }
    }
    Ok(None)
}

/// Answers a request as a server does.
fn answer(head: &[u8]) {
    let request = match Request::parse(head) {
        Ok(request) => request,
        Err(refusal) => return refuse(refusal),
    };
    assert!(!request.host().is_empty() && !request.path().is_empty());
    let mut out = Vec::new();
    match request.upgrade() {
        Err(refusal) => refuse(refusal),
        Ok(None) => {
            assert!(!request.is_upgrade());
            let page = Response::text(200, "page").header("X-Node", "7");
            page.encode(&mut out).expect("nothing in it is the peer's");
            check_answer(&out, 200);
        }
        Ok(Some(upgrade)) => {
            let offered: Vec<_> = request.subprotocols().collect();
            let chosen = choose_subprotocol(request.subprotocols(), &offered);
            assert_eq!(chosen, offered.first().copied());
            let agreed = negotiate(request.extensions(), &Policy::default());
            let extensions = agreed.map(|agreed| agreed.response_header());
            let accept = Accept {
                subprotocol: chosen,
                extensions: extensions.as_deref(),
                headers: &[("X-Node", "7")],
            };
            accept.encode(&upgrade, &mut out).expect("only what was offered is chosen");
            check_answer(&out, 101);
        }
    }
}

fn refuse(refusal: Refusal) {
    let mut out = Vec::new();
    refusal.response().encode(&mut out).expect("nothing in it is the peer's");
    check_answer(&out, refusal.status());
}

/// Checks that an answer is one as RFC 9112 has it, and that its content is as long as it says.
fn check_answer(answer: &[u8], status: u16) {
    let text = str::from_utf8(answer).expect("an answer is text here");
    let (head, content) = text.split_once("\r\n\r\n").expect("a head ends");
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    assert!(first.starts_with(&format!("HTTP/1.1 {status} ")), "{first}");
    let mut length = None;
    for line in lines {
        let (name, value) = line.split_once(": ").expect("a header has a value");
        assert!(name.bytes().all(|byte| byte == b'-' || byte.is_ascii_alphanumeric()), "{name}");
        assert!(!value.is_empty() && !value.contains(|byte: char| byte.is_control()), "{value}");
        if name.eq_ignore_ascii_case("Content-Length") {
            assert_eq!(length, None);
            length = value.parse().ok();
        }
    }
    let expected = if status == 101 { None } else { Some(content.len()) };
    assert_eq!(length, expected);
    assert!(status != 101 || content.is_empty());
}

/// What our client may ask, our server accepts, and our client takes the answer. The lines are
/// host, target, a subprotocol, the origin, and name and value of a header.
fn check_own_request(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (host, target) = (line(), line());
    let subprotocols = [line()];
    let (origin, header) = (line(), (line(), line()));
    let extensions = Offer::default().offer_header();
    let asked = ClientRequest {
        subprotocols: if subprotocols == [""] { &[] } else { &subprotocols },
        extensions: Some(&extensions),
        origin: Some(origin).filter(|origin| !origin.is_empty()),
        headers: if header.0.is_empty() { &[] } else { &[header] },
        ..ClientRequest::new(host, target, *b"the sample nonce")
    };
    let mut out = Vec::new();
    if asked.encode(&mut out).is_err() {
        assert!(out.is_empty());
        return;
    }
    let limits = Limits { head_size_max: usize::MAX, ..Limits::default() };
    match Head::request().scan(&out, &limits) {
        Err(Refusal::StartLineTooLarge) => return,
        scanned => assert_eq!(scanned, Ok(Some(out.len()))),
    }
    let request = Request::parse(&out).expect("our own request is a request");
    assert_eq!((request.host(), request.target()), (host, target));
    let upgrade = request.upgrade().expect("it is correct").expect("it asks for a WebSocket");
    let mut answer = Vec::new();
    let subprotocol = asked.subprotocols.first().copied();
    let accept = Accept { subprotocol, extensions: Some(&extensions), headers: &[] };
    accept.encode(&upgrade, &mut answer).expect("only what was offered is chosen");
    let accepted = asked.verify(&answer).expect("our own answer is right");
    assert_eq!(accepted.subprotocol(), subprotocol);
}
