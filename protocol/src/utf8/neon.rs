//! Vectors of 16 bytes.
#![expect(unsafe_code, reason = "instructions that only detection can prove present")]

use core::arch::aarch64::{
    uint8x16_t, vandq_u8, vdupq_n_u8, vdupq_n_u32, veorq_u8, vextq_u8, vld1q_u8, vmaxvq_u8,
    vorrq_u8, vqsubq_u8, vqtbl1q_u8, vreinterpretq_u8_u32, vshrq_n_u8, vst1q_u8,
};

use super::{fused, lookup, lookup::Vectors};

/// Proof that this machine has NEON.
#[derive(Clone, Copy, Debug)]
pub(super) struct Neon(());

impl Neon {
    /// The only way to make one.
    pub(super) fn detect() -> Option<Self> {
        #[cfg(feature = "std")]
        let present = std::arch::is_aarch64_feature_detected!("neon");
        #[cfg(not(feature = "std"))]
        let present = cfg!(target_feature = "neon");
        present.then_some(Self(()))
    }

    /// Whether `text` is well-formed.
    pub(super) fn is_valid(self, text: &[u8]) -> bool {
        // SAFETY: `self` proves the features.
        unsafe { self.is_valid_here(text) }
    }

    #[target_feature(enable = "neon")]
    fn is_valid_here(self, text: &[u8]) -> bool {
        lookup::is_valid::<16, Self>(self, text)
    }

    /// Unmasks `text`, and tells whether it is well-formed then. `word` holds the key, its first
    /// byte to apply in the lowest eight bits.
    pub(super) fn unmask(self, text: &mut [u8], word: u32) -> bool {
        // SAFETY: `self` proves the features.
        unsafe { self.unmask_here(text, word) }
    }

    #[target_feature(enable = "neon")]
    fn unmask_here(self, text: &mut [u8], word: u32) -> bool {
        fused::walk::<16, Self>(self, text, word)
    }
}

impl Vectors<16> for Neon {
    type Vector = uint8x16_t;

    #[inline(always)]
    fn splat(self, byte: u8) -> uint8x16_t {
        // SAFETY: `self` proves the features.
        unsafe { vdupq_n_u8(byte) }
    }

    #[inline(always)]
    fn splat_word(self, word: u32) -> uint8x16_t {
        // SAFETY: `self` proves the features.
        unsafe { vreinterpretq_u8_u32(vdupq_n_u32(u32::from_ne_bytes(word.to_le_bytes()))) }
    }

    #[inline(always)]
    fn table(self, table: &[u8; 16]) -> uint8x16_t {
        // SAFETY: `self` proves the features; the array is as long as what is read of it, at any
        // alignment.
        unsafe { vld1q_u8(table.as_ptr()) }
    }

    #[inline(always)]
    fn load(self, from: &[u8; 16]) -> uint8x16_t {
        // SAFETY: `self` proves the features; the array is as long as what is read of it, at any
        // alignment.
        unsafe { vld1q_u8(from.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, to: &mut [u8; 16], vector: uint8x16_t) {
        // SAFETY: `self` proves the features; the array is as long as the vector, at any alignment.
        unsafe { vst1q_u8(to.as_mut_ptr(), vector) }
    }

    #[inline(always)]
    fn and(self, left: uint8x16_t, right: uint8x16_t) -> uint8x16_t {
        // SAFETY: `self` proves the features.
        unsafe { vandq_u8(left, right) }
    }

    #[inline(always)]
    fn or(self, left: uint8x16_t, right: uint8x16_t) -> uint8x16_t {
        // SAFETY: `self` proves the features.
        unsafe { vorrq_u8(left, right) }
    }

    #[inline(always)]
    fn xor(self, left: uint8x16_t, right: uint8x16_t) -> uint8x16_t {
        // SAFETY: `self` proves the features.
        unsafe { veorq_u8(left, right) }
    }

    #[inline(always)]
    fn high_half(self, bytes: uint8x16_t) -> uint8x16_t {
        // SAFETY: `self` proves the features.
        unsafe { vshrq_n_u8::<4>(bytes) }
    }

    #[inline(always)]
    fn saturating_sub(self, left: uint8x16_t, right: uint8x16_t) -> uint8x16_t {
        // SAFETY: `self` proves the features.
        unsafe { vqsubq_u8(left, right) }
    }

    #[inline(always)]
    fn look_up(self, table: uint8x16_t, indices: uint8x16_t) -> uint8x16_t {
        // SAFETY: `self` proves the features.
        unsafe { vqtbl1q_u8(table, indices) }
    }

    #[inline(always)]
    fn shift_in<const N: usize>(self, current: uint8x16_t, previous: uint8x16_t) -> uint8x16_t {
        match N {
            // SAFETY: `self` proves the features.
            1 => unsafe { vextq_u8::<15>(previous, current) },
            // SAFETY: `self` proves the features.
            2 => unsafe { vextq_u8::<14>(previous, current) },
            // SAFETY: `self` proves the features.
            _ => unsafe { vextq_u8::<13>(previous, current) },
        }
    }

    #[inline(always)]
    fn is_ascii(self, bytes: uint8x16_t) -> bool {
        // SAFETY: `self` proves the features.
        unsafe { vmaxvq_u8(bytes) < 0x80 }
    }

    #[inline(always)]
    fn is_zero(self, bytes: uint8x16_t) -> bool {
        // SAFETY: `self` proves the features.
        unsafe { vmaxvq_u8(bytes) == 0 }
    }
}
