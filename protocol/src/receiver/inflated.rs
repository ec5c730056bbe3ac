//! How a compressed message is decompressed: into chunks that are handed over, or into a whole.
//!
//! ```text
//!  input  ├──── this frame's, unmasked: `ready` ────┤├─ masked ─┤├─ the next frame ─┤
//!         taken as far as what comes out has room; the rest waits where it lies
//! ```
//!
//! Either way one call takes only so much time: a few bytes can become very many. A frame is at its
//! end when all its bytes have been taken and all that they hold has come out.

use super::pulled::{Frame, Look, Pulled, Wrong, advance};
use crate::deflate::{Decompressor, Flow, Inflating, streamed_max};
use crate::event::Message;
use crate::message::{Assembler, Kind, Portion, Streamed};
use crate::pieces::Outlook;
use crate::shelf::Shelf;
use crate::{Limits, Violation};

/// Bytes that are decompressed into a whole message before somebody else may be served: some 20
/// microseconds of work.
const STEP_SIZE: usize = Decompressor::CHUNK_SIZE;

/// Decompresses the next chunk of what has arrived of a frame.
pub(super) fn pull_chunk<'i>(
    frame: &mut Frame,
    streamed: &mut Streamed,
    inflating: &mut Inflating,
    input: &mut &'i mut [u8],
    limits: &Limits,
) -> Result<Look<'i>, Wrong> {
    let size_max = streamed_max(limits);
    let distance = receive(frame, inflating, input, size_max);
    let wrong = |violation: Violation| Wrong { violation, distance };
    let flow = take(frame, inflating, input, streamed.room(), size_max).map_err(wrong)?;
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
        inflating.finish(size_max).map_err(wrong)?;
        streamed.finish().map_err(|error| wrong(error.into()))?;
    }
    Ok(Look { pulled, is_at_end })
}

/// Decompresses into the message what has arrived of a frame, or the next of it.
pub(super) fn gather<'i>(
    frame: &mut Frame,
    assembler: &mut Assembler,
    inflating: &mut Inflating,
    input: &mut &'i mut [u8],
    limits: &Limits,
) -> Result<Look<'i>, Wrong> {
    let size_max = limits.message_size_max;
    let distance = receive(frame, inflating, input, size_max);
    let wrong = |violation: Violation| Wrong { violation, distance };
    let mut step = 0;
    loop {
        let room = Decompressor::CHUNK_SIZE;
        let flow = take(frame, inflating, input, room, size_max).map_err(wrong)?;
        let chunk = inflating.chunk();
        if !chunk.is_empty() {
            let size = usize::try_from(assembler.size()).unwrap_or(usize::MAX);
            let rest = size_max.saturating_sub(size.saturating_add(chunk.len()));
            let pushed = assembler.push(chunk, Outlook::AtMost(rest), &mut Shelf::new());
            pushed.map_err(|error| wrong(error.into()))?;
        }
        if flow == Flow::Dry {
            break;
        }
        step += chunk.len();
        if step >= STEP_SIZE {
            return Ok(Look { pulled: Pulled::Inflating(step), is_at_end: false });
        }
    }
    inflating.check().map_err(wrong)?;
    let is_at_end = frame.remaining == 0;
    let pulled = match (is_at_end, frame.fin) {
        (false, _) => Pulled::Nothing,
        (true, false) => Pulled::Absorbed,
        (true, true) => {
            inflating.finish(size_max).map_err(wrong)?;
            Pulled::Gathered
        }
    };
    Ok(Look { pulled, is_at_end })
}

/// Unmasks what has arrived since this was last looked at. Says how far from the end of the frame
/// all that has arrived ends.
fn receive(
    frame: &mut Frame,
    inflating: &mut Inflating,
    input: &mut &mut [u8],
    size_max: usize,
) -> u64 {
    let arrived = frame.arrived(input);
    if let Some(fresh) = input.get_mut(inflating.ready()..arrived).filter(|it| !it.is_empty()) {
        frame.unmask(fresh);
        inflating.arrive(fresh.len(), size_max);
    }
    frame.remaining - arrived as u64
}

/// Decompresses at most `room` bytes, and takes what that needs of the input.
fn take(
    frame: &mut Frame,
    inflating: &mut Inflating,
    input: &mut &mut [u8],
    room: usize,
    size_max: usize,
) -> Result<Flow, Violation> {
    let ready = input.get(..frame.arrived(input)).unwrap_or_default();
    let (taken, flow) = inflating.pull(ready, room, size_max)?;
    advance(input, taken);
    frame.remaining -= taken as u64;
    Ok(flow)
}
