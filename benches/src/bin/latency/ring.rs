//! An echo of bytes on a bare ring, for one connection: what remains when everything is left out
//! that an engine is for. Set up as the engine's ring is, and driven in several ways.

#![expect(unsafe_code, reason = "submissions name memory and descriptors to the kernel")]

use std::io;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::{Duration, Instant};

use io_uring::types::{BufRingEntry, CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode};

/// How the ring is looked at for completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// By sleeping in the kernel, always.
    Sleep,
    /// In memory that the kernel shares, where it also says that deferred work waits.
    Memory,
    /// By entering the kernel again and again, without waiting there.
    Enter,
    /// In memory; the work is not deferred but done when the kernel is next left.
    Cooperate,
    /// In memory; the kernel interrupts the loop to do its work.
    Interrupt,
}

/// Buffers of the ring, and bytes of each.
const BUFFERS: u16 = 8;
const SIZE: usize = 4096;

const RECEIVE: u64 = 1;
const SEND: u64 = 2;

/// How often somebody looks whether it is over.
const STOP_INTERVAL: Duration = Duration::from_millis(20);

/// Looks between two readings of the clock.
const LOOKS: u32 = 32;

/// The entries of the ring of buffers stand at the start of a page.
#[repr(C, align(4096))]
struct Page([u8; 4096]);

/// One connection's echo.
struct Bare {
    // Dropped first, before the memory that the kernel reads and writes.
    ring: IoUring,
    page: Box<Page>,
    buffers: Vec<[u8; SIZE]>,
    tail: u16,
    descriptor: Fd,
    reply: [u8; SIZE],
}

/// Takes one peer in and echoes `reply` bytes for all that it sends at once, until it ends or
/// `stop` says so.
pub(crate) fn serve(
    listener: &TcpListener,
    look: Look,
    spin: Duration,
    reply: usize,
    stop: &AtomicBool,
) -> io::Result<()> {
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    let mut bare = Bare::new(look, Fd(stream.as_raw_fd()))?;
    bare.arm();
    let mut heard = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        bare.wait(look, if look == Look::Sleep { None } else { Some(heard + spin) })?;
        let mut sends = false;
        loop {
            let Some(entry) = bare.ring.completion().next() else { break };
            if entry.user_data() != RECEIVE {
                continue;
            }
            if entry.result() <= 0 {
                return Ok(());
            }
            sends = true;
            if let Some(id) = cqueue::buffer_select(entry.flags()) {
                bare.put_back(id);
            }
            if !cqueue::more(entry.flags()) {
                bare.arm();
            }
        }
        if sends {
            heard = Instant::now();
            bare.send(reply);
        }
    }
    Ok(())
}

impl Bare {
    fn new(look: Look, descriptor: Fd) -> io::Result<Self> {
        let mut builder = IoUring::builder();
        builder.setup_single_issuer().setup_submit_all().setup_cqsize(8192).setup_clamp();
        match look {
            Look::Sleep | Look::Memory | Look::Enter => {
                builder.setup_defer_taskrun().setup_taskrun_flag();
            }
            Look::Cooperate => {
                builder.setup_coop_taskrun().setup_taskrun_flag();
            }
            Look::Interrupt => {}
        }
        let ring = builder.setup_no_sqarray().build(2048)?;
        let _unregistered = ring.submitter().register_ring_fd();
        let (page, buffers) = (Box::new(Page([0; 4096])), vec![[0; SIZE]; usize::from(BUFFERS)]);
        let address = (&raw const *page) as u64;
        let mut bare = Self { ring, page, buffers, tail: 0, descriptor, reply: [b'x'; SIZE] };
        // SAFETY: the page lives as long as the ring.
        unsafe { bare.ring.submitter().register_buf_ring_with_flags(address, BUFFERS, 0, 0) }?;
        for id in 0..BUFFERS {
            bare.put_back(id);
        }
        Ok(bare)
    }

    fn put_back(&mut self, id: u16) {
        let entries = (&raw mut *self.page).cast::<BufRingEntry>();
        // SAFETY: the index is masked to the entries of the ring, which fit the page.
        let entry = unsafe { entries.add(usize::from(self.tail % BUFFERS)) };
        // SAFETY: the kernel reads an entry only up to the tail.
        let entry = unsafe { &mut *entry };
        let buffer = &mut self.buffers[usize::from(id)];
        entry.set_addr(buffer.as_mut_ptr() as u64);
        entry.set_len(u32::try_from(SIZE).unwrap_or(0));
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: it is the first entry of the ring.
        let tail = unsafe { BufRingEntry::tail(entries) };
        // SAFETY: two bytes, aligned, and written only here.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    fn arm(&mut self) {
        let entry = opcode::RecvMulti::new(self.descriptor, 0).build().user_data(RECEIVE);
        // SAFETY: it uses the registered buffers, which live as long as the ring.
        let _pushed = unsafe { self.ring.submission().push(&entry) };
    }

    fn send(&mut self, size: usize) {
        let size = u32::try_from(size.min(SIZE)).unwrap_or(0);
        let entry = opcode::Send::new(self.descriptor, self.reply.as_ptr(), size).build();
        // SAFETY: the reply is never written and lives as long as the ring.
        let _pushed = unsafe { self.ring.submission().push(&entry.user_data(SEND)) };
    }

    /// Submits what is queued and waits for a completion: awake until a moment, asleep after it.
    fn wait(&mut self, look: Look, awake: Option<Instant>) -> io::Result<()> {
        if let Some(until) = awake {
            let mut enters = !self.ring.submission().is_empty();
            for count in 1_u32.. {
                if enters || look == Look::Enter {
                    self.enter(0, Duration::ZERO)?;
                }
                if !self.ring.completion().is_empty() {
                    return Ok(());
                }
                if count % LOOKS == 0 && until < Instant::now() {
                    break;
                }
                enters = self.ring.submission().taskrun();
                std::hint::spin_loop();
            }
        }
        self.enter(1, STOP_INTERVAL)
    }

    fn enter(&mut self, count: usize, timeout: Duration) -> io::Result<()> {
        let timeout = Timespec::from(timeout);
        let args = SubmitArgs::new().timespec(&timeout);
        match self.ring.submitter().submit_with_args(count, &args) {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.raw_os_error(), Some(ETIME | EINTR)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// The system's numbers for a time that has passed and for a signal.
const ETIME: i32 = 62;
const EINTR: i32 = 4;

impl Drop for Bare {
    fn drop(&mut self) {
        // Nothing may write into the buffers once they are freed.
        let _cancelled = self.ring.submitter().register_sync_cancel(None, CancelBuilder::any());
    }
}
