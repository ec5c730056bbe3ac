//! The echo that is measured beside others.

use std::io::{self, Write};
use std::process::ExitCode;

use ringwire::{Compression, Config, Connection, Handler, Message};

/// One worker, and otherwise the engine's defaults.
#[must_use]
pub fn config(compressed: bool) -> Config {
    Config {
        workers: 1,
        // Whoever starts it has chosen the core.
        pin_workers: false,
        compression: compressed.then(Compression::shared),
        ..Config::default()
    }
}

/// What a server says that does not compress, as the peers' do, and the code that it ends with.
///
/// # Errors
/// It cannot be said.
pub fn refuse_compression() -> io::Result<ExitCode> {
    const NOT_SUPPORTED: u8 = 2;
    writeln!(io::stderr(), "compressed: not supported")?;
    Ok(ExitCode::from(NOT_SUPPORTED))
}

/// Sends each message back.
#[derive(Debug)]
pub struct Echo;

impl Handler for Echo {
    type State = ();

    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        connection.send_back(message);
    }
}
