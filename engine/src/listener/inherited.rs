//! Listening sockets that the process was started with, as `sd_listen_fds(3)` describes it.

#![expect(unsafe_code, reason = "what is inherited is a number")]

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::{env, process};

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};

use super::given::{Listener, ListenerFault, check};

/// The first descriptor, behind the three standard ones.
const FIRST: RawFd = 3;

/// More than any service has: a number above this is a mistake.
const COUNT_MAX: usize = 256;

/// Why there is nothing that could be inherited.
#[derive(Debug)]
#[non_exhaustive]
pub enum InheritError {
    /// `LISTEN_PID` or `LISTEN_FDS` is not there: nobody has passed anything on.
    Absent {
        /// The name of the variable.
        variable: &'static str,
    },
    /// `LISTEN_PID` is not the number of this process: the sockets are for another one.
    Process {
        /// What it says.
        value: String,
    },
    /// `LISTEN_FDS` is not a number from 1 to 256.
    Count {
        /// What it says.
        value: String,
    },
    /// `LISTEN_FDNAMES` is there, and has not a name for each socket.
    Names {
        /// How many it has.
        names: usize,
        /// How many sockets there are.
        sockets: usize,
    },
    /// One of the descriptors is none that a server can listen on.
    Descriptor {
        /// Its number, from 3 on.
        number: i32,
        /// Why not.
        fault: ListenerFault,
    },
}

impl fmt::Display for InheritError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("no socket can be inherited: ")?;
        match self {
            Self::Absent { variable } => write!(
                formatter,
                "{variable} is not set. Start this from a unit with a .socket, or with \
                 systemd-socket-activate"
            ),
            Self::Process { value } => write!(
                formatter,
                "LISTEN_PID is {value:?}, and not this process: a program in between must exec \
                 this one, not start it"
            ),
            Self::Count { value } => {
                write!(formatter, "LISTEN_FDS is {value:?}, and not from 1 to {COUNT_MAX}")
            }
            Self::Names { names, sockets } => {
                write!(formatter, "LISTEN_FDNAMES has {names} names for {sockets} sockets")
            }
            Self::Descriptor { number, fault } => write!(formatter, "descriptor {number} {fault}"),
        }
    }
}

impl Error for InheritError {}

impl Listener {
    /// The sockets that the process was started with, as systemd does it for a unit with a
    /// `.socket` (`LISTEN_PID`, `LISTEN_FDS` and `LISTEN_FDNAMES` of `sd_listen_fds(3)`), in the
    /// order of their numbers. They are [`shared`](Self::shared).
    ///
    /// These are duplicates: the descriptors from 3 on stay open for whoever asks again, and no
    /// program that is started from here inherits them any more. The variables stay as they are,
    /// because to remove them is safe only while there is a single thread; `LISTEN_PID` keeps other
    /// processes from taking them for theirs.
    ///
    /// # Errors
    /// [`InheritError`]: there are none, they are for another process, or what is said about them
    /// is not so.
    pub fn inherited() -> Result<Vec<Self>, InheritError> {
        take(|name| env::var_os(name), process::id(), FIRST)
    }
}

/// Takes what was passed on to the process of number `process`, by the variables that it was given,
/// from the descriptor of number `first` on.
pub(super) fn take(
    variable: impl Fn(&str) -> Option<OsString>,
    process: u32,
    first: RawFd,
) -> Result<Vec<Listener>, InheritError> {
    let mut listeners = Vec::new();
    for (number, name) in (first..).zip(announced(variable, process)?) {
        let refused = |fault| InheritError::Descriptor { number, fault };
        let socket = duplicate(number).map_err(ListenerFault::NotASocket).map_err(refused)?;
        check(&socket).map_err(refused)?;
        listeners.push(Listener { socket, name, is_shared: true });
    }
    Ok(listeners)
}

/// The names of the sockets that there are said to be, where they have any.
fn announced(
    variable: impl Fn(&str) -> Option<OsString>,
    process: u32,
) -> Result<Vec<Option<String>>, InheritError> {
    let value = |name| variable(name).ok_or(InheritError::Absent { variable: name });
    let text = |value: &OsStr| value.to_string_lossy().into_owned();
    let id = value("LISTEN_PID")?;
    if number(&id) != Some(u64::from(process)) {
        return Err(InheritError::Process { value: text(&id) });
    }
    let sockets = value("LISTEN_FDS")?;
    let count = number(&sockets).and_then(|count| usize::try_from(count).ok());
    let Some(count @ 1..=COUNT_MAX) = count else {
        return Err(InheritError::Count { value: text(&sockets) });
    };
    let Some(names) = variable("LISTEN_FDNAMES") else { return Ok(vec![None; count]) };
    let names = text(&names);
    let names: Vec<_> = names.split(':').map(|name| Some(name.to_owned())).collect();
    if names.len() != count {
        return Err(InheritError::Names { names: names.len(), sockets: count });
    }
    Ok(names)
}

/// A number as systemd writes it: digits alone, where Rust would also take a plus.
fn number(value: &OsStr) -> Option<u64> {
    let value = value.to_str()?;
    value.bytes().all(|byte| byte.is_ascii_digit()).then(|| value.parse().ok()).flatten()
}

/// A descriptor of our own for the socket of `number`, which stays open, but for this process only.
fn duplicate(number: RawFd) -> io::Result<OwnedFd> {
    // Fails where it is not open. What it is otherwise is looked at later.
    fs::read_link(format!("/proc/self/fd/{number}"))?;
    // SAFETY: it is open, and it is not closed during this call: who passed it on has said that it
    // is for this, so nobody else in this process owns it.
    let inherited = unsafe { BorrowedFd::borrow_raw(number) };
    let duplicate = fcntl_dupfd_cloexec(inherited, FIRST)?;
    fcntl_setfd(inherited, FdFlags::CLOEXEC)?;
    Ok(duplicate)
}
