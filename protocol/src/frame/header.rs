//! The header of a frame (RFC 6455 section 5.2), decoded and encoded.
//!
//! ```text
//!  byte 0              byte 1            then
//! +-+---+-------+     +-+-------------+ +----------------------------+-------------------+
//! |F|RSV|opcode |     |M|   length    | | length: 0, 2 or 8 bytes    | key: 0 or 4 bytes |
//! |I|123|       |     |A|   7 bits    | | when the 7 bits are        | when MASK is set  |
//! |N|   |       |     |S| 126, 127: → | | below 126, 126, 127        |                   |
//! +-+---+-------+     +-+-------------+ +----------------------------+-------------------+
//! ```

use alloc::vec::Vec;

use super::{Opcode, Role};
use crate::Violation;

/// The bytes of the longest header: two, eight of length, four of key.
pub const SIZE_MAX: usize = 14;

/// The longest payload of a control frame, and the longest length that fits the second byte.
pub const CONTROL_SIZE_MAX: usize = 125;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RESERVED: u8 = 0x70;
const MASK: u8 = 0x80;

/// A frame's header as its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The last frame of its message.
    pub fin: bool,
    /// RSV1: the first frame of a message that `permessage-deflate` compressed.
    pub compressed: bool,
    /// What the frame is.
    pub opcode: Opcode,
    /// The masking key of a client's frame.
    pub masking_key: Option<[u8; 4]>,
    /// Bytes of payload that follow the header. Below 2^63.
    pub length: u64,
}

impl Header {
    /// Reads the header at the start of `bytes`, which a peer of the role `sender` sent.
    ///
    /// `None` says that the header is not whole yet; every byte that is there has then been found
    /// right, so that a violation shows at the first byte that commits it. The `usize` is the size
    /// of the header.
    ///
    /// ```
    /// use ringwire_protocol::frame::{Opcode, Role, header::Header};
    ///
    /// // RFC 6455 section 5.7: a single-frame masked text message, "Hello".
    /// let bytes = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    /// let (header, size) = Header::decode(&bytes, Role::Client)?.unwrap();
    /// assert_eq!((header.opcode, header.length, size), (Opcode::Text, 5, 6));
    /// assert_eq!(Header::decode(&bytes[..5], Role::Client)?, None);
    /// # Ok::<(), ringwire_protocol::Violation>(())
    /// ```
    ///
    /// # Errors
    /// What RFC 6455 sections 5.1, 5.2 and 5.5 forbid in a header.
    #[inline]
    pub fn decode(bytes: &[u8], sender: Role) -> Result<Option<(Self, usize)>, Violation> {
        Self::decode_negotiated(bytes, sender, false)
    }

