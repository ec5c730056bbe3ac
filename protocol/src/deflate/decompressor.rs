//! What gives a compressed message back (RFC 7692 section 7.2.2).

use alloc::boxed::Box;
use alloc::vec;
use core::fmt;

use zlib_rs::{Inflate, InflateError, InflateFlush, Status};

use super::TAIL;

/// Decompresses the messages of one direction of one connection.
///
/// Push what arrives with [`Decompressor::inflate`], in pieces of any size, and call
/// [`Decompressor::finish`] at the end of each message. The sink gets the message in chunks of at
/// most [`CHUNK_SIZE`](Self::CHUNK_SIZE) bytes while it is arriving, so that text is validated and
/// limits hold before all of it is there. After an error only [`Decompressor::reset`] helps.
///
/// There is one size of window, the largest: zlib-rs sets aside 32 KiB whatever is agreed, and a
/// larger window reads every stream made for a smaller one. Nor would it refuse what reaches
/// further back than the window that it is asked for: it holds distances against the 32 KiB. A peer
/// that goes beyond its agreed window is therefore read, at no cost to this side.
///
/// ```
/// use ringwire_protocol::deflate::{Bounds, DecompressError, Decompressor};
///
/// let mut decompressor = Decompressor::new();
/// let bounds = Bounds { size_max: 1 << 20, ratio_max: 1000 };
/// let mut message = Vec::new();
/// let mut sink = |chunk: &[u8]| {
///     message.extend_from_slice(chunk);
///     Ok::<(), ()>(())
/// };
/// decompressor.inflate(&[0xf2, 0x48, 0xcd], &bounds, &mut sink)?;
/// decompressor.inflate(&[0xc9, 0xc9, 0x07, 0x00], &bounds, &mut sink)?;
/// decompressor.finish(&bounds, true)?;
/// assert_eq!(message, b"Hello");
/// # Ok::<(), DecompressError<()>>(())
/// ```
pub struct Decompressor {
    inflate: Inflate,
    stream: Stream,
    /// Bytes of the message that have gone in.
    size_in: usize,
    /// Bytes of the message that have been handed over. `size_out <= bounds.size_max`.
    size_out: usize,
    /// `CHUNK_SIZE_IDLE` bytes, or `CHUNK_SIZE` once there was enough to fill them.
    chunk: Box<[u8]>,
    /// Bytes of `chunk` that the last step has written. `chunk_size <= chunk.len()`.
    chunk_size: usize,
    look: Look,
}

/// Whether a block that calls itself the last one has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    Running,
    Ended,
}

/// When the ratio is looked at: as all that so many bytes add to the message has been handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// When more bytes have gone in.
    Later,
    /// When what has gone in has come out.
    Due,
    /// In the next step.
    Next,
}

/// Whether a step has given all that its input holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// There may be more.
    Running,
    /// All of it: more must arrive, or the message ends here.
    Dry,
}

/// How large a message may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of the decompressed message. Not one more is handed over.
    pub size_max: usize,
    /// How many times the compressed size the decompressed one may be. It counts from
    /// [`Bounds::RATIO_FROM`] on, and is looked at after every 64 bytes of the compressed message
    /// and at its end, so that it does not matter in which pieces they come. `u32::MAX` turns it
    /// off. DEFLATE itself ends at 1032.
    pub ratio_max: u32,
}

impl Bounds {
    /// The decompressed size up to which the ratio does not matter: a message that repeats an
    /// earlier one is a few bytes, and harmless.
    pub const RATIO_FROM: usize = 64 << 10;
}

impl Decompressor {
    /// The largest chunk that the sink gets. zlib decodes the last 260 bytes before an end of its
    /// output one by one, so chunks of a quarter of this cost a tenth more time.
    pub const CHUNK_SIZE: usize = 32 << 10;

    /// A decompressor with an empty window.
    #[must_use]
    pub fn new() -> Self {
        Self {
            inflate: Inflate::new(false, WINDOW_BITS),
            stream: Stream::Running,
            size_in: 0,
            size_out: 0,
            chunk: chunk(CHUNK_SIZE_IDLE),
            chunk_size: 0,
            look: Look::Later,
        }
    }

    /// Decompresses a piece of a message's payload.
    ///
    /// # Errors
    ///
    /// [`DecompressError`]; the sink has got what came before.
    pub fn inflate<E>(
        &mut self,
        piece: &[u8],
        bounds: &Bounds,
        sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), DecompressError<E>> {
        let mut rest = piece;
        self.arrive(piece.len());
        loop {
            let flow = self.pull(&mut rest, Self::CHUNK_SIZE, bounds)?;
            if self.chunk_size > 0 {
                sink(self.chunk()).map_err(DecompressError::Sink)?;
            }
            if flow == Flow::Dry {
                return Ok(());
            }
        }
    }

