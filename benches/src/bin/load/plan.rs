//! What a run is asked for.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use ringwire_benches::arguments::{Arguments, Known, Words};
use ringwire_benches::order::NUMBER_SIZE;
use ringwire_protocol::frame::Opcode;

/// What the connections do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They send messages, each of which comes back.
    Echo,
    /// They open and close, again and again.
    Connect,
    /// They are open and silent.
    Idle,
    /// They get the messages that the first of them has published.
    Fanout,
}

/// What lies between the messages and TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// WebSocket.
    Ws,
    /// Nothing: whatever is sent comes back.
    Tcp,
}

/// All that is to be known before the first connection opens.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) mode: Mode,
    pub(crate) protocol: Protocol,
    /// `Text` or `Binary`.
    pub(crate) kind: Opcode,
    pub(crate) port: u16,
    pub(crate) connections: usize,
    /// Bytes of a message.
    pub(crate) size: usize,
    /// Messages under way on each connection; of an order, where they are ordered.
    pub(crate) depth: usize,
    pub(crate) compressed: bool,
    pub(crate) burst: bool,
    /// Messages a second over all connections, orders where they are ordered. Zero: each waits for
    /// the one before.
    pub(crate) rate: u64,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
    pub(crate) ramp: Duration,
    pub(crate) process: Option<u32>,
    pub(crate) core: usize,
    pub(crate) seed: u64,
    pub(crate) progress: bool,
    pub(crate) histogram: Option<PathBuf>,
}

const WORDS: Words<'_> = &[
    (
        "mode",
        "echo: each message comes back; connect: connections open and close, a cycle is a \
         message; idle: they are open and silent; fanout: what the first orders reaches all",
        "echo",
    ),
    (
        "protocol",
        "ws, or tcp: no handshake, and the same masked frames come back as they are",
        "ws",
    ),
    (
        "kind",
        "of the messages: binary, which is random, or text, ASCII as a trading feed has it",
        "binary",
    ),
    ("histogram", "the file that percentiles are written to", ""),
];

const NUMBERS: Known<'_> = &[
    ("port", "of 127.0.0.1, where the server listens", 9001),
    ("connections", "that are open; in mode connect, that are on their way at the same time", 1),
    ("size", "bytes of a message", 64),
    (
        "depth",
        "messages under way on each connection, where no rate is given; messages of an \
         order",
        1,
    ),
    ("burst", "1: all `depth` messages come back before the next are sent, in one go", 0),
    (
        "compressed",
        "1: permessage-deflate is insisted on, no side keeping its window, and the messages \
         are as a trading feed has them",
        0,
    ),
    (
        "rate",
        "messages (in mode fanout: orders) a second over all connections, at moments that \
         do not depend on answers; 0: each follows an answer",
        0,
    ),
    ("warm-up", "milliseconds before the measured ones", 500),
    ("milliseconds", "that are measured", 2000),
    ("ramp", "milliseconds over which the connections open", 0),
    ("process", "the server's, whose time of the processor and memory are read; 0: none", 0),
    ("core", "that this program stays on", 0),
    ("seed", "of all contents and keys", 1),
    ("progress", "1: a line a second on the standard error", 0),
];

/// Bytes of all messages that are prepared, at most.
const PREPARED_MAX: usize = 1 << 30;

/// Of large messages, those that are prepared beside `depth`: two, and a run where there is a rate.
const BESIDE: usize = 18;

