//! Chance that a seed repeats.

/// A small generator of pseudo-random numbers: a counter, scrambled. So the number at any place is
/// known without those before it.
#[derive(Clone, Copy, Debug)]
pub struct Random(u64);

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

impl Random {
    /// The sequence of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(mix(seed ^ STEP))
    }

    /// The sequence of several numbers, in their order.
    #[must_use]
    pub fn of(numbers: &[u64]) -> Self {
        Self(numbers.iter().fold(0, |seed, number| mix(seed.wrapping_add(STEP) ^ number)))
    }

    /// The next number.
    pub const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// The number after `index` others.
    #[must_use]
    pub const fn at(&self, index: u64) -> u64 {
        mix(self.0.wrapping_add(STEP.wrapping_mul(index.wrapping_add(1))))
    }

    /// The next number, brought below `end`, which is not zero.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.number() % end.max(1) as u64).unwrap_or(0)
    }

    /// True `count` times out of a thousand.
    pub fn chance(&mut self, count: usize) -> bool {
        self.below(1000) < count
    }

    /// A masking key. These are tests: nobody is to be kept from predicting it.
    pub const fn masking_key(&mut self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.number().to_le_bytes();
        [a, b, c, d]
    }
}

const fn mix(number: u64) -> u64 {
    let mixed = (number ^ number >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_is_known_without_those_before_it() {
        let start = Random::of(&[1, 2, 3]);
        let mut next = start;
        for index in 0..1000 {
            assert_eq!(start.at(index), next.number());
        }
        assert_ne!(Random::of(&[1, 2]).at(0), Random::of(&[2, 1]).at(0));
    }
}
