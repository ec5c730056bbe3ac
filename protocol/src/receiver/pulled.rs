//! What one look at the input gives, and where the next byte belongs.

use crate::event::Message;
use crate::frame::Opcode;
use crate::message::{Kind, Place, Portion};
use crate::utf8::InvalidUtf8;
use crate::{Violation, mask, utf8};

/// Where in the stream of frames the next byte belongs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    /// To a header.
    Header,
    /// To the payload of a frame.
    Payload(Frame),
    /// To a header, once the memory of the message handed over from `assembler` is given back.
    MessageDelivered,
    /// To a header, once the memory of the control frame handed over from `control` is given back.
    ControlDelivered,
    /// Nowhere: it is discarded.
    Over,
}

/// The frame whose payload is arriving.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// Bytes of payload that have not been taken.
    pub(super) remaining: u64,
    pub(super) masking_key: Option<[u8; 4]>,
    /// Bytes of payload that have been unmasked, modulo four.
    pub(super) phase: u8,
    pub(super) fin: bool,
    pub(super) opcode: Opcode,
}

impl Frame {
    /// Unmasks the next piece of the payload.
    pub(super) fn unmask(&mut self, piece: &mut [u8]) {
        if let Some(key) = self.masking_key {
            mask::apply(piece, key, usize::from(self.phase));
        }
        let phase = (usize::from(self.phase) + piece.len()) & 3;
        self.phase = u8::try_from(phase).unwrap_or(0);
    }

    /// Bytes of the payload that lie in the input.
    pub(super) fn arrived(&self, input: &[u8]) -> usize {
        usize::try_from(self.remaining).unwrap_or(usize::MAX).min(input.len())
    }
}

/// What one look at the input gave. It does not borrow the receiver.
pub(super) enum Pulled<'i> {
    /// The input has been used up.
    Nothing,
    /// A frame or a piece of one went into the assembler; there is more to look at.
    Absorbed,
    /// A message that lies whole in the input, unmasked.
    Whole(Kind, &'i mut [u8]),
    /// So many bytes of the assembler's message have been decompressed, and it has more.
    Inflating(usize),
    /// The assembler's message is whole.
    Gathered,
    /// A chunk that lies in the input or is carried.
    Chunk(Portion<'i>, Place),
    /// A chunk of so many bytes that has been decompressed.
    Inflated(Kind, usize, Place),
    /// A control frame that lies whole in the input, unmasked.
    Control(Opcode, &'i mut [u8]),
    /// The control frame that came in pieces is whole.
    ControlGathered(Opcode),
}

/// One look at the payload of a data frame.
pub(super) struct Look<'i> {
    pub(super) pulled: Pulled<'i>,
    /// All that the frame holds has been used.
    pub(super) is_at_end: bool,
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

/// The content of a message that lies in `bytes`.
#[inline]
pub(super) fn message(kind: Kind, bytes: &mut [u8]) -> Result<Message<'_>, InvalidUtf8> {
    Ok(match kind {
        Kind::Binary => Message::Binary(bytes),
        Kind::Text => Message::Text(utf8::text(bytes)?),
    })
}

/// Splits the first `size` bytes off, which must be there.
#[inline]
pub(super) fn advance<'i>(input: &mut &'i mut [u8], size: usize) -> &'i mut [u8] {
    let (taken, rest) = core::mem::take(input).split_at_mut(size);
    *input = rest;
    taken
}
