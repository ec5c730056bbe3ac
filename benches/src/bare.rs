//! zlib-rs by itself, used as well as it can be: one stream that is reset and never made anew, and
//! output that is written in one call into memory that was cleared once and is large enough.

use std::fmt;

use ringwire_protocol::deflate::Settings;
use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Inflate, InflateFlush, Status};

/// What every compressed message ends in, and what is not sent (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// Makes payloads.
pub struct BareCompressor {
    deflate: Deflate,
    out: Box<[u8]>,
}

impl BareCompressor {
    /// For messages of at most `size` bytes.
    #[must_use]
    pub fn new(settings: Settings, size: usize) -> Self {
        let deflate = Deflate::new_with_config(DeflateConfig {
            level: settings.level.into(),
            window_bits: -i32::from(settings.window_bits),
            mem_level: settings.memory_level.into(),
            ..DeflateConfig::default()
        });
        Self { deflate, out: vec![0; size + SLACK].into_boxed_slice() }
    }

    /// The payload of `message`.
    ///
    /// # Panics
    /// If the output does not take it.
    pub fn compress(&mut self, message: &[u8], takeover: bool) -> &[u8] {
        let before = self.deflate.total_out();
        let status = self.deflate.compress(message, &mut self.out, DeflateFlush::SyncFlush);
        assert_eq!(status, Ok(Status::Ok));
        let size = size(before, self.deflate.total_out());
        if !takeover {
            self.deflate.reset();
        }
        self.out[..size].strip_suffix(&TAIL).expect("a flush ends in an empty block")
    }
}

/// Gives messages back.
pub struct BareDecompressor {
    inflate: Inflate,
    out: Box<[u8]>,
}

impl BareDecompressor {
    /// For messages of at most `size` bytes.
    #[must_use]
    pub fn new(size: usize) -> Self {
        let inflate = Inflate::new(false, 15);
        Self { inflate, out: vec![0; size + SLACK].into_boxed_slice() }
    }

    /// The message of `payload`.
    ///
    /// # Panics
    /// If the output does not take it.
    pub fn decompress(&mut self, payload: &[u8], takeover: bool) -> &[u8] {
        let before = self.inflate.total_out();
        for piece in [payload, &TAIL] {
            let out = &mut self.out[size(before, self.inflate.total_out())..];
            let status = self.inflate.decompress(piece, out, InflateFlush::SyncFlush);
            assert!(matches!(status, Ok(Status::Ok | Status::BufError)));
        }
        let size = size(before, self.inflate.total_out());
        if !takeover {
            self.inflate.reset(false);
        }
        &self.out[..size]
    }
}

/// More than a flush adds to what does not shrink.
const SLACK: usize = 1 << 10;

fn size(before: u64, after: u64) -> usize {
    usize::try_from(after - before).expect("the output is in memory")
}

impl fmt::Debug for BareCompressor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("BareCompressor").finish_non_exhaustive()
    }
}

impl fmt::Debug for BareDecompressor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("BareDecompressor").finish_non_exhaustive()
    }
}
