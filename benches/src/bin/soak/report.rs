//! What came of it, and whether that is right.

use crate::shared::Counts;

/// The server's own memory, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// Before the first connection.
    pub(crate) start: u64,
    /// After one of the rounds that warm up, when all had left: the most.
    pub(crate) baseline: u64,
    /// Whether that has become no more in the last of those rounds.
    pub(crate) is_steady: bool,
    /// The most that was seen.
    pub(crate) peak: u64,
    /// When all had left for good.
    pub(crate) end: u64,
}

impl Memory {
    /// What the end may be: five percent above the baseline.
    pub(crate) const fn bound(&self) -> u64 {
        self.baseline + self.baseline / 20
    }
}

/// Everything that is told at the end.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) connections: usize,
    pub(crate) seconds: u64,
    /// As it was when the round that counts began.
    pub(crate) warm_up: Counts,
    pub(crate) counts: Counts,
    pub(crate) failure_count: u64,
    pub(crate) memory: Memory,
    /// The server's, before the first connection and after the last.
    pub(crate) descriptors: [usize; 2],
    /// The server ended by itself and well.
    pub(crate) stopped: bool,
}

impl Report {
    /// Whether everything is as it must be.
    pub(crate) fn is_right(&self) -> bool {
        let [before, after] = self.descriptors;
        let has_worked = self.counts.messages > self.warm_up.messages && self.counts.closes > 0;
        let Memory { is_steady, end, .. } = self.memory;
        let is_back = after <= before && is_steady && end <= self.memory.bound();
        has_worked && is_back && self.failure_count == 0 && self.stopped
    }

    /// All of it, the warm-up's counts taken off.
    pub(crate) fn json(&self) -> String {
        let Self { seed, connections, seconds, warm_up, counts, memory, .. } = self;
        let [before, after] = self.descriptors;
        let numbers = [
            ("seed", *seed),
            ("connections", *connections as u64),
            ("seconds", *seconds),
            ("opened", counts.opened - warm_up.opened),
            ("messages", counts.messages - warm_up.messages),
            ("bytes", counts.bytes - warm_up.bytes),
            ("pongs", counts.pongs - warm_up.pongs),
            ("resets", counts.resets - warm_up.resets),
            ("closes", counts.closes - warm_up.closes),
            ("failures", self.failure_count),
            ("private_start", memory.start),
            ("private_baseline", memory.baseline),
            ("private_is_steady", memory.is_steady.into()),
            ("private_peak", memory.peak),
            ("private_end", memory.end),
            ("descriptors_start", before as u64),
            ("descriptors_end", after as u64),
        ];
        let lines = numbers.map(|(name, number)| format!("  \"{name}\": {number},\n"));
        format!("{{\n{}  \"right\": {}\n}}", lines.concat(), self.is_right())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let counts = Counts { messages: 5, closes: 1, ..Counts::default() };
        Report {
            seed: 1,
            connections: 1,
            seconds: 1,
            warm_up: Counts::default(),
            counts,
            failure_count: 0,
            memory: Memory { start: 50, baseline: 100, is_steady: true, peak: 900, end: 105 },
            descriptors: [9, 9],
            stopped: true,
        }
    }

    #[test]
    fn each_fault_shows() {
        assert!(report().is_right());
        let faults: [fn(&mut Report); 7] = [
            |report| report.failure_count = 1,
            |report| report.memory.is_steady = false,
            |report| report.memory.end = 106,
            |report| report.descriptors[1] = 10,
            |report| report.stopped = false,
            |report| report.warm_up.messages = 5,
            |report| report.counts.closes = 0,
        ];
        for (index, fault) in faults.into_iter().enumerate() {
            let mut report = report();
            fault(&mut report);
            assert!(!report.is_right(), "{index}");
        }
    }

    #[test]
    fn the_numbers_are_those_of_the_round_that_counts() {
        let mut report = report();
        report.warm_up.messages = 2;
        let json = report.json();
        assert!(json.starts_with("{\n  \"seed\": 1,\n") && json.ends_with("\"right\": true\n}"));
        assert!(json.contains("\"messages\": 3,"), "{json}");
    }
}
