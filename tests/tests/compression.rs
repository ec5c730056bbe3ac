//! Compressed messages through the running engine (RFC 7692): what is agreed on is what passes.

use ringwire::{
    Compression, Config, Connection, Handler, Limits, Message, OwnedMessage, Request, Upgrade,
};
use ringwire_protocol::deflate::{Offer, Policy};
use ringwire_tests::{Passed, Peer, TestServer, Traffic, Wire, config, noise};

/// A client that compresses everything, well.
const EAGER: Policy = Policy {
    server_max_window_bits: 15,
    client_max_window_bits: 15,
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    memory_level: 8,
    level: 9,
    size_min: 0,
};

fn compressing(compression: Option<Compression>) -> Config {
    let limits = Limits { message_size_max: 1 << 20, ..Limits::default() };
    Config { compression, limits, ..config() }
}

/// Echoes; the path says how a connection is compressed.
struct Routes;

impl Handler for Routes {
    type State = bool;

    fn upgrade(&mut self, request: &Request<'_>) -> Upgrade<bool> {
        let windows = Policy { server_max_window_bits: 10, level: 9, ..Policy::default() };
        let compression = match request.path() {
            "/plain" => None,
            "/shared" => Some(Compression::shared()),
            "/windows" => Some(Compression { policy: windows, ..Compression::dedicated() }),
            _ => return Upgrade::accept(),
        };
        Upgrade::accept().compression(compression)
    }

    fn message(&mut self, connection: &mut Connection<'_, bool>, message: Message<'_>) {
        // Every other message goes out as it is.
        let is_plain = *connection.state();
        *connection.state() = !is_plain;
        match is_plain {
            true => connection.send_uncompressed(&message),
            false => connection.send(&message),
        };
    }
}

/// What passes when a client sends `messages` to an echo server of `policy`.
fn passes(policy: Policy, offer: &Offer, messages: &[OwnedMessage]) -> Traffic {
    let compression = Compression { policy, ..Compression::dedicated() };
    let (server, _events) = TestServer::echo(compressing(Some(compression)));
    let wire = Wire::to(server.address());
    let mut peer = Peer::connect(wire.address(), offer, &EAGER);
    messages.iter().for_each(|message| peer.echo(message));
    peer.close();
    wire.join()
}

/// The payloads of what the server, then of what the client sends.
fn sizes(policy: Policy, messages: &[OwnedMessage]) -> (usize, usize) {
    let traffic = passes(policy, &Offer::default(), messages);
    (traffic.server.size(), traffic.client.size())
}

/// Text that compresses, but not to nothing.
fn prose(size: usize) -> OwnedMessage {
    let words = ["ring ", "socket ", "frame ", "message ", "window ", "of ", "the ", "a "];
    let chosen = noise(size).into_iter().map(|byte| words[usize::from(byte) % words.len()]);
    let mut text: String = chosen.collect();
    text.truncate(size);
    text.into()
}

#[test]
fn messages_come_back_whatever_is_agreed() {
    for compression in [Compression::shared(), Compression::dedicated()] {
        let server = TestServer::echo(compressing(Some(compression))).0;
        let offers = [
            Offer::default(),
            Offer { server_max_window_bits: Some(9), ..Offer::default() },
            Offer { client_max_window_bits: Some(10), ..Offer::default() },
            Offer { client_max_window_bits: None, ..Offer::default() },
            Offer { server_no_context_takeover: true, ..Offer::default() },
            Offer { client_no_context_takeover: true, ..Offer::default() },
        ];
        for offer in offers {
            let mut peer = Peer::connect(server.address(), &offer, &EAGER);
            assert!(peer.agreed().is_some());
            for size in [0, 1, 127, 128, 5000, 70_000, 200_000] {
                let message: Vec<u8> =
                    b"all the same, ".iter().copied().cycle().take(size).collect();
                for _ in 0..2 {
                    peer.echo(&message.clone().into());
                    peer.send_uncompressed(&message.clone().into());
                    peer.expect(&message.clone().into());
                }
            }
            peer.close();
        }
        let mut peer = Peer::connect(server.address(), &Offer::default(), &EAGER);
        peer.echo(&prose(1 << 20));
        peer.close();
    }
}

