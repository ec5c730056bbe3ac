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
    let _union = apply_with_union(payload, word);
}

/// As [`apply`]. Gives bytes of which one has its highest bit where one of the payload has it now.
#[inline(always)]
pub(super) fn apply_with_union(payload: &mut [u8], word: u32) -> u64 {
    let wide = u64::from(word) << 32 | u64::from(word);
    let mut union = 0;
    let (chunks, rest) = payload.as_chunks_mut::<16>();
    if let [first, others @ ..] = chunks {
        union |= apply_chunk(first, wide);
        if let [second, others @ ..] = others {
            union |= apply_chunk(second, wide);
            // A loop would be made ready to run long.
            if let [third, others @ ..] = others {
                union |= apply_chunk(third, wide);
                if let [fourth, ..] = others {
                    union |= apply_chunk(fourth, wide);
                }
            }
        }
    }
    let (chunks, rest) = rest.as_chunks_mut::<8>();
    if let [chunk, ..] = chunks {
        let bytes = u64::from_le_bytes(*chunk) ^ wide;
        union |= bytes;
        *chunk = bytes.to_le_bytes();
    }
    let (chunks, rest) = rest.as_chunks_mut::<4>();
    if let [chunk, ..] = chunks {
        let bytes = u32::from_le_bytes(*chunk) ^ word;
        union |= u64::from(bytes);
        *chunk = bytes.to_le_bytes();
    }
    let [a, b, c, _] = word.to_le_bytes();
    if let [first, others @ ..] = rest {
        *first ^= a;
        union |= u64::from(*first);
        if let [second, others @ ..] = others {
            *second ^= b;
            union |= u64::from(*second);
            if let [third, ..] = others {
                *third ^= c;
                union |= u64::from(*third);
            }
        }
    }
    union
}

/// One store, so that whoever reads these sixteen bytes at once does not wait for two.
#[inline]
fn apply_chunk(chunk: &mut [u8; 16], wide: u64) -> u64 {
    let bytes = u128::from_le_bytes(*chunk) ^ (u128::from(wide) << 64 | u128::from(wide));
    *chunk = bytes.to_le_bytes();
    #[expect(clippy::cast_possible_truncation, reason = "each half by itself")]
    let union = bytes as u64 | (bytes >> 64) as u64;
    union
}
