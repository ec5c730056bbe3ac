//! A request as a server reads it.

use super::Refusal;
use super::extension::{Extension, extensions};
use super::headers::{Field, Headers, Only, TABLE};
use super::list::{elements, token};
use super::target::{Target, is_authority};

/// The whole head of a well-formed HTTP/1.1 request, borrowed from the bytes it came in.
///
/// It is well-formed as HTTP; whether it is a WebSocket handshake, and a correct one, is what
/// [`upgrade`](Self::upgrade) says. Who has to answer later keeps the bytes and parses them again.
///
/// ```
/// use ringwire_protocol::handshake::Request;
///
/// let head = b"GET /feed?depth=5 HTTP/1.1\r\nHost: a\r\nCookie: x\r\nCookie: y\r\n\r\n";
/// let request = Request::parse(head)?;
/// assert_eq!((request.path(), request.query()), ("/feed", Some("depth=5")));
/// assert_eq!(request.header("cookie"), Some(&b"x"[..]));
/// assert_eq!(request.values("cookie").count(), 2);
/// assert!(request.upgrade()?.is_none());
/// # Ok::<(), ringwire_protocol::handshake::Refusal>(())
/// ```
#[derive(Clone, Debug)]
pub struct Request<'a> {
    method: &'a str,
    text: &'a str,
    /// `None` for the forms that no WebSocket request and no plain GET has.
    target: Option<Target<'a>>,
    host: &'a str,
    headers: Headers<'a>,
}

// Whoever returns one moves it.
const _: () = assert!(size_of::<Request<'_>>() <= 512);

impl<'a> Request<'a> {
    /// Parses `head`, the bytes up to the length that [`Head::scan`](super::Head::scan) gave.
    ///
    /// # Errors
    ///
    /// The [`Refusal`] of a head that is no HTTP/1.1 request, has no usable `Host`, or brings
    /// content with it.
    pub fn parse(head: &'a [u8]) -> Result<Self, Refusal> {
        let mut table = TABLE;
        let mut parsed = httparse::Request::new(&mut []);
        match parsed.parse_with_uninit_headers(head, &mut table) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => return Err(Refusal::HeadIncomplete),
            Err(error) => return Err(refusal_of(error, head)),
        }
        let (method, text) = (parsed.method.unwrap_or_default(), parsed.path.unwrap_or_default());
        //= RFC 6455 4.2.1: An HTTP/1.1 or higher GET request
        // Higher versions have other handshakes, and HTTP/1.0 has no Upgrade.
        if parsed.version != Some(1) {
            return Err(Refusal::VersionNotSupported);
        }
        let headers = Headers::new(head, parsed.headers);
        let target = Target::parse(text);
        let host = check_host(&headers, target)?;
        check_no_content(&headers)?;
        if headers.only(Field::Origin) == Only::Duplicate {
            return Err(Refusal::OriginDuplicate);
        }
        Ok(Self { method, text, target, host, headers })
    }

    /// The method, in the case it was sent; methods are case-sensitive.
    #[must_use]
    pub const fn method(&self) -> &'a str {
        self.method
    }

    /// The target as it was sent.
    #[must_use]
    pub const fn target(&self) -> &'a str {
        self.text
    }

    /// The path of the target, which starts with `/`, escapes not resolved. The whole target
    /// if it is not in origin-form or absolute-form.
    #[must_use]
    pub fn path(&self) -> &'a str {
        self.target.map_or(self.text, |target| target.path)
    }

    /// What follows the first `?` of the target.
    #[must_use]
    pub fn query(&self) -> Option<&'a str> {
        self.target.and_then(|target| target.query)
    }

    /// Host and optional port: of a target in absolute-form, otherwise of the `Host` header.
    #[must_use]
    pub const fn host(&self) -> &'a str {
        self.host
    }

    /// The `Origin` header, of which there is at most one. A server that only some web pages
    /// may use compares it (RFC 6455 section 10.2).
    #[must_use]
    pub fn origin(&self) -> Option<&'a [u8]> {
        match self.headers.only(Field::Origin) {
            Only::Once(value) => Some(value),
            Only::Missing | Only::Duplicate => None,
        }
    }

    /// All header lines in their order: names as sent, values without surrounding whitespace
    /// and without control bytes other than HTAB, of any encoding.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.headers.iter()
    }

    /// The value of the first header called `name`, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers.named(name).next()
    }

    /// The values of all headers called `name`, in any case.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.named(name)
    }

    /// The subprotocols offered, the client's preferred one first. Elements that are no tokens
    /// are left out; in a request that [`upgrade`](Self::upgrade) accepts there are none.
    pub fn subprotocols(&self) -> impl Iterator<Item = &'a str> {
        self.headers.values(Field::Protocol).flat_map(elements).filter_map(token)
    }

    /// The extensions offered, the client's preferred one first. Ends before the first that is
    /// malformed; in a request that [`upgrade`](Self::upgrade) accepts there is none.
    pub fn extensions(&self) -> impl Iterator<Item = Extension<'a>> {
        extensions(self.headers.values(Field::Extensions)).map_while(Result::ok)
    }

    /// Whether this request asks for a WebSocket, correctly or not: its `Upgrade` names
    /// `websocket`, or it has a `Sec-WebSocket-Key` or `Sec-WebSocket-Version`.
    ///
    /// An `Upgrade` to something else alone does not count:
    /// some HTTP clients offer `h2c` with every request, and RFC 9110 section 7.8 lets a server
    /// ignore that.
    #[must_use]
    pub fn is_upgrade(&self) -> bool {
        !self.headers.only(Field::Key).is_missing()
            || !self.headers.only(Field::Version).is_missing()
            || self.headers.list_contains(Field::Upgrade, "websocket")
    }

    pub(super) const fn has_target(&self) -> bool {
        self.target.is_some()
    }

    pub(super) const fn table(&self) -> &Headers<'a> {
        &self.headers
    }
}

