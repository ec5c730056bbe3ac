//! Errors, sorted by whose fault they are: a [`Violation`] is the peer's, a [`Misuse`] the
//! caller's.

use core::error::Error;
use core::fmt;

use crate::utf8::InvalidUtf8;

/// What a peer did that ends its connection (RFC 6455 section 7.1.7, _Fail the WebSocket
/// Connection_).
///
/// [`Violation::close_code`] is the one place that says what the peer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Violation {
    /// A reserved bit is set and no extension that gives it a meaning was negotiated.
    ReservedBits,
    /// An opcode that the RFC keeps for later: 3 to 7 and 11 to 15.
    ReservedOpcode(u8),
    /// A client's frame without a mask.
    Unmasked,
    /// A server's frame with a mask.
    Masked,
    /// A length in more bytes than it needs.
    LengthNotMinimal,
    /// A 64-bit length with its highest bit set.
    LengthTooLarge,
    /// A control frame in fragments.
    ControlFragmented,
    /// A control frame of more than 125 bytes.
    ControlTooLong,
    /// A continuation without a message that it could continue.
    ContinuationUnexpected,
    /// A new message inside a fragmented one.
    ContinuationExpected,
    /// Text, or the reason of a close, that is not UTF-8.
    InvalidUtf8,
    /// A close frame with a payload of one byte.
    CloseTruncated,
    /// A close frame with a code that must not be sent.
    CloseCode(u16),
    /// A frame larger than [`Limits::frame_size_max`](crate::Limits::frame_size_max).
    FrameTooBig,
    /// A message larger than [`Limits::message_size_max`](crate::Limits::message_size_max).
    MessageTooBig,
    /// A compressed message that cannot be decompressed.
    CompressionCorrupt,
    /// More fragments than [`Limits::fragments_max`](crate::Limits::fragments_max).
    TooManyFragments,
}

impl Violation {
    /// Each of them once, for tables; 0 stands for the opcode and the code that a peer may choose.
    pub const ALL: [Self; 17] = [
        Self::ReservedBits,
        Self::ReservedOpcode(0),
        Self::Unmasked,
        Self::Masked,
        Self::LengthNotMinimal,
        Self::LengthTooLarge,
        Self::ControlFragmented,
        Self::ControlTooLong,
        Self::ContinuationUnexpected,
        Self::ContinuationExpected,
        Self::InvalidUtf8,
        Self::CloseTruncated,
        Self::CloseCode(0),
        Self::FrameTooBig,
        Self::MessageTooBig,
        Self::CompressionCorrupt,
        Self::TooManyFragments,
    ];

    /// The status code of the close frame that answers it.
    #[must_use]
    pub const fn close_code(self) -> u16 {
        match self {
            Self::ReservedBits
            | Self::ReservedOpcode(_)
            | Self::Unmasked
            | Self::Masked
            | Self::LengthNotMinimal
            | Self::LengthTooLarge
            | Self::ControlFragmented
            | Self::ControlTooLong
            | Self::ContinuationUnexpected
            | Self::ContinuationExpected
            | Self::CloseTruncated
            | Self::CloseCode(_) => 1002,
            //= RFC 6455 8.1: When an endpoint is to interpret a byte stream as UTF-8 but finds that
            //= the byte stream is not, in fact, a valid UTF-8 stream, that endpoint MUST _Fail the
            //= WebSocket Connection_.
            Self::InvalidUtf8 => 1007,
            // RFC 7692 names no code; the data is not what its frame says it is.
            Self::CompressionCorrupt => 1007,
            Self::FrameTooBig | Self::MessageTooBig => 1009,
            Self::TooManyFragments => 1008,
        }
    }

