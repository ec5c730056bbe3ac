//! The program around a server: its help, its mistakes, its signals, and how it ends.

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;
use std::thread;

use ringwire::{Config, Handle, Handler, ListenAddress, Listener, Server};
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

/// Listens where it was asked for: on `ADDRESS:PORT`, on a path (`unix:/run/echo.sock`), or on what
/// the process was started with (`systemd`).
///
/// # Errors
/// As those of [`Server::bind`], [`Server::bind_unix`] and [`Listener::inherited`]; an address that
/// means nothing is named, and what one looks like.
pub fn bind(address: &str, config: Config) -> Result<Server, Box<dyn Error>> {
    let server = match address.strip_prefix("unix:") {
        Some(path) => Server::bind_unix(path, config),
        None if address == "systemd" => Server::listen_on(Listener::inherited()?, config),
        None => Server::bind(address, config),
    };
    server.map_err(|error| match error {
        ringwire::Error::Resolve(source) => {
            format!("cannot resolve {address:?} as ADDRESS:PORT, such as 127.0.0.1:9001: {source}")
                .into()
        }
        error => error.into(),
    })
}

/// Serves until a signal stops it, and says where it listens, and what moves the bytes and why.
///
/// # Errors
/// Something of the system's, before or while it serves.
pub fn serve<H: Handler>(
    server: Server,
    factory: impl Fn(usize) -> H + Sync,
) -> Result<(), Box<dyn Error>> {
    stop_on_signals(server.handle())?;
    let places: Vec<String> = server.addresses().iter().map(place).collect();
    let lines = format!(
        "listening on {} (driver {}, {} {})\ndriver: {}",
        places.join(" and "),
        server.driver(),
        server.workers(),
        if server.workers() == 1 { "worker" } else { "workers" },
        server.probe()
    );
    server.run_with(factory, || {
        // Whoever reads this may have gone; the server serves all the same.
        let _told = writeln!(io::stdout(), "{lines}");
    })?;
    Ok(())
}

/// An address as a browser takes it, where one can.
fn place(address: &ListenAddress) -> String {
    match address {
        ListenAddress::Tcp(address) => format!("ws://{address}"),
        address => address.to_string(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_means_nothing_is_named() {
        let bound = |address| bind(address, Config::default()).map(|server| server.address());
        for address in ["", "nowhere", "127.0.0.1", "127.0.0.1:65536", "::1:x"] {
            let told = bound(address).unwrap_err().to_string();
            let start = format!("cannot resolve {address:?} as ADDRESS:PORT");
            assert!(told.starts_with(&start), "{told}");
        }
        // What else goes wrong is told as the engine tells it: this block is for documents.
        let told = bound("192.0.2.1:0").unwrap_err().to_string();
        assert!(told.starts_with("cannot listen on 192.0.2.1:0"), "{told}");
        assert!(bound("127.0.0.1:0").unwrap().unwrap().port() > 0);
        let told = bound("unix:/nowhere/at/all").unwrap_err().to_string();
        assert!(told.starts_with("cannot listen on unix:/nowhere/at/all: "), "{told}");
        assert!(told.ends_with(". Its folder does not exist"), "{told}");
        let told = bound("systemd").unwrap_err().to_string();
        assert!(told.contains("LISTEN_PID is not set"), "{told}");
    }
}
