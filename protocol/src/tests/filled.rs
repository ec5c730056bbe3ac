//! Frames that are received into the buffer of their message.

use crate::frame::Role;
use crate::pieces::HEADROOM;
use crate::{Event, Limits, Receiver, Sender, Violation, Workspace};
use proptest::prelude::*;

/// What a receiver has told.
#[derive(Debug, PartialEq)]
enum Told {
    Message(bool, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>),
    Failed(Violation, u64),
}

/// Reads `stream` in pieces of `sizes`, over and over. `fills`: what can be is received into the
/// message's own buffer.
fn read(stream: &[u8], sizes: &[usize], fills: bool) -> Vec<Told> {
    let mut workspace = Workspace::new(Limits::default());
    let (mut receiver, mut sender) = (Receiver::new(Role::Server), Sender::new(Role::Server));
    let (mut told, mut out, mut rest) = (Vec::new(), Vec::new(), stream);
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            return told;
        }
        let lacks = receiver.lacks();
        let mut piece = Vec::new();
        if fills && lacks > 0 {
            let mut buffer = receiver.lend(&mut workspace);
            let room = buffer.capacity() - buffer.len();
            assert!(room > 0, "there is room for what is lacking");
            let (filled, others) = rest.split_at(*size.min(&lacks).min(&room).min(&rest.len()));
            buffer.extend_from_slice(filled);
            receiver.restore(buffer, filled.len(), &mut workspace);
            assert!(receiver.holds_more() && receiver.lacks() == lacks - filled.len());
            rest = others;
        } else {
            let (taken, others) = rest.split_at(*size.min(&rest.len()));
            piece.extend_from_slice(taken);
            rest = others;
        }
        let mut input = &mut piece[..];
        while let Some(event) = receiver.next(&mut input, &mut sender, &mut workspace, &mut out) {
            let failed = matches!(event, Event::Failed(_));
            match event {
                Event::Message(message) => {
                    let is_text = message.as_text().is_some();
                    told.push(Told::Message(is_text, message.as_bytes().to_vec()));
                }
                Event::Ping(payload) => told.push(Told::Ping(payload.to_vec())),
                Event::Failed(violation) => told.push(Told::Failed(violation, 0)),
                Event::Pong(payload) => told.push(Told::Pong(payload.to_vec())),
                Event::Close(close) => told.push(Told::Close(close.code)),
                other => panic!("{other:?}"),
            }
            if failed && let Some(Told::Failed(_, offset)) = told.last_mut() {
                *offset = receiver.violation_offset();
            }
        }
        assert!(input.is_empty() && !receiver.holds_more());
    }
    told
}

/// One frame of a client's.
fn frame(first: u8, payload: &[u8], out: &mut Vec<u8>) {
    const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
    let length = u16::try_from(payload.len()).unwrap();
    out.extend_from_slice(&[first, 0x80 | 126]);
    if length < 126 {
        out.pop();
        out.push(0x80 | u8::try_from(length).unwrap());
    } else {
        out.extend_from_slice(&length.to_be_bytes());
    }
    out.extend_from_slice(&KEY);
    out.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
}

proptest! {
    #[test]
    fn nothing_tells_where_a_frame_was_received(
        texts in prop::collection::vec(("[a-zé€😀]{0,300}", any::<bool>(), 0..300_usize), 1..6),
        wrong in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        sizes in prop::collection::vec(1..400_usize, 1..6),
    ) {
        let mut stream = Vec::new();
        for (text, is_text, cut) in &texts {
            let opcode = if *is_text { 1 } else { 2 };
            let (start, end) = text.as_bytes().split_at((*cut).min(text.len()));
            frame(opcode, start, &mut stream);
            frame(0x89, b"ping", &mut stream);
            frame(0x80, end, &mut stream);
            frame(0x80 | opcode, text.as_bytes(), &mut stream);
        }
        if let Some((index, byte)) = wrong {
            // In a payload or not: whatever it breaks is told in the same way.
            let index = index.index(stream.len());
            stream[index] = byte;
        }
        let plain = read(&stream, &[stream.len()], false);
        prop_assert_eq!(read(&stream, &sizes, true), plain);
    }
}

#[test]
fn a_large_frame_is_received_in_place() {
    let mut workspace = Workspace::new(Limits::default());
    let (mut receiver, mut sender) = (Receiver::new(Role::Client), Sender::new(Role::Client));
    let size = 1 << 20;
    let mut head = [0x82, 127, 0, 0, 0, 0, 0, 0x10, 0, 0, 7, 7];
    let mut next = |receiver: &mut Receiver, mut input: &mut [u8], workspace: &mut Workspace| {
        let event = receiver.next(&mut input, &mut sender, workspace, &mut Vec::new());
        event.map(|event| match event {
            Event::Message(message) => (message.as_bytes().as_ptr(), message.as_bytes().to_vec()),
            event => panic!("{event:?}"),
        })
    };
    assert_eq!(next(&mut receiver, &mut head, &mut workspace), None);
    let mut room_before = 0;
    while receiver.lacks() > 0 {
        let lacks = receiver.lacks();
        let mut buffer = receiver.lend(&mut workspace);
        let room = buffer.capacity() - buffer.len();
        // In proportion to what has arrived.
        assert!(room <= 4096 + 4 * buffer.len(), "{room} at {lacks}");
        assert!(room >= room_before.min(lacks));
        room_before = room;
        let (address, filled) = (buffer.as_ptr(), room.min(lacks));
        buffer.resize(buffer.len() + filled, 7);
        receiver.restore(buffer, filled, &mut workspace);
        let message = next(&mut receiver, &mut [], &mut workspace);
        assert_eq!(message.is_some(), filled == lacks);
        if let Some((at, bytes)) = message {
            assert_eq!((at, bytes), (address.wrapping_add(HEADROOM), vec![7; size]));
        }
    }
    assert!(receiver.is_between_messages());
    // The receiver ended meanwhile: the buffer is not lost.
    let mut head = [0x82, 127, 0, 0, 0, 0, 0, 0x10, 0, 0, 7, 7];
    assert_eq!(next(&mut receiver, &mut head, &mut workspace), None);
    let before = workspace.allocated();
    let buffer = receiver.lend(&mut workspace);
    assert!(workspace.allocated() <= before);
    receiver.restore(buffer, 0, &mut workspace);
    assert!(!receiver.holds_more());
    receiver.retire(&mut workspace);
    assert!(workspace.allocated() >= before);
}
