//! How many connections each worker has: who is to get the next one.
//!
//! The boards know it too, a tenth of a second late, in which a host may hand over a thousand
//! connections. Here a connection counts from the moment in which it is assigned.

use std::sync::atomic::{AtomicUsize, Ordering};

/// What each worker has, by its number.
#[derive(Debug)]
pub(crate) struct Loads {
    workers: Box<[Load]>,
}

/// What one worker has. On cache lines of its own, since it writes whenever somebody comes or goes.
#[repr(align(128))]
#[derive(Debug, Default)]
struct Load {
    /// Connections with a place. The worker alone writes it, so it is stored and never exchanged.
    placed: AtomicUsize,
    /// Connections that wait in its mailbox.
    assigned: AtomicUsize,
}

// Relaxed throughout: the numbers order nothing, and one that is late by one costs nothing.
impl Loads {
    pub(crate) fn new(workers: usize) -> Self {
        Self { workers: (0..workers).map(|_| Load::default()).collect() }
    }

    /// The worker with the fewest, of those the first.
    pub(crate) fn least(&self) -> usize {
        let counts = self.workers.iter().map(Load::count).enumerate();
        counts.min_by_key(|(_, count)| *count).map_or(0, |(worker, _)| worker)
    }

    /// A connection is about to be put into a worker's mailbox.
    pub(crate) fn assign(&self, worker: usize) {
        if let Some(load) = self.workers.get(worker) {
            load.assigned.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// It has been taken out, or did not get in.
    pub(crate) fn take(&self, worker: usize) {
        if let Some(load) = self.workers.get(worker) {
            let before = load.assigned.fetch_sub(1, Ordering::Relaxed);
            debug_assert!(before > 0, "a connection was taken out twice");
        }
    }

    /// A worker has so many connections.
    pub(crate) fn set(&self, worker: usize, placed: usize) {
        if let Some(load) = self.workers.get(worker) {
            load.placed.store(placed, Ordering::Relaxed);
        }
    }
}

impl Load {
    fn count(&self) -> usize {
        let placed = self.placed.load(Ordering::Relaxed);
        placed.saturating_add(self.assigned.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_the_fewest_is_next() {
        let loads = Loads::new(3);
        loads.set(1, 10);
        let mut order = Vec::new();
        for _ in 0..40 {
            let worker = loads.least();
            loads.assign(worker);
            order.push(worker);
        }
        assert_eq!(order[..4], [0, 2, 0, 2]);
        let counts = [0, 1, 2].map(|worker| loads.workers[worker].count());
        assert_eq!(counts, [17, 17, 16]);
        // In the mailbox or out of it, it counts once.
        loads.take(0);
        loads.set(0, 1);
        assert_eq!(loads.workers[0].count(), 17);
        loads.set(0, 0);
        assert_eq!(loads.least(), 0);
        // Numbers of no worker are nobody's.
        loads.assign(9);
        loads.take(9);
        loads.set(9, 1);
        assert_eq!(Loads::new(0).least(), 0);
    }
}
