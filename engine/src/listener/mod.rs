//! Listening sockets: bound here, given, or inherited, and which worker has which.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;

use socket2::SockRef;

use crate::driver::{Listening, Sharing};
use file::SocketFile;
use given::check;
use inheritance::set_inherited;

mod address;
mod file;
mod given;
mod inheritance;
mod inherited;
mod options;

pub use given::{ListenAddress, Listener, ListenerFault};
pub use inherited::InheritError;

pub(crate) use inheritance::{Inherited, try_busy_poll};
pub(crate) use options::{set_busy_poll, set_unsent_max};

/// What a server listens on: where, and what each of its workers accepts from.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub(crate) addresses: Vec<ListenAddress>,
    /// One for each worker; `None`: it accepts nobody.
    pub(crate) listening: Vec<Option<Listening>>,
    /// Removed with the server.
    pub(crate) file: Option<SocketFile>,
}

impl Listeners {
    /// A listener for each of `workers` on one address, among which the kernel spreads the peers.
    pub(crate) fn bind(
        address: SocketAddr,
        workers: usize,
        backlog: u32,
        inherited: Inherited,
    ) -> io::Result<Self> {
        let (address, listeners) = address::bind(address, workers, backlog, inherited)?;
        let listening = listeners.into_iter().map(|listener| Some(listener.into())).collect();
        Ok(Self { addresses: vec![ListenAddress::Tcp(address)], listening, file: None })
    }

    /// One listener for all of `workers` on a path of the file system.
    pub(crate) fn bind_unix(
        path: &Path,
        workers: usize,
        backlog: u32,
        mode: Option<u32>,
    ) -> io::Result<Self> {
        let (socket, file) = file::bind(path, backlog, mode)?;
        let address = ListenAddress::Unix(Some(path.to_owned()));
        Ok(Self { file: Some(file), ..Self::share(vec![(socket, address, false)], workers) })
    }

    /// Those that were given, which the workers share: where there are several, each worker has one
    /// of them. There are no more than workers.
    pub(crate) fn given(
        given: Vec<Listener>,
        workers: usize,
        inherited: Inherited,
    ) -> Result<Self, (usize, Option<String>, ListenerFault)> {
        let mut sockets = Vec::new();
        for (number, Listener { socket, name, is_shared }) in given.into_iter().enumerate() {
            match check(&socket).and_then(|address| {
                set_options(&socket, &address, inherited).map_err(ListenerFault::Options)?;
                Ok(address)
            }) {
                Ok(address) => sockets.push((socket, address, is_shared)),
                Err(fault) => return Err((number, name, fault)),
            }
        }
        Ok(Self::share(sockets, workers))
    }

    fn share(sockets: Vec<(OwnedFd, ListenAddress, bool)>, workers: usize) -> Self {
        let (count, mut addresses) = (sockets.len(), Vec::new());
        let mut shared = Vec::new();
        for (number, (socket, address, is_shared)) in sockets.into_iter().enumerate() {
            let sharing = match is_shared {
                true => Sharing::Processes,
                false if number + count < workers => Sharing::Workers,
                false => Sharing::Alone,
            };
            addresses.push(address);
            shared.push(Listening::new(socket, sharing));
        }
        let listening = match count {
            0 => vec![None; workers],
            _ => shared.into_iter().map(Some).cycle().take(workers).collect(),
        };
        Self { addresses, listening, file: None }
    }
}

/// Sets what connections inherit from a listener of TCP. Those of the Unix domain have none of it.
fn set_options(socket: &OwnedFd, address: &ListenAddress, inherited: Inherited) -> io::Result<()> {
    match address {
        ListenAddress::Tcp(_) => set_inherited(&SockRef::from(socket), inherited),
        ListenAddress::Unix(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
