//! The header lines of a parsed head, and the writing of new ones.

use alloc::vec::Vec;
use core::fmt;

use super::Misuse;
use super::limits::HEADERS_MAX;
use super::list::{elements, token};

/// The header lines in their order. Names are tokens, values are trimmed.
#[derive(Clone)]
pub(super) struct Headers<'a> {
    /// Lines past `count` are empty. `count ≤ HEADERS_MAX`.
    lines: [httparse::Header<'a>; HEADERS_MAX],
    count: usize,
}

impl<'a> Headers<'a> {
    /// The table before parsing; `httparse` fills it, then [`Self::truncate`] closes it.
    pub(super) const fn empty() -> Self {
        Self { lines: [httparse::EMPTY_HEADER; HEADERS_MAX], count: 0 }
    }

    pub(super) const fn lines_mut(&mut self) -> &mut [httparse::Header<'a>; HEADERS_MAX] {
        &mut self.lines
    }

    pub(super) fn truncate(&mut self, count: usize) {
        self.count = count;
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.lines.iter().take(self.count).map(|line| (line.name, line.value))
    }

    /// The values of all lines called `name` in any case.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|line| line.1)
    }

    pub(super) fn first(&self, name: &str) -> Option<&'a [u8]> {
        self.values(name).next()
    }

    /// The value of the only line called `name`.
    pub(super) fn only(&self, name: &str) -> Only<'a> {
        let mut values = self.values(name);
        match (values.next(), values.next()) {
            (None, _) => Only::Missing,
            (Some(value), None) => Only::Once(value),
            (Some(_), Some(_)) => Only::Duplicate,
        }
    }

    /// Whether a list of tokens, which may be spread over several lines, holds `token` in any
    /// case.
    pub(super) fn list_contains(&self, name: &str, token: &str) -> bool {
        self.values(name)
            .flat_map(elements)
            .any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
    }
}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.lines.iter().take(self.count)).finish()
    }
}

/// How often a header that belongs once is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Only<'a> {
    Missing,
    Once(&'a [u8]),
    Duplicate,
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
