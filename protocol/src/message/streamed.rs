//! A message that is handed over in chunks while it arrives.

use super::kind::Kind;
use crate::event::Message;
use crate::utf8::{Chunked, InvalidUtf8};

/// What must be known of a message of which nothing is kept.
#[derive(Debug)]
pub(crate) struct Streamed {
    content: Content,
    /// Bytes that have been pushed.
    size: u64,
    /// Whether a chunk has been handed over.
    has_begun: bool,
}

#[derive(Debug)]
enum Content {
    Text(Chunked),
    Binary,
}

/// Where the bytes of a chunk lie.
#[derive(Debug)]
pub(crate) enum Portion<'p> {
    /// In the piece that was pushed.
    Pushed(Message<'p>),
    /// In [`Streamed::carried`]: a character that came in more than one piece.
    Carried,
}

/// Where in its message a chunk stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) is_first: bool,
    pub(crate) is_last: bool,
}

impl Streamed {
    pub(super) fn new(kind: Kind) -> Self {
        let content = match kind {
            Kind::Text => Content::Text(Chunked::default()),
            Kind::Binary => Content::Binary,
        };
        Self { content, size: 0, has_begun: false }
    }

    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// Bytes that the next piece may have, at least one: no more than a begun character lacks.
    pub(crate) fn room(&self) -> usize {
        match &self.content {
            Content::Text(text) if text.lacking() > 0 => text.lacking(),
            Content::Text(_) | Content::Binary => usize::MAX,
        }
    }

    /// Takes a piece of unmasked payload, of at most [`room`](Self::room) bytes; `is_last`: the
    /// message ends with it, and [`finish`](Self::finish) comes next. `None`: there is nothing to
    /// hand over yet. An error's offset is one in `piece`.
    pub(crate) fn push<'p>(
        &mut self,
        piece: &'p mut [u8],
        is_last: bool,
    ) -> Result<Option<(Portion<'p>, Place)>, InvalidUtf8> {
        self.size = self.size.saturating_add(piece.len() as u64);
        let portion = match &mut self.content {
            Content::Binary => Portion::Pushed(Message::Binary(piece)),
            Content::Text(text) => {
                let had_begun = text.lacking() > 0;
                let pushed = text.push(piece)?;
                if had_begun && text.is_complete() {
                    Portion::Carried
                } else {
                    Portion::Pushed(Message::Text(pushed))
                }
            }
        };
        let is_empty =
            matches!(&portion, Portion::Pushed(message) if message.as_bytes().is_empty());
        if is_empty && !is_last {
            return Ok(None);
        }
        let is_first = !core::mem::replace(&mut self.has_begun, true);
        Ok(Some((portion, Place { is_first, is_last })))
    }

    /// Ends the message: a text must not end within a character.
    pub(crate) fn finish(&self) -> Result<(), InvalidUtf8> {
        match &self.content {
            Content::Text(text) if !text.is_complete() => Err(InvalidUtf8 { offset: 0 }),
            Content::Text(_) | Content::Binary => Ok(()),
        }
    }

    /// The character that came in more than one piece.
    pub(crate) fn carried(&mut self) -> Message<'_> {
        match &mut self.content {
            Content::Text(text) => Message::Text(text.carried()),
            Content::Binary => Message::Binary(&mut []),
        }
    }
}
