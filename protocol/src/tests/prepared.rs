//! One message for many connections.

use alloc::vec::Vec;

use super::agreed;
use crate::deflate::{Agreed, Policy};
use crate::{Event, Frame, Limits, Misuse, Payload, Prepared, PreparedRun};
use crate::{Receiver, Role, Sender, Workspace};

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

#[test]
fn a_run_is_shared_by_those_who_take_it_as_it_is() {
    let mut workspace = workspace();
    let mut run = PreparedRun::new(["one", "two"]);
    assert_eq!((run.count(), run.payload_size()), (2, 6));
    let plain = [(); 2].map(|()| {
        Sender::new(Role::Server).prepared_run(&mut run, &mut workspace).unwrap().unwrap()
    });
    assert_eq!(&*plain[0], b"\x81\x03one\x81\x03two");
    assert!(is_same(&plain[0], &plain[1]));
    assert_eq!(workspace.traffic.frames_sent, 4);
    // A mask is its own; who compresses may take one message so and another so.
    for mut sender in [Sender::new(Role::Client), sender(&agreed(true, 15), 0)] {
        assert_eq!(sender.prepared_run(&mut run, &mut workspace), Ok(None));
        for message in run.messages() {
            assert!(sender.prepared(message, &mut workspace).is_ok());
        }
    }
    let mut sender = Sender::new(Role::Server);
    sender.fragment(Payload::Text("a"), false, &mut workspace, &mut Vec::new()).unwrap();
    let interrupted = sender.prepared_run(&mut run, &mut workspace);
    assert_eq!(interrupted, Err(Misuse::MessageUnfinished));
}
