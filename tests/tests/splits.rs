//! The receiver alone: a fixed list of streams, each in every way to cut it twice, with what must
//! come of it written out.

use ringwire_protocol::{Event, Limits, Message, Receiver, Role, Sender, Violation, Workspace};
use ringwire_tests::{
    BINARY, CLOSE, CONTINUATION, FIN, Length, PING, TEXT, binary, close, frame, header, mask,
    message, ping, pong, text,
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
            Event::Message(Message::Text(text)) => Self::Text(text.as_str().to_owned()),
            Event::Message(Message::Binary(bytes)) => Self::Binary(bytes.to_vec()),
            Event::Chunk(_) | Event::Inflated(_) => panic!("{event:?} is not a whole message"),
            Event::Ping(payload) => Self::Ping(payload.to_vec()),
            Event::Pong(payload) => Self::Pong(payload.to_vec()),
            Event::Close(close) => Self::Close(close.code, close.reason.to_owned()),
            Event::Failed(violation) => Self::Failed(violation),
        }
    }
}

/// A server without a socket. It echoes.
struct Side {
    receiver: Receiver,
    sender: Sender,
    workspace: Workspace,
    seen: Vec<Seen>,
    out: Vec<u8>,
}

impl Side {
    fn new() -> Self {
        let limits = Limits {
            message_size_max: 500,
            frame_size_max: 400,
            fragments_max: 6,
            ..Limits::default()
        };
        Self {
            receiver: Receiver::new(Role::Server),
            sender: Sender::new(Role::Server),
            workspace: Workspace::new(limits),
            seen: Vec::new(),
            out: Vec::new(),
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        let mut input = &mut bytes[..];
        let Self { receiver, sender, workspace, seen, out } = self;
        while let Some(event) = receiver.next(&mut input, sender, workspace, out) {
            if let Event::Message(message) = &event {
                sender.message(message, workspace, out).expect("the connection is open");
            }
            if !matches!(event, Event::Inflated(_)) {
                seen.push(event.into());
            }
        }
        assert_eq!(input, [], "what is not handed over is used up");
    }

    fn has_failed(&self) -> bool {
        matches!(self.seen.last(), Some(Seen::Failed(_)))
    }
}

/// A name, a stream, and what is seen of it. A violation stands between a message that is answered
/// and frames that are not.
type Case = (&'static str, Vec<u8>, Vec<Seen>);

fn texts(texts: &[&str]) -> Vec<Seen> {
    texts.iter().map(|text| Seen::Text((*text).to_owned())).collect()
}

fn failing(before: &[&str], violation: Violation) -> Vec<Seen> {
    let mut seen = texts(before);
    seen.push(Seen::Failed(violation));
    seen
}

fn right() -> Vec<Case> {
    let ping_text = |payload: &str| Seen::Ping(payload.as_bytes().to_vec());
    let (long, letters) = ([0xC5; 126], "é€😀".as_bytes());
    vec![
        (
            "short messages",
            [text("Hello"), text(""), text("é€😀")].concat(),
            texts(&["Hello", "", "é€😀"]),
        ),
        ("a long message", binary(long), vec![Seen::Binary(long.to_vec())]),
        (
            "letters in fragments",
            [message(TEXT, &[&letters[..1], &letters[1..4], &letters[4..]]), text("after")]
                .concat(),
            texts(&["é€😀", "after"]),
        ),
        (
            "empty fragments",
            message(BINARY, &[b"", b"\xFF", b"", b""]),
            vec![Seen::Binary(vec![0xFF])],
        ),
        (
            "control frames inside",
            [
                frame(TEXT, "a"),
                ping("in"),
                pong(""),
                frame(CONTINUATION, ""),
                ping(""),
                frame(FIN | CONTINUATION, "b"),
            ]
            .concat(),
            [vec![ping_text("in"), Seen::Pong(Vec::new()), ping_text("")], texts(&["ab"])].concat(),
        ),
        (
            "a close",
            [text("a"), ping("b"), close(3000, "grüß"), text("late")].concat(),
            [texts(&["a"]), vec![ping_text("b"), Seen::Close(Some(3000), "grüß".to_owned())]]
                .concat(),
        ),
        (
            "a close that says nothing",
            [frame(FIN | CLOSE, ""), vec![0xFF; 9]].concat(),
            vec![Seen::Close(None, String::new())],
        ),
        (
            "a close inside",
            [frame(TEXT, "a"), close(1000, ""), frame(FIN, "b")].concat(),
            vec![Seen::Close(Some(1000), String::new())],
        ),
    ]
}

fn wrong() -> Vec<Case> {
    let key = Some([9, 8, 7, 6]);
    let after = |bytes: Vec<u8>| [text("ok"), bytes, text("late"), close(1000, "")].concat();
    let case = |name, bytes, violation| (name, after(bytes), failing(&["ok"], violation));
    vec![
        case("reserved bits", frame(FIN | 0x20 | TEXT, "x"), Violation::ReservedBits),
        case("reserved opcode", frame(FIN | 0xB, ""), Violation::ReservedOpcode(0xB)),
        case("unmasked", header(FIN | TEXT, Length::Short(1), None), Violation::Unmasked),
        case("16 bits", header(FIN | TEXT, Length::Medium(125), key), Violation::LengthNotMinimal),
        case("64 bits", header(TEXT, Length::Long(65_535), key), Violation::LengthNotMinimal),
        case("63 bits", header(TEXT, Length::Long(1 << 63), key), Violation::LengthTooLarge),
        case("ping in fragments", frame(PING, "x"), Violation::ControlFragmented),
        case("long ping", frame(FIN | PING, [1; 126]), Violation::ControlTooLong),
        case("nothing to continue", frame(CONTINUATION, "x"), Violation::ContinuationUnexpected),
        case(
            "one inside another",
            [frame(TEXT, "a"), text("b")].concat(),
            Violation::ContinuationExpected,
        ),
        case("text", text(b"good \xC0"), Violation::InvalidUtf8),
        case("text in fragments", message(TEXT, &[b"\xF4", b"\x90"]), Violation::InvalidUtf8),
        case("text cut short", message(TEXT, &[b"a\xE2", b"\x82"]), Violation::InvalidUtf8),
        case("reason", close(1000, b"\xED\xA0\x80"), Violation::InvalidUtf8),
        case("one byte of a code", frame(FIN | CLOSE, "\x03"), Violation::CloseTruncated),
        case("code", close(1005, ""), Violation::CloseCode(1005)),
        case("frame", header(FIN | BINARY, Length::Medium(401), key), Violation::FrameTooBig),
        case(
            "message",
            [frame(BINARY, [2; 150]), header(0, Length::Medium(351), key)].concat(),
            Violation::MessageTooBig,
        ),
        case("fragments", message(BINARY, &[&b""[..]; 7]), Violation::TooManyFragments),
    ]
}

#[test]
fn every_two_cuts() {
    for (name, stream, expected) in right().into_iter().chain(wrong()) {
        let mut whole = Side::new();
        whole.read(&stream);
        assert_eq!(whole.seen, expected, "{name}");
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let mut side = Side::new();
                side.read(&stream[..first]);
                side.read(&stream[first..second]);
                side.read(&stream[second..]);
                assert_eq!(side.seen, expected, "{name}, cut at {first} and {second}");
                assert_eq!(side.out, whole.out, "{name}, cut at {first} and {second}");
            }
        }
        let mut side = Side::new();
        stream.chunks(1).for_each(|byte| side.read(byte));
        assert_eq!((side.seen, side.out), (expected, whole.out), "{name}, byte by byte");
    }
}

