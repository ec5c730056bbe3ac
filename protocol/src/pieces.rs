//! Bytes whose number is known only at their end.

use alloc::vec::Vec;

use crate::copy;
use crate::frame::header::SIZE_MAX;
use crate::shelf::Shelf;

/// Bytes of a piece, once there is more than one.
const PIECE_SIZE: usize = 64 << 10;

/// Bytes before those of a large frame, so that it can be sent as it lies, behind a header.
///
/// Half a page, because the kernel copies as libraries do ([`copy`]): slowly where its target lies
/// one to fifteen bytes further into a page than the source. It fills pages from their start, and
/// the next message begins ten bytes later than the one before. With 16 bytes of room 1 MiB took an
/// eighth longer.
pub(crate) const HEADROOM: usize = 2048;

const _: () = assert!(SIZE_MAX <= HEADROOM);

/// Bytes that a buffer has room for when it is lent, unless fewer are to come.
const ROOM_SIZE_MIN: usize = 1024;

/// How many times what has arrived a buffer of the shelf may hold: who only declares gets none.
const WHOLE_MAX: usize = 16;

/// The same of a buffer that is allocated for it. The system gives pages only to what is written,
/// so it takes more than has arrived of the address space and not of memory. Without it half of a
/// frame of 1 MiB was moved once more while it came, wherever the shelf had nothing for it.
const NEAR_MAX: usize = 4;

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
    /// Bytes at the start of the first buffer that are none of these: room for a header. Zero or
    /// [`HEADROOM`].
    head: usize,
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
        Self { full: Vec::new(), full_size: 0, head: 0, last: buffer }
    }

    pub(crate) const fn len(&self) -> usize {
        self.full_size + self.last.len() - self.head
    }

    /// Appends `bytes`. What is large may lie in a buffer of `shelf`.
    pub(crate) fn push(&mut self, bytes: &[u8], outlook: Outlook, shelf: &mut Shelf) {
        if self.last.capacity() - self.last.len() < bytes.len() {
            self.grow(bytes.len(), self.last.len() + bytes.len(), outlook, shelf);
        }
        copy::append(&mut self.last, bytes);
    }

    /// Makes room for `size` bytes and some of those that will follow. What is moved and what is
    /// set aside stay in proportion to what has `arrived`, these or without them: a length that is
    /// only declared costs nothing, and frames of one byte each cost no more than one frame of all.
    #[cold]
    fn grow(&mut self, size: usize, arrived: usize, outlook: Outlook, shelf: &mut Shelf) {
        let len = self.last.len();
        let (Outlook::Known(rest) | Outlook::AtMost(rest)) = outlook;
        let doubled = len + size;
        // All that would be left is less than what is set aside in any case.
        let is_end = rest <= doubled + doubled / 2;
        let whole = doubled.saturating_add(rest);
        if matches!(outlook, Outlook::Known(_))
            && whole > PIECE_SIZE
            && whole / WHOLE_MAX <= doubled
            && let wanted = whole.saturating_add(HEADROOM)
            && let Some(mut buffer) = shelf.take(wanted).or_else(|| {
                let is_near = is_end || whole / NEAR_MAX <= arrived;
                is_near.then(|| Vec::with_capacity(wanted))
            })
        {
            // The rest of the frame is neither moved nor asked for again.
            if self.head == 0 && self.full.is_empty() {
                self.head = HEADROOM;
                buffer.resize(HEADROOM, 0);
            }
            copy::append(&mut buffer, &self.last);
            self.last = buffer;
            return;
        }
        // As much again as has arrived; or all of a frame that would leave a small rest.
        let room = size + if is_end { rest } else { doubled };
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

    /// Lends the last buffer, with room for some of the `rest` bytes of the frame, which are
    /// appended as they come. Until it is [restored](Self::restore) nothing is pushed.
    pub(crate) fn lend(&mut self, rest: usize, shelf: &mut Shelf) -> Vec<u8> {
        let size = rest.min(self.len().max(ROOM_SIZE_MIN));
        if self.last.capacity() - self.last.len() < size {
            self.grow(size, self.last.len(), Outlook::Known(rest - size), shelf);
        }
        core::mem::take(&mut self.last)
    }

    /// Takes back what [`lend`](Self::lend) gave.
    pub(crate) fn restore(&mut self, buffer: Vec<u8>) {
        debug_assert!(self.last.capacity() == 0, "a buffer was restored that was not lent");
        self.last = buffer;
    }

    /// The last `size` bytes, which lie in one buffer.
    pub(crate) fn last_mut(&mut self, size: usize) -> &mut [u8] {
        let from = self.last.len().saturating_sub(size);
        self.last.get_mut(from..).unwrap_or_default()
    }

    /// All bytes in one buffer.
    pub(crate) fn join(&mut self) -> &mut [u8] {
        if !self.full.is_empty() {
            let mut joined = Vec::with_capacity(self.len());
            let mut head = core::mem::take(&mut self.head);
            // Each piece is given back before the next one is copied.
            for piece in self.full.drain(..) {
                copy::append(&mut joined, piece.get(head..).unwrap_or_default());
                head = 0;
            }
            copy::append(&mut joined, &self.last);
            self.full_size = 0;
            self.last = joined;
        }
        self.last.get_mut(self.head..).unwrap_or_default()
    }

    /// Gives all bytes away, behind [`HEADROOM`] others: in their own buffer where there is such
    /// room, else in a copy. None are left.
    pub(crate) fn take(&mut self, shelf: &mut Shelf) -> Vec<u8> {
        let size = self.join().len() + HEADROOM;
        if core::mem::take(&mut self.head) == HEADROOM {
            return core::mem::take(&mut self.last);
        }
        let mut buffer = shelf.take(size).unwrap_or_else(|| Vec::with_capacity(size));
        buffer.resize(HEADROOM, 0);
        copy::append(&mut buffer, &self.last);
        self.clear();
        buffer
    }

    /// Forgets all bytes.
    pub(crate) fn clear(&mut self) {
        self.full.clear();
        (self.full_size, self.head) = (0, 0);
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
                let shelf = &mut Shelf::new();
                let mut pieces = [Pieces::default(), Pieces::default(), Pieces::default()];
                let mut rest = size;
                for chunk in bytes.chunks(step) {
                    rest -= chunk.len();
                    pieces[0].push(chunk, Outlook::Known(rest), shelf);
                    pieces[1].push(chunk, Outlook::Known(0), shelf);
                    pieces[2].push(chunk, Outlook::AtMost(rest), shelf);
                }
                for pieces in &mut pieces {
                    assert_eq!(pieces.len(), size);
                    // No more is set aside than one and a half times what has arrived.
                    assert!(2 * pieces.capacity() <= 5 * size.max(PIECE_SIZE), "{step} {size}");
                    assert_eq!(*pieces.join(), bytes);
                    assert_eq!(pieces.len(), size);
                    pieces.clear();
                    assert_eq!(*pieces.join(), [0; 0]);
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
            let rest = LIMIT - pieces.len() - chunk.len();
            pieces.push(&chunk, Outlook::AtMost(rest), &mut Shelf::new());
            assert!(pieces.capacity() <= LIMIT);
        }
    }

    #[test]
    fn a_long_frame_lies_in_one_buffer() {
        let mut pieces = Pieces::default();
        for at in 1..=512 {
            let rest = (512 - at) * (16 << 10);
            pieces.push(&[1; 16 << 10], Outlook::Known(rest), &mut Shelf::new());
        }
        assert!(pieces.full.is_empty());
        assert_eq!(pieces.last.capacity(), 512 * (16 << 10) + HEADROOM);
    }

    #[test]
    fn a_large_frame_is_given_away_where_it_lies() {
        for step in (10..=500).step_by(10).map(|kilobytes| kilobytes << 10) {
            let (mut pieces, mut shelf) = (Pieces::default(), Shelf::new());
            let mut rest = (1 << 20) - (10 << 10);
            pieces.push(&[1; 10 << 10], Outlook::Known(rest), &mut shelf);
            while rest > 0 {
                let mut buffer = pieces.lend(rest, &mut shelf);
                let room = buffer.capacity() - buffer.len();
                let size = step.min(room).min(rest);
                buffer.resize(buffer.len() + size, 1);
                rest -= size;
                pieces.restore(buffer);
            }
            let address = pieces.last.as_ptr();
            let taken = pieces.take(&mut shelf);
            assert_eq!((taken.as_ptr(), taken.len()), (address, HEADROOM + (1 << 20)), "{step}");
        }
    }

    #[test]
    fn a_large_frame_ends_in_the_buffer_of_an_earlier_one() {
        let mut shelf = Shelf::new();
        let buffer = Vec::with_capacity((1 << 20) + HEADROOM);
        let address = buffer.as_ptr();
        shelf.give(buffer);
        let mut pieces = Pieces::default();
        for at in 1..=32 {
            let bytes = [at; 32 << 10];
            pieces.push(&bytes, Outlook::Known((32 - usize::from(at)) * bytes.len()), &mut shelf);
        }
        let joined = pieces.join();
        assert_eq!((joined.as_ptr(), joined.len()), (address.wrapping_add(HEADROOM), 1 << 20));
        assert!(
            joined.chunks(32 << 10).zip(1..).all(|(piece, at)| piece.iter().all(|it| *it == at))
        );
    }

    #[test]
    fn what_is_given_away_has_room_before_it() {
        for has_room in [false, true] {
            let mut shelf = Shelf::new();
            let mut pieces = Pieces::default();
            for _ in 0..2 {
                let outlook = if has_room { Outlook::Known } else { Outlook::AtMost };
                pieces.push(&[1; 70_000], outlook(70_000), &mut shelf);
                pieces.push(&[2; 70_000], outlook(0), &mut shelf);
                assert_eq!(pieces.join().len(), 140_000);
                assert_eq!(pieces.head, if has_room { HEADROOM } else { 0 });
                let given = pieces.take(&mut shelf);
                assert_eq!(given.len(), 140_000 + HEADROOM);
                assert!(given[HEADROOM..][..70_000].iter().all(|byte| *byte == 1));
                assert!(given[HEADROOM + 70_000..].iter().all(|byte| *byte == 2));
                assert_eq!((pieces.len(), pieces.head), (0, 0));
                if has_room {
                    shelf.give(given);
                }
            }
        }
    }
}
