//! The header of a frame, decoded and encoded, in each of its three lengths.

use std::hint::black_box;
use std::io::Cursor;

use bytes::BytesMut;
use ringwire_protocol::frame::header::{Header, SIZE_MAX};
use ringwire_protocol::frame::{Opcode, Role};
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::contest::{Contest, Job};

/// Of payloads; the header says them in one, two and eight bytes.
const LENGTHS: [usize; 3] = [20, 1 << 10, 1 << 20];

const KEY: [u8; 4] = [0x1d, 0xb6, 0xf0, 0x4d];

pub(super) fn contests() -> Vec<Contest> {
    LENGTHS.iter().flat_map(|&length| [decode(length), encode(length)]).collect()
}

/// The header of a client's text.
fn decode(length: usize) -> Contest {
    let mut bytes = Vec::new();
    header(length, Some(KEY)).encode(&mut bytes);
    let size = bytes.len();
    let theirs = bytes.clone();
    let jobs = vec![
        Job::new("ringwire", move || {
            let decoded = Header::decode(black_box(&bytes), Role::Client);
            assert!(black_box(decoded).is_ok());
        }),
        Job::new("tungstenite", move || {
            let parsed = FrameHeader::parse(&mut Cursor::new(black_box(&theirs)));
            assert!(black_box(parsed).is_ok());
        }),
    ];
    Contest { kernel: "header-decode".to_owned(), case: size.to_string(), size, jobs }
}

/// The header of a server's text.
fn encode(length: usize) -> Contest {
    let mut out = Vec::with_capacity(SIZE_MAX);
    header(length, None).encode(&mut out);
    let size = out.len();
    let mut theirs = Vec::with_capacity(SIZE_MAX);
    let mut buffer = BytesMut::with_capacity(SIZE_MAX);
    let jobs = vec![
        Job::new("ringwire", move || {
            let out = black_box(&mut out);
            out.clear();
            header(black_box(length), None).encode(out);
        }),
        Job::new("tungstenite", move || {
            let out = black_box(&mut theirs);
            out.clear();
            let header = FrameHeader { opcode: OpCode::Data(Data::Text), ..FrameHeader::default() };
            assert!(header.format(black_box(length) as u64, out).is_ok());
        }),
        Job::new("sockudo-ws", move || {
            let out = black_box(&mut buffer);
            out.clear();
            let length = black_box(length);
            sockudo_ws::frame::encode_frame_header(
                out,
                sockudo_ws::OpCode::Text,
                length,
                true,
                None,
            );
        }),
    ];
    Contest { kernel: "header-encode".to_owned(), case: size.to_string(), size, jobs }
}

const fn header(length: usize, masking_key: Option<[u8; 4]>) -> Header {
    let length = length as u64;
    Header { fin: true, compressed: false, opcode: Opcode::Text, masking_key, length }
}
