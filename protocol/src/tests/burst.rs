//! Messages taken in bursts, beside the same bytes read one by one, which never are.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use proptest::prelude::*;

use crate::frame::header::Header;
use crate::frame::{Opcode, Role};
use crate::{Event, Limits, Message, Receiver, Sender, Workspace, mask};

/// What a server saw of a stream.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    events: Vec<String>,
    out: Vec<u8>,
    frames: u64,
    violation_offset: Option<u64>,
}

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn workspace() -> Workspace {
    Workspace::new(Limits { message_size_max: 1 << 12, ..Limits::default() })
}

fn told(message: &Message<'_>) -> String {
    match message {
        Message::Text(text) => text.to_string(),
        Message::Binary(bytes) => alloc::format!("{bytes:?}"),
    }
}

/// Reads pieces; `bursts` where they are to be taken in bursts, as the engine does.
fn read<'b>(pieces: impl Iterator<Item = &'b [u8]>, bursts: bool) -> Seen {
    let (mut receiver, mut sender) = (Receiver::new(Role::Server), Sender::new(Role::Server));
    let (mut workspace, mut seen) = (workspace(), Seen::default());
    for piece in pieces {
        let mut bytes = piece.to_vec();
        let mut input = &mut bytes[..];
        loop {
            if bursts && let Some(mut burst) = receiver.burst() {
                while let Some(message) = burst.next(&mut input, &sender, &mut workspace) {
                    seen.events.push(told(&message));
                    sender.message(&message, &mut workspace, &mut seen.out).unwrap_or(());
                }
            }
            let event = receiver.next(&mut input, &mut sender, &mut workspace, &mut seen.out);
            let Some(event) = event else { break };
            seen.events.push(match &event {
                Event::Message(message) => told(message),
                other => alloc::format!("{other:?}"),
            });
            if let Event::Message(message) = &event {
                sender.message(message, &mut workspace, &mut seen.out).unwrap_or(());
            }
            if matches!(event, Event::Failed(_)) {
                seen.violation_offset = Some(receiver.violation_offset());
            }
        }
        assert!(input.is_empty());
    }
    seen.frames = workspace.traffic().frames_received;
    seen
}

fn frame(opcode: Opcode, fin: bool, payload: &[u8], out: &mut Vec<u8>) {
    let length = payload.len() as u64;
    Header { fin, compressed: false, opcode, masking_key: Some(KEY), length }.encode(out);
    let start = out.len();
    out.extend_from_slice(payload);
    mask::apply(&mut out[start..], KEY, 0);
}

fn frames() -> impl Strategy<Value = Vec<u8>> {
    let size = prop_oneof![4 => 0_usize..70, 1 => 120_usize..140, 1 => 4090_usize..4100];
    let text = (size.clone(), prop_oneof![9 => Just("a"), 3 => Just("é€😀"), 1 => Just("\u{7f}")]);
    let one = prop_oneof![
        6 => text.prop_map(|(size, word)| {
            let mut text = word.repeat(size / word.len() + 1);
            while text.len() > size {
                text.pop();
            }
            (Opcode::Text, true, text.into_bytes())
        }),
        4 => size.prop_map(|size| (Opcode::Binary, true, alloc::vec![0xa5; size])),
        1 => Just((Opcode::Ping, true, b"ping".to_vec())),
        1 => Just((Opcode::Text, false, b"begun".to_vec())),
        1 => Just((Opcode::Continuation, true, b"ended".to_vec())),
        1 => (0_usize..90, 0_usize..90).prop_map(|(before, after)| {
            // No text has this byte.
            let mut bytes = alloc::vec![b'x'; before];
            bytes.push(0xff);
            bytes.resize(before + 1 + after, b'x');
            (Opcode::Text, true, bytes)
        }),
        1 => Just((Opcode::Close, true, alloc::vec![0x03, 0xe8])),
    ];
    prop::collection::vec(one, 0..12).prop_map(|all| {
        let mut bytes = Vec::new();
        for (opcode, fin, payload) in all {
            frame(opcode, fin, &payload, &mut bytes);
        }
        bytes
    })
}

proptest! {
    #[test]
    fn a_burst_is_what_comes_byte_by_byte(
        stream in frames(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..2),
        cut in 1_usize..400,
    ) {
        let mut stream = stream;
        for (place, byte) in changes {
            if !stream.is_empty() {
                let at = place.index(stream.len());
                stream[at] = byte;
            }
        }
        let expected = read(stream.chunks(1), false);
        prop_assert_eq!(&read(stream.chunks(stream.len().max(1)), true), &expected);
        prop_assert_eq!(&read(stream.chunks(cut), true), &expected);
        prop_assert_eq!(&read(stream.chunks(cut), false), &expected);
    }
}

#[test]
fn what_is_no_text_is_left_as_it_was() {
    for size in [1_usize, 20, 64, 65, 126, 300] {
        let mut bytes = Vec::new();
        let mut payload = alloc::vec![b'x'; size];
        payload[size - 1] = 0xff;
        frame(Opcode::Text, true, &payload, &mut bytes);
        let mut receiver = Receiver::new(Role::Server);
        let mut read = bytes.clone();
        let mut input = &mut read[..];
        let mut burst = receiver.burst().expect("nothing has arrived");
        assert!(burst.next(&mut input, &Sender::new(Role::Server), &mut workspace()).is_none());
        assert_eq!(&*input, &bytes, "{size} bytes");
    }
}

#[test]
fn nothing_is_taken_after_the_end() {
    let mut bytes = Vec::new();
    frame(Opcode::Text, true, b"late", &mut bytes);
    let mut input = &mut bytes[..];
    let (mut receiver, mut sender) = (Receiver::new(Role::Server), Sender::new(Role::Server));
    sender.abandon();
    let mut burst = receiver.burst().expect("nothing has arrived");
    assert!(burst.next(&mut input, &sender, &mut workspace()).is_none());
    assert!(Receiver::new(Role::Client).burst().is_none(), "a client's peer does not mask");
}
