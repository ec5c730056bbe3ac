//! What the suite reports of the cases that one of its processes ran.

use std::error::Error;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use simd_json::BorrowedValue;
use simd_json::prelude::*;

use crate::behavior::{Behavior, BehaviorError};
use crate::case::{Case, CaseError};

/// One case as it was run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Outcome {
    /// Which case.
    pub(crate) case: Case,
    /// What was received against what should have been: the suite's first column.
    pub(crate) behavior: Behavior,
    /// How the connection ended against how it should have: the suite's second column.
    pub(crate) behavior_close: Behavior,
    /// The page on which the suite shows every byte of it.
    pub(crate) page: PathBuf,
}

/// A report that cannot be believed.
#[derive(Debug)]
pub(crate) struct ReportError {
    /// The file it is about.
    file: PathBuf,
    cause: Cause,
}

/// Why a report cannot be believed.
#[derive(Debug)]
pub(crate) enum Cause {
    /// It could not be read.
    Read(io::Error),
    /// It is not JSON.
    Json(simd_json::Error),
    /// It is JSON of another shape; the text names what was looked for.
    Shape(&'static str),
    /// A case without a proper number.
    Case(CaseError),
    /// A case whose judgement is not the suite's.
    Behavior(Case, BehaviorError),
    /// No case at all.
    Empty,
}

/// Reads the `index.json` in `folder`.
pub(crate) fn read(folder: &Path) -> Result<Vec<Outcome>, ReportError> {
    let file = folder.join("index.json");
    let outcomes = match fs::read(&file) {
        Ok(mut text) => parse(folder, &mut text),
        Err(error) => Err(Cause::Read(error)),
    };
    outcomes.map_err(|cause| ReportError { file, cause })
}

/// Parses the text of an `index.json`, and in doing so scribbles on it.
///
/// ```text
/// { "ringwire": {
///     "1.1.1": { "behavior": "OK", "behaviorClose": "OK", "reportfile": "a_case_1_1_1.json" } } }
/// ```
///
/// All agents are taken together: a case that two of them ran is then seen to have run twice.
fn parse(folder: &Path, text: &mut [u8]) -> Result<Vec<Outcome>, Cause> {
    let value = simd_json::to_borrowed_value(text).map_err(Cause::Json)?;
    let agents = value.as_object().ok_or(Cause::Shape("an object of agents"))?;
    let mut outcomes = Vec::new();
    for cases in agents.values() {
        let cases = cases.as_object().ok_or(Cause::Shape("an object of cases"))?;
        for (number, fields) in cases.iter() {
            let case = number.parse().map_err(Cause::Case)?;
            outcomes.push(outcome(folder, case, fields)?);
        }
    }
    if outcomes.is_empty() { Err(Cause::Empty) } else { Ok(outcomes) }
}

fn outcome(folder: &Path, case: Case, fields: &BorrowedValue<'_>) -> Result<Outcome, Cause> {
    let column = |name: &'static str| {
        let text = fields.get_str(name).ok_or(Cause::Shape(name))?;
        text.parse().map_err(|error| Cause::Behavior(case.clone(), error))
    };
    let behavior = column("behavior")?;
    let behavior_close = column("behaviorClose")?;
    let details = fields.get_str("reportfile").ok_or(Cause::Shape("reportfile"))?;
    // The suite names the file for programs; the page for people stands beside it.
    let page = folder.join(details).with_extension("html");
    Ok(Outcome { case, behavior, behavior_close, page })
}

impl fmt::Display for ReportError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: ", self.file.display())?;
        match &self.cause {
            Cause::Read(error) => write!(formatter, "{error}"),
            Cause::Json(error) => write!(formatter, "not JSON: {error}"),
            Cause::Shape(wanted) => write!(formatter, "not a report: no `{wanted}`"),
            Cause::Case(error) => write!(formatter, "{error}"),
            Cause::Behavior(case, error) => write!(formatter, "case {case}: {error}"),
            Cause::Empty => formatter.write_str("no case was run"),
        }
    }
}

impl Error for ReportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.cause {
            Cause::Read(error) => Some(error),
            Cause::Json(error) => Some(error),
            Cause::Case(error) => Some(error),
            Cause::Behavior(_, error) => Some(error),
            Cause::Shape(_) | Cause::Empty => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{ "ringwire": {
        "7.1.6": {
            "behavior": "INFORMATIONAL", "behaviorClose": "WRONG CODE", "duration": 3,
            "remoteCloseCode": null, "reportfile": "ringwire_case_7_1_6.json" },
        "10.1.1": {
            "behavior": "OK", "behaviorClose": "OK", "duration": 3,
            "remoteCloseCode": 1000, "reportfile": "ringwire_case_10_1_1.json" } } }"#;

    fn parsed(text: &str) -> Result<Vec<Outcome>, Cause> {
        parse(Path::new("part-1"), &mut text.as_bytes().to_vec())
    }

    #[test]
    fn reads_both_columns_and_the_page() {
        let mut outcomes = parsed(REPORT).unwrap();
        outcomes.sort_by(|left, right| left.case.cmp(&right.case));
        let first = Outcome {
            case: "7.1.6".parse().unwrap(),
            behavior: Behavior::Informational,
            behavior_close: Behavior::WrongCode,
            page: PathBuf::from("part-1/ringwire_case_7_1_6.html"),
        };
        assert_eq!(outcomes.len(), 2);
        assert_eq!(outcomes[0], first);
        assert_eq!(outcomes[1].case.to_string(), "10.1.1");
    }

    #[test]
    fn every_truncation_is_refused() {
        for length in 0..REPORT.len() {
            assert!(matches!(parsed(&REPORT[..length]), Err(Cause::Json(_))), "{length} bytes");
        }
    }

    #[test]
    fn an_empty_report_is_refused() {
        for text in ["{}", r#"{"ringwire": {}}"#, r#"{"one": {}, "two": {}}"#] {
            assert!(matches!(parsed(text), Err(Cause::Empty)), "{text}");
        }
    }

    #[test]
    fn another_shape_is_refused() {
        for text in ["[]", "1", r#"{"ringwire": []}"#, r#"{"ringwire": {"1.1": 1}}"#] {
            assert!(matches!(parsed(text), Err(Cause::Shape(_))), "{text}");
        }
        for name in ["behavior", "behaviorClose", "reportfile"] {
            let text = REPORT.replace(&format!("\"{name}\""), "\"other\"");
            assert!(matches!(parsed(&text), Err(Cause::Shape(wanted)) if wanted == name));
            let text = REPORT.replace(&format!("\"{name}\": "), &format!("\"{name}\": 1, \"x\": "));
            assert!(matches!(parsed(&text), Err(Cause::Shape(wanted)) if wanted == name));
        }
    }

    #[test]
    fn a_word_that_is_not_the_suites_is_refused() {
        let text = REPORT.replace("WRONG CODE", "PASSED");
        assert!(matches!(parsed(&text), Err(Cause::Behavior(_, _))));
        let text = REPORT.replace("10.1.1", "ten");
        assert!(matches!(parsed(&text), Err(Cause::Case(_))));
    }

    #[test]
    fn a_report_that_is_not_there_is_refused() {
        let error = read(Path::new("no such folder")).unwrap_err();
        assert!(matches!(error.cause, Cause::Read(_)));
        assert!(error.to_string().starts_with("no such folder/index.json: "));
    }
}
