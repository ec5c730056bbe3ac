//! Why a request is refused, and what its sender is told.

use core::fmt;

use alloc::string::ToString;

use super::Response;

/// Why a request, or the head of a response, is refused: one variant for each cause.
///
/// The words of a refusal are fixed. They never repeat what the peer sent, so that an answer
/// cannot be made to carry somebody's bytes.
///
/// ```
/// use ringwire_protocol::handshake::Refusal;
///
/// let mut out = Vec::new();
/// Refusal::WebSocketVersion.response().encode(&mut out)?;
/// assert!(out.starts_with(b"HTTP/1.1 426 Upgrade Required\r\n"));
/// # Ok::<(), ringwire_protocol::handshake::Misuse>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The first byte starts no HTTP message: TLS on a plain port, or something else. 400.
    NotHttp,
    /// A control byte other than HTAB in a line. 400.
    ControlByte,
    /// An LF without a CR before it. 400.
    BareLineFeed,
    /// A CR without an LF after it. 400.
    BareCarriageReturn,
    /// A line that starts with whitespace, which once continued the line before. 400.
    ObsoleteFolding,
    /// A header line without a name that is a token and a colon right after it. 400.
    HeaderMalformed,
    /// The request line or status line is longer than its limit. 414.
    StartLineTooLarge,
    /// The head is longer than its limit. 431.
    HeadTooLarge,
    /// More header lines than their limit. 431.
    TooManyHeaders,
    /// The bytes to parse end before the head does. 400.
    HeadIncomplete,
    /// The request line is not method, target and version with one space between them. 400.
    RequestLineMalformed,
    /// The version is not HTTP/1.1. 505.
    VersionNotSupported,
    /// No `Host`. 400.
    HostMissing,
    /// More than one `Host`. 400.
    HostDuplicate,
    /// The `Host` is not a host that is not empty with an optional port. 400.
    HostMalformed,
    /// More than one `Origin`. 400.
    OriginDuplicate,
    /// Content in a transfer coding. 501.
    TransferEncoding,
    /// A `Content-Length` that is no number, is not alone, or stands beside a transfer coding.
    /// 400.
    ContentLengthMalformed,
    /// Content follows the head. 413.
    ContentTooLarge,
    /// A plain request with a method other than GET and HEAD. 405.
    MethodNotAllowed,
    /// A WebSocket request with a method other than GET. 405.
    MethodNotGet,
    /// The target is not in origin-form or absolute-form, or has a fragment. 400.
    TargetMalformed,
    /// A WebSocket request whose `Upgrade` does not name `websocket`. 426.
    UpgradeMissing,
    /// A WebSocket request whose `Connection` does not name `upgrade`. 400.
    ConnectionMissing,
    /// No `Sec-WebSocket-Key`. 400.
    KeyMissing,
    /// More than one `Sec-WebSocket-Key`. 400.
    KeyDuplicate,
    /// The `Sec-WebSocket-Key` is not the base64 of 16 bytes. 400.
    KeyMalformed,
    /// `Sec-WebSocket-Version` is missing or not 13. 426.
    WebSocketVersion,
    /// More than one `Sec-WebSocket-Version`. 400.
    WebSocketVersionDuplicate,
    /// `Sec-WebSocket-Protocol` is not a list of one or more tokens. 400.
    SubprotocolsMalformed,
    /// A subprotocol is offered twice. 400.
    SubprotocolDuplicate,
    /// `Sec-WebSocket-Extensions` breaks the grammar of RFC 6455 section 9.1. 400.
    ExtensionsMalformed,
    /// The head did not arrive in time. 408. The caller has the clock.
    TimeOut,
    /// The server takes no more connections now. 503. The caller counts them.
    Unavailable {
        /// When to try again, in seconds, for `Retry-After`.
        retry_after: u32,
    },
}

