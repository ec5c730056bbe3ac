//! A bucket of tokens: so many a second, and so many at once after a pause.

use std::time::Duration;

use crate::timer::Time;

/// Fills by one token at a time, evenly, up to its size. It begins full.
///
/// It keeps the time at which it will be full: a token taken puts that off by the time in which one
/// comes. There is one when what is missing, that one included, is no more than all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    full: Time,
    /// In which a token comes.
    interval: Duration,
    /// In which the empty bucket fills.
    filling: Duration,
}

impl Bucket {
    /// `rate` tokens a second, `size` at once; neither is zero.
    pub(crate) fn new(rate: u32, size: u32) -> Self {
        let interval = Duration::from_nanos(1_000_000_000 / u64::from(rate.max(1)));
        Self { full: Time::ZERO, interval, filling: interval.saturating_mul(size) }
    }

    /// Takes a token. `false`: there is none.
    pub(crate) fn take(&mut self, now: Time) -> bool {
        let full = self.full.max(now).after(self.interval);
        if full.since(now) > self.filling {
            return false;
        }
        self.full = full;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against a bucket that is filled and emptied by the token.
        #[test]
        fn gives_what_has_come(
            (rate, size) in (1_u32..50_000, 1_u32..20),
            pauses in prop::collection::vec(0_u64..200_000_000, 1..200),
        ) {
            let interval = u128::from(1_000_000_000 / rate);
            let mut bucket = Bucket::new(rate, size);
            // In nanoseconds' worth of tokens.
            let all = interval * u128::from(size);
            let (mut now, mut tokens) = (0, all);
            for pause in pauses {
                let pause = pause / u64::from(rate.min(100));
                now += pause;
                tokens = all.min(tokens + u128::from(pause));
                let given = bucket.take(Time::from_nanos(now));
                prop_assert_eq!(given, tokens >= interval);
                if given {
                    tokens -= interval;
                }
            }
        }
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let mut bucket = Bucket::new(10, 3);
        let mut at = |milliseconds: u64| bucket.take(Time::from_nanos(milliseconds * 1_000_000));
        assert_eq!([at(0), at(0), at(0), at(0)], [true, true, true, false]);
        assert_eq!([at(99), at(100), at(100)], [false, true, false]);
        assert_eq!([at(9000), at(9000), at(9000), at(9000)], [true, true, true, false]);
    }
}
