//! One run of the suite, put together from its parts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::case::Case;
use crate::report::{self, Outcome, ReportError};

/// What the parts of one run report together.
///
/// Nothing is decided here: a case keeps all its outcomes, and a report that cannot be believed is
/// kept as such, so that the comparison sees what was run twice and what was not run at all.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// The folder that holds the parts.
    pub(crate) folder: PathBuf,
    /// The outcomes by case, one each in a run that is whole.
    pub(crate) outcomes: BTreeMap<Case, Vec<Outcome>>,
    /// The reports that tell nothing.
    pub(crate) unreadable: Vec<ReportError>,
}

impl Run {
    /// Reads the report of every part. Parts that stand in one folder are one run.
    pub(crate) fn gather(parts: &[PathBuf]) -> Vec<Self> {
        let mut runs: BTreeMap<&Path, Self> = BTreeMap::new();
        for part in parts {
            let folder = part.parent().unwrap_or_else(|| Path::new(""));
            let run = runs.entry(folder).or_default();
            folder.clone_into(&mut run.folder);
            run.add(report::read(part));
        }
        runs.into_values().collect()
    }

    fn add(&mut self, report: Result<Vec<Outcome>, ReportError>) {
        match report {
            Ok(outcomes) => {
                for outcome in outcomes {
                    self.outcomes.entry(outcome.case.clone()).or_default().push(outcome);
                }
            }
            Err(error) => self.unreadable.push(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_one_folder_are_one_run() {
        let parts = ["a/part-1", "b/part-1", "a/part-2", "part-1"].map(PathBuf::from);
        let runs = Run::gather(&parts);
        let seen: Vec<_> = runs
            .iter()
            .map(|run| (run.folder.to_str().unwrap(), run.unreadable.len(), run.outcomes.len()))
            .collect();
        assert_eq!(seen, [("", 1, 0), ("a", 2, 0), ("b", 1, 0)]);
    }

    #[test]
    fn a_case_keeps_all_its_outcomes() {
        let outcome = Outcome {
            case: "1.1.1".parse().unwrap(),
            behavior: crate::behavior::Behavior::Ok,
            behavior_close: crate::behavior::Behavior::Ok,
            page: PathBuf::from("page.html"),
        };
        let mut run = Run::default();
        run.add(Ok(vec![outcome.clone()]));
        run.add(Ok(vec![outcome.clone()]));
        assert_eq!(run.outcomes.into_values().collect::<Vec<_>>(), [[outcome.clone(), outcome]]);
    }
}
