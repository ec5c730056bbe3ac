//! One message for many connections.

use alloc::vec::Vec;

use super::agreed;
use crate::deflate::{Agreed, Policy};
use crate::{Event, Frame, Limits, Misuse, Payload, Prepared, Receiver, Role, Sender, Workspace};

const TEXT: &str = "{\"bid\":101.25,\"ask\":101.50},{\"bid\":101.25,\"ask\":101.50}";

fn workspace() -> Workspace {
    Workspace::new(Limits::default()).with_masking_keys(|| [9, 8, 7, 6])
}

fn sender(agreed: &Agreed, size_min: usize) -> Sender {
    let policy = Policy { size_min, ..Policy::default() };
    Sender::new(Role::Server).with_deflate(agreed, &policy)
}

/// What a client makes of a frame.
fn read(frame: &Frame, agreed: &Agreed) -> Vec<u8> {
    let mut receiver = Receiver::new(Role::Client).with_deflate(agreed, u32::MAX);
    let mut bytes = frame.to_vec();
    let (mut input, mut out) = (&mut bytes[..], Vec::new());
    let (mut sender, mut workspace) = (Sender::new(Role::Client), workspace());
    match receiver.next(&mut input, &mut sender, &mut workspace, &mut out) {
        Some(Event::Message(message)) => Payload::from(&message).as_bytes().to_vec(),
        event => panic!("{event:?}"),
    }
}

fn is_same(one: &Frame, other: &Frame) -> bool {
    core::ptr::eq::<[u8]>(&**one, &**other)
}

#[test]
fn equal_parameters_share_one_frame() {
    let mut workspace = workspace();
    let (nine, twelve) = (agreed(false, 9), agreed(false, 12));
    let mut message = Prepared::new(TEXT);
    let mut frame_of = |sender: &mut Sender| sender.prepared(&mut message, &mut workspace).unwrap();
    let frames = [
        frame_of(&mut sender(&nine, 0)),
        frame_of(&mut sender(&twelve, 0)),
        frame_of(&mut Sender::new(Role::Server)),
        frame_of(&mut sender(&nine, 0)),
        frame_of(&mut sender(&twelve, 0)),
        frame_of(&mut Sender::new(Role::Server)),
        // Under this one's threshold: as if it had no compression.
        frame_of(&mut sender(&nine, TEXT.len() + 1)),
    ];
    for (one, other) in [(0, 3), (1, 4), (2, 5), (2, 6)] {
        assert!(is_same(&frames[one], &frames[other]), "{one} {other}");
    }
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        assert!(!is_same(&frames[one], &frames[other]), "{one} {other}");
    }
    assert_eq!([frames[0][0], frames[1][0], frames[2][0]], [0xc1, 0xc1, 0x81]);
    assert!(frames[0].len() < frames[2].len());
    for frame in &frames {
        assert_eq!(read(frame, &nine), TEXT.as_bytes());
    }
}

#[test]
fn what_does_not_shrink_is_plain_for_all_and_tried_once() {
    let (mut workspace, agreed) = (workspace(), agreed(false, 15));
    let noise: Vec<u8> = (0..=255).collect();
    let mut message = Prepared::new(&noise[..]);
    let compressed = sender(&agreed, 0).prepared(&mut message, &mut workspace).unwrap();
    let again = sender(&agreed, 0).prepared(&mut message, &mut workspace).unwrap();
    let plain = Sender::new(Role::Server).prepared(&mut message, &mut workspace).unwrap();
    assert!(is_same(&compressed, &plain) && is_same(&again, &plain));
    assert_eq!(plain[0], 0x82);
}

#[test]
fn a_window_or_a_masking_key_of_its_own_makes_a_frame_of_its_own() {
    let (mut workspace, agreed) = (workspace(), agreed(true, 15));
    let mut message = Prepared::new(TEXT);
    let mut sender = sender(&agreed, 0);
    let first = sender.prepared(&mut message, &mut workspace).unwrap();
    let second = sender.prepared(&mut message, &mut workspace).unwrap();
    assert_eq!(read(&first, &agreed), TEXT.as_bytes());
    // It refers to the first one, which this peer has.
    assert!(second.len() < first.len());

    let mut client = Sender::new(Role::Client);
    let frames = [0, 1].map(|_| client.prepared(&mut message, &mut workspace).unwrap());
    assert!(!is_same(&frames[0], &frames[1]));
    assert_eq!(frames[0][1] & 0x80, 0x80);
}

#[test]
fn what_may_not_be_sent_is_not_prepared() {
    let mut workspace = workspace();
    let (mut message, mut out) = (Prepared::new(TEXT), Vec::new());
    let mut sender = Sender::new(Role::Server);
    sender.fragment("begun", false, &mut workspace, &mut out).unwrap();
    assert_eq!(sender.prepared(&mut message, &mut workspace), Err(Misuse::MessageUnfinished));
    sender.abandon();
    assert_eq!(sender.prepared(&mut message, &mut workspace), Err(Misuse::Closing));
}

#[test]
fn what_is_retired_serves_the_next_connection() {
    let (mut workspace, agreed) = (workspace(), agreed(true, 9));
    let mut out = Vec::new();
    for _ in 0..3 {
        let mut sender = sender(&agreed, 0);
        sender.message(TEXT, &mut workspace, &mut out).unwrap();
        assert_eq!(workspace.pool().idle(), (0, 0));
        sender.retire(&mut workspace);
        assert_eq!(workspace.pool().idle(), (1, 0));
    }
    // Each began with an empty window.
    let size = out.len() / 3;
    assert_eq!(out[..size], out[size..2 * size]);
    let mut receiver = Receiver::new(Role::Client).with_deflate(&agreed, u32::MAX);
    let (mut input, mut sender) = (&mut out[..size], Sender::new(Role::Client));
    let mut answer = Vec::new();
    assert!(receiver.next(&mut input, &mut sender, &mut workspace, &mut answer).is_some());
    assert_eq!(workspace.pool().idle(), (1, 0));
    receiver.retire(&mut workspace);
    assert_eq!(workspace.pool().idle(), (1, 1));
}
