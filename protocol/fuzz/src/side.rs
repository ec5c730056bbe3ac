//! One side of a connection, with everything that it saw and wrote.

use ringwire_protocol::deflate::{Agreed, Policy};
use ringwire_protocol::{
    Close, Event, Limits, Message, Misuse, Receiver, Role, Sender, Violation, Workspace,
};

use crate::cuts::Cuts;

/// What a client masks with here. No test depends on its value.
pub const MASKING_KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// An event that owns what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A ping.
    Ping(Vec<u8>),
    /// A pong.
    Pong(Vec<u8>),
    /// The peer's close.
    Close(Option<u16>, String),
    /// What the peer did wrong.
    Failed(Violation),
}

impl From<Message<'_>> for Seen {
    fn from(message: Message<'_>) -> Self {
        match message {
            Message::Text(text) => Self::Text(text.to_string()),
            Message::Binary(bytes) => Self::Binary(bytes.to_vec()),
        }
    }
}

impl Seen {
    /// An event, or nothing where it is a chunk of a message of which more will come: `gathered`
    /// keeps it until then.
    fn of(event: Event<'_>, gathered: &mut Option<Self>) -> Option<Self> {
        Some(match event {
            Event::Message(message) => message.into(),
            Event::Inflated(size) => {
                assert_ne!(size, 0, "a step that gave nothing");
                return None;
            }
            Event::Chunk(chunk) => {
                assert_eq!(chunk.is_first, gathered.is_none());
                let part = Self::from(chunk.part);
                let message = match (gathered.take(), part) {
                    (None, part) => part,
                    (Some(Self::Text(before)), Self::Text(part)) => Self::Text(before + &part),
                    (Some(Self::Binary(before)), Self::Binary(part)) => {
                        Self::Binary([before, part].concat())
                    }
                    (before, part) => panic!("{part:?} after {before:?}"),
                };
                if !chunk.is_last {
                    *gathered = Some(message);
                    return None;
                }
                message
            }
            Event::Ping(payload) => Self::Ping(payload.to_vec()),
            Event::Pong(payload) => Self::Pong(payload.to_vec()),
            Event::Close(close) => Self::Close(close.code, close.reason.to_owned()),
            Event::Failed(violation) => Self::Failed(violation),
        })
    }

    /// Whether nothing may follow.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        matches!(self, Self::Close(..) | Self::Failed(_))
    }
}

/// Both halves, and what came out of them.
#[derive(Debug)]
pub struct Side {
    receiver: Receiver,
    /// What sends.
    pub sender: Sender,
    /// What both halves share.
    pub workspace: Workspace,
    /// The events so far.
    pub seen: Vec<Seen>,
    /// The bytes to send so far.
    pub out: Vec<u8>,
    /// The chunks of a message that has not ended.
    gathered: Option<Seen>,
    limits: Limits,
}

impl Side {
    /// A side of a connection that has just been opened.
    #[must_use]
    pub fn new(role: Role, limits: Limits) -> Self {
        Self {
            receiver: Receiver::new(role),
            sender: Sender::new(role),
            workspace: Workspace::new(limits).with_masking_keys(|| MASKING_KEY),
            seen: Vec::new(),
            out: Vec::new(),
            gathered: None,
            limits,
        }
    }

    /// The same with compression in both directions.
    #[must_use]
    pub fn with_deflate(self, agreed: &Agreed, policy: &Policy, ratio_max: u32) -> Self {
        let receiver = self.receiver.with_deflate(agreed, ratio_max);
        let sender = self.sender.with_deflate(agreed, policy);
        Self { receiver, sender, ..self }
    }

    /// The same, taking messages in chunks.
    #[must_use]
    pub fn streaming(mut self) -> Self {
        self.receiver.set_streaming(true);
        self
    }

    /// Sends a close frame.
    ///
    /// # Errors
    /// As of [`Sender::close`].
    pub fn close(&mut self, close: Close<'_>) -> Result<(), Misuse> {
        self.sender.close(close, &mut self.workspace, &mut self.out)
    }

    /// Whether the closing handshake has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.sender.closing().is_over()
    }

    /// Reads `bytes` in the pieces that `cuts` makes of them.
    pub fn read_cut(&mut self, bytes: &[u8], cuts: Cuts) {
        for piece in cuts.pieces(bytes) {
            self.read(piece);
        }
    }

    /// Reads `bytes` in one piece.
    pub fn read(&mut self, bytes: &[u8]) {
        // A copy of just this size, so that the sanitizer sees who reads or writes on.
        let mut bytes = bytes.to_vec();
        let mut input = &mut bytes[..];
        let was_over = self.seen.last().is_some_and(Seen::is_last);
        let before = (self.seen.len(), self.out.len());
        while let Some(event) =
            self.receiver.next(&mut input, &mut self.sender, &mut self.workspace, &mut self.out)
        {
            let Some(seen) = Seen::of(event, &mut self.gathered) else { continue };
            self.check_size(&seen);
            let is_after_end = self.seen.last().is_some_and(Seen::is_last);
            assert!(!is_after_end, "{seen:?} after the end");
            self.seen.push(seen);
        }
        assert!(input.is_empty(), "{} bytes are left over", input.len());
        if was_over {
            assert_eq!((self.seen.len(), self.out.len()), before);
        }
    }

    fn check_size(&self, seen: &Seen) {
        let (size, size_max) = match seen {
            Seen::Text(text) => (text.len(), self.limits.message_size_max),
            Seen::Binary(bytes) => (bytes.len(), self.limits.message_size_max),
            Seen::Ping(payload) | Seen::Pong(payload) => (payload.len(), 125),
            Seen::Close(_, reason) => (reason.len(), 123),
            Seen::Failed(_) => return,
        };
        assert!(size <= size_max, "{size} bytes, and at most {size_max} are allowed");
    }
}

/// Limits of any size, up to half a mebibyte and 256 fragments.
#[must_use]
pub fn limits(message: [u8; 2], frame: [u8; 2], fragments: u8) -> Limits {
    let size = |[high, shift]: [u8; 2]| usize::from(high) << (shift % 12);
    Limits {
        message_size_max: size(message),
        frame_size_max: size(frame),
        fragments_max: u32::from(fragments) + 1,
        ..Limits::default()
    }
}
