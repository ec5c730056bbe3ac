//! How a hosted worker is woken: what an event descriptor is to one that sleeps by itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::task::Waker;

use crate::mailbox::Wake;

/// Wakes the task of a worker, from any thread. A signal stays until it has been seen.
///
/// On the worker's own thread this costs no system call: the task is put into the runtime's queue.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    raised: AtomicBool,
    /// The task, once it has rested.
    task: Mutex<Option<Waker>>,
}

impl Signal {
    /// Forgets what has been raised up to now; what is raised for is looked at next.
    pub(crate) fn clear(&self) {
        self.raised.swap(false, Ordering::AcqRel);
    }

    /// Whether it has been raised since. If not, it wakes this task when it is.
    pub(crate) fn is_raised(&self, task: &Waker) -> bool {
        {
            let mut present = self.lock();
            match &mut *present {
                Some(present) => present.clone_from(task),
                none => *none = Some(task.clone()),
            }
        }
        // Behind the lock: who raises it later finds the task there.
        self.raised.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Waker>> {
        // A waker is whole or not there, even if a thread died with the lock.
        match self.task.lock() {
            Ok(guard) => guard,
            Err(poisoned) => poisoned.into_inner(),
        }
    }
}

impl Wake for Signal {
    fn wake(&self) {
        if self.raised.swap(true, Ordering::AcqRel) {
            // Who raised it has woken the task, or the task has yet to look.
            return;
        }
        let task = self.lock().clone();
        if let Some(task) = task {
            task.wake();
        }
    }
}
