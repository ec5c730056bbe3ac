//! The process that is measured: an echo server with one worker.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread;

use ringwire::{Config, Connection, Handler, Message, Server};

use crate::result::Result;
use crate::scenario::Scenario;

struct Echo;

impl Handler for Echo {
    type State = ();

    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        connection.send(&message);
    }
}

/// Serves until standard input ends, as it does with the process at its other end. The port is
/// written to standard output.
pub(crate) fn serve(scenario: usize) -> Result<()> {
    let scenarios = Scenario::all();
    let Scenario { compression } = scenarios.get(scenario).ok_or("there is no such scenario")?;
    let config = Config {
        workers: 1,
        compression: *compression,
        // Clients are silent for longer than this, and do not read.
        ping_interval: None,
        ..Config::default()
    };
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    let server = Server::bind(address, config)?;
    let port = server.address().ok_or("it listens on no address")?.port();
    let handle = server.handle();
    thread::spawn(move || {
        let _ended = io::stdin().read(&mut [0]);
        handle.stop_now();
    });
    server.run_with(
        |_worker| Echo,
        || {
            let _told = writeln!(io::stdout(), "{port}");
        },
    )?;
    Ok(())
}
