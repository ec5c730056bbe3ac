//! What the system says of a process, and which cores it may use.

use std::{fs, io};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Keeps the calling thread, and those that it starts, on a core. Where there is no such core it
/// stays where it is.
pub fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    let _unpinned = sched_setaffinity(None, &set);
}

/// Lets the calling thread, and those that it starts, run when no others want to.
pub fn yield_to_others() {
    // Below the lowest there is none, so this always holds.
    let _lowered = rustix::process::nice(39);
}

/// The number of cores that this process may use.
#[must_use]
pub fn cores() -> usize {
    sched_getaffinity(None).map_or(1, |set| set.count() as usize)
}

/// Raises the limit of descriptors as far as an ordinary program may. Says how far that is.
#[must_use]
pub fn raise_descriptors() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: maximum, maximum };
    let limit = if setrlimit(Resource::Nofile, raised).is_ok() { maximum } else { current };
    limit.unwrap_or(u64::MAX)
}

/// Bytes of memory that only this process holds.
///
/// # Errors
/// If there is no such process, or the system does not say.
pub fn private_size(process: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let kilobytes = |line: &str| {
        let value =
            line.strip_prefix("Private_Clean:").or_else(|| line.strip_prefix("Private_Dirty:"))?;
        value.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    Ok(text.lines().filter_map(kilobytes).sum::<u64>() << 10)
}

/// The number of descriptors that a process has open.
///
/// # Errors
/// If there is no such process, or it is somebody else's.
pub fn descriptors(process: u32) -> io::Result<usize> {
    Ok(fs::read_dir(format!("/proc/{process}/fd"))?.count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_descriptors_are_counted() {
        let process = std::process::id();
        let before = private_size(process).expect("the system says");
        // An optimiser would leave out what is only counted.
        let memory = std::hint::black_box(vec![1_u8; 32 << 20]);
        let after = private_size(process).expect("the system says");
        assert!(after >= before + (31 << 20), "{before} {after} {}", memory.len());
        let count = descriptors(process).expect("the system says");
        let _file = fs::File::open("/proc/self/status").expect("it is there");
        assert!(descriptors(process).expect("the system says") > count);
    }
}
