//! What the peer sends, as events that are pulled one at a time.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::deflate::{Agreed, Inflating};
use crate::event::{Event, Message};
use crate::frame::close::Close;
use crate::frame::header::{Header, SIZE_MAX};
use crate::frame::{Opcode, Role};
use crate::message::{Assembler, Kind};
use crate::pieces::Outlook;
use crate::sender::Sender;
use crate::{Violation, Workspace, mask, utf8};

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
    stage: Stage,
    /// The start of a header that has not arrived whole. `header_size < SIZE_MAX`.
    header: [u8; SIZE_MAX],
    header_size: u8,
    /// The message that comes in pieces.
    assembler: Assembler,
    /// The payload of a control frame that comes in pieces, at most 125 bytes, as if it were a
    /// message.
    control: Assembler,
    /// Where compression was negotiated.
    inflating: Option<Box<Inflating>>,
    /// Bytes of the stream before the next frame: the end of the one whose payload is arriving.
    /// After a violation, where that was seen.
    offset: u64,
}

/// Where in the stream of frames the next byte belongs.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// To a header.
    Header,
    /// To the payload of a frame.
    Payload(Frame),
    /// To a header, once the memory of the message handed over from `assembler` is given back.
    MessageDelivered,
    /// To a header, once the memory of the control frame handed over from `control` is given back.
    ControlDelivered,
    /// Nowhere: it is discarded.
    Over,
}

/// The frame whose payload is arriving.
#[derive(Clone, Copy, Debug)]
struct Frame {
    /// Bytes of payload that have not arrived.
    remaining: u64,
    masking_key: Option<[u8; 4]>,
    /// Bytes of payload that have arrived, as far as the masking key minds: modulo four.
    phase: u8,
    fin: bool,
    opcode: Opcode,
}

