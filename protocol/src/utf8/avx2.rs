//! Vectors of 32 bytes.
#![expect(unsafe_code, reason = "instructions that only detection can prove present")]

use core::arch::x86_64::{
    __m256i, _mm_loadu_si128, _mm256_alignr_epi8, _mm256_and_si256, _mm256_broadcastsi128_si256,
    _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_or_si256, _mm256_permute2x128_si256,
    _mm256_set1_epi8, _mm256_set1_epi32, _mm256_shuffle_epi8, _mm256_srli_epi16,
    _mm256_storeu_si256, _mm256_subs_epu8, _mm256_testz_si256, _mm256_xor_si256,
};

use super::lookup::{self, Vectors};
use super::{fused, short::CHECKED_SIZE_MAX};

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

    /// Whether `text` is well-formed.
    #[inline]
    pub(super) fn is_valid(self, text: &[u8]) -> bool {
        // SAFETY: `self` proves the features.
        unsafe { self.is_valid_here(text) }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn is_valid_here(self, text: &[u8]) -> bool {
        if text.len() < CHECKED_SIZE_MAX {
            return self.is_valid_short_here(text);
        }
        lookup::not_ascii::<32, Self>(self, text).is_none_or(|rest| self.walk(rest))
    }

    // By itself, so that ASCII need not save the registers that it takes.
    #[target_feature(enable = "avx2")]
    #[inline(never)]
    fn walk(self, text: &[u8]) -> bool {
        lookup::walk::<32, Self>(self, text)
    }

    /// Whether `text`, which is shorter than [`CHECKED_SIZE_MAX`], is well-formed.
    #[inline]
    pub(super) fn is_valid_short(self, text: &[u8]) -> bool {
        // SAFETY: `self` proves the features.
        unsafe { self.is_valid_short_here(text) }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn is_valid_short_here(self, text: &[u8]) -> bool {
        lookup::is_valid_short::<32, Self>(self, text)
    }

    /// Unmasks `text`, and tells whether it is well-formed then. `word` holds the key, its first
    /// byte to apply in the lowest eight bits.
    pub(super) fn unmask(self, text: &mut [u8], word: u32) -> bool {
        // SAFETY: `self` proves the features.
        unsafe { self.unmask_here(text, word) }
    }

    #[target_feature(enable = "avx2")]
    fn unmask_here(self, text: &mut [u8], word: u32) -> bool {
        fused::walk::<32, Self>(self, text, word)
    }
}

impl Vectors<32> for Avx2 {
    type Vector = __m256i;

    #[inline(always)]
    fn splat(self, byte: u8) -> __m256i {
        // SAFETY: `self` proves the features.
        unsafe { _mm256_set1_epi8(byte.cast_signed()) }
    }

    #[inline(always)]
    fn splat_word(self, word: u32) -> __m256i {
        // SAFETY: `self` proves the features.
        unsafe { _mm256_set1_epi32(word.cast_signed()) }
    }

    #[inline(always)]
    fn table(self, table: &[u8; 16]) -> __m256i {
        // SAFETY: `self` proves the features; the array is as long as what is read of it.
        let lane = unsafe { _mm_loadu_si128(table.as_ptr().cast()) };
        // SAFETY: `self` proves the features.
        unsafe { _mm256_broadcastsi128_si256(lane) }
    }

    #[inline(always)]
    fn store(self, to: &mut [u8; 32], vector: __m256i) {
        // SAFETY: `self` proves the features; the array is as long as the vector, at any alignment.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), vector) }
    }

    #[inline(always)]
    fn load(self, from: &[u8; 32]) -> __m256i {
        // SAFETY: `self` proves the features; the array is as long as what is read of it, at any
        // alignment.
        unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn and(self, left: __m256i, right: __m256i) -> __m256i {
        // SAFETY: `self` proves the features.
        unsafe { _mm256_and_si256(left, right) }
    }

    #[inline(always)]
    fn or(self, left: __m256i, right: __m256i) -> __m256i {
        // SAFETY: `self` proves the features.
        unsafe { _mm256_or_si256(left, right) }
    }

    #[inline(always)]
    fn xor(self, left: __m256i, right: __m256i) -> __m256i {
        // SAFETY: `self` proves the features.
        unsafe { _mm256_xor_si256(left, right) }
    }

    #[inline(always)]
    fn high_half(self, bytes: __m256i) -> __m256i {
        // SAFETY: `self` proves the features.
        let shifted = unsafe { _mm256_srli_epi16::<4>(bytes) };
        self.and(shifted, self.splat(0x0f))
    }

    #[inline(always)]
    fn saturating_sub(self, left: __m256i, right: __m256i) -> __m256i {
        // SAFETY: `self` proves the features.
        unsafe { _mm256_subs_epu8(left, right) }
    }

    #[inline(always)]
    fn look_up(self, table: __m256i, indices: __m256i) -> __m256i {
        // SAFETY: `self` proves the features.
        unsafe { _mm256_shuffle_epi8(table, indices) }
    }

    #[inline(always)]
    fn shift_in<const N: usize>(self, current: __m256i, previous: __m256i) -> __m256i {
        // The upper half of `previous`, then the lower one of `current`: the 16 bytes before each
        // half of `current`.
        // SAFETY: `self` proves the features.
        let before = unsafe { _mm256_permute2x128_si256::<0x21>(previous, current) };
        match N {
            // SAFETY: `self` proves the features.
            1 => unsafe { _mm256_alignr_epi8::<15>(current, before) },
            // SAFETY: `self` proves the features.
            2 => unsafe { _mm256_alignr_epi8::<14>(current, before) },
            // SAFETY: `self` proves the features.
            _ => unsafe { _mm256_alignr_epi8::<13>(current, before) },
        }
    }

    #[inline(always)]
    fn is_ascii(self, bytes: __m256i) -> bool {
        // SAFETY: `self` proves the features.
        unsafe { _mm256_movemask_epi8(bytes) == 0 }
    }

    #[inline(always)]
    fn is_zero(self, bytes: __m256i) -> bool {
        // SAFETY: `self` proves the features.
        unsafe { _mm256_testz_si256(bytes, bytes) == 1 }
    }
}
