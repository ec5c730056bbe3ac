//! An echo server in a process of its own: this program, started once more.
//!
//! So its memory is nobody else's, its descriptors count apart, and it has a core for itself.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::{env, thread};

use ringwire::{Config, Connection, Handler, Message, Server};

use crate::system;

/// The first argument that makes a program a server.
const SERVE: &str = "serve";

/// A server that ends with this value.
#[derive(Debug)]
pub struct EchoServer {
    child: Child,
    /// Closed, it ends the server.
    input: Option<ChildStdin>,
    address: SocketAddr,
}

impl EchoServer {
    /// Starts this program once more, on `core`, with one variable added to its environment. Its
    /// `main` must call [`serve_if_asked`] first.
    ///
    /// # Errors
    /// If it does not start or does not listen.
    pub fn start(
        core: usize,
        turn_size_max: usize,
        environment: Option<(&str, &str)>,
    ) -> io::Result<Self> {
        let mut child = Command::new(env::current_exe()?)
            .args([SERVE, &core.to_string(), &turn_size_max.to_string()])
            .envs(environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take();
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        match line.trim().parse() {
            Ok(address) => Ok(Self { child, input, address }),
            Err(_) => Err(io::Error::other("the server does not listen")),
        }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The number of its process.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Ends it. `false`: it did not end well.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub fn stop(mut self) -> io::Result<bool> {
        drop(self.input.take());
        Ok(self.child.wait()?.success())
    }
}

impl Drop for EchoServer {
    fn drop(&mut self) {
        if self.input.is_some() {
            // Nobody has stopped it, so something has failed.
            let _ended = self.child.kill();
            let _reaped = self.child.wait();
        }
    }
}

/// Serves, if this process was started for that, until its input is closed. `false`: it was not.
///
/// # Errors
/// Why it does not serve.
pub fn serve_if_asked() -> Result<bool, Box<dyn std::error::Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [serve, core, turn_size_max] = &*arguments else { return Ok(false) };
    if serve != SERVE {
        return Ok(false);
    }
    system::pin(core.parse()?);
    let config = Config {
        workers: 1,
        pin_workers: false,
        turn_size_max: turn_size_max.parse()?,
        ..Config::default()
    };
    let server = Server::bind("127.0.0.1:0", config)?;
    let address = server.address().ok_or("it listens on no address")?;
    let handle = server.handle();
    thread::spawn(move || {
        let mut nothing = Vec::new();
        let _ended = io::stdin().read_to_end(&mut nothing);
        handle.stop();
    });
    let tell = || writeln!(io::stdout(), "{address}");
    // The variable that the tests' servers have as well.
    match env::var("RINGWIRE_TEST_HOST").as_deref() {
        Err(_) => server.run_with(
            |_worker| Echo,
            || {
                let _told = tell();
            },
        )?,
        #[cfg(feature = "hosts")]
        Ok("tokio") => crate::host::on_tokio(server, Echo, tell)?,
        #[cfg(feature = "hosts")]
        Ok("tokio-uring") => crate::host::on_tokio_uring(server, Echo, tell)?,
        Ok(host) => return Err(format!("this was built without a host {host:?}").into()),
    }
    Ok(true)
}

struct Echo;

impl Handler for Echo {
    type State = ();

    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        connection.send(&message);
    }
}
