//! A sender on one side, a receiver on the other, and every way to cut the bytes between them.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use crate::{
    Close, Event, Limits, Message, Misuse, Payload, Receiver, Role, Sender, Violation, Workspace,
};

/// An event that owns what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
    Failed(Violation),
}

impl From<Event<'_>> for Seen {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Message(Message::Text(text)) => Self::Text(text.to_string()),
            Event::Message(Message::Binary(bytes)) => Self::Binary(bytes.to_vec()),
            Event::Chunk(_) | Event::Inflated(_) => panic!("{event:?} is not a whole message"),
            Event::Ping(payload) => Self::Ping(payload.to_vec()),
            Event::Pong(payload) => Self::Pong(payload.to_vec()),
            Event::Close(close) => Self::Close(close.code, close.reason.to_string()),
            Event::Failed(violation) => Self::Failed(violation),
        }
    }
}

/// One side of a connection, with everything that it saw and wrote.
struct Side {
    receiver: Receiver,
    sender: Sender,
    workspace: Workspace,
    seen: Vec<Seen>,
    out: Vec<u8>,
}

impl Side {
    fn new(role: Role) -> Self {
        let limits = Limits {
            message_size_max: 1 << 17,
            frame_size_max: 1 << 17,
            fragments_max: 8,
            ..Limits::default()
        };
        let mut key = 0x9E37_79B9_u32;
        let workspace = Workspace::new(limits).with_masking_keys(move || {
            key = key.wrapping_mul(0x2C1B_3C6D).rotate_left(7);
            key.to_be_bytes()
        });
        Self {
            receiver: Receiver::new(role),
            sender: Sender::new(role),
            workspace,
            seen: Vec::new(),
            out: Vec::new(),
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        let mut input = &mut bytes[..];
        while let Some(event) =
            self.receiver.next(&mut input, &mut self.sender, &mut self.workspace, &mut self.out)
        {
            if !matches!(event, Event::Inflated(_)) {
                self.seen.push(event.into());
            }
        }
        assert!(input.is_empty());
    }
}

/// What a server sees of `bytes` and answers when they come cut at `cuts`.
fn server_sees(bytes: &[u8], cuts: &[usize]) -> (Vec<Seen>, Vec<u8>) {
    let mut server = Side::new(Role::Server);
    let mut rest = bytes;
    let mut at = 0;
    for &cut in cuts {
        let (piece, after) = rest.split_at(cut - at);
        server.read(piece);
        (rest, at) = (after, cut);
    }
    server.read(rest);
    (server.seen, server.out)
}

/// What a client may do.
#[derive(Clone, Debug)]
enum Act {
    Text(String),
    Binary(Vec<u8>),
    TextFragment(String, bool),
    BinaryFragment(Vec<u8>, bool),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16, String),
    /// Bytes that the sender would not have written.
    Raw(Vec<u8>),
}

fn act() -> impl Strategy<Value = Act> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..300);
    let short = || prop::collection::vec(any::<u8>(), 0..126);
    prop_oneof![
        4 => ".{0,200}".prop_map(Act::Text),
        4 => bytes().prop_map(Act::Binary),
        4 => (".{0,20}", any::<bool>()).prop_map(|(text, fin)| Act::TextFragment(text, fin)),
        4 => (bytes(), any::<bool>()).prop_map(|(bytes, fin)| Act::BinaryFragment(bytes, fin)),
        2 => short().prop_map(Act::Ping),
        2 => short().prop_map(Act::Pong),
        1 => (3000..5000_u16, "[a-zé]{0,40}").prop_map(|(code, why)| Act::Close(code, why)),
        1 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Act::Raw),
    ]
}

/// The bytes that a client writes for `acts`; what the sender refuses is left out.
fn client_writes(acts: &[Act]) -> Vec<u8> {
    let Side { mut sender, mut workspace, mut out, .. } = Side::new(Role::Client);
    for act in acts {
        let before = out.len();
        let done = match act {
            Act::Text(text) => sender.message(text, &mut workspace, &mut out),
            Act::Binary(bytes) => sender.message(bytes, &mut workspace, &mut out),
            Act::TextFragment(text, fin) => sender.fragment(text, *fin, &mut workspace, &mut out),
            Act::BinaryFragment(bytes, fin) => {
                sender.fragment(bytes, *fin, &mut workspace, &mut out)
            }
            Act::Ping(bytes) => sender.ping(bytes, &mut workspace, &mut out),
            Act::Pong(bytes) => sender.pong(bytes, &mut workspace, &mut out),
            Act::Close(code, reason) => {
                sender.close(Close { code: Some(*code), reason }, &mut workspace, &mut out)
            }
            Act::Raw(bytes) => {
                out.extend_from_slice(bytes);
                Ok(())
            }
        };
        if done.is_err() {
            assert_eq!(out.len(), before, "a refused {act:?} wrote something");
        }
    }
    out
}

