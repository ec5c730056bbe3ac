//! A worker on a simulated ring, with simulated peers: a handler, or the engine itself, tested
//! without sockets, clocks or chance. The same seed gives the same run.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::admission::Admission;
use crate::board::Board;
use crate::config::{Config, Settings};
use crate::conn::Belief;
use crate::driver::Descriptor;
use crate::driver::sim::{Random, Sim, Socket, Untold, World};
use crate::error::ConfigError;
use crate::handle::{Handle, Mail};
use crate::handler::Handler;
use crate::latency::Measuring;
use crate::load::Loads;
use crate::mailbox::Mailbox;
use crate::memory;
use crate::probe::{DriverKind, Probe};
use crate::stats::Stats;
use crate::timer::Time;
use crate::worker::{Outside, Worker};

mod host;

pub use crate::driver::sim::Faults;

/// One worker and its world.
///
/// ```
/// use ringwire::simulation::{Faults, Simulation};
/// use ringwire::{Config, Connection, Handler, Message};
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
/// let mut simulation = Simulation::new(7, Config::default(), Faults::MANY, Echo)?;
/// let peer = simulation.connect();
/// simulation.send(peer, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
/// simulation.run(1000)?;
/// let received = simulation.received(peer);
/// assert!(received.is_empty() || received.starts_with(b"HTTP/1.1 426 Upgrade Required\r\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Simulation<H: Handler> {
    worker: Worker<Sim, H>,
    world: Rc<RefCell<World>>,
    handle: Handle,
    /// For the test's own choices: not the world's, so that these do not change when a test asks.
    random: Random,
}

/// A client in a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer(Descriptor);

