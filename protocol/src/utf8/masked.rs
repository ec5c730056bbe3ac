//! Masked text, unmasked and validated in one pass.

use super::fused::unmask;
use super::{InvalidUtf8, Kind, PIECE_SIZE_MAX, State, Validator, chosen, scalar, short};
use crate::mask::{self, rotated};

/// The shortest text, in bytes, of which one pass pays for what is done at its two ends.
pub(super) const SIZE_MIN: usize = 8192;

impl Validator {
    /// Unmasks the next bytes of the text and validates them: what [`mask::apply`] and
    /// [`push`](Self::push) do one after the other. All of `bytes` is unmasked, also after an
    /// error.
    ///
    /// ```
    /// use ringwire_protocol::utf8::Validator;
    ///
    /// let mut payload = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
    /// let mut validator = Validator::new();
    /// validator.push_masked(&mut payload, [0x37, 0xfa, 0x21, 0x3d], 0)?;
    /// assert_eq!(&payload, b"Hello");
    /// # Ok::<(), ringwire_protocol::utf8::InvalidUtf8>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    #[inline]
    pub fn push_masked(
        &mut self,
        bytes: &mut [u8],
        key: [u8; 4],
        phase: usize,
    ) -> Result<(), InvalidUtf8> {
        if bytes.len() < SIZE_MIN {
            mask::apply(bytes, key, phase);
            return self.push(bytes);
        }
        self.push_masked_by(chosen(), bytes, rotated(u32::from_le_bytes(key), phase))
    }

    /// As above, by `kind`. `word` holds the key, its first byte to apply in the lowest eight bits.
    #[inline(never)]
    pub(super) fn push_masked_by(
        &mut self,
        kind: Kind,
        bytes: &mut [u8],
        word: u32,
    ) -> Result<(), InvalidUtf8> {
        match self.push_masked_from(kind, bytes, word) {
            Ok(()) => Ok(()),
            Err(offset) => {
                self.state = State::Failed;
                Err(InvalidUtf8 { offset })
            }
        }
    }

    fn push_masked_from(&mut self, kind: Kind, bytes: &mut [u8], word: u32) -> Result<(), usize> {
        // What a character lacks that earlier chunks began is three bytes at most.
        let (first, _) = bytes.split_at_mut(bytes.len().min(3));
        let mut lacking = [0; 3];
        let lacking = copy_unmasked(first, word, &mut lacking);
        let carried = match self.state {
            State::Between => 0,
            _ => self.carried(lacking).inspect_err(|_| unmask(bytes, word))?,
        };
        let (head, rest) = bytes.split_at_mut(carried);
        unmask(head, word);
        let word = rotated(word, carried);
        let (whole, begun) = rest.split_at_mut(whole_size(rest, word));
        unmask(begun, rotated(word, whole.len()));
        kind.check_masked(whole, word).map_err(|index| carried + index)?;
        if !begun.is_empty() {
            let done = carried + whole.len();
            self.state = scalar::push(State::Between, begun).map_err(|index| done + index)?;
        }
        Ok(())
    }
}

impl Kind {
    /// Unmasks and validates what [`whole_size`] left before a cut; the error is the index of the
    /// first bad byte.
    fn check_masked(self, whole: &mut [u8], mut word: u32) -> Result<(), usize> {
        let (mut rest, mut done) = (whole, 0);
        while !rest.is_empty() {
            let size = match rest.get(..PIECE_SIZE_MAX) {
                Some(piece) => whole_size(piece, word),
                None => rest.len(),
            };
            let (piece, after) = rest.split_at_mut(size);
            let is_valid = self.unmask(piece, word);
            word = rotated(word, size);
            if !is_valid && let Err(index) = self.locate(piece) {
                unmask(after, word);
                return Err(done + index);
            }
            done += size;
            rest = after;
        }
        Ok(())
    }
}

/// Where [`short::split_whole`] cuts these bytes once they are unmasked.
fn whole_size(masked: &[u8], word: u32) -> usize {
    let start = masked.len().saturating_sub(3);
    let mut last = [0; 3];
    let last =
        copy_unmasked(masked.get(start..).unwrap_or_default(), rotated(word, start), &mut last);
    start + short::split_whole(last).0.len()
}

/// The bytes unmasked, at most three, which stay as they are.
fn copy_unmasked<'t>(masked: &[u8], word: u32, to: &'t mut [u8; 3]) -> &'t [u8] {
    let to = to.get_mut(..masked.len()).unwrap_or_default();
    to.copy_from_slice(masked.get(..to.len()).unwrap_or_default());
    unmask(to, word);
    to
}
