//! Vectors of 16 bytes, which every AArch64 server has.
#![expect(unsafe_code, reason = "instructions that only detection can prove present")]

use core::arch::aarch64::{
    uint8x16_t, vdupq_n_u32, veorq_u8, vld1q_u8, vreinterpretq_u8_u32, vst1q_u8,
};

use super::{short, vectors, vectors::Vectors};

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

    /// `word` holds the key, its first byte to apply in the lowest eight bits.
    pub(super) fn apply(self, payload: &mut [u8], word: u32) {
        if payload.len() <= short::SIZE_MAX {
            return short::apply(payload, word);
        }
        // SAFETY: `self` proves the features.
        unsafe { self.apply_long(payload, word) }
    }

    #[target_feature(enable = "neon")]
    fn apply_long(self, payload: &mut [u8], word: u32) {
        vectors::apply::<16, Self>(self, payload, word);
    }
}

impl Vectors<16> for Neon {
    type Vector = uint8x16_t;

    #[inline(always)]
    fn splat(self, word: u32) -> uint8x16_t {
        // SAFETY: `self` proves the features.
        let words = unsafe { vdupq_n_u32(word) };
        // SAFETY: `self` proves the features.
        unsafe { vreinterpretq_u8_u32(words) }
    }

    #[inline(always)]
    fn load(self, from: &[u8; 16]) -> uint8x16_t {
        // SAFETY: `self` proves the features; the array is as long as the vector, at any alignment.
        unsafe { vld1q_u8(from.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, to: &mut [u8; 16], vector: uint8x16_t) {
        // SAFETY: `self` proves the features; the array is as long as the vector, at any alignment.
        unsafe { vst1q_u8(to.as_mut_ptr(), vector) }
    }

    #[inline(always)]
    fn xor(self, left: uint8x16_t, right: uint8x16_t) -> uint8x16_t {
        // SAFETY: `self` proves the features.
        unsafe { veorq_u8(left, right) }
    }
}
