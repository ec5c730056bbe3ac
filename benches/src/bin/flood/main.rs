//! What a peer that floods costs the others: round-trip times alone, and beside a flood.
//!
//! A hundred connections send a message of 20 bytes, wait for its echo, and send the next. Beside
//! them one connection sends the smallest frames as fast as they are taken, and a hundred send and
//! read nothing. Rounds with and without alternate, so that what else the machine does meets both.
//! The server has one core, everything else the other.

use std::io::{self, Write};
use std::process::ExitCode;
use std::{env, error, thread, time::Duration};

use flooder::{Flooders, Reading};
use hdrhistogram::Histogram;
use mimalloc::MiMalloc;
use ping_pong::PingPong;
use ringwire_benches::arguments::{Arguments, Known};
use ringwire_benches::child::{self, EchoServer};
use ringwire_benches::system;

mod flooder;
mod ping_pong;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const OPTIONS: Known<'_> = &[
    ("rounds", "of each kind", 5),
    ("milliseconds", "that a round is measured for", 1500),
    ("connections", "that wait for each echo", 100),
    ("mute", "connections that send and read nothing", 100),
    ("turn-size", "the server's `turn_size_max`", 256 << 10),
    ("ratio", "that the 99th percentile may grow by, in percent", 150),
];

/// After a flood has begun, the time until it is at its full strength.
const SETTLE: Duration = Duration::from_millis(300);

/// The kinds of round, and what they are called.
const KINDS: [(&str, Option<Reading>); 3] = [
    ("alone", None),
    ("flood that reads nothing", Some(Reading::Nothing)),
    ("flood that reads", Some(Reading::Everything)),
];

/// The order of the rounds: each flood has a calm beside it.
const ORDER: [usize; 4] = [0, 1, 0, 2];

fn main() -> ExitCode {
    match child::serve_if_asked().and_then(|served| if served { Ok(true) } else { measure() }) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _told = writeln!(io::stderr(), "flood: {error}");
            ExitCode::from(2)
        }
    }
}

/// `false`: the flood was noticed.
fn measure() -> Result<bool, Box<dyn error::Error>> {
    let arguments = Arguments::read(OPTIONS, env::args().skip(1))?;
    system::pin(0);
    let server = EchoServer::start(1, arguments.count("turn-size"), None)?;
    let mut clients = PingPong::connect(server.address(), arguments.count("connections"))?;
    let time = Duration::from_millis(arguments.value("milliseconds"));
    clients.run(time)?;
    let mut rounds: [Vec<Histogram<u64>>; 3] = Default::default();
    for _ in 0..arguments.value("rounds") {
        for kind in ORDER {
            let flood = KINDS[kind]
                .1
                .map(|reading| Flooders::start(server.address(), reading, arguments.count("mute")));
            thread::sleep(SETTLE);
            rounds[kind].push(clients.run(time)?);
            if let Some(flood) = flood {
                let sent = flood?.stop()?;
                writeln!(io::stderr(), "{}: {sent} frames", KINDS[kind].0)?;
            }
        }
    }
    drop(clients);
    if !server.stop()? {
        return Err("the server has failed".into());
    }
    report(&rounds, time, arguments.value("ratio"))
}

/// Prints the table, and says whether the 99th percentiles are within `percent` of the calm one.
fn report(
    rounds: &[Vec<Histogram<u64>>; 3],
    time: Duration,
    percent: u64,
) -> Result<bool, Box<dyn error::Error>> {
    let mut out = io::stdout();
    writeln!(out, "| round trips | a second | p50 µs | p99 µs | p99.9 µs | p99 to alone |")?;
    writeln!(out, "|---|---|---|---|---|---|")?;
    let (calm, _) = spread(&rounds[0], 99.0);
    let mut holds = true;
    for ((name, _), histograms) in KINDS.iter().zip(rounds) {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
        let rates = histograms.iter().map(|round| round.len() * 1000 / millis);
        let mut line = format!("| {name} | {} ", median(rates));
        for percentile in [50.0, 99.0, 99.9] {
            let (middle, [least, most]) = spread(histograms, percentile);
            let micros = [middle, least, most].map(|nanos| nanos / 1000);
            line.push_str(&format!("| {} ({}–{}) ", micros[0], micros[1], micros[2]));
        }
        let (noticed, _) = spread(histograms, 99.0);
        let ratio = noticed * 100 / calm.max(1);
        holds &= ratio <= percent;
        writeln!(out, "{line}| {}.{:02} |", ratio / 100, ratio % 100)?;
    }
    Ok(holds)
}

/// The median over the rounds, the least and the most.
fn spread(rounds: &[Histogram<u64>], percentile: f64) -> (u64, [u64; 2]) {
    let values = || rounds.iter().map(|round| round.value_at_percentile(percentile));
    let ends = [values().min(), values().max()].map(Option::unwrap_or_default);
    (median(values()), ends)
}

fn median(values: impl Iterator<Item = u64>) -> u64 {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}
