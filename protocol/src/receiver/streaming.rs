//! How a message is handed over in chunks, while it arrives: each where it lies.
//!
//! What is compressed is handed over as it is decompressed: see `inflated`.

use super::pulled::{Frame, Look, Pulled, Wrong, advance};
use crate::message::Streamed;
use crate::utf8::InvalidUtf8;

/// Takes the next chunk of a frame that is not compressed.
pub(super) fn pull<'i>(
    frame: &mut Frame,
    streamed: &mut Streamed,
    input: &mut &'i mut [u8],
) -> Result<Look<'i>, Wrong> {
    let remaining = frame.remaining;
    let wrong = |error: InvalidUtf8, distance: u64| Wrong { violation: error.into(), distance };
    let size = frame.arrived(input).min(streamed.room());
    let piece = advance(input, size);
    frame.unmask(piece);
    frame.remaining -= size as u64;
    let is_at_end = frame.remaining == 0;
    let is_last = is_at_end && frame.fin;
    let pushed = streamed.push(piece, is_last);
    let pulled = match pushed.map_err(|error| wrong(error, remaining - error.offset as u64))? {
        Some((portion, place)) => Pulled::Chunk(portion, place),
        None if input.is_empty() && !is_at_end => Pulled::Nothing,
        None => Pulled::Absorbed,
    };
    if is_last {
        streamed.finish().map_err(|error| wrong(error, 0))?;
    }
    Ok(Look { pulled, is_at_end })
}
