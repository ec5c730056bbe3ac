//! The memory of a connection, measured: a server in a process of its own, many connections to it,
//! and what the kernel says of that process before, during and after.
//!
//! ```text
//! cargo run --release -p ringwire-benches --bin memory
//! cargo run --release -p ringwire-benches --bin memory -- --idle 15000
//! ```
//!
//! The first prints a table of what compression costs, with 1,000 connections or as many as
//! `--connections` says. The second opens so many connections without compression. `--quick` after
//! either waits for nothing, for a test of this program. What is counted is private memory, clean
//! and dirty; what the kernel itself keeps of a socket is not in it.
//!
//! The allocator is that of the echo server: mimalloc without huge pages, which gives back at once
//! what the engine has freed.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;
use std::{env, thread};

use measure::{Measured, Plan, measure};
use mimalloc::MiMalloc;
use result::Result;
use ringwire_benches::feed::Feed;
use scenario::Scenario;

mod client;
mod measure;
mod process;
mod result;
mod scenario;
mod server;

/// As in the examples.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    end_in_time();
    let (arguments, plan) = match &arguments[..] {
        [arguments @ .., "--quick"] => (arguments, Plan::QUICK),
        arguments => (arguments, Plan::FULL),
    };
    let done = match arguments {
        [] => compressed(1_000, &plan),
        ["--connections", count] => number(count).and_then(|count| compressed(count, &plan)),
        ["--idle", count] => number(count).and_then(|count| idle(count, &plan)),
        // How this program calls itself.
        ["--serve", scenario] => number(scenario).and_then(server::serve),
        _ => Err("usage: memory [--connections N | --idle N] [--quick]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _told = writeln!(io::stderr(), "memory: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One row for each way to compress, of a feed's messages of 4 KiB.
fn compressed(connections: usize, plan: &Plan) -> Result<()> {
    let mut feed = Feed::new(1);
    let messages: Vec<String> = (0..connections.max(1)).map(|_| feed.message(4 << 10)).collect();
    head()?;
    for number in 0..Scenario::all().len() {
        row(number, &measure(number, &messages, connections, plan)?)?;
    }
    Ok(())
}

/// The row of connections that are not compressed and send little.
fn idle(connections: usize, plan: &Plan) -> Result<()> {
    head()?;
    let messages = ["a small message".into()];
    row(Scenario::OFF, &measure(Scenario::OFF, &messages, connections, plan)?)
}

fn head() -> Result<()> {
    let columns = "compression | server alone, MiB | opened, bytes per connection \
                   | one message | full windows | all closed, MiB | later, MiB";
    writeln!(io::stdout(), "| {columns} |\n|---|---|---|---|---|---|---|")?;
    Ok(())
}

fn row(number: usize, measured: &Measured) -> Result<()> {
    let name = Scenario::all().get(number).map(Scenario::name).unwrap_or_default();
    let Measured { connections, alone, opened, used, filled, closed, later } = *measured;
    let each = |bytes: u64| (bytes as f64 - alone as f64) / connections as f64;
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let [opened, used, filled] = [opened, used, filled].map(each);
    let [alone, closed, later] = [alone, closed, later].map(mebibytes);
    let each = format!("{opened:.0} | {used:.0} | {filled:.0}");
    writeln!(io::stdout(), "| {name} | {alone:.1} | {each} | {closed:.1} | {later:.1} |")?;
    Ok(())
}

fn number(text: &str) -> Result<usize> {
    text.parse().map_err(|_| format!("{text:?} is no number").into())
}

/// Whatever becomes of the rest, no process of this program stays.
fn end_in_time() {
    thread::spawn(|| {
        thread::sleep(Duration::from_secs(300));
        let _told = writeln!(io::stderr(), "memory: this takes too long");
        std::process::exit(1);
    });
}
