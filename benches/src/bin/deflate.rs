//! How `permessage-deflate` compares with bare zlib-rs, as a table of `ringwire_benches::contest`.
//!
//! Times are taken in turns, so that what disturbs one contestant disturbs them all, and their
//! ratios are medians over all turns. Instructions are counted by Valgrind, where it is installed,
//! and are the same in every run.
//!
//! ```text
//! cargo run --release -p ringwire-benches --bin deflate
//! ```

use std::hint::black_box;
use std::io::{self, Write};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use std::{array, env};

use mimalloc::MiMalloc;
use ringwire_benches::contest::{Contest, Contestant};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// For each contest.
const TURNS: usize = 101;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => table(),
        // How this program calls itself below Valgrind.
        ["--rounds", rounds, contest, contestant] => run(rounds, contest, contestant),
        _ => Err("usage: deflate".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _told = writeln!(io::stderr(), "deflate: {error}");
            ExitCode::FAILURE
        }
    }
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn table() -> Result<()> {
    let mut out = io::stdout();
    let head = "| | level | takeover | message | zlib-rs, MB/s | ringwire | path | ringwire, \
                instructions | path, instructions |";
    writeln!(out, "{head}\n|---|---|---|---|---|---|---|---|---|")?;
    for (number, contest) in Contest::all().into_iter().enumerate() {
        let Contest { direction, message_size, takeover, level } = contest;
        let size: usize = contest.messages().iter().map(String::len).sum();
        let [bare, half, path] = times(&contest);
        let ratio = |of: &[f64], to: &[f64]| median(of.iter().zip(to).map(|(a, b)| a / b));
        let speed = size as f64 / median(bare.iter().copied()) / 1e6;
        write!(out, "| {} | {level} | ", direction.name())?;
        write!(out, "{} | {message_size} | ", if takeover { "yes" } else { "no" })?;
        write!(out, "{speed:.0} | {:.3} | {:.3} |", ratio(&half, &bare), ratio(&path, &bare))?;
        match instructions(number) {
            Some([bare, half, path]) => {
                writeln!(out, " {:.3} | {:.3} |", half / bare, path / bare)?;
            }
            None => writeln!(out, " | |")?,
        }
    }
    Ok(())
}

/// Seconds of one round, for each contestant and turn.
fn times(contest: &Contest) -> [Vec<f64>; 3] {
    let mut rounds = Contestant::ALL.map(|contestant| contest.round(contestant));
    let mut times = array::from_fn(|_| Vec::with_capacity(TURNS));
    let start = Instant::now();
    for turn in 0..TURNS {
        // Whoever is first finds other caches than whoever follows, so each is first in turn.
        for place in 0..rounds.len() {
            let index = (turn + place) % rounds.len();
            let start = Instant::now();
            black_box(rounds[index]());
            times[index].push(start.elapsed().as_secs_f64());
        }
        if start.elapsed() > Duration::from_secs(10) {
            break;
        }
    }
    times
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Of two rounds, for each contestant. `None` without Valgrind.
fn instructions(contest: usize) -> Option<[f64; 3]> {
    let mut counts = [0.0; 3];
    for (number, count) in counts.iter_mut().enumerate() {
        // What it takes to begin, and the first round, which still allocates, are in both.
        *count = collected(contest, number, 3)? - collected(contest, number, 1)?;
    }
    Some(counts)
}

/// What Valgrind says at its end: `==7== Collected : 5086`.
fn collected(contest: usize, contestant: usize, rounds: usize) -> Option<f64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        // An instruction that copies a whole block counts once for each byte: have none.
        .env("GLIBC_TUNABLES", ringwire_benches::callgrind::LOOPS)
        .arg(env::current_exe().ok()?)
        .args(["--rounds".into(), rounds.to_string(), contest.to_string(), contestant.to_string()])
        .stdout(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stderr).ok()?;
    text.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok())
}

/// So many rounds of one contestant, by the numbers that `instructions` gives them.
fn run(rounds: &str, contest: &str, contestant: &str) -> Result<()> {
    let contests = Contest::all();
    let contest = contests.get(contest.parse::<usize>()?).ok_or("there is no such contest")?;
    let contestant = Contestant::ALL.get(contestant.parse::<usize>()?).ok_or("who is that?")?;
    let mut round = contest.round(*contestant);
    for _ in 0..rounds.parse::<usize>()? {
        black_box(round());
    }
    Ok(())
}