#[test]
fn small_messages_go_out_as_they_are() {
    let messages: Vec<OwnedMessage> =
        [0, 1, 499, 500, 501, 5000].map(|size| vec![7; size].into()).into();
    for (size_min, compressed) in [
        (0, [true; 6]),
        (1, [false, true, true, true, true, true]),
        (500, [false, false, false, true, true, true]),
        (usize::MAX, [false; 6]),
    ] {
        let policy = Policy { size_min, ..Policy::default() };
        let traffic = passes(policy, &Offer::default(), &messages);
        let sent = |message: &Passed| message.compressed;
        let server: Vec<_> = traffic.server.messages.iter().map(sent).collect();
        assert_eq!(server, compressed, "{size_min}");
        // The threshold is the server's own.
        assert!(traffic.client.messages.iter().all(sent));
    }
}

#[test]
fn what_does_not_shrink_goes_out_as_it_is_where_no_window_needs_it() {
    let messages = [noise(1000).into(), prose(1000), noise(2000).into()];
    let traffic = passes(Policy::default().shared(), &Offer::default(), &messages);
    let sent: Vec<_> = traffic.server.messages.iter().map(|message| message.compressed).collect();
    assert_eq!(sent, [false, true, false]);
}

#[test]
fn levels() {
    let messages = [prose(60_000)];
    let of = |level, memory_level| {
        sizes(Policy { level, memory_level, ..Policy::default() }, &messages).0
    };
    let (stored, fast, small) = (of(0, 8), of(1, 8), of(9, 8));
    assert!(stored > 60_000 && fast < 40_000 && small < fast * 9 / 10, "{fast}, {small}");
    // With less memory a block ends sooner, and each brings its codes.
    let (little, much) = (of(6, 1), of(6, 9));
    assert!(little > much * 21 / 20, "{little}, {much}");
}

/// What repeats after 3,000 bytes is in one window and not in the other.
#[test]
fn windows() {
    let messages = [noise(3000).repeat(20).into()];
    let policy = Policy { level: 9, ..Policy::default() };
    let wide = sizes(policy, &messages);
    assert!(wide.0 < 5000 && wide.1 < 5000, "{wide:?}");
    let server = sizes(Policy { server_max_window_bits: 11, ..policy }, &messages);
    assert!(server.0 > 55_000 && server.1 < 5000, "{server:?}");
    let client = sizes(Policy { client_max_window_bits: 11, ..policy }, &messages);
    assert!(client.0 < 5000 && client.1 > 55_000, "{client:?}");
}

/// What repeats the message before is in the window, or that window was forgotten.
#[test]
fn takeover() {
    let messages = [noise(3000).into(), noise(3000).into(), noise(3000).into()];
    for (server, client) in [(true, true), (true, false), (false, true), (false, false)] {
        let policy = Policy {
            server_no_context_takeover: !server,
            client_no_context_takeover: !client,
            level: 9,
            ..Policy::default()
        };
        let sizes = sizes(policy, &messages);
        assert_eq!(sizes.0 < 4000, server, "{sizes:?}");
        assert_eq!(sizes.1 < 4000, client, "{sizes:?}");
        assert_eq!(sizes.0 >= 9000, !server, "{sizes:?}");
        assert_eq!(sizes.1 >= 9000, !client, "{sizes:?}");
    }
}

#[test]
fn each_route_has_its_own() {
    for default in [None, Some(Compression::dedicated())] {
        let server = TestServer::start(compressing(default), |_worker| Routes);
        for (path, answer) in [
            ("/", default.map(|_| "permessage-deflate")),
            ("/plain", None),
            (
                "/shared",
                Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
            ),
            ("/windows", Some("permessage-deflate; server_max_window_bits=10")),
        ] {
            let wire = Wire::to(server.address());
            let mut peer = Peer::connect_to(wire.address(), path, &Offer::default(), &EAGER);
            for _ in 0..10 {
                peer.echo(&prose(2000));
            }
            peer.close();
            let traffic = wire.join();
            assert_eq!(traffic.server.header("sec-websocket-extensions"), answer, "{path}");
            // Every other message goes out uncompressed, and the windows do not mind.
            let is_odd = (0..10).map(|number| answer.is_some() && number % 2 == 0);
            let sent = traffic.server.messages.iter().map(|message| message.compressed);
            assert!(sent.eq(is_odd), "{path}: {:?}", traffic.server.messages);
            let received = traffic.client.messages.iter().map(|message| message.compressed);
            assert!(received.eq([answer.is_some(); 10]), "{path}");
            assert!(traffic.server.messages.iter().all(|message| message.frames == 1));
        }
    }
}
