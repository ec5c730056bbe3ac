//! How a message is handed over in chunks, while it arrives.
//!
//! ```text
//!  input     ├──── this frame's, unmasked ────┤├─ masked ─┤├─ the next frame ─┤
//!  plain     a chunk, lent where it lies
//!  inflated  taken as far as a chunk of the decompressor's needs it; the rest waits, `ready`
//! ```
//!
//! A frame is at its end when all its bytes have been taken and, where they were compressed, all
//! that they hold has been handed over.

use super::pulled::{Frame, Pulled, Stage, advance};
use crate::deflate::{Flow, Inflating, streamed_max};
use crate::event::Message;
use crate::message::{Kind, Portion, Streamed};
use crate::utf8::InvalidUtf8;
use crate::{Violation, Workspace};

/// One look at a frame of a message that is handed over in chunks.
pub(super) struct Look<'i> {
    pub(super) pulled: Pulled<'i>,
    is_at_end: bool,
}

impl Look<'_> {
    /// Where the next byte belongs.
    pub(super) const fn stage(&self, frame: Frame) -> Stage {
        match (self.is_at_end, frame.fin) {
            (false, _) => Stage::Payload(frame),
            (true, true) => Stage::MessageDelivered,
            (true, false) => Stage::Header,
        }
    }
}

/// What a frame is guilty of, and how many bytes before its end that was seen.
pub(super) struct Wrong {
    pub(super) violation: Violation,
    pub(super) distance: u64,
}

/// Takes the next chunk of a frame that is not compressed.
pub(super) fn pull<'i>(
    frame: &mut Frame,
    streamed: &mut Streamed,
    input: &mut &'i mut [u8],
) -> Result<Look<'i>, Wrong> {
    let remaining = frame.remaining;
    let wrong = |error: InvalidUtf8, distance: u64| Wrong { violation: error.into(), distance };
    let size = arrived(frame, input).min(streamed.room());
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

/// Decompresses the next chunk of what has arrived of a frame.
pub(super) fn pull_inflated<'i>(
    frame: &mut Frame,
    streamed: &mut Streamed,
    inflating: &mut Inflating,
    input: &mut &'i mut [u8],
    workspace: &Workspace,
) -> Result<Look<'i>, Wrong> {
    let limits = workspace.limits();
    let arrived = arrived(frame, input);
    let distance = frame.remaining - arrived as u64;
    let wrong = |violation: Violation| Wrong { violation, distance };
    if let Some(fresh) = input.get_mut(inflating.ready()..arrived).filter(|it| !it.is_empty()) {
        frame.unmask(fresh);
        inflating.arrive(fresh.len(), limits);
    }
    let ready = input.get(..arrived).unwrap_or_default();
    let (taken, flow) = inflating.pull(ready, streamed.room(), limits).map_err(wrong)?;
    advance(input, taken);
    frame.remaining -= taken as u64;
    let is_at_end = flow == Flow::Dry && frame.remaining == 0;
    let is_last = is_at_end && frame.fin;
    let pushed = streamed.push(inflating.chunk(), is_last);
    let pulled = match pushed.map_err(|error| wrong(error.into()))? {
        Some((Portion::Carried, place)) => Pulled::Chunk(Portion::Carried, place),
        Some((Portion::Pushed(part), place)) => {
            let kind = match &part {
                Message::Text(_) => Kind::Text,
                Message::Binary(_) => Kind::Binary,
            };
            Pulled::Inflated(kind, part.as_bytes().len(), place)
        }
        None if flow == Flow::Dry && !is_at_end => Pulled::Nothing,
        None => Pulled::Absorbed,
    };
    if flow == Flow::Dry {
        inflating.check().map_err(wrong)?;
    }
    if is_last {
        inflating.finish(streamed_max(limits)).map_err(wrong)?;
        streamed.finish().map_err(|error| wrong(error.into()))?;
    }
    Ok(Look { pulled, is_at_end })
}

/// Bytes of the frame's payload that lie in the input.
fn arrived(frame: &Frame, input: &[u8]) -> usize {
    usize::try_from(frame.remaining).unwrap_or(usize::MAX).min(input.len())
}
