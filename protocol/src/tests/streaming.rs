//! Messages taken in chunks, beside the same bytes taken whole.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use crate::deflate::{Agreed, Policy};
use crate::frame::Opcode;
use crate::frame::header::Header;
use crate::{Chunk, Event, Limits, Message, Receiver, Role, Sender, Violation, Workspace};

/// An event that owns what it says. A message in chunks becomes one when its last has come.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
    Failed(Violation),
}

/// The limits are the same for both ways; a frame alone is not bounded.
const LIMITS: Limits = Limits {
    message_size_max: 100_000,
    streamed_size_max: 100_000,
    frame_size_max: usize::MAX,
    fragments_max: 8,
};

const RATIO_MAX: u32 = 200;

/// A server without a socket.
struct Side {
    receiver: Receiver,
    sender: Sender,
    workspace: Workspace,
    out: Vec<u8>,
    /// Each with the number of bytes that had arrived by then.
    seen: Vec<(usize, Seen)>,
    arrived: usize,
    /// The message in chunks of which the last has not come.
    unfinished: Option<Seen>,
    chunk_count: usize,
}

impl Side {
    fn new(streams: bool, agreed: Option<&Agreed>, limits: Limits) -> Self {
        let mut receiver = Receiver::new(Role::Server);
        if let Some(agreed) = agreed {
            receiver = receiver.with_deflate(agreed, RATIO_MAX);
        }
        receiver.set_streaming(streams);
        Self {
            receiver,
            sender: Sender::new(Role::Server),
            workspace: Workspace::new(limits),
            out: Vec::new(),
            seen: Vec::new(),
            arrived: 0,
            unfinished: None,
            chunk_count: 0,
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        self.arrived += bytes.len();
        let mut bytes = bytes.to_vec();
        let mut input = &mut bytes[..];
        let Self { receiver, sender, workspace, out, .. } = self;
        while let Some(event) = receiver.next(&mut input, sender, workspace, out) {
            let seen = match event {
                Event::Chunk(chunk) => {
                    self.chunk_count += 1;
                    match gather(&mut self.unfinished, chunk) {
                        Some(message) => message,
                        None => continue,
                    }
                }
                Event::Inflated(_) => continue,
                Event::Message(Message::Text(text)) => Seen::Text(text.to_string()),
                Event::Message(Message::Binary(bytes)) => Seen::Binary(bytes.to_vec()),
                Event::Ping(payload) => Seen::Ping(payload.to_vec()),
                Event::Pong(payload) => Seen::Pong(payload.to_vec()),
                Event::Close(close) => Seen::Close(close.code, close.reason.to_string()),
                Event::Failed(violation) => Seen::Failed(violation),
            };
            self.seen.push((self.arrived, seen));
        }
        assert!(input.is_empty());
    }
}

/// Adds a chunk to its message, and gives that where it was the last. What the chunk lends is
/// overwritten, as a caller may.
fn gather(unfinished: &mut Option<Seen>, chunk: Chunk<'_>) -> Option<Seen> {
    assert_eq!(chunk.is_first, unfinished.is_none());
    assert!(chunk.is_last || !chunk.part.as_bytes().is_empty(), "an empty chunk is the last");
    let before = unfinished.take();
    let message = match (chunk.part, before) {
        (Message::Text(text), before) => {
            assert!(core::str::from_utf8(text.as_bytes()).is_ok());
            let mut all = match before {
                Some(Seen::Text(all)) => all,
                None => String::new(),
                other => panic!("a text goes on with {other:?}"),
            };
            all.push_str(&text);
            text.into_bytes().fill(0xFF);
            Seen::Text(all)
        }
        (Message::Binary(bytes), before) => {
            let mut all = match before {
                Some(Seen::Binary(all)) => all,
                None => Vec::new(),
                other => panic!("bytes go on with {other:?}"),
            };
            all.extend_from_slice(bytes);
            bytes.fill(0xFF);
            Seen::Binary(all)
        }
    };
    if chunk.is_last {
        return Some(message);
    }
    *unfinished = Some(message);
    None
}

/// A client's frame.
fn frame(fin: bool, compressed: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let (key, length) = ([0x37, 0xFA, 0x21, 0x3D], payload.len() as u64);
    let mut out = Vec::new();
    Header { fin, compressed, opcode, masking_key: Some(key), length }.encode(&mut out);
    let start = out.len();
    out.extend_from_slice(payload);
    crate::mask::apply(&mut out[start..], key, 0);
    out
}

const AGREED: Agreed = Agreed {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    server_max_window_bits: None,
    client_max_window_bits: None,
};

fn agreed(takeover: bool) -> Agreed {
    Agreed { client_no_context_takeover: !takeover, ..AGREED }
}

/// The frame that a client's sender writes, taken apart: whether it is compressed, and its payload.
fn payload(sender: &mut Sender, message: &Seen) -> (bool, Vec<u8>) {
    let (mut out, mut workspace) = (Vec::new(), Workspace::new(Limits::default()));
    workspace = workspace.with_masking_keys(|| [0; 4]);
    let sent = match message {
        Seen::Text(text) => sender.message(text, &mut workspace, &mut out),
        Seen::Binary(bytes) => sender.message(bytes, &mut workspace, &mut out),
        other => panic!("{other:?} is no message"),
    };
    assert_eq!(sent, Ok(()));
    let decoded = Header::decode_negotiated(&out, Role::Client, true);
    let Ok(Some((header, size))) = decoded else { panic!("{decoded:?}") };
    (header.compressed, out.split_off(size))
}

/// What a client sends: messages in fragments with control frames between, maybe damaged.
#[derive(Clone, Debug)]
struct Stream {
    acts: Vec<Act>,
    deflate: Option<bool>,
    /// Where a byte is changed, if one is, and how.
    damage: Option<(prop::sample::Index, u8)>,
    piece: usize,
}

#[derive(Clone, Debug)]
struct Act {
    message: Seen,
    cuts: Vec<prop::sample::Index>,
    /// Whether a ping comes after each fragment.
    pings: bool,
}

impl Stream {
    fn bytes(&self) -> Vec<u8> {
        let mut sender = Sender::new(Role::Client);
        if let Some(takeover) = self.deflate {
            let policy = Policy { size_min: 0, ..Policy::default() };
            sender = sender.with_deflate(&agreed(takeover), &policy);
        }
        let mut out = Vec::new();
        for Act { message, cuts, pings } in &self.acts {
            let (mut compressed, payload) = payload(&mut sender, message);
            let mut ends: Vec<usize> =
                cuts.iter().map(|cut| cut.index(payload.len() + 1)).collect();
            ends.sort_unstable();
            ends.push(payload.len());
            let mut opcode = match message {
                Seen::Text(_) => Opcode::Text,
                _ => Opcode::Binary,
            };
            let mut start = 0;
            for (index, &end) in ends.iter().enumerate() {
                let fin = index + 1 == ends.len();
                out.extend(frame(fin, compressed, opcode, &payload[start..end]));
                if *pings {
                    out.extend(frame(true, false, Opcode::Ping, &[0xAA; 3]));
                }
                (start, opcode, compressed) = (end, Opcode::Continuation, false);
            }
        }
        if let Some((at, flip)) = self.damage.filter(|_| !out.is_empty()) {
            let at = at.index(out.len());
            out[at] ^= flip;
        }
        out
    }