#[test]
fn what_is_written_for_a_violation() {
    for (name, stream, expected) in wrong() {
        let Some(Seen::Failed(violation)) = expected.last() else { panic!("{name} is right") };
        let mut side = Side::new();
        side.read(&stream);
        let (code, reason) = (violation.close_code(), violation.reason().as_bytes());
        let size = u8::try_from(2 + reason.len()).expect("a reason is short");
        let frame = [&[FIN | CLOSE, size][..], &code.to_be_bytes(), reason].concat();
        assert!(side.out.ends_with(&frame), "{name}");
        assert_eq!(&side.out[..4], b"\x81\x02ok", "{name}");
    }
}

/// The size of the shortest start of `stream` that fails, fed byte by byte.
fn failing_size(stream: &[u8]) -> Option<usize> {
    let mut side = Side::new();
    (1..=stream.len()).find(|&size| {
        side.read(&stream[size - 1..size]);
        side.has_failed()
    })
}

#[test]
fn wrong_text_shows_at_its_first_wrong_byte() {
    let sequences: [&[u8]; 10] = [
        b"\xC0",
        b"\xE2\x28",
        b"\xED\xA0",
        b"\xF0\x80",
        b"\xF4\x90",
        b"\xF5",
        b"\xE1\x80\xC0",
        b"\xF1\x80\x80\x7F",
        b"\x80",
        b"\xFF",
    ];
    // Both shorter and longer than what is looked at in one step.
    for (sequence, before) in sequences.into_iter().flat_map(|s| [0, 3, 15, 70].map(|b| (s, b))) {
        let payload = [&vec![b'a'; before][..], sequence, &[b'z'; 40]].concat();
        let head = header(FIN | TEXT, Length::shortest(payload.len()), Some([4, 3, 2, 1]));
        let at = head.len() + before + sequence.len();
        let stream = [head, mask(&payload, [4, 3, 2, 1])].concat();
        assert_eq!(failing_size(&stream), Some(at), "{sequence:02X?} behind {before}");
        for cut in 0..at {
            let mut side = Side::new();
            side.read(&stream[..cut]);
            side.read(&stream[cut..at - 1]);
            assert_eq!(side.seen, [], "{sequence:02X?} behind {before}, cut at {cut}");
            side.read(&stream[at - 1..at]);
            assert!(side.has_failed(), "{sequence:02X?} behind {before}, cut at {cut}");
        }
    }
}

