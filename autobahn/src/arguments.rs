//! The command line.

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use crate::case::CaseError;
use crate::selection::Selection;

/// What the program is asked to do.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Arguments {
    /// The file of expectations.
    pub(crate) expect: PathBuf,
    /// The cases to look at: all, if the command line is silent.
    pub(crate) cases: Selection,
    /// What to do with them.
    pub(crate) task: Task,
}

/// The two things that the program does.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Task {
    /// Write the numbers of the selected cases.
    List,
    /// Compare the reports in these folders, one at least.
    Compare(Vec<PathBuf>),
}

/// The command line makes no sense.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum ArgumentsError {
    /// No `--expect FILE`.
    NoExpectation,
    /// Neither `--list` nor the folder of a report, or both.
    NoTask,
    /// An option without its value.
    NoValue(&'static str),
    /// An option that does not exist.
    Unknown(OsString),
    /// A pattern that is not one.
    Case(CaseError),
}

impl Arguments {
    /// Reads the words that follow the name of the program.
    pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Self, ArgumentsError> {
        let mut words = words.into_iter();
        let (mut expect, mut cases, mut list) = (None, Selection::every(), false);
        let mut folders = Vec::new();
        while let Some(word) = words.next() {
            let mut value = |option| words.next().ok_or(ArgumentsError::NoValue(option));
            match word.to_str() {
                Some("--expect") => expect = Some(PathBuf::from(value("--expect")?)),
                Some("--cases") => {
                    let patterns = value("--cases")?;
                    let patterns = patterns.to_string_lossy();
                    cases = patterns.parse().map_err(ArgumentsError::Case)?;
                }
                Some("--list") => list = true,
                Some(option) if option.starts_with('-') => {
                    return Err(ArgumentsError::Unknown(word));
                }
                _ => folders.push(PathBuf::from(word)),
            }
        }
        let expect = expect.ok_or(ArgumentsError::NoExpectation)?;
        let task = match (list, folders.is_empty()) {
            (true, true) => Task::List,
            (false, false) => Task::Compare(folders),
            (true, false) | (false, true) => return Err(ArgumentsError::NoTask),
        };
        Ok(Self { expect, cases, task })
    }
}

impl fmt::Display for ArgumentsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoExpectation => formatter.write_str("`--expect FILE` is missing"),
            Self::NoTask => formatter.write_str("give either `--list` or the folders of reports"),
            Self::NoValue(option) => write!(formatter, "`{option}` has no value"),
            Self::Unknown(option) => {
                write!(formatter, "there is no option `{}`", option.to_string_lossy())
            }
            Self::Case(error) => write!(formatter, "{error}"),
        }
    }
}

impl Error for ArgumentsError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Arguments, ArgumentsError> {
        Arguments::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn reads_both_tasks() {
        let list = parsed("--list --cases 9.* --expect e.txt").unwrap();
        assert_eq!((list.task, list.cases), (Task::List, "9.*".parse().unwrap()));
        let compare = parsed("one/part-1 --expect e.txt one/part-2").unwrap();
        let folders = vec!["one/part-1".into(), "one/part-2".into()];
        assert_eq!((compare.task, compare.cases), (Task::Compare(folders), Selection::every()));
        assert_eq!(compare.expect, PathBuf::from("e.txt"));
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        let error = |line| parsed(line).unwrap_err();
        assert_eq!(error(""), ArgumentsError::NoExpectation);
        assert_eq!(error("one"), ArgumentsError::NoExpectation);
        assert_eq!(error("--expect e.txt"), ArgumentsError::NoTask);
        assert_eq!(error("--expect e.txt --list one"), ArgumentsError::NoTask);
        assert_eq!(error("one --expect"), ArgumentsError::NoValue("--expect"));
        assert_eq!(error("one --cases"), ArgumentsError::NoValue("--cases"));
        assert_eq!(error("--all"), ArgumentsError::Unknown("--all".into()));
        assert!(matches!(error("--cases x"), ArgumentsError::Case(_)));
    }
}