/// What one look at the input gave. It does not borrow the receiver.
enum Pulled<'i> {
    /// The input has been used up.
    Nothing,
    /// A frame or a piece of one went into the assembler; there is more to look at.
    Absorbed,
    /// A message that lies whole in the input, unmasked.
    Whole(Kind, &'i mut [u8]),
    /// The assembler's message is whole.
    Gathered,
    /// A control frame that lies whole in the input, unmasked.
    Control(Opcode, &'i mut [u8]),
    /// The control frame that came in pieces is whole.
    ControlGathered(Opcode),
}

impl Receiver {
    /// The receiving half of a connection that has just been opened; `role` is this side's.
    #[must_use]
    pub const fn new(role: Role) -> Self {
        Self {
            role,
            stage: Stage::Header,
            header: [0; SIZE_MAX],
            header_size: 0,
            assembler: Assembler::new(),
            control: Assembler::new(),
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
        self.inflating = Some(Box::new(Inflating::new(takeover, ratio_max)));
        self
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
            Stage::Header | Stage::ControlDelivered => {
                self.header_size == 0 && !self.assembler.is_active()
            }
            Stage::Payload(_) => false,
            Stage::MessageDelivered | Stage::Over => true,
        }
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
            Pulled::Whole(Kind::Binary, bytes) => {
                return Ok(Event::Message(Message::Binary(bytes)));
            }
            Pulled::Whole(Kind::Text, bytes) => {
                let size = bytes.len();
                return match utf8::text(bytes) {
                    Ok(text) => Ok(Event::Message(Message::Text(text))),
                    Err(error) => Err(self.violation_before_end(error.into(), size - error.offset)),
                };
            }
            Pulled::Control(opcode, payload) => (opcode, payload),
            Pulled::ControlGathered(opcode) => match self.control.finish()? {
                Message::Binary(payload) => (opcode, payload),
                Message::Text(text) => (opcode, text.into_bytes()),
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

    /// Looks at the input once: at a header, or at a piece of payload.
    #[inline]
    fn pull<'i>(
        &mut self,
        input: &mut &'i mut [u8],
        workspace: &mut Workspace,
    ) -> Result<Pulled<'i>, Violation> {
        match self.stage {
            Stage::Header | Stage::MessageDelivered | Stage::ControlDelivered => {
                let arrived = usize::from(self.header_size) + input.len();
                let Some(header) = self.pull_header(input)? else { return Ok(Pulled::Nothing) };
                let size = arrived - input.len();
                self.pull_frame(header, size, input, workspace)
            }
            Stage::Payload(frame) => self.pull_payload(frame, input, workspace),
            Stage::Over => {
                *input = &mut [];
                Ok(Pulled::Nothing)
            }
        }
    }

    /// Takes a header from the input, put together where its start came earlier.
    #[inline]
    fn pull_header(&mut self, input: &mut &mut [u8]) -> Result<Option<Header>, Violation> {
        if self.header_size == 0 {
            match self.decode(input)? {
                Some((header, size)) => {
                    advance(input, size);
                    return Ok(Some(header));
                }
                None if input.is_empty() => return Ok(None),
                None => {}
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
        while let Some((&mut byte, _)) = input.split_first_mut() {
            let at = usize::from(self.header_size);
            // A header that is not whole is shorter than the longest one.
            if let Some(slot) = self.header.get_mut(at) {
                *slot = byte;
            }
            advance(input, 1);
            self.header_size += 1;
            let gathered = &self.header[..=at];
            if let Some((header, _)) = self.decode(gathered)? {
                self.header_size = 0;
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
            self.assembler.check(opcode, length, inflates, workspace.limits())?;
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
            if let Some(key) = masking_key {
                mask::apply(payload, key, 0);
            }
            self.stage = Stage::Header;
            return Ok(match kind {
                Some(kind) => Pulled::Whole(kind, payload),
                None => Pulled::Control(opcode, payload),
            });
        }
        if opcode.is_control() {
            self.control.begin(Some(Kind::Binary), workspace);
        } else {
            self.assembler.begin(kind, workspace);
            if let (true, Some(inflating)) = (compressed, &mut self.inflating) {
                inflating.begin(workspace);
            }
        }
        let frame = Frame { remaining: length, masking_key, phase: 0, fin, opcode };
        self.stage = Stage::Payload(frame);
        self.pull_payload(frame, input, workspace)
    }

    /// Takes the next piece of the payload of a frame that does not lie whole in the input, or
    /// that belongs to a message of several.
    fn pull_payload<'i>(
        &mut self,
        mut frame: Frame,
        input: &mut &'i mut [u8],
        workspace: &mut Workspace,
    ) -> Result<Pulled<'i>, Violation> {
        let remaining = usize::try_from(frame.remaining).unwrap_or(usize::MAX);
        let piece = advance(input, remaining.min(input.len()));
        if let Some(key) = frame.masking_key {
            mask::apply(piece, key, usize::from(frame.phase));
        }
        let rest = remaining - piece.len();
        if frame.opcode.is_control() {
            self.control.push(piece, Outlook::Known(rest))?;
        } else if let Some(inflating) = self.inflating.as_mut().filter(|it| it.is_active()) {
            if let Err(violation) = inflating.push(piece, &mut self.assembler, workspace.limits()) {
                return Err(self.violation_before_end(violation, rest));
            }
            if rest == 0 && frame.fin {
                inflating.finish(workspace)?;
            }
        } else if let Err(error) = self.assembler.push(piece, Outlook::Known(rest)) {
            return Err(self.violation_before_end(error.into(), remaining - error.offset));
        }
        if rest > 0 {
            frame.remaining = rest as u64;
            let phase = (usize::from(frame.phase) + piece.len()) & 3;
            frame.phase = u8::try_from(phase).unwrap_or(0);
            self.stage = Stage::Payload(frame);
            return Ok(Pulled::Nothing);
        }
        if frame.opcode.is_control() {
            self.stage = Stage::ControlDelivered;
            return Ok(Pulled::ControlGathered(frame.opcode));
        }
        if frame.fin {
            self.stage = Stage::MessageDelivered;
            return Ok(Pulled::Gathered);
        }
        self.stage = Stage::Header;
        Ok(Pulled::Absorbed)
    }

    /// Gives back the memory of what has been delivered.
    #[inline]
    fn reclaim(&mut self, workspace: &mut Workspace) {
        match self.stage {
            Stage::MessageDelivered => self.assembler.reset(workspace),
            Stage::ControlDelivered => self.control.reset(workspace),
            Stage::Header | Stage::Payload(_) | Stage::Over => return,
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
        self.control.reset(workspace);
        self.header_size = 0;
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

/// Splits the first `size` bytes off, which must be there.
#[inline]
fn advance<'i>(input: &mut &'i mut [u8], size: usize) -> &'i mut [u8] {
    let (taken, rest) = core::mem::take(input).split_at_mut(size);
    *input = rest;
    taken
}
