//! Compares runs of the Autobahn test suite with what they must show, case by case.
//!
//! ```text
//! ringwire-autobahn --expect FILE [--cases PATTERNS] REPORT_DIR...
//! ringwire-autobahn --expect FILE [--cases PATTERNS] --list
//! ```
//!
//! Each folder holds the `index.json` of one process of the suite; folders that stand in one folder
//! are parts of one run. Every expected case must have run exactly once and no other case at all,
//! and both columns must hold what is expected. The exit code is 0 if that is so, 1 if it is not,
//! and 2 if nothing could be compared.

#![warn(missing_docs)]

mod arguments;
mod behavior;
mod case;
mod comparison;
mod expectation;
mod report;
mod run;
mod selection;
mod table;

use std::env;
use std::error::Error;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use arguments::{Arguments, ArgumentsError, Task};
use comparison::Comparison;
use expectation::{Expectation, ExpectationError};
use run::Run;

/// Nothing could be compared.
#[derive(Debug)]
enum Failure {
    /// The command line makes no sense.
    Arguments(ArgumentsError),
    /// The file of expectations could not be read.
    Read(PathBuf, io::Error),
    /// The file of expectations is wrong.
    Expectation(PathBuf, ExpectationError),
    /// The result could not be written.
    Write(io::Error),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse(env::args_os().skip(1)).map_err(Failure::Arguments);
    match arguments.and_then(|arguments| perform(&arguments, &mut io::stdout().lock())) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            // Where even this cannot be written, the exit code still tells.
            let _ = writeln!(io::stderr(), "ringwire-autobahn: {failure}");
            ExitCode::from(2)
        }
    }
}

/// Does what is asked. `Ok(false)` says that a run is not as expected.
fn perform(arguments: &Arguments, out: &mut impl Write) -> Result<bool, Failure> {
    let file = &arguments.expect;
    let text = fs::read_to_string(file).map_err(|error| Failure::Read(file.clone(), error))?;
    let expectation = Expectation::parse(&text)
        .and_then(|expectation| expectation.select(&arguments.cases))
        .map_err(|error| Failure::Expectation(file.clone(), error))?;
    match &arguments.task {
        Task::List => list(&expectation, out).map(|()| true),
        Task::Compare(folders) => compare(&expectation, folders, out),
    }
    .map_err(Failure::Write)
}

fn list(expectation: &Expectation, out: &mut impl Write) -> io::Result<()> {
    for (case, _) in expectation.cases() {
        writeln!(out, "{case}")?;
    }
    out.flush()
}

fn compare(
    expectation: &Expectation,
    folders: &[PathBuf],
    out: &mut impl Write,
) -> io::Result<bool> {
    let (mut passed, mut failed) = (0, 0);
    for run in &Run::gather(folders) {
        let comparison = Comparison::new(expectation, run);
        table::write(out, run, &comparison)?;
        passed += comparison.passed;
        failed += comparison.failed;
    }
    writeln!(out, "{passed} passed, {failed} failed")?;
    out.flush()?;
    Ok(failed == 0)
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arguments(error) => write!(formatter, "{error}"),
            Self::Read(file, error) => write!(formatter, "{}: {error}", file.display()),
            Self::Expectation(file, error) => write!(formatter, "{}: {error}", file.display()),
            Self::Write(error) => write!(formatter, "the result could not be written: {error}"),
        }
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Arguments(error) => Some(error),
            Self::Read(_, error) | Self::Write(error) => Some(error),
            Self::Expectation(_, error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::process;

    const PLAIN: &str = "1.* 2.* 3.* 4.* 5.* 6.* 7.* 9.* 10.*";

    /// A folder of its own for one test, gone when the test ends.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = format!("ringwire-autobahn-{}-{name}", process::id());
            let folder = env::temp_dir().join(folder);
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        /// Writes the report of one part and gives back its folder.
        fn part(&self, name: &str, text: &str) -> PathBuf {
            let part = self.0.join(name);
            fs::create_dir_all(&part).unwrap();
            fs::write(part.join("index.json"), text).unwrap();
            part
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn arguments(task: Task) -> Arguments {
        let expect = Path::new(env!("CARGO_MANIFEST_DIR")).join("expected.txt");
        Arguments { expect, cases: PLAIN.parse().unwrap(), task }
    }

    /// The report of a run as it should be, over every second case from `first` on.
    fn report(first: usize) -> String {
        let text = include_str!("../expected.txt");
        let expectation = Expectation::parse(text).unwrap().select(&PLAIN.parse().unwrap());
        let cases = expectation.unwrap();
        let cases = cases.cases().skip(first).step_by(2).map(|(case, behavior)| {
            format!(
                r#""{case}": {{"behavior": "{behavior}", "behaviorClose": "{behavior}",
                "reportfile": "r_{case}.json"}}"#
            )
        });
        format!(r#"{{"ringwire": {{{}}}}}"#, cases.collect::<Vec<_>>().join(","))
    }

    /// Whether the parts pass, and the closing line.
    fn performed(parts: Vec<PathBuf>) -> (bool, String) {
        let mut out = Vec::new();
        let passed = perform(&arguments(Task::Compare(parts)), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        (passed, text.lines().last().unwrap().to_owned())
    }

    #[test]
    fn two_whole_runs_in_two_parts_each_pass() {
        let folder = Folder::new("whole");
        let part = |name: &str, first| folder.part(name, &report(first));
        let parts = vec![part("a/1", 0), part("a/2", 1), part("b/1", 1), part("b/2", 0)];
        assert_eq!(performed(parts), (true, "602 passed, 0 failed".to_owned()));
    }

    #[test]
    fn a_run_without_one_of_its_parts_fails() {
        let folder = Folder::new("half");
        let first = folder.part("a/1", &report(0));
        assert_eq!(performed(vec![first.clone()]), (false, "151 passed, 150 failed".to_owned()));
        for broken in ["", "{}", r#"{"ringwire": {}}"#, &report(1)[1..]] {
            let second = folder.part("a/2", broken);
            let expected = (false, "151 passed, 151 failed".to_owned());
            assert_eq!(performed(vec![first.clone(), second]), expected, "{broken}");
        }
    }

    #[test]
    fn one_other_judgement_fails() {
        let folder = Folder::new("judgement");
        let text = report(0).replacen(r#""behavior": "OK""#, r#""behavior": "NON-STRICT""#, 1);
        let parts = vec![folder.part("1", &text), folder.part("2", &report(1))];
        assert_eq!(performed(parts), (false, "300 passed, 1 failed".to_owned()));
    }

    #[test]
    fn lists_what_is_selected() {
        let mut out = Vec::new();
        assert!(perform(&arguments(Task::List), &mut out).unwrap());
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 301);
        assert!(text.starts_with("1.1.1\n1.1.2\n") && text.ends_with("\n9.8.6\n10.1.1\n"));
    }

    #[test]
    fn an_expectation_that_cannot_be_read_is_no_comparison() {
        let mut arguments = arguments(Task::List);
        arguments.expect = "no such file".into();
        let failure = perform(&arguments, &mut Vec::new()).unwrap_err();
        assert!(matches!(failure, Failure::Read(..)));
    }
}
