//! A command line of options with values: `--option value` or `--option=value`.

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::str::FromStr;

/// The options that were given, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// Each option, with its `--`, and its value.
    pub options: Vec<(String, String)>,
    /// Whether `--help` or `-h` was among them.
    pub help: bool,
}

/// What is wrong with a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArgumentsError {
    /// There is no such option.
    Unknown(String),
    /// An option comes twice: it would not be plain which of the two counts.
    Twice(String),
    /// The last option lacks its value.
    ValueMissing(String),
    /// This option has a value, and takes none.
    ValueUnwanted(String),
    /// The value of this option is no number.
    NotANumber(String, String),
    /// The value of this option is a whole number, and more than fits.
    TooLarge(String, String),
    /// An argument is not valid text.
    NotText,
}

impl Arguments {
    /// Reads the arguments that follow the program's name. The options are those of `help`, in
    /// which the line of each begins with two spaces and its name.
    ///
    /// # Errors
    /// What is wrong with the first that is.
    pub fn read(
        help: &str,
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Result<Self, ArgumentsError> {
        let mut read = Self { options: Vec::new(), help: false };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let argument = argument.into_string().map_err(|_| ArgumentsError::NotText)?;
            let (option, value) = match argument.split_once('=') {
                Some((option, value)) => (option.to_owned(), Some(value.to_owned())),
                None => (argument, None),
            };
            if option == "--help" || option == "-h" {
                if value.is_some() {
                    return Err(ArgumentsError::ValueUnwanted(option));
                }
                read.help = true;
                continue;
            }
            if !help.contains(&format!("\n  {option} ")) {
                return Err(ArgumentsError::Unknown(option));
            }
            if read.options.iter().any(|(other, _)| *other == option) {
                return Err(ArgumentsError::Twice(option));
            }
            let value = match value {
                Some(value) => value,
                None => match arguments.next().map(OsString::into_string) {
                    Some(value) => value.map_err(|_| ArgumentsError::NotText)?,
                    None => return Err(ArgumentsError::ValueMissing(option)),
                },
            };
            read.options.push((option, value));
        }
        Ok(read)
    }
}

/// The value of an option as a number.
///
/// # Errors
/// [`ArgumentsError::NotANumber`], or [`ArgumentsError::TooLarge`] where it is a whole one.
pub fn number<T: FromStr>(option: &str, value: &str) -> Result<T, ArgumentsError> {
    value.parse().map_err(|_| {
        let is_whole = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let (option, value) = (option.into(), value.into());
        if is_whole {
            ArgumentsError::TooLarge(option, value)
        } else {
            ArgumentsError::NotANumber(option, value)
        }
    })
}

impl fmt::Display for ArgumentsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(option) => write!(formatter, "there is no option {option}"),
            Self::Twice(option) => write!(formatter, "{option} is given twice"),
            Self::ValueMissing(option) => write!(formatter, "{option} needs a value"),
            Self::ValueUnwanted(option) => write!(formatter, "{option} takes no value"),
            Self::TooLarge(option, value) => {
                write!(formatter, "{option} takes no number as large as {value}")
            }
            Self::NotANumber(option, value) => {
                write!(formatter, "{option} needs a number, not {value:?}")
            }
            Self::NotText => formatter.write_str("an option is not valid text"),
        }
    }
}

impl Error for ArgumentsError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Arguments, ArgumentsError> {
        let help = "Options:\n  --rate N  how many\n  --help    this\n";
        Arguments::read(help, arguments.iter().map(OsString::from))
    }

    #[test]
    fn both_forms() {
        let rate = |value: &str| vec![("--rate".to_owned(), value.to_owned())];
        let read = |arguments| read(arguments).unwrap();
        assert_eq!(read(&[]), Arguments { options: vec![], help: false });
        assert_eq!(read(&["--rate", "1"]).options, rate("1"));
        assert_eq!(read(&["--rate=2=3"]).options, rate("2=3"));
        assert_eq!(read(&["--rate="]).options, rate(""));
        assert!(read(&["-h"]).help && read(&["--rate=1", "--help"]).help);
    }

    #[test]
    fn mistakes() {
        assert_eq!(read(&["--port"]), Err(ArgumentsError::Unknown("--port".into())));
        assert_eq!(read(&["N"]), Err(ArgumentsError::Unknown("N".into())));
        assert_eq!(read(&[""]), Err(ArgumentsError::Unknown(String::new())));
        assert_eq!(read(&["--rate"]), Err(ArgumentsError::ValueMissing("--rate".into())));
        let twice = Err(ArgumentsError::Twice("--rate".into()));
        assert_eq!(read(&["--rate", "1", "--rate=1"]), twice);
        assert_eq!(read(&["--rate=1", "--help", "--rate", "2"]), twice);
        for option in ["--help", "-h"] {
            let unwanted = ArgumentsError::ValueUnwanted(option.into());
            assert_eq!(read(&[&format!("{option}=me")]), Err(unwanted));
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(number::<u8>("--rate", "255"), Ok(255));
        let large = ArgumentsError::TooLarge("--rate".into(), "256".into());
        assert_eq!(number::<u8>("--rate", "256"), Err(large));
        for value in ["many", "", "-1", "1.5"] {
            let none = ArgumentsError::NotANumber("--rate".into(), value.into());
            assert_eq!(number::<u8>("--rate", value), Err(none));
        }
    }
}
