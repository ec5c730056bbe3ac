//! What the two halves of a connection add where compression was negotiated.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Bounds, CompressError, Compressor, DecompressError, Decompressor, Settings};
use crate::message::Assembler;
use crate::pieces::Outlook;
use crate::utf8::InvalidUtf8;
use crate::{Limits, Violation, Workspace};

/// The receiver's part: the message that arrives compressed.
///
/// `begin` at its first frame, `push` for each piece of payload, `finish` after the last one.
#[derive(Debug)]
pub(crate) struct Inflating {
    takeover: bool,
    ratio_max: u32,
    /// Whether the message that is arriving is compressed.
    is_active: bool,
    /// Bytes of it that have arrived, compressed.
    size: usize,
    /// Held between messages with takeover only, and not before the first compressed one.
    decompressor: Option<Box<Decompressor>>,
}

impl Inflating {
    pub(crate) const fn new(takeover: bool, ratio_max: u32) -> Self {
        Self { takeover, ratio_max, is_active: false, size: 0, decompressor: None }
    }

    pub(crate) const fn is_active(&self) -> bool {
        self.is_active
    }

    pub(crate) fn begin(&mut self, workspace: &mut Workspace) {
        self.is_active = true;
        self.size = 0;
        if self.decompressor.is_none() {
            self.decompressor = Some(workspace.pool().decompressor());
        }
    }

    /// Decompresses into the message, which validates text as it comes.
    pub(crate) fn push(
        &mut self,
        piece: &[u8],
        assembler: &mut Assembler,
        limits: &Limits,
    ) -> Result<(), Violation> {
        let Some(decompressor) = &mut self.decompressor else { return Ok(()) };
        let bounds = bounds(limits, self.ratio_max);
        let size_max = bounds.size_max;
        // What is wrong with the bytes before one too many comes first, however they were cut.
        let room = compressed_max(size_max).saturating_sub(self.size);
        let (piece, excess) = piece.split_at(piece.len().min(room));
        self.size += piece.len();
        let mut sink = |chunk: &[u8]| {
            let rest = size_max.saturating_sub(assembler.size() + chunk.len());
            assembler.push(chunk, Outlook::AtMost(rest))
        };
        decompressor.inflate(piece, &bounds, &mut sink).map_err(violation)?;
        if excess.is_empty() { Ok(()) } else { Err(Violation::MessageTooBig) }
    }

    pub(crate) fn finish(&mut self, workspace: &mut Workspace) -> Result<(), Violation> {
        self.is_active = false;
        if let Some(decompressor) = &mut self.decompressor {
            let bounds = bounds(workspace.limits(), self.ratio_max);
            decompressor.finish(&bounds, self.takeover).map_err(violation)?;
        }
        if !self.takeover {
            self.stop(workspace);
        }
        Ok(())
    }

    /// Gives the memory back.
    pub(crate) fn stop(&mut self, workspace: &mut Workspace) {
        self.is_active = false;
        if let Some(decompressor) = self.decompressor.take() {
            workspace.pool().give_decompressor(decompressor);
        }
    }
}

const fn bounds(limits: &Limits, ratio_max: u32) -> Bounds {
    Bounds { size_max: limits.message_size_max, ratio_max }
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
    size_min: usize,
    /// Held between messages with takeover only, and not before the first compressed one.
    compressor: Option<Box<Compressor>>,
    /// Whether the message that is being sent in fragments is compressed.
    is_active: bool,
}

impl Deflating {
    pub(crate) const fn new(settings: Settings, takeover: bool, size_min: usize) -> Self {
        Self { settings, takeover, size_min, compressor: None, is_active: false }
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
        size >= self.size_min
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
