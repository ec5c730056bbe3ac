//! A large frame that is received where its message is put together.
//!
//! ```text
//!   lend ──▶ the caller receives behind what is there ──▶ restore ──▶ next: unmasked in place
//! ```
//!
//! So most of it is not copied, which for 1 MiB takes as long as to receive it.

use alloc::vec::Vec;

use super::Receiver;
use super::pulled::{Frame, Pulled, Stage};
use crate::frame::Opcode;
use crate::frame::header::{Header, SIZE_MAX};
use crate::pieces::HEADROOM;
use crate::{Violation, Workspace};

impl Receiver {
    /// Bytes that the present frame lacks, where they could be received into the message's own
    /// buffer: its payload is arriving, and it is neither compressed nor handed over in chunks.
    /// Else 0.
    #[must_use]
    pub fn lacks(&self) -> usize {
        let inflates = self.inflating.as_ref().is_some_and(|it| it.is_active());
        match self.stage {
            Stage::Payload(frame) if self.assembler.gathers() && !inflates => {
                let remaining = usize::try_from(frame.remaining).unwrap_or(usize::MAX);
                remaining.saturating_sub(self.assembler.appended_size())
            }
            _ => 0,
        }
    }

    /// Lends the message's buffer, for some of the bytes that the frame [lacks](Self::lacks) to be
    /// appended as they arrive, masked: at most as many as it has room for, and as it lacks. It has
    /// room in proportion to what has arrived. Until [`Receiver::restore`] there is no other input.
    ///
    /// ```
    /// use ringwire_protocol::frame::Role;
    /// use ringwire_protocol::{Event, Limits, Receiver, Sender, Workspace};
    ///
    /// let mut workspace = Workspace::new(Limits::default());
    /// let (mut receiver, mut sender) = (Receiver::new(Role::Client), Sender::new(Role::Client));
    /// let mut out = Vec::new();
    /// let mut input = &mut [0x82, 4, 1, 2][..];
    /// assert!(receiver.next(&mut input, &mut sender, &mut workspace, &mut out).is_none());
    /// assert_eq!(receiver.lacks(), 2);
    ///
    /// let mut buffer = receiver.lend(&mut workspace);
    /// buffer.extend_from_slice(&[3, 4]);
    /// receiver.restore(buffer, 2, &mut workspace);
    /// let event = receiver.next(&mut &mut [][..], &mut sender, &mut workspace, &mut out);
    /// assert!(matches!(event, Some(Event::Message(it)) if it.as_bytes() == [1, 2, 3, 4]));
    /// ```
    #[must_use]
    pub fn lend(&mut self, workspace: &mut Workspace) -> Vec<u8> {
        let lacks = self.lacks();
        self.assembler.lend(lacks, workspace.shelf())
    }

    /// Takes back what [`Receiver::lend`] gave, with `size` bytes appended. What they are is told
    /// by the next events, which need no input.
    pub fn restore(&mut self, buffer: Vec<u8>, size: usize, workspace: &mut Workspace) {
        if let Some(buffer) = self.assembler.restore(buffer, size) {
            workspace.give(buffer);
        }
    }

    /// Gives the message away that has been handed over last, as the frame that a server sends it
    /// back in, uncompressed: a buffer, and where in it the frame begins. `None` where the message
    /// was not put together here but lay in the input, or has been given away.
    ///
    /// ```
    /// use ringwire_protocol::frame::Role;
    /// use ringwire_protocol::{Event, Limits, Receiver, Sender, Workspace};
    ///
    /// let mut workspace = Workspace::new(Limits::default());
    /// let (mut receiver, mut sender) = (Receiver::new(Role::Client), Sender::new(Role::Client));
    /// for read in [&[0x82, 4, 1, 2][..], &[3, 4]] {
    ///     let mut read = read.to_vec();
    ///     let mut input = &mut read[..];
    ///     let _ = receiver.next(&mut input, &mut sender, &mut workspace, &mut Vec::new());
    /// }
    /// let frame = receiver.take_frame(false, &mut workspace);
    /// assert!(frame.is_some_and(|(bytes, from)| bytes[from..] == [0x82, 4, 1, 2, 3, 4]));
    /// ```
    #[must_use]
    pub fn take_frame(
        &mut self,
        is_text: bool,
        workspace: &mut Workspace,
    ) -> Option<(Vec<u8>, usize)> {
        if !matches!(self.stage, Stage::MessageDelivered) {
            return None;
        }
        let mut buffer = self.assembler.take(workspace.shelf())?;
        let length = buffer.len().saturating_sub(HEADROOM) as u64;
        let opcode = if is_text { Opcode::Text } else { Opcode::Binary };
        let mut head = Vec::with_capacity(SIZE_MAX);
        let compressed = false;
        Header { fin: true, compressed, opcode, masking_key: None, length }.encode(&mut head);
        let from = HEADROOM - head.len();
        if let Some(room) = buffer.get_mut(from..HEADROOM) {
            room.copy_from_slice(&head);
        }
        self.assembler.reset(workspace);
        workspace.traffic.frames_sent += 1;
        Some((buffer, from))
    }

    /// Takes the piece of payload that has been appended.
    pub(super) fn pull_filled<'i>(
        &mut self,
        mut frame: Frame,
        remaining: usize,
    ) -> Result<Pulled<'i>, Violation> {
        let piece = self.assembler.appended();
        let rest = remaining.saturating_sub(piece.len());
        frame.unmask(piece);
        if let Err(error) = self.assembler.accept() {
            return Err(self.violation_before_end(error.into(), remaining - error.offset));
        }
        // There may be input behind it.
        Ok(match self.pulled(frame, rest) {
            Pulled::Nothing => Pulled::Absorbed,
            pulled => pulled,
        })
    }
}
