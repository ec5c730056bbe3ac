//! The frame that most frames are: a message of its own, not large, which lies whole in the input.
//!
//! It is told by a few comparisons, and needs nothing that the general way looks at: no place to
//! gather, no extension, no fragments. So messages of a few words cost half as much. Whatever is
//! not just so is left to the general way.

use super::Receiver;
use super::pulled::{Stage, advance};
use crate::event::Message;
use crate::frame::{Opcode, Role};
use crate::sender::Sender;
use crate::{Workspace, mask, utf8};

/// The first byte of a message in one frame, with nothing reserved.
const TEXT: u8 = FIN | Opcode::Text as u8;
const BINARY: u8 = FIN | Opcode::Binary as u8;
const FIN: u8 = 0x80;

/// The bit of the second byte that says that there is a key.
const MASK: u8 = 0x80;

/// Messages in a row, each in a frame of its own that lies whole in the input. Made by
/// [`Receiver::burst`].
#[derive(Debug)]
pub struct Burst<'r> {
    receiver: &'r mut Receiver,
}

impl Receiver {
    /// Begins to take messages the quick way, where nothing that has arrived stands in between:
    /// what [`Receiver::next`] does for one, without looking each time whether it may.
    ///
    /// `None`: something does, and [`Receiver::next`] is to be called.
    ///
    /// ```
    /// use ringwire_protocol::{Event, Limits, Receiver, Role, Sender, Workspace};
    ///
    /// let mut workspace = Workspace::new(Limits::default());
    /// let (mut receiver, mut sender) = (Receiver::new(Role::Server), Sender::new(Role::Server));
    /// // Twice "Hello", and a ping.
    /// let mut read = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58".repeat(2);
    /// read.extend_from_slice(b"\x89\x80\x37\xfa\x21\x3d");
    /// let (mut input, mut out, mut count) = (&mut read[..], Vec::new(), 0);
    /// loop {
    ///     if let Some(mut burst) = receiver.burst() {
    ///         while let Some(message) = burst.next(&mut input, &sender, &mut workspace) {
    ///             assert_eq!(message.as_text(), Some("Hello"));
    ///             count += 1;
    ///         }
    ///     }
    ///     // What the burst has left: the next event of any kind.
    ///     match receiver.next(&mut input, &mut sender, &mut workspace, &mut out) {
    ///         Some(event) => assert!(matches!(event, Event::Ping(b""))),
    ///         None => break,
    ///     }
    /// }
    /// assert_eq!((count, &out[..]), (2, &b"\x8a\x00"[..]));
    /// ```
    #[inline]
    pub const fn burst(&mut self) -> Option<Burst<'_>> {
        if matches!(self.stage, Stage::Header)
            && !self.streams
            && !self.assembler.is_active()
            && matches!(self.role, Role::Server)
        {
            Some(Burst { receiver: self })
        } else {
            None
        }
    }
}

impl Burst<'_> {
    /// Takes the next message from the input. `None`: what comes next is something else, or not
    /// whole, or not right, and nothing has been taken.
    #[inline(always)]
    pub fn next<'i>(
        &mut self,
        input: &mut &'i mut [u8],
        sender: &Sender,
        workspace: &mut Workspace,
    ) -> Option<Message<'i>> {
        let &[first, second, a, b, c, d, ..] = &**input else { return None };
        if !matches!(first, TEXT | BINARY) || !sender.reads() {
            return None;
        }
        // Without a mask it is more than any length.
        let length = usize::from(second ^ MASK);
        if length > mask::SHORT_MAX {
            return self.take_long(input, workspace);
        }
        if length > input.len() - 6 || length > workspace.quick_max() {
            return None;
        }
        let key = [a, b, c, d];
        let message = if first == TEXT {
            Message::Text(utf8::take_masked_short(input, 6, length, key)?)
        } else {
            let payload = advance(input, 6 + length).get_mut(6..)?;
            mask::apply_short(payload, key);
            Message::Binary(payload)
        };
        workspace.traffic.frames_received += 1;
        self.receiver.offset = self.receiver.offset.wrapping_add(6 + length as u64);
        Some(message)
    }

    /// Takes a message that is longer than a few words.
    #[inline(never)]
    fn take_long<'i>(
        &mut self,
        input: &mut &'i mut [u8],
        workspace: &mut Workspace,
    ) -> Option<Message<'i>> {
        let &[first, second, a, b, c, d, ..] = &**input else { return None };
        let (length, start, key) = match second ^ MASK {
            short @ ..=125 => (usize::from(short), 6, [a, b, c, d]),
            126 => {
                let &[_, _, _, _, e, f, g, h, ..] = &**input else { return None };
                (usize::from(u16::from_be_bytes([a, b])), 8, [e, f, g, h])
            }
            _ => return None,
        };
        // In its shortest form only.
        let is_minimal = (length < 126) == (start == 6);
        if !is_minimal || length > input.len() - start || length > workspace.quick_max() {
            return None;
        }
        let message = if first == TEXT {
            Message::Text(utf8::take_masked(input, start, length, key)?)
        } else {
            let payload = advance(input, start + length).get_mut(start..)?;
            mask::apply(payload, key, 0);
            Message::Binary(payload)
        };
        workspace.traffic.frames_received += 1;
        self.receiver.offset = self.receiver.offset.wrapping_add((start + length) as u64);
        Some(message)
    }
}
