//! Text that is known to be text: [`Text`], the [`Gather`] that assembles one, and the [`Chunked`]
//! that hands one over while it arrives.
#![expect(unsafe_code, reason = "what was validated once is not validated again")]

use alloc::vec::Vec;
use core::{fmt, ops::Deref};

use super::{InvalidUtf8, PIECE_SIZE_MAX, Validator, chosen, masked, short};
use crate::mask;
use crate::pieces::{Outlook, Pieces};
use crate::shelf::Shelf;

/// Validated bytes, lent for change.
///
/// Reads as a `str`; [`into_bytes`](Self::into_bytes) gives the bytes up to a parser that works in
/// place.
///
/// ```
/// let mut bytes = *b"{\"price\":1}";
/// let text = ringwire_protocol::utf8::text(&mut bytes)?;
/// assert!(text.starts_with('{'));
/// let bytes: &mut [u8] = text.into_bytes();
/// assert_eq!(bytes.len(), 11);
/// # Ok::<(), ringwire_protocol::utf8::InvalidUtf8>(())
/// ```
pub struct Text<'a> {
    /// Well-formed. Private, never lent for change while this value lives, and made in this file
    /// only.
    bytes: &'a mut [u8],
}

impl<'a> Text<'a> {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // SAFETY: a `Text` is made by `text`, `Gather` and `Chunked` only, all after a `Validator`
        // accepted exactly these bytes and their end, and the borrow it holds keeps everyone else
        // from changing them.
        unsafe { core::str::from_utf8_unchecked(self.bytes) }
    }

    /// The bytes, to be changed at will: they are no longer known to be text.
    #[must_use]
    pub fn into_bytes(self) -> &'a mut [u8] {
        self.bytes
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), formatter)
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), formatter)
    }
}

/// Validates a whole text.
///
/// # Errors
///
/// [`InvalidUtf8`] with the offset of the first bad byte in `bytes`; of a text whose last character
/// is cut short, with the length of `bytes`, where the missing byte would stand.
#[inline]
pub fn text(bytes: &mut [u8]) -> Result<Text<'_>, InvalidUtf8> {
    if bytes.len() < short::SIZE_MAX && short::is_ascii(bytes) {
        return Ok(Text { bytes });
    }
    text_checked(bytes)
}

/// As [`text`], for what is not a few words of ASCII: by itself, as what follows, because whoever
/// takes fewer registers need not save as many.
#[inline(never)]
fn text_checked(bytes: &mut [u8]) -> Result<Text<'_>, InvalidUtf8> {
    if bytes.len() < short::CHECKED_SIZE_MAX && chosen().is_valid_short(bytes) {
        return Ok(Text { bytes });
    }
    text_located(bytes)
}

/// As [`text`], for what is long, or is no text.
#[inline(never)]
fn text_located(bytes: &mut [u8]) -> Result<Text<'_>, InvalidUtf8> {
    // What is not too long to be looked at twice.
    if bytes.len() <= PIECE_SIZE_MAX && chosen().is_valid(bytes) {
        return Ok(Text { bytes });
    }
    let mut validator = Validator::new();
    validator.push(bytes)?;
    validator.finish().map_err(|_| InvalidUtf8 { offset: bytes.len() })?;
    Ok(Text { bytes })
}

/// Unmasks a whole text and validates it: what [`mask::apply`](crate::mask::apply) and [`text`] do
/// one after the other. All of `bytes` is unmasked, also after an error.
///
/// ```
/// let mut payload = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
/// let text = ringwire_protocol::utf8::masked_text(&mut payload, [0x37, 0xfa, 0x21, 0x3d])?;
/// assert_eq!(text.as_str(), "Hello");
/// # Ok::<(), ringwire_protocol::utf8::InvalidUtf8>(())
/// ```
///
/// # Errors
///
/// As [`text`].
#[inline]
pub fn masked_text(bytes: &mut [u8], key: [u8; 4]) -> Result<Text<'_>, InvalidUtf8> {
    if bytes.len() < masked::SIZE_MIN {
        mask::apply(bytes, key, 0);
        return text(bytes);
    }
    masked_text_fused(bytes, key)
}

