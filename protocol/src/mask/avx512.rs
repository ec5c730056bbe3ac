//! Vectors of 64 bytes.
#![expect(unsafe_code, reason = "instructions that only detection can prove present")]

use core::arch::x86_64::{
    __m512i, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_storeu_si512, _mm512_xor_si512,
};

use super::{avx2::Avx2, vectors, vectors::Vectors};

/// Proof that this machine has AVX-512 with its operations on bytes, and runs it at full speed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx512(Avx2);

impl Avx512 {
    /// The only way to make one.
    ///
    /// VBMI is not used. It came with the processors that no longer lower their clock for vectors
    /// of 64 bytes, and the others are better off with AVX2.
    pub(super) fn detect() -> Option<Self> {
        #[cfg(feature = "std")]
        let present = std::arch::is_x86_feature_detected!("avx512f")
            && std::arch::is_x86_feature_detected!("avx512bw")
            && std::arch::is_x86_feature_detected!("avx512vbmi");
        #[cfg(not(feature = "std"))]
        let present = cfg!(all(
            target_feature = "avx512f",
            target_feature = "avx512bw",
            target_feature = "avx512vbmi"
        ));
        if present { Avx2::detect().map(Self) } else { None }
    }

    /// `word` holds the key, its first byte to apply in the lowest eight bits.
    pub(super) fn apply(self, payload: &mut [u8], word: u32) {
        // Where little is to be done, vectors half as wide cross half as many cache lines, and
        // leave less to be done in words.
        if payload.len() < SIZE_MIN {
            return self.0.apply(payload, word);
        }
        // SAFETY: `self` proves the features.
        unsafe { self.apply_long(payload, word) }
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    fn apply_long(self, payload: &mut [u8], word: u32) {
        vectors::apply::<64, Self>(self, payload, word);
    }
}

/// The shortest payload, in bytes, for vectors of 64.
const SIZE_MIN: usize = vectors::ALIGNED_SIZE_MIN;

impl Vectors<64> for Avx512 {
    type Vector = __m512i;

    #[inline(always)]
    fn splat(self, word: u32) -> __m512i {
        // SAFETY: `self` proves the features.
        unsafe { _mm512_set1_epi32(word.cast_signed()) }
    }

    #[inline(always)]
    fn load(self, from: &[u8; 64]) -> __m512i {
        // SAFETY: `self` proves the features; the array is as long as the vector, at any alignment.
        unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, to: &mut [u8; 64], vector: __m512i) {
        // SAFETY: `self` proves the features; the array is as long as the vector, at any alignment.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), vector) }
    }

    #[inline(always)]
    fn xor(self, left: __m512i, right: __m512i) -> __m512i {
        // SAFETY: `self` proves the features.
        unsafe { _mm512_xor_si512(left, right) }
    }
}
