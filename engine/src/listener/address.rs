//! Listening on an address: one socket per worker, among which the kernel spreads the peers.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use super::inheritance::{Inherited, set_inherited};

/// Binds `count` listeners to `address`. A port of 0 is chosen by the system, the same for all. Of
/// each connection the kernel takes no more than `unsent_max` bytes before it sends them.
///
/// The first one is bound without `SO_REUSEPORT`, so that it fails where anybody else listens, a
/// second instance of this program included; with it the two would silently share the peers.
pub(super) fn bind(
    address: SocketAddr,
    count: usize,
    backlog: u32,
    inherited: Inherited,
) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
    let first = socket(address, inherited)?;
    first.bind(&address.into())?;
    first.set_reuse_port(true)?;
    first.listen(backlog)?;
    let first = TcpListener::from(first);
    let address = first.local_addr()?;
    let mut listeners = vec![first];
    for _ in 1..count {
        let next = socket(address, inherited)?;
        next.set_reuse_port(true)?;
        next.bind(&address.into())?;
        next.listen(backlog)?;
        listeners.push(next.into());
    }
    Ok((address, listeners))
}

fn socket(address: SocketAddr, inherited: Inherited) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart need not wait for the connections of the last run to be forgotten.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        // `[::]` means both families, whatever the system's default.
        socket.set_only_v6(false)?;
    }
    set_inherited(&socket, inherited)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::bind;
    use crate::listener::inheritance::{Inherited, try_busy_poll};
    use socket2::SockRef;
    use std::io::ErrorKind;
    use std::net::{Ipv4Addr, SocketAddr, TcpStream};
    use std::time::Duration;

    const NOTHING: Inherited = Inherited { unsent_max: None, busy_poll: None };

    #[test]
    fn a_taken_port_is_an_error() {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (address, listeners) = bind(any, 3, 16, NOTHING).unwrap();
        assert_eq!(listeners.len(), 3);
        assert_ne!(address.port(), 0);
        for listener in &listeners {
            assert_eq!(listener.local_addr().unwrap(), address);
        }
        assert_eq!(
            bind(address, 1, 16, NOTHING).map(|_| ()).map_err(|e| e.kind()),
            Err(ErrorKind::AddrInUse)
        );
        drop(listeners);
        assert!(bind(address, 2, 16, NOTHING).is_ok());
    }

    #[test]
    fn connections_inherit_what_the_kernel_takes() {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (address, listeners) =
            bind(any, 1, 16, Inherited { unsent_max: Some(70_000), ..NOTHING }).unwrap();
        let _client = TcpStream::connect(address).unwrap();
        let (accepted, _) = listeners[0].accept().unwrap();
        assert_eq!(SockRef::from(&accepted).tcp_notsent_lowat().unwrap(), 70_000);
    }

    #[test]
    fn connections_are_polled_as_their_listener_is() {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let time = Duration::from_micros(70);
        let polled = |time| {
            let (address, listeners) =
                bind(any, 1, 16, Inherited { busy_poll: time, ..NOTHING }).unwrap();
            let _peer = TcpStream::connect(address).unwrap();
            let (accepted, _) = listeners[0].accept().unwrap();
            SockRef::from(&accepted).busy_poll().unwrap()
        };
        match try_busy_poll(time) {
            Ok(()) => assert_ne!(polled(Some(time)), polled(None)),
            // This process may not, and hears so before anything listens.
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::PermissionDenied);
                assert!(bind(any, 1, 16, Inherited { busy_poll: Some(time), ..NOTHING }).is_err());
                return;
            }
        }
        assert_eq!(polled(Some(time)), 70);
    }
}
