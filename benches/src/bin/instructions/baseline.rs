//! The numbers that are kept, as text: a line for the instruction sets, then one for each case.

use std::error::Error;
use std::fmt;

/// What has been measured before.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Baseline {
    sets: String,
    counts: Vec<(String, u64)>,
}

/// The numbers that are kept were taken with other instruction sets.
#[derive(Debug)]
pub(crate) struct OtherMachine(String, String);

/// The instruction sets that the kernels choose from, as this process sees them: valgrind hides
/// those that it does not know.
pub(crate) fn sets() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512bw") {
            return "x86-64 AVX-512";
        }
        if is_x86_feature_detected!("avx2") {
            return "x86-64 AVX2";
        }
    }
    std::env::consts::ARCH
}

impl Baseline {
    /// Reads what [`to_string`](Self::to_string) has written.
    pub(crate) fn read(text: &str) -> Result<Self, Box<dyn Error>> {
        let mut lines = text.lines().filter(|line| !line.starts_with('#'));
        let sets = lines.next().ok_or("the numbers that are kept are empty")?.to_owned();
        let count = |line: &str| {
            let (name, count) = line.rsplit_once(' ')?;
            Some((name.trim().to_owned(), count.parse().ok()?))
        };
        let counts = lines.map(|line| count(line).ok_or_else(|| format!("{line:?}: no number")));
        Ok(Self { sets, counts: counts.collect::<Result<_, _>>()? })
    }

    /// What is kept of a case.
    pub(crate) fn count(&self, name: &str) -> Option<u64> {
        self.counts.iter().find(|(kept, _)| kept == name).map(|(_, count)| *count)
    }

    /// Keeps a number.
    pub(crate) fn set(&mut self, sets: &str, name: &str, count: u64) {
        sets.clone_into(&mut self.sets);
        self.counts.push((name.to_owned(), count));
    }

    /// Whether they may be compared with what is measured with `sets`.
    pub(crate) fn check_sets(&self, sets: &str) -> Result<(), OtherMachine> {
        if self.sets == sets {
            return Ok(());
        }
        Err(OtherMachine(self.sets.clone(), sets.to_owned()))
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "# Instructions for each message: `instructions --write` writes this."
        )?;
        writeln!(formatter, "{}", self.sets)?;
        self.counts.iter().try_for_each(|(name, count)| writeln!(formatter, "{name:<40} {count}"))
    }
}

impl fmt::Display for OtherMachine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the numbers are those of {}, and this is {}", self.0, self.1)
    }
}

impl Error for OtherMachine {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut baseline = Baseline::default();
        baseline.set("sets", "text of 20 bytes", 50);
        baseline.set("sets", "binary", 7);
        let read = Baseline::read(&baseline.to_string()).expect("it is right");
        assert_eq!(read, baseline);
        assert_eq!((read.count("binary"), read.count("text")), (Some(7), None));
        assert!(read.check_sets("sets").is_ok() && read.check_sets("others").is_err());
        assert!(Baseline::read("sets\nno number").is_err() && Baseline::read("").is_err());
    }
}
