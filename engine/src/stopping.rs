//! How far a worker has come with its end.
//!
//! ```text
//!   No ──stop──▶ Telling ──all told──▶ Until ──time is up──▶ Ending ──all ended──▶ Ended
//!    │              │                    │                     ▲
//!    └──────────────┴──────stop now──────┴─────────────────────┘
//! ```
//!
//! From each state the worker ends as soon as it has no connection left. Connections are told, and
//! ended, a few in each turn of the loop, so that those that are still served do not wait.

use std::time::Duration;

use crate::secret::Secret;
use crate::stop::Stop;
use crate::timer::Time;

/// Connections that are told to close in one turn. Each costs some microseconds, most of them the
/// kernel's; together they are the longest that anybody waits for them.
pub(crate) const TOLD_MAX: usize = 64;

/// Slots that are looked at in one turn. A slot that is not in the cache costs a tenth of a
/// microsecond.
pub(crate) const LOOKS_MAX: u32 = 1024;

/// Where a worker stands.
#[derive(Debug)]
pub(crate) enum Stopping {
    /// It serves.
    No,
    /// Connections are told to close, one after another.
    Telling(Pace),
    /// All have been told; what has not ended then is ended.
    Until(Time),
    /// Connections are ended, one after another; the next one is in this slot.
    Ending(u32),
    /// All have been ended; what is in flight is awaited.
    Ended,
}

impl Stopping {
    /// When there is something to do.
    pub(crate) fn next(&self) -> Option<Time> {
        match self {
            Self::No | Self::Ended => None,
            Self::Telling(pace) => Some(pace.due()),
            Self::Until(deadline) => Some(*deadline),
            Self::Ending(_) => Some(Time::ZERO),
        }
    }
}

/// Who is told when.
///
/// ```text
///   begun                                             begun + spread
///   │   part    │   part    │   part    │   part    │
///   1st       2nd      3rd        4th ...              each somewhere in its part
/// ```
///
/// The first one is told at once, so that a server with one peer does not wait for it.
#[derive(Debug)]
pub(crate) struct Pace {
    pub(crate) stop: Stop,
    begun: Time,
    /// The spread divided by the connections that there were.
    part: Duration,
    /// Connections that have been told.
    told: u32,
    /// The slot to be looked at next.
    pub(crate) slot: u32,
    secret: Secret,
}

impl Pace {
    /// A pace for `count` connections.
    pub(crate) fn new(stop: Stop, begun: Time, count: usize, secret: Secret) -> Self {
        let count = u32::try_from(count).unwrap_or(u32::MAX).max(1);
        let part = stop.spread / count;
        Self { stop, begun, part, told: 0, slot: 0, secret }
    }

    /// When the next one is told.
    pub(crate) fn due(&self) -> Time {
        // Each by a chance of its own, or the clients would still come in step.
        let part = u64::try_from(self.part.as_nanos()).unwrap_or(u64::MAX);
        let early = self.secret.number(self.told).checked_rem(part).unwrap_or(0);
        let until = self.part.saturating_mul(self.told);
        self.begun.after(until.saturating_sub(Duration::from_nanos(early)).min(self.stop.spread))
    }

    /// One has been told.
    pub(crate) const fn advance(&mut self) {
        self.told = self.told.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_is_told_in_its_part(
            count in 0_usize..300,
            spread in 0_u64..1 << 60,
            begun in 0_u64..1 << 60,
            secret: u64,
        ) {
            let (spread, begun) = (Duration::from_nanos(spread), Time::from_nanos(begun));
            let stop = Stop { spread, ..Stop::default() };
            let mut pace = Pace::new(stop, begun, count, Secret::new(secret));
            prop_assert_eq!(pace.due(), begun);
            let part = spread / u32::try_from(count.max(1)).unwrap();
            for number in 1..u32::try_from(count).unwrap() {
                pace.advance();
                let from = begun.after(part * (number - 1));
                let until = begun.after(part * number);
                prop_assert!((from..=until).contains(&pace.due()), "{number}");
            }
            // Some may have come in the meantime.
            (0..10).for_each(|_| pace.advance());
            prop_assert!(pace.due() <= begun.after(spread));
        }
    }

    #[test]
    fn no_two_servers_keep_step() {
        let dues = |secret| {
            let stop = Stop { spread: Duration::from_secs(60), ..Stop::default() };
            let mut pace = Pace::new(stop, Time::ZERO, 30, Secret::new(secret));
            let due = |_| {
                pace.advance();
                pace.due()
            };
            (0..29).map(due).collect::<Vec<_>>()
        };
        let (first, second) = (dues(1), dues(2));
        assert!(first.iter().zip(&second).all(|(first, second)| first != second));
        let gaps = first.windows(2).map(|pair| pair[1].since(pair[0]));
        let short = gaps.clone().filter(|gap| *gap < Duration::from_secs(1)).count();
        let long = gaps.filter(|gap| *gap > Duration::from_secs(3)).count();
        assert!(short > 0 && long > 0, "the gaps are even: {short} short, {long} long");
    }
}
