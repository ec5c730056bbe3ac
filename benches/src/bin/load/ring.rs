//! The client's ring: it connects, sends and receives for thousands of sockets, on one thread.

#![expect(unsafe_code, reason = "submissions name memory and descriptors to the kernel")]

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use io_uring::types::{BufRingEntry, CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use socket2::SockAddr;

/// Entries of the queue of submissions, as in the engine.
const SUBMISSIONS: u32 = 2048;

/// Entries that connect, send and receive.
const CHAIN: usize = 3;

/// The only group of buffers.
const GROUP: u16 = 0;

/// Bytes of memory that are on their way to a socket, shared with whoever made them.
#[derive(Clone, Debug)]
pub(crate) struct Bytes {
    pub(crate) memory: Rc<[u8]>,
    pub(crate) range: Range<usize>,
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self { range: 0..bytes.len(), memory: bytes.into() }
    }
}

/// A buffer that the kernel has filled. It is given back with [`Ring::give_back`].
#[derive(Debug)]
pub(crate) struct Lease {
    id: u16,
    buffer: Box<[u8]>,
    size: usize,
}

impl Lease {
    /// What has been received.
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        &mut self.buffer[..self.size]
    }
}

/// What has come of an operation, on the socket of that number.
#[derive(Debug)]
pub(crate) enum Completion {
    /// It is connected.
    Connected(io::Result<()>),
    /// So many bytes were taken.
    Sent(usize, io::Result<usize>),
    /// Something has arrived; `None` is the end of what arrives.
    Received(usize, io::Result<Option<Lease>>),
}

/// The ring, and what the kernel reads and writes for it.
///
/// The caller's contract: at most one send is under way on a socket, and a socket whose receive is
/// armed stays open until the end of what arrives or until the ring is dropped.
pub(crate) struct Ring {
    // Dropped first, before the memory that the kernel reads and writes.
    ring: IoUring,
    pages: Box<[Page]>,
    /// Each buffer while the kernel may write into it; `None` while it is lent.
    buffers: Vec<Option<Box<[u8]>>>,
    tail: u16,
    published: u16,
    /// What is being sent, by the number of its socket.
    flights: Vec<Option<Rc<[u8]>>>,
    /// The descriptors of the sockets that are received from.
    descriptors: Vec<RawFd>,
    server: Box<SockAddr>,
    /// Empty: the memory of what is taken out of the ring.
    entries: Vec<cqueue::Entry>,
}

/// The entries of the ring of buffers stand at the start of a page.
#[repr(C, align(4096))]
#[derive(Clone)]
struct Page([u8; PAGE]);

const PAGE: usize = 4096;

/// The kinds of operation, in the lowest bits of what a completion bears.
const CONNECT: u64 = 0;
const SEND: u64 = 1;
const RECEIVE: u64 = 2;
const KIND_BITS: u32 = 2;

/// `MSG_NOSIGNAL` and `MSG_WAITALL` of Linux: no signal where the peer is gone, and a send is over
/// when all of it has been taken.
const SEND_FLAGS: i32 = 0x4000 | 0x100;

/// The system's numbers: a time that has passed, an interruption, a queue that is full, no buffer.
const ETIME: i32 = 62;
const EINTR: i32 = 4;
const EBUSY: i32 = 16;
const ENOBUFS: i32 = 105;

impl Ring {
    /// A ring for so many sockets, with `count` buffers of `size` bytes. `count` is a power of two,
    /// at most 2^15.
    pub(crate) fn new(
        server: SocketAddr,
        sockets: usize,
        count: u16,
        size: usize,
    ) -> io::Result<Self> {
        debug_assert!(count.is_power_of_two());
        let entries = usize::from(count) * size_of::<BufRingEntry>();
        let mut ring = Self {
            ring: set_up()?,
            pages: vec![Page([0; PAGE]); entries.div_ceil(PAGE)].into(),
            buffers: (0..count).map(|_| None).collect(),
            tail: 0,
            published: 0,
            flights: vec![None; sockets],
            descriptors: vec![-1; sockets],
            server: Box::new(server.into()),
            entries: Vec::new(),
        };
        let address = ring.pages.as_ptr() as u64;
        let submitter = ring.ring.submitter();
        // SAFETY: the pages live as long as the ring.
        unsafe { submitter.register_buf_ring_with_flags(address, count, GROUP, 0) }?;
        for id in 0..count {
            ring.give_back(Lease { id, buffer: vec![0; size].into(), size: 0 });
        }
        Ok(ring)
    }

