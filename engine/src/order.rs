//! One order of a topic's posts for all workers.
//!
//! Two threads that publish at the same time may find the mailboxes of two workers in different
//! orders. For most messages that is nothing. Where the last post counts, each worker would keep
//! another one, and for good; so those of a topic go into all mailboxes under one lock.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard};

use crate::topic::Topic;

/// The locks, each for some of the topics: threads that publish to different ones seldom meet.
#[derive(Debug, Default)]
pub(crate) struct Order {
    locks: [Mutex<()>; LOCKS],
    /// Names may come from peers, who shall not find those that meet.
    hasher: RandomState,
}

/// More than there are threads that publish, on most machines.
const LOCKS: usize = 32;

impl Order {
    /// Keeps others from posting to this topic. It is held for one `push` to each worker, some
    /// 50 ns, or a microsecond where the worker has to be woken.
    pub(crate) fn lock(&self, topic: Topic<'_>) -> Option<MutexGuard<'_, ()>> {
        let hash = self.hasher.hash_one(topic) % LOCKS as u64;
        let lock = usize::try_from(hash).ok().and_then(|index| self.locks.get(index))?;
        // Nothing under the lock panics, and it guards nothing that could be half done.
        Some(lock.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_has_one_lock() {
        let order = Order::default();
        for name in (0..1000).map(|number| format!("t.{number}")) {
            let topic = Topic::new(&name).unwrap();
            let held = order.lock(topic);
            assert!(held.is_some());
            let free = order.locks.iter().filter(|lock| lock.try_lock().is_ok()).count();
            assert_eq!(free, LOCKS - 1);
            let address = |guard: &MutexGuard<'_, ()>| std::ptr::from_ref::<()>(guard).addr();
            let first = held.as_ref().map(address);
            drop(held);
            assert_eq!(order.lock(topic).as_ref().map(address), first);
        }
    }
}
