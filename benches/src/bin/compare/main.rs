//! This engine beside others and beside plain TCP: builds all of them, loads them in turn, prints
//! tables, and keeps every round.
//!
//! Each server is one process on a core of its own; the program `load` has another one, checks
//! every byte of every answer, and reads the server's CPU time and memory. Rounds alternate, A B C
//! A B C, so that what else the machine does meets everybody. Whoever fails a workload is shown as
//! failed there, with the reason.

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, ExitCode};

use comparison::Comparison;
use contestant::is_peer;
use options::Options;
use record::Record;
use ringwire_benches::peers;

mod calls;
mod comparison;
mod contestant;
mod goal;
mod machine;
mod metric;
mod options;
mod plot;
mod record;
mod report;
mod round;
mod table;
mod workload;

/// What a quick run has: times in milliseconds, and connections.
const QUICK: (u64, u64, u32) = (50, 400, 100);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _told = writeln!(io::stderr(), "compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let options = Options::read(env::args().skip(1))?;
    if let Some(file) = options.path("report") {
        let folder = options.path("folder").unwrap_or_default();
        return report::write(&Record::read(&file)?, &folder);
    }
    let comparison = comparison(&options)?;
    if options.is_set("build") {
        build(comparison.contestants.iter().any(|one| is_peer(one.name)))?;
    }
    let mut command: Vec<String> = env::args().collect();
    if let Some(program) = command.first_mut() {
        "compare".clone_into(program);
    }
    let record = comparison.run(command.join(" "))?;
    Ok(report::print(&mut io::stdout().lock(), &record)?)
}

fn comparison(options: &Options) -> Result<Comparison, Box<dyn Error>> {
    let is_quick = options.is_set("quick");
    let mut comparison = Comparison {
        workloads: workload::chosen(options.word("only"))?,
        contestants: contestant::chosen(options.word("contestants"), !is_quick)?,
        rounds: options.number("rounds"),
        warm_up: options.number("warm-up"),
        milliseconds: options.number("seconds") * 1000,
        counts_calls: options.is_set("calls"),
        load_before: machine::load(),
        file: options.path("json").ok_or("all rounds want a file")?,
    };
    if is_quick {
        let (warm_up, milliseconds, connections_max) = QUICK;
        let workloads = comparison.workloads.into_iter();
        let workloads = workloads.filter_map(|one| one.with_connections_max(connections_max));
        comparison = Comparison {
            workloads: workloads.collect(),
            rounds: 1,
            warm_up,
            milliseconds,
            ..comparison
        };
    }
    Ok(comparison)
}

/// Builds ours, beside this program and as it was built, and the peers if there are any.
fn build(has_peers: bool) -> Result<(), Box<dyn Error>> {
    const PROGRAMS: [&str; 3] = ["echo_server", "fanout", "load"];
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let own = env::current_exe()?;
    let target = own.parent().and_then(Path::parent).ok_or("this program has no target folder")?;
    for (programs, features) in [(&PROGRAMS[..], ""), (&["hosted_echo"], "hosts")] {
        let mut command = Command::new(env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
        command.args(["build", "--locked", "--manifest-path"]).arg(&manifest);
        command.arg("--target-dir").arg(target).args(["--features", features]);
        command.args(programs.iter().flat_map(|program| ["--bin", program]));
        if !cfg!(debug_assertions) {
            command.arg("--release");
        }
        if !command.status()?.success() {
            return Err("the servers cannot be built".into());
        }
    }
    if has_peers { peers::build() } else { Ok(()) }
}
