//! The walk over a payload, written once for every width.

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

/// Masks a payload of at least `W` bytes; a shorter one is left to the caller and untouched.
#[inline(always)]
pub(super) fn apply<const W: usize, V: Vectors<W>>(vectors: V, payload: &mut [u8], word: u32) {
    let size = payload.len();
    let (Some(head), Some(tail)) = (payload.first_chunk::<W>(), payload.last_chunk::<W>()) else {
        return;
    };
    let head = vectors.xor(vectors.load(head), vectors.splat(word));
    let tail = vectors.xor(vectors.load(tail), vectors.splat(rotated(word, size - W)));
    if size > 2 * W {
        between(vectors, payload, word);
    }
    if let Some(to) = payload.first_chunk_mut::<W>() {
        vectors.store(to, head);
    }
    if let Some(to) = payload.last_chunk_mut::<W>() {
        vectors.store(to, tail);
    }
}

/// Masks what lies between head and tail, and, where they overlap it, bytes of theirs: those are
/// written again.
///
/// Begins at the first vector boundary, because a store that crosses a cache line costs two.
#[inline(always)]
fn between<const W: usize, V: Vectors<W>>(vectors: V, payload: &mut [u8], word: u32) {
    let skip = W - payload.as_ptr().addr() % W;
    let key = vectors.splat(rotated(word, skip));
    let Some(aligned) = payload.get_mut(skip..) else { return };
    let (whole, _) = aligned.as_chunks_mut::<W>();
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
}
