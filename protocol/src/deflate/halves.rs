//! What the two halves of a connection add where compression was negotiated.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{
    Agreed, Bounds, CompressError, Compressor, DecompressError, Decompressor, Flow, Policy,
    Settings,
};
use crate::utf8::InvalidUtf8;
use crate::{Limits, Violation, Workspace};

/// The receiver's part: the message that arrives compressed.
///
/// `begin` at its first frame, `arrive` for each piece of payload and `pull` until it is dry,
/// `finish` after the last one, and `release` when the message has been used. `size_max` is what
/// the message may become.
#[derive(Debug)]
pub(crate) struct Inflating {
    agreed: Agreed,
    takeover: bool,
    ratio_max: u32,
    /// Whether the message that is arriving is compressed.
    is_active: bool,
    /// Bytes of it that have arrived, compressed, without those that are too many.
    size: usize,
    /// Bytes at the start of the input that have arrived, unmasked, and have not been pulled.
    ready: usize,
    /// The last of those: there are more than a message may take. `excess <= ready`.
    excess: usize,
    /// Whether the last pull left something that needs no more input.
    holds_more: bool,
    /// Held between messages with takeover only, and not before the first compressed one.
    decompressor: Option<Box<Decompressor>>,
}

impl Inflating {
    pub(crate) const fn new(agreed: Agreed, takeover: bool, ratio_max: u32) -> Self {
        Self {
            agreed,
            takeover,
            ratio_max,
            is_active: false,
            size: 0,
            ready: 0,
            excess: 0,
            holds_more: false,
            decompressor: None,
        }
    }

    pub(crate) const fn is_active(&self) -> bool {
        self.is_active
    }

    /// What it was made with.
    pub(crate) const fn agreed(&self) -> (Agreed, u32) {
        (self.agreed, self.ratio_max)
    }

    /// Whether what comes may refer to what has come before.
    pub(crate) const fn holds_window(&self) -> bool {
        self.takeover && self.decompressor.is_some()
    }

    pub(crate) fn begin(&mut self, workspace: &mut Workspace) {
        self.is_active = true;
        (self.size, self.ready, self.excess) = (0, 0, 0);
        self.holds_more = false;
        if self.decompressor.is_none() {
            self.decompressor = Some(workspace.pool().decompressor());
        }
    }

    /// Bytes at the start of the input that have arrived and have not been pulled.
    pub(crate) const fn ready(&self) -> usize {
        self.ready
    }

    /// Takes note of a piece that lies, unmasked, behind those that are ready.
    pub(crate) fn arrive(&mut self, size: usize, size_max: usize) {
        // What is wrong with the bytes before one too many comes first, however they were cut.
        let room = compressed_max(size_max).saturating_sub(self.size);
        let counted = size.min(room);
        self.size += counted;
        self.ready += size;
        self.excess += size - counted;
        if let Some(decompressor) = &mut self.decompressor {
            decompressor.arrive(counted);
        }
    }

    /// Decompresses the next chunk, of at most `room` bytes, out of what is `ready`: how many bytes
    /// of that it took.
    pub(crate) fn pull(
        &mut self,
        ready: &[u8],
        room: usize,
        size_max: usize,
    ) -> Result<(usize, Flow), Violation> {
        let Some(decompressor) = &mut self.decompressor else { return Ok((0, Flow::Dry)) };
        let bounds = Bounds { size_max, ratio_max: self.ratio_max };
        let allowed = ready.get(..ready.len().saturating_sub(self.excess)).unwrap_or_default();
        let mut rest = allowed;
        let flow = decompressor.pull(&mut rest, room, &bounds).map_err(violation)?;
        let taken = allowed.len() - rest.len();
        self.ready = self.ready.saturating_sub(taken);
        self.holds_more = flow == Flow::Running;
        Ok((taken, flow))
    }

    /// Whether there may be another chunk though no more bytes have arrived.
    pub(crate) const fn holds_more(&self) -> bool {
        self.is_active && self.holds_more
    }

    /// What the last pull gave, until the next one.
    pub(crate) fn chunk(&mut self) -> &mut [u8] {
        self.decompressor.as_mut().map_or(&mut [], |held| held.chunk())
    }

    /// After a pull that has come dry: whether more bytes have arrived than a message may take.
    pub(crate) const fn check(&self) -> Result<(), Violation> {
        if self.excess == 0 { Ok(()) } else { Err(Violation::MessageTooBig) }
    }

