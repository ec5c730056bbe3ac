//! Where a worker makes known what it has counted.
//!
//! The worker counts in plain numbers of its own and copies them here now and then. Each number has
//! one writer, so a copy is a store, never a locked instruction, and no reader can hold the worker
//! up. A reader may find some numbers newer than others, by as much as one publication brings.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::stats::Stats;
use crate::timer::Time;

/// The time between two publications: what a reader may be late by. Copying takes less than a
/// microsecond, so ten a second are nothing.
const INTERVAL: Duration = Duration::from_millis(100);

/// What one worker has counted, for other threads. On cache lines of its own: two of 64 bytes,
/// because processors fetch them in pairs.
#[repr(align(128))]
#[derive(Debug)]
pub(crate) struct Board {
    words: [AtomicU64; Stats::COUNT],
}

impl Default for Board {
    fn default() -> Self {
        Self { words: [const { AtomicU64::new(0) }; Stats::COUNT] }
    }
}

impl Board {
    /// Makes these numbers known. One thread does.
    pub(crate) fn publish(&self, stats: &Stats) {
        for (word, value) in self.words.iter().zip(stats.words()) {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// What was made known last.
    pub(crate) fn read(&self) -> Stats {
        Stats::from_words(self.words.iter().map(|word| word.load(Ordering::Relaxed)))
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

#[cfg(test)]
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
