//! Texts of a few words, and where a text may be cut.

/// The longest text, in bytes, for which [`is_ascii`] costs less than a dispatch.
pub(super) const SIZE_MAX: usize = 64;

/// Below this size, in bytes, a text is not searched for where it is ASCII and where not.
pub(super) const CHECKED_SIZE_MAX: usize = 512;

/// Whether no byte has its highest bit set.
///
/// Reads the words that a mask of the same length wrote: to read across two stores that are still
/// under way stalls.
#[inline]
pub(super) fn is_ascii(bytes: &[u8]) -> bool {
    let (chunks, mut rest) = bytes.as_chunks::<16>();
    let mut wide = 0;
    for chunk in chunks {
        wide |= u128::from_ne_bytes(*chunk);
    }
    let mut all = 0;
    if let Some((word, after)) = rest.split_first_chunk::<8>() {
        all |= u64::from_ne_bytes(*word);
        rest = after;
    }
    if let Some((word, after)) = rest.split_first_chunk::<4>() {
        all |= u64::from(u32::from_ne_bytes(*word));
        rest = after;
    }
    let last = rest.iter().fold(0, |all, byte| all | byte);
    let narrow = u128::from(all | u64::from(last));
    (wide | narrow) & u128::from_ne_bytes([0x80; 16]) == 0
}

/// Splits before a character that `bytes` begins but does not end.
///
/// What stands before the cut is a text if it is valid at all, with one exception: of two lead
/// bytes at the end, the first stays before the cut. So whoever finds that part within a character
/// knows the byte at the cut to be bad.
#[inline]
pub(super) fn split_whole(bytes: &[u8]) -> (&[u8], &[u8]) {
    let size = bytes.len();
    let cut = match bytes {
        [.., 0xc0..=0xff] => size - 1,
        [.., 0xe0..=0xff, _] => size - 2,
        [.., 0xf0..=0xff, _, _] => size - 3,
        _ => size,
    };
    bytes.split_at_checked(cut).unwrap_or((bytes, &[]))
}