/// As [`masked_text`], in one pass.
#[inline(never)]
fn masked_text_fused(bytes: &mut [u8], key: [u8; 4]) -> Result<Text<'_>, InvalidUtf8> {
    let mut validator = Validator::new();
    validator.push_masked(bytes, key, 0)?;
    validator.finish().map_err(|_| InvalidUtf8 { offset: bytes.len() })?;
    Ok(Text { bytes })
}

/// Takes a text from the input, which lies masked behind `start` other bytes. `None`: it is no
/// text, or is not there; nothing has been taken, and nothing is changed.
pub(crate) fn take_masked<'i>(
    input: &mut &'i mut [u8],
    start: usize,
    size: usize,
    key: [u8; 4],
) -> Option<Text<'i>> {
    let payload = input.get_mut(start..start + size)?;
    if masked_text(payload, key).is_err() {
        // The same mask once more makes it what it was.
        mask::apply(payload, key, 0);
        return None;
    }
    lend(input, start, size)
}

/// As [`take_masked`], for a text of a few words: at most [`mask::SHORT_MAX`] bytes.
#[inline(always)]
pub(crate) fn take_masked_short<'i>(
    input: &mut &'i mut [u8],
    start: usize,
    size: usize,
    key: [u8; 4],
) -> Option<Text<'i>> {
    let payload = input.get_mut(start..start + size)?;
    if !mask::apply_short(payload, key) && !is_text_or_masked(payload, key) {
        return None;
    }
    lend(input, start, size)
}

/// Whether it is a text; otherwise it is masked again.
#[inline(never)]
fn is_text_or_masked(payload: &mut [u8], key: [u8; 4]) -> bool {
    let is_text = text(payload).is_ok();
    if !is_text {
        mask::apply(payload, key, 0);
    }
    is_text
}

/// Splits a text off the input, which has been validated where it lies.
#[inline(always)]
fn lend<'i>(input: &mut &'i mut [u8], start: usize, size: usize) -> Option<Text<'i>> {
    let (taken, rest) = core::mem::take(input).split_at_mut_checked(start + size)?;
    *input = rest;
    // ASCII, or validated, and lent for change since only as what follows `start`.
    taken.get_mut(start..).map(|bytes| Text { bytes })
}

/// A text being assembled from chunks.
///
/// [`push`](Self::push) each chunk as it comes, then [`finish`](Self::finish) and read the text.
/// The next push begins the next text in the same buffer. After an error every call fails until the
/// buffer is taken back with [`into_buffer`](Self::into_buffer). Nothing here limits the size: the
/// caller adds up [`len`](Self::len) and the chunk before it pushes.
#[derive(Debug, Default)]
pub(crate) struct Gather {
    /// While `stage` is `Open`, exactly the bytes that `validator` accepted.
    pieces: Pieces,
    validator: Validator,
    stage: Stage,
}

/// Whether the pieces still hold what was validated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// They do, and more may come.
    #[default]
    Open,
    /// They were lent for change, so nothing is known of them.
    Lent,
}

impl Gather {
    /// An empty text that will grow in `buffer`, whose capacity is kept and whose bytes are not.
    pub(crate) fn new(buffer: Vec<u8>) -> Self {
        Self { pieces: Pieces::new(buffer), validator: Validator::new(), stage: Stage::Open }
    }

    /// Validates `chunk` and appends it; `outlook` is what may follow.
    ///
    /// # Errors
    ///
    /// [`InvalidUtf8`] with the offset of the first bad byte in `chunk`, of which nothing is
    /// appended then.
    pub(crate) fn push(
        &mut self,
        chunk: &[u8],
        outlook: Outlook,
        shelf: &mut Shelf,
    ) -> Result<(), InvalidUtf8> {
        self.reopen();
        self.validator.push(chunk)?;
        self.pieces.push(chunk, outlook, shelf);
        Ok(())
    }

    /// The buffer to append more bytes to, of which the text has `rest` to come.
    pub(crate) fn lend(&mut self, rest: usize, shelf: &mut Shelf) -> Vec<u8> {
        self.reopen();
        self.pieces.lend(rest, shelf)
    }

    /// Takes back what [`lend`](Self::lend) gave. What has been appended is no text before it has
    /// been [accepted](Self::accept).
    pub(crate) fn restore(&mut self, buffer: Vec<u8>) {
        self.pieces.restore(buffer);
    }

