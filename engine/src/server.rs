//! Starting and stopping workers.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::thread;

use crate::admission::Admission;
use crate::config::{Config, Settings};
use crate::driver::Clock;
use crate::driver::uring::{BufferPool, Step, Uring};
use crate::error::{Error, RingStep};
use crate::handle::{Handle, Mail};
use crate::handler::Handler;
use crate::latency::Measuring;
use crate::listener::{self, Inherited};
use crate::mailbox::Mailbox;
use crate::worker::{Outside, Worker};
use crate::{affinity, limits, trace};

/// A server that listens and has not begun to serve.
///
/// ```no_run
/// use ringwire::{Config, Connection, Handler, Message, Server};
///
/// struct Echo;
///
/// impl Handler for Echo {
///     type State = ();
///
///     fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
///         connection.send(&message);
///     }
/// }
///
/// Server::bind("127.0.0.1:9001", Config::default())?.run(|_worker| Echo)?;
/// # Ok::<(), ringwire::Error>(())
/// ```
#[derive(Debug)]
pub struct Server {
    settings: Settings,
    address: SocketAddr,
    /// One for each worker.
    listeners: Vec<TcpListener>,
    handle: Handle,
}

impl Server {
    /// Checks the configuration and listens on `address`; a port of 0 lets the system choose one.
    /// From here on the kernel keeps peers waiting.
    ///
    /// # Errors
    /// [`Error::Config`], [`Error::Resolve`], [`Error::Listen`], [`Error::Descriptors`] and
    /// [`Error::BusyPoll`].
    pub fn bind(address: impl ToSocketAddrs, config: Config) -> Result<Self, Error> {
        let settings = Settings::resolve(config, &affinity::cores())?;
        check_descriptors(settings.workers)?;
        let busy_poll = settings.config.busy_poll;
        busy_poll.map_or(Ok(()), listener::try_busy_poll).map_err(Error::BusyPoll)?;
        let mut failed = None;
        for address in address.to_socket_addrs().map_err(Error::Resolve)? {
            let Config { backlog, unsent_max, .. } = settings.config;
            let inherited = Inherited { unsent_max, busy_poll };
            match listener::bind(address, settings.workers, backlog, inherited) {
                Ok((address, listeners)) => {
                    let mailbox = |_| Arc::new(Mailbox::new(settings.mailbox));
                    let mailboxes: Arc<[Arc<Mailbox<Mail>>]> =
                        (0..settings.workers).map(mailbox).collect();
                    let boards = (0..settings.workers).map(|_| Arc::default()).collect();
                    let (stop, order) = (Arc::default(), Arc::default());
                    let measures = settings.config.measure_latency;
                    let measuring =
                        measures.then(|| Measuring::new(Clock::system(), settings.workers));
                    let handle = Handle { mailboxes, boards, stop, order, measuring };
                    return Ok(Self { settings, address, listeners, handle });
                }
                Err(source) => failed = Some(Error::Listen { address, source }),
            }
        }
        Err(failed.unwrap_or_else(|| Error::Resolve(std::io::ErrorKind::NotFound.into())))
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The number of workers.
    #[must_use]
    pub const fn workers(&self) -> usize {
        self.settings.workers
    }

    /// What moves the bytes.
    #[must_use]
    pub const fn driver(&self) -> &'static str {
        "io_uring"
    }

    /// What reaches its connections, and stops it, from any thread.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Serves until [`Handle::stop`]. `factory` is called on each worker's thread, with the
    /// worker's number from 0, for the handler of that worker.
    ///
    /// # Errors
    /// [`Error::IoUring`] and [`Error::Thread`] before anything is served, [`Error::Ring`] and
    /// [`Error::HandlerPanicked`] after; in each case all workers have ended.
    pub fn run<H: Handler>(self, factory: impl Fn(usize) -> H + Sync) -> Result<(), Error> {
        self.run_with(factory, || ())
    }

