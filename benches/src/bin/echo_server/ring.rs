//! A ring that is set up as the engine's is, and as many receive buffers of the same size.

#![expect(unsafe_code, reason = "submissions name memory and descriptors to the kernel")]

use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use io_uring::types::{BufRingEntry, CancelBuilder, Fd, SubmitArgs};
use io_uring::{IoUring, cqueue, opcode, squeue};

/// Entries of the queue of submissions, as in the engine.
const SUBMISSIONS: u32 = 2048;

/// Buffers of the ring, and bytes of each: the engine's defaults.
const BUFFERS: u16 = 256;
const SIZE: usize = 32 << 10;

/// Looks of a server that does not sleep between two readings of the clock, as in the engine.
const LOOKS: u32 = 16;

/// What a completion is of. The rest of the bits is the connection's slot.
const ACCEPT: u64 = 0;
const RECEIVE: u64 = 1;
const SEND: u64 = 2;

/// What has happened.
pub(crate) enum Completion {
    /// Somebody has come. Without `more`, nobody else will.
    Accepted { stream: io::Result<TcpStream>, more: bool },
    /// So many bytes have come, none at their end. Without `more`, nothing else will.
    Received { slot: usize, result: io::Result<usize>, lease: Option<Lease>, more: bool },
    /// So many of the bytes have been taken, beginning with `from`.
    Sent { slot: usize, result: io::Result<usize>, bytes: Vec<u8>, from: usize },
}

/// A buffer that the kernel has filled and does not write to until it is put back.
pub(crate) struct Lease {
    id: u16,
    size: usize,
}

/// What the kernel reads until the send completes, and where it begins.
struct Flight {
    bytes: Vec<u8>,
    from: usize,
}

/// The entries of the ring of buffers stand at the start of a page.
#[repr(C, align(4096))]
struct Page([u8; 4096]);

const _: () = assert!(BUFFERS as usize * size_of::<BufRingEntry>() == size_of::<Page>());

/// The ring, its receive buffers, its listener.
pub(crate) struct Ring {
    // Dropped first, before the memory that the kernel reads and writes.
    ring: IoUring,
    page: Box<Page>,
    buffers: Vec<Box<[u8]>>,
    tail: u16,
    /// What is being sent for each slot.
    flights: Vec<Option<Flight>>,
    listener: TcpListener,
}

impl Ring {
    pub(crate) fn new(listener: TcpListener) -> io::Result<Self> {
        let mut builder = IoUring::builder();
        builder
            .setup_single_issuer()
            .setup_submit_all()
            .setup_cqsize(4 * SUBMISSIONS)
            .setup_clamp()
            .setup_taskrun_flag()
            .setup_defer_taskrun()
            .setup_no_sqarray();
        let ring = builder.build(SUBMISSIONS)?;
        let _unregistered = ring.submitter().register_ring_fd();
        let page = Box::new(Page([0; 4096]));
        let buffers = (0..BUFFERS).map(|_| vec![0; SIZE].into_boxed_slice()).collect();
        let address = (&raw const *page) as u64;
        let mut ring = Self { ring, page, buffers, tail: 0, flights: Vec::new(), listener };
        // SAFETY: the page lives as long as the ring.
        unsafe { ring.ring.submitter().register_buf_ring_with_flags(address, BUFFERS, 0, 0) }?;
        for id in 0..BUFFERS {
            ring.put_back(Lease { id, size: 0 });
        }
        Ok(ring)
    }

    /// Takes in whoever comes.
    pub(crate) fn accept(&mut self) -> io::Result<()> {
        let accept = opcode::AcceptMulti::new(Fd(self.listener.as_raw_fd())).flags(SOCK_CLOEXEC);
        self.push(&accept.build().user_data(ACCEPT))
    }

    /// Receives whatever comes.
    pub(crate) fn receive(&mut self, slot: usize, stream: &TcpStream) -> io::Result<()> {
        let receive = opcode::RecvMulti::new(Fd(stream.as_raw_fd()), 0).build();
        self.push(&receive.user_data((slot as u64) << 8 | RECEIVE))
    }

    /// Sends what stands at `from` and behind it. The slot must have nothing in flight.
    pub(crate) fn send(
        &mut self,
        slot: usize,
        stream: &TcpStream,
        bytes: Vec<u8>,
        from: usize,
    ) -> io::Result<()> {
        let rest = bytes.get(from..).unwrap_or_default();
        let size = u32::try_from(rest.len()).unwrap_or(u32::MAX);
        let send = opcode::Send::new(Fd(stream.as_raw_fd()), rest.as_ptr(), size);
        let send = send.flags(MSG_NOSIGNAL).build().user_data((slot as u64) << 8 | SEND);
        if self.flights.len() <= slot {
            self.flights.resize_with(slot + 1, || None);
        }
        assert!(self.flights[slot].is_none(), "two sends of one connection");
        // Moving the value does not move the bytes.
        self.flights[slot] = Some(Flight { bytes, from });
        self.push(&send)
    }

