//! What rounds of the same have come to.

/// The median of several numbers, and between what they lie.
///
/// ```
/// use ringwire_benches::spread::Spread;
///
/// let spread = Spread::of([5.71, 5.51, 5.66]).expect("there are numbers");
/// assert_eq!(spread.cell(1), "5.7 (5.5–5.7)");
/// assert_eq!(Spread::of([]), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    /// The one in the middle, or between the two in the middle.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
    /// How many there are.
    pub count: usize,
}

/// Of fewer numbers nobody knows how far they lie apart.
const COUNT_MIN: usize = 3;

impl Spread {
    /// The spread of these numbers; of none there is none.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let (below, above) = (values[(values.len() - 1) / 2], values[middle]);
        let median = f64::midpoint(below, above);
        Some(Self { median, least, most, count: values.len() })
    }

    /// Whether all numbers of one are greater than all of the other. Otherwise which of the two is
    /// the greater depends on the round: it is noise, as is any order of fewer than three.
    #[must_use]
    pub fn differs(self, other: Self) -> bool {
        let is_known = self.count.min(other.count) >= COUNT_MIN;
        is_known && (self.least > other.most || other.least > self.most)
    }

    /// The median, and in brackets the least and the most, with so many digits behind the point.
    #[must_use]
    pub fn cell(self, digits: usize) -> String {
        let Self { median, least, most, .. } = self;
        format!("{median:.digits$} ({least:.digits$}–{most:.digits$})")
    }
}

/// The median of these numbers, 0 of none.
#[must_use]
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    Spread::of(values).unwrap_or_default().median
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(values: &[f64]) -> Spread {
        Spread::of(values.iter().copied()).expect("there are numbers")
    }

    #[test]
    fn the_middle_and_both_ends() {
        let of = |values: &[f64]| {
            let Spread { median, least, most, .. } = spread(values);
            [median, least, most]
        };
        assert_eq!(of(&[7.0]), [7.0, 7.0, 7.0]);
        assert_eq!(of(&[9.0, 1.0, 2.0]), [2.0, 1.0, 9.0]);
        assert_eq!(of(&[4.0, 1.0, 2.0, 9.0]), [3.0, 1.0, 9.0]);
        assert_eq!(median([]).to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn spreads_differ_that_have_no_number_in_common() {
        let (low, high) = (spread(&[1.0, 2.0, 3.0]), spread(&[3.1, 4.0, 5.0]));
        assert!(low.differs(high) && high.differs(low) && !low.differs(low));
        let touching = spread(&[3.0, 4.0, 5.0]);
        assert!(!low.differs(touching) && !touching.differs(low));
        let within = spread(&[1.5, 1.6, 1.7]);
        assert!(!low.differs(within) && !within.differs(low));
        assert!(!low.differs(spread(&[8.0, 9.0])), "two are too few");
    }
}
