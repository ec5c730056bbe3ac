//! Words of 64 bits, for machines without vectors.

use super::{short, vectors, vectors::Vectors};

/// Needs no proof.
#[derive(Clone, Copy, Debug)]
pub(super) struct Portable;

impl Portable {
    /// `word` holds the key, its first byte to apply in the lowest eight bits.
    pub(super) fn apply(self, payload: &mut [u8], word: u32) {
        if payload.len() <= short::SIZE_MAX {
            return short::apply(payload, word);
        }
        vectors::apply::<8, Self>(self, payload, word);
    }
}

impl Vectors<8> for Portable {
    type Vector = u64;

    #[inline(always)]
    fn splat(self, word: u32) -> u64 {
        u64::from(word) << 32 | u64::from(word)
    }

    #[inline(always)]
    fn load(self, from: &[u8; 8]) -> u64 {
        u64::from_le_bytes(*from)
    }

    #[inline(always)]
    fn store(self, to: &mut [u8; 8], vector: u64) {
        *to = vector.to_le_bytes();
    }

    #[inline(always)]
    fn xor(self, left: u64, right: u64) -> u64 {
        left ^ right
    }
}
