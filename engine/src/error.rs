//! Why a server does not start, or has ended: the machine's faults and the caller's.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::listener::{InheritError, ListenerFault};
use crate::probe::Demand;
use crate::refusal::Refusal;

/// Why a server did not start, or did not go on.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The configuration contradicts itself.
    Config(ConfigError),
    /// The address could not be listened on: it is taken, not of this machine, or not allowed.
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The path could not be listened on: something else stands there, a server listens there, or
    /// the folder does not let this process.
    ListenUnix {
        /// What was asked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A listener that was given is none that a server can use.
    Listener {
        /// Which of those that were given, from 0.
        number: usize,
        /// Its name, where it is inherited and has one.
        name: Option<String>,
        /// Why not.
        fault: ListenerFault,
    },
    /// More listeners were given than there are workers, each of which accepts from one.
    Listeners {
        /// How many were given.
        listeners: usize,
        /// How many workers there are.
        workers: usize,
    },
    /// No listener could be inherited.
    Inherit(InheritError),
    /// The system refuses [`Config::busy_poll`](crate::Config::busy_poll): more than its
    /// `net.core.busy_read` needs `CAP_NET_ADMIN`.
    BusyPoll(io::Error),
    /// The name of the address could not be resolved.
    Resolve(io::Error),
    /// The limit of open files leaves no room for a single connection.
    Descriptors {
        /// The limit (`ulimit -n`).
        limit: u64,
        /// What this many workers need.
        needed: u64,
    },
    /// `RINGWIRE_DRIVER` names no driver.
    DriverUnknown {
        /// What it says.
        value: String,
    },
    /// io_uring was demanded and cannot be had.
    DriverDemanded {
        /// Who demanded it.
        demand: Demand,
        /// Why it cannot be had.
        refusal: Refusal,
    },
    /// A worker could not have a ring, though there was one when the server began to listen.
    IoUring(Refusal),
    /// The system has not even an epoll for us.
    Epoll(io::Error),
    /// A worker's thread could not be started.
    Thread(io::Error),
    /// A worker's ring failed while it was serving.
    Ring(io::Error),
    /// A handler panicked. The other workers have been stopped.
    HandlerPanicked,
    /// The runtime cannot be the host of a worker.
    #[cfg(any(feature = "tokio", feature = "tokio-uring"))]
    Host(HostError),
}

/// Why a runtime cannot be the host.
#[cfg(any(feature = "tokio", feature = "tokio-uring"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostError {
    /// The future is not polled by a runtime of that kind.
    NoRuntime,
    /// The server has so many workers, and a thread hosts one of them: set
    /// [`Config::workers`](crate::Config::workers) to 1, or give each of
    /// [`Server::parts`](crate::Server::parts) a thread.
    Workers(usize),
}

#[cfg(any(feature = "tokio", feature = "tokio-uring"))]
impl fmt::Display for HostError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRuntime => formatter.write_str("there is none on this thread"),
            Self::Workers(count) => write!(
                formatter,
                "the server has {count} workers and a thread hosts one: set Config::workers to 1, \
                 or give each of Server::parts a thread"
            ),
        }
    }
}

#[cfg(any(feature = "tokio", feature = "tokio-uring"))]
impl StdError for HostError {}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => write!(formatter, "the configuration is not possible: {error}"),
            Self::Listen { address, source } => {
                write!(formatter, "cannot listen on {address}: {source}")?;
                formatter.write_str(listen_advice(source))
            }
            Self::ListenUnix { path, source } => {
                write!(formatter, "cannot listen on unix:{}: {source}", path.display())?;
                formatter.write_str(path_advice(source))
            }
            Self::Listener { number, name, fault } => {
                write!(formatter, "cannot listen on listener {number}")?;
                if let Some(name) = name {
                    write!(formatter, " ({name})")?;
                }
                write!(formatter, ": it {fault}")
            }
            Self::Listeners { listeners, workers } => write!(
                formatter,
                "{listeners} listeners need as many workers, and there are {workers}: each worker \
                 accepts from one"
            ),
            Self::Inherit(error) => error.fmt(formatter),
            Self::BusyPoll(source) => write!(
                formatter,
                "cannot poll network cards: {source}. busy_poll above net.core.busy_read needs \
                 CAP_NET_ADMIN"
            ),
            Self::Resolve(source) => write!(formatter, "cannot resolve the address: {source}"),
            Self::Descriptors { limit, needed } => write!(
                formatter,
                "the limit of open files is {limit} and at least {needed} are needed: raise it \
                 (ulimit -n, LimitNOFILE=) or use fewer workers"
            ),
            Self::DriverUnknown { value } => write!(
                formatter,
                "RINGWIRE_DRIVER is {value:?}, and neither auto, uring nor epoll: unset it or set \
                 it to one of these"
            ),
            Self::DriverDemanded { demand, refusal } => write!(
                formatter,
                "{demand} demands io_uring: {refusal}. Or demand none, and epoll serves"
            ),
            Self::IoUring(refusal) => write!(formatter, "a worker has no ring: {refusal}"),
            Self::Epoll(source) => write!(formatter, "cannot open an epoll: {source}"),
            Self::Thread(source) => write!(formatter, "cannot start a worker's thread: {source}"),
            Self::Ring(source) => write!(formatter, "a worker's ring failed: {source}"),
            Self::HandlerPanicked => formatter.write_str("a handler panicked"),
            #[cfg(any(feature = "tokio", feature = "tokio-uring"))]
            Self::Host(error) => write!(formatter, "the runtime cannot be a host: {error}"),
        }
    }
}

