//! The options of the echo server: its command line, and its environment.

use std::ffi::OsString;
use std::fmt;

use ringwire::Compression;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
An echo server: sends every message back. Opened in a browser, it shows a page to try it.

Usage: echo [OPTIONS]

Options:
  --listen ADDRESS:PORT  where to listen [default: 127.0.0.1:9001; environment: RINGWIRE_LISTEN]
  --workers N            threads, 0 for one per core [default: 0]
  --compression MODE     off, shared or dedicated (a window per connection) [default: off]
  --max-message BYTES    the largest message that is accepted [default: 16777216]
  --help                 print this
";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) listen: String,
    pub(crate) workers: usize,
    pub(crate) compression: Option<Compression>,
    pub(crate) message_size_max: usize,
    pub(crate) help: bool,
}

/// What is wrong with the command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OptionsError {
    Unknown(String),
    ValueMissing(String),
    NotANumber(String, String),
    NotAMode(String),
    NotText,
}

impl fmt::Display for OptionsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(option) => write!(formatter, "there is no option {option}"),
            Self::ValueMissing(option) => write!(formatter, "{option} needs a value"),
            Self::NotANumber(option, value) => {
                write!(formatter, "{option} needs a number, not {value:?}")
            }
            Self::NotAMode(value) => {
                write!(formatter, "--compression is off, shared or dedicated, not {value:?}")
            }
            Self::NotText => formatter.write_str("an option is not valid text"),
        }
    }
}

impl Options {
    /// Reads the arguments that follow the program's name. `listen` is the environment's.
    pub(crate) fn read(
        arguments: impl IntoIterator<Item = OsString>,
        listen: Option<String>,
    ) -> Result<Self, OptionsError> {
        let mut options = Self {
            listen: listen.unwrap_or_else(|| "127.0.0.1:9001".into()),
            workers: 0,
            compression: None,
            message_size_max: 16 << 20,
            help: false,
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let argument = argument.into_string().map_err(|_| OptionsError::NotText)?;
            let (option, value) = match argument.split_once('=') {
                Some((option, value)) => (option.to_owned(), Some(value.to_owned())),
                None => (argument, None),
            };
            if option == "--help" || option == "-h" {
                options.help = true;
                continue;
            }
            if !["--listen", "--workers", "--compression", "--max-message"]
                .contains(&option.as_str())
            {
                return Err(OptionsError::Unknown(option));
            }
            let value = match value {
                Some(value) => value,
                None => match arguments.next().map(OsString::into_string) {
                    Some(value) => value.map_err(|_| OptionsError::NotText)?,
                    None => return Err(OptionsError::ValueMissing(option)),
                },
            };
            match option.as_str() {
                "--listen" => options.listen = value,
                "--workers" => options.workers = number(option, value)?,
                "--compression" => options.compression = compression(value)?,
                _ => options.message_size_max = number(option, value)?,
            }
        }
        Ok(options)
    }
}

fn compression(value: String) -> Result<Option<Compression>, OptionsError> {
    match value.as_str() {
        "off" => Ok(None),
        "shared" => Ok(Some(Compression::shared())),
        "dedicated" => Ok(Some(Compression::dedicated())),
        _ => Err(OptionsError::NotAMode(value)),
    }
}

fn number(option: String, value: String) -> Result<usize, OptionsError> {
    value.parse().map_err(|_| OptionsError::NotANumber(option, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Options, OptionsError> {
        Options::read(arguments.iter().map(OsString::from), None)
    }

    #[test]
    fn options() {
        let defaults = read(&[]).unwrap();
        assert_eq!((defaults.listen.as_str(), defaults.workers), ("127.0.0.1:9001", 0));
        let all = read(&["--listen", "[::1]:80", "--workers=3", "--max-message", "1024"]).unwrap();
        assert_eq!((all.listen.as_str(), all.workers), ("[::1]:80", 3));
        assert_eq!(all.message_size_max, 1024);
        let environment = Options::read([], Some("0.0.0.0:1".into())).unwrap();
        assert_eq!(environment.listen, "0.0.0.0:1");
        assert!(read(&["-h"]).unwrap().help);
        let shared = read(&["--compression", "shared"]).unwrap();
        assert_eq!(shared.compression, Some(Compression::shared()));
        assert_eq!(read(&["--compression=off"]).unwrap().compression, None);
    }

    #[test]
    fn mistakes() {
        assert_eq!(read(&["--port"]), Err(OptionsError::Unknown("--port".into())));
        assert_eq!(read(&["--workers"]), Err(OptionsError::ValueMissing("--workers".into())));
        let tar = OptionsError::NotAMode("tar".into());
        assert_eq!(read(&["--compression", "tar"]), Err(tar));
        let many = OptionsError::NotANumber("--workers".into(), "many".into());
        assert_eq!(read(&["--workers", "many"]), Err(many));
    }
}
