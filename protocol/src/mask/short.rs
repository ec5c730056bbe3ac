//! Payloads of a few words, which are most of the messages of a feed.
//!
//! Each word begins at a multiple of four, so the key fits without being turned. There is no
//! dispatch and no loop that runs longer than four times: the compiler can put all of it into the
//! caller.

/// The longest payload, in bytes, that this file takes.
pub(super) const SIZE_MAX: usize = 64;

/// `word` holds the key, its first byte to apply in the lowest eight bits.
#[inline]
pub(super) fn apply(payload: &mut [u8], word: u32) {
    let wide = u64::from(word) << 32 | u64::from(word);
    let key = u128::from(wide) << 64 | u128::from(wide);
    let (chunks, rest) = payload.as_chunks_mut::<16>();
    for chunk in chunks {
        *chunk = (u128::from_le_bytes(*chunk) ^ key).to_le_bytes();
    }
    let (chunks, rest) = rest.as_chunks_mut::<8>();
    if let [chunk] = chunks {
        *chunk = (u64::from_le_bytes(*chunk) ^ wide).to_le_bytes();
    }
    let (chunks, rest) = rest.as_chunks_mut::<4>();
    if let [chunk] = chunks {
        *chunk = (u32::from_le_bytes(*chunk) ^ word).to_le_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(word.to_le_bytes()) {
        *byte ^= mask;
    }
}