    fn read(&self, streams: bool, bytes: &[u8]) -> Side {
        let agreed = self.deflate.map(agreed);
        let mut side = Side::new(streams, agreed.as_ref(), LIMITS);
        for piece in bytes.chunks(self.piece) {
            side.read(piece);
        }
        side
    }
}

fn stream() -> impl Strategy<Value = Stream> {
    let letters = prop::sample::select(vec!["a", "é", "€", "😀", "\u{0}", "stream"]);
    let text = prop::collection::vec(letters, 0..60).prop_map(|words| words.concat());
    let runs = (any::<u8>(), 0..150_000_usize).prop_map(|(byte, size)| vec![byte; size]);
    let message = prop_oneof![
        4 => (text, 1..4_usize).prop_map(|(text, count)| Seen::Text(text.repeat(count))),
        3 => prop::collection::vec(any::<u8>(), 0..400).prop_map(Seen::Binary),
        1 => runs.prop_map(Seen::Binary),
        1 => (0..60_000_usize).prop_map(|count| Seen::Text("é".repeat(count))),
    ];
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..9);
    let act = (message, cuts, any::<bool>());
    let act = act.prop_map(|(message, cuts, pings)| Act { message, cuts, pings });
    let piece = prop_oneof![1..9_usize, 1..3000_usize, Just(usize::MAX)];
    let damage = prop::option::weighted(0.3, (any::<prop::sample::Index>(), 1..=255_u8));
    (prop::collection::vec(act, 0..4), any::<Option<bool>>(), damage, piece)
        .prop_map(|(acts, deflate, damage, piece)| Stream { acts, deflate, damage, piece })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// The oracle is the receiver that takes messages whole: the same events with the same
    /// messages, the same violation, each when the same byte has arrived.
    #[test]
    fn chunks_make_the_messages_that_come_whole(stream in stream()) {
        let bytes = stream.bytes();
        let (whole, chunks) = (stream.read(false, &bytes), stream.read(true, &bytes));
        prop_assert_eq!(whole.chunk_count, 0);
        prop_assert_eq!(&whole.seen, &chunks.seen);
        prop_assert_eq!(&whole.out, &chunks.out);
        let offsets = (whole.receiver.violation_offset(), chunks.receiver.violation_offset());
        prop_assert_eq!(offsets.0, offsets.1);
        prop_assert_eq!(
            whole.receiver.is_between_messages(),
            chunks.receiver.is_between_messages()
        );
    }

