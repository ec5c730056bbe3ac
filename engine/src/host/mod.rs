//! The engine inside a runtime that is there already: a worker is a task of the host's thread,
//! beside whatever else that thread does.
//!
//! - On any `tokio` runtime, with the feature `tokio`, `host_on_tokio`: the worker has its own
//!   driver, io_uring or epoll, and its task sleeps until that one's descriptor is readable.
//! - On a `tokio-uring` runtime, with the feature `tokio-uring`, `host_on_tokio_uring`: the bytes
//!   are moved by the runtime's own ring.
//!
//! Handlers, limits and everything else are the same, and so is the code of connections. The first
//! way is open on a `tokio-uring` runtime as well, which is a `tokio` runtime below, and it is the
//! quicker one there.
//!
//! # The thread
//!
//! The future is not [`Send`]: it is awaited in a `LocalSet`, or is what a current-thread runtime
//! blocks on. It hosts one worker. A server of several gives its [`parts`](crate::Server::parts) to
//! as many threads, each with a runtime of its own.
//!
//! The worker does what there is in turns that never sleep, and steps aside for the other tasks of
//! its thread about every 50 µs, and after each turn that takes longer. Where there is nothing to
//! do it rests, and takes no time: it is woken by what completes, by a
//! [`Handle`](crate::Handle) of any thread, and by its own deadlines, which come as the runtime
//! tells time, up to a millisecond late. Tasks that keep the thread keep its connections waiting.
//!
//! When the future is dropped, the worker ends as [`Handle::stop_now`](crate::Handle::stop_now)
//! would end it, but for the calls of its handler; other parts of the server are stopped.
//!
//! # Later, from a task
//!
//! A handler is called, and does not wait. What it has to wait for is a task of the same thread,
//! which then sends by the [`Handle`](crate::Handle) and the
//! [`ConnectionId`](crate::ConnectionId). On the worker's own thread that is a push to its mailbox
//! and, if the worker rests, to the runtime's queue of tasks: no system call, and nothing that
//! could block. A connection that has ended meanwhile is not mistaken for another.
//!
//! ```
//! # #[cfg(feature = "tokio")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use ringwire::{Config, Connection, Handle, Handler, Message, Server};
//!
//! /// Answers when it has found out.
//! struct Asks(Handle);
//!
//! impl Handler for Asks {
//!     type State = ();
//!
//!     fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
//!         let (handle, id) = (self.0.clone(), connection.id());
//!         let question = message.as_bytes().to_vec();
//!         tokio::task::spawn_local(async move {
//!             // A query, say.
//!             tokio::time::sleep(Duration::from_millis(1)).await;
//!             // It fails where the mailbox is full, and where the worker has ended.
//!             let _sent = handle.send(id, question);
//!         });
//!     }
//! }
//!
//! let server = Server::bind("127.0.0.1:0", Config { workers: 1, ..Config::default() })?;
//! let handle = server.handle();
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! tokio::task::LocalSet::new().block_on(&runtime, async {
//!     # handle.stop();
//!     server.host_on_tokio(|_worker| Asks(handle)).await
//! })?;
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "tokio"))]
//! # fn main() {}
//! ```
//!
//! # What it costs, and what is not there
//!
//! - An echo of 20 bytes on 100 connections takes as much of the processor in a `tokio` runtime as
//!   in a thread of the worker's own. In a `tokio-uring` runtime it takes 0.8 to 1.0 of
//!   what that one's own echo of bytes takes where the worker has a ring of its own, and 1.1 to 1.4
//!   where the runtime's moves the bytes, which has no multishot operations: `benches/RESULTS.md`
//!   has the numbers.
//! - On `tokio` a turn is one entry into the ring more than for a worker with a thread of its own,
//!   and one wait in the runtime's `epoll`; on `tokio-uring` it is that one's entry and its wait,
//!   which all tasks share.
//! - An idle connection owns no receive buffer, on `tokio-uring` either: a few buffers are shown to
//!   the runtime's ring, in a group whose number is 32768 or more, and the kernel picks one when
//!   bytes arrive. Before Linux 5.19 a poll waits there, and a call receives.
//! - A `tokio-uring` runtime that ends before its worker has stopped cannot tell when the kernel is
//!   done with these buffers: what has been used of their memory is then not given back to the
//!   process.
//! - [`Config::spin`](crate::Config::spin), [`Config::pin_workers`](crate::Config::pin_workers) and
//!   [`Config::cores`](crate::Config::cores) say nothing: the thread is the host's. Network cards
//!   are polled by sockets that wait ([`Config::busy_poll`](crate::Config::busy_poll)), not by the
//!   ring.
//! - On `tokio-uring` the ring is as large as the host has made it
//!   (`tokio_uring::Builder::entries`), `Stats::enters` stays 0, and
//!   [`Server::driver`](crate::Server::driver) names what it would have had by itself. Who finds no
//!   descriptor waits in the backlog until one is free, where other drivers refuse.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::yield_now;

