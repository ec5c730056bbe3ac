//! The masking of payloads.
//!
//! A client XORs each payload byte with one byte of a four-byte masking key, in turn; the server
//! does the same to read it. The work is one load, one XOR and one store per vector, so what counts
//! is what surrounds it: messages of twenty bytes must not pay for a choice, and large ones must
//! move at the speed of the memory.
//!
//! ```text
//!  payload    ├────────────────────── n bytes ──────────────────────┤
//!  n ≤ 64     words of 16, 8, 4 and 1 bytes, side by side; no dispatch
//!  n < 512    ├─ vector ─┼─ vector ─┼─ … ─┼─ vector ─┼─── words ────┤
//!  n ≥ 512    ├── words ──┼─ vector ─┼─ … ─┼─ vector ─┼── words ────┤   on vector boundaries
//! ```
//!
//! Nothing overlaps: a payload is read again at once, and a read across two stores that are still
//! under way stalls for longer than the words take. No byte beyond the payload is touched.

mod scalar;
mod short;
#[cfg(test)]
mod tests;
mod vectors;
mod word;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(target_arch = "x86_64")]
mod sse2;

pub(crate) use word::rotated;

/// XORs `payload` in place with the masking key.
///
/// `phase` is how many bytes of this frame's payload were done by earlier calls; only its remainder
/// by four counts, so any number that is right modulo four will do. Applying the same key at the
/// same phase twice restores the bytes. Any length and any alignment; does not panic.
///
/// ```
/// let mut payload = *b"Hello";
/// let key = [0x37, 0xfa, 0x21, 0x3d];
/// let (first, rest) = payload.split_at_mut(2);
/// ringwire_protocol::mask::apply(first, key, 0);
/// ringwire_protocol::mask::apply(rest, key, 2);
/// assert_eq!(payload, [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
/// ```
#[inline]
pub fn apply(payload: &mut [u8], key: [u8; 4], phase: usize) {
    //= RFC 6455 5.3: Octet i of the transformed data ("transformed-octet-i") is the XOR of
    //= RFC 6455 5.3: octet i of the original data ("original-octet-i") with octet at index
    //= RFC 6455 5.3: i modulo 4 of the masking key ("masking-key-octet-j"):
    let word = rotated(u32::from_le_bytes(key), phase);
    if payload.len() <= short::SIZE_MAX {
        short::apply(payload, word);
    } else {
        chosen().apply_word(payload, word);
    }
}

/// The longest payload, in bytes, for [`apply_short`].
pub(crate) const SHORT_MAX: usize = short::SIZE_MAX;

/// As [`apply`] from the first byte on, for a payload of a few words. Says whether all of it is
/// ASCII now.
#[inline(always)]
pub(crate) fn apply_short(payload: &mut [u8], key: [u8; 4]) -> bool {
    debug_assert!(payload.len() <= SHORT_MAX);
    let union = short::apply_with_union(payload, u32::from_le_bytes(key));
    union & u64::from_ne_bytes([0x80; 8]) == 0
}

/// One way to apply a mask, proven to run on this machine.
///
/// Exists for tests and benchmarks, which run over [`implementations`].
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Implementation(Kind);

impl Implementation {
    /// The instruction set, in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Scalar => "scalar",
            Kind::Portable(_) => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::Sse2(_) => "sse2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(_) => "avx512",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(_) => "neon",
        }
    }

    /// As [`apply`], by this implementation.
    pub fn apply(self, payload: &mut [u8], key: [u8; 4], phase: usize) {
        match self.0 {
            Kind::Scalar => scalar::apply(payload, key, phase),
            _ => self.0.apply_word(payload, rotated(u32::from_le_bytes(key), phase)),
        }
    }
}

/// Every implementation this machine can run, the scalar oracle first and the chosen one last.
#[doc(hidden)]
pub fn implementations() -> impl Iterator<Item = Implementation> {
    let kinds = [
        Some(Kind::Scalar),
        Some(Kind::Portable(portable::Portable)),
        #[cfg(target_arch = "x86_64")]
        sse2::Sse2::detect().map(Kind::Sse2),
        #[cfg(target_arch = "x86_64")]
        avx2::Avx2::detect().map(Kind::Avx2),
        #[cfg(target_arch = "x86_64")]
        avx512::Avx512::detect().map(Kind::Avx512),
        #[cfg(target_arch = "aarch64")]
        neon::Neon::detect().map(Kind::Neon),
    ];
    kinds.into_iter().flatten().map(Implementation)
}

/// The instruction set by name; those that need proof carry it.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// One byte at a time: the oracle, never chosen.
    Scalar,
    /// Words of 64 bits.
    Portable(portable::Portable),
    #[cfg(target_arch = "x86_64")]
    Sse2(sse2::Sse2),
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Avx512),
    #[cfg(target_arch = "aarch64")]
    Neon(neon::Neon),
}

impl Kind {
    /// The widest this machine has.
    fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(avx512) = avx512::Avx512::detect() {
                return Self::Avx512(avx512);
            }
            if let Some(avx2) = avx2::Avx2::detect() {
                return Self::Avx2(avx2);
            }
            if let Some(sse2) = sse2::Sse2::detect() {
                return Self::Sse2(sse2);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if let Some(neon) = neon::Neon::detect() {
            return Self::Neon(neon);
        }
        Self::Portable(portable::Portable)
    }

    /// `word` holds the key, its first byte to apply in the lowest eight bits.
    fn apply_word(self, payload: &mut [u8], word: u32) {
        match self {
            Self::Scalar => scalar::apply(payload, word.to_le_bytes(), 0),
            Self::Portable(portable) => portable.apply(payload, word),
            #[cfg(target_arch = "x86_64")]
            Self::Sse2(sse2) => sse2.apply(payload, word),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => avx2.apply(payload, word),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(avx512) => avx512.apply(payload, word),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(neon) => neon.apply(payload, word),
        }
    }
}

/// Chosen at the first call and kept: after that one load and one predictable branch. Not even
/// these where the compiler was told of the widest vectors, because there is nothing to choose.
#[cfg(feature = "std")]
#[inline]
fn chosen() -> Kind {
    static CHOSEN: std::sync::OnceLock<Kind> = std::sync::OnceLock::new();
    if cfg!(all(target_feature = "avx512bw", target_feature = "avx512vbmi")) {
        return Kind::detect();
    }
    *CHOSEN.get_or_init(Kind::detect)
}

/// Chosen by the compiler: every `detect` is a constant here.
#[cfg(not(feature = "std"))]
#[inline]
fn chosen() -> Kind {
    Kind::detect()
}