    /// Connects a socket to the server, sends `bytes` to it, and receives from it from then on.
    pub(crate) fn connect(&mut self, number: usize, socket: &impl AsRawFd, bytes: &Bytes) {
        // The three are a chain, which must not be cut by a submission.
        let queue = self.ring.submission();
        let room = queue.capacity() - queue.len();
        drop(queue);
        if room < CHAIN {
            self.submit();
        }
        let descriptor = Fd(socket.as_raw_fd());
        let connect =
            opcode::Connect::new(descriptor, self.server.as_ptr().cast(), self.server.len());
        let linked = connect.build().flags(squeue::Flags::IO_LINK);
        self.push(&linked, number, CONNECT);
        let send = self.send_entry(number, descriptor, bytes).flags(squeue::Flags::IO_LINK);
        self.push(&send, number, SEND);
        self.receive(number, socket);
    }

    /// Receives from a socket, until the end.
    pub(crate) fn receive(&mut self, number: usize, socket: &impl AsRawFd) {
        self.descriptors[number] = socket.as_raw_fd();
        self.arm(number);
    }

    /// Sends bytes to a socket.
    pub(crate) fn send(&mut self, number: usize, socket: &impl AsRawFd, bytes: &Bytes) {
        let entry = self.send_entry(number, Fd(socket.as_raw_fd()), bytes);
        self.push(&entry, number, SEND);
    }

    /// Gives back what a completion has lent.
    pub(crate) fn give_back(&mut self, mut lease: Lease) {
        let index = usize::from(self.tail) & (self.buffers.len() - 1);
        let entries = self.pages.as_mut_ptr().cast::<BufRingEntry>();
        // SAFETY: the index is below the count of entries that the pages were allocated for.
        let entry = unsafe { entries.add(index) };
        // SAFETY: the entry is ours: the kernel reads only up to the published tail.
        let entry = unsafe { &mut *entry };
        entry.set_addr(lease.buffer.as_mut_ptr() as u64);
        entry.set_len(u32::try_from(lease.buffer.len()).unwrap_or(u32::MAX));
        entry.set_bid(lease.id);
        self.tail = self.tail.wrapping_add(1);
        self.buffers[usize::from(lease.id)] = Some(lease.buffer);
    }

    /// Submits what was asked for, waits for a completion, but not for longer than `time`, and
    /// appends all that there are.
    pub(crate) fn wait(&mut self, time: Duration, out: &mut Vec<Completion>) -> io::Result<()> {
        self.publish();
        let timeout = Timespec::from(time);
        let args = SubmitArgs::new().timespec(&timeout);
        match self.ring.submitter().submit_with_args(1, &args) {
            Ok(_) => {}
            Err(error) if matches!(error.raw_os_error(), Some(ETIME | EINTR | EBUSY)) => {}
            Err(error) => return Err(error),
        }
        let mut entries = mem::take(&mut self.entries);
        entries.extend(self.ring.completion());
        out.extend(entries.drain(..).filter_map(|entry| self.complete(&entry)));
        self.entries = entries;
        Ok(())
    }

