//! Messages for ten thousand subscribers: what each takes of a server's time, beside other servers
//! and beside what the system itself takes.
//!
//! All servers get the same orders ([`Order`](ringwire_benches::order::Order)) and answer with the
//! same bytes, each in one process on a core of its own; what publishes and what subscribes stand
//! on the other core. The measure is the server's time by the system's count, in its own code and
//! in the system's: for each message that has arrived, in order and whole, at a subscriber. Rounds
//! alternate, so that what else the machine does meets everybody.

use std::io::{self, Write};
use std::process::ExitCode;
use std::{env, error};

use contestant::ALL;
use measure::Plan;
use mimalloc::MiMalloc;
use results::Results;
use ringwire_benches::arguments::{Arguments, Known};
use ringwire_benches::{peers, system};

mod bare;
mod contestant;
mod measure;
mod report;
mod results;
mod ringwire;
mod subscribers;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const OPTIONS: Known<'_> = &[
    ("rounds", "of each contestant", 5),
    ("subscribers", "connections, all to one topic", 10_000),
    ("size", "bytes of a message", 100),
    ("singles", "messages of a round, published one by one", 20),
    ("bursts", "bursts of a round", 4),
    ("burst", "messages of a burst, published in one go", 64),
    ("stuck-rounds", "rounds beside subscribers that read nothing, and without", 2),
    ("stuck", "subscribers that read nothing", 1000),
    ("stuck-total", "MiB published beside them, counted once for each subscriber", 1024),
    ("stuck-size", "bytes of each of these messages", 4096),
    ("waiting", "bytes that may wait for a subscriber, where a server can be told", 64 << 10),
    ("peers", "1 builds and measures the peers as well", 1),
    ("first", "contestants of the list alone, from the first; 0 measures all", 0),
    ("json", "1 prints every round as JSON instead of tables", 0),
];

fn main() -> ExitCode {
    match contestant::serve_if_asked().and_then(|served| if served { Ok(()) } else { compare() }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _told = writeln!(io::stderr(), "fanout: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare() -> Result<(), Box<dyn error::Error>> {
    let arguments = Arguments::read(OPTIONS, env::args().skip(1))?;
    let plan = plan(&arguments)?;
    let has_peers = arguments.value("peers") > 0;
    if has_peers {
        peers::build()?;
    }
    let first = match arguments.count("first") {
        0 => ALL.len(),
        count => count,
    };
    let chosen = ALL.iter().take(first).filter(|one| has_peers || !one.is_peer());
    let mut all: Vec<_> = chosen.map(Results::new).collect();
    // The first ten thousand sockets are made of memory that the system has not had in use.
    if let Some(first) = all.first() {
        Results::new(first.contestant).costs(&plan)?;
    }
    for _ in 0..arguments.value("rounds") {
        all.iter_mut().try_for_each(|results| results.costs(&plan))?;
    }
    for _ in 0..arguments.value("stuck-rounds") {
        let mut queues = all.iter_mut().filter(|results| results.contestant.queues);
        queues.try_for_each(|results| results.patience(&plan))?;
    }
    let mut out = io::stdout().lock();
    if arguments.value("json") > 0 {
        report::json(&mut out, &all)?;
    } else {
        report::tables(&mut out, &all)?;
    }
    Ok(())
}

fn plan(arguments: &Arguments) -> Result<Plan, Box<dyn error::Error>> {
    let plan = Plan {
        subscribers: arguments.count("subscribers"),
        size: arguments.count("size"),
        singles: u32::try_from(arguments.value("singles"))?,
        bursts: u32::try_from(arguments.value("bursts"))?,
        burst: u32::try_from(arguments.value("burst"))?,
        stuck: arguments.count("stuck"),
        stuck_total: arguments.count("stuck-total") << 20,
        stuck_size: arguments.count("stuck-size"),
        waiting: arguments.count("waiting"),
    };
    // Standard streams, the poll, the listener, the ring and the like.
    let descriptors = plan.subscribers as u64 + 50;
    if system::raise_descriptors() < descriptors {
        return Err(format!("{descriptors} descriptors are needed").into());
    }
    if plan.stuck >= plan.subscribers {
        return Err("nobody is left who reads".into());
    }
    Ok(plan)
}
