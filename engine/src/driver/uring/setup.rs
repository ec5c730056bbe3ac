//! Sets a ring up, with every flag that helps and without those that this kernel does not know.

use std::io;

use io_uring::IoUring;

/// Entries of the submission queue. In a fan-out the queue is the batch: it is submitted when it is
/// full, so this bounds what one system call does.
const SUBMISSIONS: u32 = 2048;

/// The step of the set-up that the system refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// `io_uring_setup`.
    Ring,
    /// Registration of the ring of receive buffers.
    Buffers,
    /// The trial: a multishot receive on a socket pair.
    Trial,
    /// The event descriptor, the spare descriptor.
    Descriptors,
}

/// The best ring that this system gives.
///
/// What is possible is found by trying: versions say little about kernels that distributions patch.
pub(super) fn ring(completions_min: u32) -> io::Result<IoUring> {
    let mut last = None;
    for flags in LADDER {
        match build(flags, SUBMISSIONS, completions_min) {
            Ok(ring) => return Ok(ring),
            // An unknown flag. Anything else would meet the next try as well.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::from_raw_os_error(libc::EINVAL)))
}

/// What some kernels do not know.
#[derive(Clone, Copy)]
struct Flags {
    /// Deferred task work: the kernel does its share only inside our own wait, so that it never
    /// interrupts the loop. Linux 6.1.
    defer_taskrun: bool,
    /// No array of indexes between us and the submission queue. Linux 6.6.
    no_sqarray: bool,
}

const LADDER: [Flags; 3] = [
    Flags { defer_taskrun: true, no_sqarray: true },
    Flags { defer_taskrun: true, no_sqarray: false },
    Flags { defer_taskrun: false, no_sqarray: false },
];

fn build(flags: Flags, submissions: u32, completions_min: u32) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder
        // Only the worker's own thread submits, so the kernel needs no lock.
        .setup_single_issuer()
        // One bad entry does not hold up those behind it; it completes with its error.
        .setup_submit_all()
        // A multishot ends when the completion queue is full, so it is larger than everything that
        // may complete in one turn.
        .setup_cqsize(completions_min.max(4 * submissions).next_power_of_two())
        // Limits of the system make the queues smaller, not the set-up fail.
        .setup_clamp()
        // Tells in shared memory that deferred work waits, so that a poll need not enter.
        .setup_taskrun_flag();
    if flags.defer_taskrun {
        builder.setup_defer_taskrun();
    } else {
        builder.setup_coop_taskrun();
    }
    if flags.no_sqarray {
        builder.setup_no_sqarray();
    }
    let ring = builder.build(submissions)?;
    // Saves looking the ring's descriptor up at every enter. A refusal only costs that.
    let _unregistered = ring.submitter().register_ring_fd();
    Ok(ring)
}
