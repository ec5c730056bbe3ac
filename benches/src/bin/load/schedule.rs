//! When messages are to be sent that do not wait for answers.

/// A fixed rate: the moments are settled before anything is measured, so that a server which is
/// late is found late by every message that it should have had meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    /// Nanoseconds.
    start: u64,
    /// A second.
    rate: u64,
    /// Messages that have become due.
    issued: u64,
}

impl Schedule {
    /// A schedule whose first message is due at `start`. The rate is not zero.
    pub(crate) const fn new(start: u64, rate: u64) -> Self {
        Self { start, rate, issued: 0 }
    }

    /// When the next message is due.
    pub(crate) fn next(&self) -> u64 {
        let nanos = u128::from(self.issued) * 1_000_000_000 / u128::from(self.rate.max(1));
        self.start.saturating_add(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The number and the moment of the next message, if that moment has come.
    pub(crate) fn due(&mut self, now: u64) -> Option<(u64, u64)> {
        let next = self.next();
        if next > now {
            return None;
        }
        self.issued += 1;
        Some((self.issued - 1, next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_has_its_moment_however_late_it_is_asked_for() {
        let mut often = Schedule::new(1000, 3);
        let mut all = Vec::new();
        for now in (0..4_000_000_000).step_by(1_000_000) {
            let mut due: Vec<_> = std::iter::from_fn(|| often.due(now)).collect();
            assert!(often.next() > now);
            all.append(&mut due);
        }
        let mut late = Schedule::new(1000, 3);
        let at_once: Vec<_> = std::iter::from_fn(|| late.due(3_999_000_000)).collect();
        assert_eq!(all, at_once);
        let moments: Vec<_> = all.iter().take(4).map(|(_, moment)| *moment).collect();
        assert_eq!(moments, [1000, 333_334_333, 666_667_666, 1_000_001_000]);
        assert_eq!(all.len(), 12);
        assert!(all.iter().enumerate().all(|(index, (number, _))| index as u64 == *number));
    }

    #[test]
    fn a_rate_does_not_drift() {
        let mut schedule = Schedule::new(0, 700_001);
        while schedule.due(1_000_000_000 * 3 - 1).is_some() {}
        assert_eq!((schedule.issued, schedule.next()), (2_100_003, 3_000_000_000));
    }
}
