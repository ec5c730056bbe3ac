//! What makes the payload of a compressed message (RFC 7692 section 7.2.1).

use alloc::vec::Vec;
use core::fmt;

use zlib_rs::{Deflate, DeflateConfig, DeflateError, DeflateFlush, Status};

use super::TAIL;

/// What a [`Compressor`] is made for. Those with equal settings stand in for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The base-two logarithm of the window, 9 to 15: what was agreed for this side.
    pub window_bits: u8,
    /// 1 to 9: memory for the symbols of a block. 8 is what zlib takes by itself.
    pub memory_level: u8,
    /// 0 to 9: 0 stores, 1 is the fastest, 9 the smallest.
    pub level: u8,
}

/// Compresses the messages of one direction of one connection.
///
/// Call [`Compressor::compress`] once for each message that is sent compressed, in the order of
/// sending; each call's output is the payload of one message whose first frame bears RSV1. With
/// `takeover`, everything that was compressed must be sent: the peer's window holds it too.
///
/// ```
/// use ringwire_protocol::deflate::{Compressor, Settings};
///
/// let settings = Settings { window_bits: 15, memory_level: 8, level: 6 };
/// let mut compressor = Compressor::new(settings).ok_or("no such window")?;
/// let mut payload = Vec::new();
/// compressor.compress(b"Hello", true, &mut payload)?;
/// assert_eq!(payload, [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub struct Compressor {
    settings: Settings,
    deflate: Deflate,
    /// Whether nothing has been compressed since the window was last forgotten, which costs
    /// clearing 128 KiB of hashes.
    is_empty: bool,
}

impl Compressor {
    /// A compressor with an empty window, or `None` where a setting is out of its range.
    ///
    /// A window of 8 bits is out of range: zlib would silently use one of 9, whose references
    /// reach further back than a peer with 8 remembers.
    #[must_use]
    pub fn new(settings: Settings) -> Option<Self> {
        let Settings { window_bits, memory_level, level } = settings;
        let known = (9..=15).contains(&window_bits) && (1..=9).contains(&memory_level);
        if !known || level > 9 {
            return None;
        }
        let deflate = Deflate::new_with_config(DeflateConfig {
            level: i32::from(level),
            // Negative for a stream without zlib's header and checksum.
            window_bits: -i32::from(window_bits),
            mem_level: i32::from(memory_level),
            ..DeflateConfig::default()
        });
        Some(Self { settings, deflate, is_empty: true })
    }

    /// What it was made for.
    #[must_use]
    pub const fn settings(&self) -> Settings {
        self.settings
    }

    /// Appends the payload of `message` to `out`. Without `takeover` the window is forgotten
    /// after it.
    ///
    /// # Errors
    ///
    /// [`CompressError`]: `out` is as it was and the window is forgotten, so the message can go
    /// out uncompressed and the next one compressed.
    pub fn compress(
        &mut self,
        message: &[u8],
        takeover: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), CompressError> {
        self.compress_part(message, true, takeover, out)
    }

    /// Appends the payload of the next part of a message, as one fragment of it; `last` says that
    /// it is the last one. All parts must be sent.
    ///
    /// # Errors
    ///
    /// [`CompressError`]: `out` is as it was, and of this message no more can be sent.
    pub fn compress_part(
        &mut self,
        part: &[u8],
        last: bool,
        takeover: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), CompressError> {
        let start = out.len();
        // zlib writes nothing for a flush that follows a flush.
        if !part.is_empty() {
            self.is_empty = false;
            if !self.flush(part, out) || !out[start..].ends_with(&TAIL) {
                out.truncate(start);
                self.reset();
                return Err(CompressError);
            }
            if last {
                //= RFC 7692 7.2.1: Remove 4 octets (that are 0x00 0x00 0xff 0xff) from the tail
                //= end.
                out.truncate(out.len() - TAIL.len());
            }
        } else if last {
            //= RFC 7692 7.2.3.6: The single octet 0x00 contains the header bits with "BFINAL" set
            //= to 0 and "BTYPE" set to 00, and 5 padding bits of 0.
            out.push(0);
        }
        if last && !takeover {
            self.reset();
        }
        Ok(())
    }

    /// Forgets the window, as for another connection.
    pub fn reset(&mut self) {
        if !self.is_empty {
            self.deflate.reset();
            self.is_empty = true;
        }
    }

    /// Compresses all of `message` and ends on an empty block at a whole byte. `false` if zlib
    /// does not go on.
    fn flush(&mut self, message: &[u8], out: &mut Vec<u8>) -> bool {
        let mut rest = message;
        let mut end = out.len();
        // Most messages fit the first time; the slack covers the blocks' own bytes. Where the room
        // ends inside the empty block, zlib writes another one, which is 5 bytes for nothing: many
        // short messages shrink to about a half, so these get room for all of it.
        let mut room = (message.len() / 2).max(message.len().min(SHORT)) + SLACK;
        loop {
            out.resize(end + room, 0);
            let (before_in, before_out) = (self.deflate.total_in(), self.deflate.total_out());
            let status = self.deflate.compress(rest, &mut out[end..], DeflateFlush::SyncFlush);
            let taken = usize::try_from(self.deflate.total_in() - before_in).unwrap_or(0);
            let written = usize::try_from(self.deflate.total_out() - before_out).unwrap_or(0);
            rest = rest.get(taken..).unwrap_or_default();
            end += written;
            match status {
                Err(DeflateError::StreamError | DeflateError::DataError)
                | Err(DeflateError::MemError)
                | Ok(Status::StreamEnd) => return false,
                Ok(Status::Ok | Status::BufError) => {}
            }
            // Room left over says that nothing is pending.
            if written < room && rest.is_empty() {
                out.truncate(end);
                return true;
            }
            if written == 0 && taken == 0 {
                return false;
            }
            room = rest.len() / 2 + SLACK;
        }
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Compressor").field("settings", &self.settings).finish()
    }
}

/// That zlib did not go on, which only a defect in it explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompressError;

impl fmt::Display for CompressError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the message could not be compressed")
    }
}

impl core::error::Error for CompressError {}

/// Bytes of a message for which room is made that it will hardly need.
const SHORT: usize = 4 << 10;

/// Bytes that a short message may grow by, and what a flush needs at least (6, says zlib).
const SLACK: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_message_ends_in_one_empty_block() {
        for level in 1..=9 {
            let settings = Settings { window_bits: 15, memory_level: 8, level };
            let mut compressor = Compressor::new(settings).unwrap();
            // Digits shrink to about a half.
            let (mut seed, mut digits) = (7_u32, Vec::new());
            for _ in 0..600 {
                seed = seed.wrapping_mul(1_103_515_245).wrapping_add(12_345);
                digits.push(b"0123456789abcdef"[(seed >> 28) as usize]);
                let mut payload = Vec::new();
                compressor.compress(&digits, false, &mut payload).unwrap();
                assert!(!payload.ends_with(&[0, 0, 0xff, 0xff, 0]), "{} digits", digits.len());
            }
        }
    }
}
