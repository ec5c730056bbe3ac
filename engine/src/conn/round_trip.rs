//! How long the way to a peer and back takes, measured with the engine's own pings.
//!
//! The payload of such a ping is made of the worker's secret, the connection and the time. So only
//! who has received the ping can answer it: by waiting a peer can make the time longer, but by no
//! guess shorter. Nothing of it is kept but the time, of which the payload is made again when a
//! pong comes.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::driver::Key;
use crate::secret::Secret;
use crate::timer::Time;

/// The last measurement of a connection, and the one under way. Eight bytes, since every idle
/// connection keeps them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoundTrip {
    /// When the last ping was written, if it has not been answered: the low half of its
    /// microsecond.
    pinged: Option<NonZeroU32>,
    /// Microseconds.
    last: Option<NonZeroU32>,
}

impl RoundTrip {
    /// Nothing has been measured.
    pub(crate) const fn new() -> Self {
        Self { pinged: None, last: None }
    }

    /// The payload of a ping that is written now. The one before it is not waited for any more.
    pub(crate) fn ping(&mut self, key: Key, now: Time, secret: Secret) -> [u8; 8] {
        //= RFC 6455 5.5.3: If an endpoint receives a Ping frame and has not yet sent Pong frame(s)
        //= in response to previous Ping frame(s), the endpoint MAY elect to send a Pong frame for
        //= only the most recently processed Ping frame.
        let micros = micros(now);
        self.pinged = NonZeroU32::new(low(micros));
        payload(key, micros, secret)
    }

    /// Takes note of a pong. `None`: it answers no ping of [`RoundTrip::ping`], or an older one.
    pub(crate) fn pong(
        &mut self,
        key: Key,
        pong: &[u8],
        now: Time,
        secret: Secret,
    ) -> Option<Duration> {
        let now = micros(now);
        let elapsed = low(now).wrapping_sub(self.pinged?.get());
        // Had it been written 71 minutes earlier, its payload would be another one.
        let pinged = now.checked_sub(u64::from(elapsed))?;
        if pong != payload(key, pinged, secret) {
            return None;
        }
        self.pinged = None;
        self.last = Some(NonZeroU32::new(elapsed).unwrap_or(NonZeroU32::MIN));
        self.last()
    }

    /// The last measurement.
    pub(crate) fn last(self) -> Option<Duration> {
        self.last.map(|micros| Duration::from_micros(micros.get().into()))
    }
}

fn payload(key: Key, micros: u64, secret: Secret) -> [u8; 8] {
    secret.number((key.bits(), micros)).to_be_bytes()
}

/// The microsecond of a time, made odd: no half of it is zero, which stands for no time.
const fn micros(time: Time) -> u64 {
    (time.as_nanos() / 1000) | 1
}

#[expect(clippy::cast_possible_truncation, reason = "the high half is that of now")]
const fn low(micros: u64) -> u32 {
    micros as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: Key = Key { slot: 1, generation: 2 };
    const SECRET: Secret = Secret::new(7);

    fn at(micros: u64) -> Time {
        Time::from_nanos(micros * 1000)
    }

    proptest! {
        #[test]
        fn what_is_measured_is_what_has_passed(begin in 0_u64..1 << 50, elapsed in 0_u64..1 << 33) {
            let mut round_trip = RoundTrip::new();
            let ping = round_trip.ping(KEY, at(begin), SECRET);
            let measured = round_trip.pong(KEY, &ping, at(begin + elapsed), SECRET);
            // The time has one microsecond of error at each end, and 32 bits.
            match measured {
                Some(measured) => {
                    let measured = u64::try_from(measured.as_micros()).unwrap();
                    prop_assert!(measured.abs_diff(elapsed) <= 2, "{measured}");
                }
                None => prop_assert!(elapsed >= (1 << 32) - 2),
            }
        }
    }

    #[test]
    fn only_the_answer_to_the_last_ping_counts() {
        let mut round_trip = RoundTrip::new();
        assert_eq!(round_trip.pong(KEY, b"", at(1), SECRET), None);
        let first = round_trip.ping(KEY, at(10), SECRET);
        let second = round_trip.ping(KEY, at(20), SECRET);
        assert_ne!(first, second);
        for wrong in [&first[..], b"", &second[..7], b"unsolicited"] {
            assert_eq!(round_trip.pong(KEY, wrong, at(30), SECRET), None);
        }
        let other = Key { slot: 2, generation: 2 };
        assert_eq!(round_trip.pong(other, &second, at(30), SECRET), None);
        let measured = Some(Duration::from_micros(20));
        assert_eq!(round_trip.pong(KEY, &second, at(40), SECRET), measured);
        assert_eq!(round_trip.pong(KEY, &second, at(50), SECRET), None, "it was answered");
        assert_eq!(round_trip.last(), measured);
        assert_eq!(size_of::<RoundTrip>(), 8);
    }
}
