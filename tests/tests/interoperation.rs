//! Compressed messages between this side and one that others wrote, down to its DEFLATE, in both
//! roles (RFC 7692).
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::cell::Cell;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;

use futures_util::{SinkExt, StreamExt};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use ringwire::{Compression, Config, Limits, OwnedMessage};
use ringwire_protocol::Role;
use ringwire_protocol::deflate::{Compressor, Offer, Policy};
use ringwire_protocol::frame::Opcode;
use ringwire_tests::{Direction, PATIENCE, Peer, TestServer, Traffic, Wire, config, noise};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use yawc::close::CloseCode;
use yawc::{CompressionLevel, Frame, OpCode, Options, WebSocket};

/// Theirs counts a message of just its limit as too large.
const SIZE_MAX: usize = 2 << 20;

/// What their side does: compress everything, in frames of at most `fragment` bytes before that.
fn options(fragment: Option<usize>) -> Options {
    let options = Options::default()
        .with_compression_level(CompressionLevel::new(6))
        .with_limits(SIZE_MAX, SIZE_MAX)
        .with_utf8();
    match fragment {
        Some(size) => options.with_max_fragment_size(size),
        None => options,
    }
}

/// Text and bytes of many sizes, with and without repetition.
fn messages() -> Vec<OwnedMessage> {
    let mut messages = Vec::new();
    for size in [0, 1, 5, 127, 128, 1000, 32_768, 65_535, 65_536, 1 << 20] {
        let words = "all the same, äöü €, ".chars().cycle();
        let text: String = words.take(size * 2 / 3).collect();
        assert!(text.len() <= size.max(1));
        let bytes: Vec<u8> = (0..=99).cycle().take(size).collect();
        // Noise costs a compressor the most.
        let noise = noise(size.min(1 << 17));
        messages.extend([OwnedMessage::from(text), bytes.into(), noise.into()]);
    }
    messages
}

/// Many small messages that resemble one another, which is what takeover is for.
fn quotes() -> Vec<OwnedMessage> {
    let quote = |number: u32| {
        let (bid, ask) = (number * 7919 % 10_007, number * 104_729 % 10_009);
        OwnedMessage::from(format!(
            "{{\"type\":\"quote\",\"instrument\":\"EURUSD\",\"sequence\":{number},\
             \"bid\":1.0{bid},\"ask\":1.1{ask},\
             \"venue\":\"somewhere\",\"conditions\":[\"firm\",\"open\"],\"of\":\"test\"}}"
        ))
    };
    (0..300).map(quote).collect()
}

/// Checks what one side has sent, and returns its size.
fn checked(sent: &Direction, expected: &[OwnedMessage], threshold: usize) -> usize {
    let negotiated = sent.header("sec-websocket-extensions").unwrap();
    assert!(negotiated.starts_with("permessage-deflate"), "{negotiated}");
    assert_eq!(sent.messages.len(), expected.len());
    for (sent, expected) in sent.messages.iter().zip(expected) {
        let size = expected.payload().as_bytes().len();
        if size < threshold {
            assert!(!sent.compressed, "{size} bytes went out as {sent:?}");
        } else if !sent.compressed {
            // What does not shrink may go out as it is.
            assert_eq!(sent.size, size);
        }
    }
    let compressed = sent.messages.iter().filter(|message| message.compressed).count();
    assert!(compressed > 0, "nothing was compressed");
    sent.size()
}

/// Runs their side, which may not take longer than a test has patience.
fn run<F: Future>(theirs: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(6 * PATIENCE, theirs).await.unwrap() })
}

/// Their client, which sends `messages` to the echo server at `address` and closes.
async fn their_client(address: SocketAddr, options: Options, messages: &[OwnedMessage]) {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let url = format!("ws://{address}/").parse().unwrap();
    let mut socket = WebSocket::handshake(url, stream, options).await.unwrap();
    for message in messages {
        let frame = match message {
            OwnedMessage::Text(text) => Frame::text(text.clone()),
            OwnedMessage::Binary(bytes) => Frame::binary(bytes.clone()),
        };
        socket.send(frame.clone()).await.unwrap();
        let echo = socket.next().await.expect("the echo comes");
        assert_eq!(echo.opcode(), frame.opcode());
        let size = frame.payload().len();
        assert!(echo.payload() == frame.payload(), "{size} bytes came back otherwise");
    }
    socket.send(Frame::close(CloseCode::Normal, "bye")).await.unwrap();
    let close = socket.next().await.expect("the close is answered");
    assert_eq!((close.opcode(), close.close_code()), (OpCode::Close, Some(CloseCode::Normal)));
}

/// Echoes until the other side closes.
async fn echo<S: AsyncRead + AsyncWrite + Unpin>(mut socket: WebSocket<S>) {
    while let Some(frame) = socket.next().await {
        match frame.opcode() {
            OpCode::Text | OpCode::Binary => socket.send(frame).await.unwrap(),
            // It is answered by the library, once the answer is asked for.
            OpCode::Close => assert!(socket.next().await.is_none()),
            _ => {}
        }
    }
}

