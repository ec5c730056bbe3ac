//! The payload of a close frame (RFC 6455 sections 5.5.1 and 7.4).

use core::str;

use crate::utf8::Validator;
use crate::{Misuse, Violation};

/// The longest reason: what a control frame carries, less the two bytes of the code.
pub const REASON_SIZE_MAX: usize = super::header::CONTROL_SIZE_MAX - 2;

/// What a close frame says: nothing, or a code and a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close<'a> {
    /// The status code; `None` where the frame is empty, which the API of browsers shows as 1005.
    pub code: Option<u16>,
    /// For people, at most 123 bytes; empty where the frame has none.
    pub reason: &'a str,
}

impl<'a> Close<'a> {
    /// Reads the payload of a peer's close frame.
    ///
    /// # Errors
    /// [`Violation::CloseTruncated`], [`Violation::CloseCode`] or [`Violation::InvalidUtf8`].
    pub fn decode(payload: &'a [u8]) -> Result<Self, Violation> {
        if payload.is_empty() {
            return Ok(Self { code: None, reason: "" });
        }
        //= RFC 6455 5.5.1: If there is a body, the first two bytes of the body MUST be a 2-byte
        //= unsigned integer (in network byte order) representing a status code.
        let Some((code, reason)) = payload.split_first_chunk::<2>() else {
            return Err(Violation::CloseTruncated);
        };
        let code = u16::from_be_bytes(*code);
        if !code_may_be_sent(code) {
            return Err(Violation::CloseCode(code));
        }
        let reason = str::from_utf8(reason).map_err(|_| Violation::InvalidUtf8)?;
        Ok(Self { code: Some(code), reason })
    }

    /// Where in a payload that [`Close::decode`] refuses the wrong byte is: the first of its code,
    /// or of its reason the first that no UTF-8 can have there. At most the payload's size.
    pub(crate) fn wrong_at(payload: &[u8]) -> usize {
        let Some((code, reason)) = payload.split_first_chunk::<2>() else { return 0 };
        if !code_may_be_sent(u16::from_be_bytes(*code)) {
            return 0;
        }
        // Without an error so far the reason is cut short, and its end is where a byte is missing.
        2 + Validator::new().push(reason).err().map_or(reason.len(), |error| error.offset)
    }

    /// Checks what the caller wants to send.
    ///
    /// # Errors
    /// [`Misuse::CloseCode`] for a code that must not be sent and for a reason without a code,
    /// [`Misuse::CloseReasonTooLong`] for one over 123 bytes.
    pub fn check(&self) -> Result<(), Misuse> {
        match self.code {
            Some(code) if !code_may_be_sent(code) => Err(Misuse::CloseCode(code)),
            None if !self.reason.is_empty() => Err(Misuse::CloseCode(1005)),
            _ if self.reason.len() > REASON_SIZE_MAX => Err(Misuse::CloseReasonTooLong),
            _ => Ok(()),
        }
    }
}

/// Whether a close frame may carry `code`: 1000 to 1003, 1007 to 1014 and 3000 to 4999.
///
/// 1012 to 1014 are not in the RFC but in the registry that it founded (section 11.7). 1004 is
/// reserved; 1005, 1006 and 1015 only ever stand for what was not received.
#[must_use]
pub const fn code_may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code() {
        for code in 0..=u16::MAX {
            let decoded = Close::decode(&code.to_be_bytes()).map(|close| close.code);
            let legal = match code {
                1000..=1003 | 1007..=1014 => true,
                3000..=4999 => true,
                0..=999 | 1004..=1006 | 1015..=2999 | 5000.. => false,
            };
            assert_eq!(
                decoded,
                if legal { Ok(Some(code)) } else { Err(Violation::CloseCode(code)) }
            );
        }
    }

    #[test]
    fn payloads() {
        assert_eq!(Close::decode(b""), Ok(Close { code: None, reason: "" }));
        assert_eq!(Close::decode(b"\x03"), Err(Violation::CloseTruncated));
        let close = Close { code: Some(1000), reason: "bye é" };
        assert_eq!(Close::decode(b"\x03\xe8bye \xc3\xa9"), Ok(close));
        assert_eq!(Close::decode(b"\x03\xe8bye \xc3"), Err(Violation::InvalidUtf8));
    }

    #[test]
    fn what_may_be_sent() {
        let reason = "r".repeat(124);
        assert_eq!(Close { code: Some(1000), reason: &reason[1..] }.check(), Ok(()));
        let long = Close { code: Some(1000), reason: &reason };
        assert_eq!(long.check(), Err(Misuse::CloseReasonTooLong));
        let codeless = Close { code: None, reason: "why" };
        assert_eq!(codeless.check(), Err(Misuse::CloseCode(1005)));
        assert_eq!(Close { code: Some(1006), reason: "" }.check(), Err(Misuse::CloseCode(1006)));
    }
}
