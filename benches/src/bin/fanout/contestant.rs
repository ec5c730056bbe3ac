//! Who takes part, and how a server of theirs is built, started and ended.

use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::{env, error};

use ringwire_benches::{peers, system};

use crate::ringwire::Publisher;
use crate::{bare, ringwire};

/// The first argument of this program as a server.
const SERVE: &str = "serve";

/// The core of the servers. Everything else has another one.
const SERVER_CORE: usize = 1;
const OTHER_CORE: usize = 0;

/// One of those that are compared.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Contestant {
    /// As tables have it.
    pub(crate) name: &'static str,
    program: Program,
    /// Whether it can have subscribers that read nothing.
    pub(crate) queues: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Program {
    /// This one, with an argument.
    Own(&'static str),
    /// One of the peers' workspace.
    Peer(&'static str),
}

/// All of them, in the order of a round. The first two need no peers.
pub(crate) const ALL: [Contestant; 6] = [
    Contestant { name: "ringwire", program: Program::Own("handler"), queues: true },
    Contestant { name: "bare ring loop", program: Program::Own("bare"), queues: false },
    Contestant { name: "ringwire, from a thread", program: Program::Own("thread"), queues: true },
    Contestant { name: "uWebSockets 20.58", program: Program::Peer("uwebsockets"), queues: true },
    Contestant { name: "sockudo-ws 3.1", program: Program::Peer("sockudo"), queues: true },
    Contestant {
        name: "tokio-tungstenite 0.30",
        program: Program::Peer("tungstenite"),
        queues: true,
    },
];

impl Contestant {
    pub(crate) fn is_peer(&self) -> bool {
        matches!(self.program, Program::Peer(_))
    }

    /// Starts a server on a core of its own.
    pub(crate) fn start(&self, waiting: usize) -> io::Result<Running> {
        let mut command = match self.program {
            Program::Own(name) => {
                let mut command = Command::new(env::current_exe()?);
                command.args([SERVE, name]);
                command
            }
            Program::Peer(name) => Command::new(peers::program(name)),
        };
        command.arg(waiting.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        // It inherits the core.
        system::pin(SERVER_CORE);
        let child = command.spawn();
        system::pin(OTHER_CORE);
        let mut running = Running { child: child?, address: (Ipv4Addr::LOCALHOST, 0).into() };
        let mut line = String::new();
        if let Some(output) = running.child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let port = line.trim().parse().map_err(|_| io::Error::other("it does not listen"))?;
        running.address.set_port(port);
        Ok(running)
    }
}

/// A server that ends with this value.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Running {
    /// The number of its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Serves, if this process was started for that, until its input is closed. `false`: it was not.
pub(crate) fn serve_if_asked() -> Result<bool, Box<dyn error::Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [serve, name, waiting] = &*arguments else { return Ok(false) };
    if serve != SERVE {
        return Ok(false);
    }
    let waiting = waiting.parse()?;
    match &**name {
        "handler" => ringwire::serve(&Publisher::Handler, waiting)?,
        "thread" => ringwire::serve(&Publisher::Thread, waiting)?,
        "bare" => bare::serve()?,
        _ => return Err(format!("there is no server {name}").into()),
    }
    Ok(true)
}
