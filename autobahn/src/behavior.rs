//! What the suite says of a case.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// The suite's judgement in one column. A word that is not here is not from this suite.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Behavior {
    /// As the RFC asks, and in the strictest order.
    Ok,
    /// Within the RFC, though something that should have been answered was not.
    NonStrict,
    /// The suite looks, and does not judge.
    Informational,
    /// The peer declined what the case is about.
    Unimplemented,
    /// Not what the RFC asks.
    Failed,
    /// Closed with another code than the one expected.
    WrongCode,
    /// Closed without a closing handshake.
    Unclean,
    /// The suite itself could not go on.
    FailedByClient,
}

/// The text is not a judgement of the suite.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct BehaviorError(String);

impl Behavior {
    const ALL: [Self; 8] = [
        Self::Ok,
        Self::NonStrict,
        Self::Informational,
        Self::Unimplemented,
        Self::Failed,
        Self::WrongCode,
        Self::Unclean,
        Self::FailedByClient,
    ];

    /// The suite's own word.
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::NonStrict => "NON-STRICT",
            Self::Informational => "INFORMATIONAL",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Failed => "FAILED",
            Self::WrongCode => "WRONG CODE",
            Self::Unclean => "UNCLEAN",
            Self::FailedByClient => "FAILED BY CLIENT",
        }
    }
}

impl FromStr for Behavior {
    type Err = BehaviorError;

    fn from_str(text: &str) -> Result<Self, BehaviorError> {
        let named = |behavior: &Self| behavior.name() == text;
        Self::ALL.into_iter().find(named).ok_or_else(|| BehaviorError(text.to_owned()))
    }
}

impl fmt::Display for Behavior {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl fmt::Display for BehaviorError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` is not a judgement of the suite", self.0)
    }
}

impl Error for BehaviorError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back() {
        for behavior in Behavior::ALL {
            assert_eq!(behavior.to_string().parse(), Ok(behavior));
        }
    }

    #[test]
    fn refuses_other_words() {
        for text in ["", "ok", "OK ", "PASSED"] {
            assert_eq!(text.parse::<Behavior>(), Err(BehaviorError(text.to_owned())));
        }
    }
}
