//! Starting and stopping workers.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::{env, io, thread};

use crate::admission::Admission;
use crate::config::{Config, Settings};
use crate::driver::ladder;
use crate::driver::{BufferPool, Clock};
use crate::error::Error;
use crate::handle::{Handle, Mail};
use crate::handler::Handler;
use crate::latency::Measuring;
use crate::listener::{self, Inherited, ListenAddress, Listener, Listeners};
use crate::load::Loads;
use crate::mailbox::Mailbox;
use crate::probe::{DriverKind, Probe};
use crate::seat::Seat;
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
    pub(crate) settings: Settings,
    pub(crate) listeners: Listeners,
    pub(crate) handle: Handle,
}

impl Server {
    /// Checks the configuration, finds the driver, and listens on `address`; a port of 0 lets the
    /// system choose one. From here on the kernel keeps peers waiting.
    ///
    /// `[::]` means both families, and any other address of IPv6 itself alone.
    ///
    /// # Errors
    /// [`Error::Config`], [`Error::Resolve`], [`Error::Listen`], [`Error::Descriptors`] and
    /// [`Error::BusyPoll`]; [`Error::DriverUnknown`], [`Error::DriverDemanded`] and
    /// [`Error::Epoll`].
    pub fn bind(address: impl ToSocketAddrs, config: Config) -> Result<Self, Error> {
        Self::open(config, |settings| {
            let Config { backlog, .. } = settings.config;
            let mut failed = Error::Resolve(io::ErrorKind::NotFound.into());
            for address in address.to_socket_addrs().map_err(Error::Resolve)? {
                match Listeners::bind(address, settings.workers, backlog, inherited(settings)) {
                    Ok(listeners) => return Ok(listeners),
                    Err(source) => failed = Error::Listen { address, source },
                }
            }
            Err(failed)
        })
    }

    /// As [`Server::bind`], on a path of the file system. [`Config::unix_mode`] says who may
    /// connect. A socket of a server that has died is replaced; where one listens, or where
    /// anything but a socket stands, that is an error. The path is removed at the end.
    ///
    /// Such peers have no address, so `connections_address_max` does not hold for them.
    ///
    /// # Errors
    /// As [`Server::bind`], with [`Error::ListenUnix`] for [`Error::Listen`].
    pub fn bind_unix(path: impl AsRef<Path>, config: Config) -> Result<Self, Error> {
        let path = path.as_ref();
        Self::open(config, |settings| {
            let Config { backlog, unix_mode, .. } = settings.config;
            Listeners::bind_unix(path, settings.workers, backlog, unix_mode)
                .map_err(|source| Error::ListenUnix { path: path.to_owned(), source })
        })
    }

    /// As [`Server::bind`], on sockets that listen already. One is accepted from by all workers; of
    /// several, each worker has one, in turn, so that there must be as many workers. With none at
    /// all nobody is accepted.
    ///
    /// The kernel spreads the peers of a socket of its own for each worker, which
    /// [`Server::bind`] gives them, with less work and more evenly than those of one for all.
    /// `backlog` is the socket's own here; all other options of connections are set.
    ///
    /// # Errors
    /// As [`Server::bind`], with [`Error::Listener`] and [`Error::Listeners`] for
    /// [`Error::Listen`].
    pub fn listen_on(
        listeners: impl IntoIterator<Item = Listener>,
        config: Config,
    ) -> Result<Self, Error> {
        let given: Vec<Listener> = listeners.into_iter().collect();
        Self::open(config, |settings| {
            let (listeners, workers) = (given.len(), settings.workers);
            if listeners > workers {
                return Err(Error::Listeners { listeners, workers });
            }
            Listeners::given(given, workers, inherited(settings))
                .map_err(|(number, name, fault)| Error::Listener { number, name, fault })
        })
    }

