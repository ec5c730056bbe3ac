//! A masked text of twenty bytes, from the bytes of its frame to the message, and its echo encoded:
//! alone, and as one of a burst that is read at once and answered with one flush.
//!
//! Each side has the bytes copied to where it wants them, as a read would. Ours and that of
//! `sockudo-ws` are a parser and an encoder; the others have a stream in memory.

use std::hint::black_box;

use bytes::BytesMut;
use futures_util::{SinkExt, StreamExt};
use ringwire_protocol::{Event, Limits, Receiver, Role, Sender, Workspace};
use tokio_tungstenite::tungstenite::WebSocket;
use tokio_tungstenite::tungstenite::protocol::Role as Side;

use super::contest::{Contest, Job};
use super::memory::{Memory, ready};

const FRAME: &[u8] = b"\x81\x94\x20\x20\x20\x20TWENTYbytesofTEXThi!";

/// Frames that one read brings.
const BURST: usize = 32;

pub(super) fn contests() -> Vec<Contest> {
    [1, BURST].map(contest).into()
}

fn contest(count: usize) -> Contest {
    let burst = FRAME.repeat(count);
    let jobs = vec![
        ringwire(&burst),
        sockudo(&burst, count),
        fastwebsockets(&burst, count),
        tungstenite(&burst, count),
        tokio_websockets(&burst, count),
        wtx(&burst, count),
    ];
    let (kernel, case) = ("echo-20".to_owned(), format!("{count} at once"));
    Contest { kernel, case, size: burst.len(), jobs }
}

/// Our part alone, for who wants to know what it allocates: nothing.
#[must_use]
pub fn ours() -> Job {
    ringwire(&FRAME.repeat(BURST))
}

fn ringwire(burst: &[u8]) -> Job {
    let mut workspace = Workspace::new(Limits::default());
    let (mut receiver, mut sender) = (Receiver::new(Role::Server), Sender::new(Role::Server));
    let (burst, mut bytes) = (burst.to_vec(), burst.to_vec());
    let mut out = Vec::with_capacity(2 * burst.len());
    Job::new("ringwire", move || {
        bytes.copy_from_slice(black_box(&burst));
        out.clear();
        let mut input = &mut bytes[..];
        while let Some(event) = receiver.next(&mut input, &mut sender, &mut workspace, &mut out) {
            let Event::Message(message) = event else { unreachable!("only texts are sent") };
            assert!(sender.message(&message, &mut workspace, &mut out).is_ok());
        }
        assert!(!black_box(&out).is_empty());
    })
}

fn sockudo(burst: &[u8], count: usize) -> Job {
    let mut protocol =
        sockudo_ws::protocol::Protocol::new(sockudo_ws::Role::Server, 1 << 20, 1 << 20);
    let (burst, mut bytes) = (burst.to_vec(), BytesMut::with_capacity(64 << 10));
    let (mut messages, mut out) = (Vec::with_capacity(count), BytesMut::with_capacity(4096));
    Job::new("sockudo-ws", move || {
        bytes.extend_from_slice(black_box(&burst));
        out.clear();
        assert!(protocol.process_into(&mut bytes, &mut messages).is_ok());
        for message in messages.drain(..) {
            assert!(protocol.encode_message(&message, &mut out).is_ok());
        }
        assert!(!black_box(&out).is_empty());
    })
}

/// Writes each frame by itself: it has no buffer for more.
fn fastwebsockets(burst: &[u8], count: usize) -> Job {
    let mut socket = fastwebsockets::WebSocket::after_handshake(
        Memory::new(burst),
        fastwebsockets::Role::Server,
    );
    Job::new("fastwebsockets", move || {
        ready(async {
            for _ in 0..count {
                match socket.read_frame().await {
                    Ok(frame) => assert!(socket.write_frame(frame).await.is_ok()),
                    Err(error) => unreachable!("{error}"),
                }
            }
        });
    })
}

fn tungstenite(burst: &[u8], count: usize) -> Job {
    let mut socket = WebSocket::from_raw_socket(Memory::new(burst), Side::Server, None);
    Job::new("tungstenite", move || {
        for _ in 0..count {
            match socket.read() {
                Ok(message) => assert!(socket.write(message).is_ok()),
                Err(error) => unreachable!("{error}"),
            }
        }
        assert!(socket.flush().is_ok());
    })
}

fn tokio_websockets(burst: &[u8], count: usize) -> Job {
    let mut socket = tokio_websockets::ServerBuilder::new().serve(Memory::new(burst));
    Job::new("tokio-websockets", move || {
        ready(async {
            for _ in 0..count {
                match socket.next().await {
                    Some(Ok(message)) => assert!(socket.feed(message).await.is_ok()),
                    other => unreachable!("{other:?}"),
                }
            }
            assert!(socket.flush().await.is_ok());
        });
    })
}

/// Writes each frame by itself.
fn wtx(burst: &[u8], count: usize) -> Job {
    use wtx::collection::Vector;
    use wtx::rng::Xorshift64;
    use wtx::web_socket::{Frame, OpCode, WebSocketBuffer, WebSocketOwned, WebSocketPayloadOrigin};
    let mut socket: WebSocketOwned<(), _, _, false> = WebSocketOwned::new(
        (),
        false,
        Xorshift64::new(1),
        Memory::new(burst),
        WebSocketBuffer::new(),
    );
    let mut buffer = Vector::new();
    Job::new("wtx", move || {
        ready(async {
            let (mut common, mut reader, mut writer) = socket.split_mut();
            for _ in 0..count {
                let origin = WebSocketPayloadOrigin::Adaptive;
                match reader.read_frame(&mut buffer, &mut common, origin).await {
                    Ok(mut frame) => {
                        let mut reply = Frame::new_fin(OpCode::Text, frame.payload_mut());
                        assert!(writer.write_frame(&mut common, &mut reply).await.is_ok());
                    }
                    Err(error) => unreachable!("{error}"),
                }
            }
        });
    })
}
