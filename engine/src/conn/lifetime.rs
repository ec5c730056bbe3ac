//! When a connection has been open for long enough.

use std::time::Duration;

use crate::config::Config;
use crate::timer::{Stamp, Time};

/// Ends of lifetimes, spread so that connections that open together do not end together.
///
/// The multiples of the golden ratio, without what stands before their point, fill the interval
/// evenly however many of them there are in a row. Chance would leave gaps and heaps, and needs a
/// source.
#[derive(Debug, Default)]
pub(super) struct Lifetimes {
    /// In 2^-32 of the interval.
    phase: u32,
}

/// The golden ratio without its one, in 2^-32.
const GOLDEN_RATIO: u32 = 0x9E37_79B9;

impl Lifetimes {
    /// When a connection that opens now is to end, if ever.
    pub(super) fn next(&mut self, config: &Config, now: Time) -> Option<Stamp> {
        let max = config.lifetime_max?;
        let interval = max.as_nanos() * u128::from(config.lifetime_jitter_percent) / 100;
        self.phase = self.phase.wrapping_add(GOLDEN_RATIO);
        let earlier = (interval * u128::from(self.phase)) >> u32::BITS;
        let earlier = Duration::from_nanos(u64::try_from(earlier).unwrap_or(0));
        Some(Stamp::of(now.after(max.saturating_sub(earlier))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(config: &Config, count: usize) -> Vec<Time> {
        let mut lifetimes = Lifetimes::default();
        let mut end = || lifetimes.next(config, Time::ZERO).unwrap().time(Time::ZERO);
        (0..count).map(|_| end()).collect()
    }

    #[test]
    fn spread_over_the_interval_and_never_beyond() {
        let seconds = |seconds| Time::ZERO.after(Duration::from_secs(seconds));
        let lifetime_max = Some(Duration::from_secs(1000));
        let config = Config { lifetime_max, lifetime_jitter_percent: 20, ..Config::default() };
        let ends = ends(&config, 400);
        // A tenth of them in each tenth of the 200 seconds, give or take two.
        for tenth in 0..10 {
            let from = seconds(800 + 20 * tenth);
            let to = seconds(820 + 20 * tenth);
            let count = ends.iter().filter(|&&end| from < end && end <= to).count();
            assert!((37..=43).contains(&count), "{count} of 400 in tenth {tenth}");
        }
        // A tick for the stamp.
        let latest = seconds(1000).after(Duration::from_millis(9));
        assert!(ends.iter().all(|&end| seconds(800) <= end && end <= latest));
    }

    #[test]
    fn exact_without_jitter_and_none_without_a_maximum() {
        let lifetime_max = Some(Duration::from_secs(60));
        let config = Config { lifetime_max, lifetime_jitter_percent: 0, ..Config::default() };
        let ends = ends(&config, 5);
        assert!(ends.iter().all(|end| *end == ends[0]));
        assert_eq!(Lifetimes::default().next(&Config::default(), Time::ZERO), None);
    }
}
