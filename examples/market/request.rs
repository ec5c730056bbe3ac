//! What a client asks for, parsed by `simd-json` where it lies, in the received bytes.
//!
//! | request | answer |
//! |---|---|
//! | `{"type":"subscribe","id":1,"topics":["prices.*.>"]}` | last values, `subscribed`, updates |
//! | `{"type":"unsubscribe","id":2,"topics":["prices.*.>"]}` | `unsubscribed` |
//! | `{"type":"time","id":3}` | `time` |
//!
//! The `id`, a whole number that the client chooses, comes back in the answer; it may be left out.
//! Fields that are not known are not looked at.

use std::fmt;

use ringwire::topic::{Pattern, SubscribeError, TopicError};
use simd_json::{Buffers, ErrorType, Node, StaticNode, Tape};

/// Bytes of a request at most: some hundred topics, which a client may ask for in parts.
pub(crate) const SIZE_MAX: usize = 4096;

/// Objects and arrays within each other at most: a request is an object with an array.
const DEPTH_MAX: usize = 4;

/// What is wrong with a text that is none.
const BAD_TEXT: &str = "a text has no end, or holds a control character or a wrong escape";

/// What is wrong where a bracket stands in place of a value, or before the last byte of a request.
const BAD_END: &str = "a value is missing, or something follows the end";

/// A request that is one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Request<'t, 'm> {
    pub(crate) id: Option<u64>,
    pub(crate) kind: Kind<'t, 'm>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind<'t, 'm> {
    Subscribe(Topics<'t, 'm>),
    Unsubscribe(Topics<'t, 'm>),
    Time,
}

/// The patterns of a request, as it lists them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Topics<'t, 'm>(&'t [Node<'m>]);

impl<'m> Topics<'_, 'm> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'m str> {
        self.0.iter().filter_map(|node| match node {
            Node::String(text) => Some(*text),
            _ => None,
        })
    }
}

/// What is wrong with a request, and with which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestError {
    pub(crate) id: Option<u64>,
    pub(crate) fault: Fault,
}

/// What is wrong with a request. Indexes are those of `topics`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    NotText,
    TooLarge,
    TooDeep,
    /// At this byte.
    NotJsonAt(usize),
    /// For this reason, somewhere.
    NotJson(&'static str),
    BadRequest(&'static str),
    UnknownType,
    BadPattern(usize, TopicError),
    Refused(usize, SubscribeError),
    NotSubscribed(usize),
}

impl Fault {
    /// What a program looks at.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::NotText => "not_text",
            Self::TooLarge => "too_large",
            Self::TooDeep => "too_deep",
            Self::NotJsonAt(_) | Self::NotJson(_) => "not_json",
            Self::BadRequest(_) => "bad_request",
            Self::UnknownType => "unknown_type",
            Self::BadPattern(..) => "bad_pattern",
            Self::Refused(
                _,
                SubscribeError::TooManySubscriptions | SubscribeError::TooManyPatterns,
            ) => "too_many",
            Self::Refused(..) => "refused",
            Self::NotSubscribed(_) => "not_subscribed",
        }
    }
}

/// What a person reads. There is nothing of the client's in it, and nothing that JSON escapes.
impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotText => formatter.write_str("a request is a text message"),
            Self::TooLarge => write!(formatter, "a request has at most {SIZE_MAX} bytes"),
            Self::TooDeep => {
                write!(formatter, "a request has at most {DEPTH_MAX} levels of arrays and objects")
            }
            Self::NotJsonAt(offset) => write!(formatter, "not JSON at byte {offset}"),
            Self::NotJson(reason) => write!(formatter, "not JSON: {reason}"),
            Self::BadRequest(reason) => formatter.write_str(reason),
            Self::UnknownType => {
                formatter.write_str("the type of a request is subscribe, unsubscribe or time")
            }
            Self::BadPattern(index, error) => write!(formatter, "topics[{index}]: {error}"),
            Self::Refused(index, error) => write!(formatter, "topics[{index}]: {error}"),
            Self::NotSubscribed(index) => {
                write!(formatter, "topics[{index}]: there is no such subscription")
            }
        }
    }
}

