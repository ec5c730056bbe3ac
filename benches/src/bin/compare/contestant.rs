//! Who takes part, and how a server of theirs is called.

use std::error::Error;
use std::process::Command;
use std::{env, io};

use ringwire_benches::peers;

/// One of those that are compared.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Contestant {
    /// As `--contestants` and the record have it.
    pub(crate) name: &'static str,
    /// As tables have it.
    pub(crate) title: &'static str,
    echo: Program,
    fan_out: Option<Program>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    /// One beside this one, with arguments.
    Own(&'static str, &'static [&'static str]),
    /// As well, on the driver that needs no ring.
    OnEpoll(&'static str, &'static [&'static str]),
    /// One of the peers' workspace.
    Peer(&'static str),
}

/// What a server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// It echoes; with `permessage-deflate`, where that is agreed on.
    Echo {
        /// Whether it agrees.
        compressed: bool,
    },
    /// It publishes to all, as it is ordered to.
    FanOut,
}

/// The one that the others are compared with.
pub(crate) const OURS: &str = "ringwire";

/// The same, never asleep.
pub(crate) const SPINNING: &str = "ringwire-spin";

/// The same on readiness, as where no ring is allowed.
pub(crate) const EPOLL: &str = "ringwire-epoll";

/// The limit: TCP on a ring, without WebSocket.
pub(crate) const LIMIT: &str = "raw";

/// The same in another runtime, moved by that one's ring.
pub(crate) const IN_TOKIO_URING: &str = "ringwire-tokio-uring";

/// In the same runtime, by a ring of its own.
pub(crate) const BESIDE_TOKIO_URING: &str = "ringwire-beside-tokio-uring";

/// What a runtime takes for the same bytes: the limit of who is hosted there.
pub(crate) const HOST_LIMIT: &str = "bare-tokio-uring";

/// Whether a contestant is somebody else's.
pub(crate) fn is_peer(name: &str) -> bool {
    !name.starts_with(OURS) && ![LIMIT, HOST_LIMIT].contains(&name)
}

/// All of them, in the order of a round.
pub(crate) const ALL: &[Contestant] = &[
    Contestant {
        name: OURS,
        title: "ringwire",
        echo: Program::Own("echo_server", &["ringwire"]),
        fan_out: Some(Program::Own("fanout", &["serve", "handler"])),
    },
    Contestant {
        name: SPINNING,
        title: "ringwire, spinning",
        echo: Program::Own("echo_server", &["ringwire", "spin"]),
        fan_out: None,
    },
    Contestant {
        name: EPOLL,
        title: "ringwire, epoll",
        echo: Program::OnEpoll("echo_server", &["ringwire"]),
        fan_out: Some(Program::OnEpoll("fanout", &["serve", "handler"])),
    },
    Contestant {
        name: LIMIT,
        title: "raw TCP",
        echo: Program::Own("echo_server", &["raw"]),
        // That of `fanout` bears nobody who speaks meanwhile.
        fan_out: None,
    },
    Contestant {
        fan_out: Some(Program::Peer("uwebsockets")),
        ..peer("uwebsockets", "uWebSockets", "echo_uwebsockets")
    },
    peer("fastwebsockets", "fastwebsockets", "echo_fastwebsockets"),
    Contestant {
        fan_out: Some(Program::Peer("tungstenite")),
        ..peer("tungstenite", "tokio-tungstenite", "echo_tungstenite")
    },
    peer("tokio_websockets", "tokio-websockets", "echo_tokio_websockets"),
    Contestant {
        fan_out: Some(Program::Peer("sockudo")),
        ..peer("sockudo", "sockudo-ws", "echo_sockudo")
    },
    peer("yawc", "yawc", "echo_yawc"),
    peer("wtx", "wtx", "echo_wtx"),
    hosted("ringwire-tokio", "ringwire in tokio", &["tokio"]),
    hosted(IN_TOKIO_URING, "ringwire in tokio-uring", &["tokio-uring"]),
    hosted(BESIDE_TOKIO_URING, "ringwire's ring in tokio-uring", &["beside-tokio-uring"]),
    hosted(HOST_LIMIT, "tokio-uring TCP", &["bare-tokio-uring"]),
];

const fn hosted(
    name: &'static str,
    title: &'static str,
    arguments: &'static [&'static str],
) -> Contestant {
    Contestant { name, title, echo: Program::Own("hosted_echo", arguments), fan_out: None }
}

const fn peer(name: &'static str, title: &'static str, echo: &'static str) -> Contestant {
    Contestant { name, title, echo: Program::Peer(echo), fan_out: None }
}

impl Contestant {
    /// Whether it has a server that does this.
    pub(crate) const fn serves(&self, service: Service) -> bool {
        matches!(service, Service::Echo { .. }) || self.fan_out.is_some()
    }

    /// What starts its server. `None`: it has none for this.
    pub(crate) fn command(&self, service: Service) -> Option<io::Result<Command>> {
        let (program, word) = match service {
            Service::Echo { compressed: false } => (self.echo, None),
            Service::Echo { compressed: true } => (self.echo, Some("compressed")),
            Service::FanOut => (self.fan_out?, Some(WAITING)),
        };
        let command = match program {
            Program::Own(name, arguments) => own(name).map(|mut command| {
                command.args(arguments);
                command
            }),
            Program::OnEpoll(name, arguments) => own(name).map(|mut command| {
                command.args(arguments).env("RINGWIRE_DRIVER", "epoll");
                command
            }),
            Program::Peer(name) => Ok(Command::new(peers::program(name))),
        };
        Some(command.map(|mut command| {
            command.args(word);
            command
        }))
    }
}

/// A program of this package, which stands beside this one.
pub(crate) fn own(name: &str) -> io::Result<Command> {
    Ok(Command::new(env::current_exe()?.with_file_name(name)))
}

/// Bytes that may wait for a subscriber of a fan-out, where a server can be told.
const WAITING: &str = "65536";

/// Those whose names stand in a list with commas; without a list, all or all but the peers.
pub(crate) fn chosen(
    names: &str,
    with_peers: bool,
) -> Result<Vec<&'static Contestant>, Box<dyn Error>> {
    if names.is_empty() {
        return Ok(ALL.iter().filter(|one| with_peers || !is_peer(one.name)).collect());
    }
    let find = |name: &str| {
        let found = ALL.iter().find(|one| one.name == name);
        found.ok_or_else(|| {
            let all = ALL.iter().map(|one| one.name).collect::<Vec<_>>().join(", ");
            format!("there is no contestant {name}; there are {all}").into()
        })
    };
    names.split(',').map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(contestant: &Contestant, service: Service) -> Vec<String> {
        let command = contestant.command(service).expect("it serves that").expect("it stands");
        let words = command.get_args().map(|word| word.to_string_lossy().into_owned());
        let program = command.get_program().to_string_lossy().rsplit('/').next().map(str::to_owned);
        program.into_iter().chain(words).collect()
    }

    #[test]
    fn how_servers_are_called() {
        let echo = |compressed| Service::Echo { compressed };
        assert_eq!(words(&ALL[0], echo(false)), ["echo_server", "ringwire"]);
        assert_eq!(words(&ALL[0], echo(true)), ["echo_server", "ringwire", "compressed"]);
        assert_eq!(words(&ALL[1], echo(false)), ["echo_server", "ringwire", "spin"]);
        assert_eq!(words(&ALL[2], echo(true)), ["echo_server", "ringwire", "compressed"]);
        let on_epoll = ALL[2].command(Service::FanOut).expect("it serves that").expect("it stands");
        let driver = Some("epoll".as_ref());
        assert!(on_epoll.get_envs().eq([("RINGWIRE_DRIVER".as_ref(), driver)]));
        assert_eq!(words(&ALL[4], echo(true)), ["echo_uwebsockets", "compressed"]);
        assert_eq!(words(&ALL[4], Service::FanOut), ["uwebsockets", "65536"]);
        assert_eq!(words(&ALL[0], Service::FanOut), ["fanout", "serve", "handler", "65536"]);
        assert!(ALL[10].command(Service::FanOut).is_none() && !ALL[10].serves(Service::FanOut));
    }

    #[test]
    fn who_is_chosen() {
        let names = |list: &str, with_peers| -> Vec<&str> {
            let chosen = chosen(list, with_peers).expect("they are known");
            chosen.iter().map(|one| one.name).collect()
        };
        assert_eq!(names("", false)[..4], [OURS, SPINNING, EPOLL, LIMIT]);
        assert!(names("", false).iter().all(|name| !is_peer(name)));
        assert_eq!(names("", true).len(), ALL.len());
        let peers = ALL.iter().filter(|one| matches!(one.echo, Program::Peer(_)));
        assert!(peers.eq(ALL.iter().filter(|one| is_peer(one.name))));
        assert_eq!(names("wtx,raw", false), ["wtx", "raw"]);
        let error = chosen("raw,none", true).expect_err("there is none").to_string();
        assert!(error.starts_with("there is no contestant none; there are ringwire"), "{error}");
    }
}
