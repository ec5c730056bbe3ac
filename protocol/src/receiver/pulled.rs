//! What one look at the input gives, and where the next byte belongs.

use alloc::boxed::Box;

use crate::event::Message;
use crate::frame::Opcode;
use crate::frame::header::{CONTROL_SIZE_MAX, SIZE_MAX};
use crate::message::{Kind, Place, Portion};
use crate::utf8::InvalidUtf8;
use crate::{Violation, mask, utf8};

/// Where in the stream of frames the next byte belongs. What comes in pieces lies here, so that a
/// receiver between two frames has no room for it.
#[derive(Debug)]
pub(super) enum Stage {
    /// To a header.
    Header,
    /// To a header of which these bytes have arrived.
    HeaderBegun(Begun),
    /// To the payload of a frame.
    Payload(Frame),
    /// To a header, once the memory of the message handed over from `assembler` is given back.
    MessageDelivered,
    /// To the payload of a control frame that does not lie whole in one read.
    Control(Box<Control>),
    /// To a header, once the memory of this control frame, which has been handed over, is given
    /// back.
    ControlDelivered(Box<Control>),
    /// Nowhere: it is discarded.
    Over,
}

const _: () = assert!(size_of::<Stage>() == 16, "kept once per connection");

/// The start of a header: a byte less than the longest at most.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Begun {
    bytes: [u8; SIZE_MAX - 1],
    pub(super) size: u8,
}

impl Begun {
    /// Adds a byte, and gives all of them to `decode`, where it may tell something by them: each
    /// but the last of a masking key does not.
    #[inline]
    pub(super) fn push<T, E>(
        &mut self,
        byte: u8,
        decode: impl FnOnce(&[u8]) -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E> {
        let at = usize::from(self.size);
        if let Some(slot) = self.bytes.get_mut(at) {
            *slot = byte;
            self.size += 1;
            if self.is_within_key() {
                return Ok(None);
            }
            return decode(&self.bytes[..=at]);
        }
        // With the last byte of the longest header it is whole.
        let mut whole = [byte; SIZE_MAX];
        whole[..SIZE_MAX - 1].copy_from_slice(&self.bytes);
        decode(&whole)
    }

    /// Whether some bytes of the masking key have come, and not all.
    const fn is_within_key(&self) -> bool {
        let second = self.bytes[1];
        let length_end = match second & 0x7F {
            126 => 4,
            127 => 10,
            _ => 2,
        };
        let is_masked = second & 0x80 != 0;
        is_masked && length_end < self.size && self.size < length_end + 4
    }
}

/// A control frame that comes in pieces, unmasked as far as it has.
#[derive(Debug)]
pub(super) struct Control {
    frame: Frame,
    payload: [u8; CONTROL_SIZE_MAX],
    size: u8,
}

impl Control {
    /// Nothing of its payload has arrived.
    pub(super) const fn new(frame: Frame) -> Self {
        Self { frame, payload: [0; CONTROL_SIZE_MAX], size: 0 }
    }

    /// Takes what the input has of it. Its opcode, once it is whole.
    pub(super) fn pull(&mut self, input: &mut &mut [u8]) -> Option<Opcode> {
        let piece = advance(input, self.frame.arrived(input));
        self.frame.unmask(piece);
        self.frame.remaining -= piece.len() as u64;
        let at = usize::from(self.size);
        // The header said that there is room.
        if let Some(room) = self.payload.get_mut(at..at + piece.len()) {
            room.copy_from_slice(piece);
            self.size = u8::try_from(at + piece.len()).unwrap_or(0);
        }
        (self.frame.remaining == 0).then_some(self.frame.opcode)
    }

    /// What has arrived of it.
    pub(super) fn payload(&self) -> &[u8] {
        self.payload.get(..usize::from(self.size)).unwrap_or_default()
    }
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
    /// A message that lies whole in the input, and the key it is masked with.
    Whole(Kind, &'i mut [u8], Option<[u8; 4]>),
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

/// The content of a message that lies masked in `bytes`.
#[inline]
pub(super) fn message_masked(
    kind: Kind,
    bytes: &mut [u8],
    key: [u8; 4],
) -> Result<Message<'_>, InvalidUtf8> {
    Ok(match kind {
        Kind::Binary => {
            mask::apply(bytes, key, 0);
            Message::Binary(bytes)
        }
        Kind::Text => Message::Text(utf8::masked_text(bytes, key)?),
    })
}

/// Splits the first `size` bytes off, which must be there.
#[inline]
pub(super) fn advance<'i>(input: &mut &'i mut [u8], size: usize) -> &'i mut [u8] {
    let (taken, rest) = core::mem::take(input).split_at_mut(size);
    *input = rest;
    taken
}
