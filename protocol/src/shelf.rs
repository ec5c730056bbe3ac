//! Large buffers between two messages.
//!
//! What the allocator gives back to the system comes back as pages that the system clears, one
//! fault for each 4 KiB: a message of 1 MiB and its echo took 512 of them, two thirds of the time.
//! So some large buffers are kept; all of them together, not each, have a maximum.

use alloc::vec::Vec;

/// Empty buffers, each with much capacity.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    buffers: Vec<Vec<u8>>,
    /// Their capacities together. `size <= SIZE_MAX`.
    size: usize,
}

impl Shelf {
    /// Bytes of all that is kept: eight messages of 1 MiB.
    pub(crate) const SIZE_MAX: usize = 8 << 20;

    /// An empty shelf.
    pub(crate) const fn new() -> Self {
        Self { buffers: Vec::new(), size: 0 }
    }

    /// Bytes of what is kept.
    pub(crate) const fn size(&self) -> usize {
        self.size
    }

    /// A buffer for `size` bytes, if there is one: of at most twice as many, so that nobody holds
    /// much more than it uses. The one that was used last, whose bytes a cache may still have.
    pub(crate) fn take(&mut self, size: usize) -> Option<Vec<u8>> {
        let fits = size..=size.saturating_mul(2);
        let index = self.buffers.iter().rposition(|buffer| fits.contains(&buffer.capacity()))?;
        let buffer = self.buffers.remove(index);
        self.size -= buffer.capacity();
        Some(buffer)
    }

    /// Takes a buffer of more than [`SPARE_SIZE_MAX`](crate::Workspace::SPARE_SIZE_MAX) bytes, in
    /// place of the oldest ones where there are too many.
    pub(crate) fn give(&mut self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        if capacity > Self::SIZE_MAX {
            return;
        }
        while self.size + capacity > Self::SIZE_MAX && !self.buffers.is_empty() {
            self.size -= self.buffers.remove(0).capacity();
        }
        buffer.clear();
        self.size += capacity;
        self.buffers.push(buffer);
    }

    /// Gives all of it back to the system.
    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn keeps_what_was_used_last_and_no_more_than_its_maximum() {
        let mut shelf = Shelf::new();
        for size in 1..=100 {
            shelf.give(Vec::with_capacity(size * MIB / 8));
            let size: usize = shelf.buffers.iter().map(Vec::capacity).sum();
            assert_eq!(shelf.size(), size);
            assert!(size <= Shelf::SIZE_MAX);
        }
        // Of 8 MiB and less the last was 64/8; larger ones are not kept.
        assert_eq!(shelf.size(), Shelf::SIZE_MAX);
        shelf.clear();
        assert_eq!((shelf.size(), shelf.buffers.len()), (0, 0));
    }

    #[test]
    fn gives_what_fits() {
        let mut shelf = Shelf::new();
        shelf.give(Vec::with_capacity(4 * MIB));
        let mut used = Vec::with_capacity(MIB + 1);
        used.push(7);
        shelf.give(used);
        assert_eq!(shelf.take(MIB / 4), None, "too large");
        assert_eq!(shelf.take(5 * MIB), None, "too small");
        let buffer = shelf.take(MIB).unwrap();
        assert!(buffer.is_empty() && buffer.capacity() > MIB);
        assert_eq!(shelf.take(MIB), None);
        assert_eq!(shelf.take(2 * MIB).map(|buffer| buffer.capacity()), Some(4 * MIB));
        assert_eq!(shelf.size(), 0);
    }
}
