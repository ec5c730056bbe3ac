//! What this side sends, as bytes appended to the caller's buffer.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::closing::{Closing, Step, Verdict};
use crate::deflate::{Agreed, CompressError, Deflating, Policy};
use crate::event::Payload;
use crate::frame::close::Close;
use crate::frame::header::{CONTROL_SIZE_MAX, Header, SIZE_MAX};
use crate::frame::{Opcode, Role};
use crate::message::Kind;
use crate::prepared::{Frame, Prepared, PreparedRun};
use crate::{Misuse, Violation, Workspace, copy, mask};

/// The sending half of a connection. It owns the closing handshake.
///
/// Every method appends whole frames to `out`, or nothing where it returns an error; the caller
/// brings these bytes to the peer in this order. The header is written once and the payload copied
/// once. Once [`Closing::is_over`] holds, nothing is appended any more.
#[derive(Debug)]
pub struct Sender {
    role: Role,
    closing: Closing,
    /// The kind of the message whose last fragment has not been sent.
    unfinished: Option<Kind>,
    /// Where compression was negotiated.
    deflating: Option<Box<Deflating>>,
}

impl Sender {
    /// The sending half of a connection that has just been opened.
    #[must_use]
    pub const fn new(role: Role) -> Self {
        Self { role, closing: Closing::Open, unfinished: None, deflating: None }
    }

    /// Adds what the handshake has `agreed` on: [`Sender::message`] compresses, as `policy` says.
    #[must_use]
    pub fn with_deflate(mut self, agreed: &Agreed, policy: &Policy) -> Self {
        let settings = policy.settings(agreed, self.role);
        let takeover = agreed.takeover(self.role);
        self.deflating = Some(Box::new(Deflating::new(settings, takeover, *policy)));
        self
    }

    /// How it compresses, if it may: the policy that [`Sender::with_deflate`] was given.
    #[must_use]
    pub fn deflate_policy(&self) -> Option<Policy> {
        self.deflating.as_ref().map(|deflating| deflating.policy())
    }

    /// How far the closing handshake has come.
    #[must_use]
    pub const fn closing(&self) -> Closing {
        self.closing
    }

