//! Vectors of 16 bytes.
#![expect(unsafe_code, reason = "instructions that only detection can prove present")]

use core::arch::x86_64::{
    __m128i, _mm_alignr_epi8, _mm_and_si128, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8,
    _mm_or_si128, _mm_set1_epi8, _mm_set1_epi32, _mm_shuffle_epi8, _mm_srli_epi16,
    _mm_storeu_si128, _mm_subs_epu8, _mm_xor_si128,
};

use super::{fused, lookup, lookup::Vectors};

/// Proof that this machine has SSSE3.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ssse3(());

impl Ssse3 {
    /// The only way to make one.
    pub(super) fn detect() -> Option<Self> {
        #[cfg(feature = "std")]
        let present = std::arch::is_x86_feature_detected!("ssse3");
        #[cfg(not(feature = "std"))]
        let present = cfg!(target_feature = "ssse3");
        present.then_some(Self(()))
    }

    /// Whether `text` is well-formed.
    pub(super) fn is_valid(self, text: &[u8]) -> bool {
        // SAFETY: `self` proves the features.
        unsafe { self.is_valid_here(text) }
    }

    #[target_feature(enable = "ssse3")]
    fn is_valid_here(self, text: &[u8]) -> bool {
        lookup::is_valid::<16, Self>(self, text)
    }

    /// Unmasks `text`, and tells whether it is well-formed then. `word` holds the key, its first
    /// byte to apply in the lowest eight bits.
    pub(super) fn unmask(self, text: &mut [u8], word: u32) -> bool {
        // SAFETY: `self` proves the features.
        unsafe { self.unmask_here(text, word) }
    }

    #[target_feature(enable = "ssse3")]
    fn unmask_here(self, text: &mut [u8], word: u32) -> bool {
        fused::walk::<16, Self>(self, text, word)
    }
}

impl Vectors<16> for Ssse3 {
    type Vector = __m128i;

    #[inline(always)]
    fn splat(self, byte: u8) -> __m128i {
        // SAFETY: `self` proves the features.
        unsafe { _mm_set1_epi8(byte.cast_signed()) }
    }

    #[inline(always)]
    fn splat_word(self, word: u32) -> __m128i {
        // SAFETY: `self` proves the features.
        unsafe { _mm_set1_epi32(word.cast_signed()) }
    }

    #[inline(always)]
    fn table(self, table: &[u8; 16]) -> __m128i {
        // SAFETY: `self` proves the features; the array is as long as what is read of it, at any
        // alignment.
        unsafe { _mm_loadu_si128(table.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, to: &mut [u8; 16], vector: __m128i) {
        // SAFETY: `self` proves the features; the array is as long as the vector, at any alignment.
        unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), vector) }
    }

    #[inline(always)]
    fn load(self, from: &[u8; 16]) -> __m128i {
        // SAFETY: `self` proves the features; the array is as long as what is read of it, at any
        // alignment.
        unsafe { _mm_loadu_si128(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn and(self, left: __m128i, right: __m128i) -> __m128i {
        // SAFETY: `self` proves the features.
        unsafe { _mm_and_si128(left, right) }
    }

    #[inline(always)]
    fn or(self, left: __m128i, right: __m128i) -> __m128i {
        // SAFETY: `self` proves the features.
        unsafe { _mm_or_si128(left, right) }
    }

    #[inline(always)]
    fn xor(self, left: __m128i, right: __m128i) -> __m128i {
        // SAFETY: `self` proves the features.
        unsafe { _mm_xor_si128(left, right) }
    }

    #[inline(always)]
    fn high_half(self, bytes: __m128i) -> __m128i {
        // SAFETY: `self` proves the features.
        let shifted = unsafe { _mm_srli_epi16::<4>(bytes) };
        self.and(shifted, self.splat(0x0f))
    }

    #[inline(always)]
    fn saturating_sub(self, left: __m128i, right: __m128i) -> __m128i {
        // SAFETY: `self` proves the features.
        unsafe { _mm_subs_epu8(left, right) }
    }

    #[inline(always)]
    fn look_up(self, table: __m128i, indices: __m128i) -> __m128i {
        // SAFETY: `self` proves the features.
        unsafe { _mm_shuffle_epi8(table, indices) }
    }

    #[inline(always)]
    fn shift_in<const N: usize>(self, current: __m128i, previous: __m128i) -> __m128i {
        match N {
            // SAFETY: `self` proves the features.
            1 => unsafe { _mm_alignr_epi8::<15>(current, previous) },
            // SAFETY: `self` proves the features.
            2 => unsafe { _mm_alignr_epi8::<14>(current, previous) },
            // SAFETY: `self` proves the features.
            _ => unsafe { _mm_alignr_epi8::<13>(current, previous) },
        }
    }

    #[inline(always)]
    fn is_ascii(self, bytes: __m128i) -> bool {
        // SAFETY: `self` proves the features.
        unsafe { _mm_movemask_epi8(bytes) == 0 }
    }

    #[inline(always)]
    fn is_zero(self, bytes: __m128i) -> bool {
        // SAFETY: `self` proves the features.
        let zeros = unsafe { _mm_cmpeq_epi8(bytes, self.splat(0)) };
        // SAFETY: `self` proves the features.
        unsafe { _mm_movemask_epi8(zeros) == 0xffff }
    }
}
