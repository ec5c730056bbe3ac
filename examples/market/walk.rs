//! Prices that move by chance: a seeded random walk for each instrument, in whole ticks.

/// What a quote says, in ticks: `0 < bid < ask` and `bid <= last <= ask`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prices {
    pub(crate) bid: u32,
    pub(crate) ask: u32,
    pub(crate) last: u32,
    /// Of the last trade: at least 1.
    pub(crate) size: u32,
}

/// The walks of all instruments. A seed always gives the same ones.
#[derive(Debug)]
pub(crate) struct Walks {
    random: Random,
    walks: Box<[Walk]>,
}

/// `base / 2 <= middle <= base * 2`.
#[derive(Clone, Copy, Debug)]
struct Walk {
    base: u32,
    middle: u32,
}

/// Where the walks begin, in ticks: far enough from zero that half of it is a price, and of four
/// times the highest nothing overflows.
const BASE_MIN: u32 = 1000;
const BASE_MAX: u32 = 200_000;

const _: () = assert!(BASE_MAX < u32::MAX / 8);

impl Walks {
    /// `count` walks of a seed.
    pub(crate) fn new(seed: u64, count: usize) -> Self {
        let mut random = Random::new(seed);
        let walk = |_| {
            let base = random.between(BASE_MIN, BASE_MAX);
            Walk { base, middle: base }
        };
        Self { walks: (0..count).map(walk).collect(), random }
    }

    /// Whose price moves next. Some are traded much more than others: a tenth of the instruments
    /// have a third of the quotes.
    pub(crate) fn next(&mut self) -> usize {
        // The square of a number below one, in units of 2^-64.
        let chance = u128::from(self.random.number());
        let squared = (chance * chance) >> 64;
        usize::try_from((squared * self.walks.len() as u128) >> 64).unwrap_or(0)
    }

    /// Moves the price of an instrument that there is.
    pub(crate) fn step(&mut self, index: usize) -> Prices {
        let Self { random, walks } = self;
        let Some(walk) = walks.get_mut(index) else { return Prices::default() };
        // One part in 4,096, which for a cheap instrument is a tick.
        let reach = 1 + walk.middle / 4096;
        let middle = walk.middle - reach + random.between(0, 2 * reach);
        // It turns back where it would leave its band.
        walk.middle = middle.clamp(walk.base / 2, walk.base * 2);
        let half = walk.middle / 4096;
        let bid = walk.middle - random.between(0, half);
        let ask = walk.middle + 1 + random.between(0, half);
        let last = random.between(bid, ask);
        Prices { bid, ask, last, size: 10 * random.between(1, 100) }
    }
}

/// Numbers that a seed repeats: a counter, scrambled.
#[derive(Debug)]
struct Random(u64);

impl Random {
    const fn new(seed: u64) -> Self {
        Self(seed)
    }

    const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// From `first` to `last`, both included.
    fn between(&mut self, first: u32, last: u32) -> u32 {
        let count = u64::from(last - first) + 1;
        first + u32::try_from(self.number() % count).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn prices_are_prices(seed: u64, steps in 1_usize..2000) {
            let mut walks = Walks::new(seed, 3);
            for _ in 0..steps {
                let index = walks.next();
                let Prices { bid, ask, last, size } = walks.step(index);
                prop_assert!(0 < bid && bid < ask, "{bid} {ask}");
                prop_assert!((bid..=ask).contains(&last), "{bid} {last} {ask}");
                prop_assert!((1..=1000).contains(&size));
                let Walk { base, middle } = walks.walks[index];
                prop_assert!((base / 2..=base * 2).contains(&middle));
                prop_assert!(ask - bid <= 1 + middle / 2048);
            }
        }

        #[test]
        fn a_seed_repeats(seed: u64, count in 1_usize..100) {
            let run = |seed| {
                let mut walks = Walks::new(seed, count);
                let mut step = || { let index = walks.next(); (index, walks.step(index)) };
                std::iter::repeat_with(&mut step).take(100).collect::<Vec<_>>()
            };
            prop_assert_eq!(run(seed), run(seed));
            prop_assert_ne!(run(seed), run(seed.wrapping_add(1)));
        }
    }

    #[test]
    fn prices_move_within_their_band() {
        let mut walks = Walks::new(1, 1);
        let first = walks.step(0).last;
        let mut far = 0;
        for _ in 0..100_000 {
            far = far.max(walks.step(0).last.abs_diff(first));
        }
        assert!(far > first / 50, "{far} ticks from {first}");
    }

    #[test]
    fn some_are_traded_more_than_others() {
        let mut walks = Walks::new(7, 1000);
        let mut counts = vec![0_u32; 1000];
        for _ in 0..100_000 {
            counts[walks.next()] += 1;
        }
        let busiest: u32 = counts[..100].iter().sum();
        assert!((30_000..33_500).contains(&busiest), "{busiest}");
        assert!(counts.iter().all(|count| *count > 10));
    }
}
