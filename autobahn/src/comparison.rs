//! A run held against its expectation.

use std::collections::BTreeMap;

use crate::behavior::Behavior;
use crate::case::Case;
use crate::expectation::Expectation;
use crate::report::Outcome;
use crate::run::Run;

/// Where a run is not as expected, and how it went by section.
///
/// Every case that is expected or was run is counted once: `passed + failed` is their number, to
/// which each report that could not be read adds one failure.
#[derive(Debug, Default)]
pub(crate) struct Comparison<'a> {
    /// The sections in their order, by the first number of their cases.
    pub(crate) sections: BTreeMap<u16, Tally>,
    /// Every case that is not as expected, in order.
    pub(crate) differences: Vec<Difference<'a>>,
    /// How many cases are as expected.
    pub(crate) passed: usize,
    /// How many are not.
    pub(crate) failed: usize,
}

/// The cases of one section. `cases = ok + informational + other`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Tally {
    /// All that were expected or run.
    pub(crate) cases: usize,
    /// Those with OK in both columns.
    pub(crate) ok: usize,
    /// Those with INFORMATIONAL in both columns.
    pub(crate) informational: usize,
    /// All others, and those that were not run once.
    pub(crate) other: usize,
}

/// One case that is not as expected.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Difference<'a> {
    /// One of the columns holds something else than this.
    Differs(Behavior, &'a Outcome),
    /// No part reports it.
    NotRun(&'a Case),
    /// It is reported more than once, so that no report of it can be believed.
    RunTwice(&'a Case),
    /// It is reported and nobody asked for it.
    NotExpected(&'a Outcome),
}

impl<'a> Comparison<'a> {
    /// Compares case by case.
    pub(crate) fn new(expectation: &'a Expectation, run: &'a Run) -> Self {
        let mut comparison = Self { failed: run.unreadable.len(), ..Self::default() };
        for (case, expected) in expectation.cases() {
            let outcomes = run.outcomes.get(case).map_or(&[][..], Vec::as_slice);
            comparison.count(case, outcomes);
            comparison.judge(difference(case, expected, outcomes));
        }
        for (case, outcomes) in &run.outcomes {
            if !expectation.contains(case) {
                comparison.count(case, &[]);
                comparison.judge(outcomes.first().map(Difference::NotExpected));
            }
        }
        comparison.differences.sort_by(|left, right| left.case().cmp(right.case()));
        comparison
    }

    /// All sections together.
    pub(crate) fn total(&self) -> Tally {
        self.sections.values().fold(Tally::default(), |total, tally| Tally {
            cases: total.cases + tally.cases,
            ok: total.ok + tally.ok,
            informational: total.informational + tally.informational,
            other: total.other + tally.other,
        })
    }

    fn count(&mut self, case: &Case, outcomes: &[Outcome]) {
        let tally = self.sections.entry(case.section()).or_default();
        tally.cases += 1;
        match outcomes {
            [one] if one.holds(Behavior::Ok) => tally.ok += 1,
            [one] if one.holds(Behavior::Informational) => tally.informational += 1,
            _ => tally.other += 1,
        }
    }

    fn judge(&mut self, difference: Option<Difference<'a>>) {
        match difference {
            None => self.passed += 1,
            Some(difference) => {
                self.failed += 1;
                self.differences.push(difference);
            }
        }
    }
}

fn difference<'a>(
    case: &'a Case,
    expected: Behavior,
    outcomes: &'a [Outcome],
) -> Option<Difference<'a>> {
    match outcomes {
        [] => Some(Difference::NotRun(case)),
        [one] if one.holds(expected) => None,
        [one] => Some(Difference::Differs(expected, one)),
        _ => Some(Difference::RunTwice(case)),
    }
}

impl Difference<'_> {
    fn case(&self) -> &Case {
        match self {
            Self::Differs(_, outcome) | Self::NotExpected(outcome) => &outcome.case,
            Self::NotRun(case) | Self::RunTwice(case) => case,
        }
    }
}

