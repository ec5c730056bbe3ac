//! One message for many connections: encoded once for all that take it in the same form.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;

use crate::deflate::Settings;
use crate::event::Payload;

/// A message on its way to many connections, and the frames that have been made of it so far.
///
/// [`Sender::prepared`](crate::Sender::prepared) gives each connection its frame. Connections
/// without compression share one, and so do those that compress with the same settings and without
/// context takeover: the message is compressed once for all of them. With takeover each connection
/// has a window of its own, so each has its own frame.
///
/// ```
/// use ringwire_protocol::{Limits, Payload, Prepared, Role, Sender, Workspace};
///
/// let mut workspace = Workspace::new(Limits::default());
/// let mut senders = [Sender::new(Role::Server), Sender::new(Role::Server)];
/// let mut quote = Prepared::new("101.25");
/// let first = senders[0].prepared(&mut quote, &mut workspace)?;
/// let second = senders[1].prepared(&mut quote, &mut workspace)?;
/// assert_eq!(&*first, b"\x81\x06101.25");
/// assert!(std::ptr::eq(&*first, &*second));
/// # Ok::<(), ringwire_protocol::Misuse>(())
/// ```
#[derive(Debug)]
pub struct Prepared<'m> {
    payload: Payload<'m>,
    /// Uncompressed.
    plain: Option<Frame>,
    /// By settings; `None` where compression gains nothing. There are at most seven windows to a
    /// policy, and few policies.
    compressed: Vec<(Settings, Option<Frame>)>,
}

impl<'m> Prepared<'m> {
    /// A message of which no frame has been made.
    #[must_use]
    pub fn new(message: impl Into<Payload<'m>>) -> Self {
        Self { payload: message.into(), plain: None, compressed: Vec::new() }
    }

    /// The message itself.
    #[must_use]
    pub const fn payload(&self) -> Payload<'m> {
        self.payload
    }

    /// The uncompressed frame, made by `encode` the first time.
    pub(crate) fn plain(&mut self, encode: impl FnOnce(Payload<'m>) -> Vec<u8>) -> Frame {
        let payload = self.payload;
        self.plain.get_or_insert_with(|| Frame::new(encode(payload))).clone()
    }

    /// The frame for `settings`, made by `encode` the first time; `None` where it makes none.
    pub(crate) fn compressed(
        &mut self,
        settings: Settings,
        encode: impl FnOnce(Payload<'m>) -> Option<Vec<u8>>,
    ) -> Option<Frame> {
        if let Some((_, frame)) = self.compressed.iter().find(|(made_for, _)| *made_for == settings)
        {
            return frame.clone();
        }
        let frame = encode(self.payload).map(Frame::new);
        self.compressed.push((settings, frame.clone()));
        frame
    }
}

/// The bytes of one whole frame, shared by all that hold it.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    bytes: Arc<[u8]>,
}

impl Frame {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes: bytes.into() }
    }
}

impl Deref for Frame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsRef<[u8]> for Frame {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Frame({} bytes)", self.bytes.len())
    }
}
