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
    /// The last option lacks its value.
    ValueMissing(String),
    /// The value of this option is no number, or not one that fits.
    NotANumber(String, String),
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
                read.help = true;
                continue;
            }
            if !help.contains(&format!("\n  {option} ")) {
                return Err(ArgumentsError::Unknown(option));
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
/// [`ArgumentsError::NotANumber`].
pub fn number<T: FromStr>(option: &str, value: &str) -> Result<T, ArgumentsError> {
    value.parse().map_err(|_| ArgumentsError::NotANumber(option.into(), value.into()))
}

impl fmt::Display for ArgumentsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(option) => write!(formatter, "there is no option {option}"),
            Self::ValueMissing(option) => write!(formatter, "{option} needs a value"),
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
        let rate = |value: &str| ("--rate".to_owned(), value.to_owned());
        let read = |arguments| read(arguments).unwrap();
        assert_eq!(read(&[]), Arguments { options: vec![], help: false });
        let both = read(&["--rate", "1", "--rate=2=3", "--rate="]);
        assert_eq!(both.options, [rate("1"), rate("2=3"), rate("")]);
        assert!(read(&["-h"]).help && read(&["--rate=1", "--help"]).help);
    }

    #[test]
    fn mistakes() {
        assert_eq!(read(&["--port"]), Err(ArgumentsError::Unknown("--port".into())));
        assert_eq!(read(&["N"]), Err(ArgumentsError::Unknown("N".into())));
        assert_eq!(read(&[""]), Err(ArgumentsError::Unknown(String::new())));
        assert_eq!(read(&["--rate"]), Err(ArgumentsError::ValueMissing("--rate".into())));
        let many = ArgumentsError::NotANumber("--rate".into(), "many".into());
        assert_eq!(number::<u8>("--rate", "many"), Err(many));
        assert_eq!(number::<u8>("--rate", "255"), Ok(255));
    }
}
