//! What stands for the library's queue where loom explores: that one does not know loom.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use loom::sync::atomic::{AtomicUsize, Ordering};

/// A queue with the contract of the library's: mail comes out in the order in which it went in, and
/// who takes it out sees what was done before it went in.
pub(super) struct SegQueue<T> {
    /// Each call is one exchange of it, which is where loom may switch to another thread.
    calls: AtomicUsize,
    /// Never contended: from the exchange on, nobody else runs until the call has ended.
    items: Mutex<VecDeque<T>>,
}

impl<T> SegQueue<T> {
    pub(super) fn new() -> Self {
        Self { calls: AtomicUsize::new(0), items: Mutex::default() }
    }

    pub(super) fn push(&self, item: T) {
        self.call().push_back(item);
    }

    pub(super) fn pop(&self) -> Option<T> {
        self.call().pop_front()
    }

    fn call(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.calls.fetch_add(1, Ordering::AcqRel);
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
