//! An echo in a process of its own, to be measured beside others: this engine's, or what the system
//! itself takes for the same bytes.
//!
//! `echo_server ringwire|raw [compressed] [spin]`: prints its port, and ends when its input does.
//! `spin` is the profile for latency, as the program `latency` has it: nobody sleeps who has heard
//! something in the last 20 ms.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::{env, time::Duration};

use mimalloc::MiMalloc;
use ringwire_benches::echo::refuse_compression;
use ringwire_benches::system;

mod raw;
mod ring;
mod ringwire;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// How long a server of the profile for latency stays awake.
const SPIN: Duration = Duration::from_millis(20);

const USAGE: &str = "echo_server ringwire|raw [compressed] [spin]";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    match serve(&words) {
        Ok(code) => code,
        Err(error) => {
            let _told = writeln!(io::stderr(), "echo_server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(words: &[String]) -> Result<ExitCode, Box<dyn Error>> {
    let (name, options) = words.split_first().ok_or(USAGE)?;
    let (mut compressed, mut spin) = (false, Duration::ZERO);
    for option in options {
        match option.as_str() {
            "compressed" => compressed = true,
            "spin" => spin = SPIN,
            _ => return Err(USAGE.into()),
        }
    }
    // A server has a descriptor for each connection.
    let _limit = system::raise_descriptors();
    match name.as_str() {
        "ringwire" => ringwire::serve(compressed, spin)?,
        "raw" if compressed => {
            return Ok(refuse_compression()?);
        }
        "raw" => raw::serve(spin)?,
        _ => return Err(USAGE.into()),
    }
    Ok(ExitCode::SUCCESS)
}