    /// Takes note of `size` bytes that have arrived and are to be pulled from.
    pub(crate) fn arrive(&mut self, size: usize) {
        // What is worth compressing becomes twice as large at least.
        if size > CHUNK_SIZE_IDLE / 2 {
            self.outgrow();
        }
    }

    /// Decompresses one chunk, of at most `room` bytes, and takes what it needs of `input`. It is
    /// in [`chunk`](Self::chunk) then, and may be empty.
    ///
    /// This is how a message that grows a thousandfold is taken without holding it: whoever pulls
    /// decides when the next chunk comes. What came out before an error is a chunk before it.
    /// Otherwise what a message is found guilty of would depend on how it was cut.
    pub(crate) fn pull<E>(
        &mut self,
        input: &mut &[u8],
        room: usize,
        bounds: &Bounds,
    ) -> Result<Flow, DecompressError<E>> {
        if self.chunk_size == self.chunk.len() {
            self.outgrow();
        }
        self.chunk_size = 0;
        if self.look == Look::Next {
            self.check_ratio(bounds)?;
            self.look = Look::Later;
        }
        if self.stream == Stream::Ended {
            if input.is_empty() || self.look == Look::Due {
                return Ok(self.drained(input));
            }
            // A new stream begins at the next byte. Its window is empty: a compressor that has
            // finished its stream has begun another one just so.
            self.restart();
        }
        // When no byte is allowed any more, room for one shows whether there is one.
        let allowed = bounds.size_max.saturating_sub(self.size_out);
        let room = room.min(self.chunk.len()).min(allowed).max(1);
        let looks = bounds.ratio_max != u32::MAX;
        let until_look = match self.look {
            Look::Later if !looks => input.len(),
            Look::Later => LOOK_EVERY - self.size_in % LOOK_EVERY,
            Look::Due | Look::Next => 0,
        };
        let part = input.get(..until_look).unwrap_or(input);
        let output = self.chunk.get_mut(..room).unwrap_or_default();
        let (taken, written, status) = step(&mut self.inflate, part, output, InflateFlush::NoFlush);
        let is_taken = taken == part.len();
        *input = input.get(taken..).unwrap_or_default();
        self.size_in = self.size_in.saturating_add(taken);
        if looks && taken > 0 && taken == until_look {
            self.look = Look::Due;
        }
        if written > allowed {
            return Err(DecompressError::TooBig);
        }
        self.size_out += written;
        self.chunk_size = written;
        match status {
            Err(_) if written > 0 => Ok(Flow::Running),
            Err(_) => Err(DecompressError::Corrupt),
            Ok(Status::StreamEnd) => {
                self.stream = Stream::Ended;
                Ok(if is_taken { self.drained(input) } else { Flow::Running })
            }
            Ok(_) if written < room && is_taken => Ok(self.drained(input)),
            // Of what is left, or of the room, zlib must have used something.
            Ok(_) if written == 0 && taken == 0 => Err(DecompressError::Corrupt),
            Ok(_) => Ok(Flow::Running),
        }
    }

    /// What the last step gave, until the next one.
    pub(crate) fn chunk(&mut self) -> &mut [u8] {
        self.chunk.get_mut(..self.chunk_size).unwrap_or_default()
    }

    /// Ends the message. Without `takeover` the window is forgotten.
    ///
    /// Nothing is left to hand over: the last chunk came with the last piece.
    ///
    /// # Errors
    ///
    /// [`DecompressError::Corrupt`] where the message is cut short, or does not end as the RFC
    /// has it: with an empty block without compression, or with a last block;
    /// [`DecompressError::TooDense`].
    pub fn finish<E>(&mut self, bounds: &Bounds, takeover: bool) -> Result<(), DecompressError<E>> {
        self.end(bounds, takeover)?;
        if takeover {
            self.shrink();
        }
        Ok(())
    }

    /// As [`finish`](Self::finish), while the last chunk is still to be used.
    pub(crate) fn end<E>(
        &mut self,
        bounds: &Bounds,
        takeover: bool,
    ) -> Result<(), DecompressError<E>> {
        self.check_ratio(bounds)?;
        if self.stream == Stream::Running {
            //= RFC 7692 7.2.2: Append 4 octets of 0x00 0x00 0xff 0xff to the tail end of the
            //= payload of the message.
            let [a, b, c, d] = TAIL;
            // With `Block` zlib stops where a block ends. If it leaves just the fifth byte, the
            // tail was the end of the empty block that it has to be, and not data of another one.
            let probe = [a, b, c, d, 0];
            // Nothing may come out, so little room is enough.
            let (taken, written, status) =
                step(&mut self.inflate, &probe, &mut [0; 8], InflateFlush::Block);
            let goes_on = status.is_ok_and(|status| status != Status::StreamEnd);
            if taken != TAIL.len() || written != 0 || !goes_on {
                return Err(DecompressError::Corrupt);
            }
        }
        (self.size_in, self.size_out, self.look) = (0, 0, Look::Later);
        if !takeover || self.stream == Stream::Ended {
            self.restart();
        }
        Ok(())
    }

