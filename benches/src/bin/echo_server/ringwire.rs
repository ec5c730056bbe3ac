//! This engine: one worker, and otherwise its defaults.

use std::error::Error;
use std::time::Duration;

use ringwire::{Config, Server};
use ringwire_benches::echo::{Echo, config};
use ringwire_benches::order::announce;

/// Serves until its input is closed.
pub(crate) fn serve(compressed: bool, spin: Duration) -> Result<(), Box<dyn Error>> {
    let config = Config { spin, ..config(compressed) };
    let server = Server::bind("127.0.0.1:0", config)?;
    announce(server.address().ok_or("it listens on no address")?.port())?;
    server.run(|_worker| Echo)?;
    Ok(())
}