/// The authority that the request is meant for.
fn check_host<'a>(headers: &Headers<'a>, target: Option<Target<'a>>) -> Result<&'a str, Refusal> {
    //= RFC 9112 3.2: A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1
    //= request message that lacks a Host header field and to any request message
    //= that contains more than one Host header field line or a Host header field
    //= with an invalid field value.
    let value = match headers.only(Field::Host) {
        Only::Once(value) => value,
        Only::Missing => return Err(Refusal::HostMissing),
        Only::Duplicate => return Err(Refusal::HostDuplicate),
    };
    let host = core::str::from_utf8(value).map_err(|_| Refusal::HostMalformed)?;
    if !is_authority(host) {
        return Err(Refusal::HostMalformed);
    }
    //= RFC 9112 3.2.2: the origin server MUST ignore the received Host header field (if any) and
    //= instead use the host information of the request-target.
    Ok(target.and_then(|target| target.authority).unwrap_or(host))
}

/// Checks that no content follows the head: what follows is read as frames.
fn check_no_content(headers: &Headers<'_>) -> Result<(), Refusal> {
    let coded = !headers.only(Field::TransferEncoding).is_missing();
    let length = match headers.only(Field::ContentLength) {
        Only::Missing if coded => {
            //= RFC 9112 6.1: A server that receives a request message with a transfer coding it
            //= does not understand SHOULD respond with 501 (Not Implemented).
            // We understand none, chunked included, as there is no content we would read.
            return Err(Refusal::TransferEncoding);
        }
        Only::Missing => return Ok(()),
        // Two lengths, or a length and a coding, are how requests are smuggled past a proxy
        // (RFC 9112 section 11.2). RFC 9110 8.6 would let us take two equal ones for one.
        Only::Once(_) | Only::Duplicate if coded => return Err(Refusal::ContentLengthMalformed),
        Only::Duplicate => return Err(Refusal::ContentLengthMalformed),
        Only::Once(length) => length,
    };
    if length.is_empty() || !length.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::ContentLengthMalformed);
    }
    // Not 400: the request is right, there is only more content than the none we read.
    if length.iter().all(|&digit| digit == b'0') { Ok(()) } else { Err(Refusal::ContentTooLarge) }
}

/// What a parser's error means to the peer.
fn refusal_of(error: httparse::Error, head: &[u8]) -> Refusal {
    match error {
        httparse::Error::TooManyHeaders => Refusal::TooManyHeaders,
        httparse::Error::HeaderName | httparse::Error::HeaderValue => Refusal::HeaderMalformed,
        httparse::Error::Version if names_http_version(head) => Refusal::VersionNotSupported,
        httparse::Error::Version
        | httparse::Error::Token
        | httparse::Error::NewLine
        | httparse::Error::Status => Refusal::RequestLineMalformed,
    }
}

/// Whether the request line ends in an HTTP version, such as the `HTTP/2.0` of the preface of
/// RFC 9113.
fn names_http_version(head: &[u8]) -> bool {
    let mut lines = head.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_end);
    let line = lines.find(|line| !line.is_empty()).unwrap_or_default();
    let version = line.rsplit(|&byte| byte == b' ').next().and_then(|w| w.strip_prefix(b"HTTP/"));
    matches!(version, Some([major, b'.', minor])
        if major.is_ascii_digit() && minor.is_ascii_digit())
}
