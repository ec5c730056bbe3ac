//! How many subscribers a topic has, counted by all workers.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::topic::{OwnedTopic, Topic};

/// A count under way. One for all workers: each adds its own, and the last one says the sum.
///
/// If one of them ends before it has counted, nobody is the last: what was to be called is dropped
/// with the last reference.
pub(crate) struct Presence {
    topic: OwnedTopic,
    /// Workers that have not counted yet.
    left: AtomicUsize,
    sum: AtomicUsize,
    /// What is called with the sum, and its bytes.
    done: Mutex<Option<Done>>,
    size: usize,
}

type Done = Box<dyn FnOnce(usize) + Send>;

impl Presence {
    pub(crate) fn new(
        topic: Topic<'_>,
        workers: usize,
        done: impl FnOnce(usize) + Send + 'static,
    ) -> Self {
        let size = size_of::<Self>() + topic.as_str().len() + size_of_val(&done);
        Self {
            topic: topic.into(),
            left: AtomicUsize::new(workers),
            sum: AtomicUsize::new(0),
            done: Mutex::new(Some(Box::new(done))),
            size,
        }
    }

    /// Whose subscribers are counted.
    pub(crate) fn topic(&self) -> Topic<'_> {
        self.topic.as_topic()
    }

    /// Bytes of memory that it holds.
    pub(crate) const fn size(&self) -> usize {
        self.size
    }

    /// A worker has counted so many. The last one calls.
    pub(crate) fn add(&self, count: usize) {
        // The sum is whole for the one that finds that nobody is left.
        self.sum.fetch_add(count, Ordering::Relaxed);
        if self.left.fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        // Not called under the lock: it is an application's.
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(done) = done {
            done(self.sum.load(Ordering::Relaxed));
        }
    }
}

impl fmt::Debug for Presence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Presence").field("topic", &self.topic).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};
    use std::thread;

    use super::*;

    #[test]
    fn the_last_worker_says_the_sum() {
        let topic = Topic::new("room").unwrap();
        for workers in 1..=4 {
            let (sender, sums) = mpsc::channel();
            let done = move |sum| sender.send(sum).unwrap();
            let presence = Arc::new(Presence::new(topic, workers, done));
            let threads: Vec<_> = (0..workers)
                .map(|worker| {
                    let presence = Arc::clone(&presence);
                    thread::spawn(move || presence.add(1 << worker))
                })
                .collect();
            for thread in threads {
                thread.join().unwrap();
            }
            assert_eq!(sums.iter().collect::<Vec<_>>(), [(1 << workers) - 1]);
        }
    }

    #[test]
    fn nothing_is_said_where_one_is_missing() {
        let (sender, sums) = mpsc::channel::<usize>();
        let done = move |sum| sender.send(sum).unwrap();
        let presence = Presence::new(Topic::new("room").unwrap(), 2, done);
        presence.add(1);
        assert!(sums.try_recv().is_err());
        drop(presence);
        assert_eq!(sums.recv(), Err(mpsc::RecvError));
    }
}