proptest! {
    #[test]
    fn any_split_gives_the_same_events(
        acts in prop::collection::vec(act(), 0..12),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..24),
    ) {
        let bytes = client_writes(&acts);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let whole = server_sees(&bytes, &[]);
        prop_assert_eq!(&server_sees(&bytes, &cuts), &whole);
        let every: Vec<usize> = (0..bytes.len()).collect();
        prop_assert_eq!(&server_sees(&bytes, &every), &whole);
    }

    #[test]
    fn what_is_sent_is_what_is_seen(
        messages in prop::collection::vec((".{0,90}", 1..7_usize, any::<bool>()), 0..9),
    ) {
        let mut client = Side::new(Role::Client);
        let mut expected = Vec::new();
        for (text, pieces, binary) in &messages {
            let characters: Vec<char> = text.chars().collect();
            let size = characters.len().div_ceil(*pieces).max(1);
            let mut chunks: Vec<String> =
                characters.chunks(size).map(|chunk| chunk.iter().collect()).collect();
            chunks.resize(chunks.len().max(1), String::new());
            for (index, chunk) in chunks.iter().enumerate() {
                let payload = match binary {
                    true => Payload::Binary(chunk.as_bytes()),
                    false => Payload::Text(chunk),
                };
                let fin = index + 1 == chunks.len();
                let (sender, workspace) = (&mut client.sender, &mut client.workspace);
                prop_assert_eq!(sender.fragment(payload, fin, workspace, &mut client.out), Ok(()));
                prop_assert_eq!(sender.ping(b"between", workspace, &mut client.out), Ok(()));
                expected.push(Seen::Ping(b"between".to_vec()));
            }
            let last = expected.len() - 1;
            expected.insert(last, match binary {
                true => Seen::Binary(text.clone().into_bytes()),
                false => Seen::Text(text.clone()),
            });
        }
        let (seen, answers) = server_sees(&client.out, &[]);
        prop_assert_eq!(&seen, &expected);
        // And back: the pongs reach the client.
        client.read(&answers);
        let pings = expected.iter().filter(|seen| matches!(seen, Seen::Ping(_))).count();
        prop_assert_eq!(client.seen, vec![Seen::Pong(b"between".to_vec()); pings]);
    }
}

#[test]
fn what_came_before_a_violation_is_delivered() {
    let mut bytes = client_writes(&[
        Act::Text("one".into()),
        Act::Ping(b"p".to_vec()),
        Act::BinaryFragment(vec![1; 9], false),
    ]);
    bytes.extend_from_slice(&[0xC1, 0x80]);
    let first = vec![Seen::Text("one".into()), Seen::Ping(b"p".to_vec())];
    for cut in 0..bytes.len() {
        let (seen, out) = server_sees(&bytes, &[cut]);
        assert_eq!(seen[..2], first);
        assert_eq!(seen[2..], [Seen::Failed(Violation::ReservedBits)]);
        assert_eq!(out[..3], *b"\x8A\x01p");
        assert_eq!(out[3], 0x88);
        assert_eq!(out[5..7], 1002_u16.to_be_bytes());
    }
}

#[test]
fn invalid_text_fails_while_the_frame_is_arriving() {
    let masked = |bytes: &[u8]| bytes.to_vec();
    let mut bytes = vec![0x81, 0x80 | 100, 0, 0, 0, 0];
    bytes.extend_from_slice(&masked(b"good \xED\xA0"));
    let (seen, _) = server_sees(&bytes, &[]);
    assert_eq!(seen, [Seen::Failed(Violation::InvalidUtf8)]);
    let (seen, _) = server_sees(&bytes[..bytes.len() - 1], &[]);
    assert_eq!(seen, []);
}

#[test]
fn nothing_after_a_close() {
    let mut bytes = client_writes(&[Act::Close(4000, "done".into())]);
    bytes.extend_from_slice(&client_writes(&[Act::Text("late".into()), Act::Ping(vec![])]));
    bytes.extend_from_slice(&[0xFF; 8]);
    let (seen, out) = server_sees(&bytes, &[]);
    assert_eq!(seen, [Seen::Close(Some(4000), "done".into())]);
    assert_eq!(out, [0x88, 2, 0x0F, 0xA0]);
}

#[test]
fn after_its_own_close_a_side_still_reads() {
    let mut server = Side::new(Role::Server);
    let away = Close { code: Some(1001), reason: "" };
    assert_eq!(server.sender.close(away, &mut server.workspace, &mut server.out), Ok(()));
    let sent = server.out.len();
    let late = server.sender.message("late", &mut server.workspace, &mut server.out);
    assert_eq!(late, Err(Misuse::Closing));
    server.read(&client_writes(&[
        Act::Text("crossing".into()),
        Act::Ping(b"?".to_vec()),
        Act::Close(3000, String::new()),
    ]));
    let close = Seen::Close(Some(3000), String::new());
    assert_eq!(server.seen, [Seen::Text("crossing".into()), Seen::Ping(b"?".to_vec()), close]);
    assert_eq!(server.out[sent..], *b"\x8A\x01?");
    assert!(server.sender.closing().is_over());
}

#[test]
fn limits_act_on_what_is_declared() {
    let frame = |first: u8, length: u64| {
        let mut bytes = vec![first, 0xFF];
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes
    };
    let (seen, _) = server_sees(&frame(0x82, (1 << 17) + 1), &[]);
    assert_eq!(seen, [Seen::Failed(Violation::FrameTooBig)]);
    let (seen, _) = server_sees(&frame(0x82, (1 << 63) - 1), &[]);
    assert_eq!(seen, [Seen::Failed(Violation::FrameTooBig)]);
    let mut two = client_writes(&[Act::BinaryFragment(vec![0; 200], false)]);
    two.extend_from_slice(&frame(0x80, 1 << 17));
    let (seen, _) = server_sees(&two, &[]);
    assert_eq!(seen, [Seen::Failed(Violation::MessageTooBig)]);
    let many = vec![Act::BinaryFragment(vec![], false); 9];
    let (seen, _) = server_sees(&client_writes(&many), &[]);
    assert_eq!(seen, [Seen::Failed(Violation::TooManyFragments)]);
    let eight =
        [vec![Act::BinaryFragment(vec![], false); 7], vec![Act::BinaryFragment(vec![7], true)]];
    let (seen, _) = server_sees(&client_writes(&eight.concat()), &[]);
    assert_eq!(seen, [Seen::Binary(vec![7])]);
}

#[test]
fn an_idle_receiver_is_small() {
    let size = size_of::<Receiver>();
    assert!(size <= 128, "{size} bytes");
}
