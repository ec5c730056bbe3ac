//! Instructions for each byte received, whatever the peer sends and however it is cut.
//!
//! The protocol's two halves are driven with streams that are made to cost much, under callgrind,
//! which counts instructions: neither the machine nor its load change the result. What is received
//! is echoed. Each stream is driven at two sizes; the difference is what its bytes cost, without
//! what is constant, and the quotient shows whether the cost is in proportion.
//!
//! It ends with 0 when all is in proportion, 1 when something is not, 2 when it could not be
//! measured, and 77 when there is no valgrind.

use std::io::{self, Write};
use std::process::ExitCode;
use std::{env, error};

use ringwire_benches::arguments::{Arguments, Known};
use ringwire_benches::callgrind;
use ringwire_protocol::deflate::Policy;
use ringwire_protocol::{Event, Limits, Receiver, Role, Sender, Workspace};
use streams::{AGREED, STREAMS, Stream};

mod streams;

const OPTIONS: Known<'_> = &[("size", "bytes of the smaller of two streams", 200_000)];

/// The first argument of the process that is counted.
const DRIVE: &str = "drive";

/// Twice the bytes may take so many percent of the instructions.
const GROWTH_MAX: u64 = 210;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let result = match &*arguments {
        [drive, name, size] if drive == DRIVE => driven(name, size),
        _ if !callgrind::is_there() => {
            let _told = writeln!(io::stderr(), "work: skipped, there is no valgrind here");
            return ExitCode::from(callgrind::SKIPPED);
        }
        _ => measure(arguments),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _told = writeln!(io::stderr(), "work: {error}");
            ExitCode::from(2)
        }
    }
}

/// Prints the table. `false`: something is out of proportion.
fn measure(arguments: Vec<String>) -> Result<bool, Box<dyn error::Error>> {
    let size = Arguments::read(OPTIONS, arguments)?.count("size");
    let mut out = io::stdout();
    writeln!(out, "| what arrives | instructions a byte | at most | twice the bytes |")?;
    writeln!(out, "|---|---|---|---|")?;
    let mut holds = true;
    for stream in &STREAMS {
        let [(small, once), (large, twice)] = [count(stream, size)?, count(stream, 2 * size)?];
        let a_byte = (twice.saturating_sub(once)) / (large - small).max(1);
        // To what twice the bytes would be exactly: a stream ends with a whole frame.
        let growth = twice * 200 / once.max(1) * small / large.max(1);
        let is_right = a_byte <= stream.instructions_max && growth <= GROWTH_MAX;
        holds &= is_right;
        let Stream { name, instructions_max, .. } = stream;
        let (whole, part) = (growth / 100, growth % 100);
        let mark = if is_right { "" } else { " **too much**" };
        writeln!(out, "| {name} | {a_byte} | {instructions_max} | × {whole}.{part:02}{mark} |")?;
    }
    Ok(holds)
}

/// The bytes of a stream, and the instructions that they take.
fn count(stream: &Stream, size: usize) -> Result<(u64, u64), Box<dyn error::Error>> {
    let arguments = [DRIVE, stream.name, &size.to_string()];
    let (instructions, bytes) = callgrind::count("work::drive", &arguments)?;
    Ok((bytes.trim().parse()?, instructions))
}

/// The process that is counted: drives a stream and prints its size.
fn driven(name: &str, size: &str) -> Result<bool, Box<dyn error::Error>> {
    let stream = STREAMS.iter().find(|stream| stream.name == name).ok_or("no such stream")?;
    let mut bytes = (stream.make)(size.parse()?);
    let (mut receiver, mut sender) = (Receiver::new(Role::Server), Sender::new(Role::Server));
    if stream.is_compressed {
        receiver = receiver.with_deflate(&AGREED, u32::MAX);
        sender = sender.with_deflate(&AGREED, &Policy::default());
    }
    let count = drive(&mut receiver, &mut sender, &mut bytes, stream.read_size);
    writeln!(io::stdout(), "{}", bytes.len())?;
    Ok(count > 0 && receiver.is_between_messages())
}

/// What a server does with what it has received. Says how many events there were; none but what
/// was to be expected.
#[inline(never)]
fn drive(
    receiver: &mut Receiver,
    sender: &mut Sender,
    bytes: &mut [u8],
    read_size: usize,
) -> usize {
    let mut workspace = Workspace::new(Limits::default());
    let (mut out, mut count) = (Vec::new(), 0);
    for read in bytes.chunks_mut(read_size) {
        let mut input = read;
        while let Some(event) = receiver.next(&mut input, sender, &mut workspace, &mut out) {
            count += 1;
            match event {
                Event::Message(message) => {
                    let sent = sender.message(&message, &mut workspace, &mut out);
                    sent.expect("the connection is open");
                }
                Event::Ping(_) | Event::Inflated(_) => {}
                event => panic!("{event:?}"),
            }
        }
        out.clear();
    }
    count
}
