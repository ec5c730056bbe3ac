//! What the peer sends, as events that are pulled one at a time.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;

use crate::deflate::{Agreed, Inflating};
use crate::event::{Chunk, Event};
use crate::frame::close::Close;
use crate::frame::header::Header;
use crate::frame::{Opcode, Role};
use crate::message::{Assembler, Kind, Place, Portion};
use crate::pieces::Outlook;
use crate::sender::Sender;
use crate::{Limits, Violation, Workspace, mask};

mod filled;
mod inflated;
mod pulled;
mod quick;
mod streaming;

pub use quick::Burst;

use pulled::{Begun, Control, Frame, Look, Pulled, Stage, Wrong, advance, message, message_masked};

/// The receiving half of a connection.
///
/// The caller's contract: after every read, call [`Receiver::next`] with what was read until it
/// returns `None`; `input` is empty then, and the bytes need not be kept. Each event is handed over
/// before the next frame is looked at, so what was valid before a violation is never lost to it.
/// What `next` appends to `out` (pongs, the answer to a close, the close frame that names a
/// violation) is to be sent in order with what the [`Sender`] appends. After [`Event::Close`] and
/// [`Event::Failed`] everything that arrives is discarded.
///
/// ```
/// use ringwire_protocol::frame::Role;
/// use ringwire_protocol::{Event, Limits, Receiver, Sender, Workspace};
///
/// let mut workspace = Workspace::new(Limits::default());
/// let (mut receiver, mut sender) = (Receiver::new(Role::Server), Sender::new(Role::Server));
/// let mut out = Vec::new();
/// let mut read = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
/// let mut input = &mut read[..];
/// while let Some(event) = receiver.next(&mut input, &mut sender, &mut workspace, &mut out) {
///     if let Event::Message(message) = event {
///         assert_eq!(message.as_text(), Some("Hello"));
///         sender.message(&message, &mut workspace, &mut out)?;
///     }
/// }
/// assert_eq!(out, b"\x81\x05Hello");
/// # Ok::<(), ringwire_protocol::Misuse>(())
/// ```
#[derive(Debug)]
pub struct Receiver {
    role: Role,
    /// Whether messages that begin are handed over in chunks.
    streams: bool,
    stage: Stage,
    /// The message that comes in pieces, put together or handed over in chunks.
    assembler: Assembler,
    /// Where compression was negotiated.
    inflating: Option<Box<Inflating>>,
    /// Bytes of the stream before the next frame: the end of the one whose payload is arriving.
    /// After a violation, where that was seen.
    offset: u64,
}

impl Receiver {
    /// The receiving half of a connection that has just been opened; `role` is this side's.
    #[must_use]
    pub const fn new(role: Role) -> Self {
        Self {
            role,
            streams: false,
            stage: Stage::Header,
            assembler: Assembler::new(),
            inflating: None,
            offset: 0,
        }
    }

    /// Counts the bytes of the stream from `offset` on, which is where the first frame begins: the
    /// size of the peer's half of the opening handshake, say.
    pub const fn start_at(&mut self, offset: u64) {
        self.offset = offset;
    }

    /// After [`Event::Failed`]: how many bytes the peer had sent before the one that is wrong,
    /// however the stream was cut by reads.
    ///
    /// What is wrong with a frame as such (its header, its length, its place) counts as wrong at
    /// the first byte of that frame. Text is wrong at the first byte that cannot stand there; text
    /// that is cut short, where its message ends. A close frame is wrong at its code. In compressed
    /// data nobody sees the byte: it is where the piece ends that was being decompressed.
    #[must_use]
    pub const fn violation_offset(&self) -> u64 {
        self.offset
    }

    /// Adds what the handshake has `agreed` on: the peer may compress its messages. Beyond 64 KiB
    /// a message that grows by more than `ratio_max` is too big, whatever the limits say.
    #[must_use]
    pub fn with_deflate(mut self, agreed: &Agreed, ratio_max: u32) -> Self {
        let takeover = agreed.takeover(self.role.peer());
        self.inflating = Some(Box::new(Inflating::new(*agreed, takeover, ratio_max)));
        self
    }

