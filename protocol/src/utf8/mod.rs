//! The validation of UTF-8, incremental and strict.
//!
//! A text may be cut anywhere: into fragments by its sender, and within a frame by the network. The
//! validator carries what it knows of a character that is cut, in four bytes, and fails at the
//! first byte that no text can have there, not at the end of the message.
//!
//! ```text
//!  chunk   ├ rest of a character ┤├──────── whole characters ────────┤├ begun ┤
//!          byte by byte            vectors                            byte by byte
//! ```
//!
//! The bytes in the middle go to the widest vectors of the machine, which only say yes or no; after
//! a no the byte is looked for in the table.

mod fused;
mod masked;
mod scalar;
mod short;
mod text;

#[cfg(test)]
mod tests;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod lookup;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod ssse3;

use core::{error, fmt};

use crate::mask::rotated;
use scalar::State;
pub(crate) use text::{Chunked, Gather, take_masked, take_masked_short};
pub use text::{Text, masked_text, text};

/// Validates a text that comes in chunks.
///
/// [`push`](Self::push) each chunk as it comes, in order, then [`finish`](Self::finish). After an
/// error the validator stays in error: every later call fails, and a new text needs a new
/// validator. A value of four bytes, so that a connection can keep one at no cost.
///
/// ```
/// use ringwire_protocol::utf8::Validator;
///
/// let mut validator = Validator::new();
/// validator.push(b"\xe2\x82")?;
/// assert!(!validator.is_complete());
/// validator.push(b"\xac")?;
/// validator.finish()?;
///
/// // E2 may be followed by 82, but not by an ASCII letter: known at once, not at the end.
/// let error = Validator::new().push(b"ok \xe2A and more").unwrap_err();
/// assert_eq!(error.offset, 4);
/// # Ok::<(), ringwire_protocol::utf8::InvalidUtf8>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Validator {
    state: State,
}

const _: () = assert!(size_of::<Validator>() <= 8, "kept once per connection");

impl Validator {
    /// At the beginning of a text.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: State::Between }
    }

    /// The next bytes of the text, any number of them.
    ///
    /// # Errors
    ///
    /// [`InvalidUtf8`] in the very push whose bytes make the text invalid, with the offset in
    /// `bytes` of the first byte that no valid text can have there. After an earlier error: again,
    /// with offset 0.
    #[inline]
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), InvalidUtf8> {
        if self.state == State::Between && bytes.len() < short::SIZE_MAX && short::is_ascii(bytes) {
            return Ok(());
        }
        self.push_by(chosen, bytes)
    }

    /// The end of the text.
    ///
    /// # Errors
    ///
    /// [`InvalidUtf8`] when the last character is cut short, or after an earlier error. The offset
    /// is 0: counted from the end of the last push, that is where the missing byte would stand.
    #[inline]
    pub fn finish(&self) -> Result<(), InvalidUtf8> {
        if self.is_complete() { Ok(()) } else { Err(InvalidUtf8 { offset: 0 }) }
    }

    /// Whether the text could end here: no error so far, and no character begun.
    #[inline]
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.state == State::Between
    }

    /// As [`push`](Self::push), the implementation being asked for only when there is work for it.
    fn push_by(&mut self, kind: impl FnOnce() -> Kind, bytes: &[u8]) -> Result<(), InvalidUtf8> {
        match self.push_from(kind, bytes) {
            Ok(()) => Ok(()),
            Err(offset) => {
                self.state = State::Failed;
                Err(InvalidUtf8 { offset })
            }
        }
    }

    /// As above; the error is an index, and the caller's to record.
    ///
    /// The state is written only where it changes: a store that the next call reads in other widths
    /// would stall it.
    #[inline]
    fn push_from(&mut self, kind: impl FnOnce() -> Kind, bytes: &[u8]) -> Result<(), usize> {
        let carried = if self.state == State::Between { 0 } else { self.carried(bytes)? };
        let (whole, begun) = short::split_whole(bytes.get(carried..).unwrap_or_default());
        if !whole.is_empty() {
            kind().check(whole).map_err(|index| carried + index)?;
        }
        if !begun.is_empty() {
            let done = carried + whole.len();
            self.state = scalar::push(State::Between, begun).map_err(|index| done + index)?;
        }
        Ok(())
    }

    /// Ends the character that earlier chunks began, as far as `bytes` go, and tells how many of
    /// them it took.
    fn carried(&mut self, bytes: &[u8]) -> Result<usize, usize> {
        let mut count = 0;
        loop {
            match (self.state, bytes.get(count)) {
                (State::Failed, _) => return Err(count.saturating_sub(1)),
                (State::Within { .. }, Some(&byte)) => self.state = self.state.after(byte),
                (State::Between, _) | (State::Within { .. }, None) => return Ok(count),
            }
            count += 1;
        }
    }
}

/// The bytes are not a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidUtf8 {
    /// In the bytes given to the call that failed: the first byte that no valid text can have
    /// there. For a character cut short by the end of the text, where the missing byte would stand.
    pub offset: usize,
}

