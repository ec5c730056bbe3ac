//! Vectors of 16 bytes, which every x86-64 has.
#![expect(unsafe_code, reason = "instructions that only detection can prove present")]

use core::arch::x86_64::{
    __m128i, _mm_loadu_si128, _mm_set1_epi32, _mm_storeu_si128, _mm_xor_si128,
};

use super::{short, vectors, vectors::Vectors};

/// Proof that this machine has SSE2.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sse2(());

impl Sse2 {
    /// The only way to make one.
    pub(super) fn detect() -> Option<Self> {
        #[cfg(feature = "std")]
        let present = std::arch::is_x86_feature_detected!("sse2");
        #[cfg(not(feature = "std"))]
        let present = cfg!(target_feature = "sse2");
        present.then_some(Self(()))
    }

    /// `word` holds the key, its first byte to apply in the lowest eight bits.
    pub(super) fn apply(self, payload: &mut [u8], word: u32) {
        if payload.len() <= short::SIZE_MAX {
            return short::apply(payload, word);
        }
        // SAFETY: `self` proves the features.
        unsafe { self.apply_long(payload, word) }
    }

    #[target_feature(enable = "sse2")]
    fn apply_long(self, payload: &mut [u8], word: u32) {
        vectors::apply::<16, Self>(self, payload, word);
    }
}

impl Vectors<16> for Sse2 {
    type Vector = __m128i;

    #[inline(always)]
    fn splat(self, word: u32) -> __m128i {
        // SAFETY: `self` proves the features.
        unsafe { _mm_set1_epi32(word.cast_signed()) }
    }

    #[inline(always)]
    fn load(self, from: &[u8; 16]) -> __m128i {
        // SAFETY: `self` proves the features; the array is as long as the vector, at any alignment.
        unsafe { _mm_loadu_si128(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, to: &mut [u8; 16], vector: __m128i) {
        // SAFETY: `self` proves the features; the array is as long as the vector, at any alignment.
        unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), vector) }
    }

    #[inline(always)]
    fn xor(self, left: __m128i, right: __m128i) -> __m128i {
        // SAFETY: `self` proves the features.
        unsafe { _mm_xor_si128(left, right) }
    }
}