    /// As [`Header::decode`], on a connection where RSV1 may mark a compressed message if `deflate`
    /// says that `permessage-deflate` was negotiated.
    ///
    /// # Errors
    /// As [`Header::decode`]; RSV1 on any but the first frame of a data message.
    #[inline]
    pub fn decode_negotiated(
        bytes: &[u8],
        sender: Role,
        deflate: bool,
    ) -> Result<Option<(Self, usize)>, Violation> {
        let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
        let (fin, opcode) = decode_first(first, deflate)?;
        let compressed = first & RSV1 != 0;
        let Some((&second, rest)) = rest.split_first() else { return Ok(None) };
        let masked = decode_mask(second, sender)?;
        let short = second & !MASK;
        //= RFC 6455 5.5: All control frames MUST have a payload length of 125 bytes or less and
        //= MUST NOT be fragmented.
        if opcode.is_control() && usize::from(short) > CONTROL_SIZE_MAX {
            return Err(Violation::ControlTooLong);
        }
        let Some((length, rest)) = decode_length(short, rest)? else { return Ok(None) };
        let (masking_key, rest) = if masked {
            let Some((key, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
            (Some(*key), rest)
        } else {
            (None, rest)
        };
        Ok(Some((Self { fin, compressed, opcode, masking_key, length }, bytes.len() - rest.len())))
    }

    /// Appends the header to `out`, in its shortest form.
    // Three times as fast as by a call, which saves six registers for the case that `out` grows.
    #[inline(always)]
    pub fn encode(&self, out: &mut Vec<u8>) {
        let reserved = if self.compressed { RSV1 } else { 0 };
        let first = if self.fin { FIN } else { 0 } | reserved | self.opcode as u8;
        let mask = if self.masking_key.is_some() { MASK } else { 0 };
        if let Ok(short @ 0..=125) = u8::try_from(self.length) {
            out.extend_from_slice(&[first, mask | short]);
        } else if let Ok(length) = u16::try_from(self.length) {
            let [high, low] = length.to_be_bytes();
            out.extend_from_slice(&[first, mask | 126, high, low]);
        } else {
            let [a, b, c, d, e, f, g, h] = self.length.to_be_bytes();
            out.extend_from_slice(&[first, mask | 127, a, b, c, d, e, f, g, h]);
        }
        if let Some(key) = self.masking_key {
            out.extend_from_slice(&key);
        }
    }

    /// The header of a whole message without a mask, of at most 125 bytes.
    #[inline]
    pub(crate) fn short(opcode: Opcode, size: usize) -> [u8; 2] {
        debug_assert!(size <= CONTROL_SIZE_MAX);
        #[expect(clippy::cast_possible_truncation, reason = "125 fits")]
        [FIN | opcode as u8, size as u8]
    }
}

/// Whether RSV1 stands where `permessage-deflate` gives it its meaning: on the first frame of a
/// message, so neither on a continuation nor on a control frame (RFC 7692 section 6.1).
#[cold]
fn is_compressed(first: u8) -> bool {
    let opcode = first & 0xF;
    let begins = opcode == Opcode::Text as u8 || opcode == Opcode::Binary as u8;
    begins && first & RESERVED == RSV1
}

#[inline]
fn decode_first(first: u8, deflate: bool) -> Result<(bool, Opcode), Violation> {
    //= RFC 6455 5.2: If a nonzero value is received and none of the negotiated extensions defines
    //= the meaning of such a nonzero value, the receiving endpoint MUST _Fail the WebSocket
    //= Connection_.
    if first & RESERVED != 0 && !(deflate && is_compressed(first)) {
        return Err(Violation::ReservedBits);
    }
    let opcode = Opcode::decode(first)?;
    let fin = first & FIN != 0;
    if opcode.is_control() && !fin {
        return Err(Violation::ControlFragmented);
    }
    Ok((fin, opcode))
}

#[inline]
fn decode_mask(second: u8, sender: Role) -> Result<bool, Violation> {
    //= RFC 6455 5.1: The server MUST close the connection upon receiving a frame that is not
    //= masked. [...] A client MUST close a connection if it detects a masked frame.
    match (second & MASK != 0, sender) {
        (true, Role::Client) => Ok(true),
        (false, Role::Server) => Ok(false),
        (false, Role::Client) => Err(Violation::Unmasked),
        (true, Role::Server) => Err(Violation::Masked),
    }
}

/// The length that the seven bits `short` and the bytes of `rest` say, and what follows them.
#[inline]
fn decode_length(short: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, Violation> {
    //= RFC 6455 5.2: Note that in all cases, the minimal number of bytes MUST be used to encode the
    //= length.
    match short {
        126 => {
            let Some((length, rest)) = rest.split_first_chunk::<2>() else { return Ok(None) };
            let length = u16::from_be_bytes(*length);
            if length < 126 {
                return Err(Violation::LengthNotMinimal);
            }
            Ok(Some((u64::from(length), rest)))
        }
        127 => {
            let Some((length, rest)) = rest.split_first_chunk::<8>() else { return Ok(None) };
            let length = u64::from_be_bytes(*length);
            //= RFC 6455 5.2: If 127, the following 8 bytes interpreted as a 64-bit unsigned integer
            //= (the most significant bit MUST be 0) are the payload length.
            if length >> 63 != 0 {
                return Err(Violation::LengthTooLarge);
            }
            if length <= u64::from(u16::MAX) {
                return Err(Violation::LengthNotMinimal);
            }
            Ok(Some((length, rest)))
        }
        short => Ok(Some((u64::from(short), rest))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTHS: [u64; 12] =
        [0, 1, 125, 126, 127, 255, 256, 65_534, 65_535, 65_536, 1 << 32, (1 << 63) - 1];

    fn encoded(header: &Header) -> Vec<u8> {
        let mut out = Vec::new();
        header.encode(&mut out);
        out
    }

    #[test]
    fn every_header_in_every_split() {
        let opcodes = [Opcode::Continuation, Opcode::Text, Opcode::Binary, Opcode::Ping];
        for (opcode, length) in opcodes.into_iter().flat_map(|o| LENGTHS.map(|l| (o, l))) {
            if opcode.is_control() && length > 125 {
                continue;
            }
            for (masking_key, role) in [(Some([1, 2, 3, 4]), Role::Client), (None, Role::Server)] {
                for fin in [opcode.is_control(), true] {
                    let header = Header { fin, compressed: false, opcode, masking_key, length };
                    let mut bytes = encoded(&header);
                    let size = bytes.len();
                    assert!(size <= SIZE_MAX);
                    bytes.extend_from_slice(&[0xFF; 3]);
                    for cut in 0..size {
                        assert_eq!(Header::decode(&bytes[..cut], role), Ok(None));
                    }
                    assert_eq!(Header::decode(&bytes, role), Ok(Some((header, size))));
                }
            }
        }
    }

    #[test]
    fn lengths_only_in_their_shortest_form() {
        for length in 0..126_u16 {
            let [high, low] = length.to_be_bytes();
            let decoded = Header::decode(&[0x82, 126, high, low], Role::Server);
            assert_eq!(decoded, Err(Violation::LengthNotMinimal));
        }
        for length in [0, 125, 126, 65_535_u64] {
            let mut bytes = [0x82, 127, 0, 0, 0, 0, 0, 0, 0, 0];
            bytes[2..].copy_from_slice(&length.to_be_bytes());
            let decoded = Header::decode(&bytes, Role::Server);
            assert_eq!(decoded, Err(Violation::LengthNotMinimal));
        }
        let highest = [0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(Header::decode(&highest, Role::Server), Err(Violation::LengthTooLarge));
    }

    #[test]
    fn every_first_and_second_byte() {
        for (first, second) in (0..=255_u8).flat_map(|f| (0..=255_u8).map(move |s| (f, s))) {
            let mut bytes = [1; SIZE_MAX];
            (bytes[0], bytes[1]) = (first, second);
            let expected = if first & 0x70 != 0 {
                Some(Violation::ReservedBits)
            } else if matches!(first & 0xF, 3..=7 | 11..) {
                Some(Violation::ReservedOpcode(first & 0xF))
            } else if first & 0x8 != 0 && first & 0x80 == 0 {
                Some(Violation::ControlFragmented)
            } else {
                None
            };
            // The first byte alone shows what is wrong with it.
            assert_eq!(Header::decode(&[first], Role::Client).err(), expected);
            let expected = expected.or(if second & 0x80 == 0 {
                Some(Violation::Unmasked)
            } else if first & 0x8 != 0 && second & 0x7F > 125 {
                Some(Violation::ControlTooLong)
            } else {
                None
            });
            assert_eq!(Header::decode(&bytes, Role::Client).err(), expected);
            assert_eq!(Header::decode(&bytes[..2], Role::Client).err(), expected);
        }
    }

    #[test]
    fn rsv1_marks_the_first_frame_of_a_message() {
        for first in 0..=255_u8 {
            let plain = Header::decode(&[first & !RSV1, 0x80, 1, 2, 3, 4], Role::Client);
            let marked = [first | RSV1, 0x80, 1, 2, 3, 4];
            assert_eq!(Header::decode(&marked, Role::Client), Err(Violation::ReservedBits));
            let negotiated = Header::decode_negotiated(&marked, Role::Client, true);
            if matches!(first & 0xF, 1 | 2) && first & 0x30 == 0 {
                let (header, size) = plain.unwrap().unwrap();
                let header = Header { compressed: true, ..header };
                assert_eq!(negotiated, Ok(Some((header, size))));
                let mut bytes = encoded(&header);
                bytes[2..].copy_from_slice(&[1, 2, 3, 4]);
                assert_eq!(bytes, marked);
            } else {
                assert_eq!(negotiated, Err(Violation::ReservedBits), "{first:x}");
            }
        }
    }

    #[test]
    fn a_server_must_not_mask() {
        assert_eq!(Header::decode(&[0x81, 0x80], Role::Server), Err(Violation::Masked));
    }
}
