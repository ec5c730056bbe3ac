//! Puts together a message that comes in more than one piece: several frames, or one frame in
//! several reads. A message that lies whole in the received bytes never comes here, and of one that
//! is handed over in chunks only the place in it does.

use super::assembly::Assembly;
use super::kind::Kind;
use super::streamed::Streamed;
use crate::event::Message;
use crate::frame::Opcode;
use crate::pieces::Outlook;
use crate::shelf::Shelf;
use crate::utf8::InvalidUtf8;
use crate::{Limits, Violation, Workspace};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// The message that is arriving.
///
/// `begin` is called for the header of each of its frames, `push` for each piece of payload, and
/// `finish` once the last frame is whole; `reset` makes ready for the next message.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    /// `None` between messages, when it holds no memory but this.
    assembly: Option<Box<Assembly>>,
}

impl Assembler {
    /// No message has begun.
    pub(crate) const fn new() -> Self {
        Self { assembly: None }
    }

    /// Whether a message has begun and not ended.
    pub(crate) const fn is_active(&self) -> bool {
        self.assembly.is_some()
    }

    /// Bytes that have arrived so far.
    pub(crate) fn size(&self) -> u64 {
        self.assembly.as_ref().map_or(0, |assembly| assembly.size())
    }

    /// Bytes that it has allocated.
    pub(crate) fn allocated(&self) -> usize {
        let assembly = self.assembly.as_ref();
        assembly.map_or(0, |assembly| size_of::<Assembly>() + assembly.capacity())
    }

    /// The message, if it is handed over as it arrives.
    pub(crate) fn streamed(&mut self) -> Option<&mut Streamed> {
        self.assembly.as_mut()?.as_streamed()
    }

    /// Checks the header of a data frame against what has come before it and against the limits.
    /// Nothing is kept and nothing reserved: a length that is only declared costs nothing.
    /// `streams`: a message that begins is handed over as it arrives.
    #[inline]
    pub(crate) fn check(
        &self,
        opcode: Opcode,
        length: u64,
        compressed: bool,
        streams: bool,
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
        let streams = self.assembly.as_ref().map_or(streams, |assembly| assembly.is_streamed());
        let (frame_size_max, message_size_max) = match streams {
            true => (u64::MAX, limits.streamed_size_max),
            false => (limits.frame_size_max as u64, limits.message_size_max as u64),
        };
        if length > frame_size_max {
            return Err(Violation::FrameTooBig);
        }
        let Some(assembly) = &self.assembly else {
            let fits = length <= message_size_max;
            return if fits { Ok(()) } else { Err(Violation::MessageTooBig) };
        };
        // What a compressed frame adds shows only when it is decompressed, and is bounded there.
        let size = if compressed { 0 } else { assembly.size() };
        if length > message_size_max.saturating_sub(size) {
            return Err(Violation::MessageTooBig);
        }
        if assembly.fragments >= limits.fragments_max {
            return Err(Violation::TooManyFragments);
        }
        Ok(())
    }

    /// Opens the message, if this is its first frame, and counts the frame.
    pub(crate) fn begin(&mut self, kind: Option<Kind>, streams: bool, workspace: &mut Workspace) {
        if let Some(kind) = kind {
            self.assembly = Some(workspace.begin(kind, streams));
        }
        if let Some(assembly) = &mut self.assembly {
            assembly.fragments += 1;
        }
    }

    /// Adds a piece of unmasked payload; `outlook` is what may follow. An error's offset is one in
    /// `piece`.
    pub(crate) fn push(
        &mut self,
        piece: &[u8],
        outlook: Outlook,
        shelf: &mut Shelf,
    ) -> Result<(), InvalidUtf8> {
        match &mut self.assembly {
            Some(assembly) => assembly.push(piece, outlook, shelf),
            None => Ok(()),
        }
    }

    /// Whether what arrives is put together here, as it is.
    pub(crate) fn gathers(&self) -> bool {
        self.assembly.as_ref().is_some_and(|assembly| !assembly.is_streamed())
    }

    /// The buffer to append more bytes to, of which the frame has `rest` to come. Until it is
    /// restored nothing is pushed.
    pub(crate) fn lend(&mut self, rest: usize, shelf: &mut Shelf) -> Vec<u8> {
        self.assembly.as_mut().map_or_else(Vec::new, |assembly| assembly.lend(rest, shelf))
    }

    /// Takes back what [`lend`](Self::lend) gave, with `size` masked bytes more. Gives it away
    /// again where the message is no more.
    pub(crate) fn restore(&mut self, buffer: Vec<u8>, size: usize) -> Option<Vec<u8>> {
        match &mut self.assembly {
            Some(assembly) => {
                assembly.restore(buffer, size);
                None
            }
            None => Some(buffer),
        }
    }

    /// Bytes that have been appended and not been [accepted](Self::accept).
    #[inline]
    pub(crate) fn appended_size(&self) -> usize {
        self.assembly.as_ref().map_or(0, |assembly| assembly.appended)
    }

    /// These bytes, to be unmasked.
    pub(crate) fn appended(&mut self) -> &mut [u8] {
        self.assembly.as_mut().map_or(&mut [], |assembly| assembly.appended())
    }

    /// Makes these bytes a part of the message. An error's offset is one in them.
    pub(crate) fn accept(&mut self) -> Result<(), InvalidUtf8> {
        self.assembly.as_mut().map_or(Ok(()), |assembly| assembly.accept())
    }

    /// The whole message: it must be active, and all its frames pushed.
    pub(crate) fn finish(&mut self) -> Result<Message<'_>, Violation> {
        match &mut self.assembly {
            Some(assembly) => assembly.finish(),
            None => Ok(Message::Binary(&mut [])),
        }
    }

    /// Gives the whole message away, behind some room, where it was put together here.
    pub(crate) fn take(&mut self, shelf: &mut Shelf) -> Option<Vec<u8>> {
        let assembly = self.assembly.as_mut().filter(|assembly| !assembly.is_streamed());
        assembly.map(|assembly| assembly.take(shelf))
    }

    /// The character of a streamed message that came in more than one piece.
    pub(crate) fn carried(&mut self) -> Message<'_> {
        self.streamed().map_or(Message::Binary(&mut []), Streamed::carried)
    }

    /// Forgets the message and gives its memory back.
    pub(crate) fn reset(&mut self, workspace: &mut Workspace) {
        if let Some(assembly) = self.assembly.take() {
            workspace.end(assembly);
        }
    }
}
