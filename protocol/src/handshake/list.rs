//! Tokens, quoted strings and comma-separated lists (RFC 9110 section 5.6).

use alloc::borrow::Cow;
use alloc::string::String;

/// Whether `byte` may stand in a token (RFC 9110 5.6.2).
pub(super) const fn is_token_byte(byte: u8) -> bool {
    TOKEN_BYTES[byte as usize]
}

/// A look-up, because the match compiles to a jump that a processor guesses wrong.
static TOKEN_BYTES: [bool; 256] = {
    let mut bytes = [false; 256];
    let mut byte = 0;
    while byte < bytes.len() {
        #[expect(clippy::cast_possible_truncation, reason = "below 256")]
        let character = byte as u8;
        bytes[byte] = matches!(character,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_'
            | b'`' | b'|' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z');
        byte += 1;
    }
    bytes
};

/// `bytes` as text, if they are a token.
pub(super) fn token(bytes: &[u8]) -> Option<&str> {
    if bytes.is_empty() || !bytes.iter().all(|&byte| is_token_byte(byte)) {
        return None;
    }
    core::str::from_utf8(bytes).ok()
}

/// `bytes` without the whitespace at both ends.
pub(super) fn trim(bytes: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let Some(first) = bytes.iter().position(|byte| !is_blank(byte)) else { return &[] };
    let last = bytes.iter().rposition(|byte| !is_blank(byte)).unwrap_or(first);
    bytes.get(first..=last).unwrap_or_default()
}

/// The elements of a list of tokens, trimmed, the empty ones left out.
///
/// No quoted string can stand in such a list, so every comma separates.
pub(super) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    //= RFC 9110 5.6.1.2: A recipient MUST parse and ignore a reasonable number of empty list
    //= elements
    let mut rest = Some(value);
    core::iter::from_fn(move || {
        let value = rest?;
        let comma = memchr::memchr(b',', value);
        let (element, after) = match comma.and_then(|comma| value.split_at_checked(comma)) {
            Some((element, after)) => (element, after.get(1..)),
            None => (value, None),
        };
        rest = after;
        Some(trim(element))
    })
    .filter(|element| !element.is_empty())
}

/// A place in the value of a header, moved on by one piece of its grammar at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(value: &'a [u8]) -> Self {
        Self { rest: value }
    }

    /// What has not been passed.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// What `later`, a cursor on the same value, has passed and this one has not.
    pub(super) fn until(&self, later: &Self) -> &'a [u8] {
        let length = self.rest.len().saturating_sub(later.rest.len());
        self.rest.get(..length).unwrap_or_default()
    }

    /// Passes optional whitespace.
    pub(super) fn whitespace(&mut self) {
        while let [b' ' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    /// Passes `delimiter` and the whitespace around it. `false`, and nothing but whitespace
    /// passed, if something else stands there.
    pub(super) fn delimiter(&mut self, delimiter: u8) -> bool {
        self.whitespace();
        match self.rest.split_first() {
            Some((&first, rest)) if first == delimiter => {
                self.rest = rest;
                self.whitespace();
                true
            }
            Some(_) | None => false,
        }
    }

    /// Passes a token.
    pub(super) fn token(&mut self) -> Option<&'a str> {
        let end = self.rest.iter().position(|&byte| !is_token_byte(byte));
        let (token, rest) = self.rest.split_at_checked(end.unwrap_or(self.rest.len()))?;
        self.rest = rest;
        self::token(token)
    }

    /// Passes a token, or a quoted string that holds a token once its escapes are resolved.
    pub(super) fn token_or_quoted(&mut self) -> Option<Cow<'a, str>> {
        if self.rest.first() != Some(&b'"') {
            return self.token().map(Cow::Borrowed);
        }
        let quoted = self.rest.get(1..)?;
        let mut escaped = false;
        let end = quoted.iter().position(|&byte| {
            let closes = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            closes
        })?;
        let (inner, rest) = quoted.split_at_checked(end)?;
        self.rest = rest.get(1..)?;
        unescape(inner)
    }
}

/// The token in a quoted string without its quotes.
fn unescape(inner: &[u8]) -> Option<Cow<'_, str>> {
    if memchr::memchr(b'\\', inner).is_none() {
        return token(inner).map(Cow::Borrowed);
    }
    let mut text = String::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(&byte) = bytes.next() {
        // A backslash stands for the byte after it; `Cursor` has seen to it that there is one.
        let byte = if byte == b'\\' { *bytes.next()? } else { byte };
        //= RFC 6455 9.1: When using the quoted-string syntax variant, the value after
        //= quoted-string unescaping MUST conform to the 'token' ABNF.
        if !is_token_byte(byte) {
            return None;
        }
        text.push(char::from(byte));
    }
    if text.is_empty() { None } else { Some(Cow::Owned(text)) }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn a_token_is_one_or_more_token_characters() {
        let visible: Vec<u8> = (0..=255).filter(|&byte| is_token_byte(byte)).collect();
        assert_eq!(visible.len(), 15 + 10 + 52);
        for separator in b"()<>@,;:\\\"/[]?={} \t" {
            assert!(!is_token_byte(*separator));
        }
        assert_eq!(token(b"chat.v2"), Some("chat.v2"));
        assert_eq!(token(b""), None);
        assert_eq!(token(b"a b"), None);
    }

    #[test]
    fn elements_are_trimmed_and_never_empty() {
        let all = |value: &'static [u8]| elements(value).collect::<Vec<_>>();
        assert_eq!(all(b""), Vec::<&[u8]>::new());
        assert_eq!(all(b" , ,\t,"), Vec::<&[u8]>::new());
        assert_eq!(all(b"a"), [b"a"]);
        assert_eq!(all(b",a ,, \tb c\t,"), [&b"a"[..], b"b c"]);
    }

    #[test]
    fn quoted_strings_are_resolved() {
        let value = |text: &'static [u8]| Cursor::new(text).token_or_quoted();
        assert_eq!(value(b"abc;"), Some(Cow::Borrowed("abc")));
        assert_eq!(value(b"\"abc\";"), Some(Cow::Borrowed("abc")));
        assert_eq!(value(b"\"a\\bc\""), Some(Cow::Borrowed("abc")));
        for bad in [&b""[..], b"\"", b"\"\"", b"\"a b\"", b"\"a", b"\"a\\", b"\"a\\\"", b"\"\\,\""]
        {
            assert_eq!(value(bad), None, "{bad:?}");
        }
        let mut cursor = Cursor::new(b"\"a\" ; b");
        assert!(cursor.token_or_quoted().is_some() && cursor.delimiter(b';'));
        assert_eq!(cursor.rest(), b"b");
    }
}