    /// Sends a whole message.
    ///
    /// # Errors
    /// [`Misuse::Closing`] after a close frame, [`Misuse::MessageUnfinished`] between fragments,
    /// [`Misuse::MaskingKeysMissing`].
    #[inline]
    pub fn message<'a>(
        &mut self,
        payload: impl Into<Payload<'a>>,
        workspace: &mut Workspace,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        let payload = payload.into();
        if self.is_plain() && payload.as_bytes().len() <= CONTROL_SIZE_MAX {
            append_short(kind(payload).opcode(), payload.as_bytes(), out);
            workspace.traffic.frames_sent += 1;
            return Ok(());
        }
        self.message_any(payload, workspace, out)
    }

    #[inline(never)]
    fn message_any(
        &mut self,
        payload: Payload<'_>,
        workspace: &mut Workspace,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        self.check()?;
        let opcode = kind(payload).opcode();
        if self.deflating.is_some() {
            return self.message_compressed(opcode, payload, workspace, out);
        }
        self.frame(true, opcode, payload.as_bytes(), workspace, out)
    }

    /// Sends a whole message uncompressed, also where compression was negotiated: for what is
    /// compressed already, or holds a secret next to what an attacker may choose.
    ///
    /// # Errors
    /// As [`Sender::message`].
    pub fn message_uncompressed<'a>(
        &mut self,
        payload: impl Into<Payload<'a>>,
        workspace: &mut Workspace,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        let deflating = self.deflating.take();
        let sent = self.message(payload, workspace, out);
        self.deflating = deflating;
        sent
    }

    /// The frame of a message that goes to many connections, to be sent in its order like what the
    /// other methods append. It is made where no connection before took it in the same form. A
    /// client masks, so each of its frames is its own.
    ///
    /// # Errors
    /// As [`Sender::message`].
    pub fn prepared(
        &mut self,
        message: &mut Prepared<'_>,
        workspace: &mut Workspace,
    ) -> Result<Frame, Misuse> {
        self.check()?;
        if !self.shares() {
            let mut out = Vec::new();
            self.message(message.payload(), workspace, &mut out)?;
            return Ok(Frame::new(out));
        }
        workspace.traffic.frames_sent += 1;
        let size = message.payload().as_bytes().len();
        if let Some(deflating) = self.deflating.as_mut().filter(|it| it.takes(size)) {
            let compressed = message.compressed(deflating.settings(), |payload| {
                let mut bytes = workspace.take();
                let done = deflating.compress(payload.as_bytes(), workspace, &mut bytes);
                let frame = done.then(|| {
                    workspace.traffic.compress(payload.as_bytes().len(), bytes.len());
                    let mut out = Vec::new();
                    append(true, true, kind(payload).opcode(), None, &bytes, &mut out);
                    out
                });
                workspace.give(bytes);
                frame
            });
            if let Some(frame) = compressed {
                return Ok(frame);
            }
        }
        Ok(message.plain(|payload| {
            let mut out = Vec::new();
            append(true, false, kind(payload).opcode(), None, payload.as_bytes(), &mut out);
            out
        }))
    }

    /// The frames of messages that go to many connections, to be sent in their order like what the
    /// other methods append. `None` where each is to be asked for by itself
    /// ([`Sender::prepared`]): a client masks, and who compresses may take each in another form.
    ///
    /// # Errors
    /// As [`Sender::message`].
    pub fn prepared_run(
        &mut self,
        run: &mut PreparedRun<'_>,
        workspace: &mut Workspace,
    ) -> Result<Option<Frame>, Misuse> {
        self.check()?;
        if self.deflating.is_some() || !self.shares() {
            return Ok(None);
        }
        workspace.traffic.frames_sent += run.count() as u64;
        Ok(Some(run.plain(|payload, out| {
            append(true, false, kind(payload).opcode(), None, payload.as_bytes(), out);
        })))
    }

    /// Sends a message that was accepted before and held back since, also if the closing handshake
    /// has begun meanwhile: the caller sees to it that it stands before the close frame, and not
    /// between fragments.
    ///
    /// # Errors
    /// [`Misuse::MaskingKeysMissing`].
    pub fn message_held<'a>(
        &mut self,
        payload: impl Into<Payload<'a>>,
        compresses: bool,
        workspace: &mut Workspace,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        let payload = payload.into();
        let opcode = kind(payload).opcode();
        if compresses && self.deflating.is_some() {
            return self.message_compressed(opcode, payload, workspace, out);
        }
        self.frame(true, opcode, payload.as_bytes(), workspace, out)
    }

    /// Whether a message can be sent now.
    ///
    /// # Errors
    /// [`Misuse::Closing`] after a close frame, [`Misuse::MessageUnfinished`] between fragments.
    pub fn check(&self) -> Result<(), Misuse> {
        self.may_send()?;
        if self.unfinished.is_some() { Err(Misuse::MessageUnfinished) } else { Ok(()) }
    }

    /// Whether a message can be sent now, and leaves as it is behind a header: neither masked nor
    /// compressed.
    #[must_use]
    pub fn sends_plain(&self) -> bool {
        self.role == Role::Server && self.deflating.is_none() && self.check().is_ok()
    }

    /// Whether [`Sender::prepared`] gives the frame that others have, too.
    #[must_use]
    pub fn shares(&self) -> bool {
        let takeover = self.deflating.as_ref().is_some_and(|it| it.takeover());
        self.role == Role::Server && !takeover
    }

    #[cold]
    fn message_compressed(
        &mut self,
        opcode: Opcode,
        payload: Payload<'_>,
        workspace: &mut Workspace,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        // Before the window takes note of the message: after that it has to be sent.
        let masking_key = self.masking_key(workspace)?;
        let mut compressed = workspace.take();
        let is_compressed = self.deflating.as_mut().is_some_and(|deflating| {
            deflating.compress(payload.as_bytes(), workspace, &mut compressed)
        });
        let bytes = if is_compressed { &compressed } else { payload.as_bytes() };
        workspace.traffic.frames_sent += 1;
        if is_compressed {
            workspace.traffic.compress(payload.as_bytes().len(), bytes.len());
        }
        append(true, is_compressed, opcode, masking_key, bytes, out);
        workspace.give(compressed);
        Ok(())
    }

    /// Sends a fragment of a message. The first one says the kind of it, and whether it is
    /// compressed: it is where compression was negotiated and this fragment is large enough. `fin`
    /// marks the last one. The fragments of a text end between characters, since each is a `str`;
    /// the RFC allows more.
    ///
    /// # Errors
    /// As [`Sender::message`]; [`Misuse::MessageUnfinished`] where the kind changes,
    /// [`Misuse::CompressionFailed`].
    pub fn fragment<'a>(
        &mut self,
        payload: impl Into<Payload<'a>>,
        fin: bool,
        workspace: &mut Workspace,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        let payload = payload.into();
        self.may_send()?;
        let kind = kind(payload);
        let first = self.unfinished.is_none();
        let opcode = match self.unfinished {
            None => kind.opcode(),
            Some(unfinished) if unfinished == kind => Opcode::Continuation,
            Some(_) => return Err(Misuse::MessageUnfinished),
        };
        workspace.traffic.frames_sent += 1;
        // Before the window takes note of it: after that it has to be sent.
        let masking_key = self.masking_key(workspace)?;
        let mut compressed = workspace.take();
        let part = payload.as_bytes();
        let done = self.deflating.as_mut().and_then(|deflating| {
            deflating.compress_part(part, first, fin, workspace, &mut compressed)
        });
        let sent = match done {
            Some(Ok(())) => {
                //= RFC 7692 6.1: An endpoint MUST NOT set the "Per-Message Compressed" bit of
                //= control frames and non-first fragments of a data message.
                workspace.traffic.compress(part.len(), compressed.len());
                append(fin, first, opcode, masking_key, &compressed, out);
                Ok(())
            }
            Some(Err(CompressError)) => Err(Misuse::CompressionFailed),
            None => {
                append(fin, false, opcode, masking_key, part, out);
                Ok(())
            }
        };
        workspace.give(compressed);
        sent?;
        self.unfinished = if fin { None } else { Some(kind) };
        Ok(())
    }

    /// Sends a fragment as [`Sender::fragment`] does. Of a message whose first fragment is sent so,
    /// nothing is compressed.
    ///
    /// # Errors
    /// As [`Sender::fragment`].
    pub fn fragment_uncompressed<'a>(
        &mut self,
        payload: impl Into<Payload<'a>>,
        fin: bool,
        workspace: &mut Workspace,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        if self.unfinished.is_some() {
            return self.fragment(payload, fin, workspace, out);
        }
        let deflating = self.deflating.take();
        let sent = self.fragment(payload, fin, workspace, out);
        self.deflating = deflating;
        sent
    }

    /// Sends a ping of at most 125 bytes; it may come between fragments.
    ///
    /// # Errors
    /// [`Misuse::ControlTooLong`], [`Misuse::Closing`], [`Misuse::MaskingKeysMissing`].
    pub fn ping(
        &mut self,
        payload: &[u8],
        workspace: &mut Workspace,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        self.may_send()?;
        self.control(Opcode::Ping, payload, workspace, out)?;
        workspace.traffic.pings_sent += 1;
        Ok(())
    }

    /// Sends a pong that no ping asked for, of at most 125 bytes (RFC 6455 section 5.5.3). Pings
    /// are answered by the receiver.
    ///
    /// # Errors
    /// As [`Sender::ping`].
    pub fn pong(
        &mut self,
        payload: &[u8],
        workspace: &mut Workspace,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        self.may_send()?;
        self.control(Opcode::Pong, payload, workspace, out)?;
        workspace.traffic.pongs_sent += 1;
        Ok(())
    }

    /// Begins the closing handshake. `code` is 1000 to 1003, 1007 to 1014 or 3000 to 4999, or
    /// `None` for a close frame that says nothing; `reason` has at most 123 bytes. A message that
    /// was sent in part stays unfinished, which the RFC allows.
    ///
    /// # Errors
    /// [`Misuse::CloseCode`], [`Misuse::CloseReasonTooLong`], [`Misuse::MaskingKeysMissing`], and
    /// [`Misuse::Closing`] where a close frame has been sent already.
    pub fn close(
        &mut self,
        close: Close<'_>,
        workspace: &mut Workspace,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        close.check()?;
        let (next, verdict) = self.closing.on(Step::SendClose);
        if verdict == Verdict::Ignore {
            return Err(Misuse::Closing);
        }
        self.close_frame(close, workspace, out)?;
        self.closing = next;
        Ok(())
    }

    /// _Fails the WebSocket connection_ (RFC 6455 section 7.1.7): the one place where a violation
    /// turns into a close frame.
    pub(crate) fn fail(
        &mut self,
        violation: Violation,
        workspace: &mut Workspace,
        out: &mut Vec<u8>,
    ) {
        let (next, verdict) = self.closing.on(Step::Violate);
        self.closing = next;
        if verdict == Verdict::ProceedAndClose {
            let close = Close { code: Some(violation.close_code()), reason: violation.reason() };
            // A client without masking keys has nothing to say; it fails all the same.
            let _unsent = self.close_frame(close, workspace, out);
        }
    }

    /// The connection below was lost: from here on nothing can be sent.
    pub fn abandon(&mut self) {
        self.closing = self.closing.on(Step::Lose).0;
    }

    /// The connection has ended: what the sender holds goes to other connections of `workspace`.
    pub fn retire(self, workspace: &mut Workspace) {
        if let Some(deflating) = self.deflating {
            deflating.retire(workspace);
        }
    }

    /// Takes note of the peer's close frame and answers it where that is due. `false` says that it
    /// came too late.
    pub(crate) fn receive_close(
        &mut self,
        close: Close<'_>,
        workspace: &mut Workspace,
        out: &mut Vec<u8>,
    ) -> bool {
        let (next, verdict) = self.closing.on(Step::ReceiveClose);
        self.closing = next;
        if verdict == Verdict::ProceedAndClose {
            //= RFC 6455 5.5.1: When sending a Close frame in response, the endpoint typically
            //= echos the status code it received.
            let echo = Close { code: close.code, reason: "" };
            let _unsent = self.close_frame(echo, workspace, out);
        }
        verdict != Verdict::Ignore
    }

    /// Answers a ping where that is due.
    pub(crate) fn receive_ping(
        &mut self,
        payload: &[u8],
        workspace: &mut Workspace,
        out: &mut Vec<u8>,
    ) {
        let (next, verdict) = self.closing.on(Step::SendPong);
        self.closing = next;
        if verdict == Verdict::Proceed {
            //= RFC 6455 5.5.3: A Pong frame sent in response to a Ping frame must have identical
            //= "Application data" as found in the message body of the Ping frame being replied to.
            if self.control(Opcode::Pong, payload, workspace, out).is_ok() {
                workspace.traffic.pongs_sent += 1;
            }
        }
    }

    /// Whether what has arrived is still to be handed over.
    #[inline]
    pub(crate) fn reads(&self) -> bool {
        self.closing.on(Step::Receive).1 == Verdict::Proceed
    }

    /// Whether a message is sent as it is, and nothing stands in its way.
    #[inline]
    const fn is_plain(&self) -> bool {
        matches!((self.role, self.closing), (Role::Server, Closing::Open))
            && self.unfinished.is_none()
            && self.deflating.is_none()
    }

    #[inline]
    fn may_send(&self) -> Result<(), Misuse> {
        match self.closing.on(Step::Send) {
            (_, Verdict::Proceed | Verdict::ProceedAndClose) => Ok(()),
            (_, Verdict::Ignore) => Err(Misuse::Closing),
        }
    }

    fn close_frame(
        &self,
        close: Close<'_>,
        workspace: &mut Workspace,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        let mut payload = [0; CONTROL_SIZE_MAX];
        let mut size = 0;
        if let Some(code) = close.code {
            payload[..2].copy_from_slice(&code.to_be_bytes());
            size = 2 + close.reason.len();
            payload
                .get_mut(2..size)
                .ok_or(Misuse::CloseReasonTooLong)?
                .copy_from_slice(close.reason.as_bytes());
        }
        self.control(Opcode::Close, &payload[..size], workspace, out)
    }

    fn control(
        &self,
        opcode: Opcode,
        payload: &[u8],
        workspace: &mut Workspace,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        if payload.len() > CONTROL_SIZE_MAX {
            return Err(Misuse::ControlTooLong);
        }
        self.frame(true, opcode, payload, workspace, out)
    }

    /// Appends one frame: header, then payload, masked where this side is a client.
    #[inline]
    fn frame(
        &self,
        fin: bool,
        opcode: Opcode,
        payload: &[u8],
        workspace: &mut Workspace,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        let masking_key = self.masking_key(workspace)?;
        workspace.traffic.frames_sent += 1;
        append(fin, false, opcode, masking_key, payload, out);
        Ok(())
    }

    #[inline]
    fn masking_key(&self, workspace: &mut Workspace) -> Result<Option<[u8; 4]>, Misuse> {
        match self.role {
            Role::Client => Ok(Some(workspace.masking_key()?)),
            Role::Server => Ok(None),
        }
    }
}

