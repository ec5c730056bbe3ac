//! What a run must show.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use crate::behavior::{Behavior, BehaviorError};
use crate::case::{Case, CaseError};
use crate::selection::Selection;

/// Each case that must be run, with the judgement that both columns must hold.
///
/// It is read from a file that stands beside the program and never from a run, so that a run cannot
/// lower it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Expectation {
    cases: BTreeMap<Case, Behavior>,
}

/// The file of expectations, or what was selected from it, is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum ExpectationError {
    /// A line that is not a case, a space and a judgement. Lines count from one.
    Line(usize),
    /// A line whose case is not one.
    Case(usize, CaseError),
    /// A line whose judgement is not one.
    Behavior(usize, BehaviorError),
    /// A line that names a case again.
    Repeated(usize, Case),
    /// Nothing is expected: whatever was run would pass.
    Empty,
    /// A pattern that selects nothing.
    Idle(String),
}

impl Expectation {
    /// Reads one case a line, such as `7.1.6 INFORMATIONAL`. Empty lines and those that open with
    /// `#` are skipped.
    pub(crate) fn parse(text: &str) -> Result<Self, ExpectationError> {
        let mut cases = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let number = index + 1;
            let (case, behavior) = line.split_once(' ').ok_or(ExpectationError::Line(number))?;
            let case = case.parse().map_err(|error| ExpectationError::Case(number, error))?;
            let behavior =
                behavior.parse().map_err(|error| ExpectationError::Behavior(number, error))?;
            if cases.contains_key(&case) {
                return Err(ExpectationError::Repeated(number, case));
            }
            cases.insert(case, behavior);
        }
        if cases.is_empty() { Err(ExpectationError::Empty) } else { Ok(Self { cases }) }
    }

    /// Keeps the selected cases. Each pattern must select one at least.
    pub(crate) fn select(mut self, selection: &Selection) -> Result<Self, ExpectationError> {
        if let Some(pattern) = selection.idle(self.cases.keys()) {
            return Err(ExpectationError::Idle(pattern));
        }
        self.cases.retain(|case, _| selection.contains(case));
        if self.cases.is_empty() { Err(ExpectationError::Empty) } else { Ok(self) }
    }

    /// The cases in their order, each with its judgement.
    pub(crate) fn cases(&self) -> impl Iterator<Item = (&Case, Behavior)> {
        self.cases.iter().map(|(case, behavior)| (case, *behavior))
    }

    /// Whether the case must be run.
    pub(crate) fn contains(&self, case: &Case) -> bool {
        self.cases.contains_key(case)
    }
}

impl fmt::Display for ExpectationError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number) => write!(formatter, "line {number} is not a case and a judgement"),
            Self::Case(number, error) => write!(formatter, "line {number}: {error}"),
            Self::Behavior(number, error) => write!(formatter, "line {number}: {error}"),
            Self::Repeated(number, case) => {
                write!(formatter, "line {number} names case {case} again")
            }
            Self::Empty => formatter.write_str("nothing is expected"),
            Self::Idle(pattern) => write!(formatter, "the pattern `{pattern}` selects no case"),
        }
    }
}

impl Error for ExpectationError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_expects_what_the_read_me_says() {
        let whole = Expectation::parse(include_str!("../expected.txt")).unwrap();
        assert_eq!(whole.cases().count(), 517);
        let plain = "1.* 2.* 3.* 4.* 5.* 6.* 7.* 9.* 10.*".parse().unwrap();
        let plain = whole.select(&plain).unwrap();
        assert_eq!(plain.cases().count(), 301);
        let (ok, others): (Vec<_>, Vec<_>) =
            plain.cases().partition(|(_, behavior)| *behavior == Behavior::Ok);
        assert_eq!(ok.len(), 298);
        assert!(others.iter().all(|(_, behavior)| *behavior == Behavior::Informational));
        let others: Vec<_> = others.iter().map(|(case, _)| case.to_string()).collect();
        assert_eq!(others, ["7.1.6", "7.13.1", "7.13.2"]);
    }

    #[test]
    fn refuses_a_file_that_is_wrong() {
        let error = |text| Expectation::parse(text).unwrap_err();
        assert_eq!(error(""), ExpectationError::Empty);
        assert_eq!(error("# 1.1.1 OK\n\n"), ExpectationError::Empty);
        assert_eq!(error("1.1.1"), ExpectationError::Line(1));
        assert!(matches!(error("# \n1.x OK"), ExpectationError::Case(2, _)));
        assert!(matches!(error("1.1 OK\n1.2 FINE"), ExpectationError::Behavior(2, _)));
        assert!(matches!(error("1.1 OK\n1.1 FAILED"), ExpectationError::Repeated(2, _)));
    }

    #[test]
    fn refuses_a_selection_that_selects_nothing() {
        let expectation = Expectation::parse("1.1 OK\n2.1 OK").unwrap();
        let select = |patterns: &str| expectation.clone().select(&patterns.parse().unwrap());
        assert_eq!(select("2.*").unwrap().cases().count(), 1);
        assert_eq!(select("2.* 3.*"), Err(ExpectationError::Idle("3.*".to_owned())));
        assert_eq!(select(""), Err(ExpectationError::Empty));
    }
}