use crate::driver::Driver;
use crate::error::Error;
use crate::handler::Handler;
use crate::seat::Seat;
use crate::signal::Signal;
use crate::timer::Time;
use crate::worker::{Next, Worker};
use alarm::Alarm;

mod alarm;
#[cfg(feature = "tokio")]
mod on_tokio;
#[cfg(feature = "tokio-uring")]
mod on_tokio_uring;
mod part;

pub use crate::error::HostError;
pub use part::Part;

/// How long a worker goes from turn to turn before others of its thread have theirs: long enough
/// for the sends of a turn to be seen as done in the next one, since each time that it steps aside
/// the runtime asks the system what else is ready. A turn that takes longer ends it as well.
const SHIFT: Duration = Duration::from_micros(50);

/// What tells a host that its worker's driver has something, beside the signal.
trait Ready {
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// Serves until the server is stopped.
async fn serve<D: Driver, H: Handler>(
    seat: Seat,
    driver: D,
    factory: impl FnOnce(usize) -> H,
    signal: Arc<Signal>,
    ready: impl Ready,
) -> Result<(), Error> {
    let mailbox = seat.handle.mailboxes.get(seat.number).cloned();
    let Some(worker) = seat.worker(driver, factory) else { return Ok(()) };
    if let Some(mailbox) = mailbox {
        // In place of the driver's own way, which wakes who sleeps there.
        mailbox.open(signal.clone());
    }
    take_turns(worker, signal, ready).await.map_err(Error::Ring)
}

/// Turn by turn, and steps aside in between.
async fn take_turns<D: Driver, H: Handler>(
    mut worker: Worker<D, H>,
    signal: Arc<Signal>,
    mut ready: impl Ready,
) -> io::Result<()> {
    let mut alarm = Alarm::default();
    let mut begun: Option<Time> = None;
    let mut rests = false;
    loop {
        // Before the worker looks: what is raised from here on it may not see.
        signal.clear();
        let next = worker.turn_hosted(rests)?;
        rests = matches!(next, Next::Rest(_));
        let steps_aside = match next {
            Next::End => return Ok(()),
            Next::Turn => {
                let now = worker.now();
                now.since(*begun.get_or_insert(now)) >= SHIFT
            }
            Next::Rest(until) => {
                let until = until.map(|until| (worker.now(), until));
                let rested = rest(&signal, &mut ready, &mut alarm, until).await?;
                if rested {
                    begun = None;
                }
                false
            }
        };
        if steps_aside {
            yield_now().await;
            begun = None;
        }
    }
}

/// Rests until there is something to look for. `until` comes with the time now. `false`: there was
/// at once, and nobody else had the thread.
async fn rest(
    signal: &Signal,
    ready: &mut impl Ready,
    alarm: &mut Alarm,
    until: Option<(Time, Time)>,
) -> io::Result<bool> {
    let mut rested = false;
    poll_fn(|context| {
        if signal.is_raised(context.waker()) {
            return Poll::Ready(Ok(()));
        }
        if let Poll::Ready(ready) = ready.poll_ready(context) {
            return Poll::Ready(ready);
        }
        if until.is_some_and(|(now, until)| alarm.poll(now, until, context).is_ready()) {
            return Poll::Ready(Ok(()));
        }
        rested = true;
        Poll::Pending
    })
    .await?;
    Ok(rested)
}