    /// The section of an RFC that is violated, as `RFC 6455 5.2`; for a limit of this side, the one
    /// that asks for limits.
    #[must_use]
    pub const fn section(self) -> &'static str {
        match self {
            Self::ReservedBits
            | Self::ReservedOpcode(_)
            | Self::LengthNotMinimal
            | Self::LengthTooLarge => "RFC 6455 5.2",
            Self::Unmasked | Self::Masked => "RFC 6455 5.1",
            Self::ControlFragmented | Self::ControlTooLong => "RFC 6455 5.5",
            Self::ContinuationUnexpected | Self::ContinuationExpected => "RFC 6455 5.4",
            Self::InvalidUtf8 => "RFC 6455 8.1",
            Self::CloseTruncated => "RFC 6455 5.5.1",
            Self::CloseCode(_) => "RFC 6455 7.4",
            Self::CompressionCorrupt => "RFC 7692 7.2.2",
            Self::FrameTooBig | Self::MessageTooBig | Self::TooManyFragments => "RFC 6455 10.4",
        }
    }

    /// A name for counters and logs, in the form that Prometheus likes.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::ReservedBits => "reserved_bits",
            Self::ReservedOpcode(_) => "reserved_opcode",
            Self::Unmasked => "unmasked",
            Self::Masked => "masked",
            Self::LengthNotMinimal => "length_not_minimal",
            Self::LengthTooLarge => "length_too_large",
            Self::ControlFragmented => "control_fragmented",
            Self::ControlTooLong => "control_too_long",
            Self::ContinuationUnexpected => "continuation_unexpected",
            Self::ContinuationExpected => "continuation_expected",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::CloseTruncated => "close_truncated",
            Self::CloseCode(_) => "close_code",
            Self::FrameTooBig => "frame_too_big",
            Self::MessageTooBig => "message_too_big",
            Self::CompressionCorrupt => "compression_corrupt",
            Self::TooManyFragments => "too_many_fragments",
        }
    }

    /// One sentence, sent as the reason of the close frame. At most 123 bytes, and nothing that the
    /// peer chose.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::ReservedBits => "reserved bits are set",
            Self::ReservedOpcode(_) => "reserved opcode",
            Self::Unmasked => "a client's frame is not masked",
            Self::Masked => "a server's frame is masked",
            Self::LengthNotMinimal => "the length is not in its shortest form",
            Self::LengthTooLarge => "the length has its highest bit set",
            Self::ControlFragmented => "a control frame is fragmented",
            Self::ControlTooLong => "a control frame is longer than 125 bytes",
            Self::ContinuationUnexpected => "there is no message to continue",
            Self::ContinuationExpected => "the fragmented message is not finished",
            Self::InvalidUtf8 => "the text is not UTF-8",
            Self::CloseTruncated => "the close code is cut short",
            Self::CloseCode(_) => "the close code must not be sent",
            Self::FrameTooBig => "the frame is too big",
            Self::MessageTooBig => "the message is too big",
            Self::CompressionCorrupt => "the compressed message is corrupt",
            Self::TooManyFragments => "the message has too many fragments",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.reason(), self.section())
    }
}

impl Error for Violation {}

impl From<InvalidUtf8> for Violation {
    fn from(_: InvalidUtf8) -> Self {
        Self::InvalidUtf8
    }
}

/// What the caller asked for and cannot have. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Misuse {
    /// The close frame has been sent: nothing may follow it.
    Closing,
    /// A message is being sent in fragments: another one, or a fragment of another kind, must wait
    /// for its last.
    MessageUnfinished,
    /// The payload of a control frame has at most 125 bytes.
    ControlTooLong,
    /// A code that must not be sent in a close frame.
    CloseCode(u16),
    /// The reason of a close frame has at most 123 bytes.
    CloseReasonTooLong,
    /// zlib has failed in the middle of a message that is sent in fragments: its rest cannot be
    /// sent. Only a defect in it explains that.
    CompressionFailed,
    /// A client sends masked frames and the workspace has no source of masking keys.
    MaskingKeysMissing,
}

impl fmt::Display for Misuse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closing => formatter.write_str("the connection is closing"),
            Self::MessageUnfinished => {
                formatter.write_str("a message that is sent in fragments is not finished")
            }
            Self::ControlTooLong => {
                formatter.write_str("a control frame carries at most 125 bytes")
            }
            Self::CloseCode(code) => write!(formatter, "the close code {code} must not be sent"),
            Self::CloseReasonTooLong => {
                formatter.write_str("the reason of a close has at most 123 bytes")
            }
            Self::CompressionFailed => formatter.write_str("the message cannot be compressed"),
            Self::MaskingKeysMissing => {
                formatter.write_str("a client needs a source of masking keys")
            }
        }
    }
}

impl Error for Misuse {}

#[cfg(test)]
mod tests {
    use super::Violation;

    #[test]
    fn every_answer_may_be_sent() {
        for violation in Violation::ALL {
            assert!(crate::frame::close::code_may_be_sent(violation.close_code()), "{violation}");
            assert!(violation.reason().len() <= crate::frame::close::REASON_SIZE_MAX);
        }
    }

    #[test]
    fn every_violation_has_a_label_of_its_own_and_a_section() {
        for (index, violation) in Violation::ALL.into_iter().enumerate() {
            let label = violation.label();
            assert!(label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'8' | b'_')), "{label}");
            let first = Violation::ALL.iter().position(|other| other.label() == label);
            assert_eq!(first, Some(index), "{label}");
            let (rfc, section) = violation.section().rsplit_once(' ').unwrap();
            assert!(rfc == "RFC 6455" || rfc == "RFC 7692", "{label}");
            assert!(section.split('.').all(|number| number.parse::<u8>().is_ok()), "{label}");
        }
    }
}
