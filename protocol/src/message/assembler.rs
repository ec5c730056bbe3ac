//! Puts together a message that comes in more than one piece: several frames, or one frame in
//! several reads. A message that lies whole in the received bytes never comes here.

use crate::event::Message;
use crate::frame::Opcode;
use crate::utf8::Gather;
use crate::{Limits, Violation, Workspace};
use alloc::vec::Vec;

/// The two kinds of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Binary,
}

impl Kind {
    pub(crate) const fn opcode(self) -> Opcode {
        match self {
            Self::Text => Opcode::Text,
            Self::Binary => Opcode::Binary,
        }
    }
}

/// The message that is arriving.
///
/// `begin` is called for the header of each of its frames, `push` for each piece of payload, and
/// `finish` once the last frame is whole; `reset` makes ready for the next message.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    gathered: Gathered,
    /// Frames of this message so far. `fragments <= limits.fragments_max`.
    fragments: u32,
}

/// What has been put together. `Idle` between messages: it holds no memory then.
#[derive(Debug, Default)]
enum Gathered {
    #[default]
    Idle,
    Text(Gather),
    Binary(Vec<u8>),
}

impl Assembler {
    /// No message has begun.
    pub(crate) const fn new() -> Self {
        Self { gathered: Gathered::Idle, fragments: 0 }
    }

    /// Whether a message has begun and not ended.
    pub(crate) const fn is_active(&self) -> bool {
        !matches!(self.gathered, Gathered::Idle)
    }

    /// Bytes put together so far.
    pub(crate) fn size(&self) -> usize {
        match &self.gathered {
            Gathered::Idle => 0,
            Gathered::Text(text) => text.len(),
            Gathered::Binary(bytes) => bytes.len(),
        }
    }

    /// Checks the header of a data frame against what has come before it and against the limits.
    /// Nothing is kept and nothing reserved: a length that is only declared costs nothing.
    #[inline]
    pub(crate) fn check(
        &self,
        opcode: Opcode,
        length: u64,
        compressed: bool,
        limits: &Limits,
    ) -> Result<(), Violation> {
        //= RFC 6455 5.4: The fragments of one message MUST NOT be interleaved between the
        //= fragments of another message unless an extension has been negotiated that can interpret
        //= the interleaving.
        match (opcode == Opcode::Continuation, self.is_active()) {
            (true, true) | (false, false) => {}
            (true, false) => return Err(Violation::ContinuationUnexpected),
            (false, true) => return Err(Violation::ContinuationExpected),
        }
        let Ok(length) = usize::try_from(length) else { return Err(Violation::FrameTooBig) };
        if length > limits.frame_size_max {
            return Err(Violation::FrameTooBig);
        }
        // `size() <= message_size_max` holds before, so the difference cannot wrap.
        // What a compressed frame adds shows only when it is decompressed, and is bounded there.
        let size = if compressed { 0 } else { self.size() };
        if length > limits.message_size_max - size {
            return Err(Violation::MessageTooBig);
        }
        if self.fragments >= limits.fragments_max {
            return Err(Violation::TooManyFragments);
        }
        Ok(())
    }

    /// Opens the message, if this is its first frame, and counts the frame.
    pub(crate) fn begin(&mut self, kind: Option<Kind>, workspace: &mut Workspace) {
        match kind {
            Some(Kind::Text) => self.gathered = Gathered::Text(Gather::new(workspace.take())),
            Some(Kind::Binary) => self.gathered = Gathered::Binary(workspace.take()),
            None => debug_assert!(self.is_active()),
        }
        self.fragments += 1;
    }

    /// Adds a piece of unmasked payload. `rest` bytes of the same frame are still to come.
    pub(crate) fn push(&mut self, piece: &[u8], rest: usize) -> Result<(), Violation> {
        match &mut self.gathered {
            Gathered::Idle => debug_assert!(piece.is_empty()),
            Gathered::Text(text) => {
                if text.room() < piece.len() {
                    text.reserve(growth(text.len(), piece.len(), rest));
                }
                text.push(piece).map_err(|_| Violation::InvalidUtf8)?;
            }
            Gathered::Binary(bytes) => {
                if bytes.capacity() - bytes.len() < piece.len() {
                    bytes.reserve_exact(growth(bytes.len(), piece.len(), rest));
                }
                bytes.extend_from_slice(piece);
            }
        }
        Ok(())
    }

    /// The whole message: it must be active, and all its frames pushed.
    pub(crate) fn finish(&mut self) -> Result<Message<'_>, Violation> {
        match &mut self.gathered {
            Gathered::Idle => Ok(Message::Binary(&mut [])),
            Gathered::Text(text) => match text.finish() {
                Ok(text) => Ok(Message::Text(text)),
                Err(_) => Err(Violation::InvalidUtf8),
            },
            Gathered::Binary(bytes) => Ok(Message::Binary(bytes)),
        }
    }

    /// Forgets the message and gives its memory back.
    pub(crate) fn reset(&mut self, workspace: &mut Workspace) {
        match core::mem::take(self).gathered {
            Gathered::Idle => {}
            Gathered::Text(text) => workspace.give(text.into_buffer()),
            Gathered::Binary(bytes) => workspace.give(bytes),
        }
    }
}

/// How many bytes to make room for, so that `piece` fits: as many again as have arrived, which
/// keeps both the copying and the memory in proportion to the bytes received, but no more than the
/// frame has left, since most messages are one frame.
fn growth(len: usize, piece: usize, rest: usize) -> usize {
    piece + rest.min(len + piece)
}
