//! The parameters of `permessage-deflate` (RFC 7692 section 7.1), as either side sends them.

use core::fmt;

use crate::handshake::Extension;

/// The extension's token.
pub(super) const NAME: &str = "permessage-deflate";

/// What one element of a `Sec-WebSocket-Extensions` header says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) server_no_context_takeover: bool,
    pub(super) client_no_context_takeover: bool,
    pub(super) server_max_window_bits: Option<u8>,
    pub(super) client_max_window_bits: Bits,
}

/// What is said of the client's window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Bits {
    #[default]
    Absent,
    /// The name without a value: the client can limit its window.
    Bare,
    /// 8 to 15.
    Value(u8),
}

/// Which parameter is wrong, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParameterError {
    /// RFC 7692 does not define the name.
    Unknown,
    /// A name stands twice.
    Duplicate,
    /// A value where none may stand, none where one must, or not 8 to 15.
    Value,
}

impl fmt::Display for ParameterError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unknown => "a parameter is not defined",
            Self::Duplicate => "a parameter stands twice",
            Self::Value => "the value of a parameter is invalid",
        })
    }
}

impl Parameters {
    /// The parameters of `extension`, each of them defined, valid and there once.
    pub(super) fn parse(extension: &Extension<'_>) -> Result<Self, ParameterError> {
        let mut parsed = Self::default();
        for parameter in extension.parameters() {
            let value = parameter.value.as_deref();
            match parameter.name {
                "server_no_context_takeover" => {
                    once(!parsed.server_no_context_takeover)?;
                    none(value)?;
                    parsed.server_no_context_takeover = true;
                }
                "client_no_context_takeover" => {
                    once(!parsed.client_no_context_takeover)?;
                    none(value)?;
                    parsed.client_no_context_takeover = true;
                }
                "server_max_window_bits" => {
                    once(parsed.server_max_window_bits.is_none())?;
                    parsed.server_max_window_bits = Some(bits(value.unwrap_or_default())?);
                }
                "client_max_window_bits" => {
                    once(parsed.client_max_window_bits == Bits::Absent)?;
                    parsed.client_max_window_bits = match value {
                        None => Bits::Bare,
                        Some(value) => Bits::Value(bits(value)?),
                    };
                }
                _ => return Err(ParameterError::Unknown),
            }
        }
        Ok(parsed)
    }
}

/// Written as a header has it.
impl fmt::Display for Parameters {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(NAME)?;
        if self.server_no_context_takeover {
            formatter.write_str("; server_no_context_takeover")?;
        }
        if self.client_no_context_takeover {
            formatter.write_str("; client_no_context_takeover")?;
        }
        if let Some(bits) = self.server_max_window_bits {
            write!(formatter, "; server_max_window_bits={bits}")?;
        }
        match self.client_max_window_bits {
            Bits::Absent => Ok(()),
            Bits::Bare => formatter.write_str("; client_max_window_bits"),
            Bits::Value(bits) => write!(formatter, "; client_max_window_bits={bits}"),
        }
    }
}

fn once(is_first: bool) -> Result<(), ParameterError> {
    if is_first { Ok(()) } else { Err(ParameterError::Duplicate) }
}

fn none(value: Option<&str>) -> Result<(), ParameterError> {
    if value.is_none() { Ok(()) } else { Err(ParameterError::Value) }
}

/// A decimal integer without leading zeroes from 8 to 15 (RFC 7692 sections 7.1.2.1, 7.1.2.2).
fn bits(value: &str) -> Result<u8, ParameterError> {
    match value.as_bytes() {
        [digit @ b'8'..=b'9'] => Ok(digit - b'0'),
        [b'1', digit @ b'0'..=b'5'] => Ok(10 + (digit - b'0')),
        _ => Err(ParameterError::Value),
    }
}
