//! Who takes part, and how a server of theirs is built, started and ended.

use std::process::Command;
use std::{env, error, io};

use ringwire_benches::peers;
use ringwire_benches::server::Server;

use crate::ringwire::Publisher;
use crate::{bare, ringwire};

/// The first argument of this program as a server.
const SERVE: &str = "serve";

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
    pub(crate) fn start(&self, waiting: usize) -> io::Result<Server> {
        let mut command = match self.program {
            Program::Own(name) => {
                let mut command = Command::new(env::current_exe()?);
                command.args([SERVE, name]);
                command
            }
            Program::Peer(name) => Command::new(peers::program(name)),
        };
        Server::start(command.arg(waiting.to_string()))
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
