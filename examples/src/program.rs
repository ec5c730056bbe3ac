//! The program around a server: its help, its mistakes, its signals, and how it ends.

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;
use std::thread;

use ringwire::{Handle, Handler, Server};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Does what the command line asks for: `options` are those that were read, or `None` where the
/// help is wanted. The exit code is 2 where the command line is wrong, and 1 where something fails.
pub fn run<O>(
    name: &str,
    help: &str,
    options: Result<Option<O>, impl Display>,
    serve: impl FnOnce(O) -> Result<(), Box<dyn Error>>,
) -> ExitCode {
    let fail = |code: u8, message: &str| {
        let _told = write!(io::stderr(), "{name}: {message}");
        ExitCode::from(code)
    };
    match options {
        Ok(Some(options)) => match serve(options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(1, &format!("{error}\n")),
        },
        Ok(None) => match io::stdout().write_all(help.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => fail(2, &format!("{error}\n\n{help}")),
    }
}

/// Serves until a signal stops it, and says where it listens.
///
/// # Errors
/// Something of the system's, before or while it serves.
pub fn serve<H: Handler>(
    server: Server,
    factory: impl Fn(usize) -> H + Sync,
) -> Result<(), Box<dyn Error>> {
    stop_on_signals(server.handle())?;
    let line = format!(
        "listening on ws://{} (driver {}, {} {})",
        server.address(),
        server.driver(),
        server.workers(),
        if server.workers() == 1 { "worker" } else { "workers" }
    );
    server.run_with(factory, || {
        // Whoever reads this may have gone; the server serves all the same.
        let _told = writeln!(io::stdout(), "{line}");
    })?;
    Ok(())
}

/// The first signal closes every connection properly, the second one ends at once.
fn stop_on_signals(handle: Handle) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        let mut signals = signals.forever();
        if signals.next().is_some() {
            handle.stop();
        }
        if signals.next().is_some() {
            handle.stop_now();
        }
    })?;
    Ok(())
}