#[test]
fn a_violation_shows_at_the_same_byte_however_it_is_cut() {
    for (name, stream, _) in wrong() {
        let at = failing_size(&stream).expect("it fails");
        for cut in 0..at {
            let mut side = Side::new();
            side.read(&stream[..cut]);
            side.read(&stream[cut..at - 1]);
            assert!(!side.has_failed(), "{name}, cut at {cut}");
            side.read(&stream[at - 1..at]);
            assert!(side.has_failed(), "{name}, cut at {cut}");
        }
    }
}

/// Where the wrong byte of each stream of [`wrong`] is, counted from the end of its first message.
fn wrong_at(name: &str) -> usize {
    match name {
        // Six bytes of header, and what is right before the wrong byte.
        "text" => 6 + 5,
        "text in fragments" => 6 + 1 + 6,
        "text cut short" => 6 + 2 + 6 + 1,
        "reason" => 6 + 2 + 1,
        "code" | "one byte of a code" => 6,
        // The frame is wrong, not a byte of it: the one that comes after those that are right.
        "one inside another" => 6 + 1,
        "message" => 8 + 150,
        "fragments" => 6 * 6,
        _ => 0,
    }
}

#[test]
fn the_offset_of_a_violation_is_the_same_however_it_is_cut() {
    let before = text("ok").len();
    for (name, stream, _) in wrong() {
        let expected = (7_000 + before + wrong_at(name)) as u64;
        for cut in 0..=stream.len() {
            let mut side = Side::new();
            side.receiver.start_at(7_000);
            side.read(&stream[..cut]);
            side.read(&stream[cut..]);
            assert_eq!(side.receiver.violation_offset(), expected, "{name}, cut at {cut}");
        }
        let mut side = Side::new();
        side.receiver.start_at(7_000);
        stream.chunks(1).for_each(|byte| side.read(byte));
        assert_eq!(side.receiver.violation_offset(), expected, "{name}, byte by byte");
    }
}

#[test]
fn the_masking_key_goes_on_where_it_was() {
    let payload: Vec<u8> = (0..=99).collect();
    for key in [[1, 2, 3, 4], [0xFF, 0, 0x80, 0x7F]] {
        let head = header(FIN | BINARY, Length::Short(100), Some(key));
        let stream = [head, mask(&payload, key)].concat();
        for piece in 1..=stream.len() {
            let mut side = Side::new();
            stream.chunks(piece).for_each(|bytes| side.read(bytes));
            assert_eq!(side.seen, [Seen::Binary(payload.clone())], "in pieces of {piece}");
        }
    }
}