    /// As [`Server::run`]; `ready` is called once, when every worker has its ring and serves.
    ///
    /// # Errors
    /// As [`Server::run`].
    pub fn run_with<H: Handler>(
        self,
        factory: impl Fn(usize) -> H + Sync,
        ready: impl FnOnce(),
    ) -> Result<(), Error> {
        let Self { settings, listeners, handle, .. } = self;
        let (started, starts) = std::sync::mpsc::channel();
        let admission = Arc::new(Admission::new(&settings));
        thread::scope(|scope| {
            let mut threads = Vec::new();
            let mut result = Ok(());
            for (number, listener) in listeners.into_iter().enumerate() {
                let (settings, started) = (settings.clone(), started.clone());
                let (factory, handle, admission) = (&factory, &handle, Arc::clone(&admission));
                let core = settings.cores.get(number).copied();
                let body = move || {
                    let started = Started { sender: started, stop: handle };
                    serve(number, core, listener, settings, factory, admission, &started)
                };
                let builder = thread::Builder::new().name(format!("ringwire-{number}"));
                match builder.spawn_scoped(scope, body) {
                    Ok(thread) => threads.push(thread),
                    Err(source) => {
                        handle.stop_now();
                        result = Err(Error::Thread(source));
                        break;
                    }
                }
            }
            drop(started);
            let serving = starts.iter().take(threads.len()).filter(|serves| *serves).count();
            if serving == settings.workers {
                // Should it panic, nobody would stop the workers that are waited for.
                let guard = StopOnDrop(&handle);
                ready();
                std::mem::forget(guard);
            }
            for thread in threads {
                let ended = thread.join().unwrap_or(Err(Error::HandlerPanicked));
                result = result.and(ended);
            }
            result
        })
    }
}

/// Stops the server when it is dropped.
struct StopOnDrop<'a>(&'a Handle);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stop_now();
    }
}

/// What a worker's thread says when it has its ring, or ends without one.
struct Started<'a> {
    sender: std::sync::mpsc::Sender<bool>,
    stop: &'a Handle,
}

impl Drop for Started<'_> {
    fn drop(&mut self) {
        // Whichever way a worker ends, a panic included, the others end with it.
        self.stop.stop();
        let _told = self.sender.send(false);
    }
}

/// The body of a worker's thread.
fn serve<H: Handler>(
    number: usize,
    core: Option<usize>,
    listener: TcpListener,
    settings: Settings,
    factory: &impl Fn(usize) -> H,
    admission: Arc<Admission>,
    started: &Started<'_>,
) -> Result<(), Error> {
    if let Some(core) = core {
        affinity::pin(core);
    }
    let pool = BufferPool { count: settings.config.buffers, size: settings.config.buffer_size };
    let mut driver = Uring::new(listener, pool).map_err(|(step, source)| {
        let step = match step {
            Step::Ring => RingStep::SetUp,
            Step::Buffers => RingStep::Buffers,
            Step::Trial => RingStep::MultishotReceive,
            Step::Descriptors => RingStep::Descriptors,
        };
        Error::IoUring { step, source }
    })?;
    // There are at most 256 workers.
    let name = u8::try_from(number).unwrap_or(u8::MAX);
    if let Some(time) = settings.config.busy_poll
        && let Err(error) = driver.poll_cards(time)
    {
        trace::ring_polls_not(name, &error);
    }
    let handle = started.stop;
    let Some(mailbox) = handle.mailboxes.get(number).cloned() else { return Ok(()) };
    let Some(board) = handle.boards.get(number).cloned() else { return Ok(()) };
    let stop = Arc::clone(&handle.stop);
    let outside = Outside { mailbox, board, stop, admission, handle: handle.clone() };
    let mut worker = Worker::new(driver, factory(number), settings, name, outside);
    let _told = started.sender.send(true);
    worker.run().map_err(Error::Ring)
}

/// Raises the limit of descriptors as far as the system lets us, and refuses one that leaves no
/// room for connections.
fn check_descriptors(workers: usize) -> Result<(), Error> {
    /// A listener, a ring, an event descriptor, the spare one, two of the trial, two connections.
    const PER_WORKER: u64 = 8;
    /// Standard streams and what a program has open at its start.
    const OTHERS: u64 = 8;
    let limit = limits::raise_descriptors();
    let needed = OTHERS + PER_WORKER * workers as u64;
    match limit {
        Some(limit) if limit < needed => Err(Error::Descriptors { limit, needed }),
        Some(_) | None => Ok(()),
    }
}