    /// Switched at any time, it holds from the next message on.
    #[test]
    fn the_mode_may_change_between_messages(
        stream in stream(),
        modes in prop::collection::vec(any::<bool>(), 1..9),
    ) {
        let bytes = stream.bytes();
        let whole = stream.read(false, &bytes);
        let agreed = stream.deflate.map(agreed);
        let mut side = Side::new(false, agreed.as_ref(), LIMITS);
        let mut modes = modes.iter().cycle();
        for piece in bytes.chunks(stream.piece) {
            side.receiver.set_streaming(*modes.next().unwrap());
            side.read(piece);
        }
        prop_assert_eq!(&whole.seen, &side.seen);
    }
}

/// The chunks of `bytes` in `pieces`: text or bytes, first, last.
fn chunks(bytes: &[u8], piece: usize) -> Vec<(Vec<u8>, bool, bool)> {
    let mut side = Side::new(true, None, LIMITS);
    let mut seen = Vec::new();
    for piece in bytes.chunks(piece) {
        let mut piece = piece.to_vec();
        let mut input = &mut piece[..];
        let Side { receiver, sender, workspace, out, .. } = &mut side;
        while let Some(event) = receiver.next(&mut input, sender, workspace, out) {
            if let Event::Chunk(Chunk { part, is_first, is_last }) = event {
                seen.push((part.as_bytes().to_vec(), is_first, is_last));
            }
        }
    }
    seen
}

#[test]
fn empty_messages_and_empty_ends() {
    let one = [(Vec::new(), true, true)];
    for opcode in [Opcode::Text, Opcode::Binary] {
        let fragments = [
            frame(false, false, opcode, b""),
            frame(true, false, Opcode::Ping, b"between"),
            frame(false, false, Opcode::Continuation, b""),
            frame(true, false, Opcode::Continuation, b""),
        ];
        for piece in [1, 2, 100] {
            assert_eq!(chunks(&frame(true, false, opcode, b""), piece), one);
            assert_eq!(chunks(&fragments.concat(), piece), one);
        }
        let end =
            [frame(false, false, opcode, b"data"), frame(true, false, Opcode::Continuation, b"")];
        let expected = [(b"data".to_vec(), true, false), (Vec::new(), false, true)];
        assert_eq!(chunks(&end.concat(), 100), expected);
    }
}

#[test]
fn a_message_that_lies_whole_in_the_input_is_one_chunk_in_place() {
    let mut bytes = frame(true, false, Opcode::Text, "one €".as_bytes());
    let range = bytes.as_ptr_range();
    let Side { mut receiver, mut sender, mut workspace, mut out, .. } =
        Side::new(true, None, LIMITS);
    let mut input = &mut bytes[..];
    let event = receiver.next(&mut input, &mut sender, &mut workspace, &mut out);
    let Some(Event::Chunk(chunk)) = event else { panic!("{event:?}") };
    assert!(chunk.is_first && chunk.is_last);
    assert_eq!(chunk.part.as_text(), Some("one €"));
    assert!(range.contains(&chunk.part.as_bytes().as_ptr()));
}

#[test]
fn a_cut_character_is_a_chunk_of_its_own() {
    let bytes = frame(true, false, Opcode::Text, "ab😀cd".as_bytes());
    for cut in 9..12 {
        let mut side = Side::new(true, None, LIMITS);
        side.read(&bytes[..cut]);
        side.read(&bytes[cut..]);
        assert_eq!(side.chunk_count, 3, "cut at {cut}");
        assert_eq!(side.seen, [(bytes.len(), Seen::Text("ab😀cd".to_string()))]);
    }
}

