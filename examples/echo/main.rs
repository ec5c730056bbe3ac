//! An echo server: sends every message back, and shows a page that tries it and one of what it has
//! counted.

use std::io::{self, Write};
use std::process::ExitCode;
use std::{env, thread};

use metrics::Metrics;
use options::{HELP, Options};
use ringwire::{Connection, Handle, Handler, Message, Request, Response, Server, Upgrade};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

mod allocator;
mod metrics;
mod options;

const PAGE: &str = include_str!("page.html");

struct Echo {
    metrics: Metrics,
}

impl Handler for Echo {
    type State = ();

    fn upgrade(&mut self, request: &Request<'_>) -> Upgrade<()> {
        // A client that offers subprotocols fails where none is chosen; an echo speaks any.
        match request.subprotocols().next() {
            Some(name) => Upgrade::accept().subprotocol(name.to_owned()),
            None => Upgrade::accept(),
        }
    }

    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        connection.send(&message);
    }

    fn request(&mut self, request: &Request<'_>) -> Response {
        match request.path() {
            "/" => Response::text(200, PAGE)
                .header("Content-Type", "text/html; charset=utf-8")
                .header("Cache-Control", "no-store"),
            "/metrics" => self.metrics.response(),
            _ => {
                Response::text(404, "There are only pages at / and /metrics, and the WebSocket.\n")
            }
        }
    }
}

fn main() -> ExitCode {
    allocator::give_back();
    let listen = env::var("RINGWIRE_LISTEN").ok();
    let options = match Options::read(env::args_os().skip(1), listen) {
        Ok(options) => options,
        Err(error) => return fail(2, &format!("{error}\n\n{HELP}")),
    };
    if options.help {
        return match io::stdout().write_all(HELP.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    match serve(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, &format!("{error}\n")),
    }
}

fn serve(options: Options) -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::bind(&*options.listen, options.config)?;
    let handle = server.handle();
    stop_on_signals(handle.clone())?;
    let line = format!(
        "listening on ws://{} (driver {}, {} {})",
        server.address(),
        server.driver(),
        server.workers(),
        if server.workers() == 1 { "worker" } else { "workers" }
    );
    server.run_with(
        |_worker| Echo { metrics: Metrics::new(handle.clone()) },
        || {
            // Whoever reads this may have gone; the server serves all the same.
            let _told = writeln!(io::stdout(), "{line}");
        },
    )?;
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

fn fail(code: u8, message: &str) -> ExitCode {
    let _told = write!(io::stderr(), "echo: {message}");
    ExitCode::from(code)
}
