//! Vectors of 32 bytes.
#![expect(unsafe_code, reason = "instructions that only detection can prove present")]

use core::arch::x86_64::{
    __m256i, _mm256_loadu_si256, _mm256_set1_epi32, _mm256_storeu_si256, _mm256_xor_si256,
};

use super::{short, vectors, vectors::Vectors};

/// Proof that this machine has AVX2.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx2(());

impl Avx2 {
    /// The only way to make one.
    pub(super) fn detect() -> Option<Self> {
        #[cfg(feature = "std")]
        let present = std::arch::is_x86_feature_detected!("avx2");
        #[cfg(not(feature = "std"))]
        let present = cfg!(target_feature = "avx2");
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

    #[target_feature(enable = "avx2")]
    fn apply_long(self, payload: &mut [u8], word: u32) {
        vectors::apply::<32, Self>(self, payload, word);
    }
}

impl Vectors<32> for Avx2 {
    type Vector = __m256i;

    #[inline(always)]
    fn splat(self, word: u32) -> __m256i {
        // SAFETY: `self` proves the features.
        unsafe { _mm256_set1_epi32(word.cast_signed()) }
    }

    #[inline(always)]
    fn load(self, from: &[u8; 32]) -> __m256i {
        // SAFETY: `self` proves the features; the array is as long as the vector, at any alignment.
        unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, to: &mut [u8; 32], vector: __m256i) {
        // SAFETY: `self` proves the features; the array is as long as the vector, at any alignment.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), vector) }
    }

    #[inline(always)]
    fn xor(self, left: __m256i, right: __m256i) -> __m256i {
        // SAFETY: `self` proves the features.
        unsafe { _mm256_xor_si256(left, right) }
    }
}
