//! Instructions for each message, compared with those that the repository keeps: so a slow-down is
//! seen on any machine, however noisy.
//!
//! ```text
//! instructions            prints the table, beside what is kept
//! instructions --check    and fails where a case has become slower
//! instructions --write    and keeps the new numbers
//! ```
//!
//! It ends with 0, with 1 where a case has become slower, with 2 where it could not be measured,
//! and with 77 where there is no valgrind, or one that shows the program other instruction sets
//! than those of the numbers that are kept.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::{env, fs, path::Path};

use baseline::Baseline;
use cases::{CASES, Case};
use ringwire_benches::callgrind;

mod baseline;
mod cases;

/// The first argument of the process that is counted.
const DRIVE: &str = "drive";

/// A case may take so many percent of what is kept: compilers of the same version lay out a program
/// in one way only, so this is what a change elsewhere in the crate has been seen to do.
const GROWTH_MAX: u64 = 103;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match &arguments[..] {
        [DRIVE, case, count] => driven(case, count).map(|()| true),
        _ if !callgrind::is_there() => return skip("there is no valgrind here"),
        [] | ["--check"] => compare(!arguments.is_empty()),
        ["--write"] => write().map(|()| true),
        _ => Err("instructions [--check | --write]".into()),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) if error.is::<baseline::OtherMachine>() => skip(&error.to_string()),
        Err(error) => {
            let _told = writeln!(io::stderr(), "instructions: {error}");
            ExitCode::from(2)
        }
    }
}

fn skip(why: &str) -> ExitCode {
    let _told = writeln!(io::stderr(), "instructions: skipped, {why}");
    ExitCode::from(callgrind::SKIPPED)
}

/// Where the numbers are kept.
fn place() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.txt")
}

/// Prints the table. `false`: a case has become slower, and that matters.
fn compare(matters: bool) -> Result<bool, Box<dyn Error>> {
    let kept = Baseline::read(&fs::read_to_string(place())?)?;
    let mut out = io::stdout();
    writeln!(out, "| a message in, its echo out | instructions | kept | ratio |")?;
    writeln!(out, "|---|---|---|---|")?;
    let mut holds = true;
    for (number, case) in CASES.iter().enumerate() {
        let (sets, now) = measure(case)?;
        if number == 0 {
            kept.check_sets(&sets)?;
        }
        let before = kept.count(case.name).ok_or_else(|| format!("{}: not kept", case.name))?;
        let is_right = now * 100 <= before * GROWTH_MAX;
        holds &= is_right || !matters;
        let ratio = now * 1000 / before.max(1);
        let mark = if is_right { "" } else { " **slower**" };
        let (whole, part) = (ratio / 1000, ratio % 1000);
        writeln!(out, "| {} | {now} | {before} | {whole}.{part:03}{mark} |", case.name)?;
    }
    Ok(holds)
}

/// Keeps what is measured now.
fn write() -> Result<(), Box<dyn Error>> {
    let mut kept = Baseline::default();
    for case in &CASES {
        let (sets, count) = measure(case)?;
        kept.set(&sets, case.name, count);
    }
    Ok(fs::write(place(), kept.to_string())?)
}

/// The instruction sets that the program found, and the instructions for one message: of twice as
/// many messages the second half, since the first messages still allocate.
fn measure(case: &Case) -> Result<(String, u64), Box<dyn Error>> {
    let run = |count: u64| {
        callgrind::count("instructions::cases::drive", &[DRIVE, case.name, &count.to_string()])
    };
    let ((once, sets), (twice, _)) = (run(case.count)?, run(2 * case.count)?);
    Ok((sets.trim().to_owned(), twice.saturating_sub(once) / case.messages(case.count)))
}

/// The process that is counted.
fn driven(name: &str, count: &str) -> Result<(), Box<dyn Error>> {
    let case = CASES.iter().find(|case| case.name == name).ok_or("no such case")?;
    cases::run(case, count.parse()?)?;
    writeln!(io::stdout(), "{}", baseline::sets())?;
    Ok(())
}
