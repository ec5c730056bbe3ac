//! Bytes whose number is known only at their end.

use alloc::vec::Vec;

/// Bytes of a piece, once there is more than one.
const PIECE_SIZE: usize = 64 << 10;

/// Bytes put together in the order of their arrival.
///
/// Small ones lie in one buffer that doubles as it grows. Beyond [`PIECE_SIZE`], where doubling
/// would leave the allocator with as much again as is used, they lie in pieces that are never
/// moved, until [`join`](Self::join) makes one buffer of them: what is never joined, as a message
/// that turns out to be too big, takes the memory of its bytes and no more.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    /// Before `last`, in order.
    full: Vec<Vec<u8>>,
    /// Bytes in `full`.
    full_size: usize,
    last: Vec<u8>,
}

/// What is known of the bytes that will follow those that are being pushed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outlook {
    /// So many of the same frame.
    Known(usize),
    /// At most so many.
    AtMost(usize),
}

impl Pieces {
    /// None so far. The capacity of `buffer` is used, its bytes are not.
    pub(crate) fn new(mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        Self { full: Vec::new(), full_size: 0, last: buffer }
    }

    pub(crate) const fn len(&self) -> usize {
        self.full_size + self.last.len()
    }

    /// Appends `bytes`.
    pub(crate) fn push(&mut self, bytes: &[u8], outlook: Outlook) {
        if self.last.capacity() - self.last.len() < bytes.len() {
            self.grow(bytes.len(), outlook);
        }
        self.last.extend_from_slice(bytes);
    }

    /// Makes room for `size` bytes and some of those that will follow. What is moved and what is
    /// set aside stay in proportion to what has arrived: a length that is only declared costs
    /// nothing, and frames of one byte each cost no more than one frame of all.
    #[cold]
    fn grow(&mut self, size: usize, outlook: Outlook) {
        let len = self.last.len();
        let (Outlook::Known(rest) | Outlook::AtMost(rest)) = outlook;
        let doubled = len + size;
        // As much again as has arrived; or all of a frame that would leave a small rest.
        let room = size + if rest <= doubled + doubled / 2 { rest } else { doubled };
        // A frame that is long beside what is there ends in the same buffer, without joining.
        let is_long = matches!(outlook, Outlook::Known(_)) && room >= len / 4;
        if len <= PIECE_SIZE / 2 {
            self.last.reserve_exact(room.max(len));
            return;
        }
        if is_long {
            self.last.reserve_exact(room);
            return;
        }
        let room = match outlook {
            Outlook::Known(_) => PIECE_SIZE,
            Outlook::AtMost(rest) => PIECE_SIZE.min(size + rest),
        };
        let piece = Vec::with_capacity(room.max(size));
        let full = core::mem::replace(&mut self.last, piece);
        self.full_size += full.len();
        self.full.push(full);
    }

    /// All bytes in one buffer.
    pub(crate) fn join(&mut self) -> &mut Vec<u8> {
        if !self.full.is_empty() {
            let mut joined = Vec::with_capacity(self.len());
            // Each piece is given back before the next one is copied.
            for piece in self.full.drain(..) {
                joined.extend_from_slice(&piece);
            }
            joined.extend_from_slice(&self.last);
            self.full_size = 0;
            self.last = joined;
        }
        &mut self.last
    }

    /// Forgets all bytes.
    pub(crate) fn clear(&mut self) {
        self.full.clear();
        self.full_size = 0;
        self.last.clear();
    }

    /// Bytes that have been allocated for them.
    pub(crate) fn capacity(&self) -> usize {
        self.full.iter().map(Vec::capacity).sum::<usize>() + self.last.capacity()
    }

    /// A buffer for its capacity.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_what_was_pushed() {
        for step in [1, 7, 4096, 100_000, 1 << 20] {
            for size in [0, 1, PIECE_SIZE - 1, PIECE_SIZE, 5 * PIECE_SIZE + 3] {
                let bytes: Vec<u8> = (0..=250).cycle().take(size).collect();
                let mut pieces = [Pieces::default(), Pieces::default(), Pieces::default()];
                let mut rest = size;
                for chunk in bytes.chunks(step) {
                    rest -= chunk.len();
                    pieces[0].push(chunk, Outlook::Known(rest));
                    pieces[1].push(chunk, Outlook::Known(0));
                    pieces[2].push(chunk, Outlook::AtMost(rest));
                }
                for pieces in &mut pieces {
                    assert_eq!(pieces.len(), size);
                    // No more is set aside than one and a half times what has arrived.
                    assert!(2 * pieces.capacity() <= 5 * size.max(PIECE_SIZE), "{step} {size}");
                    assert_eq!(*pieces.join(), bytes);
                    assert_eq!(pieces.len(), size);
                    pieces.clear();
                    assert_eq!(*pieces.join(), []);
                }
            }
        }
    }

    #[test]
    fn a_message_of_unknown_size_takes_the_memory_of_its_bytes() {
        const LIMIT: usize = 16 << 20;
        let mut pieces = Pieces::default();
        let chunk = [0; 8 << 10];
        while pieces.len() < LIMIT {
            pieces.push(&chunk, Outlook::AtMost(LIMIT - pieces.len() - chunk.len()));
            assert!(pieces.capacity() <= LIMIT);
        }
    }

    #[test]
    fn a_long_frame_lies_in_one_buffer() {
        let mut pieces = Pieces::default();
        for at in 1..=512 {
            pieces.push(&[1; 16 << 10], Outlook::Known((512 - at) * (16 << 10)));
        }
        assert!(pieces.full.is_empty());
        assert_eq!(pieces.last.capacity(), 512 * (16 << 10));
    }
}
