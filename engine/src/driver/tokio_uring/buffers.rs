//! The receive buffers of a worker, of which some are shown to the ring: the kernel picks one of
//! those when bytes arrive, so an idle connection holds none.
//!
//! ```text
//!            show, in runs               a receive ends
//!    home ──────────────────▶ shown ──────────────────────▶ lent
//!      ▲                                                      │
//!      └──────────────────────── recycle ─────────────────────┘
//! ```
//!
//! They lie one behind the other, because one operation shows as many as have consecutive numbers.
//! What has come back is shown when half of those that go round have been taken, and sorted before.

use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::driver::memory::{Memory, Piece, chunk_count};
use crate::driver::{BufferPool, Lease};

/// The first group: those of the host's own are more likely to be counted from zero.
const GROUP_FIRST: u16 = 1 << 15;

/// Groups that no driver of the process has had. Never one twice: a ring remembers what was shown
/// to it, and where that was, for as long as it lives.
static GROUP_NEXT: AtomicU16 = AtomicU16::new(GROUP_FIRST);

/// How many go round at first.
pub(super) const ROUND_MIN: u16 = 16;

/// Buffers of consecutive numbers, to be shown by one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) start: NonNull<u8>,
    /// Bytes of each.
    pub(super) size: usize,
    pub(super) count: u16,
    pub(super) first: u16,
}

/// Where all of them are.
pub(super) struct Buffers {
    memory: Arc<Memory>,
    size: usize,
    /// So many lie one behind the other, and then others elsewhere.
    chunk_count: u16,
    /// By number: each that is shown to the ring.
    shown: Vec<Option<Piece>>,
    shown_count: u16,
    /// Those that nobody has. The last one is taken first.
    home: Vec<Lease>,
    /// How many go round at most: they are shown or lent.
    round: u16,
    lent: u16,
}

impl Buffers {
    /// All of them, none shown. Memory is taken when one is used for the first time.
    pub(super) fn new(pool: BufferPool) -> Self {
        let BufferPool { count, size } = pool;
        let (memory, pieces) = Memory::new(count, size);
        let chunk_count = chunk_count(size);
        let mut home: Vec<Lease> = (0..count)
            .zip(pieces)
            .map(|(id, piece)| Lease { buffer: piece, id, size: 0 })
            .collect();
        home.reverse();
        let shown = (0..count).map(|_| None).collect();
        let round = ROUND_MIN.min(count);
        Self { memory, size, chunk_count, shown, shown_count: 0, home, round, lent: 0 }
    }

    /// The memory that may be written to while a receive is in flight.
    pub(super) fn memory(&self) -> Arc<Memory> {
        Arc::clone(&self.memory)
    }

    /// Bytes of each.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// One that nobody has, for a receive without the ring.
    pub(super) fn take(&mut self) -> Option<Lease> {
        let lease = self.home.pop()?;
        self.lent += 1;
        Some(lease)
    }

    /// The buffer that the kernel has put `size` bytes into.
    pub(super) fn take_shown(&mut self, id: u16, size: usize) -> Option<Lease> {
        let piece = self.shown.get_mut(usize::from(id))?.take()?;
        debug_assert!(size <= piece.len(), "more bytes than the buffer has");
        self.shown_count -= 1;
        self.lent += 1;
        Some(Lease { buffer: piece, id, size })
    }

    pub(super) fn put_back(&mut self, lease: Lease) {
        debug_assert!(self.home.iter().all(|home| home.id != lease.id), "put back twice");
        self.lent -= 1;
        self.home.push(lease);
    }

    /// A receive has found none: more are shown by the next [`Self::show`], if there are more.
    pub(super) fn grow(&mut self) {
        let count = u16::try_from(self.shown.len()).unwrap_or(u16::MAX);
        if self.shown_count + self.lent >= self.round {
            self.round = self.round.saturating_mul(2).min(count);
        }
    }

    /// Takes what is to be shown now, run by run.
    pub(super) fn show(&mut self, runs: &mut Vec<Run>) {
        if self.shown_count > self.round / 2 || self.home.is_empty() {
            return;
        }
        let wanted = self.round.saturating_sub(self.shown_count + self.lent);
        let rest = self.home.len().saturating_sub(wanted.into());
        if let Some(leases) = self.home.get_mut(rest..) {
            leases.sort_unstable_by_key(|lease| lease.id);
        }
        for Lease { buffer, id, .. } in self.home.drain(rest..) {
            let start = buffer.start();
            match runs.last_mut() {
                Some(run)
                    if run.first + run.count == id && !id.is_multiple_of(self.chunk_count) =>
                {
                    run.count += 1;
                }
                _ => runs.push(Run { start, size: self.size, count: 1, first: id }),
            }
            if let Some(place) = self.shown.get_mut(usize::from(id)) {
                debug_assert!(place.is_none(), "shown twice");
                *place = Some(buffer);
            }
            self.shown_count += 1;
        }
    }

