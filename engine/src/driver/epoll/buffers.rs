//! The receive buffers of a worker: a stack, so that what was used last is used next, and no more
//! of them are warmed than are lent at the same time.

use crate::driver::memory::Memory;
use crate::driver::{BufferPool, Lease};

/// The buffers that are not lent.
pub(in crate::driver) struct Buffers {
    free: Vec<Lease>,
}

impl Buffers {
    /// All of them. Memory is taken when one is used for the first time.
    pub(in crate::driver) fn new(pool: BufferPool) -> Self {
        let (_, pieces) = Memory::new(pool.count, pool.size);
        let lease = |(id, buffer)| Lease { buffer, id, size: 0 };
        let mut free: Vec<Lease> = (0..pool.count).zip(pieces).map(lease).collect();
        free.reverse();
        Self { free }
    }

    /// One that nobody has.
    pub(in crate::driver) fn take(&mut self) -> Option<Lease> {
        self.free.pop()
    }

    pub(in crate::driver) fn put_back(&mut self, lease: Lease) {
        debug_assert!(self.free.iter().all(|free| free.id != lease.id), "put back twice");
        self.free.push(lease);
    }
}
