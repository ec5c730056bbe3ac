//! A load for a server: many connections on one thread, every byte that comes back compared, and
//! the server's time of the processor, its memory and the delays measured meanwhile.
//!
//! It is the same for all servers that are compared, and made never to be what limits them. Its
//! messages are masked, and compressed, before anything is measured, and what comes back is
//! compared where it has arrived. With a rate, messages are sent when they are due and not when an
//! answer allows it, and a delay counts from that moment. The last line of the standard output is
//! a JSON object; everything else is said on the standard error. `--help` tells the options.
//!
//! ```text
//! load --port 9001 --process 4711 --connections 100 --depth 4     # as fast as answers come
//! load --port 9001 --process 4711 --connections 100 --rate 20000  # whatever answers come
//! ```

use std::env;
use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::num::NonZeroU64;
use std::process::ExitCode;

use connect::Cycles;
use crowd::Crowd;
use echo::Echo;
use fanout::Fanout;
use mimalloc::MiMalloc;
use plan::{Mode, Plan};
use ringwire_benches::system;
use window::Window;
use wrong::Wrong;

mod check;
mod connect;
mod crowd;
mod door;
mod echo;
mod fanout;
mod messages;
mod plan;
mod report;
mod ring;
mod schedule;
mod stream;
mod window;
mod wrong;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Standard streams, the ring and the like.
const DESCRIPTORS: u64 = 50;

fn main() -> ExitCode {
    match load() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _told = writeln!(io::stderr(), "load: {error}");
            ExitCode::from(2)
        }
    }
}

/// `false`: the server did something wrong.
fn load() -> Result<bool, Box<dyn Error>> {
    let plan = Plan::read(env::args().skip(1))?;
    system::pin(plan.core);
    // A wait for the next moment of a schedule would else end some 50 microseconds late.
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
    let needed = plan.connections as u64 + DESCRIPTORS;
    let most = system::raise_descriptors();
    if most < needed {
        return Err(format!("{needed} descriptors are needed, and there are {most}").into());
    }
    let mut window = Window::new(&plan)?;
    let done = if plan.mode == Mode::Connect {
        Cycles::new(&plan)?.run(&mut window)
    } else {
        talk(&plan, &mut window)?
    };
    if let Err(wrong) = &done {
        writeln!(io::stderr(), "load: {wrong}")?;
    }
    if let Some(path) = &plan.histogram {
        fs::write(path, report::percentiles(window.delays()))?;
    }
    let errors = u64::from(done.is_err());
    writeln!(io::stdout(), "{}", report::json(&plan, &window, errors))?;
    Ok(done.is_ok())
}

/// What connections have to say that stay open. What the server did wrong is what is returned
/// within.
fn talk(plan: &Plan, window: &mut Window<'_>) -> Result<Result<(), Wrong>, Box<dyn Error>> {
    let (mut crowd, agreed) = Crowd::open(plan, window)?;
    let waits_for_all = plan.rate > 0;
    let done = match plan.mode {
        Mode::Fanout => crowd.run(&mut Fanout::new(plan), window, waits_for_all),
        Mode::Echo | Mode::Idle | Mode::Connect => {
            crowd.run(&mut Echo::new(plan, &agreed)?, window, waits_for_all)
        }
    };
    crowd.reset()?;
    Ok(done)
}