fn listen_advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => ". Another program listens there: end it or choose a free port",
        io::ErrorKind::PermissionDenied => {
            ". Ports below 1024 need CAP_NET_BIND_SERVICE or net.ipv4.ip_unprivileged_port_start"
        }
        io::ErrorKind::AddrNotAvailable => ". No interface of this machine has that address",
        _ => "",
    }
}

fn path_advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            ". Another server listens there, or it is no socket: end the one, remove the other, or \
             choose another path"
        }
        io::ErrorKind::NotFound => ". Its folder does not exist",
        io::ErrorKind::PermissionDenied => ". This user may not write to its folder",
        io::ErrorKind::InvalidInput => ". A path of a socket has at most 107 bytes",
        _ => "",
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Config(error) => Some(error),
            Self::Listen { source, .. }
            | Self::ListenUnix { source, .. }
            | Self::BusyPoll(source)
            | Self::Resolve(source)
            | Self::Epoll(source)
            | Self::Thread(source)
            | Self::Ring(source) => Some(source),
            Self::Inherit(error) => Some(error),
            Self::DriverDemanded { refusal, .. } | Self::IoUring(refusal) => Some(refusal),
            #[cfg(any(feature = "tokio", feature = "tokio-uring"))]
            Self::Host(error) => Some(error),
            Self::Listener { .. }
            | Self::Listeners { .. }
            | Self::DriverUnknown { .. }
            | Self::Descriptors { .. }
            | Self::HandlerPanicked => None,
        }
    }
}

impl From<InheritError> for Error {
    fn from(error: InheritError) -> Self {
        Self::Inherit(error)
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

/// What contradicts itself in a [`Config`](crate::Config).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// More workers than an identifier can name.
    Workers {
        /// How many it can.
        max: usize,
    },
    /// A field that must not be zero.
    Zero {
        /// Its name.
        field: &'static str,
    },
    /// `buffers` is not a power of two from 1 to 32,768.
    Buffers,
    /// `buffer_size` is not from 64 bytes to 16 MiB.
    BufferSize,
    /// A limit that could never be reached, because another one holds before it.
    Above {
        /// Its name.
        field: &'static str,
        /// What it must not be above.
        above: &'static str,
    },
    /// A time of more than 50 days.
    TooLong {
        /// Its name.
        field: &'static str,
    },
    /// `lifetime_jitter_percent` is above 90.
    Jitter,
    /// `lifetime_code` is none that may be sent.
    LifetimeCode,
    /// A window that is not of 9 to 15 bits, a memory level that is not from 1 to 9, a level above
    /// 9, or a ratio of zero.
    Compression,
    /// Not `outbox_low` ≤ `outbox_high` ≤ `outbox_size_max`, with `outbox_high` above zero.
    Marks,
    /// `slow_consumer` closes with a code that cannot be sent.
    SlowConsumerCode(u16),
    /// `cores` is neither empty nor a core for each worker, each another one and one that this
    /// process may use; or the workers are not to be pinned.
    Cores,
    /// More workers are to spin than there are cores: they would keep each other from running.
    Spin {
        /// The cores that this process may use.
        cores: usize,
    },
    /// `busy_poll` is not from 1 µs to 1 s.
    BusyPoll,
    /// `mailbox_size` is above 8,388,607, or `mailbox_bytes_max` not below 64 GiB.
    Mailbox,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workers { max } => write!(formatter, "there are at most {max} workers"),
            Self::Zero { field } => write!(formatter, "{field} must not be zero"),
            Self::Buffers => formatter.write_str("buffers must be a power of two up to 32768"),
            Self::BufferSize => formatter.write_str("buffer_size must be from 64 to 16777216"),
            Self::SlowConsumerCode(code) => {
                write!(formatter, "slow_consumer cannot close with {code}")
            }
            Self::Above { field, above } => {
                write!(formatter, "{field} must not be above {above}, which holds before it")
            }
            Self::TooLong { field } => write!(formatter, "{field} must not be above 50 days"),
            Self::Jitter => formatter.write_str("lifetime_jitter_percent must not be above 90"),
            Self::LifetimeCode => {
                formatter.write_str("lifetime_code must be a code that may be sent")
            }
            Self::Compression => formatter.write_str(
                "compression needs windows of 9 to 15 bits, a memory level from 1 to 9, a level up \
                 to 9 and a ratio above zero",
            ),
            Self::Cores => formatter.write_str(
                "cores must be as many as workers, each another one that this process may use, and \
                 pin_workers true",
            ),
            Self::Spin { cores } => {
                write!(formatter, "spin wants a core for each worker, and there are {cores}")
            }
            Self::BusyPoll => formatter.write_str("busy_poll must be from 1 µs to 1 s"),
            Self::Mailbox => formatter.write_str(
                "mailbox_size must be at most 16777215 and mailbox_bytes_max below 64 GiB",
            ),
            Self::Marks => formatter.write_str(
                "the marks must be in order: outbox_low <= outbox_high <= outbox_size_max, and \
                 outbox_high above zero",
            ),
        }
    }
}

impl StdError for ConfigError {}
