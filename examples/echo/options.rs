//! The options of the echo server: its command line, and its environment.

use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

use ringwire::{Compression, Config, DriverChoice, Limits, Overflow};
use ringwire_examples::{Arguments, ArgumentsError, number};

/// What `--help` prints.
pub(crate) const HELP: &str = "\
An echo server: sends every message back. Opened in a browser, it shows a page to try it.

Usage: echo [OPTIONS]

Options:
  --listen WHERE           ADDRESS:PORT, unix:PATH, or systemd for what it is started with
                           [default: 127.0.0.1:9001; environment: RINGWIRE_LISTEN]
  --workers N              threads, 0 for one per core [default: 0]
  --driver DRIVER          auto, uring or epoll; RINGWIRE_DRIVER chooses for auto [default: auto]
  --compression MODE       off, shared or dedicated (a window per connection) [default: off]
  --help                   print this

Limits:
  --max-message BYTES      the largest message that is accepted [default: 16777216]
  --max-connections N      connections of a worker [default: 1000000]
  --max-per-server N       connections of the whole server [default: none]
  --max-per-address N      connections of one address, or one IPv6 /64 [default: none]
  --max-handshakes N       requests of a worker at once [default: 4096]
  --handshake-rate N       requests of a worker that are answered a second [default: any]
  --buffers N              receive buffers of a worker, a power of two [default: 256]
  --outbox BYTES           may wait for a peer: one message or more [default: 67108864, or three]
  --slow POLICY            drop-newest, drop-oldest or close [default: drop-newest]

Latency:
  --spin MICROSECONDS      that a worker looks for work before it sleeps [default: 0]
  --busy-poll MICROSECONDS that the kernel polls the network card before that [default: none]
  --pin CORES              one for each worker, as in 2,3 [default: the first ones]
  --measure MODE           off or on: latencies from stage to stage at /metrics [default: off]

Times, in seconds; a fraction will do:
  --handshake-timeout S    for a request to be whole [default: 10]
  --send-timeout S         for a peer to take any of what is sent [default: 30]
  --message-timeout S      from the first byte of a message to its last [default: 300]
  --outbox-timeout S       for the oldest byte that waits for a peer to leave [default: 300]
  --lifetime S             of a connection, or up to a tenth less [default: none]
  --idle-timeout S         without a message, after which a connection is closed [default: none]
  --ping-interval S        of silence, after which a peer is pinged [default: 30]
  --pong-timeout S         for a peer to say anything after that [default: 20]
  --close-timeout S        for a peer to answer a close frame [default: 5]
  --stop-spread S          over which a stop spreads its close frames [default: 1]
";

/// What was asked for.
#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    pub(crate) listen: String,
    pub(crate) config: Config,
}

/// What is wrong with the command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OptionsError {
    Arguments(ArgumentsError),
    NotAMode(String),
    NotADriver(String),
    NotAPolicy(String),
    /// `--slow conflate`: a policy of the engine's for which an echo has no use.
    NothingToConflate,
    NotASwitch(String),
    /// What may wait for a peer, and the largest message, of which no answer would fit.
    OutboxTooSmall(usize, usize),
}

impl fmt::Display for OptionsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arguments(error) => error.fmt(formatter),
            Self::NotAMode(value) => {
                write!(formatter, "--compression is off, shared or dedicated, not {value:?}")
            }
            Self::NotADriver(value) => {
                write!(formatter, "--driver is auto, uring or epoll, not {value:?}")
            }
            Self::NotAPolicy(value) => {
                write!(formatter, "--slow is drop-newest, drop-oldest or close, not {value:?}")
            }
            Self::NothingToConflate => formatter.write_str(
                "--slow conflate keeps the newest message of each topic and key, and an echo has \
                 neither: drop-oldest is what it would come to",
            ),
            Self::NotASwitch(value) => write!(formatter, "--measure is off or on, not {value:?}"),
            Self::OutboxTooSmall(outbox, message) => write!(
                formatter,
                "--outbox {outbox} has no room for the answer to a message of {message} bytes, \
                 the largest that --max-message allows"
            ),
        }
    }
}

impl From<ArgumentsError> for OptionsError {
    fn from(error: ArgumentsError) -> Self {
        Self::Arguments(error)
    }
}

impl Options {
    /// Reads the arguments that follow the program's name; `None` if the help is wanted. `listen`
    /// is the environment's.
    pub(crate) fn read(
        arguments: impl IntoIterator<Item = OsString>,
        listen: Option<String>,
    ) -> Result<Option<Self>, OptionsError> {
        let arguments = Arguments::read(HELP, arguments)?;
        let listen = listen.unwrap_or_else(|| "127.0.0.1:9001".into());
        let mut options = Self { listen, config: Config::default() };
        let mut outbox = None;
        for (option, value) in arguments.options {
            match option.as_str() {
                "--listen" => options.listen = value,
                "--outbox" => outbox = Some(number(&option, &value)?),
                option => set(&mut options.config, option, &value)?,
            }
        }
        options.settle(outbox)?;
        Ok((!arguments.help).then_some(options))
    }

