//! One server from its start to its end.

use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::client::{self, Client};
use crate::process::Process;
use crate::result::Result;
use crate::scenario::Scenario;

/// Bytes of private memory of the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) connections: usize,
    /// No connection is open, and one was.
    pub(crate) alone: u64,
    /// All are open and nothing has been sent.
    pub(crate) opened: u64,
    /// Each has sent one message and received one.
    pub(crate) used: u64,
    /// Each has sent and received as many more as fill its windows.
    pub(crate) filled: u64,
    /// The last one has just been closed.
    pub(crate) closed: u64,
    /// After some seconds.
    pub(crate) later: u64,
}

/// How thorough to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Messages of each connection after its first.
    messages: usize,
    /// After the last connection has been closed.
    wait: Duration,
}

impl Plan {
    /// 64 KiB in messages of 4 KiB: zlib's window is twice what it can refer to.
    pub(crate) const FULL: Self = Self { messages: 16, wait: Duration::from_secs(5) };
    pub(crate) const QUICK: Self = Self { messages: 1, wait: Duration::ZERO };
}

/// How long the server may take to notice that connections were closed.
const NOTICE: Duration = Duration::from_millis(300);

/// Messages that one connection sends before anything is measured. What all connections share is
/// there then, and touched: the receive buffers, of which there are 256 and which are used one
/// after the other, the answers' buffers and the compressors of the worker.
const WARM_UP: usize = 600;

/// Measures the server of this scenario. `messages` are sent in turn.
pub(crate) fn measure(
    scenario: usize,
    messages: &[String],
    connections: usize,
    plan: &Plan,
) -> Result<Measured> {
    raise_descriptors(connections)?;
    let process = Process::start(scenario)?;
    let message = |number: usize| messages.get(number % messages.len()).map_or("", String::as_str);
    let mut workspace = client::workspace();
    let mut first = Client::open(process.address(), 0)?;
    // What is read later fits the pages of a buffer that this touches: uncompressed, more of them;
    // compressed, one.
    let larger = message(0).repeat(2);
    let warm = if scenario == Scenario::OFF { &larger } else { "a small message" };
    for _ in 0..WARM_UP {
        first.exchange(warm, &mut workspace)?;
    }
    first.exchange(message(0), &mut workspace)?;
    drop(first);
    thread::sleep(NOTICE);
    let alone = process.private_memory()?;

    let mut clients = Vec::with_capacity(connections);
    for number in 0..connections {
        clients.push(Client::open(process.address(), number)?);
    }
    let opened = process.private_memory()?;
    for (number, client) in clients.iter_mut().enumerate() {
        client.exchange(message(number), &mut workspace)?;
    }
    let used = process.private_memory()?;
    for round in 1..=plan.messages {
        for (number, client) in clients.iter_mut().enumerate() {
            client.exchange(message(number + round), &mut workspace)?;
        }
    }
    let filled = process.private_memory()?;
    drop(clients);
    thread::sleep(NOTICE);
    let closed = process.private_memory()?;
    thread::sleep(plan.wait);
    let later = process.private_memory()?;
    Ok(Measured { connections, alone, opened, used, filled, closed, later })
}

/// Makes room for the clients' sockets, as the server does for its own.
fn raise_descriptors(connections: usize) -> Result<()> {
    const OTHERS: u64 = 32;
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    match maximum {
        Some(maximum) if maximum < connections as u64 + OTHERS => {
            Err(format!("there are only {maximum} descriptors").into())
        }
        Some(_) | None => Ok(()),
    }
}
