//! The frame that most frames are: a message of its own, not large, which lies whole in the input.
//!
//! It is told by a few comparisons, and needs nothing that the general way looks at: no place to
//! gather, no extension, no fragments. So a burst of small messages costs a third less. Whatever is
//! not just so is left to the general way.

use super::Receiver;
use super::pulled::{Stage, advance};
use crate::frame::{Opcode, Role};
use crate::message::Kind;
use crate::{Workspace, mask};

/// The first byte of a message in one frame, with nothing reserved.
const TEXT: u8 = FIN | Opcode::Text as u8;
const BINARY: u8 = FIN | Opcode::Binary as u8;
const FIN: u8 = 0x80;

/// The bit of the second byte that says that there is a key.
const MASK: u8 = 0x80;

impl Receiver {
    /// Takes such a message from the input, unmasked. `None`: it is something else, or not whole,
    /// and nothing has been taken.
    #[inline]
    pub(super) fn pull_quick<'i>(
        &mut self,
        input: &mut &'i mut [u8],
        workspace: &mut Workspace,
    ) -> Option<(Kind, &'i mut [u8])> {
        let is_free = matches!(self.stage, Stage::Header) && self.header_size == 0;
        if !is_free || self.streams || self.assembler.is_active() || self.role != Role::Server {
            return None;
        }
        let &[first, second, a, b, c, d, ..] = &**input else { return None };
        let kind = match first {
            TEXT => Kind::Text,
            BINARY => Kind::Binary,
            _ => return None,
        };
        // Without a mask it is more than any length.
        let payload = match second ^ MASK {
            short @ 0..=125 => take(input, short.into(), 6, [a, b, c, d], workspace)?,
            126 => take_long(input, [a, b], workspace)?,
            _ => return None,
        };
        let header_size = if payload.len() <= 125 { 6 } else { 8 };
        self.offset = self.offset.wrapping_add((header_size + payload.len()) as u64);
        Some((kind, payload))
    }
}

/// Takes a payload whose length is said in two bytes.
#[inline(never)]
fn take_long<'i>(
    input: &mut &'i mut [u8],
    length: [u8; 2],
    workspace: &mut Workspace,
) -> Option<&'i mut [u8]> {
    let length = u16::from_be_bytes(length);
    let &[_, _, _, _, a, b, c, d, ..] = &**input else { return None };
    // In its shortest form only.
    if length < 126 { None } else { take(input, length.into(), 8, [a, b, c, d], workspace) }
}

/// Takes a payload that begins after `start` bytes.
#[inline]
fn take<'i>(
    input: &mut &'i mut [u8],
    length: usize,
    start: usize,
    key: [u8; 4],
    workspace: &mut Workspace,
) -> Option<&'i mut [u8]> {
    if length > input.len() - start || length > workspace.quick_max() {
        return None;
    }
    let payload = advance(input, start + length).get_mut(start..)?;
    mask::apply(payload, key, 0);
    workspace.traffic.frames_received += 1;
    Some(payload)
}
