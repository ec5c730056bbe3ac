//! Sets a ring up, with every flag that helps and without those that this kernel does not know.

use std::io;

use io_uring::{Builder, IoUring};

use crate::refusal::RingFeature;

/// Entries of the submission queue. In a fan-out the queue is the batch: it is submitted when it is
/// full, so this bounds what one system call does.
const SUBMISSIONS: u32 = 2048;

/// The ring's own table of files has this one place, for a peer that is accepted to be refused.
pub(super) const REFUSED: u32 = 0;

/// Where the worker of a ring sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sleep {
    /// In the ring.
    Ring,
    /// In a host, until the ring's descriptor is readable. Deferred task work would not tell a poll
    /// of that: the kernel wakes nobody for it but who sleeps in the ring.
    #[cfg(feature = "tokio")]
    Host,
}

/// The best ring that this system gives, and what it has to go without.
///
/// What is possible is found by trying: versions say little about kernels that distributions patch.
pub(super) fn ring(completions_min: u32, sleep: Sleep) -> io::Result<(IoUring, Vec<RingFeature>)> {
    let mut last = None;
    for flags in LADDER.into_iter().filter(|flags| sleep == Sleep::Ring || !flags.defer_taskrun) {
        match build(flags, SUBMISSIONS, completions_min) {
            Ok((ring, is_registered)) => {
                let has = [
                    (flags.defer_taskrun, RingFeature::DeferTaskrun),
                    (flags.no_sqarray, RingFeature::NoSubmissionArray),
                    (is_registered, RingFeature::RegisteredRing),
                ];
                let lacks = has.into_iter().filter(|(has, _)| !has);
                return Ok((ring, lacks.map(|(_, feature)| feature).collect()));
            }
            // An unknown flag. Anything else would meet the next try as well.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::from_raw_os_error(libc::EINVAL)))
}

/// What a kernel lacks that refuses every ring of the ladder, found by asking for one thing at a
/// time.
pub(crate) fn lacks() -> Option<RingFeature> {
    type Set = fn(&mut Builder) -> &mut Builder;
    let refuses = |set: Set| {
        let mut builder = IoUring::builder();
        let ring = set(&mut builder).build(1);
        ring.is_err_and(|error| error.raw_os_error() == Some(libc::EINVAL))
    };
    let needed: [(Set, RingFeature); 3] = [
        (Builder::setup_submit_all, RingFeature::SubmitAll),
        (Builder::setup_coop_taskrun, RingFeature::CooperativeTaskrun),
        (Builder::setup_single_issuer, RingFeature::SingleIssuer),
    ];
    let lacks = needed.into_iter().find(|(set, _)| refuses(*set)).map(|(_, feature)| feature);
    // What is left is what is asked of a ring that is there.
    lacks.or_else(|| IoUring::new(1).is_ok().then_some(RingFeature::FileTable))
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

const LADDER: [Flags; 4] = [
    Flags { defer_taskrun: true, no_sqarray: true },
    Flags { defer_taskrun: true, no_sqarray: false },
    Flags { defer_taskrun: false, no_sqarray: true },
    Flags { defer_taskrun: false, no_sqarray: false },
];

/// A ring, and whether it is found without its descriptor.
fn build(flags: Flags, submissions: u32, completions_min: u32) -> io::Result<(IoUring, bool)> {
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
    let is_registered = ring.submitter().register_ring_fd().is_ok();
    // What is accepted into this table takes no descriptor. Linux 5.19.
    ring.submitter().register_files_sparse(REFUSED + 1)?;
    Ok((ring, is_registered))
}
