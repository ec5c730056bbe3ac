//! Any messages over any connections that have negotiated `permessage-deflate`, in any frames and
//! any pieces, are themselves again.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;
use proptest::sample::Index;

use crate::deflate::{Agreed, Policy};
use crate::frame::Opcode;
use crate::frame::header::Header;
use crate::{Event, Limits, Message, Payload, Receiver, Role, Sender, Violation, Workspace, mask};

/// What a side sees.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Failed(Violation),
    Other,
}

/// One message and how it is sent.
#[derive(Clone, Debug)]
struct Sent {
    /// Which of the connections it is sent on.
    connection: Index,
    message: Seen,
    compressed: bool,
    /// Where its payload is cut into frames.
    cuts: Vec<Index>,
    /// What is sent as a ping after each of these frames but the last.
    ping: Option<Vec<u8>>,
}

/// One connection, whose sender has this role.
#[derive(Clone, Copy, Debug)]
struct Terms {
    role: Role,
    agreed: Agreed,
    policy: Policy,
}

fn message() -> impl Strategy<Value = Seen> {
    let noise = |size| prop::collection::vec(any::<u8>(), size);
    let binary = prop_oneof![
        2 => Just(Vec::new()),
        4 => noise(0..700),
        4 => (noise(0..700), 1..60_usize).prop_map(|(noise, count)| noise.repeat(count)),
        2 => (any::<u8>(), 0..100_000_usize).prop_map(|(byte, size)| vec![byte; size]),
        1 => noise(0..70_000),
    ];
    prop_oneof![
        3 => binary.prop_map(Seen::Binary),
        1 => "[a-eäß€😀 ]{0,300}".prop_map(Seen::Text),
        1 => ("[a-eäß€😀 ]{0,60}", 1..200_usize)
            .prop_map(|(text, count)| Seen::Text(text.repeat(count))),
    ]
}

fn sent() -> impl Strategy<Value = Sent> {
    let cuts = prop::collection::vec(any::<Index>(), 0..=6);
    let ping = prop::option::of(prop::collection::vec(any::<u8>(), 0..=125));
    (any::<Index>(), message(), any::<bool>(), cuts, ping).prop_map(
        |(connection, message, compressed, cuts, ping)| Sent {
            connection,
            message,
            compressed,
            cuts,
            ping,
        },
    )
}

fn terms() -> impl Strategy<Value = Terms> {
    let role = prop_oneof![Just(Role::Client), Just(Role::Server)];
    let agreed =
        (any::<[bool; 2]>(), 9..=15_u8, 9..=15_u8).prop_map(|(forgets, server, client)| Agreed {
            server_no_context_takeover: forgets[0],
            client_no_context_takeover: forgets[1],
            server_max_window_bits: Some(server),
            client_max_window_bits: Some(client),
        });
    let policy = (1..=9_u8, 0..=9_u8, 0..200_usize).prop_map(|(memory_level, level, size_min)| {
        Policy { memory_level, level, size_min, ..Policy::default() }
    });
    (role, agreed, policy).prop_map(|(role, agreed, policy)| Terms { role, agreed, policy })
}

/// Sizes of the pieces in which a stream of bytes arrives, over and over.
fn pieces() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        Just(vec![1]),
        Just(vec![usize::MAX]),
        prop::collection::vec(1..30_usize, 1..5),
        prop::collection::vec(1..9000_usize, 1..5),
    ]
}

/// A workspace that all connections of a thread share, as they do in a server.
fn workspace() -> Workspace {
    let limits = Limits {
        message_size_max: 1 << 17,
        frame_size_max: 1 << 18,
        fragments_max: 8,
        ..Limits::default()
    };
    let mut key = 0x9E37_79B9_u32;
    Workspace::new(limits).with_masking_keys(move || {
        key = key.wrapping_mul(0x2C1B_3C6D).rotate_left(7);
        key.to_be_bytes()
    })
}

/// Appends one frame, masked where `like` is.
fn encode(like: &Header, first: (bool, bool, Opcode), payload: &[u8], out: &mut Vec<u8>) {
    let (fin, compressed, opcode) = first;
    let length = payload.len() as u64;
    Header { fin, compressed, opcode, length, ..*like }.encode(out);
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = like.masking_key {
        mask::apply(&mut out[start..], key, 0);
    }
}

