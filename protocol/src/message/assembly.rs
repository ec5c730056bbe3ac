//! What has arrived of one message.

use crate::Violation;
use crate::event::Message;
use crate::frame::Opcode;
use crate::pieces::{Outlook, Pieces};
use crate::utf8::{Gather, InvalidUtf8};
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

/// A message that has begun.
#[derive(Debug)]
pub(crate) struct Assembly {
    content: Content,
    /// Frames of this message so far. `fragments <= limits.fragments_max`.
    pub(super) fragments: u32,
}

#[derive(Debug)]
enum Content {
    Text(Gather),
    Binary(Pieces),
}

impl Assembly {
    /// A message of which nothing has arrived, in memory that an earlier one had.
    pub(crate) fn new(kind: Kind, buffer: Vec<u8>) -> Self {
        let content = match kind {
            Kind::Text => Content::Text(Gather::new(buffer)),
            Kind::Binary => Content::Binary(Pieces::new(buffer)),
        };
        Self { content, fragments: 0 }
    }

    /// Bytes put together so far.
    pub(super) const fn size(&self) -> usize {
        match &self.content {
            Content::Text(text) => text.len(),
            Content::Binary(bytes) => bytes.len(),
        }
    }

    /// Adds a piece; text is validated as it comes.
    pub(super) fn push(&mut self, piece: &[u8], outlook: Outlook) -> Result<(), InvalidUtf8> {
        match &mut self.content {
            Content::Text(text) => text.push(piece, outlook)?,
            Content::Binary(bytes) => bytes.push(piece, outlook),
        }
        Ok(())
    }

    /// The whole message.
    pub(super) fn finish(&mut self) -> Result<Message<'_>, Violation> {
        match &mut self.content {
            Content::Text(text) => match text.finish() {
                Ok(text) => Ok(Message::Text(text)),
                Err(_) => Err(Violation::InvalidUtf8),
            },
            Content::Binary(bytes) => Ok(Message::Binary(bytes.join())),
        }
    }

    /// The memory, for the next message.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        match self.content {
            Content::Text(text) => text.into_buffer(),
            Content::Binary(bytes) => bytes.into_buffer(),
        }
    }
}
