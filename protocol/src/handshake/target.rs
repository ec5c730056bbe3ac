//! Targets and authorities of requests (RFC 9112 section 3.2, RFC 3986).

/// The parts of a request target that a handler asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// Host and port, in absolute-form only.
    pub(super) authority: Option<&'a str>,
    /// Starts with `/`.
    pub(super) path: &'a str,
    /// Without its `?`.
    pub(super) query: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Reads a target in origin-form or absolute-form. Any other form, and a fragment, is none.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        //= RFC 6455 3: Fragment identifiers are meaningless in the context of WebSocket URIs and
        //= MUST NOT be used on these URIs.
        if !is_target_text(text) {
            return None;
        }
        if text.starts_with('/') {
            return Some(Self::of(None, text));
        }
        let (scheme, rest) = text.split_once("://")?;
        if !SCHEMES.iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
            return None;
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at_checked(end)?;
        is_authority(authority).then(|| Self::of(Some(authority), rest))
    }

    fn of(authority: Option<&'a str>, rest: &'a str) -> Self {
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        //= RFC 6455 3: "/" if the path component is empty
        Self { authority, path: if path.is_empty() { "/" } else { path }, query }
    }
}

/// Whether `text` is visible ASCII without a fragment. Characters that a URI should escape but
/// browsers do not, such as `|`, pass: they divide nothing.
pub(super) fn is_target_text(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

/// Whether `text` is a host that is not empty, with an optional port (RFC 9110 section 7.2).
pub(super) fn is_authority(text: &str) -> bool {
    let (host_valid, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, after)) => (address.bytes().all(is_address_byte), after),
            None => return false,
        },
        None => {
            let end = text.find(':').unwrap_or(text.len());
            let (host, after) = text.split_at_checked(end).unwrap_or_default();
            (host.bytes().all(is_name_byte), after)
        }
    };
    let host_empty = text.is_empty() || text.starts_with(':') || text.starts_with("[]");
    host_valid && !host_empty && is_port(port)
}

/// Whether `text` is nothing, or a colon and a port. RFC 3986 lets the port be empty.
fn is_port(text: &str) -> bool {
    match text.strip_prefix(':') {
        Some("") => true,
        Some(port) => port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok(),
        None => text.is_empty(),
    }
}

/// The characters of a registered name (RFC 3986 3.2.2), which also spell an IPv4 address.
const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'%')
        || matches!(
            byte,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'='
        )
}

/// The characters of an IPv6 address.
const fn is_address_byte(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')
}

/// A proxy may forward a handshake under any of them.
const SCHEMES: [&str; 4] = ["http", "https", "ws", "wss"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        let parts = |text| Target::parse(text).map(|t| (t.authority, t.path, t.query));
        assert_eq!(parts("/"), Some((None, "/", None)));
        assert_eq!(parts("/a/b?c?d=/"), Some((None, "/a/b", Some("c?d=/"))));
        assert_eq!(parts("/a://b"), Some((None, "/a://b", None)));
        assert_eq!(parts("/?"), Some((None, "/", Some(""))));
        assert_eq!(parts("WS://h:80"), Some((Some("h:80"), "/", None)));
        assert_eq!(parts("http://[::1]:1/p?q"), Some((Some("[::1]:1"), "/p", Some("q"))));
        assert_eq!(parts("http://h?q"), Some((Some("h"), "/", Some("q"))));
        for bad in ["", "*", "a", "h:80", "/a#b", "ftp://h/", "http:///", "http://u@h/", "/\u{e9}"]
        {
            assert_eq!(parts(bad), None, "{bad}");
        }
    }

    #[test]
    fn authorities() {
        for good in ["a", "a:", "a:0", "a.b-c_d:65535", "127.0.0.1:80", "[::1]", "[::1]:443", "%41"]
        {
            assert!(is_authority(good), "{good}");
        }
        let bad = [
            "", ":", ":80", "a:65536", "a:b", "a:1:2", "a/b", "a b", "u@a", "[]", "[::1", "[g]",
            "[::1]x", "a,b c", "a:+1", "\u{e9}",
        ];
        for bad in bad {
            assert!(!is_authority(bad), "{bad}");
        }
    }
}
