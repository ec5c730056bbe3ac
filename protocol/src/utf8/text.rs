//! Text that is known to be text: [`Text`] and the [`Gather`] that assembles one.
#![expect(unsafe_code, reason = "what was validated once is not validated again")]

use alloc::vec::Vec;
use core::{fmt, ops::Deref};

use super::{InvalidUtf8, Validator};

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
        // SAFETY: a `Text` is made by `text` and `Gather::finish` only, both after a `Validator`
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
pub fn text(bytes: &mut [u8]) -> Result<Text<'_>, InvalidUtf8> {
    let mut validator = Validator::new();
    validator.push(bytes)?;
    validator.finish().map_err(|_| InvalidUtf8 { offset: bytes.len() })?;
    Ok(Text { bytes })
}

/// A text being assembled from chunks.
///
/// [`push`](Self::push) each chunk as it comes, then [`finish`](Self::finish) and read the text.
/// The next push begins the next text in the same buffer. After an error every call fails until the
/// buffer is taken back with [`into_buffer`](Self::into_buffer). Nothing here limits the size: the
/// caller adds up [`len`](Self::len) and the chunk before it pushes.
///
/// ```
/// use ringwire_protocol::utf8::Gather;
///
/// let mut gather = Gather::new(Vec::new());
/// gather.push(b"gr\xc3")?;
/// gather.push(b"\xbcn")?;
/// assert_eq!(gather.finish()?.as_str(), "grün");
/// # Ok::<(), ringwire_protocol::utf8::InvalidUtf8>(())
/// ```
#[derive(Debug, Default)]
pub struct Gather {
    /// While `stage` is `Open`, exactly the bytes that `validator` accepted.
    buffer: Vec<u8>,
    validator: Validator,
    stage: Stage,
}

/// Whether the buffer still holds what was validated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// It does, and more may come.
    #[default]
    Open,
    /// It was lent for change, so nothing is known of it.
    Lent,
}

impl Gather {
    /// An empty text that will grow in `buffer`, whose capacity is kept and whose bytes are not.
    #[must_use]
    pub fn new(mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        Self { buffer, validator: Validator::new(), stage: Stage::Open }
    }

    /// Validates `chunk` and appends it.
    ///
    /// # Errors
    ///
    /// [`InvalidUtf8`] with the offset of the first bad byte in `chunk`, of which nothing is
    /// appended then.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), InvalidUtf8> {
        self.reopen();
        self.validator.push(chunk)?;
        self.buffer.extend_from_slice(chunk);
        Ok(())
    }

    /// The bytes of the text so far.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.stage {
            Stage::Open => self.buffer.len(),
            Stage::Lent => 0,
        }
    }

    /// Whether the text has no bytes so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that fit without more memory.
    #[must_use]
    pub fn room(&self) -> usize {
        self.buffer.capacity() - self.len()
    }

    /// Makes room for just `additional` bytes more, as when the length of a frame is known before
    /// its payload.
    pub fn reserve(&mut self, additional: usize) {
        self.reopen();
        self.buffer.reserve_exact(additional);
    }

    /// Ends the text and lends it.
    ///
    /// # Errors
    ///
    /// [`InvalidUtf8`] when the last character is cut short, or after an earlier error.
    pub fn finish(&mut self) -> Result<Text<'_>, InvalidUtf8> {
        self.reopen();
        self.validator.finish()?;
        self.stage = Stage::Lent;
        Ok(Text { bytes: &mut self.buffer })
    }

    /// The buffer, for the next use of its capacity.
    #[must_use]
    pub fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// Begins the next text when the last one was lent.
    fn reopen(&mut self) {
        if self.stage == Stage::Lent {
            // The validator stands between characters: only so could the text be lent.
            self.buffer.clear();
            self.stage = Stage::Open;
        }
    }
}
