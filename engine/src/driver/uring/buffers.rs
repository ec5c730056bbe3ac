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
//!
//! The kernel takes them in turn, so what goes round is what the processor's caches have to hold.
//! As few go round as have been enough: the others wait until the kernel finds none.

#![expect(unsafe_code, reason = "the ring is memory that the kernel reads")]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

use crate::driver::Lease;
use crate::driver::memory::{Memory, Piece};

/// The group under which the buffers are registered: a ring has only this one.
pub(super) const GROUP: u16 = 0;

/// How many go round at least: what half of a core's second cache holds, with buffers of 32 KiB.
const ROUND_MIN: u16 = 16;

/// Publications, a second or so under load, in which less than half was lent: then fewer go round.
/// A pause of the thread, after which all connections have something at once, is sooner followed by
/// the next.
const CALM: u32 = 1 << 16;

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
    /// Those that do not go round.
    resting: Vec<Lease>,
    /// How many go round: in the ring or lent.
    round: u16,
    /// How many of them are lent, and the most that were since `calm` was zero.
    lent: u16,
    lent_max: u16,
    /// Publications since it was last asked whether so many have to, or since that was too few.
    calm: u32,
    /// How many of them are to rest when they come back.
    excess: u16,
    /// More go round since the last publication.
    has_grown: bool,
    /// Each buffer while the kernel may write into it; `None` while it is lent.
    buffers: Vec<Option<Piece>>,
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
            resting: Vec::with_capacity(usize::from(count)),
            round: 0,
            lent: 0,
            lent_max: 0,
            calm: 0,
            excess: 0,
            has_grown: false,
            buffers: (0..count).map(|_| None).collect(),
        };
        let (_, pieces) = Memory::new(count, size);
        let lease = |(id, buffer)| Lease { buffer, id, size: 0 };
        buffers.resting.extend((0..count).zip(pieces).map(lease));
        buffers.resting.reverse();
        buffers.widen(ROUND_MIN);
        buffers
    }

    /// The kernel has found no buffer: from the next publication on one more goes round for each
    /// time, and twice as many at least.
    pub(super) fn grow(&mut self) {
        (self.calm, self.excess) = (0, 0);
        let count = if self.has_grown { 1 } else { self.round };
        self.has_grown = true;
        self.widen(count);
    }

    /// Lets so many more go round, if there are.
    fn widen(&mut self, count: u16) {
        for _ in 0..count {
            let Some(lease) = self.resting.pop() else { break };
            self.round += 1;
            self.show(lease);
        }
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
        self.lent += 1;
        self.lent_max = self.lent_max.max(self.lent);
        Some(Lease { buffer, id, size })
    }

    /// Puts a buffer back. If it is to go round, the kernel sees it after the next `publish`.
    pub(super) fn put_back(&mut self, lease: Lease) {
        self.lent = self.lent.saturating_sub(1);
        if self.calm >= CALM {
            self.calm = 0;
            let enough = self.lent_max.saturating_mul(2).max(ROUND_MIN);
            self.excess = self.round.saturating_sub(enough);
            self.lent_max = self.lent;
        }
        if self.excess > 0 {
            self.excess -= 1;
            self.round -= 1;
            self.resting.push(lease);
        } else {
            self.show(lease);
        }
    }

    /// Puts a buffer into the ring.
    fn show(&mut self, mut lease: Lease) {
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
        self.has_grown = false;
        self.calm = self.calm.saturating_add(1);
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

    #[test]
    fn as_many_go_round_as_are_wanted() {
        let mut buffers = Buffers::new(256, 16);
        let shown = |buffers: &Buffers| usize::from(buffers.round) + buffers.resting.len();
        assert_eq!((buffers.round, shown(&buffers)), (ROUND_MIN, 256));
        // All of them are lent, and the kernel finds none, twice.
        for wanted in [33, 67, 135, 256, 256] {
            buffers.grow();
            buffers.grow();
            buffers.publish();
            assert_eq!((buffers.round, shown(&buffers)), (wanted, 256));
        }
        assert_eq!(buffers.published, 256);
        let lent: Vec<Lease> = (0..40).map(|id| buffers.take(id, 1).unwrap()).collect();
        lent.into_iter().for_each(|lease| buffers.put_back(lease));
        assert_eq!(buffers.round, 256, "that is soon to tell");
        let turn = |buffers: &mut Buffers| {
            for _ in 0..CALM {
                let id = (0..256).find(|id| buffers.buffers[usize::from(*id)].is_some()).unwrap();
                let lease = buffers.take(id, 1).unwrap();
                buffers.put_back(lease);
                buffers.publish();
            }
        };
        turn(&mut buffers);
        turn(&mut buffers);
        assert_eq!((buffers.round, shown(&buffers)), (80, 256), "twice as many as were lent");
        turn(&mut buffers);
        assert_eq!((buffers.round, shown(&buffers)), (ROUND_MIN, 256));
    }
}
