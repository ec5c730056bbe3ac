//! Which of the requests that were put off have been decided: other threads add to the list, their
//! worker empties it.
//!
//! It is no mail, since a mailbox may be full, and who decides has nobody to give a decision back
//! to: a handshake that was decided in the end would pass its deadline. There is room for
//! all: each request is in the list at most once, and only while it counts as a handshake or until
//! the next turn, so there are never more than [`Config::handshakes_max`](crate::Config) and what a
//! turn has ended of them.

use std::mem;
use std::sync::{Mutex, MutexGuard};

use crate::driver::Key;
use crate::handle::{DECIDED, Handle};

/// The decided ones of a worker.
#[derive(Debug)]
pub(crate) struct Decisions {
    keys: Mutex<Vec<Key>>,
    handle: Handle,
    worker: u8,
}

impl Decisions {
    pub(crate) const fn new(handle: Handle, worker: u8) -> Self {
        Self { keys: Mutex::new(Vec::new()), handle, worker }
    }

    /// Adds one, from any thread, and wakes the worker if it sleeps.
    pub(crate) fn add(&self, key: Key) {
        self.lock().push(key);
        // Behind what it tells of.
        self.handle.signal_one(self.worker, DECIDED);
    }

    /// Takes all that there are.
    pub(crate) fn take(&self) -> Vec<Key> {
        mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Key>> {
        // Nothing under the lock panics, so what it guards is whole even if a thread died with it.
        match self.keys.lock() {
            Ok(guard) => guard,
            Err(poisoned) => poisoned.into_inner(),
        }
    }
}
