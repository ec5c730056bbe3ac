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
    /// Bytes of the message that the sink has got. `size_out <= bounds.size_max`.
    size_out: usize,
    /// `CHUNK_SIZE_IDLE` bytes, or `CHUNK_SIZE` once there was enough to fill them.
    chunk: Box<[u8]>,
}

/// Whether a block that calls itself the last one has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    Running,
    Ended,
}

/// How large a message may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of the decompressed message. Not one more reaches the sink.
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
        // What is worth compressing becomes twice as large at least.
        if piece.len() > CHUNK_SIZE_IDLE / 2 {
            self.outgrow();
        }
        while !rest.is_empty() {
            let until_look = match bounds.ratio_max {
                u32::MAX => rest.len(),
                _ => LOOK_EVERY - self.size_in % LOOK_EVERY,
            };
            let (part, after) = rest.split_at(rest.len().min(until_look));
            self.drain(part, bounds, sink)?;
            self.size_in = self.size_in.saturating_add(part.len());
            rest = after;
            if part.len() == until_look {
                self.look(bounds)?;
            }
        }
        Ok(())
    }

    /// Hands over everything that `part` adds to the message.
    fn drain<E>(
        &mut self,
        part: &[u8],
        bounds: &Bounds,
        sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), DecompressError<E>> {
        let mut rest = part;
        loop {
            if self.stream == Stream::Ended {
                if rest.is_empty() {
                    return Ok(());
                }
                // A new stream begins at the next byte. Its window is empty: a compressor that
                // has finished its stream has begun another one just so.
                self.restart();
            }
            // One byte more than allowed, to see whether there is one.
            let room = (bounds.size_max.saturating_sub(self.size_out)).saturating_add(1);
            let room = room.min(self.chunk.len());
            let (taken, written, status) = self.step(rest, room, InflateFlush::NoFlush);
            rest = rest.get(taken..).unwrap_or_default();
            // What came out before an error counts before it. Otherwise what a message is found
            // guilty of would depend on how it was cut.
            self.deliver(written, bounds, sink)?;
            if written == self.chunk.len() {
                self.outgrow();
            }
            match status {
                Err(_) => return Err(DecompressError::Corrupt),
                Ok(Status::StreamEnd) => self.stream = Stream::Ended,
                Ok(_) if written < room && rest.is_empty() => return Ok(()),
                // Of what is left, or of the room, zlib must have used something.
                Ok(_) if written == 0 && taken == 0 => return Err(DecompressError::Corrupt),
                Ok(_) => {}
            }
        }
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
        self.look(bounds)?;
        if self.stream == Stream::Running {
            //= RFC 7692 7.2.2: Append 4 octets of 0x00 0x00 0xff 0xff to the tail end of the
            //= payload of the message.
            let [a, b, c, d] = TAIL;
            // With `Block` zlib stops where a block ends. If it leaves just the fifth byte, the
            // tail was the end of the empty block that it has to be, and not data of another one.
            let probe = [a, b, c, d, 0];
            let room = self.chunk.len();
            let (taken, written, status) = self.step(&probe, room, InflateFlush::Block);
            let goes_on = status.is_ok_and(|status| status != Status::StreamEnd);
            if taken != TAIL.len() || written != 0 || !goes_on {
                return Err(DecompressError::Corrupt);
            }
        }
        (self.size_in, self.size_out) = (0, 0);
        if takeover && self.chunk.len() > CHUNK_SIZE_IDLE {
            // A connection of its own holds this decompressor between its messages.
            self.chunk = chunk(CHUNK_SIZE_IDLE);
        }
        if !takeover || self.stream == Stream::Ended {
            self.restart();
        }
        Ok(())
    }

    /// Forgets everything, also an error, as for another connection.
    pub fn reset(&mut self) {
        (self.size_in, self.size_out) = (0, 0);
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

    /// One call of zlib, into the first `room` bytes of the chunk: bytes taken, bytes written. With
    /// an error, those before it.
    fn step(
        &mut self,
        input: &[u8],
        room: usize,
        flush: InflateFlush,
    ) -> (usize, usize, Result<Status, InflateError>) {
        let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
        let output = self.chunk.get_mut(..room).unwrap_or_default();
        let status = self.inflate.decompress(input, output, flush);
        let taken = usize::try_from(self.inflate.total_in() - before_in).unwrap_or(0);
        let written = usize::try_from(self.inflate.total_out() - before_out).unwrap_or(0);
        (taken, written, status)
    }

    /// Hands over what has been written, as far as it is allowed.
    fn deliver<E>(
        &mut self,
        written: usize,
        bounds: &Bounds,
        sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), DecompressError<E>> {
        let allowed = written.min(bounds.size_max.saturating_sub(self.size_out));
        self.size_out += allowed;
        let chunk = self.chunk.get(..allowed).unwrap_or_default();
        if !chunk.is_empty() {
            sink(chunk).map_err(DecompressError::Sink)?;
        }
        if written > allowed { Err(DecompressError::TooBig) } else { Ok(()) }
    }

    /// Compares what has come out with what has gone in.
    fn look<E>(&self, bounds: &Bounds) -> Result<(), DecompressError<E>> {
        let ratio_max = usize::try_from(bounds.ratio_max).unwrap_or(usize::MAX);
        let dense = self.size_out > self.size_in.saturating_mul(ratio_max);
        if dense && self.size_out > Bounds::RATIO_FROM {
            return Err(DecompressError::TooDense);
        }
        Ok(())
    }
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