impl<H: Handler> Simulation<H> {
    /// A worker that has just started. Of the configuration, what is about threads does not count.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn new(seed: u64, config: Config, faults: Faults, handler: H) -> Result<Self, ConfigError> {
        let settings = Settings::resolve(Config { workers: 1, cores: Vec::new(), ..config }, &[0])?;
        let config = &settings.config;
        let world = World::new(seed, faults, config.buffers, config.buffer_size);
        let world = Rc::new(RefCell::new(world));
        let mailbox: Arc<Mailbox<Mail>> = Arc::new(Mailbox::new(settings.mailbox));
        let board: Arc<Board> = Arc::default();
        let (mailboxes, boards) = ([mailbox.clone()].into(), [board.clone()].into());
        let (stop, order) = (Arc::default(), Arc::default());
        let driver = Sim::new(world.clone());
        let measures = settings.config.measure_latency;
        let measuring = measures.then(|| Measuring::new(driver.clock(), 1));
        let probe = Arc::new(Probe::new(DriverKind::Simulation));
        let (loads, leftover_max) = (Arc::new(Loads::new(1)), settings.config.leftover_max());
        let handle =
            Handle { mailboxes, boards, stop, order, measuring, probe, loads, leftover_max };
        let stop = Arc::clone(&handle.stop);
        let admission = Arc::new(Admission::new(&settings));
        let outside = Outside { mailbox, board, stop, admission, handle: handle.clone() };
        let worker = Worker::new(driver, handler, settings, 0, outside);
        Ok(Self { worker, world, handle, random: Random::new(!seed) })
    }

    /// A client connects, from the machine that the server is on.
    pub fn connect(&mut self) -> Peer {
        self.connect_from(Ipv4Addr::LOCALHOST.into())
    }

    /// A client connects from another machine.
    pub fn connect_from(&mut self, address: IpAddr) -> Peer {
        Peer(self.world.borrow_mut().connect(address))
    }

    /// A client sends bytes.
    pub fn send(&mut self, peer: Peer, bytes: &[u8]) {
        self.with(peer, |socket| socket.inbound.extend(bytes));
    }

    /// A client ends its side of the connection.
    pub fn end(&mut self, peer: Peer) {
        self.with(peer, |socket| socket.peer_ended = true);
    }

    /// A client resets the connection.
    pub fn reset(&mut self, peer: Peer) {
        self.with(peer, |socket| socket.reset = true);
    }

    /// A client takes at most this many bytes from now on.
    pub fn set_window(&mut self, peer: Peer, window: usize) {
        self.with(peer, |socket| (socket.window, socket.trickle) = (window, 0));
    }

    /// A client reads in trickles: it takes at most this many bytes in each turn from now on.
    pub fn set_trickle(&mut self, peer: Peer, size: usize) {
        self.with(peer, |socket| socket.trickle = size);
    }

    /// What a client has received so far.
    #[must_use]
    pub fn received(&self, peer: Peer) -> Vec<u8> {
        self.with(peer, |socket| socket.outbound.clone())
    }

    /// Bytes that a client has sent and the server has not received.
    #[must_use]
    pub fn waiting(&self, peer: Peer) -> usize {
        self.with(peer, |socket| socket.inbound.len())
    }

    /// What a client has received since this was last asked. [`received`](Self::received) does not
    /// give it again.
    pub fn take(&mut self, peer: Peer) -> Vec<u8> {
        self.with(peer, |socket| std::mem::take(&mut socket.outbound))
    }

    /// Whether the server has ended its side, and what a client has received is all.
    #[must_use]
    pub fn has_ended(&self, peer: Peer) -> bool {
        self.with(peer, |socket| socket.ended || socket.reset)
    }

    /// Whether the server has closed its end of the connection.
    #[must_use]
    pub fn has_closed(&self, peer: Peer) -> bool {
        self.with(peer, |socket| socket.closed)
    }

    /// Whether everything that was sent, on either side, has been received on the other.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.world.borrow().is_quiet()
    }

    /// One turn of the loop. `false`: the server was stopped and has ended.
    ///
    /// # Errors
    /// None: the simulated ring never fails as a whole.
    ///
    /// # Panics
    /// When the engine breaks a promise to the kernel. That is what a simulation is for.
    pub fn turn(&mut self) -> io::Result<bool> {
        self.turn_with(|_| ())
    }

    /// One turn, of whose order something is known: `before_mail` is called when the handler has
    /// been told of what has completed, and before anything is read that was asked through a
    /// [`Handle`] or published. So whoever has subscribed by then is who a publication reaches.
    ///
    /// # Errors
    /// As [`Simulation::turn`].
    ///
    /// # Panics
    /// As [`Simulation::turn`].
    pub fn turn_with(&mut self, before_mail: impl FnOnce(&mut H)) -> io::Result<bool> {
        let serves = self.worker.turn_begin()?;
        if serves {
            before_mail(self.worker.handler());
            self.worker.turn_end();
        }
        self.check();
        Ok(serves)
    }

    /// What the engine believes is what the world below knows.
    fn check(&mut self) {
        let lent = self.world.borrow().lent();
        let deferred = self.worker.deferred_leases();
        assert_eq!(lent, deferred, "receive buffers did not come back at the end of a turn");
        let mut beliefs = self.worker.check();
        self.check_memory(&beliefs);
        beliefs.sort_unstable_by_key(|belief| belief.descriptor.0);
        let beliefs = beliefs.into_iter().map(|belief| {
            let Belief { descriptor, receive, send, cancel, .. } = belief;
            (descriptor, Untold { receive, send, cancel })
        });
        assert!(
            beliefs.clone().eq(self.world.borrow().owned()),
            "the engine believes {:?} and the truth is {:?}",
            beliefs.collect::<Vec<_>>(),
            self.world.borrow().owned().collect::<Vec<_>>(),
        );
    }

    /// What connections have allocated is within what the configuration counts for them: of each
    /// that has a place, and of all others together.
    fn check_memory(&self, beliefs: &[Belief]) {
        let max = self.worker.config().memory_max::<H>();
        let mut refused = 0;
        for Belief { descriptor, allocated, is_opening, has_place, .. } in beliefs {
            let size = (allocated + self.world.borrow().flight_size(*descriptor)) as u64;
            let more = if *is_opening { max.handshake } else { 0 };
            let size_max = (max.connection - max.connection_idle).saturating_add(more);
            if *has_place {
                assert!(size <= size_max, "{descriptor:?} has {size} bytes, at most {size_max}");
            } else {
                refused += size;
            }
        }
        assert!(refused <= memory::OTHERS, "{refused} bytes for those who are refused");
    }

    /// At most `turns` turns, fewer when the server ends. `false`: it has ended.
    ///
    /// # Errors
    /// As [`Simulation::turn`].
    pub fn run(&mut self, turns: usize) -> io::Result<bool> {
        for _ in 0..turns {
            if !self.turn()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The simulated time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.world.borrow().now.since(Time::ZERO)
    }

    /// Lets time pass in which nothing happens.
    pub fn pass(&mut self, time: Duration) {
        let mut world = self.world.borrow_mut();
        world.now = world.now.after(time);
    }

    /// Connections that the worker knows of.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.worker.connections()
    }

    /// What the worker has counted up to now, also what it has not made known yet.
    pub fn stats(&mut self) -> Stats {
        self.worker.stats()
    }

    /// How many connections are in their opening handshake, and how many are open: counted one by
    /// one, so that the [`stats`](Self::stats) can be compared with it.
    #[must_use]
    pub fn census(&mut self) -> (u64, u64) {
        self.worker.census()
    }

    /// How many of those in their opening handshake wait for a decision that was put off.
    #[must_use]
    pub fn deciding(&self) -> usize {
        self.worker.deciding()
    }

    /// Different patterns that connections have subscribed.
    #[must_use]
    pub const fn patterns(&self) -> usize {
        self.worker.patterns()
    }

    /// The handler.
    pub const fn handler(&mut self) -> &mut H {
        self.worker.handler()
    }

    /// What reaches the connections from outside.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// The last fifty things that crossed the seam, the oldest first: what led to a failure.
    #[must_use]
    pub fn journal(&self) -> Vec<String> {
        self.world.borrow().journal.lines().map(str::to_owned).collect()
    }

    /// A number below `end`, of the seed's.
    pub fn choose(&mut self, end: usize) -> usize {
        self.random.below(end)
    }

    fn with<T>(&self, peer: Peer, act: impl FnOnce(&mut Socket) -> T) -> T {
        let index = usize::try_from(peer.0.0).unwrap_or(usize::MAX);
        act(&mut self.world.borrow_mut().sockets[index])
    }
}

impl<H: Handler> fmt::Debug for Simulation<H> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Simulation")
            .field("elapsed", &self.elapsed())
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}
