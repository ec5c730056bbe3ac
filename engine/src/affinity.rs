//! Which cores this process may use, and keeping a thread on one.

#[cfg(target_os = "linux")]
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The numbers of the cores that this process may use.
#[cfg(target_os = "linux")]
pub(crate) fn cores() -> Vec<usize> {
    match sched_getaffinity(None) {
        Ok(set) => (0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).collect(),
        Err(_) => vec![0],
    }
}

/// Keeps the calling thread on `core`. A system that refuses costs only the gain.
#[cfg(target_os = "linux")]
pub(crate) fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    let _unpinned = sched_setaffinity(None, &set);
}

/// As many as there are: which ones they are is not known here.
#[cfg(not(target_os = "linux"))]
pub(crate) fn cores() -> Vec<usize> {
    (0..std::thread::available_parallelism().map_or(1, usize::from)).collect()
}

/// Leaves the calling thread where the system wants it.
#[cfg(not(target_os = "linux"))]
pub(crate) const fn pin(_core: usize) {}