/// Their server, which echoes on one connection.
async fn their_server(options: Options, ready: mpsc::Sender<SocketAddr>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    ready.send(listener.local_addr().unwrap()).unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    stream.set_nodelay(true).unwrap();
    let upgraded = Rc::new(Cell::new(None));
    let service = service_fn(|mut request| {
        let (response, upgrade) =
            WebSocket::upgrade_with_options(&mut request, options.clone()).unwrap();
        upgraded.set(Some(upgrade));
        async { Ok::<_, hyper::Error>(response) }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    connection.with_upgrades().await.unwrap();
    echo(upgraded.take().unwrap().await.unwrap()).await;
}

/// Their client at our server: what passes when it sends `messages`.
fn at_ours(compression: Compression, options: Options, messages: &[OwnedMessage]) -> Traffic {
    let limits = Limits { message_size_max: SIZE_MAX, ..Limits::default() };
    let config = Config { compression: Some(compression), limits, ..config() };
    let (server, _events) = TestServer::echo(config);
    let wire = Wire::to(server.address());
    run(their_client(wire.address(), options, messages));
    wire.join()
}

/// Our client at their server: what passes during `talk`.
fn at_theirs(
    options: Options,
    offer: &Offer,
    policy: &Policy,
    talk: impl FnOnce(&mut Peer),
) -> Traffic {
    let (ready, address) = mpsc::channel();
    let theirs = thread::spawn(move || run(their_server(options, ready)));
    let wire = Wire::to(address.recv_timeout(PATIENCE).unwrap());
    let mut peer = Peer::connect(wire.address(), offer, policy);
    talk(&mut peer);
    peer.close();
    theirs.join().unwrap();
    wire.join()
}

fn bits(bits: u8) -> Compression {
    let policy = Policy { server_max_window_bits: bits, ..Policy::default() };
    Compression { policy, ..Compression::dedicated() }
}

#[test]
fn their_client_and_our_server() {
    let messages = messages();
    let total: usize = messages.iter().map(|message| message.payload().as_bytes().len()).sum();
    let cases = [
        (Compression::shared(), None),
        (Compression::dedicated(), Some(1000)),
        (bits(9), Some(1000)),
        (bits(12), None),
    ];
    for (compression, fragment) in cases {
        let traffic = at_ours(compression, options(fragment), &messages);
        let theirs = checked(&traffic.client, &messages, 0);
        let ours = checked(&traffic.server, &messages, compression.policy.size_min);
        // Some of it is noise, and the smallest window gives little.
        assert!(theirs < total / 2 && ours < total / 2, "{theirs}, {ours} of {total}");
        let is_fragmented = traffic.client.messages.iter().any(|message| message.frames > 1000);
        assert_eq!(is_fragmented, fragment.is_some());
    }
}

#[test]
fn our_client_and_their_server() {
    let messages = messages();
    let total: usize = messages.iter().map(|message| message.payload().as_bytes().len()).sum();
    let policy = Policy { size_min: 0, level: 6, ..Policy::default() };
    for (bits, fragment) in [(9, None), (12, Some(1000)), (15, None)] {
        let offer = Offer { client_max_window_bits: Some(bits), ..Offer::default() };
        let traffic = at_theirs(options(fragment), &offer, &policy, |peer| {
            messages.iter().for_each(|message| peer.echo(message));
        });
        let ours = checked(&traffic.client, &messages, 0);
        let theirs = checked(&traffic.server, &messages, 0);
        assert!(theirs < total / 2 && ours < total / 2, "{theirs}, {ours} of {total}");
    }
}

#[test]
fn our_fragments_and_their_server() {
    for forgets in [false, true] {
        let offer = Offer { client_no_context_takeover: forgets, ..Offer::default() };
        let policy = Policy::default();
        at_theirs(options(None), &offer, &policy, |peer| {
            let agreed = peer.agreed().unwrap();
            assert_eq!(agreed.client_no_context_takeover, forgets);
            let mut compressor = Compressor::new(policy.settings(&agreed, Role::Client)).unwrap();
            for (number, message) in messages().iter().enumerate() {
                let mut payload = Vec::new();
                let bytes = message.payload().as_bytes();
                compressor.compress(bytes, agreed.takeover(Role::Client), &mut payload).unwrap();
                let opcode = match message {
                    OwnedMessage::Text(_) => Opcode::Text,
                    OwnedMessage::Binary(_) => Opcode::Binary,
                };
                let size = [1, 2, 100].into_iter().find(|size| payload.len() < size * 1000);
                peer.send_frames(opcode, &payload, size.unwrap_or(4000 + number));
                peer.expect(message);
            }
        });
    }
}

/// Each side forgets or keeps its window, as was agreed: the bytes tell.
#[test]
fn takeover_is_used_where_it_was_agreed_on() {
    let quotes = quotes();
    for (server, client) in [(true, true), (false, true), (true, false), (false, false)] {
        // At level 1 so short a message does not shrink by itself, and goes out as it is.
        let keeps = Policy { level: 6, ..Policy::default() };
        let policy = Policy {
            server_no_context_takeover: !server,
            client_no_context_takeover: !client,
            ..keeps
        };
        let compression = |policy| Compression { policy, ..Compression::dedicated() };
        let mut options = options(None);
        let indifferent = options.clone();
        if !server {
            options = options.server_no_context_takeover();
        }
        if !client {
            options = options.client_no_context_takeover();
        }
        // Our server asks for it, their client does, their server does.
        let traffics = [
            at_ours(compression(policy), indifferent, &quotes),
            at_ours(compression(keeps), options.clone(), &quotes),
            at_theirs(options, &Offer::default(), &keeps, |peer| {
                quotes.iter().for_each(|quote| peer.echo(quote));
            }),
        ];
        for traffic in traffics {
            for (sent, takeover) in [(&traffic.server, server), (&traffic.client, client)] {
                assert!(sent.messages.iter().all(|message| message.compressed));
                let mean = checked(sent, &quotes, 0) / quotes.len();
                assert!(if takeover { mean < 60 } else { mean > 90 }, "{takeover}: {mean} bytes");
            }
        }
    }
}
