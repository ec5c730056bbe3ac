//! A listener that comes from outside, and whether it is one.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, sockopt};
use socket2::SockRef;

use super::options::is_listening;

/// A listening stream socket from outside: a `TcpListener`, a `UnixListener`, or any descriptor of
/// one. Whether it is one is found out by [`Server::listen_on`](crate::Server::listen_on).
///
/// ```
/// use std::net::TcpListener;
/// use ringwire::{Config, Server};
///
/// let listener = TcpListener::bind("127.0.0.1:0").unwrap();
/// let address = listener.local_addr().unwrap();
/// let server = Server::listen_on([listener.into()], Config::default())?;
/// assert_eq!(server.address(), Some(address));
/// # Ok::<(), ringwire::Error>(())
/// ```
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: OwnedFd,
    pub(super) name: Option<String>,
    /// Somebody outside accepts from it as well.
    pub(super) is_shared: bool,
}

impl Listener {
    /// Its name, where it is inherited: `FileDescriptorName=` of the unit.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Says that somebody outside this server accepts from it as well, or will when this server has
    /// ended: who waits in its backlog when the server stops is left there, and is not told 503.
    #[must_use]
    pub fn shared(mut self) -> Self {
        self.is_shared = true;
        self
    }

    const fn new(socket: OwnedFd) -> Self {
        Self { socket, name: None, is_shared: false }
    }
}

impl From<OwnedFd> for Listener {
    fn from(socket: OwnedFd) -> Self {
        Self::new(socket)
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::new(listener.into())
    }
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self::new(listener.into())
    }
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ListenAddress {
    /// An address and a port.
    Tcp(SocketAddr),
    /// A path of the file system; `None` for a socket that has none, as those of the abstract
    /// namespace.
    Unix(Option<PathBuf>),
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix(Some(path)) => write!(formatter, "unix:{}", path.display()),
            Self::Unix(None) => formatter.write_str("unix:"),
        }
    }
}

/// Why a descriptor is none that a server can listen on.
#[derive(Debug)]
#[non_exhaustive]
pub enum ListenerFault {
    /// It is not open, or not that of a socket.
    NotASocket(io::Error),
    /// It is not of TCP or of the Unix domain.
    Family,
    /// It is not that of a stream.
    NotAStream,
    /// It is that of a connection, or of a socket on which nobody has called `listen`.
    NotListening,
    /// The system refuses one of the options that the configuration asks for.
    Options(io::Error),
}

impl fmt::Display for ListenerFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotASocket(error) => write!(formatter, "is no socket: {error}"),
            Self::Family => formatter.write_str("is neither of TCP nor of the Unix domain"),
            Self::NotAStream => formatter.write_str("is not that of a stream (SOCK_STREAM)"),
            Self::NotListening => formatter.write_str("does not listen: listen(2) is missing"),
            Self::Options(error) => write!(formatter, "does not take its options: {error}"),
        }
    }
}

impl From<Errno> for ListenerFault {
    fn from(errno: Errno) -> Self {
        Self::NotASocket(errno.into())
    }
}

/// Where a socket listens, if that is what it does.
pub(super) fn check(socket: &OwnedFd) -> Result<ListenAddress, ListenerFault> {
    if sockopt::socket_type(socket)? != SocketType::STREAM {
        return Err(ListenerFault::NotAStream);
    }
    let address = rustix::net::getsockname(socket)?;
    if !is_listening(&SockRef::from(socket)).map_err(ListenerFault::NotASocket)? {
        return Err(ListenerFault::NotListening);
    }
    match address.address_family() {
        AddressFamily::INET | AddressFamily::INET6 => {
            let address = SocketAddr::try_from(address).map_err(|_| ListenerFault::Family)?;
            Ok(ListenAddress::Tcp(address))
        }
        AddressFamily::UNIX => {
            let listener =
                UnixListener::from(socket.try_clone().map_err(ListenerFault::NotASocket)?);
            let address = listener.local_addr().map_err(ListenerFault::NotASocket)?;
            Ok(ListenAddress::Unix(UnixAddress::as_pathname(&address).map(Path::to_owned)))
        }
        _ => Err(ListenerFault::Family),
    }
}
