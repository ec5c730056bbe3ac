//! The oracle: the sentence of the RFC, one byte at a time.

/// XORs `payload` with `key`, beginning at byte `phase` of the frame's payload.
pub(super) fn apply(payload: &mut [u8], key: [u8; 4], phase: usize) {
    for (byte, mask) in payload.iter_mut().zip(key.iter().cycle().skip(phase % 4)) {
        *byte ^= mask;
    }
}