    /// Sets what depends on other options.
    fn settle(&mut self, outbox: Option<usize>) -> Result<(), OptionsError> {
        let config = &mut self.config;
        // An echo answers with what it received, so three answers may wait.
        let largest = config.limits.message_size_max;
        let three = largest.saturating_mul(3).max(64 << 20);
        config.outbox_size_max = outbox.unwrap_or(three);
        // The largest header of a frame has ten bytes.
        if config.outbox_size_max < largest.saturating_add(10) {
            return Err(OptionsError::OutboxTooSmall(config.outbox_size_max, largest));
        }
        config.outbox_high = config.outbox_high.min(config.outbox_size_max);
        config.outbox_low = config.outbox_low.min(config.outbox_high);
        Ok(())
    }
}

fn set(config: &mut Config, option: &str, value: &str) -> Result<(), OptionsError> {
    match option {
        "--workers" => config.workers = number(option, value)?,
        "--driver" => config.driver = driver(value)?,
        "--compression" => config.compression = compression(value)?,
        "--max-message" => {
            let size = number(option, value)?;
            config.limits =
                Limits { message_size_max: size, frame_size_max: size, ..config.limits };
        }
        "--max-connections" => config.connections_max = number(option, value)?,
        "--max-per-server" => config.connections_server_max = Some(number(option, value)?),
        "--max-per-address" => config.connections_address_max = Some(number(option, value)?),
        "--max-handshakes" => config.handshakes_max = number(option, value)?,
        "--handshake-rate" => {
            let rate = number(option, value)?;
            (config.handshake_rate, config.handshake_burst) = (Some(rate), rate);
        }
        "--message-timeout" => config.message_timeout = Some(seconds(option, value)?),
        "--outbox-timeout" => config.outbox_age_max = Some(seconds(option, value)?),
        "--lifetime" => config.lifetime_max = Some(seconds(option, value)?),
        "--buffers" => config.buffers = number(option, value)?,
        "--slow" => config.slow_consumer.overflow = overflow(value)?,
        "--handshake-timeout" => config.handshake_timeout = seconds(option, value)?,
        "--send-timeout" => config.send_timeout = seconds(option, value)?,
        "--idle-timeout" => config.idle_timeout = Some(seconds(option, value)?),
        "--ping-interval" => config.ping_interval = Some(seconds(option, value)?),
        "--pong-timeout" => config.pong_timeout = seconds(option, value)?,
        "--close-timeout" => config.close_timeout = seconds(option, value)?,
        "--stop-spread" => config.stop_spread = seconds(option, value)?,
        _ => return set_latency(config, option, value),
    }
    Ok(())
}

fn set_latency(config: &mut Config, option: &str, value: &str) -> Result<(), OptionsError> {
    match option {
        "--spin" => config.spin = Duration::from_micros(number(option, value)?),
        "--busy-poll" => config.busy_poll = Some(Duration::from_micros(number(option, value)?)),
        "--pin" => {
            let cores: Result<Vec<usize>, _> =
                value.split(',').map(|core| number(option, core)).collect();
            config.cores = cores?;
        }
        "--measure" => {
            config.measure_latency = match value {
                "off" => false,
                "on" => true,
                _ => return Err(OptionsError::NotASwitch(value.into())),
            };
        }
        _ => return Err(ArgumentsError::Unknown(option.into()).into()),
    }
    Ok(())
}

fn driver(value: &str) -> Result<DriverChoice, OptionsError> {
    match value {
        "auto" => Ok(DriverChoice::Auto),
        "uring" => Ok(DriverChoice::Uring),
        "epoll" => Ok(DriverChoice::Epoll),
        _ => Err(OptionsError::NotADriver(value.into())),
    }
}

fn compression(value: &str) -> Result<Option<Compression>, OptionsError> {
    match value {
        "off" => Ok(None),
        "shared" => Ok(Some(Compression::shared())),
        "dedicated" => Ok(Some(Compression::dedicated())),
        _ => Err(OptionsError::NotAMode(value.into())),
    }
}

fn overflow(value: &str) -> Result<Overflow, OptionsError> {
    match value {
        "drop-newest" => Ok(Overflow::DropNewest),
        "drop-oldest" => Ok(Overflow::DropOldest),
        "conflate" => Err(OptionsError::NothingToConflate),
        "close" => Ok(Overflow::Close(1013)),
        _ => Err(OptionsError::NotAPolicy(value.into())),
    }
}

