//! Copies of what may be large.
//!
//! One call of `memcpy` for all of it would be the obvious thing. But glibc copies what is larger
//! than two kilobytes with `rep movsb` where the processor says that this is fast, and on some of
//! AMD's it is not where the target lies one to fifteen bytes further into its page than the
//! source: 64 KiB took 18.7 µs in place of 1.2. Payloads behind headers lie like that. Smaller
//! pieces are copied by vectors, everywhere at full speed.

use alloc::vec::Vec;

/// Bytes of a piece: below 2,112, from where on glibc takes another way.
const PIECE_SIZE: usize = 2048;

/// Appends `bytes`.
#[inline]
pub(crate) fn append(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.len() <= PIECE_SIZE {
        out.extend_from_slice(bytes);
    } else {
        append_pieces(out, bytes);
    }
}

#[inline(never)]
fn append_pieces(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len());
    for piece in bytes.chunks(PIECE_SIZE) {
        out.extend_from_slice(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appends_all_of_it() {
        let bytes: Vec<u8> = (0..=250).cycle().take(3 * PIECE_SIZE + 7).collect();
        for size in [0, 1, PIECE_SIZE, PIECE_SIZE + 1, 2 * PIECE_SIZE, bytes.len()] {
            let mut out = b"before".to_vec();
            append(&mut out, &bytes[..size]);
            assert_eq!(out[..6], *b"before");
            assert_eq!(out[6..], bytes[..size]);
        }
    }
}
