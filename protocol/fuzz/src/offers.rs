//! What client and server say about `permessage-deflate`.

use arbitrary::Arbitrary;
use ringwire_protocol::Role;
use ringwire_protocol::deflate::{Agreed, Compressor, Offer, Policy, accept, negotiate};
use ringwire_protocol::handshake::{ClientRequest, Extension, Request};

/// A policy, an offer, and the two headers.
#[derive(Arbitrary, Debug)]
pub struct Input<'a> {
    /// The windows of the policy's server and client, 9 to 15 as remainders of seven.
    pub policy_bits: [u8; 2],
    /// Whether the policy's server and client forget their windows.
    pub policy_forgets: [bool; 2],
    /// The windows of the offer's server and client, absent or 9 to 15 as remainders of eight.
    pub offer_bits: [u8; 2],
    /// Whether the offer's server and client forget their windows.
    pub offer_forgets: [bool; 2],
    /// A client's header and, in a second line, a server's.
    pub headers: &'a [u8],
}

impl Input<'_> {
    /// Whatever is offered, what is agreed on obeys the offer and the policy, and our own client
    /// takes our own server's answer.
    pub fn check(&self) {
        let mut lines = self.headers.splitn(2, |&byte| byte == b'\n');
        self.check_server(lines.next().unwrap_or_default());
        self.check_client(lines.next().unwrap_or_default());
        let offered = self.offer().offer_header();
        let agreed = self.negotiated(offered.as_bytes()).flatten();
        let agreed = agreed.expect("our own offer can be met");
        assert_eq!(self.answered(&self.offer(), agreed.response_header().as_bytes()), Some(agreed));
    }

    /// Our server and any offer.
    fn check_server(&self, header: &[u8]) {
        let Some(agreed) = self.negotiated(header) else { return };
        let head = request(header);
        let request = Request::parse(&head).expect("it has been parsed before");
        // The first offer that is valid and that there is a compressor for.
        let offer = request.extensions().find_map(|extension| offered(&extension));
        assert_eq!(agreed.is_some(), offer.is_some(), "{offer:?}");
        let (Some(agreed), Some(offer)) = (agreed, offer) else { return };
        let policy = self.policy();
        let [server_forgets, client_forgets] = self.policy_forgets;
        assert!(agreed.server_no_context_takeover || !server_forgets);
        assert!(agreed.client_no_context_takeover || !client_forgets);
        assert!(agreed.server_bits() <= policy.server_max_window_bits);
        if offer.client_max_window_bits.is_some() {
            assert!(agreed.client_bits() <= policy.client_max_window_bits);
        }
        assert!(Compressor::new(policy.settings(&agreed, Role::Server)).is_some());
        let answer = agreed.response_header();
        assert_eq!(self.answered(&offer, answer.as_bytes()), Some(agreed), "{answer}");
    }

    /// Our client and any answer.
    fn check_client(&self, header: &[u8]) {
        let offer = self.offer();
        let Some(agreed) = self.answered(&offer, header) else { return };
        assert!(agreed.server_no_context_takeover || !offer.server_no_context_takeover);
        assert!(agreed.client_no_context_takeover || !offer.client_no_context_takeover);
        assert!(agreed.server_bits() <= offer.server_max_window_bits.unwrap_or(15));
        assert!(agreed.client_bits() <= offer.client_max_window_bits.unwrap_or(15));
        assert!(agreed.server_bits() >= 8 && agreed.client_bits() >= 8);
        // Said once more in our own words it is the same.
        assert_eq!(self.answered(&offer, agreed.response_header().as_bytes()), Some(agreed));
    }

    /// What our server makes of a client's header; `None` where it cannot stand in a request.
    fn negotiated(&self, header: &[u8]) -> Option<Option<Agreed>> {
        let head = request(header);
        let request = Request::parse(&head).ok()?;
        Some(negotiate(request.extensions(), &self.policy()))
    }

    /// What our client makes of a server's header.
    fn answered(&self, offer: &Offer, header: &[u8]) -> Option<Agreed> {
        let offered = offer.offer_header();
        let request = ClientRequest {
            extensions: Some(&offered),
            ..ClientRequest::new("a", "/", *b"the sample nonce")
        };
        let head = response(header);
        let accepted = request.verify(&head).ok()?;
        accept(accepted.extensions(), offer).ok()?
    }

    fn policy(&self) -> Policy {
        let [server_max_window_bits, client_max_window_bits] = self.policy_bits.map(|n| 9 + n % 7);
        let [server_no_context_takeover, client_no_context_takeover] = self.policy_forgets;
        Policy {
            server_max_window_bits,
            client_max_window_bits,
            server_no_context_takeover,
            client_no_context_takeover,
            ..Policy::default()
        }
    }

    fn offer(&self) -> Offer {
        let bits = |n: u8| Some(8 + n % 8).filter(|bits| *bits > 8);
        let [server_max_window_bits, client_max_window_bits] = self.offer_bits.map(bits);
        let [server_no_context_takeover, client_no_context_takeover] = self.offer_forgets;
        Offer {
            server_no_context_takeover,
            client_no_context_takeover,
            server_max_window_bits,
            client_max_window_bits,
        }
    }
}

/// What an element of a client's header offers, if it is valid and can be met. RFC 7692 section
/// 7.1 has the parameters.
fn offered(extension: &Extension<'_>) -> Option<Offer> {
    if extension.name != "permessage-deflate" {
        return None;
    }
    let parameters: Vec<_> = extension.parameters().collect();
    let find = |name: &str| parameters.iter().find(|parameter| parameter.name == name);
    let flag = |name| find(name).map(|parameter| parameter.value.is_none());
    let bits = |name| find(name).map(|parameter| parameter.value.as_deref());
    let named = |value: Option<&str>| (8..=15_u8).find(|n| value == Some(&n.to_string()));
    let flags = ["server_no_context_takeover", "client_no_context_takeover"].map(flag);
    let windows = ["server_max_window_bits", "client_max_window_bits"].map(bits);
    let count = flags.iter().flatten().count() + windows.iter().flatten().count();
    let [server_no_context_takeover, client_no_context_takeover] = flags.map(|it| it == Some(true));
    let server_max_window_bits = windows[0].map(named);
    let client_max_window_bits = match windows[1] {
        Some(None) => Some(Some(15)),
        window => window.map(named),
    };
    // A name that is unknown or stands twice makes more parameters than were found.
    let is_wrong = count != parameters.len()
        || flags.contains(&Some(false))
        || [server_max_window_bits, client_max_window_bits].contains(&Some(None))
        || server_max_window_bits == Some(Some(8));
    (!is_wrong).then_some(Offer {
        server_no_context_takeover,
        client_no_context_takeover,
        server_max_window_bits: server_max_window_bits.flatten(),
        client_max_window_bits: client_max_window_bits.flatten(),
    })
}

fn request(extensions: &[u8]) -> Vec<u8> {
    let before = b"GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Extensions: ";
    [before, extensions, b"\r\n\r\n"].concat()
}

/// The answer to the key `the sample nonce`.
fn response(extensions: &[u8]) -> Vec<u8> {
    let before = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
        Sec-WebSocket-Extensions: ";
    [before, extensions, b"\r\n\r\n"].concat()
}
