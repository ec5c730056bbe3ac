//! A message in the form in which it waits.

use std::sync::Arc;

use ringwire_protocol::{Frame, Payload, Sender, Workspace};

use crate::message::OwnedMessage;
use crate::publication::Publication;

/// The bytes of a message that waits: its own, or a reference to those that others hold as well.
#[derive(Debug)]
pub(crate) enum Content {
    Text {
        text: Box<str>,
        compresses: bool,
    },
    Binary {
        bytes: Box<[u8]>,
        compresses: bool,
    },
    /// Encoded already, for all connections that take it in the same form.
    Frame(Frame),
    /// To be encoded by each connection.
    Shared(Arc<OwnedMessage>),
    /// The same of a publication.
    Published(Arc<Publication>),
}

impl Content {
    /// A copy of a message.
    pub(crate) fn copy(payload: Payload<'_>, compresses: bool) -> Self {
        match payload {
            Payload::Text(text) => Self::Text { text: text.into(), compresses },
            Payload::Binary(bytes) => Self::Binary { bytes: bytes.into(), compresses },
        }
    }

    /// Bytes of the message, or of its frame, as if nobody shared them.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Text { text, .. } => text.len(),
            Self::Binary { bytes, .. } => bytes.len(),
            Self::Frame(frame) => frame.len(),
            Self::Shared(message) => message.payload().as_bytes().len(),
            Self::Published(publication) => publication.payload().as_bytes().len(),
        }
    }

    /// Appends it to `out`. It was accepted, so it is sent even if closing has begun since.
    pub(crate) fn encode(&self, sender: &mut Sender, workspace: &mut Workspace, out: &mut Vec<u8>) {
        let (payload, compresses) = match self {
            Self::Frame(frame) => return out.extend_from_slice(frame),
            Self::Text { text, compresses } => (Payload::Text(text), *compresses),
            Self::Binary { bytes, compresses } => (Payload::Binary(bytes), *compresses),
            Self::Shared(message) => (message.payload(), true),
            Self::Published(publication) => (publication.payload(), true),
        };
        // A server needs no masking keys, and nothing else can be wrong.
        let _encoded = sender.message_held(payload, compresses, workspace, out);
    }
}
