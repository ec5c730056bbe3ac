//! The memory of receive buffers. It is the system's own: of a buffer that is never used, or of
//! whose pages only the first is, nothing is taken. An allocator that clears what it gives would
//! take all of it at once.

#![expect(unsafe_code, reason = "the kernel gives it, and a ring writes into it")]

use std::alloc::{Layout, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};
use std::sync::Arc;
#[cfg(feature = "tokio-uring")]
use std::sync::{Mutex, PoisonError};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// Bytes of buffers that lie one behind the other: a system refuses what is obviously more than it
/// has, and not what is used little by little. No buffer is larger.
pub(in crate::driver) const CHUNK_SIZE: usize = 16 << 20;

/// Memory that a ring may write to although its runtime has ended: there is nobody left to tell
/// when it is done.
#[cfg(feature = "tokio-uring")]
static KEPT: Mutex<Vec<Arc<Memory>>> = Mutex::new(Vec::new());

/// What holds all buffers, until the last of them is gone.
#[derive(Debug)]
pub(in crate::driver) struct Memory {
    chunks: Vec<NonNull<[u8]>>,
}

/// One of the buffers: nobody else has those bytes, as of a `Box<[u8]>`.
#[derive(Debug)]
pub(in crate::driver) struct Piece {
    bytes: NonNull<[u8]>,
    _memory: Arc<Memory>,
}

/// How many buffers of this size lie one behind the other.
pub(in crate::driver) fn chunk_count(size: usize) -> u16 {
    u16::try_from(CHUNK_SIZE / size.max(1)).unwrap_or(u16::MAX).max(1)
}

/// `size` bytes that are zero, of which none is taken before it is written to.
fn map(size: usize) -> NonNull<[u8]> {
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: where it lies is left to the kernel, so that nothing is mapped over.
    let start = unsafe { mmap_anonymous(ptr::null_mut(), size, protection, MapFlags::PRIVATE) };
    match start.ok().and_then(|start| NonNull::new(start.cast())) {
        Some(start) => NonNull::slice_from_raw_parts(start, size),
        // As where any other memory cannot be had.
        None => handle_alloc_error(Layout::array::<u8>(size).unwrap_or(Layout::new::<u8>())),
    }
}

impl Memory {
    /// Memory for `count` pieces of `size` bytes, and those, one behind the other in each chunk.
    pub(in crate::driver) fn new(count: u16, size: usize) -> (Arc<Self>, Vec<Piece>) {
        let chunk_count = chunk_count(size);
        let counts = (0..count).step_by(chunk_count.into()).map(|at| chunk_count.min(count - at));
        let chunks = counts.clone().map(|count| map(usize::from(count) * size)).collect();
        let memory = Arc::new(Self { chunks });
        let pieces = memory.chunks.iter().zip(counts).flat_map(|(chunk, count)| {
            let start = chunk.cast::<u8>();
            (0..usize::from(count)).map({
                let memory = &memory;
                move |at| {
                    // SAFETY: `at < count`, so it is within what was allocated.
                    let first = unsafe { start.add(at * size) };
                    let bytes = NonNull::slice_from_raw_parts(first, size);
                    Piece { bytes, _memory: Arc::clone(memory) }
                }
            })
        });
        let pieces = pieces.collect();
        (memory, pieces)
    }

    /// Never gives it back.
    #[cfg(feature = "tokio-uring")]
    pub(in crate::driver) fn keep(self: Arc<Self>) {
        KEPT.lock().unwrap_or_else(PoisonError::into_inner).push(self);
    }
}

// SAFETY: it is looked at through the pieces only, and those do not overlap.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Drop for Memory {
    fn drop(&mut self) {
        for chunk in &self.chunks {
            // SAFETY: it was mapped with this length, and every piece that points into it is gone.
            let _unmapped = unsafe { munmap(chunk.as_ptr().cast(), chunk.len()) };
        }
    }
}

// SAFETY: the bytes are its own, as those of a box are.
unsafe impl Send for Piece {}
// SAFETY: as above.
unsafe impl Sync for Piece {}

impl Piece {
    /// Where its bytes begin, for a ring, together with those of the pieces behind it.
    #[cfg(feature = "tokio-uring")]
    pub(in crate::driver) const fn start(&self) -> NonNull<u8> {
        self.bytes.cast()
    }
}

impl Deref for Piece {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: nobody else has these bytes; one that is shown to a ring is not looked at.
        unsafe { self.bytes.as_ref() }
    }
}

impl DerefMut for Piece {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `deref`.
        unsafe { self.bytes.as_mut() }
    }
}
