//! One round: a server, the program `load`, and what that tells.

use std::error::Error;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ringwire_benches::server::{OTHER_CORE, Server};
use rustix::process::{Pid, Signal, kill_process};

use crate::contestant::{Contestant, own};
use crate::record::Outcome;
use crate::workload::Workload;

/// How `load` is to go about a workload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pacing {
    /// Milliseconds before those that are measured.
    pub(crate) warm_up: u64,
    /// Milliseconds that are measured.
    pub(crate) milliseconds: u64,
    /// Messages a second, by a schedule; 0 leaves it to the server.
    pub(crate) rate: u64,
}

/// Beyond its times, for connections that are opened and closed. After that something hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// Connections that are opened in a millisecond.
const RAMP: u32 = 10;

/// Plays a round with a server of its own.
pub(crate) fn play(
    contestant: &Contestant,
    workload: &Workload,
    pacing: Pacing,
) -> Result<Outcome, Box<dyn Error>> {
    let mut server = start(contestant, workload)?;
    load(&server, contestant, workload, pacing).map_err(|error| match server.ended() {
        Some(why) => format!("{error}; the server has ended: {why}").into(),
        None => error,
    })
}

/// Starts a server for a workload.
pub(crate) fn start(
    contestant: &Contestant,
    workload: &Workload,
) -> Result<Server, Box<dyn Error>> {
    let command = contestant.command(workload.service()).ok_or("it has no server for this")?;
    Ok(Server::start(&mut command?)?)
}

/// What `load` is told, but for the server.
pub(crate) fn arguments(
    contestant: &Contestant,
    workload: &Workload,
    pacing: Pacing,
) -> Vec<String> {
    let mut arguments = workload.arguments(contestant);
    for (name, value) in [
        ("--rate", pacing.rate),
        ("--warm-up", pacing.warm_up),
        ("--milliseconds", pacing.milliseconds),
        ("--ramp", u64::from(workload.connections / RAMP)),
        ("--core", OTHER_CORE as u64),
    ] {
        arguments.extend([name.to_owned(), value.to_string()]);
    }
    arguments
}

/// Has a server loaded.
pub(crate) fn load(
    server: &Server,
    contestant: &Contestant,
    workload: &Workload,
    pacing: Pacing,
) -> Result<Outcome, Box<dyn Error>> {
    let mut command = own("load")?;
    command.args(["--port", &server.port().to_string()]);
    command.args(["--process", &server.process().to_string()]);
    command.args(arguments(contestant, workload, pacing));
    let time = Duration::from_millis(pacing.warm_up + pacing.milliseconds);
    outcome(&output(&mut command, time + PATIENCE)?)
}

/// What a program prints that ends in time.
fn output(command: &mut Command, time: Duration) -> Result<Output, Box<dyn Error>> {
    let child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let process = child.id();
    let (sender, ended) = mpsc::channel();
    thread::spawn(move || {
        let _nobody_waits = sender.send(child.wait_with_output());
    });
    let Ok(output) = ended.recv_timeout(time) else {
        signal(process, Signal::KILL)?;
        return Err(format!("load has not ended within {} s", time.as_secs()).into());
    };
    Ok(output?)
}

/// Signals a process that this one has started.
pub(crate) fn signal(process: u32, signal: Signal) -> Result<(), Box<dyn Error>> {
    let process = Pid::from_raw(i32::try_from(process)?).ok_or("there is no such process")?;
    Ok(kill_process(process, signal)?)
}

/// The last line of `load`, or of its complaints.
fn outcome(output: &Output) -> Result<Outcome, Box<dyn Error>> {
    let last = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes).trim().lines().next_back().unwrap_or_default().to_owned()
    };
    if !output.status.success() {
        let complaint = last(&output.stderr);
        return Err(match &*complaint {
            "" => format!("load: {}", output.status).into(),
            _ => complaint.into(),
        });
    }
    let outcome: Outcome = serde_json::from_str(&last(&output.stdout))?;
    if outcome.errors > 0 {
        return Err(format!("{} errors", outcome.errors).into());
    }
    if outcome.messages == 0 && outcome.mode != "idle" {
        return Err("nothing has come back".into());
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, milliseconds: u64) -> Result<Outcome, String> {
        let time = Duration::from_millis(milliseconds);
        let output = output(Command::new("sh").args(["-c", script]), time);
        output.and_then(|output| outcome(&output)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_last_line_counts() {
        let told = Outcome { messages: 7, seconds: 0.5, ..Outcome::default() };
        let line = serde_json::to_string(&told).expect("it can be written");
        assert_eq!(shell(&format!("echo before; echo '{line}'"), 5000), Ok(told.clone()));
        let nothing = serde_json::to_string(&Outcome::default()).expect("as above");
        assert_eq!(
            shell(&format!("echo '{nothing}'"), 5000),
            Err("nothing has come back".to_owned())
        );
        let wrong = serde_json::to_string(&Outcome { errors: 2, ..told }).expect("as above");
        assert_eq!(shell(&format!("echo '{wrong}'"), 5000), Err("2 errors".to_owned()));
    }

    #[test]
    fn what_goes_wrong_is_said() {
        let why = |script, time| shell(script, time).expect_err("it goes wrong");
        assert_eq!(why("echo one >&2; echo load: two >&2; exit 1", 5000), "load: two");
        assert!(why("exit 3", 5000).contains("exit status: 3"));
        assert!(why("exec sleep 60", 50).contains("has not ended within"));
        assert!(why("echo nothing", 5000).contains("line 1"));
    }
}
