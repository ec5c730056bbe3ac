//! The options of the market: its command line, and its environment.

use std::error::Error;
use std::ffi::OsString;
use std::fmt;

use ringwire_examples::{Arguments, ArgumentsError, number};

use crate::instruments::Instruments;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
A market of invented instruments: prices walk at random, and clients subscribe to them. Opened in a
browser, it shows them live.

Usage: market [OPTIONS]

Options:
  --listen WHERE           ADDRESS:PORT, unix:PATH, or systemd for what it is started with
                           [default: 127.0.0.1:9003; environment: RINGWIRE_LISTEN]
  --workers N              threads, 0 for one per core [default: 0]
  --instruments N          how many are traded, 1 to 65536 [default: 4000]
  --rate N                 quotes a second, of all instruments together [default: 4000]
  --seed N                 of the random walk: the same seed, the same prices [default: 1]
  --help                   print this

A client is sent JSON, or with the subprotocol market.binary.v1 messages of 40 bytes, and asks in
JSON in either case:

  {\"type\":\"subscribe\",\"id\":1,\"topics\":[\"prices.NORD.*\"]}
                           the last value of each instrument that no earlier pattern of the client
                           has brought, then an answer, then updates.
                           Topics are prices.VENUE.SYMBOL; * is any one token, > the rest
  {\"type\":\"unsubscribe\",\"id\":2,\"topics\":[\"prices.NORD.*\"]}
  {\"type\":\"time\",\"id\":3}    the clock of the server, in nanoseconds since 1970

What is wrong with a request is told by an error with a code, and changes nothing, with two
exceptions: an unsubscribe that names what is not subscribed (not_subscribed) takes the others back,
and a client that takes too little for more last values (refused) may have been sent some of them.
A request has at most 4096 bytes; a message of more than 65536 closes the connection with 1009.

A client that is slow is sent the newest quote of each instrument. /instruments lists them by the
number that they have in the binary messages; /metrics is for Prometheus.
";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) listen: String,
    pub(crate) workers: usize,
    /// From 1 to [`Instruments::COUNT_MAX`].
    pub(crate) instruments: usize,
    /// Quotes a second.
    pub(crate) rate: u32,
    pub(crate) seed: u64,
}

/// What is wrong with the command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OptionsError {
    Arguments(ArgumentsError),
    Instruments(usize),
}

impl Options {
    /// Reads the arguments that follow the program's name; `None` if the help is wanted. `listen`
    /// is the environment's.
    pub(crate) fn read(
        arguments: impl IntoIterator<Item = OsString>,
        listen: Option<String>,
    ) -> Result<Option<Self>, OptionsError> {
        let arguments = Arguments::read(HELP, arguments)?;
        let listen = listen.unwrap_or_else(|| "127.0.0.1:9003".into());
        let mut options = Self { listen, workers: 0, instruments: 4000, rate: 4000, seed: 1 };
        for (option, value) in arguments.options {
            match option.as_str() {
                "--listen" => options.listen = value,
                "--workers" => options.workers = number(&option, &value)?,
                "--instruments" => options.instruments = number(&option, &value)?,
                "--rate" => options.rate = number(&option, &value)?,
                "--seed" => options.seed = number(&option, &value)?,
                _ => return Err(ArgumentsError::Unknown(option).into()),
            }
        }
        if !(1..=Instruments::COUNT_MAX).contains(&options.instruments) {
            return Err(OptionsError::Instruments(options.instruments));
        }
        Ok((!arguments.help).then_some(options))
    }
}

impl fmt::Display for OptionsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arguments(error) => error.fmt(formatter),
            Self::Instruments(count) => {
                write!(
                    formatter,
                    "there are 1 to {} instruments, not {count}",
                    Instruments::COUNT_MAX
                )
            }
        }
    }
}

impl Error for OptionsError {}

impl From<ArgumentsError> for OptionsError {
    fn from(error: ArgumentsError) -> Self {
        Self::Arguments(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Option<Options>, OptionsError> {
        Options::read(arguments.iter().map(OsString::from), None)
    }

    #[test]
    fn options() {
        let listen = "127.0.0.1:9003".into();
        let defaults = Options { listen, workers: 0, instruments: 4000, rate: 4000, seed: 1 };
        assert_eq!(read(&[]), Ok(Some(defaults)));
        let all =
            ["--workers=2", "--instruments", "65536", "--rate=0", "--seed=3", "--listen=[::1]:1"];
        let listen = "[::1]:1".into();
        let set = Options { listen, workers: 2, instruments: 65_536, rate: 0, seed: 3 };
        assert_eq!(read(&all), Ok(Some(set)));
        let environment = Options::read([], Some("0.0.0.0:1".into())).unwrap().unwrap();
        assert_eq!(environment.listen, "0.0.0.0:1");
        assert_eq!(read(&["--help"]), Ok(None));
    }

    #[test]
    fn mistakes() {
        let unknown = ArgumentsError::Unknown("--prices".into());
        assert_eq!(read(&["--prices", "1"]), Err(unknown.into()));
        let high = ArgumentsError::NotANumber("--rate".into(), "high".into());
        assert_eq!(read(&["--rate=high"]), Err(high.into()));
        for count in [0, 65_537] {
            let few = read(&[&format!("--instruments={count}")]);
            assert_eq!(few, Err(OptionsError::Instruments(count)));
        }
    }
}