    /// Whether the messages that begin from now on are handed over in chunks, as they arrive
    /// ([`Event::Chunk`]), and never held whole. One that has begun goes on as it is. Default
    /// `false`.
    ///
    /// [`Limits::streamed_size_max`](crate::Limits::streamed_size_max) bounds such a message, and
    /// what a connection holds of it is a character of four bytes or, where it is compressed, the
    /// decompressor's window and one chunk.
    ///
    /// ```
    /// use ringwire_protocol::frame::Role;
    /// use ringwire_protocol::{Event, Limits, Receiver, Sender, Workspace};
    ///
    /// let mut workspace = Workspace::new(Limits::default());
    /// let (mut receiver, mut sender) = (Receiver::new(Role::Client), Sender::new(Role::Client));
    /// receiver.set_streaming(true);
    /// let mut chunks = Vec::new();
    /// // A text of 14 bytes, which arrives in two reads that cut a character.
    /// for read in [&b"\x81\x0e10 \xe2\x82"[..], b"\xac, thanks"] {
    ///     let mut input = &mut read.to_vec()[..];
    ///     while let Some(event) =
    ///         receiver.next(&mut input, &mut sender, &mut workspace, &mut Vec::new())
    ///     {
    ///         if let Event::Chunk(chunk) = event {
    ///             chunks.push((chunk.part.as_text().map(str::to_owned), chunk.is_last));
    ///         }
    ///     }
    /// }
    /// let text = |text: &str| Some(text.to_owned());
    /// let expected = [(text("10 "), false), (text("€"), false), (text(", thanks"), true)];
    /// assert_eq!(chunks, expected);
    /// ```
    pub const fn set_streaming(&mut self, streams: bool) {
        self.streams = streams;
    }

