//! What a head may cost before it is refused.

/// The bounds of one head, request or response.
///
/// ```
/// use ringwire_protocol::handshake::Limits;
///
/// let limits = Limits { head_size_max: 4096, ..Limits::default() };
/// assert_eq!(limits.headers_max, 100);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole head with its blank line. Default 8192: room for a browser's cookies,
    /// and what a peer that never finishes its head can make a server hold.
    pub head_size_max: usize,
    /// Bytes of the request line or status line without its CRLF. Default 8000, the least that
    /// RFC 9112 section 3 recommends every recipient to support.
    pub start_line_size_max: usize,
    /// Header lines. Default 100, several times what browsers and proxies send. More than 128
    /// is taken as 128: a head is parsed into a table of that many entries on the stack.
    pub headers_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { head_size_max: 8192, start_line_size_max: 8000, headers_max: 100 }
    }
}

/// Entries in the table of the lines of a head that is being parsed; 32 bytes each.
pub(super) const HEADERS_MAX: usize = 128;
