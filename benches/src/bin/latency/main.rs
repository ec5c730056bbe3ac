//! The latency of the engine, asleep and spinning, beside a bare ring that echoes as many bytes.
//!
//! One connection sends 20 bytes and waits for their echo; or a thread publishes 20 bytes and waits
//! for them on the connection that is subscribed; or another connection does. Nothing else happens
//! meanwhile. The rounds of all kinds alternate, so that what else the machine does meets them all.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;
use std::{env, error};

use hdrhistogram::Histogram;
use mimalloc::MiMalloc;
use play::{Play, Round};
use ring::Look;
use ringwire::Latencies;
use ringwire_benches::arguments::{Arguments, Known};
use ringwire_benches::peers;

mod client;
mod play;
mod ring;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const OPTIONS: Known<'_> = &[
    ("rounds", "of each kind", 5),
    ("messages", "of a round", 5000),
    ("spin", "microseconds that a server spins for", 20_000),
    ("client-spins", "1: the client does not sleep, either", 0),
    ("measures", "1: the engine measures its stages", 0),
    ("looks", "1: the bare ring in all ways of looking as well", 0),
    ("peers", "1: uWebSockets as well, which is built first", 0),
];

/// What is played, asleep and spinning, and what it is called.
const KINDS: [(&str, Play, bool); 8] = [
    ("bare ring, asleep", Play::Bare(Look::Sleep), false),
    ("bare ring, spinning", Play::Bare(Look::Memory), true),
    ("echo, asleep", Play::Echo, false),
    ("echo, spinning", Play::Echo, true),
    ("publish by a thread, asleep", Play::Publish, false),
    ("publish by a thread, spinning", Play::Publish, true),
    ("publish by a connection, asleep", Play::Relay, false),
    ("publish by a connection, spinning", Play::Relay, true),
];

/// Other ways of spinning.
const LOOKS: [(&str, Play, bool); 3] = [
    ("bare ring, entering again and again", Play::Bare(Look::Enter), true),
    ("bare ring, cooperative task work", Play::Bare(Look::Cooperate), true),
    ("bare ring, interrupted", Play::Bare(Look::Interrupt), true),
];

/// Who is compared. It publishes for the connection that subscribes, which is less than ours does.
const PEERS: [(&str, Play, bool); 1] =
    [("uWebSockets, publish by the subscriber", Play::Peer("uwebsockets"), false)];

const PERCENTS: [f64; 3] = [50.0, 99.0, 99.9];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _told = writeln!(io::stderr(), "latency: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn error::Error>> {
    let arguments = Arguments::read(OPTIONS, env::args().skip(1))?;
    let others = if arguments.value("looks") > 0 { &LOOKS[..] } else { &[] };
    let peers = if arguments.value("peers") > 0 { &PEERS[..] } else { &[] };
    if !peers.is_empty() {
        peers::build()?;
    }
    let kinds: Vec<_> = KINDS.iter().chain(others).chain(peers).collect();
    let mut rounds: Vec<Vec<Histogram<u64>>> = vec![Vec::new(); kinds.len()];
    let mut latencies = vec![Latencies::default(); kinds.len()];
    for _ in 0..arguments.value("rounds") {
        for (index, (_, play, spins)) in kinds.iter().enumerate() {
            let spin = if *spins { arguments.value("spin") } else { 0 };
            let round = Round {
                count: arguments.value("messages"),
                spin: Duration::from_micros(spin),
                client_spins: arguments.value("client-spins") > 0,
                measures: arguments.value("measures") > 0,
            };
            let (times, measured) = round.play(*play)?;
            rounds[index].push(times);
            latencies[index] = measured;
        }
    }
    let mut out = io::stdout();
    writeln!(out, "| µs | p50 | p99 | p99.9 |\n|---|---|---|---|")?;
    for ((name, ..), histograms) in kinds.iter().zip(&rounds) {
        let cells = PERCENTS.map(|percent| spread(histograms, percent)).join(" | ");
        writeln!(out, "| {name} | {cells} |")?;
    }
    if arguments.value("measures") > 0 {
        stages(&mut out, &kinds, &latencies)?;
    }
    Ok(())
}

/// The stages of the last round of each kind.
fn stages(
    out: &mut impl Write,
    kinds: &[&(&str, Play, bool)],
    latencies: &[Latencies],
) -> io::Result<()> {
    writeln!(out, "\n| p50 and p99.9 of stages, ns | encoded | submitted | completed | message |")?;
    writeln!(out, "|---|---|---|---|---|")?;
    for ((name, ..), latencies) in kinds.iter().zip(latencies) {
        if latencies.message.count() == 0 {
            continue;
        }
        write!(out, "| {name} |")?;
        for (_, times) in latencies.stages().take(4) {
            write!(out, " {}, {} |", times.percentile(50.0), times.percentile(99.9))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// The median of the rounds, and the least and the most of them, in microseconds.
fn spread(histograms: &[Histogram<u64>], percent: f64) -> String {
    let mut values: Vec<u64> =
        histograms.iter().map(|histogram| histogram.value_at_percentile(percent)).collect();
    values.sort_unstable();
    let micros = |value: Option<&u64>| value.map_or(0.0, |nanos| *nanos as f64 / 1e3);
    let median = micros(values.get(values.len() / 2));
    format!("{median:.1} ({:.1}–{:.1})", micros(values.first()), micros(values.last()))
}
