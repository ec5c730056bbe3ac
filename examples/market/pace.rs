//! How many quotes are due: so many a second since the start, whatever the sleeps in between were.

use std::time::Duration;

/// Counts against the clock, so that what a sleep takes too long is made up for, and the rate does
/// not drift. Time is since the start.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Quotes a second.
    rate: u32,
    /// Quotes that were made, or are not to be made any more.
    passed: u64,
}

/// What a sleep takes at least: fewer, larger turns leave the cores to the workers.
const TURN: Duration = Duration::from_millis(1);

/// How far behind is made up for. Beyond it the market has stood still: nobody wants a second's
/// quotes in one burst.
const DEBT: Duration = Duration::from_millis(100);

impl Pace {
    pub(crate) const fn new(rate: u32) -> Self {
        Self { rate, passed: 0 }
    }

    /// Quotes that are due by now, and those that are not to be made any more since the last call.
    pub(crate) fn due(&mut self, now: Duration) -> (u64, u64) {
        let owed = self.count(now).saturating_sub(self.passed);
        let skipped = owed.saturating_sub(self.count(DEBT) + 1);
        self.passed += skipped;
        (owed - skipped, skipped)
    }

    /// One quote was made.
    pub(crate) const fn pass(&mut self) {
        self.passed += 1;
    }

    /// How long to sleep until one is due.
    pub(crate) fn wait(&self, now: Duration) -> Duration {
        let next = u128::from(self.passed + 1) * 1_000_000_000;
        let due = next.checked_div(self.rate.into()).and_then(|nanos| u64::try_from(nanos).ok());
        due.map_or(DEBT, |due| Duration::from_nanos(due).saturating_sub(now)).max(TURN).min(DEBT)
    }

    fn count(&self, time: Duration) -> u64 {
        let count = time.as_nanos() * u128::from(self.rate) / 1_000_000_000;
        u64::try_from(count).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever the sleeps take, as long as they are short, the count is that of the clock.
        #[test]
        fn no_drift(rate in 1_u32..50_000, sleeps in prop::collection::vec(0_u64..100_000, 1..30)) {
            let mut pace = Pace::new(rate);
            let (mut now, mut made) = (Duration::ZERO, 0);
            for sleep in sleeps {
                now += Duration::from_micros(sleep);
                let (due, skipped) = pace.due(now);
                prop_assert!(skipped == 0, "{sleep} us are made up for");
                (0..due).for_each(|_| pace.pass());
                made += due;
                let exact = now.as_nanos() * u128::from(rate) / 1_000_000_000;
                prop_assert_eq!(u128::from(made), exact);
            }
        }

        /// One sleep that the pace asks for is enough, or nearly a turn more than enough.
        #[test]
        fn sleeps_are_as_long_as_needed(rate in 11_u32..100_000, now in 0_u64..100_000_000) {
            let mut pace = Pace::new(rate);
            let now = Duration::from_nanos(now);
            let (due, _) = pace.due(now);
            (0..due).for_each(|_| pace.pass());
            let wait = pace.wait(now);
            prop_assert!(wait >= TURN);
            let (due, _) = pace.due(now + wait + Duration::from_nanos(1));
            prop_assert!(due >= 1);
            prop_assert!(wait == TURN || due == 1);
        }
    }

    #[test]
    fn after_a_standstill_little_is_made_up_for() {
        let mut pace = Pace::new(1000);
        assert_eq!(pace.due(Duration::from_secs(10)), (101, 9899));
        assert_eq!(pace.due(Duration::from_secs(10)), (101, 0));
        pace.pass();
        assert_eq!(pace.due(Duration::from_secs(10)), (100, 0));
    }

    #[test]
    fn no_rate_is_no_quotes() {
        let mut pace = Pace::new(0);
        assert_eq!(pace.due(Duration::MAX), (0, 0));
        assert_eq!(pace.wait(Duration::MAX), DEBT);
    }
}
