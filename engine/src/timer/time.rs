//! A point in time.

use std::time::Duration;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Nanoseconds since the worker's start. Read once per turn of the loop and passed on as an
/// argument, so that a simulation can say what time it is. Lasts for 584 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time(u64);

impl Time {
    /// The worker's start.
    pub(crate) const ZERO: Self = Self(0);

    pub(crate) const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    pub(crate) const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The point `duration` later; the end of time where there is none.
    pub(crate) fn after(self, duration: Duration) -> Self {
        let seconds = duration.as_secs().saturating_mul(NANOS_PER_SECOND);
        let nanos = seconds.saturating_add(duration.subsec_nanos().into());
        Self(self.0.saturating_add(nanos))
    }

    /// How long it is since `earlier`; zero where that is in the future.
    pub(crate) const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}
