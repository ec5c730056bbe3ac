//! The closing handshake: a client's close frame, from its bytes to the event and the answer.
//!
//! A connection closes once, so every run begins with a new one. `tungstenite` is given a buffer of
//! the least size for it.

use std::hint::black_box;

use bytes::BytesMut;
use ringwire_protocol::{Event, Limits, Receiver, Role, Sender, Workspace};
use tokio_tungstenite::tungstenite::protocol::{Role as Side, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, WebSocket};

use super::contest::{Contest, Job};
use super::memory::Memory;

/// Code 1000 and a reason, with a key of zeros.
const FRAME: &[u8] = b"\x88\x8d\0\0\0\0\x03\xe8going away.";

pub(super) fn contests() -> Vec<Contest> {
    let jobs = vec![ringwire(), sockudo(), tungstenite()];
    let size = FRAME.len();
    vec![Contest { kernel: "close".to_owned(), case: size.to_string(), size, jobs }]
}

fn ringwire() -> Job {
    let mut workspace = Workspace::new(Limits::default());
    let (mut bytes, mut out) = (FRAME.to_vec(), Vec::with_capacity(256));
    Job::new("ringwire", move || {
        let (mut receiver, mut sender) = (Receiver::new(Role::Server), Sender::new(Role::Server));
        out.clear();
        bytes.copy_from_slice(black_box(FRAME));
        let mut input = &mut bytes[..];
        let event = receiver.next(&mut input, &mut sender, &mut workspace, &mut out);
        assert!(matches!(black_box(event), Some(Event::Close(_))));
        assert!(!black_box(&out).is_empty());
    })
}

fn sockudo() -> Job {
    let (mut input, mut out) = (BytesMut::with_capacity(4096), BytesMut::with_capacity(256));
    let mut messages = Vec::with_capacity(1);
    Job::new("sockudo-ws", move || {
        let mut protocol =
            sockudo_ws::protocol::Protocol::new(sockudo_ws::Role::Server, 1 << 20, 1 << 20);
        out.clear();
        input.extend_from_slice(black_box(FRAME));
        assert!(protocol.process_into(&mut input, &mut messages).is_ok());
        assert!(messages.first().is_some_and(sockudo_ws::Message::is_close));
        protocol.encode_close_response(&mut out);
        assert!(!black_box(&out).is_empty());
    })
}

fn tungstenite() -> Job {
    Job::new("tungstenite", || {
        let config = WebSocketConfig::default().read_buffer_size(256).write_buffer_size(0);
        let memory = Memory::new(black_box(FRAME));
        let mut socket = WebSocket::from_raw_socket(memory, Side::Server, Some(config));
        assert!(matches!(black_box(socket.read()), Ok(Message::Close(_))));
        // The answer is written, and then it says that the connection is closed.
        assert!(black_box(socket.flush()).is_err() || !socket.can_write());
    })
}
