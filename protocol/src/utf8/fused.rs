//! The walk over a masked text, which is unmasked and validated in one pass.
//!
//! To unmask is to load, XOR and store, and the store is what it waits for; to validate is to load
//! and compute. Together they load once, and the one computes while the other stores.
//!
//! ```text
//!  text      ├─ head ─┤                                        ├─ tail ─┤
//!             as apart ├─ vector ─┼─ vector ─┼─ … ─┼─ vector ─┤  as apart
//!                      on vector boundaries
//! ```

use super::lookup::{Vectors, Walk};
use super::short;
use crate::mask::{self, rotated};

/// Unmasks a text of whole characters, and tells whether it is well-formed then.
#[inline(always)]
pub(super) fn walk<const W: usize, V: Vectors<W>>(vectors: V, text: &mut [u8], word: u32) -> bool {
    let mut walk = Walk::new(vectors);
    // To a vector boundary, because a store that crosses a cache line costs two.
    let skip = (W - text.as_ptr().addr() % W) % W;
    let (head, rest) = text.split_at_mut(skip.min(text.len()));
    unmask(head, word);
    if !short::is_ascii(head) {
        walk.head(head);
    }
    let word = rotated(word, skip);
    let key = vectors.splat_word(word);
    let (chunks, tail) = rest.as_chunks_mut::<W>();
    unmask(tail, word);
    let (quads, singles) = chunks.as_chunks_mut::<4>();
    for quad in quads {
        let unmasked = quad.each_mut().map(|chunk| {
            let vector = vectors.xor(vectors.load(chunk), key);
            vectors.store(chunk, vector);
            vector
        });
        let [a, b, c, d] = unmasked;
        if vectors.is_ascii(vectors.or(vectors.or(a, b), vectors.or(c, d))) {
            walk.ascii();
        } else {
            unmasked.into_iter().for_each(|vector| walk.vector(vector));
        }
    }
    for chunk in singles {
        let vector = vectors.xor(vectors.load(chunk), key);
        vectors.store(chunk, vector);
        walk.vector(vector);
    }
    if !short::is_ascii(tail) {
        walk.tail(tail);
    }
    walk.finish()
}

/// Only unmasks.
#[inline]
pub(super) fn unmask(bytes: &mut [u8], word: u32) {
    mask::apply(bytes, word.to_le_bytes(), 0);
}
