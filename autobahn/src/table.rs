//! The comparison as it is printed.

use std::io::{self, Write};

use crate::case::Case;
use crate::comparison::{Comparison, Difference, Tally};
use crate::run::Run;

/// Writes one run: its sections, their total, and all that is not as expected.
pub(crate) fn write(
    out: &mut impl Write,
    run: &Run,
    comparison: &Comparison<'_>,
) -> io::Result<()> {
    writeln!(out, "{}", run.folder.display())?;
    writeln!(out, "section  cases   OK  INFORMATIONAL  other")?;
    for (section, tally) in &comparison.sections {
        row(out, &section.to_string(), tally)?;
    }
    row(out, "total", &comparison.total())?;
    differing(out, comparison)?;
    cases(out, "not run:", comparison, |difference| match difference {
        Difference::NotRun(case) => Some(case),
        _ => None,
    })?;
    cases(out, "run more than once:", comparison, |difference| match difference {
        Difference::RunTwice(case) => Some(case),
        _ => None,
    })?;
    cases(out, "not expected:", comparison, |difference| match difference {
        Difference::NotExpected(outcome) => Some(&outcome.case),
        _ => None,
    })?;
    let mut header = "\nno report:\n";
    for error in &run.unreadable {
        writeln!(out, "{header}    {error}")?;
        header = "";
    }
    writeln!(out)
}

fn row(out: &mut impl Write, name: &str, tally: &Tally) -> io::Result<()> {
    let Tally { cases, ok, informational, other } = tally;
    writeln!(out, "{name:<7}  {cases:>5}  {ok:>3}  {informational:>13}  {other:>5}")
}

/// The cases that ran and went otherwise, with the page on which the suite shows how.
fn differing(out: &mut impl Write, comparison: &Comparison<'_>) -> io::Result<()> {
    let mut header = "\ncase     expected          behavior          behaviorClose     page\n";
    for difference in &comparison.differences {
        if let Difference::Differs(expected, outcome) = difference {
            let (behavior, close) = (outcome.behavior, outcome.behavior_close);
            write!(
                out,
                "{header}{:<7}  {expected:<16}  {behavior:<16}  {close:<16}",
                outcome.case
            )?;
            writeln!(out, "  {}", outcome.page.display())?;
            header = "";
        }
    }
    Ok(())
}

/// The cases for which `pick` gives one, in lines of no more than 100 columns.
fn cases(
    out: &mut impl Write,
    title: &str,
    comparison: &Comparison<'_>,
    pick: impl for<'a> Fn(&Difference<'a>) -> Option<&'a Case>,
) -> io::Result<()> {
    let mut line = String::new();
    for case in comparison.differences.iter().filter_map(pick) {
        let case = case.to_string();
        if line.is_empty() {
            write!(out, "\n{title}")?;
        }
        if line.is_empty() || line.len() + 1 + case.len() > LINE_MAX {
            writeln!(out, "{line}")?;
            line = "   ".to_owned();
        }
        line.push(' ');
        line.push_str(&case);
    }
    if line.is_empty() { Ok(()) } else { writeln!(out, "{line}") }
}

const LINE_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::behavior::Behavior;
    use crate::expectation::Expectation;
    use crate::report::Outcome;

    fn outcome(case: &str, behavior: Behavior, behavior_close: Behavior) -> Outcome {
        let page = format!("runs/one/part-1/{case}.html").into();
        Outcome { case: case.parse().unwrap(), behavior, behavior_close, page }
    }

    fn written(expectation: &Expectation, run: &Run) -> String {
        let mut out = Vec::new();
        write(&mut out, run, &Comparison::new(expectation, run)).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn shows_all_that_differs() {
        let expectation = "1.1 OK\n3.2 OK\n6.4.1 OK\n7.1.6 INFORMATIONAL\n9.1.1 OK\n9.1.2 OK";
        let expectation = Expectation::parse(expectation).unwrap();
        let mut run = Run { folder: "runs/one".into(), ..Run::default() };
        for outcome in [
            outcome("1.1", Behavior::Ok, Behavior::Ok),
            outcome("3.2", Behavior::NonStrict, Behavior::Ok),
            outcome("7.1.6", Behavior::Informational, Behavior::Informational),
            outcome("6.4.1", Behavior::Ok, Behavior::FailedByClient),
            outcome("9.1.1", Behavior::Ok, Behavior::Ok),
            outcome("9.1.1", Behavior::Ok, Behavior::Ok),
            outcome("10.1.1", Behavior::Ok, Behavior::Ok),
        ] {
            run.outcomes.entry(outcome.case.clone()).or_default().push(outcome);
        }
        let expected = "\
runs/one
section  cases   OK  INFORMATIONAL  other
1            1    1              0      0
3            1    0              0      1
6            1    0              0      1
7            1    0              1      0
9            2    0              0      2
10           1    0              0      1
total        7    1              1      5

case     expected          behavior          behaviorClose     page
3.2      OK                NON-STRICT        OK                runs/one/part-1/3.2.html
6.4.1    OK                OK                FAILED BY CLIENT  runs/one/part-1/6.4.1.html

not run:
    9.1.2

run more than once:
    9.1.1

not expected:
    10.1.1

";
        assert_eq!(written(&expectation, &run), expected);
    }

    #[test]
    fn many_cases_are_wrapped() {
        let expectation = Expectation::parse(include_str!("../expected.txt")).unwrap();
        let text = written(&expectation, &Run::default());
        assert!(text.lines().all(|line| line.len() <= LINE_MAX));
        let (_, list) = text.split_once("not run:\n").unwrap();
        let listed: Vec<_> = list.split_whitespace().collect();
        let all: Vec<_> = expectation.cases().map(|(case, _)| case.to_string()).collect();
        assert_eq!(listed, all);
    }
}
