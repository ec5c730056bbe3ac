//! The header lines of a parsed head, and the writing of new ones.

use alloc::vec::Vec;
use core::fmt;
use core::mem::MaybeUninit;

use super::Misuse;
use super::limits::HEADERS_MAX;
use super::list::{elements, token, trim};

/// Where `httparse` writes the lines that it has found right. Not filled beforehand: nearly all of
/// it stays unused.
pub(super) type Table<'a> = [MaybeUninit<httparse::Header<'a>>; HEADERS_MAX];

pub(super) const TABLE: Table<'static> = [const { MaybeUninit::uninit() }; HEADERS_MAX];

/// The header lines in their order. Names are tokens, values are trimmed.
///
/// They stay in the head, and where those are that the handshake asks for is found once. A table of
/// all, 4 KiB for a dozen lines, would be moved by whoever returns it.
#[derive(Clone)]
pub(super) struct Headers<'a> {
    /// Each line with its end, and the blank line.
    lines: &'a [u8],
    fields: [Only<'a>; FIELDS],
}

impl<'a> Headers<'a> {
    /// The lines of `head`, which ends with its blank line, as `httparse` has `parsed` them.
    pub(super) fn new(head: &'a [u8], parsed: &[httparse::Header<'a>]) -> Self {
        let mut fields = [Only::Missing; FIELDS];
        for line in parsed {
            if let Some(field) = Field::of(line.name) {
                let place = &mut fields[field as usize];
                *place = match place {
                    Only::Missing => Only::Once(line.value),
                    Only::Once(_) | Only::Duplicate => Only::Duplicate,
                };
            }
        }
        Self { lines: after_start_line(head).unwrap_or_default(), fields }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        lines(self.lines).filter_map(|line| {
            let (name, value) = line.split_at_checked(memchr::memchr(b':', line)?)?;
            Some((core::str::from_utf8(name).ok()?, trim(value.get(1..)?)))
        })
    }

    /// The values of all lines called `name` in any case.
    pub(super) fn named(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        named(self.lines, name)
    }

    /// The value of the only line of this `field`.
    pub(super) const fn only(&self, field: Field) -> Only<'a> {
        self.fields[field as usize]
    }

    /// The values of all lines of this `field`.
    pub(super) fn values(&self, field: Field) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (once, lines) = match self.only(field) {
            Only::Missing => (None, &[][..]),
            Only::Once(value) => (Some(value), &[][..]),
            Only::Duplicate => (None, self.lines),
        };
        once.into_iter().chain(named(lines, field.name()))
    }

    /// Whether a list of tokens, which may be spread over several lines, holds `token` in any
    /// case.
    pub(super) fn list_contains(&self, field: Field, token: &str) -> bool {
        let is_token = |element: &[u8]| element.eq_ignore_ascii_case(token.as_bytes());
        match self.only(field) {
            // Nearly all lists are of one element, which takes no search for a comma.
            Only::Once(value) if is_token(value) => true,
            Only::Missing => false,
            Only::Once(_) | Only::Duplicate => self.values(field).flat_map(elements).any(is_token),
        }
    }
}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.iter().map(|(name, value)| httparse::Header { name, value });
        f.debug_list().entries(lines).finish()
    }
}

/// How often a header that belongs once is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Only<'a> {
    Missing,
    Once(&'a [u8]),
    Duplicate,
}

impl Only<'_> {
    pub(super) fn is_missing(self) -> bool {
        self == Self::Missing
    }
}

/// A header that the handshake itself asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Accept,
    Connection,
    ContentLength,
    Extensions,
    Host,
    Key,
    Origin,
    Protocol,
    TransferEncoding,
    Upgrade,
    Version,
}

const FIELDS: usize = Field::Version as usize + 1;

impl Field {
    /// The field called `name` in any case. The length leaves one that it can be.
    fn of(name: &str) -> Option<Self> {
        let field = match name.len() {
            4 => Self::Host,
            6 => Self::Origin,
            7 => Self::Upgrade,
            10 => Self::Connection,
            14 => Self::ContentLength,
            17 if name.starts_with(['T', 't']) => Self::TransferEncoding,
            17 => Self::Key,
            20 => Self::Accept,
            21 => Self::Version,
            22 => Self::Protocol,
            24 => Self::Extensions,
            _ => return None,
        };
        field.name().eq_ignore_ascii_case(name).then_some(field)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Accept => "Sec-WebSocket-Accept",
            Self::Connection => "Connection",
            Self::ContentLength => "Content-Length",
            Self::Extensions => "Sec-WebSocket-Extensions",
            Self::Host => "Host",
            Self::Key => "Sec-WebSocket-Key",
            Self::Origin => "Origin",
            Self::Protocol => "Sec-WebSocket-Protocol",
            Self::TransferEncoding => "Transfer-Encoding",
            Self::Upgrade => "Upgrade",
            Self::Version => "Sec-WebSocket-Version",
        }
    }
}

/// What follows the start line, before which there may be empty lines.
fn after_start_line(head: &[u8]) -> Option<&[u8]> {
    let start = head.iter().position(|byte| !matches!(byte, b'\r' | b'\n'))?;
    let head = head.get(start..)?;
    head.get(memchr::memchr(b'\n', head)? + 1..)
}

