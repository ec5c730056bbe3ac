//! Where a worker makes known what it has counted.
//!
//! The worker counts in plain numbers of its own and copies them here now and then. Each number
//! has one writer, so a copy is a store, never a locked instruction. Two copies take turns: readers
//! find one that is whole while the other is written, so that nobody waits for anybody, and the
//! numbers of one worker are those of one moment, between two of its turns.

#[cfg(not(loom))]
use std::sync::atomic::{AtomicU64, Ordering, fence};

use std::sync::Arc;
use std::time::Duration;

#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering, fence};

use crate::stats::Stats;
use crate::timer::Time;

/// The time between two publications: what a reader may be late by. Copying takes less than a
/// microsecond, so ten a second are nothing.
const INTERVAL: Duration = Duration::from_millis(100);

/// What one worker has counted, for other threads. On cache lines of its own: two of 64 bytes,
/// because processors fetch them in pairs.
#[repr(align(128))]
#[derive(Debug, Default)]
pub(crate) struct Board {
    copies: Copies<{ Stats::COUNT }>,
}

impl Board {
    /// Makes these numbers known. One thread does.
    pub(crate) fn publish(&self, stats: &Stats) {
        self.copies.write(stats.words());
    }

    /// What was made known last.
    pub(crate) fn read(&self) -> Stats {
        Stats::from_words(self.copies.read().into_iter())
    }
}

/// Numbers that one thread writes and any reads, all of one writing.
#[derive(Debug)]
struct Copies<const COUNT: usize> {
    /// How many writings have ended: the last of them is in the copy of its parity.
    written: AtomicU64,
    words: [[AtomicU64; COUNT]; 2],
}

impl<const COUNT: usize> Default for Copies<COUNT> {
    fn default() -> Self {
        let words = || std::array::from_fn(|_| AtomicU64::new(0));
        Self { written: AtomicU64::new(0), words: [words(), words()] }
    }
}

impl<const COUNT: usize> Copies<COUNT> {
    /// Writes over the older copy. One thread does.
    fn write(&self, values: impl Iterator<Item = u64>) {
        let written = self.written.load(Ordering::Relaxed) + 1;
        // Who finds one of the words below finds that the writing before this one has ended, too:
        // so a reader of the copy that they replace learns that it is not the newer one any more.
        fence(Ordering::Release);
        for (word, value) in self.copy(written).iter().zip(values) {
            word.store(value, Ordering::Relaxed);
        }
        self.written.store(written, Ordering::Release);
    }

    /// The newer copy. Only a reader that is held up for the time between two writings reads again.
    fn read(&self) -> [u64; COUNT] {
        loop {
            let written = self.written.load(Ordering::Acquire);
            let copy = self.copy(written);
            let values = std::array::from_fn(|index| copy[index].load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            if self.written.load(Ordering::Relaxed) == written {
                return values;
            }
            #[cfg(loom)]
            loom::thread::yield_now();
        }
    }

    fn copy(&self, written: u64) -> &[AtomicU64; COUNT] {
        &self.words[usize::from(!written.is_multiple_of(2))]
    }
}

/// The worker's side of its board: publishes what has changed, and not too often.
#[derive(Debug)]
pub(crate) struct Publisher {
    board: Arc<Board>,
    /// Not before this.
    next: Time,
    /// The [activity](Stats::activity) that has been made known.
    known: u64,
}

impl Publisher {
    pub(crate) const fn new(board: Arc<Board>) -> Self {
        Self { board, next: Time::ZERO, known: 0 }
    }

    /// When the worker must be up to publish; `None` where nothing has happened, so that a worker
    /// without work sleeps.
    pub(crate) fn deadline(&self, stats: &Stats) -> Option<Time> {
        (stats.activity() != self.known).then_some(self.next)
    }

    /// Whether to publish now.
    #[inline]
    pub(crate) fn is_due(&self, stats: &Stats, now: Time) -> bool {
        self.next <= now && stats.activity() != self.known
    }

    /// Publishes.
    pub(crate) fn publish(&mut self, stats: &Stats, now: Time) {
        self.board.publish(stats);
        self.known = stats.activity();
        self.next = now.after(INTERVAL);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    /// Every interleaving of a writer of three and a reader of two, and every value that the memory
    /// model lets them read.
    #[test]
    fn what_is_read_is_of_one_writing_and_never_older() {
        loom::model(|| {
            let copies: Arc<Copies<2>> = Arc::default();
            let writer = thread::spawn({
                let copies = copies.clone();
                move || (1..=3).for_each(|value| copies.write([value; 2].into_iter()))
            });
            let [first, other] = copies.read();
            assert_eq!(first, other);
            let [second, other] = copies.read();
            assert!(second == other && second >= first, "{first}, then {second} and {other}");
            writer.join().unwrap();
            assert_eq!(copies.read(), [3; 2]);
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_read() {
        let board = Board::default();
        assert_eq!(board.read(), Stats::default());
        let stats = Stats::from_words(7..);
        board.publish(&stats);
        assert_eq!(board.read(), stats);
        assert_eq!(align_of::<Board>(), 128);
    }

    #[test]
    fn publishes_what_is_new_and_not_too_often() {
        let board = Arc::new(Board::default());
        let mut publisher = Publisher::new(board.clone());
        let mut stats = Stats::default();
        let start = Time::ZERO.after(INTERVAL);
        assert!(!publisher.is_due(&stats, start));
        assert_eq!(publisher.deadline(&stats), None);
        stats.completions = 1;
        assert!(publisher.is_due(&stats, start));
        publisher.publish(&stats, start);
        assert_eq!(board.read(), stats);
        // A turn that only published is nothing to publish.
        stats.turns += 1;
        assert_eq!(publisher.deadline(&stats), None);
        stats.mails += 1;
        assert!(!publisher.is_due(&stats, start.after(INTERVAL / 2)));
        assert_eq!(publisher.deadline(&stats), Some(start.after(INTERVAL)));
        assert!(publisher.is_due(&stats, start.after(INTERVAL)));
    }
}
