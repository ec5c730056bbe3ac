//! Vectors of 64 bytes.
#![expect(unsafe_code, reason = "instructions that only detection can prove present")]

use core::arch::x86_64::{
    __m512i, _mm_loadu_si128, _mm512_alignr_epi8, _mm512_alignr_epi32, _mm512_and_si512,
    _mm512_broadcast_i32x4, _mm512_gf2p8affine_epi64_epi8, _mm512_loadu_si512,
    _mm512_maskz_loadu_epi8, _mm512_movepi8_mask, _mm512_or_si512, _mm512_set1_epi8,
    _mm512_set1_epi32, _mm512_set1_epi64, _mm512_shuffle_epi8, _mm512_storeu_si512,
    _mm512_subs_epu8, _mm512_test_epi8_mask, _mm512_xor_si512,
};

use super::lookup::{self, Vectors};
use super::{fused, short::CHECKED_SIZE_MAX};

/// Proof that this machine has AVX-512 with its operations on bytes and GFNI, and runs them at full
/// speed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx512(());

impl Avx512 {
    /// The only way to make one.
    ///
    /// VBMI is not used. It came with the processors that no longer lower their clock for vectors
    /// of 64 bytes, as GFNI did, and the others are better off with AVX2.
    pub(super) fn detect() -> Option<Self> {
        #[cfg(feature = "std")]
        let present = std::arch::is_x86_feature_detected!("avx512f")
            && std::arch::is_x86_feature_detected!("avx512bw")
            && std::arch::is_x86_feature_detected!("avx512vbmi")
            && std::arch::is_x86_feature_detected!("gfni");
        #[cfg(not(feature = "std"))]
        let present = cfg!(all(
            target_feature = "avx512f",
            target_feature = "avx512bw",
            target_feature = "avx512vbmi",
            target_feature = "gfni"
        ));
        present.then_some(Self(()))
    }

    /// Whether `text` is well-formed.
    #[inline]
    pub(super) fn is_valid(self, text: &[u8]) -> bool {
        // SAFETY: `self` proves the features.
        unsafe { self.is_valid_here(text) }
    }

    #[target_feature(enable = "avx512f,avx512bw,gfni")]
    #[inline]
    fn is_valid_here(self, text: &[u8]) -> bool {
        if text.len() < CHECKED_SIZE_MAX {
            return self.is_valid_short_here(text);
        }
        lookup::not_ascii::<64, Self>(self, text).is_none_or(|rest| self.walk(rest))
    }

    // By itself, so that ASCII need not save the registers that it takes.
    #[target_feature(enable = "avx512f,avx512bw,gfni")]
    #[inline(never)]
    fn walk(self, text: &[u8]) -> bool {
        lookup::walk::<64, Self>(self, text)
    }

    /// Whether `text`, which is shorter than [`CHECKED_SIZE_MAX`], is well-formed.
    #[inline]
    pub(super) fn is_valid_short(self, text: &[u8]) -> bool {
        // SAFETY: `self` proves the features.
        unsafe { self.is_valid_short_here(text) }
    }

    #[target_feature(enable = "avx512f,avx512bw,gfni")]
    #[inline]
    fn is_valid_short_here(self, text: &[u8]) -> bool {
        lookup::is_valid_short::<64, Self>(self, text)
    }

    /// Unmasks `text`, and tells whether it is well-formed then. `word` holds the key, its first
    /// byte to apply in the lowest eight bits.
    pub(super) fn unmask(self, text: &mut [u8], word: u32) -> bool {
        // SAFETY: `self` proves the features.
        unsafe { self.unmask_here(text, word) }
    }

    #[target_feature(enable = "avx512f,avx512bw,gfni")]
    fn unmask_here(self, text: &mut [u8], word: u32) -> bool {
        fused::walk::<64, Self>(self, text, word)
    }
}

impl Vectors<64> for Avx512 {
    type Vector = __m512i;

    #[inline(always)]
    fn splat(self, byte: u8) -> __m512i {
        // SAFETY: `self` proves the features.
        unsafe { _mm512_set1_epi8(byte.cast_signed()) }
    }

