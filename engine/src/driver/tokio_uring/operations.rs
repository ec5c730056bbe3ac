//! What is in flight in the runtime's ring: receives, polls, sends, and cancellations.
//!
//! They are entries of our own, given to the runtime as any crate may
//! (`tokio_uring::UnsubmittedOneshot`). Those of `tokio_uring::net` would do for sending, but a
//! read of theirs cannot be cancelled, and owns a buffer for as long as its peer says nothing.

use std::future::Future;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};

use io_uring_0_6::squeue::Flags;
use io_uring_0_6::types::{CancelBuilder, Fd};
use io_uring_0_6::{cqueue, opcode, squeue};
use tokio::runtime::{Handle, Id};
use tokio_uring::{InFlightOneshot, OneshotOutputTransform, UnsubmittedOneshot};

use super::buffers::Run;
use crate::driver::{Bytes, Key, SEND_SIZE_MAX};
use crate::mailbox::Wake as _;
use crate::signal::Signal;

/// Operations that show buffers in one turn, mostly.
pub(super) const SHOWS: usize = 16;

/// All operations of a driver. Each has a place, and each place its waker.
pub(super) struct Operations {
    places: Vec<Place>,
    /// Indexes of the places without an operation.
    free: Vec<u32>,
    done: Arc<Done>,
    /// Kept for its memory. Empty between two looks.
    indexes: Vec<u32>,
    /// The runtime of the first of them.
    runtime: Option<Id>,
}

struct Place {
    operation: Option<Operation>,
    waker: Waker,
}

/// One operation, and whose it is. What moves bytes keeps its socket open: the ring reads the
/// number of a descriptor when it takes an entry in, and by then it must not be another's.
enum Operation {
    /// Of the socket of this index.
    Receive(u32, Flight<Rc<OwnedFd>>),
    /// Of the socket of this index.
    Poll(u32, Flight<()>),
    /// Of the socket of this index.
    Send(u32, Key, Flight<(Bytes, Rc<OwnedFd>)>),
    Show(Run, Flight<()>),
    Cancel(Flight<()>),
    /// It had ended before it could be waited for.
    Ended(Ended),
}

pub(super) type Flight<T> = InFlightOneshot<T, Outcome<T>>;

/// What has come to its end.
#[derive(Debug)]
pub(super) enum Ended {
    /// Of the socket of this index, with the kernel's result, which is negative where it failed,
    /// and the buffer that it has taken.
    Receive(u32, i32, Option<u16>),
    /// Of the socket of this index.
    Poll(u32),
    Send(u32, Key, i32, Bytes),
    Show(Run, i32),
    Cancel(i32),
}

impl Operations {
    pub(super) fn new(signal: Arc<Signal>) -> Self {
        let done = Arc::new(Done { indexes: Mutex::default(), signal });
        Self { places: Vec::new(), free: Vec::new(), done, indexes: Vec::new(), runtime: None }
    }

    /// Makes room for what so many sockets have in flight at most, a receive and a send each, and
    /// for the buffers that are shown behind that. How much of it there is at once changes from
    /// turn to turn, and is not to allocate.
    pub(super) fn reserve(&mut self, sockets: usize) {
        let count = SHOWS + 2 * sockets;
        if self.places.len() >= count {
            return;
        }
        while self.places.len() < count {
            let index = self.add();
            self.free.push(index);
        }
        self.indexes.reserve(count);
        self.done.lock().reserve(count);
    }

    /// Whether the runtime that has them runs on this thread, so that it takes more.
    pub(super) fn is_entered(&self) -> bool {
        self.runtime.is_some() && self.runtime == present()
    }

    /// Begins to receive at most `size` bytes into a buffer of the group.
    pub(super) fn receive(
        &mut self,
        descriptor: &Rc<OwnedFd>,
        socket: u32,
        size: usize,
        group: u16,
    ) {
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        let entry = opcode::Recv::new(number(descriptor), std::ptr::null_mut(), size)
            .buf_group(group)
            .build()
            .flags(Flags::BUFFER_SELECT);
        let flight = submit(Rc::clone(descriptor), entry);
        self.begin(Operation::Receive(socket, flight));
    }