impl Refusal {
    /// The status code of the answer.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::NotHttp
            | Self::ControlByte
            | Self::BareLineFeed
            | Self::BareCarriageReturn
            | Self::ObsoleteFolding
            | Self::HeaderMalformed
            | Self::HeadIncomplete
            | Self::RequestLineMalformed
            | Self::HostMissing
            | Self::HostDuplicate
            | Self::HostMalformed
            | Self::OriginDuplicate
            | Self::ContentLengthMalformed
            | Self::TargetMalformed
            // The sender of Upgrade must send the connection option too (RFC 9110 7.8), so
            // without it the request is wrong and not only unfit.
            | Self::ConnectionMissing
            | Self::KeyMissing
            | Self::KeyDuplicate
            | Self::KeyMalformed
            | Self::WebSocketVersionDuplicate
            | Self::SubprotocolsMalformed
            | Self::SubprotocolDuplicate
            | Self::ExtensionsMalformed => 400,
            Self::MethodNotAllowed | Self::MethodNotGet => 405,
            Self::TimeOut => 408,
            Self::ContentTooLarge => 413,
            Self::StartLineTooLarge => 414,
            // "Refuses to perform the request using the current protocol but might be willing
            // to do so after the client upgrades" (RFC 9110 15.5.22) is just the case, most
            // often because a proxy took the header out.
            Self::UpgradeMissing => 426,
            //= RFC 6455 4.2.2: If this version does not match a version understood by the server,
            //= the server MUST abort the WebSocket handshake described in this
            //= section and instead send an appropriate HTTP error code (such as
            //= 426 Upgrade Required)
            Self::WebSocketVersion => 426,
            Self::HeadTooLarge | Self::TooManyHeaders => 431,
            Self::TransferEncoding => 501,
            Self::Unavailable { .. } => 503,
            Self::VersionNotSupported => 505,
        }
    }

    /// The whole answer: the status, the headers that belong to it, and one sentence.
    #[must_use]
    pub fn response(&self) -> Response {
        let mut sentence = self.to_string();
        sentence.push_str(".\n");
        let response = Response::text(self.status(), sentence);
        match self {
            //= RFC 9110 15.5.6: The origin server MUST generate an Allow header field in a 405
            //= response
            Self::MethodNotAllowed => response.header("Allow", "GET, HEAD"),
            Self::MethodNotGet => response.header("Allow", "GET"),
            //= RFC 9110 15.5.22: The server MUST send an Upgrade header field in a 426 response
            //= RFC 6455 4.2.2: and a |Sec-WebSocket-Version| header field indicating the
            //= version(s) the server is capable of understanding.
            Self::UpgradeMissing | Self::WebSocketVersion => {
                response.header("Upgrade", "websocket").header("Sec-WebSocket-Version", "13")
            }
            Self::Unavailable { retry_after } => {
                response.header("Retry-After", retry_after.to_string())
            }
            _ => response,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotHttp => "This is not HTTP/1.1",
            Self::ControlByte => "A control byte stands in the head",
            Self::BareLineFeed => "A line ends in LF without CR",
            Self::BareCarriageReturn => "A CR is not followed by LF",
            Self::ObsoleteFolding => "A line starts with whitespace",
            Self::HeaderMalformed => "A header line is malformed",
            Self::StartLineTooLarge => "The first line is too long",
            Self::HeadTooLarge => "The head is too large",
            Self::TooManyHeaders => "There are too many headers",
            Self::HeadIncomplete => "The head is incomplete",
            Self::RequestLineMalformed => "The request line is malformed",
            Self::VersionNotSupported => "Only HTTP/1.1 is supported",
            Self::HostMissing => "The Host header is missing",
            Self::HostDuplicate => "There is more than one Host header",
            Self::HostMalformed => "The Host header is malformed",
            Self::OriginDuplicate => "There is more than one Origin header",
            Self::TransferEncoding => "Transfer codings are not supported",
            Self::ContentLengthMalformed => "The length of the content is malformed or ambiguous",
            Self::ContentTooLarge => "No content is accepted",
            Self::MethodNotAllowed => "Only GET and HEAD are allowed",
            Self::MethodNotGet => "A WebSocket is opened with GET",
            Self::TargetMalformed => "The target is malformed",
            Self::UpgradeMissing => "The Upgrade header does not name websocket",
            Self::ConnectionMissing => "The Connection header does not name upgrade",
            Self::KeyMissing => "The Sec-WebSocket-Key header is missing",
            Self::KeyDuplicate => "There is more than one Sec-WebSocket-Key header",
            Self::KeyMalformed => "The Sec-WebSocket-Key is not the base64 of 16 bytes",
            Self::WebSocketVersion => "The Sec-WebSocket-Version is not 13",
            Self::WebSocketVersionDuplicate => {
                "There is more than one Sec-WebSocket-Version header"
            }
            Self::SubprotocolsMalformed => "The Sec-WebSocket-Protocol header is malformed",
            Self::SubprotocolDuplicate => "A subprotocol is offered twice",
            Self::ExtensionsMalformed => "The Sec-WebSocket-Extensions header is malformed",
            Self::TimeOut => "The request did not arrive in time",
            Self::Unavailable { .. } => "The server takes no more connections now",
        })
    }
}

impl core::error::Error for Refusal {}
