//! Offers and answers.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::deflate::{
    Agreed, Compressor, NegotiationError, Offer, ParameterError, Policy, accept, negotiate,
};
use crate::frame::Role;
use crate::handshake::{Extension, Request};

/// Calls `then` with the extensions in `header`.
fn with<T>(header: &str, then: impl FnOnce(&mut dyn Iterator<Item = Extension<'_>>) -> T) -> T {
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Extensions: {header}\r\n\r\n");
    let request = Request::parse(head.as_bytes()).unwrap();
    then(&mut request.extensions())
}

fn answer(offers: &str, policy: &Policy) -> Option<String> {
    with(offers, |offers| negotiate(offers, policy)).map(|agreed| agreed.response_header())
}

fn check(response: &str, offer: &Offer) -> Result<Option<Agreed>, NegotiationError> {
    with(response, |response| accept(response, offer))
}

/// Parameters that no offer may have.
const BAD: [&str; 52] = [
    "unknown",
    "unknown=1",
    "x-webkit",
    "server_max_window_bit=10",
    "Server_max_window_bits=10",
    "SERVER_NO_CONTEXT_TAKEOVER",
    "client_max_window",
    "no_context_takeover",
    "server_no_context_takeover=1",
    "server_no_context_takeover=true",
    "server_no_context_takeover=\"x\"",
    "client_no_context_takeover=0",
    "client_no_context_takeover=client",
    "client_no_context_takeover=\"15\"",
    "server_no_context_takeover; server_no_context_takeover",
    "client_no_context_takeover; client_no_context_takeover",
    "server_no_context_takeover; client_no_context_takeover; server_no_context_takeover",
    "server_max_window_bits=10; server_max_window_bits=10",
    "server_max_window_bits=10; server_max_window_bits=11",
    "client_max_window_bits; client_max_window_bits",
    "client_max_window_bits; client_max_window_bits=10",
    "client_max_window_bits=10; client_max_window_bits",
    "client_max_window_bits=10; client_max_window_bits=10",
    "server_max_window_bits",
    "server_max_window_bits=0",
    "server_max_window_bits=1",
    "server_max_window_bits=7",
    "server_max_window_bits=8",
    "server_max_window_bits=\"8\"",
    "server_max_window_bits=16",
    "server_max_window_bits=20",
    "server_max_window_bits=99",
    "server_max_window_bits=010",
    "server_max_window_bits=08",
    "server_max_window_bits=\"09\"",
    "server_max_window_bits=+9",
    "server_max_window_bits=-9",
    "server_max_window_bits=1e1",
    "server_max_window_bits=0xa",
    "server_max_window_bits=ten",
    "server_max_window_bits=10.0",
    "server_max_window_bits=265",
    "server_max_window_bits=18446744073709551626",
    "client_max_window_bits=0",
    "client_max_window_bits=7",
    "client_max_window_bits=16",
    "client_max_window_bits=015",
    "client_max_window_bits=\"015\"",
    "client_max_window_bits=x",
    "client_max_window_bits=1x",
    "client_max_window_bits=150",
    "client_max_window_bits=true",
];

#[test]
fn bad_offers_are_declined_alone() {
    let policy = Policy::default();
    for bad in BAD {
        let offer = format!("permessage-deflate; {bad}");
        assert_eq!(answer(&offer, &policy), None, "{bad}");
        let second = format!("{offer}, permessage-deflate; server_max_window_bits=11");
        let expected = "permessage-deflate; server_max_window_bits=11".to_string();
        assert_eq!(answer(&second, &policy), Some(expected), "{bad}");
        let among = format!("permessage-deflate; client_no_context_takeover; {bad}");
        assert_eq!(answer(&among, &policy), None, "{bad}");
    }
    for other in ["", "permessage-bzip2", "permessage-deflat", "x-webkit-deflate-frame"] {
        assert_eq!(answer(other, &policy), None, "{other}");
    }
}

#[test]
fn good_offers() {
    let wide = Policy::default();
    let narrow = Policy { server_max_window_bits: 12, client_max_window_bits: 11, ..wide };
    // What is offered, and the parameters of the answers of both.
    let cases = [
        ("", "", "; server_max_window_bits=12"),
        ("; client_max_window_bits", "", "; server_max_window_bits=12; client_max_window_bits=11"),
        (
            "; client_max_window_bits=10",
            "; client_max_window_bits=10",
            "; server_max_window_bits=12; client_max_window_bits=10",
        ),
        (
            "; client_max_window_bits=8",
            "; client_max_window_bits=8",
            "; server_max_window_bits=12; client_max_window_bits=8",
        ),
        (
            "; client_max_window_bits=15",
            "",
            "; server_max_window_bits=12; client_max_window_bits=11",
        ),
        (
            "; server_max_window_bits=10",
            "; server_max_window_bits=10",
            "; server_max_window_bits=10",
        ),
        (
            "; server_max_window_bits=\"1\\0\"",
            "; server_max_window_bits=10",
            "; server_max_window_bits=10",
        ),
        (
            "; server_max_window_bits=15",
            "; server_max_window_bits=15",
            "; server_max_window_bits=12",
        ),
        (
            "; server_no_context_takeover",
            "; server_no_context_takeover",
            "; server_no_context_takeover; server_max_window_bits=12",
        ),
        (
            "; client_no_context_takeover",
            "; client_no_context_takeover",
            "; client_no_context_takeover; server_max_window_bits=12",
        ),
    ];
    for (offer, by_wide, by_narrow) in cases {
        let offer = format!("permessage-deflate{offer}");
        assert_eq!(answer(&offer, &wide), Some(format!("permessage-deflate{by_wide}")), "{offer}");
        let by_narrow = format!("permessage-deflate{by_narrow}");
        assert_eq!(answer(&offer, &narrow), Some(by_narrow), "{offer}");
    }
}

#[test]
fn the_examples_of_the_rfc() {
    let policy = Policy::default();
    let fallback = "permessage-deflate; client_max_window_bits; server_max_window_bits=10, \
        permessage-deflate; client_max_window_bits";
    let ten = Some("permessage-deflate; server_max_window_bits=10".to_string());
    assert_eq!(answer(fallback, &policy), ten);
    let quoted = "permessage-foo; x=10, permessage-deflate; server_max_window_bits=\"10\"";
    assert_eq!(answer(quoted, &policy), ten);
    let plain = Some("permessage-deflate".to_string());
    assert_eq!(answer("permessage-deflate", &policy), plain);
    let eight = "permessage-deflate; server_max_window_bits=8, permessage-deflate";
    assert_eq!(answer(eight, &policy), plain);
}

#[test]
fn a_policy_is_answered_unasked() {
    let shared = Policy::default().shared();
    let both = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    assert_eq!(answer("permessage-deflate", &shared), Some(both.to_string()));
    // A policy out of range is brought into it.
    let odd = Policy {
        server_max_window_bits: 0,
        client_max_window_bits: 77,
        level: 10,
        memory_level: 0,
        ..Policy::default()
    };
    let agreed = with("permessage-deflate", |offers| negotiate(offers, &odd)).unwrap();
    assert_eq!((agreed.server_bits(), agreed.client_bits()), (9, 15));
    assert!(Compressor::new(odd.settings(&agreed, Role::Server)).is_some());
}

#[test]
fn bad_answers_fail() {
    let offer = Offer::default();
    for bad in BAD {
        let result = check(&format!("permessage-deflate; {bad}"), &offer);
        if bad.trim_matches('"').ends_with("bits=8") || bad.ends_with("\"8\"") {
            // The server may well choose 8 for itself.
            assert!(result.is_ok(), "{bad}");
        } else {
            assert!(matches!(result, Err(NegotiationError::Parameter(_))), "{bad}: {result:?}");
        }
    }
    let twice = check("permessage-deflate, permessage-deflate", &offer);
    assert_eq!(twice, Err(NegotiationError::Twice));
    let bare = check("permessage-deflate; client_max_window_bits", &offer);
    assert_eq!(bare, Err(NegotiationError::Parameter(ParameterError::Value)));
}

#[test]
fn answers_that_do_not_fit_the_offer_fail() {
    let none = Offer { client_max_window_bits: None, ..Offer::default() };
    let ten = Offer { client_max_window_bits: Some(10), ..none };
    let server_ten = Offer { server_max_window_bits: Some(10), ..none };
    let forgets = Offer { server_no_context_takeover: true, ..none };
    let cases = [
        (none, "; client_max_window_bits=10", NegotiationError::ClientWindow),
        (none, "; client_max_window_bits=15", NegotiationError::ClientWindow),
        (ten, "; client_max_window_bits=11", NegotiationError::ClientWindow),
        (server_ten, "", NegotiationError::ServerWindow),
        (server_ten, "; server_max_window_bits=11", NegotiationError::ServerWindow),
        (forgets, "", NegotiationError::ServerContextTakeover),
        (forgets, "; client_no_context_takeover", NegotiationError::ServerContextTakeover),
    ];
    for (offer, response, error) in cases {
        let result = check(&format!("permessage-deflate{response}"), &offer);
        assert_eq!(result, Err(error), "{offer:?} {response}");
    }
}

#[test]
fn answers_that_fit() {
    let offer = Offer { client_no_context_takeover: true, ..Offer::default() };
    assert_eq!(check("", &offer), Ok(None));
    assert_eq!(check("permessage-bzip2", &offer), Ok(None));
    let agreed = check("permessage-deflate; server_max_window_bits=8", &offer).unwrap().unwrap();
    assert_eq!((agreed.server_bits(), agreed.client_bits()), (8, 15));
    assert!(agreed.client_no_context_takeover && !agreed.server_no_context_takeover);
    let ten = Offer { client_max_window_bits: Some(10), ..offer };
    let agreed = check("permessage-deflate; server_no_context_takeover", &ten).unwrap().unwrap();
    assert_eq!((agreed.server_bits(), agreed.client_bits()), (15, 10));
    assert!(agreed.server_no_context_takeover);
}

/// Every offer of ours, answered by every policy of ours, is agreed upon alike.
#[test]
fn both_sides_agree() {
    let windows: Vec<Option<u8>> = [None].into_iter().chain((9..=15).map(Some)).collect();
    for (&server, &client) in windows.iter().flat_map(|s| windows.iter().map(move |c| (s, c))) {
        for flags in 0..16_u8 {
            let offer = Offer {
                server_no_context_takeover: flags & 1 != 0,
                client_no_context_takeover: flags & 2 != 0,
                server_max_window_bits: server,
                client_max_window_bits: client,
            };
            for cap in 9..=15 {
                let policy = Policy {
                    server_max_window_bits: cap,
                    client_max_window_bits: 24 - cap,
                    server_no_context_takeover: flags & 4 != 0,
                    client_no_context_takeover: flags & 8 != 0,
                    ..Policy::default()
                };
                let header = offer.offer_header();
                let agreed = with(&header, |offers| negotiate(offers, &policy)).unwrap();
                let accepted = check(&agreed.response_header(), &offer);
                assert_eq!(accepted, Ok(Some(agreed)), "{header} {policy:?}");
            }
        }
    }
}
