//! System calls of a server for a message, counted by `strace`.

use std::error::Error;
use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command, Stdio};

use ringwire_benches::server::Server;
use rustix::process::Signal;

use crate::contestant::Contestant;
use crate::round::{Pacing, load, signal, start};
use crate::workload::Workload;

/// The shorter one of two counted runs, in milliseconds.
const MILLISECONDS: u64 = 300;

/// How much longer the other one is.
const FACTOR: u64 = 3;

/// System calls for each message. What connections take to come and go is in two runs, one of them
/// longer, and so not in their difference.
///
/// The server is slower meanwhile, so one that gathers work may gather more of it than usual.
pub(crate) fn per_message(
    contestant: &Contestant,
    workload: &Workload,
) -> Result<f64, Box<dyn Error>> {
    let server = start(contestant, workload)?;
    let (calls, messages) = count(&server, contestant, workload, MILLISECONDS)?;
    let (more_calls, more_messages) = count(&server, contestant, workload, MILLISECONDS * FACTOR)?;
    share(more_calls.saturating_sub(calls), more_messages.saturating_sub(messages))
        .ok_or_else(|| "the longer run had no more messages".into())
}

fn share(calls: u64, messages: u64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a second has no 2^53 of them")]
    let share = calls as f64 / messages as f64;
    (messages > 0).then_some(share)
}

/// The calls and the messages of one run.
fn count(
    server: &Server,
    contestant: &Contestant,
    workload: &Workload,
    milliseconds: u64,
) -> Result<(u64, u64), Box<dyn Error>> {
    let counter = Counter::attach(server.process())?;
    let pacing = Pacing { warm_up: 0, milliseconds, rate: 0 };
    let outcome = load(server, contestant, workload, pacing)?;
    Ok((counter.detach()?, outcome.messages))
}

/// A process that counts another one's calls.
struct Counter {
    child: Child,
    told: BufReader<ChildStderr>,
}

impl Counter {
    fn attach(process: u32) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new("strace");
        command.args(["-f", "-c", "-p", &process.to_string()]);
        let started = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = started.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => "there is no strace".to_owned(),
            _ => error.to_string(),
        })?;
        let errors = child.stderr.take().ok_or("strace says nothing")?;
        let mut counter = Self { child, told: BufReader::new(errors) };
        let mut line = String::new();
        counter.told.read_line(&mut line)?;
        if !line.contains("attached") {
            return Err(line.trim().into());
        }
        Ok(counter)
    }

    fn detach(mut self) -> Result<u64, Box<dyn Error>> {
        signal(self.child.id(), Signal::INT)?;
        let mut table = String::new();
        self.told.read_to_string(&mut table)?;
        Ok(total(&table))
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The sum of a table's rows: share, seconds, microseconds a call, calls, perhaps errors, name.
fn total(table: &str) -> u64 {
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|fields| fields.last() != Some(&"total"))
        .filter_map(|fields| match &fields[..] {
            [_, _, _, calls, _, ..] => calls.parse::<u64>().ok(),
            _ => None,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_summed() {
        let table = "strace: Process 10 detached\n\
            % time     seconds  usecs/call     calls    errors syscall\n\
            ------ ----------- ----------- --------- --------- ----------------\n \
            99.00    0.010000           9      1000        12 recvfrom\n  \
            1.00    0.000100          10        10           sendto\n\
            ------ ----------- ----------- --------- --------- ----------------\n\
            100.00    0.010100          10      1010        12 total\n";
        assert_eq!(total(table), 1010);
        assert_eq!(total("strace: Process 10 detached\n"), 0);
        assert_eq!((share(3, 2), share(1, 0)), (Some(1.5), None));
    }
}
