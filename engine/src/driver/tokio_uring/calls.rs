//! Receives by calls that do not wait, on sockets that may have something. `None`: there is
//! nothing, and a poll tells when there is.

use std::collections::HashMap;

use rustix::io::Errno;

use super::buffers::Buffers;
use super::sockets::{Receive, Socket};
use crate::driver::epoll::transfer;
use crate::driver::{Completion, FILL_SIZE_MAX, Fault, Key};

/// Receives into one of the worker's buffers.
pub(super) fn receive(socket: &mut Socket, key: Key, buffers: &mut Buffers) -> Option<Completion> {
    let Some(mut lease) = buffers.take() else {
        socket.receive = Receive::None;
        let result = Err(Fault::BuffersExhausted);
        return Some(Completion::Received { key, result, more: false });
    };
    let received = transfer::receive(&socket.descriptor, &mut lease.buffer);
    let result = match received {
        Ok(size) if size > 0 => {
            // What fills the buffer is seldom all.
            socket.is_readable = size == lease.buffer.len();
            lease.size = size;
            let more = socket.receive == Receive::Multishot;
            if !more {
                socket.receive = Receive::None;
            }
            return Some(Completion::Received { key, result: Ok(Some(lease)), more });
        }
        Ok(_) => Ok(None),
        Err(errno) => Err(errno),
    };
    buffers.put_back(lease);
    if matches!(result, Err(Errno::AGAIN)) {
        socket.is_readable = false;
        return None;
    }
    socket.receive = Receive::None;
    let result = result.map_err(|errno| Fault::from_errno(errno.raw_os_error()));
    Some(Completion::Received { key, result, more: false })
}

/// Receives into the buffer that is kept for the socket.
pub(super) fn fill(
    socket: &mut Socket,
    key: Key,
    size: usize,
    fills: &mut HashMap<Key, Vec<u8>>,
) -> Option<Completion> {
    let buffer = fills.get_mut(&key)?;
    let filled = transfer::fill(&socket.descriptor, buffer, size.min(FILL_SIZE_MAX));
    if matches!(filled, Err(Errno::AGAIN)) {
        socket.is_readable = false;
        return None;
    }
    socket.receive = Receive::None;
    // Where the kernel has more, the next receive finds it without a poll.
    let buffer = fills.remove(&key)?;
    let result = filled.map_err(|errno| Fault::from_errno(errno.raw_os_error()));
    Some(Completion::Filled { key, result, buffer })
}
