//! What has arrived of one message.

use super::kind::Kind;
use super::streamed::Streamed;
use crate::Violation;
use crate::event::Message;
use crate::pieces::{Outlook, Pieces};
use crate::shelf::Shelf;
use crate::utf8::{Gather, InvalidUtf8};
use alloc::vec::Vec;

/// A message that has begun.
#[derive(Debug)]
pub(crate) struct Assembly {
    content: Content,
    /// Frames of this message so far. `fragments <= limits.fragments_max`.
    pub(super) fragments: u32,
    /// Bytes at the end of the content that have been appended and are still masked.
    pub(super) appended: usize,
}

#[derive(Debug)]
enum Content {
    Text(Gather),
    Binary(Pieces),
    /// Nothing: it is handed over as it arrives.
    Streamed(Streamed),
}

impl Assembly {
    /// A message of which nothing has arrived, in memory that an earlier one had.
    pub(crate) fn new(kind: Kind, buffer: Vec<u8>) -> Self {
        let content = match kind {
            Kind::Text => Content::Text(Gather::new(buffer)),
            Kind::Binary => Content::Binary(Pieces::new(buffer)),
        };
        Self { content, fragments: 0, appended: 0 }
    }

    /// A message of which nothing is kept.
    pub(crate) fn streamed(kind: Kind) -> Self {
        Self { content: Content::Streamed(Streamed::new(kind)), fragments: 0, appended: 0 }
    }

    /// Bytes that have arrived so far.
    pub(super) const fn size(&self) -> u64 {
        match &self.content {
            Content::Text(text) => text.len() as u64,
            Content::Binary(bytes) => bytes.len() as u64,
            Content::Streamed(streamed) => streamed.size(),
        }
    }

    /// Whether nothing of it is kept.
    pub(super) const fn is_streamed(&self) -> bool {
        matches!(self.content, Content::Streamed(_))
    }

    /// The message, if nothing of it is kept.
    pub(super) const fn as_streamed(&mut self) -> Option<&mut Streamed> {
        match &mut self.content {
            Content::Streamed(streamed) => Some(streamed),
            Content::Text(_) | Content::Binary(_) => None,
        }
    }

    /// Adds a piece; text is validated as it comes.
    pub(super) fn push(
        &mut self,
        piece: &[u8],
        outlook: Outlook,
        shelf: &mut Shelf,
    ) -> Result<(), InvalidUtf8> {
        match &mut self.content {
            Content::Text(text) => text.push(piece, outlook, shelf)?,
            Content::Binary(bytes) => bytes.push(piece, outlook, shelf),
            // Its pieces are handed over.
            Content::Streamed(_) => {}
        }
        Ok(())
    }

    /// The buffer to append more bytes to, of which the frame has `rest` to come.
    pub(super) fn lend(&mut self, rest: usize, shelf: &mut Shelf) -> Vec<u8> {
        match &mut self.content {
            Content::Text(text) => text.lend(rest, shelf),
            Content::Binary(bytes) => bytes.lend(rest, shelf),
            Content::Streamed(_) => Vec::new(),
        }
    }

    /// Takes back what [`lend`](Self::lend) gave, with `size` bytes more.
    pub(super) fn restore(&mut self, buffer: Vec<u8>, size: usize) {
        match &mut self.content {
            Content::Text(text) => text.restore(buffer),
            Content::Binary(bytes) => bytes.restore(buffer),
            Content::Streamed(_) => {}
        }
        self.appended = size;
    }

    /// What has been appended and not been [accepted](Self::accept), to be unmasked.
    pub(super) fn appended(&mut self) -> &mut [u8] {
        match &mut self.content {
            Content::Text(text) => text.appended(self.appended),
            Content::Binary(bytes) => bytes.last_mut(self.appended),
            Content::Streamed(_) => &mut [],
        }
    }

    /// Makes what has been appended a part of the message; text is validated.
    pub(super) fn accept(&mut self) -> Result<(), InvalidUtf8> {
        let size = core::mem::take(&mut self.appended);
        match &mut self.content {
            Content::Text(text) => text.accept(size),
            Content::Binary(_) | Content::Streamed(_) => Ok(()),
        }
    }

    /// The whole message.
    pub(super) fn finish(&mut self) -> Result<Message<'_>, Violation> {
        match &mut self.content {
            Content::Text(text) => match text.finish() {
                Ok(text) => Ok(Message::Text(text)),
                Err(_) => Err(Violation::InvalidUtf8),
            },
            Content::Binary(bytes) => Ok(Message::Binary(bytes.join())),
            Content::Streamed(streamed) => Ok(streamed.carried()),
        }
    }

    /// Gives the whole message away, behind some room. None of it is left.
    pub(super) fn take(&mut self, shelf: &mut Shelf) -> Vec<u8> {
        match &mut self.content {
            Content::Text(text) => text.take(shelf),
            Content::Binary(bytes) => bytes.take(shelf),
            Content::Streamed(_) => Vec::new(),
        }
    }

    /// Bytes that it has allocated.
    pub(super) fn capacity(&self) -> usize {
        match &self.content {
            Content::Text(text) => text.capacity(),
            Content::Binary(bytes) => bytes.capacity(),
            Content::Streamed(_) => 0,
        }
    }

    /// The memory, for the next message.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        match self.content {
            Content::Text(text) => text.into_buffer(),
            Content::Binary(bytes) => bytes.into_buffer(),
            Content::Streamed(_) => Vec::new(),
        }
    }
}