    /// Shows buffers to the ring.
    pub(super) fn show(&mut self, run: Run, group: u16) {
        let Run { start, size, count, first } = run;
        let size = i32::try_from(size).unwrap_or(i32::MAX);
        let entry = opcode::ProvideBuffers::new(start.as_ptr(), size, count, group, first).build();
        self.begin(Operation::Show(run, submit((), entry)));
    }

    /// Has the ring forget the buffers of a group that it has not picked.
    pub(super) fn hide(group: u16) {
        drop(remove(group));
    }

    /// Begins to wait until something can be read, and gives the index of the operation.
    pub(super) fn poll(&mut self, descriptor: &OwnedFd, socket: u32) -> u32 {
        let events = libc::POLLIN.cast_unsigned();
        let entry = opcode::PollAdd::new(number(descriptor), events.into()).build();
        self.begin(Operation::Poll(socket, submit((), entry)))
    }

    /// Begins to send `bytes[from..]`.
    pub(super) fn send(
        &mut self,
        descriptor: &Rc<OwnedFd>,
        (socket, key): (u32, Key),
        bytes: Bytes,
        from: usize,
    ) {
        let rest = bytes.get(from..).unwrap_or_default();
        let size = u32::try_from(rest.len().min(SEND_SIZE_MAX)).unwrap_or(0);
        // The bytes stay where they are when their owner moves. Where the operation is dropped
        // before its end, the runtime keeps them until then.
        let entry = opcode::Send::new(number(descriptor), rest.as_ptr(), size)
            // No signal when the peer is gone. Not MSG_WAITALL: it would complete with the last
            // byte only, so that nobody could tell a slow peer from one that takes nothing.
            .flags(libc::MSG_NOSIGNAL)
            .build();
        let flight = submit((bytes, Rc::clone(descriptor)), entry);
        self.begin(Operation::Send(socket, key, flight));
    }

    /// Ends whatever is in flight on a descriptor, and closes it behind that: when the entries are
    /// taken in, not when the worker has looked.
    pub(super) fn cancel(&mut self, descriptor: OwnedFd) {
        let number = Fd(descriptor.into_raw_fd());
        let entry = opcode::AsyncCancel2::new(CancelBuilder::fd(number).all()).build();
        self.begin(Operation::Cancel(submit((), entry)));
        drop(submit((), opcode::Close::new(number).build()));
    }

    /// Does not wait for the end of a poll any more.
    pub(super) fn forget(&mut self, index: u32) {
        if let Some(place) = self.places.get_mut(index as usize)
            && place.operation.take().is_some()
        {
            self.free.push(index);
        }
    }

    /// Takes what has ended since the last look.
    pub(super) fn take_ended(&mut self, into: &mut Vec<Ended>) {
        let mut indexes = std::mem::take(&mut self.indexes);
        std::mem::swap(&mut *self.done.lock(), &mut indexes);
        for index in indexes.drain(..) {
            into.extend(self.look(index));
        }
        self.indexes = indexes;
    }

    /// The receives that are in flight, for who goes on to watch them.
    pub(super) fn receives(&mut self) -> Vec<Flight<Rc<OwnedFd>>> {
        let receives = self.places.iter_mut().filter_map(|place| match place.operation.take()? {
            Operation::Receive(_, flight) => Some(flight),
            _ => None,
        });
        receives.collect()
    }

    fn begin(&mut self, operation: Operation) -> u32 {
        if self.runtime.is_none() {
            self.runtime = present();
        }
        let index = self.free.pop().unwrap_or_else(|| self.add());
        if let Some(place) = self.places.get_mut(index as usize) {
            // It is the first look that has it rung for.
            let operation = operation.look(&place.waker).unwrap_or_else(|ended| {
                self.done.push(index);
                Operation::Ended(ended)
            });
            place.operation = Some(operation);
        }
        index
    }

