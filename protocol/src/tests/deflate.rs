//! Two sides that have negotiated `permessage-deflate`, and what either must refuse.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::agreed;
use crate::deflate::{Agreed, Policy};
use crate::frame::Opcode;
use crate::frame::header::Header;
use crate::{Event, Limits, Message, Receiver, Role, Sender, Violation, Workspace};

/// What a side saw: text, binary, or its end.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Control,
    Failed(Violation),
}

const LIMITS: Limits = Limits {
    message_size_max: 1 << 17,
    streamed_size_max: 1 << 17,
    frame_size_max: 1 << 17,
    fragments_max: 8,
};

const AGREED: Agreed = Agreed {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    server_max_window_bits: None,
    client_max_window_bits: None,
};

fn workspace() -> Workspace {
    Workspace::new(LIMITS).with_masking_keys(|| [0x37, 0xfa, 0x21, 0x3d])
}

/// What a receiver of `role` sees of `bytes` in pieces, and the close code that it answers.
fn sees<'p>(
    role: Role,
    agreed: &Agreed,
    pieces: impl IntoIterator<Item = &'p [u8]>,
) -> (Vec<Seen>, Option<u16>) {
    let mut receiver = Receiver::new(role).with_deflate(agreed, 2000);
    let (mut sender, mut workspace) = (Sender::new(role), workspace());
    let (mut seen, mut out) = (Vec::new(), Vec::new());
    for piece in pieces {
        let mut bytes = piece.to_vec();
        let mut input = &mut bytes[..];
        while let Some(event) = receiver.next(&mut input, &mut sender, &mut workspace, &mut out) {
            seen.push(match event {
                Event::Inflated(_) => continue,
                Event::Message(Message::Text(text)) => Seen::Text(text.to_string()),
                Event::Message(Message::Binary(bytes)) => Seen::Binary(bytes.to_vec()),
                Event::Failed(violation) => Seen::Failed(violation),
                _ => Seen::Control,
            });
        }
    }
    let failed = matches!(seen.last(), Some(Seen::Failed(_)));
    (seen, failed.then(|| close_code(&out)))
}

/// The code of the unmasked close frame that ends `out`.
fn close_code(out: &[u8]) -> u16 {
    let at = out.iter().rposition(|&byte| byte == 0x88).unwrap();
    u16::from_be_bytes([out[at + 2], out[at + 3]])
}

/// One frame of a client whose masking key is zero.
fn frame(fin: bool, compressed: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let length = payload.len() as u64;
    Header { fin, compressed, opcode, masking_key: Some([0; 4]), length }.encode(&mut out);
    out.extend_from_slice(payload);
    out
}

const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

#[track_caller]
fn assert_seen(bytes: &[u8], expected: &[Seen], code: Option<u16>) {
    for pieces in [bytes.len().max(1), 1, 2, 3] {
        let result = sees(Role::Server, &AGREED, bytes.chunks(pieces));
        assert_eq!(result, (expected.to_vec(), code), "pieces of {pieces}");
    }
}

#[test]
fn fragments_of_a_compressed_message() {
    let hello = || Seen::Text("Hello".to_string());
    let whole = frame(true, true, Opcode::Text, &HELLO);
    let plain = frame(true, false, Opcode::Text, b"Hello");
    assert_seen(&[whole.clone(), plain, whole].concat(), &[hello(), hello(), hello()], None);
    for cut in 0..=HELLO.len() {
        let (first, rest) = HELLO.split_at(cut);
        let bytes = [
            frame(false, true, Opcode::Text, first),
            frame(true, false, Opcode::Ping, b"between"),
            frame(true, false, Opcode::Continuation, rest),
        ];
        assert_seen(&bytes.concat(), &[Seen::Control, hello()], None);
    }
}

#[test]
fn rsv1_where_it_may_not_stand() {
    let failed = [Seen::Failed(Violation::ReservedBits)];
    for opcode in [Opcode::Ping, Opcode::Pong, Opcode::Close, Opcode::Continuation] {
        assert_seen(&frame(true, true, opcode, b""), &failed, Some(1002));
    }
    let bytes = [
        frame(false, true, Opcode::Text, &HELLO[..3]),
        frame(true, true, Opcode::Continuation, &HELLO[3..]),
    ];
    assert_seen(&bytes.concat(), &failed, Some(1002));
}

#[test]
fn what_is_wrong_inside() {
    let corrupt = [Seen::Failed(Violation::CompressionCorrupt)];
    assert_seen(&frame(true, true, Opcode::Binary, &[6]), &corrupt, Some(1007));
    assert_seen(&frame(true, true, Opcode::Binary, &HELLO[..5]), &corrupt, Some(1007));
    let stored = [0x00, 0x02, 0x00, 0xfd, 0xff, b'a', 0xff, 0x00];
    let invalid = Seen::Failed(Violation::InvalidUtf8);
    assert_seen(&frame(true, true, Opcode::Text, &stored), &[invalid], Some(1007));
    let bytes = Seen::Binary(vec![b'a', 0xff]);
    assert_seen(&frame(true, true, Opcode::Binary, &stored), &[bytes], None);
}

