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

/// Time of the processor that a process has had, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTime {
    /// In its own code.
    pub user: u64,
    /// In the system's.
    pub system: u64,
}

impl CpuTime {
    /// Both.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.user + self.system
    }
}

/// The time of the processor that all threads of a process have had until now. The sum is exact;
/// how it is split is estimated by the system, at some hundred moments a second.
///
/// # Errors
/// If there is no such process, or the system does not say.
pub fn cpu_time(process: u32) -> io::Result<CpuTime> {
    let mut total: u64 = 0;
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        // It may have ended meanwhile.
        let text = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
        total += text.split(' ').next().and_then(|run| run.parse::<u64>().ok()).unwrap_or(0);
    }
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name before the last parenthesis may hold anything; user time is the twelfth behind it.
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
    let mut ticks = fields.split_whitespace().skip(11).map_while(|field| field.parse::<u64>().ok());
    let (user, system) = (ticks.next().unwrap_or(0), ticks.next().unwrap_or(0));
    let user = u128::from(total) * u128::from(user) / u128::from((user + system).max(1));
    let user = u64::try_from(user).unwrap_or(total);
    Ok(CpuTime { user, system: total - user })
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
    fn time_is_counted() {
        let process = std::process::id();
        let before = cpu_time(process).expect("the system says").total();
        let start = std::time::Instant::now();
        let mut spent = 0;
        while spent < 20_000_000 {
            assert!(start.elapsed().as_secs() < 60, "{spent}");
            spent = cpu_time(process).expect("the system says").total() - before;
        }
        let elapsed = start.elapsed().as_nanos();
        // Other tests run beside this one, but not more than there are cores.
        assert!(u128::from(spent) <= elapsed * (cores() as u128 + 1), "{spent} in {elapsed}");
    }

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