fn seconds(option: &str, value: &str) -> Result<Duration, OptionsError> {
    let seconds = number::<f64>(option, value)?;
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| ArgumentsError::NotANumber(option.into(), value.into()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Options, OptionsError> {
        let options = Options::read(arguments.iter().map(OsString::from), None)?;
        Ok(options.expect("no help is wanted"))
    }

    #[test]
    fn options() {
        let defaults = read(&[]).unwrap();
        assert_eq!(
            (defaults.listen.as_str(), defaults.config),
            ("127.0.0.1:9001", Config::default())
        );
        let all = read(&["--listen", "[::1]:80", "--workers=3", "--max-message", "1024"]).unwrap();
        assert_eq!((all.listen.as_str(), all.config.workers), ("[::1]:80", 3));
        assert_eq!(all.config.limits.message_size_max, 1024);
        assert_eq!(all.config.limits.frame_size_max, 1024);
        let environment = Options::read([], Some("0.0.0.0:1".into())).unwrap().unwrap();
        assert_eq!(environment.listen, "0.0.0.0:1");
        assert_eq!(Options::read([OsString::from("-h")], None), Ok(None));
        let epoll = read(&["--driver=epoll", "--listen=unix:/run/echo"]).unwrap();
        assert_eq!((epoll.config.driver, &*epoll.listen), (DriverChoice::Epoll, "unix:/run/echo"));
        let mistake = OptionsError::NotADriver("io_uring".into());
        assert_eq!(read(&["--driver", "io_uring"]), Err(mistake));
        let shared = read(&["--compression", "shared"]).unwrap();
        assert_eq!(shared.config.compression, Some(Compression::shared()));
        assert_eq!(read(&["--compression=off"]).unwrap().config.compression, None);
        let small = ["--max-message=990", "--outbox", "1000"];
        let slow = ["--slow", "close", "--idle-timeout=0.5"];
        let slow = read(&[&small[..], &slow].concat()).unwrap();
        assert_eq!(slow.config.slow_consumer.overflow, Overflow::Close(1013));
        let marks = [slow.config.outbox_low, slow.config.outbox_high, slow.config.outbox_size_max];
        assert_eq!(marks, [1000; 3]);
        assert_eq!(slow.config.idle_timeout, Some(Duration::from_millis(500)));
        let large = read(&["--max-message", "100000000"]).unwrap();
        assert_eq!(large.config.outbox_size_max, 300_000_000);
    }

    #[test]
    fn latency() {
        let line = ["--spin=50", "--busy-poll", "70", "--pin=3,1", "--measure", "on"];
        let config = read(&line).unwrap().config;
        assert_eq!(config.spin, Duration::from_micros(50));
        assert_eq!(config.busy_poll, Some(Duration::from_micros(70)));
        assert_eq!((config.cores, config.measure_latency), (vec![3, 1], true));
        let hole =
            OptionsError::Arguments(ArgumentsError::NotANumber("--pin".into(), String::new()));
        assert_eq!(read(&["--pin", "1,,2"]), Err(hole));
        assert_eq!(read(&["--measure=1"]), Err(OptionsError::NotASwitch("1".into())));
    }

    #[test]
    fn everything_that_is_explained_can_be_set() {
        let explained = HELP.lines().filter_map(|line| line.trim().strip_prefix("--"));
        for line in explained {
            let mut words = line.split(' ');
            let option = format!("--{}", words.next().unwrap());
            let value = match words.next().unwrap() {
                "" => continue,
                "MODE" => "off",
                "DRIVER" => "epoll",
                "POLICY" => "drop-oldest",
                "BYTES" => "100000000",
                _ => "8",
            };
            assert!(read(&[&option, value]).is_ok(), "{option}");
        }
    }

    #[test]
    fn mistakes() {
        let unknown = ArgumentsError::Unknown("--port".into());
        assert_eq!(read(&["--port"]), Err(unknown.into()));
        let tar = OptionsError::NotAMode("tar".into());
        assert_eq!(read(&["--compression", "tar"]), Err(tar));
        let many = ArgumentsError::NotANumber("--workers".into(), "many".into());
        assert_eq!(read(&["--workers", "many"]), Err(many.into()));
        let never = ArgumentsError::NotANumber("--pong-timeout".into(), "-1".into());
        assert_eq!(read(&["--pong-timeout", "-1"]), Err(never.into()));
        // What the kernel takes at once would come back, and nothing that has to wait.
        let small = OptionsError::OutboxTooSmall(1000, 16 << 20);
        assert_eq!(read(&["--outbox", "1000"]), Err(small));
        let small = OptionsError::OutboxTooSmall(1009, 1000);
        assert_eq!(read(&["--outbox=1009", "--max-message=1000"]), Err(small));
        let wait = OptionsError::NotAPolicy("wait".into());
        assert_eq!(read(&["--slow", "wait"]), Err(wait));
        assert_eq!(read(&["--slow=conflate"]), Err(OptionsError::NothingToConflate));
        assert!(OptionsError::NothingToConflate.to_string().contains("drop-oldest"));
    }
}
