//! A case of the suite, by its number.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// The number of a case, such as `7.1.6`. Ordered as numbers, so that `10.1.1` follows `9.8.6`.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Case {
    section: u16,
    rest: Vec<u16>,
}

/// The text is not the number of a case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CaseError(String);

impl Case {
    /// The first number, by which the suite groups its cases.
    pub(crate) fn section(&self) -> u16 {
        self.section
    }

    /// Whether this case belongs to the group `parent`: `9.1.2` is under `9.1` and under `9`.
    pub(crate) fn is_under(&self, parent: &Self) -> bool {
        self.section == parent.section
            && self.rest.len() > parent.rest.len()
            && self.rest.starts_with(&parent.rest)
    }
}

impl FromStr for Case {
    type Err = CaseError;

    /// Takes the one spelling that `Display` gives back: `1.01` would be a second name for `1.1`.
    fn from_str(text: &str) -> Result<Self, CaseError> {
        let error = || CaseError(text.to_owned());
        let mut numbers = text.split('.').map(str::parse::<u16>);
        let section = numbers.next().and_then(Result::ok).ok_or_else(error)?;
        let rest = numbers.collect::<Result<Vec<_>, _>>().map_err(|_| error())?;
        let case = Self { section, rest };
        if case.to_string() == text { Ok(case) } else { Err(error()) }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.section.to_string();
        for number in &self.rest {
            text.push('.');
            text.push_str(&number.to_string());
        }
        // `pad` honours the width that a table asks for.
        formatter.pad(&text)
    }
}

impl fmt::Display for CaseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` is not the number of a case", self.0)
    }
}

impl Error for CaseError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(text: &str) -> Case {
        text.parse().unwrap()
    }

    #[test]
    fn orders_numbers_and_not_letters() {
        let mut cases = ["10.1.1", "9.8.6", "2.10", "2.2", "2"].map(case);
        cases.sort();
        assert_eq!(cases.map(|case| case.to_string()), ["2", "2.2", "2.10", "9.8.6", "10.1.1"]);
    }

    #[test]
    fn refuses_what_it_would_not_write() {
        for text in ["", ".", "1.", ".1", "1..1", "1.01", "+1.1", "1.x", "1.65536", " 1.1", "1.*"] {
            assert_eq!(text.parse::<Case>(), Err(CaseError(text.to_owned())), "{text:?}");
        }
    }

    #[test]
    fn knows_its_groups() {
        assert!(case("9.1.2").is_under(&case("9")));
        assert!(case("9.1.2").is_under(&case("9.1")));
        assert!(!case("9.1").is_under(&case("9.1")));
        assert!(!case("9.10.1").is_under(&case("9.1")));
        assert!(!case("10.1").is_under(&case("1")));
    }
}