    /// The last `size` bytes, which have been appended and are to be unmasked.
    pub(crate) fn appended(&mut self, size: usize) -> &mut [u8] {
        self.pieces.last_mut(size)
    }

    /// Validates the last `size` bytes, which have been appended.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub(crate) fn accept(&mut self, size: usize) -> Result<(), InvalidUtf8> {
        self.validator.push(self.pieces.last_mut(size))
    }

    /// The bytes of the text so far.
    pub(crate) const fn len(&self) -> usize {
        match self.stage {
            Stage::Open => self.pieces.len(),
            Stage::Lent => 0,
        }
    }

    /// Ends the text and lends it.
    ///
    /// # Errors
    ///
    /// [`InvalidUtf8`] when the last character is cut short, or after an earlier error.
    pub(crate) fn finish(&mut self) -> Result<Text<'_>, InvalidUtf8> {
        self.reopen();
        self.validator.finish()?;
        self.stage = Stage::Lent;
        // The pieces in their order are the bytes that were validated.
        Ok(Text { bytes: self.pieces.join() })
    }

    /// Gives the bytes away as [`Pieces::take`] does.
    pub(crate) fn take(&mut self, shelf: &mut Shelf) -> Vec<u8> {
        self.pieces.take(shelf)
    }

    /// Bytes that have been allocated for it.
    pub(crate) fn capacity(&self) -> usize {
        self.pieces.capacity()
    }

    /// The buffer, for the next use of its capacity.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.pieces.into_buffer()
    }

    /// Begins the next text when the last one was lent.
    fn reopen(&mut self) {
        if self.stage == Stage::Lent {
            // The validator stands between characters: only so could the text be lent.
            self.pieces.clear();
            self.stage = Stage::Open;
        }
    }
}

/// A text that is handed over in chunks while it arrives, each of them a text of its own.
///
/// ```text
///  piece    ├──────────── whole characters ────────────┤├ begun ┤
///           lent where they lie                          carried, until the next pieces end it
/// ```
#[derive(Debug, Default)]
pub(crate) struct Chunked {
    validator: Validator,
    /// The character that a piece has begun, in `carry[..carry_size]`. Whole, and to be lent, where
    /// the validator stands between characters.
    carry: [u8; 4],
    carry_size: u8,
}

impl Chunked {
    /// Bytes that a begun character lacks, which the next piece must not exceed; 0 where none has
    /// begun.
    pub(crate) fn lacking(&self) -> usize {
        if self.validator.is_complete() {
            return 0;
        }
        let size = match self.carry[0] {
            0xf0.. => 4,
            0xe0.. => 3,
            _ => 2,
        };
        size - usize::from(self.carry_size).min(size)
    }

    /// Validates `piece`, lends what of it ends with a character and carries the rest. All of it is
    /// carried where a character has begun.
    ///
    /// # Errors
    ///
    /// [`InvalidUtf8`] with the offset of the first bad byte in `piece`; then nothing is lent.
    pub(crate) fn push<'p>(&mut self, piece: &'p mut [u8]) -> Result<Text<'p>, InvalidUtf8> {
        let has_begun = !self.validator.is_complete();
        self.validator.push(piece)?;
        let whole_size = if has_begun { 0 } else { short::split_whole(piece).0.len() };
        // The validator has accepted what stands before the cut, from between two characters on,
        // and the cut stands between two characters.
        let (whole, begun) = piece.split_at_mut(whole_size);
        if !has_begun {
            self.carry_size = 0;
        }
        for &byte in &*begun {
            if let Some(slot) = self.carry.get_mut(usize::from(self.carry_size)) {
                *slot = byte;
                self.carry_size += 1;
            }
        }
        Ok(Text { bytes: whole })
    }

    /// The character that was carried, where it is whole; without text otherwise.
    pub(crate) fn carried(&mut self) -> Text<'_> {
        let carry = self.carry.get_mut(..usize::from(self.carry_size)).unwrap_or_default();
        // Looked at once more: four bytes, which the caller may have written to before.
        text(carry).unwrap_or(Text { bytes: &mut [] })
    }

    /// Whether the text could end here.
    pub(crate) fn is_complete(&self) -> bool {
        self.validator.is_complete()
    }
}