    /// What a buffer holds.
    pub(crate) fn bytes(&self, lease: &Lease) -> &[u8] {
        &self.buffers[usize::from(lease.id)][..lease.size]
    }

    /// The kernel may fill a buffer again.
    #[expect(clippy::needless_pass_by_value, reason = "whoever puts it back has it no more")]
    pub(crate) fn put_back(&mut self, lease: Lease) {
        let entries = (&raw mut *self.page).cast::<BufRingEntry>();
        // SAFETY: the index is masked to the entries of the ring, which fit the page.
        let entry = unsafe { entries.add(usize::from(self.tail % BUFFERS)) };
        // SAFETY: the kernel reads an entry only up to the tail.
        let entry = unsafe { &mut *entry };
        let buffer = &mut self.buffers[usize::from(lease.id)];
        entry.set_addr(buffer.as_mut_ptr() as u64);
        entry.set_len(u32::try_from(SIZE).unwrap_or(0));
        entry.set_bid(lease.id);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Shows the kernel what has been put back.
    fn publish(&mut self) {
        let entries = (&raw mut *self.page).cast::<BufRingEntry>();
        // SAFETY: it is the first entry of the ring.
        let tail = unsafe { BufRingEntry::tail(entries) };
        // SAFETY: two bytes, aligned, and written only here.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    /// Submits what is queued and waits until something has happened: awake for `spin`, then
    /// asleep.
    pub(crate) fn wait(&mut self, spin: Duration, into: &mut Vec<Completion>) -> io::Result<()> {
        self.publish();
        if spin.is_zero() || !self.spin(spin)? {
            self.enter(1)?;
        }
        for entry in self.ring.completion() {
            into.push(completion(&entry, &mut self.flights)?);
        }
        Ok(())
    }

    /// Looks in memory that the kernel shares, where it also says that deferred work waits. Tells
    /// whether something has happened.
    fn spin(&mut self, time: Duration) -> io::Result<bool> {
        let until = Instant::now() + time;
        for look in (1..=LOOKS).cycle() {
            let submissions = self.ring.submission();
            let enters =
                !submissions.is_empty() || submissions.taskrun() || submissions.cq_overflow();
            drop(submissions);
            if enters {
                self.enter(0)?;
            }
            if !self.ring.completion().is_empty() {
                return Ok(true);
            }
            if look == LOOKS && until <= Instant::now() {
                break;
            }
            std::hint::spin_loop();
        }
        Ok(false)
    }

    fn enter(&mut self, count: usize) -> io::Result<()> {
        let submitter = self.ring.submitter();
        // Without a count it is to enter all the same, for the work that is deferred.
        let entered = match count {
            0 => submitter.submit_with_args(0, &SubmitArgs::new()),
            _ => submitter.submit_and_wait(count),
        };
        match entered {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                // A signal came, or the completion queue must be emptied first.
                Some(EINTR | EBUSY | EAGAIN) => Ok(()),
                _ => Err(error),
            },
        }
    }

    fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: what the entry names lives until its completion: sends own their bytes in
        // `flights`, receives use the registered buffers, and nothing else names memory.
        while unsafe { self.ring.submission().push(entry) }.is_err() {
            self.ring.submit()?;
        }
        Ok(())
    }
}

fn completion(entry: &cqueue::Entry, flights: &mut [Option<Flight>]) -> io::Result<Completion> {
    let slot = usize::try_from(entry.user_data() >> 8).unwrap_or(usize::MAX);
    let more = cqueue::more(entry.flags());
    let result =
        usize::try_from(entry.result()).map_err(|_| io::Error::from_raw_os_error(-entry.result()));
    match entry.user_data() & 0xff {
        ACCEPT => {
            let stream = result.map(|_| {
                // SAFETY: the kernel has just opened it, and nobody else knows it.
                TcpStream::from(unsafe { OwnedFd::from_raw_fd(entry.result()) })
            });
            Ok(Completion::Accepted { stream, more })
        }
        RECEIVE => {
            let size = result.as_ref().map_or(0, |size| *size);
            let lease = cqueue::buffer_select(entry.flags()).map(|id| Lease { id, size });
            Ok(Completion::Received { slot, result, lease, more })
        }
        _ => {
            let flight = flights.get_mut(slot).and_then(Option::take);
            let Flight { bytes, from } =
                flight.ok_or_else(|| io::Error::other("a send of nobody's"))?;
            Ok(Completion::Sent { slot, result, bytes, from })
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // Nothing may write into the buffers once they are freed.
        let _cancelled = self.ring.submitter().register_sync_cancel(None, CancelBuilder::any());
    }
}

/// Linux' numbers, on all its architectures.
const SOCK_CLOEXEC: i32 = 0o2_000_000;
const MSG_NOSIGNAL: i32 = 0x4000;
const EINTR: i32 = 4;
const EAGAIN: i32 = 11;
const EBUSY: i32 = 16;
