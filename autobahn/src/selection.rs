//! The cases that a run is about.

use std::str::FromStr;

use crate::case::{Case, CaseError};

/// Patterns as the suite writes them: a case (`7.1.6`), a group (`9.*`, `9.1.*`) or all (`*`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Selection(Vec<Pattern>);

/// One pattern of a selection.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Pattern {
    /// Every case.
    Every,
    /// The cases of one group.
    Under(Case),
    /// One case.
    One(Case),
}

impl Selection {
    /// All cases.
    pub(crate) fn every() -> Self {
        Self(vec![Pattern::Every])
    }

    /// Whether one of the patterns names the case.
    pub(crate) fn contains(&self, case: &Case) -> bool {
        self.0.iter().any(|pattern| pattern.matches(case))
    }

    /// The first pattern that names none of `cases`, as it was written. Such a pattern is a slip
    /// of the hand, and would let a run pass that tests less than it says.
    pub(crate) fn idle<'a>(&self, cases: impl Iterator<Item = &'a Case> + Clone) -> Option<String> {
        let idle = |pattern: &&Pattern| !cases.clone().any(|case| pattern.matches(case));
        self.0.iter().find(idle).map(Pattern::text)
    }
}

impl Pattern {
    fn matches(&self, case: &Case) -> bool {
        match self {
            Self::Every => true,
            Self::Under(parent) => case.is_under(parent),
            Self::One(one) => case == one,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Every => "*".to_owned(),
            Self::Under(parent) => format!("{parent}.*"),
            Self::One(one) => one.to_string(),
        }
    }
}

impl FromStr for Selection {
    type Err = CaseError;

    /// Takes patterns with white space between them.
    fn from_str(text: &str) -> Result<Self, CaseError> {
        text.split_whitespace().map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for Pattern {
    type Err = CaseError;

    fn from_str(text: &str) -> Result<Self, CaseError> {
        match text.strip_suffix(".*") {
            Some(parent) => Ok(Self::Under(parent.parse()?)),
            None if text == "*" => Ok(Self::Every),
            None => Ok(Self::One(text.parse()?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(patterns: &str) -> String {
        let selection: Selection = patterns.parse().unwrap();
        let cases = ["1.1.1", "1.2.1", "2.1", "10.1.1"];
        let selects = |text: &&str| selection.contains(&text.parse().unwrap());
        cases.into_iter().filter(selects).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn names_cases_and_groups() {
        assert_eq!(selected("*"), "1.1.1 1.2.1 2.1 10.1.1");
        assert_eq!(selected("1.*"), "1.1.1 1.2.1");
        assert_eq!(selected(" 1.2.*  10.* "), "1.2.1 10.1.1");
        assert_eq!(selected("2.1 1.1"), "2.1");
        assert_eq!(selected(""), "");
    }

    #[test]
    fn tells_a_pattern_that_names_nothing() {
        let cases: Vec<Case> = vec!["1.1.1".parse().unwrap()];
        let idle = |patterns: &str| patterns.parse::<Selection>().unwrap().idle(cases.iter());
        assert_eq!(idle("1.* * 1.1.*"), None);
        assert_eq!(idle("1.* 11.*"), Some("11.*".to_owned()));
        assert_eq!(idle("1.1"), Some("1.1".to_owned()));
    }

    #[test]
    fn refuses_other_wildcards() {
        for text in ["1*", "*.1", "1.*.1", "**", ".*"] {
            assert!(text.parse::<Selection>().is_err(), "{text}");
        }
    }
}