/// The window of 32 KiB is there all the same, see [`Decompressor`](crate::deflate::Decompressor).
#[test]
fn a_reference_beyond_the_agreed_window_is_read() {
    let mut state = 1_u32;
    let mut noise = vec![0; 20_000];
    noise.fill_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    });
    let policy = Policy { level: 9, ..Policy::default() };
    let bytes = writes(&[(noise.clone(), true), (noise.clone(), true)], &AGREED, &policy);
    assert!(bytes.len() < 21_000, "the second refers to the first: {} bytes", bytes.len());
    let (seen, _) = sees(Role::Server, &agreed(true, 9), [&bytes[..]]);
    assert_eq!(seen, [Seen::Binary(noise.clone()), Seen::Binary(noise)]);
}

/// Blocks without content add nothing to the message and so never reach its limit.
#[test]
fn empty_blocks_end_and_what_is_wrong_before_counts_first() {
    let blocks = [0x00, 0x00, 0x00, 0xff, 0xff].repeat(26_000);
    let sent = |rest: &[u8]| {
        let first = frame(false, true, Opcode::Binary, &blocks);
        [first, frame(true, false, Opcode::Continuation, rest)].concat()
    };
    let too_big = [Seen::Failed(Violation::MessageTooBig)];
    assert_seen(&sent(&blocks), &too_big, Some(1009));
    let corrupt = [Seen::Failed(Violation::CompressionCorrupt)];
    assert_seen(&sent(&[6; 30_000]), &corrupt, Some(1007));
}

/// What a client's sender writes for `messages`.
fn writes(messages: &[(Vec<u8>, bool)], agreed: &Agreed, policy: &Policy) -> Vec<u8> {
    let mut sender = Sender::new(Role::Client).with_deflate(agreed, policy);
    let (mut workspace, mut out) = (workspace(), Vec::new());
    for (message, compressed) in messages {
        let (space, out) = (&mut workspace, &mut out);
        let sent = match compressed {
            true => sender.message(message, space, out),
            false => sender.message_uncompressed(message, space, out),
        };
        assert_eq!(sent, Ok(()));
    }
    out
}

#[test]
fn a_bomb_is_a_message_too_big() {
    let policy = Policy { level: 9, ..Policy::default() };
    let bytes = writes(&[(vec![0; 4 << 20], true)], &AGREED, &policy);
    assert!(bytes.len() < 5000);
    assert_seen(&bytes, &[Seen::Failed(Violation::MessageTooBig)], Some(1009));
    let bytes = writes(&[(vec![0; 1 << 17], true)], &AGREED, &policy);
    assert_seen(&bytes, &[Seen::Binary(vec![0; 1 << 17])], None);
}

#[test]
fn a_large_message_is_decompressed_step_by_step() {
    const SIZE: usize = 3 << 20;
    let policy = Policy { level: 9, ..Policy::default() };
    let limits = Limits { message_size_max: SIZE, ..Limits::default() };
    let written = writes(&[(vec![7; SIZE], true), (b"next".to_vec(), true)], &AGREED, &policy);
    let mut workspace = Workspace::new(limits);
    let mut sender = Sender::new(Role::Server);
    let mut receiver = Receiver::new(Role::Server).with_deflate(&AGREED, u32::MAX);
    // The caller turns away after each event, and keeps what is left of what it has read.
    let mut left = written;
    let (mut size, mut steps) = (0, 0);
    let message = loop {
        let mut input = &mut left[..];
        match receiver.next(&mut input, &mut sender, &mut workspace, &mut Vec::new()) {
            Some(Event::Inflated(step)) => {
                assert!(step > 0 && step < 128 << 10, "{step} bytes at once");
                (size, steps) = (size + step, steps + 1);
            }
            Some(Event::Message(message)) => break message.as_bytes().to_vec(),
            event => panic!("{event:?}"),
        }
        left = input.to_vec();
        assert!(receiver.holds_more() && !receiver.is_between_messages());
    };
    assert!(message.iter().all(|byte| *byte == 7) && message.len() == SIZE);
    assert!(size <= SIZE && steps >= SIZE / (128 << 10), "{size} bytes in {steps} steps");
    assert!(!receiver.holds_more());
}

#[test]
fn what_is_short_or_does_not_shrink_goes_out_as_it_is() {
    let policy = Policy { size_min: 10, ..Policy::default() };
    let noise: Vec<u8> =
        (0..200_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect();
    let first =
        |message: &[u8], agreed: &Agreed| writes(&[(message.to_vec(), true)], agreed, &policy)[0];
    assert_eq!(first(&[7; 9], &AGREED), 0x82);
    assert_eq!(first(&[7; 10], &AGREED), 0xC2);
    assert_eq!(first(&noise, &agreed(false, 15)), 0x82);
    assert_eq!(first(&noise, &AGREED), 0xC2);
    // There is no compressor for a window of 8 bits.
    assert_eq!(first(&[7; 90], &agreed(true, 8)), 0x82);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_sent_is_what_is_seen(
        messages in prop::collection::vec(
            (prop::collection::vec(0..9_u8, 0..900), any::<bool>()), 0..7),
        takeover in any::<bool>(),
        bits in 8..=15_u8,
        size_min in 0..200_usize,
        piece in 1..300_usize,
    ) {
        let agreed = agreed(takeover, bits);
        let policy = Policy { size_min, ..Policy::default() };
        let bytes = writes(&messages, &agreed, &policy);
        let expected: Vec<Seen> =
            messages.into_iter().map(|(message, _)| Seen::Binary(message)).collect();
        prop_assert_eq!(&sees(Role::Server, &agreed, bytes.chunks(piece)).0, &expected);
        prop_assert_eq!(&sees(Role::Server, &agreed, [&bytes[..]]).0, &expected);
    }
}