/// Appends the frame of a message whose length fits the second byte, without a mask.
///
/// The payload is copied in the words in which a mask of the same length has written it: to read
/// across two stores that are still under way stalls.
#[inline]
fn append_short(opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
    let [first, second] = Header::short(opcode, payload.len());
    let (chunks, rest) = payload.as_chunks::<16>();
    if let [chunk, chunks @ ..] = chunks {
        let mut begin = [0; 18];
        begin[0] = first;
        begin[1] = second;
        begin[2..].copy_from_slice(chunk);
        out.extend_from_slice(&begin);
        for chunk in chunks {
            out.extend_from_slice(chunk);
        }
    } else {
        out.extend_from_slice(&[first, second]);
    }
    let (chunks, rest) = rest.as_chunks::<8>();
    if let [chunk, ..] = chunks {
        out.extend_from_slice(chunk);
    }
    let (chunks, rest) = rest.as_chunks::<4>();
    if let [chunk, ..] = chunks {
        out.extend_from_slice(chunk);
    }
    if !rest.is_empty() {
        append_bytes(rest, out);
    }
}

/// Appends up to three bytes.
#[inline(never)]
fn append_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes.iter().take(3) {
        out.push(byte);
    }
}

#[inline]
fn append(
    fin: bool,
    compressed: bool,
    opcode: Opcode,
    masking_key: Option<[u8; 4]>,
    payload: &[u8],
    out: &mut Vec<u8>,
) {
    out.reserve(SIZE_MAX + payload.len());
    Header { fin, compressed, opcode, masking_key, length: payload.len() as u64 }.encode(out);
    let start = out.len();
    copy::append(out, payload);
    if let Some(key) = masking_key {
        mask::apply(&mut out[start..], key, 0);
    }
}

const fn kind(payload: Payload<'_>) -> Kind {
    match payload {
        Payload::Text(_) => Kind::Text,
        Payload::Binary(_) => Kind::Binary,
    }
}