impl Plan {
    /// Reads the arguments that follow the program's name.
    ///
    /// # Errors
    /// How the program is to be called; what does not go together.
    pub(crate) fn read(
        arguments: impl IntoIterator<Item = String>,
    ) -> Result<Self, Box<dyn Error>> {
        let arguments = Arguments::read_with_words(WORDS, NUMBERS, arguments)?;
        let milliseconds = |name| Duration::from_millis(arguments.value(name));
        let path = arguments.word("histogram");
        let plan = Self {
            mode: mode(arguments.word("mode"))?,
            protocol: protocol(arguments.word("protocol"))?,
            kind: kind(arguments.word("kind"))?,
            port: u16::try_from(arguments.value("port"))?,
            connections: arguments.count("connections").max(1),
            size: arguments.count("size"),
            depth: arguments.count("depth").max(1),
            compressed: arguments.value("compressed") > 0,
            burst: arguments.value("burst") > 0,
            rate: arguments.value("rate"),
            warm_up: milliseconds("warm-up"),
            measured: milliseconds("milliseconds"),
            ramp: milliseconds("ramp"),
            process: Some(u32::try_from(arguments.value("process"))?).filter(|it| *it > 0),
            core: arguments.count("core"),
            seed: arguments.value("seed"),
            progress: arguments.value("progress") > 0,
            histogram: Some(PathBuf::from(path)).filter(|_| !path.is_empty()),
        };
        plan.check()?;
        Ok(plan)
    }

    fn check(&self) -> Result<(), Box<dyn Error>> {
        if self.depth.saturating_add(BESIDE).saturating_mul(self.size) > PREPARED_MAX {
            return Err("the messages under way do not fit the memory".into());
        }
        let (is_tcp, is_fanout) = (self.protocol == Protocol::Tcp, self.mode == Mode::Fanout);
        if is_tcp && (self.compressed || is_fanout) {
            return Err("bytes that come back as they are need no compression and no orders".into());
        }
        if is_tcp && self.mode == Mode::Connect {
            return Err("the cycles are those of a WebSocket".into());
        }
        if is_fanout && (self.compressed || self.size < NUMBER_SIZE) {
            return Err("a fan-out is of messages with a number, not compressed".into());
        }
        if self.mode == Mode::Connect && self.rate > 0 {
            return Err("connections have no rate: they open as fast as others have closed".into());
        }
        Ok(())
    }
}

impl Mode {
    /// As it was asked for.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Connect => "connect",
            Self::Idle => "idle",
            Self::Fanout => "fanout",
        }
    }
}

fn mode(word: &str) -> Result<Mode, String> {
    let modes = [Mode::Echo, Mode::Connect, Mode::Idle, Mode::Fanout];
    let found = modes.into_iter().find(|mode| mode.name() == word);
    found.ok_or_else(|| format!("there is no mode {word}"))
}

fn protocol(word: &str) -> Result<Protocol, String> {
    match word {
        "ws" => Ok(Protocol::Ws),
        "tcp" => Ok(Protocol::Tcp),
        _ => Err(format!("there is no protocol {word}")),
    }
}

fn kind(word: &str) -> Result<Opcode, String> {
    match word {
        "text" => Ok(Opcode::Text),
        "binary" => Ok(Opcode::Binary),
        _ => Err(format!("there is no kind {word}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Plan, String> {
        let arguments = line.split_whitespace().map(str::to_owned);
        Plan::read(arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn words_and_numbers_make_a_plan() {
        let plan = read("--mode fanout --kind text --size 100 --port 7 --process 9").unwrap();
        assert_eq!((plan.mode, plan.kind, plan.size), (Mode::Fanout, Opcode::Text, 100));
        assert_eq!((plan.port, plan.process, plan.histogram), (7, Some(9), None));
        assert_eq!(plan.measured, Duration::from_secs(2));
        let plan = read("--protocol tcp --histogram a --depth 0 --connections 0").unwrap();
        assert_eq!((plan.protocol, plan.depth, plan.connections), (Protocol::Tcp, 1, 1));
        assert_eq!((plan.process, plan.histogram), (None, Some("a".into())));
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for line in [
            "--mode other",
            "--kind other",
            "--protocol other",
            "--port 65536",
            "--size 16777216 --depth 64",
            "--protocol tcp --compressed 1",
            "--protocol tcp --mode fanout",
            "--protocol tcp --mode connect",
            "--mode fanout --size 7",
            "--mode fanout --compressed 1",
            "--mode connect --rate 5",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
        assert!(read("--help").unwrap_err().contains("--seed N"));
    }
}