    /// Keeps little memory: a connection of its own holds this decompressor between its messages.
    pub(crate) fn shrink(&mut self) {
        self.chunk_size = 0;
        if self.chunk.len() > CHUNK_SIZE_IDLE {
            self.chunk = chunk(CHUNK_SIZE_IDLE);
        }
    }

    /// Forgets everything, also an error, as for another connection.
    pub fn reset(&mut self) {
        (self.size_in, self.size_out, self.look) = (0, 0, Look::Later);
        self.chunk_size = 0;
        self.restart();
    }

    fn outgrow(&mut self) {
        if self.chunk.len() < Self::CHUNK_SIZE {
            self.chunk = chunk(Self::CHUNK_SIZE);
        }
    }

    fn restart(&mut self) {
        self.inflate.reset(false);
        self.stream = Stream::Running;
    }

    /// All that has gone in has come out.
    fn drained(&mut self, input: &[u8]) -> Flow {
        if self.look == Look::Due {
            self.look = Look::Next;
            return Flow::Running;
        }
        if input.is_empty() { Flow::Dry } else { Flow::Running }
    }

    /// Compares what has come out with what has gone in.
    fn check_ratio<E>(&self, bounds: &Bounds) -> Result<(), DecompressError<E>> {
        let ratio_max = usize::try_from(bounds.ratio_max).unwrap_or(usize::MAX);
        let dense = self.size_out > self.size_in.saturating_mul(ratio_max);
        if dense && self.size_out > Bounds::RATIO_FROM {
            return Err(DecompressError::TooDense);
        }
        Ok(())
    }
}

/// One call of zlib: bytes taken, bytes written. With an error, those before it.
fn step(
    inflate: &mut Inflate,
    input: &[u8],
    output: &mut [u8],
    flush: InflateFlush,
) -> (usize, usize, Result<Status, InflateError>) {
    let (before_in, before_out) = (inflate.total_in(), inflate.total_out());
    let status = inflate.decompress(input, output, flush);
    let taken = usize::try_from(inflate.total_in() - before_in).unwrap_or(0);
    let written = usize::try_from(inflate.total_out() - before_out).unwrap_or(0);
    (taken, written, status)
}

impl Default for Decompressor {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Decompressor")
            .field("stream", &self.stream)
            .field("size_in", &self.size_in)
            .field("size_out", &self.size_out)
            .finish_non_exhaustive()
    }
}

/// Why a message cannot be decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecompressError<E> {
    /// It is larger than [`Bounds::size_max`].
    TooBig,
    /// It grows by more than [`Bounds::ratio_max`].
    TooDense,
    /// It is not what a compressor writes, or not all of it.
    Corrupt,
    /// The sink refused a chunk.
    Sink(E),
}

impl<E> fmt::Display for DecompressError<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::TooBig => "the decompressed message is too big",
            Self::TooDense => "the message grows too much when it is decompressed",
            Self::Corrupt => "the compressed message is corrupt",
            Self::Sink(_) => "the decompressed message was refused",
        })
    }
}

impl<E: fmt::Debug> core::error::Error for DecompressError<E> {}

const WINDOW_BITS: u8 = 15;

/// Compressed bytes from one look at the ratio to the next. They add at most 64 KiB and a little,
/// as much as [`Bounds::RATIO_FROM`] lets pass in any case.
const LOOK_EVERY: usize = 64;

/// Bytes of the chunk of a decompressor that waits for its next message: most fit at once.
const CHUNK_SIZE_IDLE: usize = 8 << 10;

fn chunk(size: usize) -> Box<[u8]> {
    vec![0; size].into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deflate::{Compressor, Settings};

    #[test]
    fn a_large_chunk_goes_with_its_message() {
        const WIDE: Bounds = Bounds { size_max: usize::MAX, ratio_max: u32::MAX };
        let settings = Settings { window_bits: 15, memory_level: 8, level: 1 };
        let mut compressor = Compressor::new(settings).unwrap();
        let mut decompressor = Decompressor::new();
        for (size, takeover) in [(8 << 10, true), (100_000, true), (64, true), (100_000, false)] {
            let mut payload = vec![];
            compressor.compress(&vec![b'x'; size], takeover, &mut payload).unwrap();
            let (mut sizes, mut largest) = (0, 0);
            let mut sink = |chunk: &[u8]| {
                (sizes, largest) = (sizes + chunk.len(), largest.max(chunk.len()));
                Ok::<(), ()>(())
            };
            decompressor.inflate(&payload, &WIDE, &mut sink).unwrap();
            assert_eq!((sizes, largest), (size, size.min(Decompressor::CHUNK_SIZE)));
            decompressor.finish::<()>(&WIDE, takeover).unwrap();
            let kept = if takeover { CHUNK_SIZE_IDLE } else { Decompressor::CHUNK_SIZE };
            assert_eq!(decompressor.chunk.len(), kept);
        }
    }
}