    /// `None`: there was no buffer, and the receive has been armed again.
    fn complete(&mut self, entry: &cqueue::Entry) -> Option<Completion> {
        let number = usize::try_from(entry.user_data() >> KIND_BITS).ok()?;
        let result = entry.result();
        let size = usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result));
        match entry.user_data() & ((1 << KIND_BITS) - 1) {
            CONNECT => Some(Completion::Connected(size.map(|_| ()))),
            SEND => {
                self.flights[number] = None;
                Some(Completion::Sent(number, size))
            }
            _ => {
                let is_armed = cqueue::more(entry.flags());
                if !is_armed && (result > 0 || result == -ENOBUFS) {
                    self.arm(number);
                }
                if result == -ENOBUFS {
                    return None;
                }
                let lease = size.map(|size| self.lend(cqueue::buffer_select(entry.flags()), size));
                Some(Completion::Received(number, lease))
            }
        }
    }

    fn lend(&mut self, id: Option<u16>, size: usize) -> Option<Lease> {
        let id = id?;
        let buffer = self.buffers.get_mut(usize::from(id))?.take()?;
        let lease = Lease { id, buffer, size };
        if size > 0 {
            return Some(lease);
        }
        self.give_back(lease);
        None
    }

    fn arm(&mut self, number: usize) {
        let entry = opcode::RecvMulti::new(Fd(self.descriptors[number]), GROUP).build();
        self.push(&entry, number, RECEIVE);
    }

    fn send_entry(&mut self, number: usize, descriptor: Fd, bytes: &Bytes) -> squeue::Entry {
        debug_assert!(self.flights[number].is_none(), "two sends on one socket");
        let part = &bytes.memory[bytes.range.clone()];
        let (start, size) = (part.as_ptr(), u32::try_from(part.len()).unwrap_or(u32::MAX));
        self.flights[number] = Some(Rc::clone(&bytes.memory));
        opcode::Send::new(descriptor, start, size).flags(SEND_FLAGS).build()
    }

    fn push(&mut self, entry: &squeue::Entry, number: usize, kind: u64) {
        let entry = entry.clone().user_data((number as u64) << KIND_BITS | kind);
        // SAFETY: what the entry names lives until its completion: sends own their bytes in
        // `flights`, receives use the registered buffers, connects the server's address.
        while unsafe { self.ring.submission().push(&entry) }.is_err() {
            self.submit();
        }
    }

    fn submit(&mut self) {
        self.publish();
        // What it says, the next wait says as well.
        let _submitted = self.ring.submit();
    }

    /// Shows the kernel everything that has been given back.
    fn publish(&mut self) {
        if self.tail == self.published {
            return;
        }
        // SAFETY: the pointer is that of the first entry of the ring of buffers.
        let tail = unsafe { BufRingEntry::tail(self.pages.as_mut_ptr().cast()) };
        // SAFETY: the field is two bytes, aligned, and written only here; the kernel reads it.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        // Release: the entries are written before the kernel can see them.
        tail.store(self.tail, Ordering::Release);
        self.published = self.tail;
    }
}

/// Set up as the engine's ring is, so that the client is no slower than the best of the servers.
fn set_up() -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder
        .setup_single_issuer()
        .setup_submit_all()
        .setup_cqsize(16 * SUBMISSIONS)
        .setup_clamp()
        .setup_defer_taskrun()
        .setup_taskrun_flag();
    let ring = builder.build(SUBMISSIONS)?;
    let _unregistered = ring.submitter().register_ring_fd();
    Ok(ring)
}

impl Drop for Ring {
    fn drop(&mut self) {
        // Nothing may read or write the memory once it is freed.
        let _cancelled = self.ring.submitter().register_sync_cancel(None, CancelBuilder::any());
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn more_than_the_buffers_hold_arrives_in_order() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let socket = TcpStream::connect(address).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let mut ring = Ring::new(address, 3, 4, 16).unwrap();
        ring.receive(2, &socket);
        let sent: Vec<u8> = (0..=255).collect();
        peer.write_all(&sent).unwrap();
        drop(peer);
        let (mut got, mut completions, mut is_over) = (Vec::new(), Vec::new(), false);
        while !is_over {
            ring.wait(PATIENCE, &mut completions).unwrap();
            for completion in completions.drain(..) {
                let Completion::Received(2, Ok(lease)) = completion else {
                    panic!("{completion:?}")
                };
                match lease {
                    Some(mut lease) => {
                        got.extend_from_slice(lease.bytes());
                        ring.give_back(lease);
                    }
                    None => is_over = true,
                }
            }
        }
        assert_eq!(got, sent);
    }

    #[test]
    fn it_connects_and_sends_in_one_go() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut ring = Ring::new(listener.local_addr().unwrap(), 1, 4, 16).unwrap();
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        ring.connect(0, &socket, &Bytes::from(b"hello".to_vec()));
        let mut completions = Vec::new();
        while completions.len() < 2 {
            ring.wait(PATIENCE, &mut completions).unwrap();
        }
        assert!(matches!(completions[0], Completion::Connected(Ok(()))));
        assert!(matches!(completions[1], Completion::Sent(0, Ok(5))));
        let mut got = [0; 5];
        listener.accept().unwrap().0.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"hello");
    }
}