impl Outcome {
    /// Whether both columns hold `behavior`.
    fn holds(&self, behavior: Behavior) -> bool {
        self.behavior == behavior && self.behavior_close == behavior
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECTED: &str = "1.1.1 OK\n1.1.2 OK\n7.1.6 INFORMATIONAL\n10.1.1 OK";

    /// A run from lines of a case, its `behavior` and its `behaviorClose`, with `/` between.
    fn run(lines: &str) -> Run {
        let mut run = Run::default();
        for line in lines.lines() {
            let fields: Vec<_> = line.split('/').collect();
            let outcome = Outcome {
                case: fields[0].parse().unwrap(),
                behavior: fields[1].parse().unwrap(),
                behavior_close: fields[2].parse().unwrap(),
                page: format!("{}.html", fields[0]).into(),
            };
            run.outcomes.entry(outcome.case.clone()).or_default().push(outcome);
        }
        run
    }

    const WHOLE: &str = "1.1.1/OK/OK\n1.1.2/OK/OK\n7.1.6/INFORMATIONAL/INFORMATIONAL\n10.1.1/OK/OK";

    /// What differs, as (case, kind), with the numbers of passed and failed.
    fn compared(run: &Run) -> (Vec<(String, &'static str)>, usize, usize) {
        let expectation = Expectation::parse(EXPECTED).unwrap();
        let comparison = Comparison::new(&expectation, run);
        let total = comparison.total();
        assert_eq!(total.cases, total.ok + total.informational + total.other);
        assert_eq!(
            total.cases + run.unreadable.len(),
            comparison.passed + comparison.failed,
            "every case is judged once",
        );
        let kind = |difference: &Difference<'_>| match difference {
            Difference::Differs(..) => "differs",
            Difference::NotRun(_) => "not run",
            Difference::RunTwice(_) => "run twice",
            Difference::NotExpected(_) => "not expected",
        };
        let differences = comparison.differences.iter();
        let differences =
            differences.map(|difference| (difference.case().to_string(), kind(difference)));
        (differences.collect(), comparison.passed, comparison.failed)
    }

    #[test]
    fn a_whole_run_passes() {
        assert_eq!(compared(&run(WHOLE)), (vec![], 4, 0));
        let expectation = Expectation::parse(EXPECTED).unwrap();
        let whole = run(WHOLE);
        let comparison = Comparison::new(&expectation, &whole);
        let total = Tally { cases: 4, ok: 3, informational: 1, other: 0 };
        assert_eq!(comparison.total(), total);
        assert_eq!(comparison.sections.keys().copied().collect::<Vec<_>>(), [1, 7, 10]);
        assert_eq!(comparison.sections[&1], Tally { cases: 2, ok: 2, ..Tally::default() });
    }

    #[test]
    fn every_single_missing_case_fails() {
        for missing in WHOLE.lines() {
            let rest: Vec<_> = WHOLE.lines().filter(|line| *line != missing).collect();
            let case = missing.split('/').next().unwrap().to_owned();
            assert_eq!(compared(&run(&rest.join("\n"))), (vec![(case, "not run")], 3, 1));
        }
        assert_eq!(compared(&run("")).2, 4);
    }

    #[test]
    fn every_other_behavior_in_either_column_fails() {
        let others = ["NON-STRICT", "UNIMPLEMENTED", "FAILED", "WRONG CODE", "UNCLEAN"];
        let others = others.iter().chain(&["FAILED BY CLIENT", "OK", "INFORMATIONAL"]);
        for other in others {
            for line in WHOLE.lines() {
                let fields: Vec<_> = line.split('/').collect();
                let (case, expected) = (fields[0], fields[1]);
                if *other == expected {
                    continue;
                }
                for columns in [[*other, expected], [expected, *other], [*other, *other]] {
                    let [behavior, close] = columns;
                    let lines = WHOLE.replace(line, &format!("{case}/{behavior}/{close}"));
                    let differences = vec![(case.to_owned(), "differs")];
                    assert_eq!(compared(&run(&lines)), (differences, 3, 1), "{columns:?}");
                }
            }
        }
    }

    #[test]
    fn a_case_that_nobody_asked_for_fails() {
        let lines = format!("{WHOLE}\n9.1.1/OK/OK");
        let differences = vec![("9.1.1".to_owned(), "not expected")];
        assert_eq!(compared(&run(&lines)), (differences, 4, 1));
    }

    #[test]
    fn a_case_that_ran_twice_fails() {
        let lines = format!("{WHOLE}\n1.1.2/OK/OK");
        assert_eq!(compared(&run(&lines)), (vec![("1.1.2".to_owned(), "run twice")], 3, 1));
    }

    #[test]
    fn a_report_that_cannot_be_read_fails() {
        let mut whole = run(WHOLE);
        whole.unreadable = Run::gather(&["nowhere/part-1".into()]).remove(0).unreadable;
        assert_eq!(compared(&whole), (vec![], 4, 1));
    }

    #[test]
    fn differences_are_in_order() {
        let (differences, passed, failed) =
            compared(&run("9.1/OK/OK\n1.1.2/OK/FAILED\n10.1.1/OK/OK"));
        let cases: Vec<_> = differences.iter().map(|(case, _)| case.as_str()).collect();
        assert_eq!(cases, ["1.1.1", "1.1.2", "7.1.6", "9.1"]);
        assert_eq!((passed, failed), (1, 4));
    }
}
