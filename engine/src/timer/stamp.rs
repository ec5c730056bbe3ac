//! A point in time that a connection keeps.

use std::num::NonZeroU32;
use std::time::Duration;

use super::Time;

/// The longest time that may be asked for, 50 days: what a connection keeps is read again before a
/// [`Stamp`] could be taken for another one.
pub(crate) const DURATION_MAX: Duration = Duration::from_secs(50 * 24 * 3600);

/// The tick of a [`Time`], in the four bytes of it that tell what is within 104 days of now. So a
/// connection keeps half as many bytes of what it waits for, and none more for what it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(NonZeroU32);

/// Nanoseconds of a tick: 2^22, some 4.2 ms, as in the wheel.
const TICK_SHIFT: u32 = 22;

const _: () = assert!(2 * (DURATION_MAX.as_nanos() >> TICK_SHIFT) < 1 << 31);

impl Stamp {
    pub(crate) const fn of(time: Time) -> Self {
        match NonZeroU32::new(low(time.as_nanos() >> TICK_SHIFT)) {
            Some(tick) => Self(tick),
            // Zero is no stamp; the tick after it is as good.
            None => Self(NonZeroU32::MIN),
        }
    }

    /// The end of the tick, so that what is counted from it is never too short.
    pub(crate) const fn time(self, now: Time) -> Time {
        let now = now.as_nanos() >> TICK_SHIFT;
        let distance = self.0.get().wrapping_sub(low(now)).cast_signed();
        let tick = now.saturating_add_signed(distance as i64);
        Time::from_nanos(tick.saturating_add(1).saturating_mul(1 << TICK_SHIFT))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the high half is that of now")]
const fn low(tick: u64) -> u32 {
    tick as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Two ticks: one that the stamp is cut to, one where zero would be.
    const ERROR: u64 = 2 << TICK_SHIFT;

    proptest! {
        #[test]
        fn what_is_within_reach_comes_back(
            time in 0_u64..1 << 62,
            distance in -(1_i64 << 52)..1 << 52,
        ) {
            let now = Time::from_nanos(time.saturating_add_signed(distance));
            let back = Stamp::of(Time::from_nanos(time)).time(now).as_nanos();
            prop_assert!(time < back, "{back} is too early");
            prop_assert!(back - time <= ERROR, "{back} is too late");
        }
    }

    #[test]
    fn no_stamp_costs_nothing() {
        assert_eq!(size_of::<Option<Stamp>>(), 4);
        assert!(Stamp::of(Time::ZERO).time(Time::ZERO) > Time::ZERO);
    }
}
