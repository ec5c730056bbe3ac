//! Offers of `permessage-deflate` as clients write them, and what the server answers (RFC 7692
//! section 7.1).

use ringwire::{Compression, Config, DeflatePolicy};
use ringwire_tests::{
    Client, FIN, Frame, Neighbor, REQUEST, RSV1, TEXT, TestServer, config, frame, text,
};

const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

fn server(policy: DeflatePolicy) -> TestServer {
    let compression = Some(Compression { policy, ..Compression::dedicated() });
    TestServer::echo(Config { compression, ..config() }).0
}

/// Checks the answer to `offers`, each a header line, and that the connection holds to it.
#[track_caller]
fn answers(server: &TestServer, offers: &[&str], expected: Option<&str>) {
    let (mut client, answer) = Client::offering(server.address(), offers);
    assert_eq!(answer.as_deref(), expected, "{offers:?}");
    client.write(text("plain"));
    client.expect(&Frame::text("plain"));
    client.write(frame(FIN | RSV1 | TEXT, HELLO));
    match expected {
        Some(_) => client.expect(&Frame::text("Hello")),
        //= RFC 6455 5.2: If a nonzero value is received and none of the negotiated extensions
        //= defines the meaning of such a nonzero value, the receiving endpoint MUST _Fail the
        //= WebSocket Connection_.
        None => client.expect_close(Some(1002)),
    }
}

#[test]
fn a_server_that_does_not_compress_declines() {
    let server = TestServer::echo(config()).0;
    answers(&server, &["permessage-deflate"], None);
    answers(&server, &["permessage-deflate; client_max_window_bits", "permessage-deflate"], None);
}

#[test]
fn good_offers_are_accepted() {
    let server = server(DeflatePolicy::default());
    for (offer, answer) in [
        ("permessage-deflate", "permessage-deflate"),
        ("permessage-deflate; client_max_window_bits", "permessage-deflate"),
        (
            "permessage-deflate;client_max_window_bits=9",
            "permessage-deflate; client_max_window_bits=9",
        ),
        (
            "permessage-deflate; client_max_window_bits=8",
            "permessage-deflate; client_max_window_bits=8",
        ),
        (
            "permessage-deflate ; server_max_window_bits = 9",
            "permessage-deflate; server_max_window_bits=9",
        ),
        (
            "permessage-deflate; server_max_window_bits=\"12\"",
            "permessage-deflate; server_max_window_bits=12",
        ),
        (
            "permessage-deflate; server_max_window_bits=\"1\\2\"",
            "permessage-deflate; server_max_window_bits=12",
        ),
        (
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
    ] {
        answers(&server, &[offer], Some(answer));
    }
}

#[test]
fn bad_offers_are_declined_and_the_next_one_counts() {
    let server = server(DeflatePolicy::default());
    let mut neighbor = Neighbor::new(&server);
    for parameter in [
        "unknown",
        "unknown=1",
        "server_no_context_takeover=true",
        "client_no_context_takeover=\"\\1\"",
        "server_no_context_takeover; server_no_context_takeover",
        "client_max_window_bits; client_max_window_bits=10",
        "server_max_window_bits=10; server_max_window_bits=10",
        "server_max_window_bits",
        "server_max_window_bits=7",
        // Valid, and more than zlib can hold to.
        "server_max_window_bits=8",
        "server_max_window_bits=16",
        "server_max_window_bits=010",
        "server_max_window_bits=\"09\"",
        "server_max_window_bits=-9",
        "server_max_window_bits=4294967306",
        "client_max_window_bits=0",
        "client_max_window_bits=015",
        "client_max_window_bits=99999999999999999999999999",
    ] {
        let bad = format!("permessage-deflate; {parameter}");
        answers(&server, &[&bad], None);
        let good = "permessage-deflate; server_max_window_bits=11";
        let expected = Some("permessage-deflate; server_max_window_bits=11");
        answers(&server, &[&format!("{bad}, {good}, permessage-deflate")], expected);
        answers(&server, &["x-webkit-deflate-frame", &bad, good], expected);
        neighbor.check();
    }
    for other in ["permessage-bzip2", "permessage-deflate-frame", "PERMESSAGE-DEFLATE"] {
        answers(&server, &[other], None);
    }
}

/// As much as a request may hold.
#[test]
fn long_lists() {
    let server = server(DeflatePolicy::default());
    let mut neighbor = Neighbor::new(&server);
    let bad = "permessage-deflate;a,".repeat(350);
    answers(&server, &[&bad], None);
    let last = format!("{bad} permessage-deflate; server_max_window_bits=10");
    answers(&server, &[&last], Some("permessage-deflate; server_max_window_bits=10"));
    answers(&server, &[&format!("permessage-deflate{}", "; a=b".repeat(1200))], None);
    answers(&server, &["permessage-deflate; a"; 90], None);
    neighbor.check();
    let mut client = Client::connect(server.address());
    let offers = format!("Sec-WebSocket-Extensions: {}\r\n\r\n", bad.repeat(2));
    client.write(format!("{}\r\n{offers}", REQUEST.trim_end()));
    assert_eq!(client.read_answer().status, 431);
    neighbor.check();
}

/// A list that breaks the grammar is no offer to decline, but a bad request.
#[test]
fn a_broken_list_is_refused() {
    let server = server(DeflatePolicy::default());
    for broken in
        ["permessage-deflate;", "permessage-deflate; a=", "permessage-deflate; a=\"b", ","]
    {
        let mut client = Client::connect(server.address());
        let head = REQUEST.trim_end();
        client.write(format!("{head}\r\nSec-WebSocket-Extensions: {broken}\r\n\r\n"));
        assert_eq!(client.read_answer().status, 400, "{broken}");
    }
}

#[test]
fn a_policy_shows_in_the_answer() {
    let narrow = server(DeflatePolicy {
        server_max_window_bits: 10,
        client_max_window_bits: 11,
        server_no_context_takeover: true,
        ..DeflatePolicy::default()
    });
    for (offer, parameters) in [
        // A client that does not offer to limit its window is not told to.
        ("", "; server_no_context_takeover; server_max_window_bits=10"),
        ("; server_max_window_bits=9", "; server_no_context_takeover; server_max_window_bits=9"),
        ("; server_max_window_bits=15", "; server_no_context_takeover; server_max_window_bits=10"),
        (
            "; client_max_window_bits",
            "; server_no_context_takeover; server_max_window_bits=10; client_max_window_bits=11",
        ),
        (
            "; client_max_window_bits=9; client_no_context_takeover",
            "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; \
             client_max_window_bits=9",
        ),
    ] {
        let offer = format!("permessage-deflate{offer}");
        answers(&narrow, &[&offer], Some(&format!("permessage-deflate{parameters}")));
    }
    let shared = server(DeflatePolicy::default().shared());
    let both = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    answers(&shared, &["permessage-deflate"], Some(both));
}
