//! An answer that opens no WebSocket: a page, or a refusal.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use super::Misuse;
use super::headers::{check_header, write_header};

/// A final HTTP/1.1 answer, after which the connection closes.
///
/// It can be kept and sent to another thread. What it was built of is checked when it is
/// encoded. There is no `Date`, as there is no clock here; the caller may add one.
///
/// ```
/// use ringwire_protocol::handshake::Response;
///
/// let mut out = Vec::new();
/// Response::text(200, "alive\n").header("Cache-Control", "no-store").encode(&mut out)?;
/// assert_eq!(
///     core::str::from_utf8(&out)?,
///     "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 6\r\n\
///      Connection: close\r\nCache-Control: no-store\r\n\r\nalive\n"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    status: u16,
    headers: Vec<(Cow<'static, str>, Cow<'static, str>)>,
    body: Cow<'static, [u8]>,
}

impl Response {
    /// An answer without a body. `status` is one of 200 to 599.
    #[must_use]
    pub const fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Cow::Borrowed(&[]) }
    }

    /// An answer with a body of plain text.
    #[must_use]
    pub fn text(status: u16, text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(status).body(match text.into() {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        })
    }

    /// Sets the body. Its type is plain text in UTF-8 unless a `Content-Type` header is added.
    #[must_use]
    pub fn body(mut self, body: impl Into<Cow<'static, [u8]>>) -> Self {
        self.body = body.into();
        self
    }

    /// Adds a header. `Content-Length`, `Transfer-Encoding` and `Connection` are not the
    /// caller's.
    #[must_use]
    pub fn header(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The status code.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Appends the answer to `out`.
    ///
    /// # Errors
    ///
    /// A [`Misuse`] if the status, a header or the presence of a body is not allowed. Then
    /// `out` is as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), Misuse> {
        self.encode_head(out)?;
        out.extend_from_slice(&self.body);
        Ok(())
    }

    /// Appends the answer to a HEAD request to `out`: all but the body.
    ///
    /// # Errors
    ///
    /// As of [`encode`](Self::encode).
    pub fn encode_head(&self, out: &mut Vec<u8>) -> Result<(), Misuse> {
        self.check()?;
        let mut text = String::new();
        // A `String` takes whatever is written to it.
        let _ = write!(text, "HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        if !self.body.is_empty() && !self.has("Content-Type") {
            text.push_str("Content-Type: text/plain; charset=utf-8\r\n");
        }
        //= RFC 9110 8.6: A server MUST NOT send a Content-Length header field in any response with
        //= a status code of 1xx (Informational) or 204 (No Content).
        // Nor do we with 304, where it would be the length of the answer to a GET.
        if !matches!(self.status, 204 | 304) {
            let _ = write!(text, "Content-Length: {}\r\n", self.body.len());
        }
        //= RFC 9110 7.8: A sender of Upgrade MUST also send an "Upgrade" connection option in the
        //= Connection header field
        text.push_str(match self.has("Upgrade") {
            true => "Connection: close, Upgrade\r\n",
            false => "Connection: close\r\n",
        });
        out.extend_from_slice(text.as_bytes());
        for (name, value) in &self.headers {
            write_header(out, name, value.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn check(&self) -> Result<(), Misuse> {
        if !(200..=599).contains(&self.status) {
            return Err(Misuse::Status);
        }
        if matches!(self.status, 204 | 205 | 304) && !self.body.is_empty() {
            return Err(Misuse::BodyNotAllowed);
        }
        self.headers.iter().try_for_each(|(name, value)| check_header(name, value, &RESERVED))
    }

    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name))
    }
}

/// The headers that frame an answer: two opinions on where it ends are one too many.
const RESERVED: [&str; 4] = ["Connection", "Content-Length", "Transfer-Encoding", "Trailer"];

/// The reason phrase of a status code (RFC 9110 section 15, RFC 6585). It may be empty.
const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        205 => "Reset Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(response: &Response) -> Result<String, Misuse> {
        let mut out = Vec::from(*b"before");
        let result = response.encode(&mut out);
        if result.is_err() {
            assert_eq!(out, b"before", "a refused answer leaves nothing behind");
        }
        result.map(|()| String::from_utf8(out.split_off(6)).unwrap())
    }

    #[test]
    fn framing_follows_the_status() {
        let page = Response::new(200).body(&b"<p>"[..]).header("content-type", "text/html");
        assert_eq!(
            encode(&page).unwrap(),
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\
             content-type: text/html\r\n\r\n<p>"
        );
        let mut head = Vec::new();
        page.encode_head(&mut head).unwrap();
        assert!(head.ends_with(b"text/html\r\n\r\n"));
        assert_eq!(
            encode(&Response::new(404)).unwrap(),
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(
            encode(&Response::new(204)).unwrap(),
            "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
        );
        assert!(encode(&Response::new(299)).unwrap().starts_with("HTTP/1.1 299 \r\n"));
    }

    #[test]
    fn nothing_can_be_injected() {
        let with = |name: &'static str, value: &'static str| {
            encode(&Response::new(200).header(name, value)).unwrap_err()
        };
        for value in ["a\r\nB: c", "a\nb", "a\rb", "a\0b", "\u{7f}", "\u{1b}"] {
            assert_eq!(with("A", value), Misuse::HeaderValue, "{value:?}");
        }
        for name in ["", "A B", "A:", "A\r\nB", "\u{e9}", "A\0"] {
            assert_eq!(with(name, "a"), Misuse::HeaderName, "{name:?}");
        }
        for name in ["Content-length", "CONNECTION", "Transfer-Encoding"] {
            assert_eq!(with(name, "a"), Misuse::HeaderReserved, "{name:?}");
        }
        for status in [0, 100, 101, 199, 600, u16::MAX] {
            assert_eq!(encode(&Response::new(status)), Err(Misuse::Status));
        }
        for status in [204, 205, 304] {
            assert_eq!(encode(&Response::text(status, "a")), Err(Misuse::BodyNotAllowed));
        }
    }
}