/// The lines without their ends, up to the blank one.
fn lines(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    core::iter::from_fn(move || {
        let (line, after) = rest.split_at_checked(memchr::memchr(b'\n', rest)?)?;
        rest = after.get(1..)?;
        // Whoever does not scan a head first may pass one with a bare LF, which `httparse` takes.
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    })
    .take_while(|line| !line.is_empty())
}

fn named<'a>(block: &'a [u8], name: &str) -> impl Iterator<Item = &'a [u8]> {
    lines(block).filter_map(move |line| {
        let (other, value) = line.split_at_checked(name.len())?;
        let value = value.strip_prefix(b":")?;
        // A name that were to hold a colon would be none.
        let is_named = other.eq_ignore_ascii_case(name.as_bytes()) && !other.contains(&b':');
        is_named.then(|| trim(value))
    })
}

/// Whether `name` and `value` can be written as one header line, and one that the caller may
/// write: not one of the `reserved` names.
pub(super) fn check_header(name: &str, value: &str, reserved: &[&str]) -> Result<(), Misuse> {
    if token(name.as_bytes()).is_none() {
        return Err(Misuse::HeaderName);
    }
    if reserved.iter().any(|reserved| reserved.eq_ignore_ascii_case(name)) {
        return Err(Misuse::HeaderReserved);
    }
    if !is_header_value(value) {
        return Err(Misuse::HeaderValue);
    }
    Ok(())
}

/// Whether `value` can stand in a header line: no control character but HTAB (RFC 9110 5.5).
pub(super) fn is_header_value(value: &str) -> bool {
    value.bytes().all(|byte| byte == b'\t' || !byte.is_ascii_control())
}

/// Appends one header line. The caller has checked both parts.
pub(super) fn write_header(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIELDS_ALL: [Field; FIELDS] = [
        Field::Accept,
        Field::Connection,
        Field::ContentLength,
        Field::Extensions,
        Field::Host,
        Field::Key,
        Field::Origin,
        Field::Protocol,
        Field::TransferEncoding,
        Field::Upgrade,
        Field::Version,
    ];

    #[test]
    fn a_field_is_known_by_its_name_in_any_case() {
        for (index, field) in FIELDS_ALL.into_iter().enumerate() {
            assert_eq!(field as usize, index);
            assert_eq!(Field::of(field.name()), Some(field));
            assert_eq!(Field::of(&field.name().to_ascii_uppercase()), Some(field));
            assert_eq!(Field::of(&field.name().to_ascii_lowercase()), Some(field));
            for place in 0..field.name().len() {
                let mut other = Vec::from(field.name());
                other[place] = b'_';
                assert_eq!(Field::of(core::str::from_utf8(&other).unwrap()), None);
                assert_eq!(Field::of(&field.name()[..place]), None);
            }
        }
    }

    /// What the table of `httparse` says must come out of the lines in their place.
    fn check(head: &[u8]) {
        let mut table = TABLE;
        let mut parsed = httparse::Request::new(&mut []);
        let status = parsed.parse_with_uninit_headers(head, &mut table);
        assert!(matches!(status, Ok(httparse::Status::Complete(_))), "{head:?}");
        let headers = Headers::new(head, parsed.headers);
        let lines: Vec<_> = parsed.headers.iter().map(|line| (line.name, line.value)).collect();
        assert_eq!(headers.iter().collect::<Vec<_>>(), lines);
        let values = |name: &str| {
            let named = lines.iter().filter(|line| line.0.eq_ignore_ascii_case(name));
            named.map(|line| line.1).collect::<Vec<_>>()
        };
        for field in FIELDS_ALL {
            let expected = values(field.name());
            assert_eq!(headers.values(field).collect::<Vec<_>>(), expected);
            assert_eq!(
                headers.only(field),
                match expected[..] {
                    [] => Only::Missing,
                    [value] => Only::Once(value),
                    [..] => Only::Duplicate,
                }
            );
            let found = headers.list_contains(field, "a");
            let mut all = expected.iter().flat_map(|value| value.split(|&byte| byte == b','));
            assert_eq!(found, all.any(|element| trim(element).eq_ignore_ascii_case(b"a")));
        }
        for name in ["Host", "X", "", "X:y", "X: a"] {
            assert_eq!(headers.named(name).collect::<Vec<_>>(), values(name), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn the_lines_are_those_that_were_parsed(
            pieces in proptest::collection::vec(
                (
                    prop_oneof![
                        3 => proptest::sample::select(&FIELDS_ALL).prop_map(Field::name),
                        1 => Just("X"), 1 => Just("x"), 1 => Just("Xy"),
                    ],
                    prop_oneof![
                        Just(""), Just("a"), Just(" \t"), Just(" a"), Just("\tb,A ,c \t"),
                        Just("y:a: b"), Just(":"), Just("\u{e9}"),
                    ],
                    prop_oneof![4 => Just("\r\n"), 1 => Just("\n")],
                ),
                0..12,
            ),
            before in prop_oneof![Just(""), Just("\r\n"), Just("\n\r\n")],
            after in prop_oneof![Just(""), Just("X: z\r\n\r\n"), Just("\u{81}:")],
        ) {
            let mut head = Vec::from(before);
            head.extend_from_slice(b"GET /: HTTP/1.1\r\n");
            for (name, value, end) in pieces {
                for part in [name, ":", value, end] {
                    head.extend_from_slice(part.as_bytes());
                }
            }
            head.extend_from_slice(b"\r\n");
            head.extend_from_slice(after.as_bytes());
            check(&head);
        }
    }
}
