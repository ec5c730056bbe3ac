//! Thousands of connections that send, check every byte that comes back, and leave in every way.
//!
//! Each sends messages of 0 to 64 KiB, text and binary, whole or in fragments of any size with
//! pings between them. Some reset in the middle of a message, some close; others come instead. At
//! the end all close. First rounds of the same kind show what the server keeps for good; after the
//! last its memory must be back there, and its descriptors where they were at the start.
//!
//! Everything follows from the seed, but for the order in which the kernel does things.

use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, error, thread};

use load::Load;
use report::{Memory, Report};
use ringwire_benches::arguments::{Arguments, Known};
use ringwire_benches::child::{self, EchoServer};
use ringwire_benches::{client, system};

mod connection;
mod content;
mod load;
mod report;
mod shared;

const OPTIONS: Known<'_> = &[
    ("connections", "at the same time", 15_000),
    ("seconds", "of the round that counts", 60),
    ("warm-up", "seconds of each of the rounds before, three to twelve", 20),
    ("seed", "of everything, 0 for another each time", 0),
];

/// For the system's allocator, which serves this program: what is freed goes back at once. Mimalloc
/// keeps more or less of it, as it happens, and that is not the engine's.
const KEEP_NOTHING: (&str, &str) = ("MALLOC_TRIM_THRESHOLD_", "65536");

/// Descriptors of a process that are no connections.
const DESCRIPTORS_SPARE: u64 = 64;

/// How much stays depends on who met whom: on how many spoke at the same time, and on what small
/// thing was left behind a large one. So there are rounds until it has become no more in as many of
/// them, by one percent; in a server that lets go of nothing it never has.
const CALM_ROUNDS: usize = 2;

/// How many rounds there are for that.
const WARM_UPS: RangeInclusive<usize> = 3..=12;

/// How long the memory of a server that warms up does not shrink any more.
const STEADY: Duration = Duration::from_secs(2);

/// How long the server has to let go of what the last connections took.
const SETTLE: Duration = Duration::from_secs(15);

fn main() -> ExitCode {
    match child::serve_if_asked().and_then(|served| if served { Ok(true) } else { soak() }) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _told = writeln!(io::stderr(), "soak: {error}");
            ExitCode::from(2)
        }
    }
}

/// `false`: something was not as it must be.
fn soak() -> Result<bool, Box<dyn error::Error>> {
    let arguments = Arguments::read(OPTIONS, env::args().skip(1))?;
    let seed = match arguments.value("seed") {
        0 => u64::from(SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos()),
        seed => seed,
    };
    let connections = arguments.count("connections");
    let limit = system::raise_descriptors();
    if connections as u64 + DESCRIPTORS_SPARE > limit {
        return Err(format!("{limit} descriptors are too few").into());
    }
    writeln!(io::stderr(), "seed {seed}, {connections} connections")?;
    system::pin(0);
    let server =
        EchoServer::start(1, ringwire::Config::default().turn_size_max, Some(KEEP_NOTHING))?;
    let process = server.process();
    let descriptors = system::descriptors(process)?;
    let mut memory = Memory { start: system::private_size(process)?, ..Memory::default() };
    let mut load = Load::new(server.address(), connections, seed)?;

    let (mut warm_ups, mut calm) = (0, 0);
    while warm_ups < *WARM_UPS.start() || calm < CALM_ROUNDS && warm_ups < *WARM_UPS.end() {
        let peak = round(&mut load, process, "warm-up", arguments.value("warm-up"))?;
        memory.peak = memory.peak.max(peak);
        let stays = settle(&server, descriptors, None)?;
        calm = if stays > memory.baseline + memory.baseline / 100 { 0 } else { calm + 1 };
        memory.baseline = memory.baseline.max(stays);
        warm_ups += 1;
    }
    memory.is_steady = calm >= CALM_ROUNDS;
    let before = load.shared.counts;
    let seconds = arguments.value("seconds");
    memory.peak = memory.peak.max(round(&mut load, process, "soak", seconds)?);
    memory.end = settle(&server, descriptors, Some(memory.bound()))?;

    let report = Report {
        seed,
        connections,
        seconds,
        warm_up: before,
        counts: load.shared.counts,
        failure_count: load.failure_count,
        memory,
        descriptors: [descriptors, system::descriptors(process)?],
        stopped: server.stop()?,
    };
    for failure in &load.failures {
        writeln!(io::stderr(), "{failure}")?;
    }
    writeln!(io::stdout(), "{}", report.json())?;
    Ok(report.is_right())
}

/// Serves for so many seconds, and until all have left. Says how large the server became.
fn round(load: &mut Load, process: u32, name: &str, seconds: u64) -> io::Result<u64> {
    let start = Instant::now();
    let mut peak = 0;
    let mut tell = |load: &Load| {
        let size = system::private_size(process).unwrap_or(0);
        peak = peak.max(size);
        let counts = load.shared.counts;
        let _told = writeln!(
            io::stderr(),
            "{name} {:3} s: {} connections ({} opening), {} opened, {} messages, {} MB, \
             {} resets, {} closes, {} failures, server {} MB",
            start.elapsed().as_secs(),
            load.count(),
            load.opening(),
            counts.opened,
            counts.messages,
            counts.bytes >> 20,
            counts.resets,
            counts.closes,
            load.failure_count,
            size >> 20,
        );
    };
    load.run(Duration::from_secs(seconds), &mut tell)?;
    load.leave(&mut tell)?;
    Ok(peak)
}

/// Waits until the server has closed its descriptors and holds `bound` or less, or where there is
/// none until it shrinks no more. Says what it holds, after a while in any case.
fn settle(server: &EchoServer, descriptors: usize, bound: Option<u64>) -> io::Result<u64> {
    let process = server.process();
    let end = Instant::now() + SETTLE;
    let (mut least, mut shrunk) = (u64::MAX, Instant::now());
    loop {
        let size = system::private_size(process)?;
        if size < least {
            (least, shrunk) = (size, Instant::now());
        }
        let is_small = match bound {
            Some(bound) => size <= bound,
            None => shrunk.elapsed() >= STEADY,
        };
        let is_settled = is_small && system::descriptors(process)? <= descriptors;
        if is_settled || Instant::now() >= end {
            return Ok(size);
        }
        // The allocator gives memory back while it is at work, not while the server sleeps.
        if end.duration_since(Instant::now()) > SETTLE / 2 {
            drop(client::open(server.address())?);
        }
        thread::sleep(Duration::from_millis(100));
    }
}
