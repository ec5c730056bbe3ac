//! What connections inherit from their listener.

use std::io;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::options::{set_busy_poll, set_unsent_max};

/// What a listener is given for the connections that it accepts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Inherited {
    pub(crate) unsent_max: Option<u32>,
    pub(crate) busy_poll: Option<Duration>,
}

/// Sets what the connections that it accepts inherit from a listener.
pub(super) fn set_inherited(socket: &Socket, inherited: Inherited) -> io::Result<()> {
    // A reply leaves at once. The engine gathers what belongs together.
    socket.set_tcp_nodelay(true)?;
    if let Some(size) = inherited.unsent_max {
        set_unsent_max(socket, size)?;
    }
    if let Some(time) = inherited.busy_poll {
        set_busy_poll(socket, time)?;
    }
    Ok(())
}

/// Whether the system lets this process have its network cards polled for so long.
pub(crate) fn try_busy_poll(time: Duration) -> io::Result<()> {
    set_busy_poll(&Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?, time)
}
