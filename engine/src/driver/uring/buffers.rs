//! The receive buffers of a worker, in the ring from which the kernel picks one when bytes arrive.
//! So an idle connection holds none.
//!
//! ```text
//!   kernel takes here            published with Release     we put back here
//!         ▼                                ▼                       ▼
//!  +---+---+---+---+---+---+---+---+---+---+---+---+---+---+---+---+
//!  |   |   | 3 | 0 | 7 | 1 |   |   |   |   |         entries, a power of two
//!  +---+---+---+---+---+---+---+---+---+---+
//! ```

#![expect(unsafe_code, reason = "the ring is memory that the kernel reads")]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

use crate::driver::Lease;

/// The group under which the buffers are registered: a ring has only this one.
pub(super) const GROUP: u16 = 0;

/// The kernel wants the entries at the start of a page.
const PAGE: usize = 4096;

/// The ring of entries and the buffers that they name.
pub(super) struct Buffers {
    entries: NonNull<BufRingEntry>,
    layout: Layout,
    /// `count - 1`, where `count` is a power of two and at most 2^15.
    mask: u16,
    /// Where the next buffer is put back. The kernel sees it once it is published.
    tail: u16,
    published: u16,
    /// Each buffer while the kernel may write into it; `None` while it is lent.
    buffers: Vec<Option<Box<[u8]>>>,
}

impl Buffers {
    /// `count` buffers of `size` bytes, not yet registered. `count` is a power of two, at most
    /// 2^15.
    pub(super) fn new(count: u16, size: usize) -> Self {
        debug_assert!(count.is_power_of_two());
        let layout = Layout::array::<BufRingEntry>(usize::from(count))
            .and_then(|layout| layout.align_to(PAGE))
            .unwrap_or(Layout::new::<BufRingEntry>());
        // SAFETY: the layout has a size above zero, since the count is a power of two.
        let memory = unsafe { alloc_zeroed(layout) };
        let Some(entries) = NonNull::new(memory.cast::<BufRingEntry>()) else {
            handle_alloc_error(layout)
        };
        let mut buffers = Self {
            entries,
            layout,
            mask: count - 1,
            tail: 0,
            published: 0,
            buffers: (0..count).map(|_| None).collect(),
        };
        for id in 0..count {
            let buffer = vec![0; size].into_boxed_slice();
            buffers.put_back(Lease { buffer, id, size: 0 });
        }
        buffers
    }

    /// Makes the buffers known to the kernel.
    pub(super) fn register(&mut self, submitter: &Submitter<'_>) -> io::Result<()> {
        let address = self.entries.as_ptr() as u64;
        // SAFETY: the entries live until `self` is dropped, which the driver does after the ring.
        unsafe { submitter.register_buf_ring_with_flags(address, self.mask + 1, GROUP, 0) }?;
        self.publish();
        Ok(())
    }

    /// Takes the buffer that the kernel has put `size` bytes into.
    pub(super) fn take(&mut self, id: u16, size: usize) -> Option<Lease> {
        let buffer = self.buffers.get_mut(usize::from(id))?.take()?;
        debug_assert!(size <= buffer.len());
        Some(Lease { buffer, id, size })
    }

    /// Puts a buffer back. The kernel sees it after the next `publish`.
    pub(super) fn put_back(&mut self, mut lease: Lease) {
        let index = usize::from(self.tail & self.mask);
        // SAFETY: the index is masked to the entries that were allocated.
        let entry = unsafe { self.entries.add(index) };
        // The first entry's reserved field is the ring's tail, so only the other fields are set.
        // SAFETY: the entry is ours: the kernel reads only up to the published tail.
        let entry = unsafe { &mut *entry.as_ptr() };
        entry.set_addr(lease.buffer.as_mut_ptr() as u64);
        entry.set_len(u32::try_from(lease.buffer.len()).unwrap_or(u32::MAX));
        entry.set_bid(lease.id);
        self.tail = self.tail.wrapping_add(1);
        if let Some(place) = self.buffers.get_mut(usize::from(lease.id)) {
            debug_assert!(place.is_none(), "a buffer was put back twice");
            *place = Some(lease.buffer);
        }
    }

    /// Shows the kernel everything that has been put back.
    pub(super) fn publish(&mut self) {
        if self.tail == self.published {
            return;
        }
        // SAFETY: the pointer is that of the first entry of the ring.
        let tail = unsafe { BufRingEntry::tail(self.entries.as_ptr()) };
        // SAFETY: the field is two bytes, aligned, and written only here; the kernel reads it.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        // Release: the entries are written before the kernel can see them.
        tail.store(self.tail, Ordering::Release);
        self.published = self.tail;
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout; the kernel's ring is gone.
        unsafe { dealloc(self.entries.as_ptr().cast(), self.layout) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_go_round() {
        let mut buffers = Buffers::new(4, 16);
        assert_eq!((buffers.tail, buffers.published), (4, 0));
        buffers.publish();
        for turn in 0..100_u16 {
            let lease = buffers.take(turn % 4, 7).unwrap();
            assert_eq!((lease.len(), lease.id), (7, turn % 4));
            assert!(buffers.take(turn % 4, 7).is_none(), "lent twice");
            buffers.put_back(lease);
            buffers.publish();
        }
        assert_eq!(buffers.published, 104);
    }
}