    /// Ends the message, of at most `size_max` bytes. A chunk of it may still be lent.
    pub(crate) fn finish(&mut self, size_max: usize) -> Result<(), Violation> {
        self.is_active = false;
        let bounds = Bounds { size_max, ratio_max: self.ratio_max };
        match &mut self.decompressor {
            Some(decompressor) => decompressor.end(&bounds, self.takeover).map_err(violation),
            None => Ok(()),
        }
    }

    /// The message has been used: what the next one does not need is given back.
    pub(crate) fn release(&mut self, workspace: &mut Workspace) {
        if self.is_active {
            return;
        }
        match &mut self.decompressor {
            Some(decompressor) if self.takeover => decompressor.shrink(),
            _ => self.stop(workspace),
        }
    }

    /// Gives the memory back.
    pub(crate) fn stop(&mut self, workspace: &mut Workspace) {
        self.is_active = false;
        if let Some(decompressor) = self.decompressor.take() {
            workspace.pool().give_decompressor(decompressor);
        }
    }
}

/// The bound of a message that is handed over in chunks, as far as this machine can count.
pub(crate) fn streamed_max(limits: &Limits) -> usize {
    usize::try_from(limits.streamed_size_max).unwrap_or(usize::MAX)
}

fn violation(error: DecompressError<InvalidUtf8>) -> Violation {
    match error {
        DecompressError::TooBig | DecompressError::TooDense => Violation::MessageTooBig,
        DecompressError::Corrupt => Violation::CompressionCorrupt,
        DecompressError::Sink(error) => error.into(),
    }
}

/// What a message of `size` bytes may take when it is compressed: DEFLATE adds five bytes to a
/// block that it only stores. More are blocks without content, of which a stream can have any
/// number.
const fn compressed_max(size: usize) -> usize {
    size.saturating_add(size / 8).saturating_add(4 << 10)
}

/// The sender's part.
#[derive(Debug)]
pub(crate) struct Deflating {
    settings: Settings,
    takeover: bool,
    policy: Policy,
    /// Held between messages with takeover only, and not before the first compressed one.
    compressor: Option<Box<Compressor>>,
    /// Whether the message that is being sent in fragments is compressed.
    is_active: bool,
}

impl Deflating {
    pub(crate) const fn new(settings: Settings, takeover: bool, policy: Policy) -> Self {
        Self { settings, takeover, policy, compressor: None, is_active: false }
    }

    /// What it was made with.
    pub(crate) const fn policy(&self) -> Policy {
        self.policy
    }

    /// Whether a message's payload depends on those before it.
    pub(crate) const fn takeover(&self) -> bool {
        self.takeover
    }

    /// What it compresses with.
    pub(crate) const fn settings(&self) -> Settings {
        self.settings
    }

    /// Whether a message of `size` bytes is worth compressing.
    pub(crate) const fn takes(&self, size: usize) -> bool {
        size >= self.policy.size_min
    }

    /// Appends the compressed payload to `out`. `false`, with `out` to be ignored, where the
    /// message is to go out uncompressed.
    pub(crate) fn compress(
        &mut self,
        message: &[u8],
        workspace: &mut Workspace,
        out: &mut Vec<u8>,
    ) -> bool {
        if !self.takes(message.len()) {
            return false;
        }
        let held = self.compressor.take();
        let Some(mut compressor) = held.or_else(|| workspace.pool().compressor(self.settings))
        else {
            return false;
        };
        let done = compressor.compress(message, self.takeover, out).is_ok();
        if self.takeover {
            self.compressor = Some(compressor);
            return done;
        }
        workspace.pool().give_compressor(compressor);
        // With takeover the peer needs it for its window; without, the smaller one goes.
        done && out.len() < message.len()
    }

    /// Appends the compressed payload of a fragment to `out`. `None`, with `out` as it was, where
    /// the message goes out uncompressed: its first fragment decides.
    pub(crate) fn compress_part(
        &mut self,
        part: &[u8],
        first: bool,
        last: bool,
        workspace: &mut Workspace,
        out: &mut Vec<u8>,
    ) -> Option<Result<(), CompressError>> {
        if first {
            self.is_active = self.takes(part.len());
        }
        if !self.is_active {
            return None;
        }
        let held = self.compressor.take();
        let mut compressor = held.or_else(|| workspace.pool().compressor(self.settings))?;
        let done = compressor.compress_part(part, last, self.takeover, out);
        self.is_active = !last;
        if last && !self.takeover {
            workspace.pool().give_compressor(compressor);
        } else {
            self.compressor = Some(compressor);
        }
        Some(done)
    }

    /// Gives the memory back.
    pub(crate) fn retire(self, workspace: &mut Workspace) {
        if let Some(compressor) = self.compressor {
            workspace.pool().give_compressor(compressor);
        }
    }
}
