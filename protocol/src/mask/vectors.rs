//! The walk over a payload, written once for every width.

use super::short;
use super::word::rotated;

/// The operations of one instruction set on vectors of `W` bytes.
///
/// Implemented by the capability itself, so that whoever holds a value may call the methods, and
/// the walk below needs no `unsafe`. The methods are inlined into a function that is compiled for
/// the instruction set.
pub(super) trait Vectors<const W: usize>: Copy {
    /// A register.
    type Vector: Copy;

    /// The word repeated, its lowest byte first in memory.
    fn splat(self, word: u32) -> Self::Vector;
    /// Reads at any alignment.
    fn load(self, from: &[u8; W]) -> Self::Vector;
    /// Writes at any alignment.
    fn store(self, to: &mut [u8; W], vector: Self::Vector);
    /// Bit by bit.
    fn xor(self, left: Self::Vector, right: Self::Vector) -> Self::Vector;
}

/// Masks a payload of any size.
#[inline(always)]
pub(super) fn apply<const W: usize, V: Vectors<W>>(vectors: V, payload: &mut [u8], word: u32) {
    if payload.len() < ALIGNED_SIZE_MIN {
        return from_start(vectors, payload, word);
    }
    let skip = (W - payload.as_ptr().addr() % W) % W;
    let (head, aligned) = payload.split_at_mut(skip);
    short::apply(head, word);
    from_start(vectors, aligned, rotated(word, skip));
}

/// Masks whole vectors, and what remains in words.
#[inline(always)]
fn from_start<const W: usize, V: Vectors<W>>(vectors: V, payload: &mut [u8], word: u32) {
    let key = vectors.splat(word);
    let (whole, tail) = payload.as_chunks_mut::<W>();
    let (quads, rest) = whole.as_chunks_mut::<4>();
    for [a, b, c, d] in quads {
        vectors.store(a, vectors.xor(vectors.load(a), key));
        vectors.store(b, vectors.xor(vectors.load(b), key));
        vectors.store(c, vectors.xor(vectors.load(c), key));
        vectors.store(d, vectors.xor(vectors.load(d), key));
    }
    for chunk in rest {
        vectors.store(chunk, vectors.xor(vectors.load(chunk), key));
    }
    if !tail.is_empty() {
        short::apply(tail, word);
    }
}

/// From this size on, in bytes, it pays to begin at a vector boundary: a store that crosses a cache
/// line costs two.
pub(super) const ALIGNED_SIZE_MIN: usize = 512;
