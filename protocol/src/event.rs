//! What a receiver hands to its caller.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::Violation;
use crate::frame::close::Close;
use crate::utf8::Text;

/// One thing that a peer did. It borrows the received bytes, or the receiver where these came in
/// pieces; it is to be used before the next one is pulled.
#[derive(Debug)]
#[must_use]
pub enum Event<'a> {
    /// A whole message.
    Message(Message<'a>),
    /// The next chunk of a message, where messages are taken in chunks.
    Chunk(Chunk<'a>),
    /// So many more bytes of a compressed message have been decompressed, and there is more to
    /// decompress before it is whole. There is nothing to do: it is where somebody who serves many
    /// peers may turn to another one, since a few bytes can make a large message.
    Inflated(usize),
    /// A ping of at most 125 bytes. Its pong has been written.
    Ping(&'a [u8]),
    /// A pong of at most 125 bytes, asked for or not.
    Pong(&'a [u8]),
    /// The peer's close frame. This side's, unless sent before, has been written. The last event.
    Close(Close<'a>),
    /// The peer violated the protocol. The close frame that says so has been written, unless one
    /// was sent before. The last event.
    Failed(Violation),
}

/// A whole message, or what a [`Chunk`] has of one, lent as mutable: a parser that works in place
/// can run on it.
#[derive(Debug)]
pub enum Message<'a> {
    /// Valid UTF-8.
    Text(Text<'a>),
    /// Any bytes.
    Binary(&'a mut [u8]),
}

impl Message<'_> {
    /// The message's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_str().as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text.as_str()),
            Self::Binary(_) => None,
        }
    }

    /// The message as something that can be sent.
    #[must_use]
    pub fn payload(&self) -> Payload<'_> {
        match self {
            Self::Text(text) => Payload::Text(text.as_str()),
            Self::Binary(bytes) => Payload::Binary(bytes),
        }
    }
}

/// A chunk of a message that is taken as it arrives, and never held whole.
///
/// The chunks of a message, from its first to its last, together are the message. Where one is cut
/// says nothing: that follows from how the bytes arrived. A message that breaks the protocol, or
/// whose connection ends, has no last chunk.
#[derive(Debug)]
pub struct Chunk<'a> {
    /// Text, which never ends within a character, or bytes: of one kind in all chunks of a message.
    /// Empty in the last one only, if at all.
    pub part: Message<'a>,
    /// Whether the message begins with it.
    pub is_first: bool,
    /// Whether the message ends with it. An empty message is one chunk, first and last.
    pub is_last: bool,
}

/// Something to send: text or bytes. Both kinds of string and of slice turn into it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Payload<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
}

impl<'a> Payload<'a> {
    /// The bytes that are to be sent.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Payload<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Text(_) => "Text",
            Self::Binary(_) => "Binary",
        };
        write!(formatter, "{kind}({} bytes)", self.as_bytes().len())
    }
}

impl<'a> From<&'a str> for Payload<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Payload<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Payload<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Binary(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for Payload<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Binary(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Payload<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Binary(bytes)
    }
}

impl<'a> From<&'a Message<'_>> for Payload<'a> {
    fn from(message: &'a Message<'_>) -> Self {
        message.payload()
    }
}

impl<'a> From<&'a Chunk<'_>> for Payload<'a> {
    fn from(chunk: &'a Chunk<'_>) -> Self {
        chunk.part.payload()
    }
}
