//! The RFC's examples, every way to cut a payload, and what must be refused.

use alloc::vec::Vec;

use super::{Bounds, DecompressError, Decompressor};

mod examples;
mod hostile;
mod negotiation;
mod oracle;
mod roundtrip;

/// No bounds that a test's own messages would meet.
const WIDE: Bounds = Bounds { size_max: 1 << 30, ratio_max: u32::MAX };

/// Decompresses one message whose payload comes in `pieces`.
fn decompress<'p>(
    decompressor: &mut Decompressor,
    pieces: impl IntoIterator<Item = &'p [u8]>,
    bounds: &Bounds,
    takeover: bool,
) -> Result<Vec<u8>, DecompressError<()>> {
    let mut message = Vec::new();
    let mut sink = |chunk: &[u8]| {
        assert!(!chunk.is_empty() && chunk.len() <= Decompressor::CHUNK_SIZE);
        message.extend_from_slice(chunk);
        Ok(())
    };
    for piece in pieces {
        decompressor.inflate(piece, bounds, &mut sink)?;
    }
    decompressor.finish(bounds, takeover)?;
    Ok(message)
}