    /// The next event in `input`, or `None` when all of it has been used.
    ///
    /// Payloads are unmasked where they lie. `input` is advanced past the bytes of the event; the
    /// event borrows them, or this receiver where they came in pieces.
    #[inline]
    pub fn next<'e, 'i: 'e>(
        &'e mut self,
        input: &mut &'i mut [u8],
        sender: &mut Sender,
        workspace: &mut Workspace,
        out: &mut Vec<u8>,
    ) -> Option<Event<'e>> {
        if let Some(mut burst) = self.burst()
            && let Some(message) = burst.next(input, sender, workspace)
        {
            return Some(Event::Message(message));
        }
        self.next_any(input, sender, workspace, out)
    }

    fn next_any<'e, 'i: 'e>(
        &'e mut self,
        input: &mut &'i mut [u8],
        sender: &mut Sender,
        workspace: &mut Workspace,
        out: &mut Vec<u8>,
    ) -> Option<Event<'e>> {
        self.reclaim(workspace);
        if !sender.reads() {
            self.stop(workspace);
        }
        let pulled = loop {
            match self.pull(input, workspace) {
                Ok(Pulled::Absorbed) => {}
                Ok(Pulled::Nothing) => return None,
                Ok(pulled) => break pulled,
                Err(violation) => {
                    self.stop(workspace);
                    return Some(fail(violation, sender, workspace, out));
                }
            }
        };
        match self.event(pulled, sender, workspace, out) {
            Ok(event) => Some(event),
            Err(violation) => Some(fail(violation, sender, workspace, out)),
        }
    }

    /// Whether the peer is in the middle of a frame or of a fragmented message: then a connection
    /// that ends here has lost something.
    #[must_use]
    pub const fn is_between_messages(&self) -> bool {
        match self.stage {
            Stage::Header | Stage::ControlDelivered(_) => !self.assembler.is_active(),
            Stage::HeaderBegun(_) | Stage::Payload(_) | Stage::Control(_) => false,
            Stage::MessageDelivered | Stage::Over => true,
        }
    }

    /// Whether [`next`](Self::next) may have an event though no more bytes have arrived: a
    /// compressed message is decompressed as events are pulled. After [`Event::Inflated`] it may,
    /// and after [`Receiver::restore`].
    #[must_use]
    pub fn holds_more(&self) -> bool {
        self.assembler.appended_size() > 0
            || self.inflating.as_ref().is_some_and(|inflating| inflating.holds_more())
    }

    /// What [`Receiver::with_deflate`] was given, if it was.
    #[must_use]
    pub fn deflate(&self) -> Option<(Agreed, u32)> {
        self.inflating.as_ref().map(|inflating| inflating.agreed())
    }

    /// Whether messages to come may refer to what those before have held, so that no other receiver
    /// could go on: the peer keeps its window from message to message, and has compressed one.
    #[must_use]
    pub fn holds_window(&self) -> bool {
        self.inflating.as_ref().is_some_and(|inflating| inflating.holds_window())
    }

    /// Bytes that it has allocated for what is arriving, without compressors.
    #[must_use]
    pub fn allocated(&self) -> usize {
        let control = match self.stage {
            Stage::Control(_) | Stage::ControlDelivered(_) => size_of::<Control>(),
            _ => 0,
        };
        self.assembler.allocated() + control
    }

    /// The connection has ended: what the receiver holds goes to other connections of `workspace`.
    pub fn retire(mut self, workspace: &mut Workspace) {
        self.reclaim(workspace);
        self.stop(workspace);
    }

    /// Turns what was pulled into the event that the caller sees.
    #[inline]
    fn event<'e, 'i: 'e>(
        &'e mut self,
        pulled: Pulled<'i>,
        sender: &mut Sender,
        workspace: &mut Workspace,
        out: &mut Vec<u8>,
    ) -> Result<Event<'e>, Violation> {
        let (opcode, payload): (Opcode, &'e [u8]) = match pulled {
            Pulled::Chunk(portion, place) => return Ok(self.chunk(portion, place)),
            Pulled::Inflated(kind, size, place) => {
                return self.chunk_inflated(kind, size, place);
            }
            Pulled::Whole(kind, bytes, key) => return self.whole(kind, bytes, key),
            Pulled::Inflating(size) => return Ok(Event::Inflated(size)),
            Pulled::Control(opcode, payload) => (opcode, payload),
            Pulled::ControlGathered(opcode) => match &self.stage {
                Stage::ControlDelivered(control) => (opcode, control.payload()),
                _ => (opcode, &[]),
            },
            Pulled::Gathered | Pulled::Nothing | Pulled::Absorbed => {
                return Ok(Event::Message(self.assembler.finish()?));
            }
        };
        match opcode {
            Opcode::Ping => {
                workspace.traffic.pings_received += 1;
                sender.receive_ping(payload, workspace, out);
                Ok(Event::Ping(payload))
            }
            Opcode::Close => {
                let close = match Close::decode(payload) {
                    Ok(close) => close,
                    Err(violation) => {
                        let distance = payload.len() - Close::wrong_at(payload);
                        self.offset = self.offset.wrapping_sub(distance as u64);
                        return Err(violation);
                    }
                };
                sender.receive_close(close, workspace, out);
                Ok(Event::Close(close))
            }
            // Only control frames are pulled as such.
            Opcode::Pong | Opcode::Continuation | Opcode::Text | Opcode::Binary => {
                workspace.traffic.pongs_received += 1;
                Ok(Event::Pong(payload))
            }
        }
    }

    /// A message that is lent where it arrived, masked with `key` if that is there.
    #[inline]
    fn whole<'e>(
        &mut self,
        kind: Kind,
        bytes: &'e mut [u8],
        key: Option<[u8; 4]>,
    ) -> Result<Event<'e>, Violation> {
        let size = bytes.len();
        let message = match key {
            Some(key) => message_masked(kind, bytes, key),
            None => message(kind, bytes),
        };
        match message {
            Ok(part) if self.streams => {
                Ok(Event::Chunk(Chunk { part, is_first: true, is_last: true }))
            }
            Ok(message) => Ok(Event::Message(message)),
            Err(error) => Err(self.violation_before_end(error.into(), size - error.offset)),
        }
    }

    /// A chunk that is lent where it arrived, or that was carried.
    fn chunk<'e, 'i: 'e>(&'e mut self, portion: Portion<'i>, place: Place) -> Event<'e> {
        let Place { is_first, is_last } = place;
        let part = match portion {
            Portion::Pushed(part) => part,
            Portion::Carried => self.assembler.carried(),
        };
        Event::Chunk(Chunk { part, is_first, is_last })
    }

    /// A chunk that is lent where it was decompressed. That its text is valid is known already; to
    /// look again costs little beside the decompression, and spares remembering what it is about.
    fn chunk_inflated(
        &mut self,
        kind: Kind,
        size: usize,
        place: Place,
    ) -> Result<Event<'_>, Violation> {
        let Place { is_first, is_last } = place;
        let inflating = self.inflating.as_mut();
        let bytes = inflating.and_then(|inflating| inflating.chunk().get_mut(..size));
        let bytes = bytes.unwrap_or_default();
        Ok(Event::Chunk(Chunk { part: message(kind, bytes)?, is_first, is_last }))
    }

    /// Looks at the input once: at a header, or at a piece of payload.
    #[inline]
    fn pull<'i>(
        &mut self,
        input: &mut &'i mut [u8],
        workspace: &mut Workspace,
    ) -> Result<Pulled<'i>, Violation> {
        let begun_size = match &self.stage {
            Stage::Payload(frame) => return self.pull_payload(*frame, input, workspace),
            Stage::Control(_) => return Ok(self.pull_control(input)),
            Stage::Over => {
                *input = &mut [];
                return Ok(Pulled::Nothing);
            }
            Stage::HeaderBegun(begun) => usize::from(begun.size),
            Stage::Header | Stage::MessageDelivered | Stage::ControlDelivered(_) => 0,
        };
        let arrived = begun_size + input.len();
        let Some(header) = self.pull_header(begun_size, input)? else {
            return Ok(Pulled::Nothing);
        };
        let size = arrived - input.len();
        self.pull_frame(header, size, input, workspace)
    }

    /// Takes a header from the input, put together where `begun_size` bytes of it came earlier.
    #[inline]
    fn pull_header(
        &mut self,
        begun_size: usize,
        input: &mut &mut [u8],
    ) -> Result<Option<Header>, Violation> {
        if begun_size == 0 {
            match self.decode(input)? {
                Some((header, size)) => {
                    advance(input, size);
                    return Ok(Some(header));
                }
                None if input.is_empty() => return Ok(None),
                None => self.stage = Stage::HeaderBegun(Begun::default()),
            }
        }
        self.pull_header_split(input)
    }

    #[inline]
    fn decode(&self, bytes: &[u8]) -> Result<Option<(Header, usize)>, Violation> {
        Header::decode_negotiated(bytes, self.role.peer(), self.inflating.is_some())
    }

    #[cold]
    fn pull_header_split(&mut self, input: &mut &mut [u8]) -> Result<Option<Header>, Violation> {
        let (role, inflates) = (self.role.peer(), self.inflating.is_some());
        let Stage::HeaderBegun(begun) = &mut self.stage else { return Ok(None) };
        while let Some((&mut byte, _)) = input.split_first_mut() {
            advance(input, 1);
            let decoded =
                begun.push(byte, |bytes| Header::decode_negotiated(bytes, role, inflates))?;
            if let Some((header, _)) = decoded {
                self.stage = Stage::Header;
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    /// Begins the frame of `header`: hands its payload over where it lies whole in the input.
    #[inline]
    fn pull_frame<'i>(
        &mut self,
        header: Header,
        header_size: usize,
        input: &mut &'i mut [u8],
        workspace: &mut Workspace,
    ) -> Result<Pulled<'i>, Violation> {
        let Header { fin, compressed, opcode, masking_key, length } = header;
        if !opcode.is_control() {
            let inflates = compressed || self.inflating.as_ref().is_some_and(|it| it.is_active());
            self.assembler.check(opcode, length, inflates, self.streams, workspace.limits())?;
        }
        workspace.traffic.frames_received += 1;
        // A peer that lives long enough to wrap it has sent 16 million terabytes.
        self.offset = self.offset.wrapping_add(header_size as u64).wrapping_add(length);
        let kind = match opcode {
            Opcode::Text => Some(Kind::Text),
            Opcode::Binary => Some(Kind::Binary),
            Opcode::Continuation | Opcode::Close | Opcode::Ping | Opcode::Pong => None,
        };
        let whole = usize::try_from(length).ok().filter(|&length| length <= input.len());
        if let (Some(length), true) =
            (whole, opcode.is_control() || (fin && kind.is_some() && !compressed))
        {
            let payload = advance(input, length);
            self.stage = Stage::Header;
            if let Some(kind) = kind {
                return Ok(Pulled::Whole(kind, payload, masking_key));
            }
            if let Some(key) = masking_key {
                mask::apply(payload, key, 0);
            }
            return Ok(Pulled::Control(opcode, payload));
        }
        let frame = Frame { remaining: length, masking_key, phase: 0, fin, opcode };
        if opcode.is_control() {
            self.stage = Stage::Control(Box::new(Control::new(frame)));
            return Ok(self.pull_control(input));
        }
        self.assembler.begin(kind, self.streams, workspace);
        if let (true, Some(inflating)) = (compressed, &mut self.inflating) {
            inflating.begin(workspace);
        }
        self.stage = Stage::Payload(frame);
        self.pull_payload(frame, input, workspace)
    }

    /// Takes the next piece of a control frame that does not lie whole in the input.
    #[cold]
    fn pull_control<'i>(&mut self, input: &mut &mut [u8]) -> Pulled<'i> {
        let opcode = match &mut self.stage {
            Stage::Control(control) => control.pull(input),
            _ => None,
        };
        let Some(opcode) = opcode else { return Pulled::Nothing };
        if let Stage::Control(control) = mem::replace(&mut self.stage, Stage::Header) {
            self.stage = Stage::ControlDelivered(control);
        }
        Pulled::ControlGathered(opcode)
    }

    /// Takes the next piece of the payload of a data frame that does not lie whole in the input, or
    /// that belongs to a message of several.
    fn pull_payload<'i>(
        &mut self,
        mut frame: Frame,
        input: &mut &'i mut [u8],
        workspace: &mut Workspace,
    ) -> Result<Pulled<'i>, Violation> {
        if let Some(look) = self.look(&mut frame, input, workspace.limits()) {
            return match look {
                Ok(look) => {
                    self.stage = look.stage(frame);
                    Ok(look.pulled)
                }
                Err(Wrong { violation, distance }) => {
                    self.offset = self.offset.wrapping_sub(distance);
                    Err(violation)
                }
            };
        }
        let remaining = usize::try_from(frame.remaining).unwrap_or(usize::MAX);
        if self.assembler.appended_size() > 0 {
            return self.pull_filled(frame, remaining);
        }
        let piece = advance(input, remaining.min(input.len()));
        frame.unmask(piece);
        let rest = remaining - piece.len();
        let pushed = self.assembler.push(piece, Outlook::Known(rest), workspace.shelf());
        if let Err(error) = pushed {
            return Err(self.violation_before_end(error.into(), remaining - error.offset));
        }
        Ok(self.pulled(frame, rest))
    }

    /// What has been pulled of a frame that has `rest` bytes to come.
    fn pulled<'i>(&mut self, mut frame: Frame, rest: usize) -> Pulled<'i> {
        if rest > 0 {
            frame.remaining = rest as u64;
            self.stage = Stage::Payload(frame);
            return Pulled::Nothing;
        }
        if frame.fin {
            self.stage = Stage::MessageDelivered;
            return Pulled::Gathered;
        }
        self.stage = Stage::Header;
        Pulled::Absorbed
    }

    /// Looks at the payload of a message that is handed over in chunks, or is compressed.
    fn look<'i>(
        &mut self,
        frame: &mut Frame,
        input: &mut &'i mut [u8],
        limits: &Limits,
    ) -> Option<Result<Look<'i>, Wrong>> {
        let inflating = self.inflating.as_deref_mut().filter(|it| it.is_active());
        if let Some(streamed) = self.assembler.streamed() {
            return Some(match inflating {
                Some(inflating) => inflated::pull_chunk(frame, streamed, inflating, input, limits),
                None => streaming::pull(frame, streamed, input),
            });
        }
        inflating.map(|it| inflated::gather(frame, &mut self.assembler, it, input, limits))
    }

    /// Gives back the memory of what has been delivered.
    #[inline]
    fn reclaim(&mut self, workspace: &mut Workspace) {
        match self.stage {
            Stage::MessageDelivered => {
                self.assembler.reset(workspace);
                if let Some(inflating) = &mut self.inflating {
                    inflating.release(workspace);
                }
            }
            Stage::ControlDelivered(_) => {}
            Stage::Header
            | Stage::HeaderBegun(_)
            | Stage::Payload(_)
            | Stage::Control(_)
            | Stage::Over => return,
        }
        self.stage = Stage::Header;
    }

    /// Notes that a violation was seen `distance` bytes before the end of the present frame.
    #[cold]
    const fn violation_before_end(&mut self, violation: Violation, distance: usize) -> Violation {
        self.offset = self.offset.wrapping_sub(distance as u64);
        violation
    }

    /// From here on everything is discarded.
    fn stop(&mut self, workspace: &mut Workspace) {
        if let Some(inflating) = &mut self.inflating {
            inflating.stop(workspace);
        }
        self.assembler.reset(workspace);
        self.stage = Stage::Over;
    }
}

fn fail<'e>(
    violation: Violation,
    sender: &mut Sender,
    workspace: &mut Workspace,
    out: &mut Vec<u8>,
) -> Event<'e> {
    sender.fail(violation, workspace, out);
    Event::Failed(violation)
}
