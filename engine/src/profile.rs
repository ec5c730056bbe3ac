//! What of a configuration gives cores and power away for latency: which cores, and for how long
//! nobody sleeps. It is checked, and resolved for this system, before anything is started.

use std::time::Duration;

use crate::error::ConfigError;
use crate::timer::DURATION_MAX;

/// The least and the most that the kernel takes for polling a network card: it counts in
/// microseconds, and polls for a second at most.
const BUSY_POLL: [Duration; 2] = [Duration::from_micros(1), Duration::from_secs(1)];

/// What has been asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Profile<'a> {
    pub(crate) pin_workers: bool,
    /// None: those of the system, in order.
    pub(crate) cores: &'a [usize],
    pub(crate) spin: Duration,
    pub(crate) busy_poll: Option<Duration>,
}

impl Profile<'_> {
    /// The number of workers where none was asked for, on a system that gives the process `cores`.
    pub(crate) fn workers(&self, cores: &[usize]) -> usize {
        let cores = if self.cores.is_empty() { cores } else { self.cores };
        cores.len().max(1)
    }

    /// The core of each worker; none where they are not kept on cores.
    pub(crate) fn resolve(
        &self,
        workers: usize,
        cores: &[usize],
    ) -> Result<Vec<usize>, ConfigError> {
        self.check(workers, cores)?;
        let chosen = if self.cores.is_empty() { cores } else { self.cores };
        let is_pinned = self.pin_workers && workers <= chosen.len();
        Ok(if is_pinned { chosen[..workers].to_vec() } else { Vec::new() })
    }

    fn check(&self, workers: usize, cores: &[usize]) -> Result<(), ConfigError> {
        if !self.cores.is_empty() {
            let is_free = |(index, core): (usize, &usize)| {
                cores.contains(core) && !self.cores[..index].contains(core)
            };
            let are_free = self.cores.iter().enumerate().all(is_free);
            if !self.pin_workers || !are_free || self.cores.len() != workers {
                return Err(ConfigError::Cores);
            }
        }
        if self.spin > DURATION_MAX {
            return Err(ConfigError::TooLong { field: "spin" });
        }
        // One that spins keeps the other from the core, which is worse than to sleep.
        if !self.spin.is_zero() && workers > cores.len().max(1) {
            return Err(ConfigError::Spin { cores: cores.len() });
        }
        let [least, most] = BUSY_POLL;
        if self.busy_poll.is_some_and(|time| time < least || time > most) {
            return Err(ConfigError::BusyPoll);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: Profile<'_> =
        Profile { pin_workers: true, cores: &[], spin: Duration::ZERO, busy_poll: None };

    #[test]
    fn a_worker_for_each_core() {
        assert_eq!(PROFILE.workers(&[4, 6]), 2);
        assert_eq!(PROFILE.workers(&[]), 1);
        assert_eq!(Profile { cores: &[6], ..PROFILE }.workers(&[4, 6]), 1);
        assert_eq!(PROFILE.resolve(2, &[4, 6]), Ok(vec![4, 6]));
        assert_eq!(PROFILE.resolve(1, &[4, 6]), Ok(vec![4]));
        assert_eq!(PROFILE.resolve(3, &[4, 6]), Ok(vec![]), "they take turns");
        let free = Profile { pin_workers: false, ..PROFILE };
        assert_eq!(free.resolve(2, &[4, 6]), Ok(vec![]));
    }

    #[test]
    fn chosen_cores() {
        let chosen = Profile { cores: &[6, 4], ..PROFILE };
        assert_eq!(chosen.resolve(2, &[4, 5, 6]), Ok(vec![6, 4]));
        let wrong = [
            chosen.resolve(1, &[4, 5, 6]),
            chosen.resolve(3, &[4, 5, 6]),
            chosen.resolve(2, &[4, 5]),
            Profile { cores: &[4, 4], ..PROFILE }.resolve(2, &[4, 5]),
            Profile { pin_workers: false, ..chosen }.resolve(2, &[4, 5, 6]),
        ];
        assert_eq!(wrong, [const { Err(ConfigError::Cores) }; 5]);
    }

    #[test]
    fn who_spins_has_a_core() {
        let spins = |spin| Profile { spin, ..PROFILE };
        let short = spins(Duration::from_micros(50));
        assert!(short.resolve(2, &[0, 1]).is_ok());
        assert_eq!(short.resolve(3, &[0, 1]), Err(ConfigError::Spin { cores: 2 }));
        assert_eq!(
            spins(DURATION_MAX + Duration::from_nanos(1)).resolve(1, &[0]),
            Err(ConfigError::TooLong { field: "spin" })
        );
    }

    #[test]
    fn a_time_that_the_kernel_takes() {
        let polls = |time| Profile { busy_poll: Some(time), ..PROFILE }.resolve(1, &[0]);
        assert!(polls(Duration::from_micros(1)).is_ok() && polls(Duration::from_secs(1)).is_ok());
        for time in [Duration::ZERO, Duration::from_nanos(999), Duration::from_millis(1001)] {
            assert_eq!(polls(time), Err(ConfigError::BusyPoll));
        }
    }
}
