//! Why a server does not start, or has ended: the machine's faults and the caller's.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::SocketAddr;

use crate::driver::errno;

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
    /// The system refuses io_uring, or what this engine needs of it.
    IoUring {
        /// What was tried.
        step: RingStep,
        /// What the system said.
        source: io::Error,
    },
    /// A worker's thread could not be started.
    Thread(io::Error),
    /// A worker's ring failed while it was serving.
    Ring(io::Error),
    /// A handler panicked. The other workers have been stopped.
    HandlerPanicked,
}

/// What of io_uring the system refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RingStep {
    /// To set up a ring.
    SetUp,
    /// To register a ring of receive buffers (Linux 5.19).
    Buffers,
    /// A multishot receive into these buffers (Linux 6.0).
    MultishotReceive,
    /// A few more descriptors.
    Descriptors,
}

impl fmt::Display for RingStep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::SetUp => "setting up a ring",
            Self::Buffers => "registering a ring of receive buffers",
            Self::MultishotReceive => "a multishot receive",
            Self::Descriptors => "opening its descriptors",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => write!(formatter, "the configuration is not possible: {error}"),
            Self::Listen { address, source } => {
                write!(formatter, "cannot listen on {address}: {source}")?;
                formatter.write_str(listen_advice(source))
            }
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
            Self::IoUring { step, source } => {
                write!(formatter, "io_uring is not usable here: {step}: {source}")?;
                formatter.write_str(ring_advice(source))
            }
            Self::Thread(source) => write!(formatter, "cannot start a worker's thread: {source}"),
            Self::Ring(source) => write!(formatter, "a worker's ring failed: {source}"),
            Self::HandlerPanicked => formatter.write_str("a handler panicked"),
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

fn ring_advice(source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(errno::EPERM | errno::EACCES) => {
            ". It is forbidden: by a seccomp filter, as in a container with the default profile \
             (allow io_uring_setup, io_uring_enter and io_uring_register), or by the sysctl \
             kernel.io_uring_disabled (set it to 0)"
        }
        Some(errno::ENOSYS) => {
            ". This kernel has none, or a sandbox hides it: Linux 6.0 or newer is needed"
        }
        Some(errno::EINVAL) => ". This kernel is too old: Linux 6.0 or newer is needed",
        Some(errno::ENOMEM) => {
            ". Memory that may be locked ran out: raise it (ulimit -l, LimitMEMLOCK=) or use fewer \
             workers"
        }
        Some(errno::EMFILE | errno::ENFILE) => ". Raise the limit of open files (ulimit -n)",
        _ => "",
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Config(error) => Some(error),
            Self::Listen { source, .. }
            | Self::BusyPoll(source)
            | Self::Resolve(source)
            | Self::IoUring { source, .. }
            | Self::Thread(source)
            | Self::Ring(source) => Some(source),
            Self::Descriptors { .. } | Self::HandlerPanicked => None,
        }
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
    /// `mailbox_size` is above 16,777,215, or `mailbox_bytes_max` not below 64 GiB.
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
