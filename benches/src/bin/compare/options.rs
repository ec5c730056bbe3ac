//! The command line.

use std::path::PathBuf;

use ringwire_benches::arguments::{Arguments, Known, Usage, Words};

/// The options with a number.
const NUMBERS: Known<'_> = &[
    ("rounds", "of each contestant and workload", 5),
    ("seconds", "that are measured of a round", 2),
    ("warm-up", "milliseconds of a round before those", 500),
    ("calls", "1 counts system calls, in runs of their own under strace", 1),
    ("build", "1 builds the contestants first", 1),
    ("quick", "1 for one round of 400 ms, few connections, and no peers but those named", 0),
];

/// The options with a word.
const WORDS: Words<'_> = &[
    ("only", "workloads or families of them, with commas; without, all", ""),
    ("contestants", "their names, with commas; without, all", ""),
    ("json", "the file for all rounds", "compare.json"),
    ("report", "a file of rounds: makes tables and plots of it, and runs nothing", ""),
    ("folder", "of RESULTS.md and of the plots, for a report", env!("CARGO_MANIFEST_DIR")),
];

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Options(Arguments);

impl Options {
    /// Reads the arguments that follow the program's name.
    pub(crate) fn read(arguments: impl IntoIterator<Item = String>) -> Result<Self, Usage> {
        Arguments::read_with_words(WORDS, NUMBERS, arguments).map(Self)
    }

    pub(crate) fn number(&self, name: &str) -> u64 {
        self.0.value(name)
    }

    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.number(name) > 0
    }

    /// Empty, if nothing was said and there is no default.
    pub(crate) fn word(&self, name: &str) -> &str {
        self.0.word(name)
    }

    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        Some(PathBuf::from(self.word(name))).filter(|path| !path.as_os_str().is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words() {
        let read = |line: &str| Options::read(line.split(' ').map(str::to_owned));
        let options = read("--only idle,connect --rounds 3 --report a.json").expect("it is right");
        assert_eq!((options.word("only"), options.number("rounds")), ("idle,connect", 3));
        assert_eq!(options.path("report"), Some(PathBuf::from("a.json")));
        assert!(options.path("contestants").is_none() && options.is_set("build"));
        for line in ["--only", "--rounds x", "--help", "only idle"] {
            let usage = read(line).expect_err("it is wrong").to_string();
            assert!(usage.contains("  --only WORD  workloads"), "{usage}");
            assert!(usage.contains("  --rounds N  of each"), "{usage}");
        }
    }
}