/// Cuts the message that `frame` is into other frames, with pings between.
fn fragment(mut frame: Vec<u8>, role: Role, sent: &Sent, out: &mut Vec<u8>) {
    let (header, size) = Header::decode_negotiated(&frame, role, true).unwrap().unwrap();
    assert!(header.fin && frame.len() as u64 == size as u64 + header.length);
    let payload = &mut frame[size..];
    if let Some(key) = header.masking_key {
        mask::apply(payload, key, 0);
    }
    let mut cuts: Vec<_> = sent.cuts.iter().map(|cut| cut.index(payload.len() + 1)).collect();
    cuts.extend([0, payload.len()]);
    cuts.sort_unstable();
    let last = cuts.len() - 2;
    for (number, cut) in cuts.windows(2).enumerate() {
        let is_first = number == 0;
        let opcode = if is_first { header.opcode } else { Opcode::Continuation };
        let first = (number == last, is_first && header.compressed, opcode);
        encode(&header, first, &payload[cut[0]..cut[1]], out);
        if let (Some(ping), false) = (&sent.ping, number == last) {
            encode(&header, (true, false, Opcode::Ping), ping, out);
        }
    }
}

/// What is written on each of the connections, and what is to be seen.
fn write(all: &[Terms], messages: &[Sent]) -> Vec<(Vec<u8>, Vec<Seen>)> {
    let mut workspace = workspace();
    let mut senders: Vec<_> = all
        .iter()
        .map(|terms| Sender::new(terms.role).with_deflate(&terms.agreed, &terms.policy))
        .collect();
    let mut written = vec![(Vec::new(), Vec::new()); all.len()];
    for sent in messages {
        let at = sent.connection.index(all.len());
        let payload = match &sent.message {
            Seen::Text(text) => Payload::Text(text),
            Seen::Binary(bytes) => Payload::Binary(bytes),
            other => panic!("{other:?} is no message"),
        };
        let mut frame = Vec::new();
        let done = match sent.compressed {
            true => senders[at].message(payload, &mut workspace, &mut frame),
            false => senders[at].message_uncompressed(payload, &mut workspace, &mut frame),
        };
        assert_eq!(done, Ok(()));
        let (bytes, expected) = &mut written[at];
        fragment(frame, all[at].role, sent, bytes);
        let pings = sent.ping.iter().flat_map(|ping| vec![ping; sent.cuts.len()]);
        expected.extend(pings.map(|ping| Seen::Ping(ping.clone())));
        expected.push(sent.message.clone());
    }
    written
}

/// What is seen on each of the connections, a piece of each in turn.
fn read(all: &[Terms], streams: &[&[u8]], sizes: &[usize]) -> Vec<Vec<Seen>> {
    let mut workspace = workspace();
    let mut sides: Vec<_> = all
        .iter()
        .zip(streams)
        .map(|(terms, stream)| {
            let role = match terms.role {
                Role::Client => Role::Server,
                Role::Server => Role::Client,
            };
            let receiver = Receiver::new(role).with_deflate(&terms.agreed, u32::MAX);
            (receiver, Sender::new(role), *stream, Vec::new())
        })
        .collect();
    let mut sizes = sizes.iter().cycle();
    while sides.iter().any(|(_, _, stream, _)| !stream.is_empty()) {
        for (receiver, sender, stream, seen) in &mut sides {
            let size = sizes.next().map_or(1, |size| stream.len().min(*size));
            let (piece, rest) = stream.split_at(size);
            *stream = rest;
            let (mut bytes, mut out) = (piece.to_vec(), Vec::new());
            let mut input = &mut bytes[..];
            while let Some(event) = receiver.next(&mut input, sender, &mut workspace, &mut out) {
                seen.push(match event {
                    Event::Inflated(_) => continue,
                    Event::Message(Message::Text(text)) => Seen::Text(text.to_string()),
                    Event::Message(Message::Binary(bytes)) => Seen::Binary(bytes.to_vec()),
                    Event::Ping(payload) => Seen::Ping(payload.to_vec()),
                    Event::Failed(violation) => Seen::Failed(violation),
                    _ => Seen::Other,
                });
            }
            assert!(input.is_empty());
        }
    }
    sides.into_iter().map(|(_, _, _, seen)| seen).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_messages_are_themselves(
        all in prop::collection::vec(terms(), 1..=3),
        messages in prop::collection::vec(sent(), 0..12),
        sizes in pieces(),
    ) {
        let written = write(&all, &messages);
        let streams: Vec<_> = written.iter().map(|(bytes, _)| &bytes[..]).collect();
        let seen = read(&all, &streams, &sizes);
        for (seen, (_, expected)) in seen.iter().zip(&written) {
            // The whole is too much to print.
            let same = seen.iter().zip(expected).take_while(|(seen, sent)| seen == sent).count();
            prop_assert_eq!((same, seen.len()), (expected.len(), expected.len()));
        }
    }
}
