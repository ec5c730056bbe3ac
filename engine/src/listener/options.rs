//! Options of sockets that Linux has, and of which others refuse to be asked.

use std::io;
use std::time::Duration;

use socket2::Socket;

/// How many bytes the kernel takes that it has not sent yet.
#[cfg(target_os = "linux")]
pub(crate) fn set_unsent_max(socket: &Socket, size: u32) -> io::Result<()> {
    socket.set_tcp_notsent_lowat(size)
}

/// For how long who waits for the socket polls its network card.
#[cfg(target_os = "linux")]
pub(crate) fn set_busy_poll(socket: &Socket, time: Duration) -> io::Result<()> {
    socket.set_busy_poll(u32::try_from(time.as_micros()).unwrap_or(u32::MAX))
}

/// Whether somebody has called `listen` on it.
#[cfg(target_os = "linux")]
pub(super) fn is_listening(socket: &Socket) -> io::Result<bool> {
    socket.is_listener()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn set_unsent_max(_: &Socket, _: u32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn set_busy_poll(_: &Socket, _: Duration) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Nobody says so: where it does not, the first accept fails.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it may fail")]
pub(super) fn is_listening(_: &Socket) -> io::Result<bool> {
    Ok(true)
}
