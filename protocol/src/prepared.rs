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
    frames: Frames,
}

/// The frames that have been made of a message: what is kept of a [`Prepared`] where the message is
/// owned by somebody else and sent again later.
///
/// ```
/// use ringwire_protocol::{Frames, Limits, Prepared, Role, Sender, Workspace};
///
/// let mut workspace = Workspace::new(Limits::default());
/// let mut sender = Sender::new(Role::Server);
/// let (quote, mut frames) = (String::from("101.25"), Frames::default());
/// for _ in 0..2 {
///     let mut prepared = Prepared::with_frames(&*quote, frames);
///     // The second time, nothing is encoded.
///     assert_eq!(&*sender.prepared(&mut prepared, &mut workspace)?, b"\x81\x06101.25");
///     frames = prepared.into_frames();
/// }
/// assert!(frames.size() >= 8);
/// # Ok::<(), ringwire_protocol::Misuse>(())
/// ```
#[derive(Debug, Default)]
pub struct Frames {
    /// Uncompressed.
    plain: Option<Frame>,
    /// By settings; `None` where compression gains nothing. There are at most seven windows to a
    /// policy, and few policies.
    compressed: Vec<(Settings, Option<Frame>)>,
}

impl Frames {
    /// Bytes of memory that they hold, those that they share with others included.
    #[must_use]
    pub fn size(&self) -> usize {
        let list = self.compressed.capacity() * size_of::<(Settings, Option<Frame>)>();
        let compressed = self.compressed.iter().filter_map(|(_, frame)| frame.as_ref());
        let frames = self.plain.iter().chain(compressed);
        list + frames.map(Frame::size).sum::<usize>()
    }
}

impl<'m> Prepared<'m> {
    /// A message of which no frame has been made.
    #[must_use]
    pub fn new(message: impl Into<Payload<'m>>) -> Self {
        Self::with_frames(message, Frames::default())
    }

    /// The same message as one of which these frames have been made. Those of another message are
    /// sent in its place.
    #[must_use]
    pub fn with_frames(message: impl Into<Payload<'m>>, frames: Frames) -> Self {
        Self { payload: message.into(), frames }
    }

    /// The frames that have been made of it.
    #[must_use]
    pub fn into_frames(self) -> Frames {
        self.frames
    }

    /// The message itself.
    #[must_use]
    pub const fn payload(&self) -> Payload<'m> {
        self.payload
    }

    /// The uncompressed frame, made by `encode` the first time.
    pub(crate) fn plain(&mut self, encode: impl FnOnce(Payload<'m>) -> Vec<u8>) -> Frame {
        let payload = self.payload;
        self.frames.plain.get_or_insert_with(|| Frame::new(encode(payload))).clone()
    }

    /// The frame for `settings`, made by `encode` the first time; `None` where it makes none.
    pub(crate) fn compressed(
        &mut self,
        settings: Settings,
        encode: impl FnOnce(Payload<'m>) -> Option<Vec<u8>>,
    ) -> Option<Frame> {
        if let Some((_, frame)) =
            self.frames.compressed.iter().find(|(made_for, _)| *made_for == settings)
        {
            return frame.clone();
        }
        let frame = encode(self.payload).map(Frame::new);
        self.frames.compressed.push((settings, frame.clone()));
        frame
    }
}

/// Messages on their way to many connections, one behind the other.
///
/// [`Sender::prepared_run`](crate::Sender::prepared_run) gives the frames of all of them at once to
/// each connection that takes them as they are.
///
/// ```
/// use ringwire_protocol::{Limits, PreparedRun, Role, Sender, Workspace};
///
/// let mut workspace = Workspace::new(Limits::default());
/// let mut senders = [Sender::new(Role::Server), Sender::new(Role::Server)];
/// let mut quotes = PreparedRun::new(["101.25", "101.5"]);
/// let first = senders[0].prepared_run(&mut quotes, &mut workspace)?.unwrap();
/// let second = senders[1].prepared_run(&mut quotes, &mut workspace)?.unwrap();
/// assert_eq!(&*first, b"\x81\x06101.25\x81\x05101.5");
/// assert!(std::ptr::eq(&*first, &*second));
/// # Ok::<(), ringwire_protocol::Misuse>(())
/// ```
#[derive(Debug)]
pub struct PreparedRun<'m> {
    messages: Vec<Prepared<'m>>,
    /// Bytes of all payloads.
    size: usize,
    /// All of them uncompressed.
    plain: Option<Frame>,
}

impl<'m> PreparedRun<'m> {
    /// Messages of which no frame has been made.
    #[must_use]
    pub fn new<M: Into<Payload<'m>>>(messages: impl IntoIterator<Item = M>) -> Self {
        let messages: Vec<_> = messages.into_iter().map(Prepared::new).collect();
        let size = messages.iter().map(|message| message.payload.as_bytes().len()).sum();
        Self { messages, size, plain: None }
    }

    /// Each message by itself.
    pub fn messages(&mut self) -> &mut [Prepared<'m>] {
        &mut self.messages
    }

    /// How many messages there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.messages.len()
    }

    /// Bytes of all payloads together.
    #[must_use]
    pub const fn payload_size(&self) -> usize {
        self.size
    }

    /// The uncompressed frames, each appended by `encode` the first time.
    pub(crate) fn plain(&mut self, encode: impl Fn(Payload<'m>, &mut Vec<u8>)) -> Frame {
        let Self { messages, plain, .. } = self;
        let join = || {
            let mut out = Vec::new();
            messages.iter().for_each(|message| encode(message.payload, &mut out));
            Frame::new(out)
        };
        plain.get_or_insert_with(join).clone()
    }
}

/// The bytes of one whole frame, or of those of a [`PreparedRun`], shared by all that hold them.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    bytes: Arc<[u8]>,
}

impl Frame {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes: bytes.into() }
    }

    /// Its bytes, and the two counts beside them.
    fn size(&self) -> usize {
        self.bytes.len() + 2 * size_of::<usize>()
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