    /// Takes back what could not be shown.
    pub(super) fn take_back(&mut self, run: Run) {
        self.take_home(run.first..run.first.saturating_add(run.count));
    }

    /// Takes all back that is shown. No receive is in flight, and none follows.
    pub(super) fn hide(&mut self) {
        self.take_home(0..u16::MAX);
    }

    fn take_home(&mut self, ids: Range<u16>) {
        for id in ids {
            let piece = self.shown.get_mut(usize::from(id)).and_then(Option::take);
            if let Some(piece) = piece {
                self.shown_count -= 1;
                self.home.push(Lease { buffer: piece, id, size: 0 });
            }
        }
    }
}

/// A group that nobody else has. `None`: a process has had all of them.
pub(super) fn next_group() -> Option<u16> {
    GROUP_NEXT
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |group| match group {
            0 => None,
            group => Some(group.wrapping_add(1)),
        })
        .ok()
}

#[cfg(test)]
mod tests {
    use super::{Buffers, ROUND_MIN};
    use crate::driver::BufferPool;
    use crate::driver::memory::CHUNK_SIZE;

    const POOL: BufferPool = BufferPool { count: 64, size: 8 };

    /// What is shown now: the first of each run, and how many.
    fn show(buffers: &mut Buffers) -> Vec<(u16, u16)> {
        let mut runs = Vec::new();
        buffers.show(&mut runs);
        runs.iter().map(|run| (run.first, run.count)).collect()
    }

    #[test]
    fn what_has_come_back_is_shown_in_runs_when_half_are_taken() {
        let mut buffers = Buffers::new(POOL);
        assert_eq!(show(&mut buffers), [(0, ROUND_MIN)]);
        assert_eq!(show(&mut buffers), []);
        let lent: Vec<_> = [1, 2, 3, 4, 9, 7, 8, 0].map(|id| buffers.take_shown(id, 3)).into();
        assert!(buffers.take_shown(0, 3).is_none(), "it is lent already");
        assert!(lent.iter().all(|lease| lease.as_ref().unwrap().len() == 3));
        // As many as go round are out.
        assert_eq!(show(&mut buffers), []);
        lent.into_iter().flatten().for_each(|lease| buffers.put_back(lease));
        assert_eq!(show(&mut buffers), [(0, 5), (7, 3)]);
    }

    #[test]
    fn what_lies_elsewhere_is_shown_by_itself() {
        let mut buffers = Buffers::new(BufferPool { count: 5, size: CHUNK_SIZE / 2 });
        assert_eq!(show(&mut buffers), [(0, 2), (2, 2), (4, 1)]);
        let mut last = buffers.take_shown(4, CHUNK_SIZE / 2).unwrap();
        last[CHUNK_SIZE / 2 - 1] = 1;
        assert_eq!(last.last(), Some(&1));
    }

    #[test]
    fn pieces_lie_one_behind_the_other_and_are_their_own() {
        let mut buffers = Buffers::new(POOL);
        let mut runs = Vec::new();
        buffers.show(&mut runs);
        let start = runs[0].start.addr().get();
        let mut leases: Vec<_> = (0..4).filter_map(|id| buffers.take_shown(id, 8)).collect();
        for (lease, byte) in leases.iter_mut().zip(1..) {
            lease.fill(byte);
        }
        for (lease, at) in leases.iter().zip(0..) {
            assert_eq!(lease.as_ptr().addr(), start + at * POOL.size);
            assert_eq!(**lease, [u8::try_from(at + 1).unwrap(); 8]);
        }
        // They hold their memory.
        drop(buffers);
        assert_eq!(*leases[3], [4; 8]);
    }

    #[test]
    fn more_go_round_where_they_are_wanted() {
        let mut buffers = Buffers::new(POOL);
        let mut shown = 0;
        for round in [16, 32, 64] {
            let more: u16 = show(&mut buffers).iter().map(|(_, count)| count).sum();
            (shown..shown + more).for_each(|id| {
                // None of them comes back.
                let lease = buffers.take_shown(id, 1).unwrap();
                std::mem::forget(lease);
            });
            shown += more;
            assert_eq!(shown, round);
            buffers.grow();
        }
        assert_eq!(show(&mut buffers), []);
    }

    #[test]
    fn what_could_not_be_shown_is_there_again() {
        let mut buffers = Buffers::new(POOL);
        let mut runs = Vec::new();
        buffers.show(&mut runs);
        let lent = buffers.take_shown(5, 1).unwrap();
        buffers.take_back(runs[0]);
        buffers.take_back(runs[0]);
        let rest: Vec<_> = std::iter::from_fn(|| buffers.take()).collect();
        assert_eq!(rest.len(), 63);
        rest.into_iter().chain([lent]).for_each(|lease| buffers.put_back(lease));
        show(&mut buffers);
        buffers.hide();
        assert_eq!(std::iter::from_fn(|| buffers.take()).count(), 64);
    }
}
