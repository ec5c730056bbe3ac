//! Frames as bytes, right and wrong ones. Nothing here knows the engine or its protocol crate.

/// The last frame of its message.
pub const FIN: u8 = 0x80;
/// The first frame of a compressed message (RFC 7692 section 6).
pub const RSV1: u8 = 0x40;
/// A bit that no extension here gives a meaning.
pub const RSV2: u8 = 0x20;
/// Another such bit.
pub const RSV3: u8 = 0x10;
/// The opcode of a frame that goes on with a message.
pub const CONTINUATION: u8 = 0x0;
/// The opcode of text.
pub const TEXT: u8 = 0x1;
/// The opcode of bytes.
pub const BINARY: u8 = 0x2;
/// The opcode of a close.
pub const CLOSE: u8 = 0x8;
/// The opcode of a ping.
pub const PING: u8 = 0x9;
/// The opcode of a pong.
pub const PONG: u8 = 0xA;

/// The masking key of all frames that do not say another one.
const MASKING_KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// A frame of the server's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// FIN, reserved bits and opcode.
    pub first: u8,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl Frame {
    /// A whole frame with `opcode`.
    #[must_use]
    pub fn new(opcode: u8, payload: impl AsRef<[u8]>) -> Self {
        Self { first: FIN | opcode, payload: payload.as_ref().to_vec() }
    }

    /// A whole text message.
    #[must_use]
    pub fn text(payload: impl AsRef<[u8]>) -> Self {
        Self::new(TEXT, payload)
    }

    /// A whole binary message.
    #[must_use]
    pub fn binary(payload: impl AsRef<[u8]>) -> Self {
        Self::new(BINARY, payload)
    }

    /// A pong.
    #[must_use]
    pub fn pong(payload: impl AsRef<[u8]>) -> Self {
        Self::new(PONG, payload)
    }

    /// The code of a close frame; `None` where it has none.
    ///
    /// # Panics
    /// If it is no close frame, or not a right one.
    #[must_use]
    pub fn close_code(&self) -> Option<u16> {
        assert_eq!(self.first, FIN | CLOSE, "{self:?} is no close frame");
        let (code, reason) = self.payload.split_first_chunk::<2>()?;
        assert!(std::str::from_utf8(reason).is_ok(), "{self:?} has a reason that is no text");
        Some(u16::from_be_bytes(*code))
    }
}

/// A length in one of its three forms, whether that is the shortest or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// In the second byte.
    Short(u8),
    /// In 16 bits behind a 126.
    Medium(u16),
    /// In 64 bits behind a 127.
    Long(u64),
}

impl Length {
    /// The form that the RFC demands.
    #[must_use]
    pub fn shortest(length: usize) -> Self {
        match (u8::try_from(length), u16::try_from(length)) {
            (Ok(short @ ..=125), _) => Self::Short(short),
            (_, Ok(medium)) => Self::Medium(medium),
            (_, Err(_)) => Self::Long(length as u64),
        }
    }
}

/// A header with any first byte, any length, and a masking key or none.
#[must_use]
pub fn header(first: u8, length: Length, masking_key: Option<[u8; 4]>) -> Vec<u8> {
    let masked = if masking_key.is_some() { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match length {
        Length::Short(length) => bytes.push(masked | length),
        Length::Medium(length) => {
            bytes.push(masked | 126);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
        Length::Long(length) => {
            bytes.push(masked | 127);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
    }
    bytes.extend_from_slice(masking_key.as_ref().map_or(&[], |key| &key[..]));
    bytes
}

/// A payload under a masking key, byte by byte as RFC 6455 section 5.3 has it.
#[must_use]
pub fn mask(payload: &[u8], masking_key: [u8; 4]) -> Vec<u8> {
    payload.iter().zip(masking_key.iter().cycle()).map(|(byte, key)| byte ^ key).collect()
}

/// A masked frame with any first byte, its length in the shortest form.
#[must_use]
pub fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut bytes = header(first, Length::shortest(payload.len()), Some(MASKING_KEY));
    bytes.extend_from_slice(&mask(payload, MASKING_KEY));
    bytes
}

/// A whole text message.
#[must_use]
pub fn text(payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(FIN | TEXT, payload)
}

/// A whole binary message.
#[must_use]
pub fn binary(payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(FIN | BINARY, payload)
}

/// A ping.
#[must_use]
pub fn ping(payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(FIN | PING, payload)
}

/// A pong.
#[must_use]
pub fn pong(payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(FIN | PONG, payload)
}

/// A close frame with a code and a reason of any bytes.
#[must_use]
pub fn close(code: u16, reason: impl AsRef<[u8]>) -> Vec<u8> {
    frame(FIN | CLOSE, [&code.to_be_bytes()[..], reason.as_ref()].concat())
}

/// A message in `fragments`, whose first frame has `opcode`.
///
/// # Panics
/// If there are no fragments.
#[must_use]
pub fn message(opcode: u8, fragments: &[&[u8]]) -> Vec<u8> {
    let last = fragments.len().checked_sub(1).expect("a message has a frame");
    let frames = fragments.iter().enumerate().map(|(number, payload)| {
        let opcode = if number == 0 { opcode } else { CONTINUATION };
        frame(if number == last { FIN | opcode } else { opcode }, payload)
    });
    frames.collect::<Vec<_>>().concat()
}

/// Bytes that no compressor makes smaller, the same ones each time.
#[must_use]
pub fn noise(size: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut bytes = vec![0; size];
    bytes.fill_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    });
    bytes
}