    /// What all kinds of listening have in common.
    fn open(
        config: Config,
        listen: impl FnOnce(&Settings) -> Result<Listeners, Error>,
    ) -> Result<Self, Error> {
        let settings = Settings::resolve(config, &affinity::cores())?;
        check_descriptors(settings.workers)?;
        let busy_poll = settings.config.busy_poll;
        busy_poll.map_or(Ok(()), listener::try_busy_poll).map_err(Error::BusyPoll)?;
        let pool = BufferPool { count: settings.config.buffers, size: settings.config.buffer_size };
        let variable = env::var_os(ladder::VARIABLE);
        let probe = Arc::new(ladder::probe(settings.config.driver, variable, pool)?);
        let listeners = listen(&settings)?;
        trace::driver_chosen(&probe);
        let mailbox = |_| Arc::new(Mailbox::new(settings.mailbox));
        let mailboxes: Arc<[Arc<Mailbox<Mail>>]> = (0..settings.workers).map(mailbox).collect();
        let boards = (0..settings.workers).map(|_| Arc::default()).collect();
        let (stop, order) = (Arc::default(), Arc::default());
        let measures = settings.config.measure_latency;
        let measuring = measures.then(|| Measuring::new(Clock::system(), settings.workers));
        let loads = Arc::new(Loads::new(settings.workers));
        let leftover_max = settings.config.leftover_max();
        let handle =
            Handle { mailboxes, boards, stop, order, measuring, probe, loads, leftover_max };
        Ok(Self { settings, listeners, handle })
    }

    /// Where it listens: the first address of TCP. `None`: on a path alone, or nowhere.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.addresses().iter().find_map(|address| match address {
            ListenAddress::Tcp(address) => Some(*address),
            ListenAddress::Unix(_) => None,
        })
    }

    /// Everywhere it listens.
    #[must_use]
    pub fn addresses(&self) -> &[ListenAddress] {
        &self.listeners.addresses
    }

    /// The number of workers.
    #[must_use]
    pub const fn workers(&self) -> usize {
        self.settings.workers
    }

    /// What moves the bytes.
    #[must_use]
    pub fn driver(&self) -> DriverKind {
        self.probe().kind()
    }

    /// What moves the bytes, and why not something better.
    #[must_use]
    pub fn probe(&self) -> &Probe {
        self.handle.probe()
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
    /// [`Error::IoUring`], [`Error::Epoll`] and [`Error::Thread`] before anything is served,
    /// [`Error::Ring`] and [`Error::HandlerPanicked`] after; in each case all workers have ended.
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
        let Self { settings, listeners, handle } = self;
        // Until the last worker has ended.
        let Listeners { listening, file: _file, .. } = listeners;
        let (started, starts) = std::sync::mpsc::channel();
        let admission = Arc::new(Admission::new(&settings));
        thread::scope(|scope| {
            let mut threads = Vec::new();
            let mut result = Ok(());
            for (number, listening) in listening.into_iter().enumerate() {
                let (handle, factory, started) = (&handle, &factory, started.clone());
                let seat = Seat {
                    number,
                    listening,
                    settings: settings.clone(),
                    admission: Arc::clone(&admission),
                    handle: handle.clone(),
                };
                let body = move || {
                    let started = Started { sender: started, stop: handle };
                    seat.serve(factory, || _ = started.sender.send(true))
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

/// Raises the limit of descriptors as far as the system lets us, and refuses one that leaves no
/// room for connections.
fn check_descriptors(workers: usize) -> Result<(), Error> {
    /// A listener, a ring, an event descriptor, two of the trial, two connections.
    const PER_WORKER: u64 = 7;
    /// Standard streams and what a program has open at its start.
    const OTHERS: u64 = 8;
    let limit = limits::raise_descriptors();
    let needed = OTHERS + PER_WORKER * workers as u64;
    match limit {
        Some(limit) if limit < needed => Err(Error::Descriptors { limit, needed }),
        Some(_) | None => Ok(()),
    }
}

/// What connections inherit from their listener.
const fn inherited(settings: &Settings) -> Inherited {
    let Config { unsent_max, busy_poll, .. } = settings.config;
    Inherited { unsent_max, busy_poll }
}