impl fmt::Display for InvalidUtf8 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "invalid UTF-8 at offset {}", self.offset)
    }
}

impl error::Error for InvalidUtf8 {}

/// One way to validate, proven to run on this machine.
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
            Kind::Core => "core",
            #[cfg(target_arch = "x86_64")]
            Kind::Ssse3(_) => "ssse3",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(_) => "avx512",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(_) => "neon",
        }
    }

    /// As [`Validator::push`], by this implementation from the first byte on.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn push(self, validator: &mut Validator, bytes: &[u8]) -> Result<(), InvalidUtf8> {
        validator.push_by(|| self.0, bytes)
    }

    /// As [`Validator::push_masked`], by this implementation whatever the size.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn push_masked(
        self,
        validator: &mut Validator,
        bytes: &mut [u8],
        key: [u8; 4],
        phase: usize,
    ) -> Result<(), InvalidUtf8> {
        validator.push_masked_by(self.0, bytes, rotated(u32::from_le_bytes(key), phase))
    }
}

/// Every implementation this machine can run, the scalar oracle first and the chosen one last.
#[doc(hidden)]
pub fn implementations() -> impl Iterator<Item = Implementation> {
    let kinds = [
        Some(Kind::Scalar),
        Some(Kind::Core),
        #[cfg(target_arch = "x86_64")]
        ssse3::Ssse3::detect().map(Kind::Ssse3),
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
    /// The table, byte by byte: the oracle, never chosen.
    Scalar,
    /// The standard library, for machines without vectors that can look up.
    Core,
    #[cfg(target_arch = "x86_64")]
    Ssse3(ssse3::Ssse3),
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
            if let Some(ssse3) = ssse3::Ssse3::detect() {
                return Self::Ssse3(ssse3);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if let Some(neon) = neon::Neon::detect() {
            return Self::Neon(neon);
        }
        Self::Core
    }

    /// Validates what [`short::split_whole`] left before a cut; the error is the index of the first
    /// bad byte.
    #[inline]
    fn check(self, whole: &[u8]) -> Result<(), usize> {
        let mut done = 0;
        while let Some(rest) = whole.get(done..)
            && !rest.is_empty()
        {
            let piece =
                rest.get(..PIECE_SIZE_MAX).map_or(rest, |piece| short::split_whole(piece).0);
            if !self.is_valid(piece) {
                self.locate(piece).map_err(|index| done + index)?;
            }
            done += piece.len();
        }
        Ok(())
    }

    /// The first bad byte of a piece that is not a text.
    #[cold]
    fn locate(self, piece: &[u8]) -> Result<(), usize> {
        match scalar::push(State::Between, piece)? {
            // A piece that ends within a character was cut before a lead byte: that is the bad one.
            State::Within { .. } | State::Failed => Err(piece.len()),
            State::Between => {
                debug_assert!(false, "{self:?} refused a text: {piece:x?}");
                Ok(())
            }
        }
    }

    /// Whether `piece` is a text.
    #[inline]
    fn is_valid(self, piece: &[u8]) -> bool {
        match self {
            Self::Scalar => scalar::push(State::Between, piece) == Ok(State::Between),
            Self::Core => core::str::from_utf8(piece).is_ok(),
            #[cfg(target_arch = "x86_64")]
            Self::Ssse3(ssse3) => ssse3.is_valid(piece),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => avx2.is_valid(piece),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(avx512) => avx512.is_valid(piece),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(neon) => neon.is_valid(piece),
        }
    }

    /// Whether `piece`, which is shorter than [`short::CHECKED_SIZE_MAX`], is a text.
    #[inline]
    fn is_valid_short(self, piece: &[u8]) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => avx2.is_valid_short(piece),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(avx512) => avx512.is_valid_short(piece),
            _ => self.is_valid(piece),
        }
    }

    /// Unmasks `piece`, and tells whether it is a text then.
    fn unmask(self, piece: &mut [u8], word: u32) -> bool {
        match self {
            Self::Scalar | Self::Core => {
                fused::unmask(piece, word);
                self.is_valid(piece)
            }
            #[cfg(target_arch = "x86_64")]
            Self::Ssse3(ssse3) => ssse3.unmask(piece, word),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => avx2.unmask(piece, word),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(avx512) => avx512.unmask(piece, word),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(neon) => neon.unmask(piece, word),
        }
    }
}

/// Vectors say no for a whole piece, in which the byte is then looked for: so no more than this is
/// read twice.
const PIECE_SIZE_MAX: usize = 32 * 1024;

/// Chosen at the first call and kept: after that one load and one predictable branch. Not even
/// these where the compiler was told of the widest vectors, because there is nothing to choose.
#[cfg(feature = "std")]
#[inline]
fn chosen() -> Kind {
    static CHOSEN: std::sync::OnceLock<Kind> = std::sync::OnceLock::new();
    if cfg!(all(
        target_feature = "avx512bw",
        target_feature = "avx512vbmi",
        target_feature = "gfni"
    )) {
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