    #[inline(always)]
    fn splat_word(self, word: u32) -> __m512i {
        // SAFETY: `self` proves the features.
        unsafe { _mm512_set1_epi32(word.cast_signed()) }
    }

    #[inline(always)]
    fn table(self, table: &[u8; 16]) -> __m512i {
        // SAFETY: `self` proves the features; the array is as long as what is read of it.
        let lane = unsafe { _mm_loadu_si128(table.as_ptr().cast()) };
        // SAFETY: `self` proves the features.
        unsafe { _mm512_broadcast_i32x4(lane) }
    }

    #[inline(always)]
    fn store(self, to: &mut [u8; 64], vector: __m512i) {
        // SAFETY: `self` proves the features; the array is as long as the vector, at any alignment.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), vector) }
    }

    #[inline(always)]
    fn load(self, from: &[u8; 64]) -> __m512i {
        // SAFETY: `self` proves the features; the array is as long as what is read of it, at any
        // alignment.
        unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn load_tail(self, previous: __m512i, _text: &[u8], tail: &[u8]) -> (__m512i, __m512i) {
        let lanes = !(u64::MAX << (tail.len() % 64));
        // SAFETY: `self` proves the features; the lanes asked for are at most the bytes of `tail`,
        // and the others are not read.
        let last = unsafe { _mm512_maskz_loadu_epi8(lanes, tail.as_ptr().cast()) };
        (previous, last)
    }

    #[inline(always)]
    fn and(self, left: __m512i, right: __m512i) -> __m512i {
        // SAFETY: `self` proves the features.
        unsafe { _mm512_and_si512(left, right) }
    }

    #[inline(always)]
    fn or(self, left: __m512i, right: __m512i) -> __m512i {
        // SAFETY: `self` proves the features.
        unsafe { _mm512_or_si512(left, right) }
    }

    #[inline(always)]
    fn xor(self, left: __m512i, right: __m512i) -> __m512i {
        // SAFETY: `self` proves the features.
        unsafe { _mm512_xor_si512(left, right) }
    }

    #[inline(always)]
    fn high_half(self, bytes: __m512i) -> __m512i {
        // One row of bits for each bit of the result, the highest first: four of nothing, and then
        // the four upper ones.
        const UPPER: i64 = 0x1020_4080_0000_0000;
        // SAFETY: `self` proves the features.
        let matrix = unsafe { _mm512_set1_epi64(UPPER) };
        // SAFETY: `self` proves the features.
        unsafe { _mm512_gf2p8affine_epi64_epi8::<0>(bytes, matrix) }
    }

    #[inline(always)]
    fn saturating_sub(self, left: __m512i, right: __m512i) -> __m512i {
        // SAFETY: `self` proves the features.
        unsafe { _mm512_subs_epu8(left, right) }
    }

    #[inline(always)]
    fn look_up(self, table: __m512i, indices: __m512i) -> __m512i {
        // SAFETY: `self` proves the features.
        unsafe { _mm512_shuffle_epi8(table, indices) }
    }

    #[inline(always)]
    fn shift_in<const N: usize>(self, current: __m512i, previous: __m512i) -> __m512i {
        // The last quarter of `previous`, then three of `current`: the 16 bytes before each quarter
        // of `current`.
        // SAFETY: `self` proves the features.
        let before = unsafe { _mm512_alignr_epi32::<12>(current, previous) };
        match N {
            // SAFETY: `self` proves the features.
            1 => unsafe { _mm512_alignr_epi8::<15>(current, before) },
            // SAFETY: `self` proves the features.
            2 => unsafe { _mm512_alignr_epi8::<14>(current, before) },
            // SAFETY: `self` proves the features.
            _ => unsafe { _mm512_alignr_epi8::<13>(current, before) },
        }
    }

    #[inline(always)]
    fn is_ascii(self, bytes: __m512i) -> bool {
        // SAFETY: `self` proves the features.
        unsafe { _mm512_movepi8_mask(bytes) == 0 }
    }

    #[inline(always)]
    fn is_zero(self, bytes: __m512i) -> bool {
        // SAFETY: `self` proves the features.
        unsafe { _mm512_test_epi8_mask(bytes, bytes) == 0 }
    }
}
