//! How many of many times were how long, in a fixed amount of memory.

use std::fmt;
use std::ops::AddAssign;
use std::time::Duration;

/// Times counted by their length: each within 3.2 % of itself, up to 68 seconds, which longer ones
/// count as.
///
/// ```text
///   0 1 2 … 31 │ 32 33 … 63 │ 64 66 … 126 │ 128 132 … │     the least of each place, in ns
///     32 places│ of 1 each  │ of 2 each   │ of 4 each │ …   32 places for each power of two
/// ```
///
/// ```
/// # use ringwire::{Config, Server};
/// # let server = Server::bind("127.0.0.1:0", Config { workers: 1, ..Config::default() })?;
/// let times = server.handle().latencies().message;
/// println!("{} messages, half of them within {} ns", times.count(), times.percentile(50.0));
/// # assert_eq!((times.count(), times.percentile(99.9), times.max()), (0, 0, 0));
/// # Ok::<(), ringwire::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: Box<[u64; PLACES]>,
    /// Nanoseconds of all of them together. It wraps after 584 years.
    sum: u64,
    /// Nanoseconds of the longest.
    max: u64,
}

/// Places for each power of two.
const PARTS: u64 = 1 << PARTS_SHIFT;
const PARTS_SHIFT: u32 = 5;

/// What is this long, in nanoseconds, has the last place.
const NANOS_MAX: u64 = (1 << 36) - 1;

const PLACES: usize = 1024;

const _: () = assert!(place(NANOS_MAX) == PLACES - 1 && place(0) == 0);

impl Histogram {
    /// Words that it is copied as.
    pub(crate) const WORDS: usize = PLACES + 2;

    /// Counts a time.
    #[inline]
    pub(crate) fn record(&mut self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        // The place is within the table, as the assertion above says.
        if let Some(count) = self.counts.get_mut(place(nanos.min(NANOS_MAX))) {
            *count += 1;
        }
        self.sum = self.sum.wrapping_add(nanos);
        self.max = self.max.max(nanos);
    }

    /// How many times have been counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Nanoseconds of all of them together.
    #[must_use]
    pub const fn sum(&self) -> u64 {
        self.sum
    }

    /// Nanoseconds of the longest, to the nanosecond; 0 where nothing has been counted.
    #[must_use]
    pub const fn max(&self) -> u64 {
        self.max
    }

    /// Nanoseconds that `percent` of the times are not longer than, at most 3.2 % more than it
    /// might be; 0 where nothing has been counted. What is not from 0 to 100 counts as the nearer.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> u64 {
        let count = self.count();
        let share = count as f64 * (percent / 100.0).clamp(0.0, 1.0);
        #[expect(clippy::cast_possible_truncation, reason = "at most the count")]
        let rank = (share.ceil() as u64).clamp(1, count.max(1));
        let mut below = 0;
        for (place, count) in self.counts.iter().enumerate() {
            below += count;
            if below >= rank {
                return if place == PLACES - 1 { self.max } else { most(place).min(self.max) };
            }
        }
        0
    }

    /// How many are not longer than so many nanoseconds, for an exporter; those of the place that
    /// they end in are not counted unless all of it is within.
    #[must_use]
    pub fn count_within(&self, nanos: u64) -> u64 {
        let places = self.counts.iter().enumerate().take_while(|(place, _)| most(*place) <= nanos);
        places.map(|(_, count)| count).sum()
    }

    /// All that it holds, in an order that stays.
    pub(crate) fn words(&self) -> impl Iterator<Item = u64> + '_ {
        self.counts.iter().copied().chain([self.sum, self.max])
    }

    /// The inverse of [`Histogram::words`].
    pub(crate) fn from_words(next: &mut impl FnMut() -> u64) -> Self {
        let mut histogram = Self::default();
        histogram.counts.fill_with(&mut *next);
        (histogram.sum, histogram.max) = (next(), next());
        histogram
    }
}

/// The place of a time of at most [`NANOS_MAX`].
#[expect(clippy::cast_possible_truncation, reason = "it is below the number of places")]
const fn place(nanos: u64) -> usize {
    if nanos < PARTS {
        return nanos as usize;
    }
    let shift = nanos.ilog2() - PARTS_SHIFT;
    // What is shifted is from `PARTS` to twice that, so the places go on where those below end.
    (shift as u64 * PARTS + (nanos >> shift)) as usize
}

/// The longest time that has a place, in nanoseconds.
const fn most(place: usize) -> u64 {
    let place = place as u64;
    if place < PARTS {
        return place;
    }
    let shift = place / PARTS - 1;
    ((PARTS + place % PARTS + 1) << shift) - 1
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: Box::new([0; PLACES]), sum: 0, max: 0 }
    }
}

impl AddAssign<&Self> for Histogram {
    fn add_assign(&mut self, other: &Self) {
        for (count, other) in self.counts.iter_mut().zip(other.counts.iter()) {
            *count = count.wrapping_add(*other);
        }
        self.sum = self.sum.wrapping_add(other.sum);
        self.max = self.max.max(other.max);
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Histogram")
            .field("count", &self.count())
            .field("p50", &self.percentile(50.0))
            .field("p99", &self.percentile(99.0))
            .field("max", &self.max)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn places_follow_each_other() {
        for next in 1..PLACES {
            assert_eq!(place(most(next - 1) + 1), next);
            assert_eq!(place(most(next)), next);
        }
    }

    fn of(times: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        times.iter().for_each(|nanos| histogram.record(Duration::from_nanos(*nanos)));
        histogram
    }

    proptest! {
        #[test]
        fn percentiles_are_those_of_a_sorted_list(
            mut times in proptest::collection::vec(0_u64..1 << 36, 1..300),
            shift in 0_u32..36,
            percent in 0.0_f64..=100.0,
        ) {
            times.iter_mut().for_each(|nanos| *nanos >>= shift);
            let histogram = of(&times);
            times.sort_unstable();
            let share = times.len() as f64 * percent / 100.0;
            let rank = (0..=times.len()).find(|rank| *rank as f64 >= share).unwrap();
            let exact = times[rank.clamp(1, times.len()) - 1];
            let given = histogram.percentile(percent);
            prop_assert!(exact <= given && given <= exact + exact / 31 + 1, "{exact} {given}");
            prop_assert_eq!(histogram.count(), times.len() as u64);
            prop_assert_eq!(histogram.sum(), times.iter().sum::<u64>());
            prop_assert_eq!(Some(&histogram.max()), times.last());
            prop_assert!(histogram.count_within(exact) <= rank.max(1) as u64 + times.iter()
                .filter(|nanos| **nanos == exact).count() as u64);
        }
    }

    #[test]
    fn beyond_all_places() {
        let histogram = of(&[u64::MAX >> 1, 5]);
        assert_eq!((histogram.percentile(50.0), histogram.percentile(51.0)), (5, u64::MAX >> 1));
        assert_eq!((histogram.percentile(-1.0), histogram.percentile(f64::NAN)), (5, 5));
        assert_eq!((histogram.count_within(4), histogram.count_within(5)), (0, 1));
        assert_eq!(Histogram::default().percentile(50.0), 0);
    }

    #[test]
    fn sums_and_copies() {
        let (mut one, other) = (of(&[1, 2, 3]), of(&[100, 3]));
        one += &other;
        assert_eq!(one, of(&[1, 2, 3, 3, 100]));
        let words: Vec<u64> = one.words().collect();
        assert_eq!(words.len(), Histogram::WORDS);
        let mut words = words.into_iter();
        assert_eq!(Histogram::from_words(&mut || words.next().unwrap_or_default()), one);
    }
}