/// Parses one request after another in memory of its own.
pub(crate) struct Parser {
    buffers: Buffers,
    /// Empty between two requests.
    tape: Tape<'static>,
}

impl Parser {
    pub(crate) fn new() -> Self {
        Self { buffers: Buffers::with_max_depth(SIZE_MAX, DEPTH_MAX), tape: Tape(Vec::new()) }
    }

    /// Parses a request and hands it to `answer`. The bytes are changed: texts lose their escapes
    /// where they lie.
    pub(crate) fn parse<R>(
        &mut self,
        bytes: &mut [u8],
        answer: impl FnOnce(Result<Request<'_, '_>, RequestError>) -> R,
    ) -> R {
        if bytes.len() > SIZE_MAX {
            return answer(Err(RequestError { id: None, fault: Fault::TooLarge }));
        }
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let filled = simd_json::fill_tape(bytes, &mut self.buffers, &mut tape);
        let read = match filled {
            Ok(()) => Fields::read(&tape.0).and_then(Fields::request),
            Err(error) => Err(RequestError { id: None, fault: fault(&error) }),
        };
        let answered = answer(read);
        self.tape = tape.reset();
        answered
    }
}

/// What the parser has found. It does not always know where: a control character or an odd number
/// of quotes is found before there are places, a wrong escape by its place in the text, and what
/// follows the end by the bracket before it, which may as well stand in place of a value.
fn fault(error: &simd_json::Error) -> Fault {
    match error.error() {
        ErrorType::DepthLimitExceeded => Fault::TooDeep,
        ErrorType::InvalidEscape | ErrorType::InvalidUnicodeCodepoint => Fault::NotJson(BAD_TEXT),
        ErrorType::Syntax if error.character().is_none() => Fault::NotJson(BAD_TEXT),
        ErrorType::Syntax | ErrorType::Eof => Fault::NotJson("it ends too early"),
        ErrorType::TrailingData => Fault::NotJson(BAD_END),
        ErrorType::InternalError if matches!(error.character(), Some('}' | ']')) => {
            Fault::NotJson(BAD_END)
        }
        _ => Fault::NotJsonAt(error.index()),
    }
}

/// The fields of an object that mean something here.
#[derive(Default)]
struct Fields<'t, 'm> {
    kind: Option<&'t [Node<'m>]>,
    id: Option<&'t [Node<'m>]>,
    topics: Option<&'t [Node<'m>]>,
}

impl<'t, 'm> Fields<'t, 'm> {
    fn read(tape: &'t [Node<'m>]) -> Result<Self, RequestError> {
        let wrong = |reason| RequestError { id: None, fault: Fault::BadRequest(reason) };
        let Some((Node::Object { .. }, mut rest)) = tape.split_first() else {
            return Err(wrong("a request is an object"));
        };
        let mut fields = Self::default();
        while let Some((Node::String(name), after)) = rest.split_first() {
            let (value, next) = after.split_at(size(after));
            let place = match *name {
                "type" => &mut fields.kind,
                "id" => &mut fields.id,
                "topics" => &mut fields.topics,
                _ => &mut None,
            };
            if place.replace(value).is_some() {
                return Err(wrong("a field comes twice"));
            }
            rest = next;
        }
        Ok(fields)
    }

    fn request(self) -> Result<Request<'t, 'm>, RequestError> {
        let id = match self.id {
            None | Some([Node::Static(StaticNode::Null)]) => None,
            Some([Node::Static(StaticNode::U64(id))]) => Some(*id),
            Some([Node::Static(StaticNode::I64(id))]) if *id >= 0 => Some(id.unsigned_abs()),
            Some(_) => {
                let fault = Fault::BadRequest("an id is a whole number from 0 to 2^64 - 1");
                return Err(RequestError { id: None, fault });
            }
        };
        self.kind().map(|kind| Request { id, kind }).map_err(|fault| RequestError { id, fault })
    }

    fn kind(self) -> Result<Kind<'t, 'm>, Fault> {
        match self.kind {
            Some([Node::String("subscribe")]) => self.topics().map(Kind::Subscribe),
            Some([Node::String("unsubscribe")]) => self.topics().map(Kind::Unsubscribe),
            Some([Node::String("time")]) => Ok(Kind::Time),
            _ => Err(Fault::UnknownType),
        }
    }

    fn topics(self) -> Result<Topics<'t, 'm>, Fault> {
        let Some([Node::Array { .. }, topics @ ..]) = self.topics else {
            return Err(Fault::BadRequest("topics is an array of patterns"));
        };
        if topics.is_empty() {
            return Err(Fault::BadRequest("topics is empty"));
        }
        for (index, topic) in topics.iter().enumerate() {
            let Node::String(name) = topic else {
                return Err(Fault::BadRequest("topics is an array of patterns"));
            };
            Pattern::new(name).map_err(|error| Fault::BadPattern(index, error))?;
        }
        Ok(Topics(topics))
    }
}

