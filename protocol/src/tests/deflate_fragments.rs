//! Messages whose sender compresses them fragment by fragment.

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::agreed;
use crate::deflate::Policy;
use crate::frame::Role;
use crate::{Event, Limits, Misuse, Receiver, Sender, Workspace};

/// A message in fragments, the first of which may refuse compression, or a whole one.
#[derive(Clone, Debug)]
enum Act {
    Fragments { parts: Vec<Vec<u8>>, compresses: bool },
    Whole(Vec<u8>),
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(Vec::new()),
        prop::collection::vec(any::<u8>(), 0..400),
        (any::<u8>(), 0..40_000_usize).prop_map(|(byte, size)| vec![byte; size]),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (prop::collection::vec(bytes(), 1..6), any::<bool>())
            .prop_map(|(parts, compresses)| Act::Fragments { parts, compresses }),
        bytes().prop_map(Act::Whole),
    ]
}

fn workspace() -> Workspace {
    Workspace::new(Limits::default()).with_masking_keys(|| [0x37, 0xfa, 0x21, 0x3d])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn fragments_make_the_message_again(
        acts in prop::collection::vec(act(), 1..6),
        server in any::<bool>(),
        takeover in any::<bool>(),
        bits in 9..=15_u8,
        size_min in prop_oneof![Just(0), Just(200_usize)],
        step in 1..5000_usize,
    ) {
        let role = if server { Role::Server } else { Role::Client };
        let agreed = agreed(takeover, bits);
        let policy = Policy { size_min, ..Policy::default() };
        let mut sender = Sender::new(role).with_deflate(&agreed, &policy);
        let (mut workspace, mut sent, mut messages) = (workspace(), Vec::new(), Vec::new());
        for act in &acts {
            match act {
                Act::Whole(message) => {
                    sender.message(&message[..], &mut workspace, &mut sent).unwrap();
                    messages.push(message.clone());
                }
                Act::Fragments { parts, compresses } => {
                    for (index, part) in parts.iter().enumerate() {
                        let fin = index + 1 == parts.len();
                        let out = &mut sent;
                        if *compresses || index > 0 {
                            sender.fragment(&part[..], fin, &mut workspace, out).unwrap();
                        } else {
                            sender
                                .fragment_uncompressed(&part[..], fin, &mut workspace, out)
                                .unwrap();
                        }
                        sender.ping(b"between", &mut workspace, out).unwrap();
                    }
                    messages.push(parts.concat());
                }
            }
        }
        let mut receiver = Receiver::new(role.peer()).with_deflate(&agreed, u32::MAX);
        let (mut other, mut out) = (Sender::new(role.peer()), Vec::new());
        let mut got = Vec::new();
        for piece in sent.chunks_mut(step) {
            let mut input = piece;
            while let Some(event) =
                receiver.next(&mut input, &mut other, &mut workspace, &mut out)
            {
                match event {
                    Event::Message(message) => got.push(message.as_bytes().to_vec()),
                    Event::Ping(payload) => assert_eq!(payload, b"between"),
                    Event::Inflated(_) => {}
                    event => panic!("{event:?}"),
                }
            }
        }
        prop_assert_eq!(got, messages);
        receiver.retire(&mut workspace);
        sender.retire(&mut workspace);
    }
}

#[test]
fn only_the_first_fragment_says_that_it_is_compressed() {
    let (agreed, mut workspace) = (agreed(false, 15), workspace());
    let mut sender = Sender::new(Role::Server).with_deflate(&agreed, &Policy::default());
    let part = "the same again and again, ".repeat(20);
    let first = |sender: &mut Sender, workspace: &mut Workspace, fin| {
        let mut out = Vec::new();
        sender.fragment(&*part, fin, workspace, &mut out).map(|()| (out[0], out.len()))
    };
    let whole = part.len();
    let (byte, size) = first(&mut sender, &mut workspace, false).unwrap();
    assert_eq!(byte, 0x41);
    assert!(size < whole / 4);
    // It knows the fragment before, though no message is remembered.
    let (byte, second) = first(&mut sender, &mut workspace, false).unwrap();
    assert_eq!(byte, 0x00);
    assert!(second < size);
    // Nothing comes between, and what is said of compression later is too late.
    let refused = sender.message("another", &mut workspace, &mut Vec::new());
    assert_eq!(refused, Err(Misuse::MessageUnfinished));
    let mut out = Vec::new();
    sender.fragment_uncompressed(&*part, true, &mut workspace, &mut out).unwrap();
    assert_eq!(out[0], 0x80);
    assert!(out.len() < size);
    // The next message begins with an empty window.
    assert_eq!(first(&mut sender, &mut workspace, false).unwrap(), (0x41, size));
}

#[test]
fn a_small_first_fragment_goes_uncompressed_and_so_do_the_others() {
    let (agreed, mut workspace) = (agreed(true, 15), workspace());
    let policy = Policy { size_min: 100, ..Policy::default() };
    let mut sender = Sender::new(Role::Server).with_deflate(&agreed, &policy);
    let mut out = Vec::new();
    sender.fragment("small", false, &mut workspace, &mut out).unwrap();
    sender.fragment(&*"large".repeat(20), true, &mut workspace, &mut out).unwrap();
    assert_eq!(out.len(), 2 + 5 + 2 + 100);
    assert_eq!((out[0], out[7]), (0x01, 0x80));
}