#[test]
fn text_fails_at_the_first_bad_byte_after_what_was_right() {
    let bytes = frame(true, false, Opcode::Text, b"right \xE2\x82wrong, and more to come");
    let mut side = Side::new(true, None, LIMITS);
    let header = 6;
    for (index, byte) in bytes.iter().enumerate() {
        side.read(&[*byte]);
        let has_failed = index >= header + 8;
        let failed = [(header + 9, Seen::Failed(Violation::InvalidUtf8))];
        assert_eq!(side.seen, if has_failed { &failed[..] } else { &[] }, "byte {index}");
    }
    assert_eq!(side.unfinished, Some(Seen::Text("right ".to_string())));
}

#[test]
fn its_own_limit_holds_in_place_of_the_others() {
    let limits = Limits {
        message_size_max: 10,
        streamed_size_max: 100,
        frame_size_max: 10,
        fragments_max: 3,
    };
    let sees = |bytes: &[u8]| {
        let mut side = Side::new(true, Some(&AGREED), limits);
        side.read(bytes);
        side.seen.into_iter().map(|(_, seen)| seen).collect::<Vec<_>>()
    };
    let too_big = [Seen::Failed(Violation::MessageTooBig)];
    let data = |fin, opcode, size| frame(fin, false, opcode, &vec![7; size]);
    let (binary, goes_on) = (Opcode::Binary, Opcode::Continuation);
    assert_eq!(sees(&data(true, binary, 100)), [Seen::Binary(vec![7; 100])]);
    assert_eq!(sees(&data(true, binary, 101)), too_big);
    let two = [data(false, binary, 60), data(true, goes_on, 40)].concat();
    assert_eq!(sees(&two), [Seen::Binary(vec![7; 100])]);
    let two = [data(false, binary, 60), data(true, goes_on, 41)].concat();
    assert_eq!(sees(&two), too_big);
    let four = [
        data(false, binary, 1),
        data(false, goes_on, 1),
        data(false, goes_on, 1),
        data(true, goes_on, 1),
    ];
    assert_eq!(sees(&four.concat()), [Seen::Failed(Violation::TooManyFragments)]);
    // A length that only 64 bits hold, where nothing but that bounds it.
    let mut side = Side::new(true, None, Limits::default());
    side.read(b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0some");
    assert_eq!((side.seen.len(), side.chunk_count), (0, 1));
}

#[test]
fn a_bomb_stops_wherever_the_caller_stops() {
    let mut sender =
        Sender::new(Role::Client).with_deflate(&AGREED, &Policy { level: 9, ..Policy::default() });
    let (compressed, payload) = payload(&mut sender, &Seen::Binary(vec![0; 8 << 20]));
    assert!(compressed && payload.len() < 16 << 10);
    let mut bytes = frame(true, true, Opcode::Binary, &payload);
    let mut receiver = Receiver::new(Role::Server).with_deflate(&AGREED, u32::MAX);
    receiver.set_streaming(true);
    let (mut sender, mut workspace) =
        (Sender::new(Role::Server), Workspace::new(Limits::default()));
    let (mut input, mut size, mut is_over) = (&mut bytes[..], 0, false);
    while let Some(event) = receiver.next(&mut input, &mut sender, &mut workspace, &mut Vec::new())
    {
        let Event::Chunk(chunk) = event else { panic!("{event:?}") };
        let chunk_size = chunk.part.as_bytes().len();
        assert!(chunk_size <= crate::deflate::Decompressor::CHUNK_SIZE && !is_over);
        assert_eq!(chunk.is_first, size == 0);
        (size, is_over) = (size + chunk_size, chunk.is_last);
        // No more of the input has been taken than the chunks so far have needed.
        assert!(payload.len() - input.len().min(payload.len()) <= size / 1000 + 64);
    }
    assert_eq!((size, is_over), (8 << 20, true));
}

#[test]
fn what_decompresses_goes_back_when_the_last_chunk_has_been_used() {
    let agreed = agreed(false);
    let policy = Policy { size_min: 0, ..Policy::default() };
    let mut sender = Sender::new(Role::Client).with_deflate(&agreed, &policy);
    let (_, payload) = payload(&mut sender, &Seen::Text("again ".repeat(100)));
    let mut side = Side::new(true, Some(&agreed), LIMITS);
    for count in 1..4 {
        side.read(&frame(true, true, Opcode::Text, &payload));
        assert_eq!(side.seen.len(), count);
        assert_eq!(side.workspace.pool().idle(), (0, 1));
    }
}