    /// One more place.
    fn add(&mut self) -> u32 {
        // There are few for each descriptor, and those are numbered by 31 bits.
        let index = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        let waker = Waker::from(Arc::new(Bell { index, done: Arc::clone(&self.done) }));
        self.places.push(Place { operation: None, waker });
        index
    }

    /// How an operation has ended, if there is one that has.
    fn look(&mut self, index: u32) -> Option<Ended> {
        let place = self.places.get_mut(index as usize)?;
        match place.operation.take()?.look(&place.waker) {
            Ok(operation) => {
                place.operation = Some(operation);
                None
            }
            Err(ended) => {
                self.free.push(index);
                Some(ended)
            }
        }
    }
}

impl Operation {
    /// Whether it goes on, or how it has ended.
    fn look(self, waker: &Waker) -> Result<Self, Ended> {
        let mut context = Context::from_waker(waker);
        match self {
            Self::Receive(socket, mut flight) => match Pin::new(&mut flight).poll(&mut context) {
                Poll::Ready((result, id, _socket)) => Err(Ended::Receive(socket, result, id)),
                Poll::Pending => Ok(Self::Receive(socket, flight)),
            },
            Self::Poll(socket, mut flight) => match Pin::new(&mut flight).poll(&mut context) {
                Poll::Ready(_) => Err(Ended::Poll(socket)),
                Poll::Pending => Ok(Self::Poll(socket, flight)),
            },
            Self::Send(socket, key, mut flight) => match Pin::new(&mut flight).poll(&mut context) {
                Poll::Ready((result, _, (bytes, _socket))) => {
                    Err(Ended::Send(socket, key, result, bytes))
                }
                Poll::Pending => Ok(Self::Send(socket, key, flight)),
            },
            Self::Show(run, mut flight) => match Pin::new(&mut flight).poll(&mut context) {
                Poll::Ready((result, ..)) => Err(Ended::Show(run, result)),
                Poll::Pending => Ok(Self::Show(run, flight)),
            },
            Self::Cancel(mut flight) => match Pin::new(&mut flight).poll(&mut context) {
                Poll::Ready((result, ..)) => Err(Ended::Cancel(result)),
                Poll::Pending => Ok(Self::Cancel(flight)),
            },
            Self::Ended(ended) => Err(ended),
        }
    }
}

/// Gives an entry to the runtime, with what it keeps until that has completed.
fn submit<T>(kept: T, entry: squeue::Entry) -> Flight<T> {
    UnsubmittedOneshot::new(kept, Outcome(PhantomData), entry).submit()
}

/// Tells how many it had.
pub(super) fn remove(group: u16) -> Flight<()> {
    submit((), opcode::RemoveBuffers::new(u16::MAX, group).build())
}

fn number(descriptor: &OwnedFd) -> Fd {
    let number: RawFd = descriptor.as_raw_fd();
    Fd(number)
}

/// The runtime that runs on this thread.
fn present() -> Option<Id> {
    Handle::try_current().ok().map(|handle| handle.id())
}

/// The kernel's result, the buffer that it has taken, and what was given away for it.
pub(super) struct Outcome<T>(PhantomData<fn() -> T>);

impl<T> OneshotOutputTransform for Outcome<T> {
    type Output = (i32, Option<u16>, T);
    type StoredData = T;

    fn transform_oneshot_output(self, data: T, entry: cqueue::Entry) -> Self::Output {
        (entry.result(), cqueue::buffer_select(entry.flags()), data)
    }
}

/// Which operations are worth a look.
struct Done {
    indexes: Mutex<Vec<u32>>,
    signal: Arc<Signal>,
}

impl Done {
    fn push(&self, index: u32) {
        let mut indexes = self.lock();
        let is_first = indexes.is_empty();
        indexes.push(index);
        drop(indexes);
        if is_first {
            self.signal.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u32>> {
        // Nothing under the lock panics.
        match self.indexes.lock() {
            Ok(guard) => guard,
            Err(poisoned) => poisoned.into_inner(),
        }
    }
}

/// What the runtime calls when an operation has ended.
struct Bell {
    index: u32,
    done: Arc<Done>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.done.push(self.index);
    }
}