/// Nodes of the value at the start of a tape, which is not empty unless the tape ends.
fn size(tape: &[Node<'_>]) -> usize {
    let size = match tape.first() {
        Some(Node::Object { count, .. } | Node::Array { count, .. }) => count + 1,
        Some(_) => 1,
        None => 0,
    };
    size.min(tape.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed<R>(text: &str, look: impl Fn(Result<Request<'_, '_>, RequestError>) -> R) -> R {
        Parser::new().parse(&mut text.as_bytes().to_vec(), look)
    }

    fn fault(text: &str) -> (Option<u64>, Fault) {
        let error = parsed(text, |read| read.map(|request| format!("{request:?}")).unwrap_err());
        (error.id, error.fault)
    }

    #[test]
    fn requests() {
        let text =
            r#"{"topics": ["prices.NORD.*", "pri\u0063es.>"], "id": 7, "type": "subscribe"}"#;
        parsed(text, |read| {
            let Request { id, kind: Kind::Subscribe(topics) } = read.unwrap() else { panic!() };
            assert_eq!(id, Some(7));
            assert_eq!(topics.iter().collect::<Vec<_>>(), ["prices.NORD.*", "prices.>"]);
        });
        let text = r#"{"type":"unsubscribe","topics":["a"],"other":{"topics":[1,[2]]}}"#;
        parsed(text, |read| {
            let Request { id, kind: Kind::Unsubscribe(topics) } = read.unwrap() else { panic!() };
            assert_eq!((id, topics.iter().collect::<Vec<_>>()), (None, vec!["a"]));
        });
        for (text, id) in [
            (r#"{"type":"time"}"#, None),
            (r#" { "type" : "time" , "id" : null } "#, None),
            (r#"{"type":"time","id":0}"#, Some(0)),
            (r#"{"type":"time","id":18446744073709551615}"#, Some(u64::MAX)),
        ] {
            parsed(text, |read| assert_eq!(read, Ok(Request { id, kind: Kind::Time })));
        }
    }

    #[test]
    fn faults() {
        let code = |text: &str| {
            let (id, fault) = fault(text);
            (id, fault.code())
        };
        for text in ["", " ", "{", "}", "{]", "nonsense", "{\"type\":}", "{}{}", "\"", "{'a':1}"] {
            assert_eq!(code(text), (None, "not_json"), "{text}");
        }
        for text in ["1", "null", "[]", "\"subscribe\"", "[{\"type\":\"time\"}]"] {
            assert_eq!(code(text), (None, "bad_request"), "{text}");
        }
        for (rest, expected) in [
            (r#""#, "unknown_type"),
            (r#","type":1"#, "unknown_type"),
            (r#","type":"Time""#, "unknown_type"),
            (r#","type":["time"]"#, "unknown_type"),
            (r#","type":"subscribe""#, "bad_request"),
            (r#","type":"subscribe","topics":"a""#, "bad_request"),
            (r#","type":"subscribe","topics":[]"#, "bad_request"),
            (r#","type":"subscribe","topics":{"a":1}"#, "bad_request"),
            (r#","type":"subscribe","topics":["a",1]"#, "bad_request"),
            (r#","type":"subscribe","topics":[["a"]]"#, "bad_request"),
            (r#","type":"subscribe","topics":["a..b"]"#, "bad_pattern"),
            (r#","type":"unsubscribe","topics":["a",""]"#, "bad_pattern"),
        ] {
            assert_eq!(code(&format!("{{\"id\":3{rest}}}")), (Some(3), expected), "{rest}");
        }
        for id in ["-1", "1.5", "\"a\"", "[]", "true", "1,\"id\":1", "18446744073709551616"] {
            let text = format!("{{\"type\":\"time\",\"id\":{id}}}");
            assert_eq!(code(&text).0, None, "{id}");
        }
    }

    #[test]
    fn places() {
        let long = "a".repeat(100);
        let late = format!(r#"{{"{long}":1 2}}"#);
        for (text, at) in [
            ("nonsense", 0),
            ("{'a':1}", 1),
            (r#"{"type" "time"}"#, 8),
            (r#"{"type":time}"#, 8),
            (r#"{"type":"time",}"#, 15),
            (r#"{"id":truth}"#, 6),
            (r#"{"topics":["a" "b"]}"#, 15),
            (&late, 106),
        ] {
            assert_eq!(fault(text), (None, Fault::NotJsonAt(at)), "{text}");
        }
        let texts =
            ["\"", "{\"a\u{1}\":1}", "{\"type\":\"ti\nme\"}", r#"{"a":1"}"#, r#"{"a":"\x"}"#];
        let escapes = [r#"{"a":"\u12"}"#, r#"{"a":"\ud800\u"}"#, "{\"a\":\"\\\t\"}"];
        let early = ["", " ", "{", "{\"type\":", "[1,"];
        let ends = [r#"{"type":"time"}}"#, "1 2", "[] []", r#"{"type":}"#, "[1,]", "}"];
        let reasons = [
            (&texts[..], BAD_TEXT),
            (&escapes[..], BAD_TEXT),
            (&early[..], "it ends too early"),
            (&ends[..], BAD_END),
        ];
        for (texts, reason) in reasons {
            for text in texts {
                assert_eq!(fault(text), (None, Fault::NotJson(reason)), "{text}");
            }
        }
        let control = fault("{\"a\":\"\n\"}").1.to_string();
        assert_eq!(control, format!("not JSON: {BAD_TEXT}"));
        assert_eq!(fault("{1}").1.to_string(), "not JSON at byte 1");
    }

    #[test]
    fn limits() {
        let padded = |size: usize| format!("{:size$}", "{\"type\":\"time\"}");
        assert!(parsed(&padded(SIZE_MAX), |read| read.is_ok()));
        assert_eq!(fault(&padded(SIZE_MAX + 1)), (None, Fault::TooLarge));
        let nested = |depth: usize| {
            let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
            format!("{{\"type\":\"time\",\"a\":{open}1{close}}}")
        };
        assert!(parsed(&nested(DEPTH_MAX), |read| read.is_ok()));
        assert_eq!(fault(&nested(DEPTH_MAX + 1)), (None, Fault::TooDeep));
        assert_eq!(fault(&"[".repeat(SIZE_MAX)).1, Fault::TooDeep);
    }

    /// What requests are made of, in any order.
    const TEXT: &str =
        "([\\[\\]{}:,]|\"(type|time|id|topics|a.b)\"|[0-9]|null| |\\\\|\"|é|>){0,40}";

    proptest! {
        /// Whatever a client sends, there is an answer, and the parser is as good as new.
        #[test]
        fn anything(texts in prop::collection::vec(TEXT, 1..8)) {
            let mut parser = Parser::new();
            for text in texts {
                let same = |parser: &mut Parser| {
                    parser.parse(&mut text.clone().into_bytes(), |read| format!("{read:?}"))
                };
                prop_assert_eq!(same(&mut parser), same(&mut Parser::new()));
            }
        }
    }
}
