//! The masking key as a word.

/// The key, little-endian, as it stands `phase` bytes further on: its lowest byte is the next to
/// apply.
#[inline]
pub(crate) fn rotated(word: u32, phase: usize) -> u32 {
    match phase % 4 {
        0 => word,
        1 => word.rotate_right(8),
        2 => word.rotate_right(16),
        _ => word.rotate_right(24),
    }
}
