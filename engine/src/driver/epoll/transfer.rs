//! The calls that move bytes. None of them waits, whether or not the socket is one that would, so
//! that a socket keeps the flags with which it came.

#![expect(unsafe_code, reason = "bytes are received into memory that holds none yet")]

use std::os::fd::OwnedFd;

use rustix::io::{Result, retry_on_intr};
use rustix::net::{RecvFlags, SendFlags, recv, send};

#[cfg(not(target_vendor = "apple"))]
const SEND: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);
/// There the signal of a peer that has gone is ignored by the Rust runtime alone.
#[cfg(target_vendor = "apple")]
const SEND: SendFlags = SendFlags::DONTWAIT;

/// Receives into `buffer`; none is the end of the stream.
pub(in crate::driver) fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> Result<usize> {
    retry_on_intr(|| recv(socket, &mut *buffer, RecvFlags::DONTWAIT)).map(|(size, _)| size)
}

/// Receives behind the bytes of `buffer`, at most `size` more and at most what it has room for.
pub(in crate::driver) fn fill(
    socket: &OwnedFd,
    buffer: &mut Vec<u8>,
    size: usize,
) -> Result<usize> {
    let room = buffer.spare_capacity_mut();
    let size = size.min(room.len());
    let room = room.get_mut(..size).unwrap_or_default();
    let received = retry_on_intr(|| {
        let ((received, _), _) = recv(socket, &mut *room, RecvFlags::DONTWAIT)?;
        Ok(received.len())
    })?;
    // SAFETY: so many bytes have been written behind those that were there, within the capacity.
    unsafe { buffer.set_len(buffer.len() + received) };
    Ok(received)
}

/// Sends what the kernel takes of `bytes`.
pub(in crate::driver) fn transmit(socket: &OwnedFd, bytes: &[u8]) -> Result<usize> {
    // No signal when the peer is gone.
    retry_on_intr(|| send(socket, bytes, SEND))
}
