//! Reaching connections from any thread.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, OnceLock};

use ringwire_protocol::Misuse;

use crate::adoption::Adoption;
use crate::board::Board;
use crate::conn::ConnectionId;
use crate::driver::Key;
use crate::latency::{Latencies, Measuring};
use crate::load::Loads;
use crate::mailbox::{Mailbox, Refused, SIGNALS_MAX};
use crate::message::OwnedMessage;
use crate::order::Order;
use crate::presence::Presence;
use crate::probe::Probe;
use crate::publication::{Post, Publication, PublishError};
use crate::release::Done;
use crate::stats::Stats;
use crate::stop::Stop;
use crate::timer::Time;
use crate::topic::Topic;

/// What one thread asks of a worker's connections.
#[derive(Debug)]
pub(crate) enum Mail {
    Send {
        key: Key,
        message: OwnedMessage,
    },
    SendMany {
        keys: Box<[Key]>,
        message: Arc<OwnedMessage>,
    },
    Publish(Arc<Publication>),
    Count(Arc<Presence>),
    Close {
        key: Key,
        code: u16,
        reason: String,
    },
    Pause {
        key: Key,
    },
    Resume {
        key: Key,
    },
    Adopt(Adoption),
    Release {
        key: Key,
        done: Done,
    },
    /// Any of those, called for at that time.
    Timed {
        called: Time,
        mail: Box<Self>,
    },
}

impl Mail {
    /// To how many connections it is addressed, beside the one that each mail may mean, or what it
    /// costs in these. Whom a publication reaches only its worker knows.
    pub(crate) fn recipients(&self) -> u64 {
        match self {
            Self::SendMany { keys, .. } => keys.len() as u64,
            Self::Adopt(_) => ADOPTION_RECIPIENTS,
            Self::Timed { mail, .. } => mail.recipients(),
            Self::Send { .. }
            | Self::Publish(_)
            | Self::Count(_)
            | Self::Close { .. }
            | Self::Pause { .. }
            | Self::Resume { .. }
            | Self::Release { .. } => 0,
        }
    }

    /// Bytes of memory that it holds, also those that a message has allocated and does not use.
    fn bytes(&self) -> usize {
        match self {
            Self::Send { message, .. } => message.capacity(),
            Self::SendMany { keys, message } => {
                size_of_val::<[Key]>(keys).saturating_add(message.capacity())
            }
            Self::Publish(publication) => publication.size(),
            Self::Count(presence) => presence.size(),
            Self::Close { reason, .. } => reason.capacity(),
            Self::Pause { .. } | Self::Resume { .. } | Self::Release { .. } => 0,
            Self::Adopt(adoption) => adoption.size(),
            Self::Timed { mail, .. } => size_of::<Self>().saturating_add(mail.bytes()),
        }
    }
}

/// Messages to one of many that cost as much as to take over a connection, with what has been read
/// from it.
const ADOPTION_RECIPIENTS: u64 = 128;

/// A signal to a worker: close everything and end.
pub(crate) const STOP: u32 = 1;

/// A signal to a worker: end at once.
pub(crate) const STOP_NOW: u32 = 2;

/// A signal to a worker: a request that was put off has been decided.
pub(crate) const DECIDED: u32 = 4;

const _: () = assert!((STOP | STOP_NOW | DECIDED) as u64 <= SIGNALS_MAX);

/// Reaches any connection of a server from any thread, and stops the server. Cheap to clone.
///
/// What one thread asks about one connection happens in the order in which it asked.
#[derive(Clone)]
pub struct Handle {
    /// By worker.
    pub(crate) mailboxes: Arc<[Arc<Mailbox<Mail>>]>,
    /// By worker.
    pub(crate) boards: Arc<[Arc<Board>]>,
    /// How the server is to stop, if that has been said.
    pub(crate) stop: Arc<OnceLock<Stop>>,
    /// In which order the posts of a topic come to all workers.
    pub(crate) order: Arc<Order>,
    /// Where latencies are measured.
    pub(crate) measuring: Option<Arc<Measuring>>,
    /// What the server's driver is, and why.
    pub(crate) probe: Arc<Probe>,
    /// Who is to get the next connection that is handed over.
    pub(crate) loads: Arc<Loads>,
    /// Bytes that may have been read from it.
    pub(crate) leftover_max: usize,
}

impl Handle {
    /// Sends a message on a connection. That the worker has it does not say that the peer will: if
    /// the connection ends first, it is lost as any message may be that is under way.
    ///
    /// # Errors
    /// [`HandleError::Full`]: the worker does not keep up, try again later.
    /// [`HandleError::TooLarge`]: trying again does not help.
    /// [`HandleError::Stopped`]: it has ended.
    pub fn send(
        &self,
        connection: ConnectionId,
        message: impl Into<OwnedMessage>,
    ) -> Result<(), HandleError> {
        let message = message.into();
        self.push(connection, Mail::Send { key: connection.key, message })
    }

    /// Sends a message on many connections. Each of their workers gets it once, and encodes and
    /// compresses it once for all connections that take it in the same form.
    ///
    /// # Errors
    /// [`Undelivered`] has the connections whose workers did not take it, and why; all others will
    /// send it.
    pub fn send_many(
        &self,
        connections: &[ConnectionId],
        message: impl Into<OwnedMessage>,
    ) -> Result<(), Undelivered> {
        let message = Arc::new(message.into());
        let mut by_worker: Vec<Vec<ConnectionId>> = Vec::new();
        for &connection in connections {
            let worker = usize::from(connection.worker);
            if by_worker.len() <= worker {
                by_worker.resize_with(worker + 1, Vec::new);
            }
            by_worker[worker].push(connection);
        }
        let mut undelivered = None;
        for group in by_worker {
            let Some(&first) = group.first() else { continue };
            let keys = group.iter().map(|connection| connection.key).collect();
            let mail = Mail::SendMany { keys, message: Arc::clone(&message) };
            if let Err(error) = self.push(first, mail) {
                let all = undelivered.get_or_insert(Undelivered { connections: Vec::new(), error });
                all.connections.extend(group);
            }
        }
        undelivered.map_or(Ok(()), Err)
    }

    /// Publishes a message to all subscribers of a topic
    /// ([`Connection::subscribe`](crate::Connection::subscribe)), on all workers. One reference
    /// crosses to each worker, which encodes the message once.
    ///
    /// What one thread sends and publishes reaches each connection in that order. Of several
    /// threads' posts to a topic, those that have a key or are retained come in the same order on
    /// all workers, so that all end with the same one; others come as they come.
    ///
    /// # Errors
    /// [`PublishError`]: the topic is none, the key too long, or some workers did not take it.
    pub fn publish(&self, topic: &str, post: impl Into<Post>) -> Result<(), PublishError> {
        let publication = Publication::new(Topic::new(topic)?, post.into(), None)?;
        self.send_publication(&Arc::new(publication))
    }

    pub(crate) fn send_publication(
        &self,
        publication: &Arc<Publication>,
    ) -> Result<(), PublishError> {
        let is_ordered = publication.post.is_ordered();
        let _order = is_ordered.then(|| self.order.lock(publication.topic.as_topic()));
        self.push_all(|| Mail::Publish(Arc::clone(publication)))
    }

    /// Counts the subscribers of a topic, on all workers: the connections that a message to it
    /// would reach, each once, whichever of its patterns match. `done` is called with the sum, on
    /// the thread of the worker that counts last, and must not block it.
    ///
    /// Each worker counts behind what this thread has asked of it before. No worker waits for
    /// another one, so the sum is of no single moment.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use std::time::Duration;
    /// use ringwire::{Handle, PublishError};
    ///
    /// fn present(handle: &Handle, room: &str) -> Result<Option<usize>, PublishError> {
    ///     let (sender, count) = mpsc::channel();
    ///     handle.count_subscribers(room, move |sum| _ = sender.send(sum))?;
    ///     // `None`: a worker has ended.
    ///     Ok(count.recv_timeout(Duration::from_secs(1)).ok())
    /// }
    /// # let _ = present;
    /// ```
    ///
    /// # Errors
    /// [`PublishError`]: the topic is none, or some workers did not take it. `done` is dropped and
    /// never called then, and also if a worker ends before it has counted.
    pub fn count_subscribers(
        &self,
        topic: &str,
        done: impl FnOnce(usize) + Send + 'static,
    ) -> Result<(), PublishError> {
        let presence = Arc::new(Presence::new(Topic::new(topic)?, self.mailboxes.len(), done));
        self.push_all(|| Mail::Count(Arc::clone(&presence)))
    }

    /// Begins the closing handshake of a connection. `code` and `reason` are as for
    /// [`Connection::close`](crate::Connection::close).
    ///
    /// # Errors
    /// As [`Handle::send`]; [`HandleError::Misuse`] for a code or a reason that cannot be sent.
    pub fn close(
        &self,
        connection: ConnectionId,
        code: u16,
        reason: &str,
    ) -> Result<(), HandleError> {
        ringwire_protocol::Close { code: Some(code), reason }
            .check()
            .map_err(HandleError::Misuse)?;
        let reason = reason.to_owned();
        self.push(connection, Mail::Close { key: connection.key, code, reason })
    }

    /// Takes no more messages of a connection, as [`Connection::pause`](crate::Connection::pause).
    ///
    /// # Errors
    /// As [`Handle::send`].
    pub fn pause(&self, connection: ConnectionId) -> Result<(), HandleError> {
        self.push(connection, Mail::Pause { key: connection.key })
    }

    /// Takes messages of a connection again, as [`Connection::resume`](crate::Connection::resume):
    /// for whoever has made room behind a handler that has paused.
    ///
    /// # Errors
    /// As [`Handle::send`]. The connection stays paused: try again.
    pub fn resume(&self, connection: ConnectionId) -> Result<(), HandleError> {
        self.push(connection, Mail::Resume { key: connection.key })
    }

    /// Stops the server as [`Config::stop_spread`](crate::Config::stop_spread) and
    /// [`Config::stop_timeout`](crate::Config::stop_timeout) say, with the code 1001.
    ///
    /// The listener closes at once, so that new peers, and the checks of a load balancer, are
    /// refused by the kernel, and the next server can listen there. Who has come before, and has
    /// not been answered, gets 503 with `Retry-After`. Open connections go on until the close
    /// frame of each, which leaves after everything that `send` has accepted before it.
    pub fn stop(&self) {
        self.signal(STOP);
    }

    /// Stops the server as [`Handle::stop`] does, with what `stop` says. The first one counts: a
    /// stop that has begun is not changed any more but by [`Handle::stop_now`].
    ///
    /// # Errors
    /// [`Misuse::CloseCode`] and [`Misuse::CloseReasonTooLong`]: nothing happened.
    pub fn stop_with(&self, stop: Stop) -> Result<(), Misuse> {
        stop.check()?;
        self.stop.get_or_init(|| stop);
        self.stop();
        Ok(())
    }

    /// Stops the server without waiting for anybody, also while it stops.
    pub fn stop_now(&self) {
        self.signal(STOP | STOP_NOW);
    }

    /// Which driver moves the bytes of the server, and why not a better one.
    #[must_use]
    pub fn probe(&self) -> &Probe {
        &self.probe
    }

    /// What all workers have counted, summed up. It is at most a tenth of a second old, or of the
    /// end of a worker that has ended; asking costs the workers nothing, so a handler may.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats_by_worker().iter().sum()
    }

    /// What each worker has counted, in the order of their numbers: for each what it had counted at
    /// one moment, between two turns of its loop.
    #[must_use]
    pub fn stats_by_worker(&self) -> Vec<Stats> {
        self.boards.iter().map(|board| board.read()).collect()
    }

    /// How long messages have taken from stage to stage on all workers together, where
    /// [`Config::measure_latency`](crate::Config::measure_latency) is on. As old as
    /// [`Handle::stats`]; it copies 50 KB for each worker.
    #[must_use]
    pub fn latencies(&self) -> Latencies {
        self.measuring.as_ref().map(|measuring| measuring.read()).unwrap_or_default()
    }

    fn signal(&self, bits: u32) {
        for mailbox in self.mailboxes.iter() {
            mailbox.signal(bits);
        }
    }

    /// Raises signals for one worker.
    pub(crate) fn signal_one(&self, worker: u8, bits: u32) {
        if let Some(mailbox) = self.mailboxes.get(usize::from(worker)) {
            mailbox.signal(bits);
        }
    }

    /// With the time, where somebody measures.
    fn timed(&self, mail: Mail) -> Mail {
        match &self.measuring {
            None => mail,
            Some(it) => Mail::Timed { called: it.clock.read(), mail: Box::new(mail) },
        }
    }

    fn push_all(&self, mail: impl Fn() -> Mail) -> Result<(), PublishError> {
        let mut failed = Vec::new();
        for (worker, mailbox) in self.mailboxes.iter().enumerate() {
            let mail = self.timed(mail());
            let bytes = mail.bytes();
            if mailbox.push(mail, bytes).is_err() {
                failed.push(worker);
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(PublishError::Workers(failed)) }
    }

    fn push(&self, connection: ConnectionId, mail: Mail) -> Result<(), HandleError> {
        let Some(mailbox) = self.mailboxes.get(usize::from(connection.worker)) else {
            // An identifier of another server.
            return Err(HandleError::Stopped);
        };
        let mail = self.timed(mail);
        let bytes = mail.bytes();
        mailbox.push(mail, bytes).map_err(|refused| match refused {
            Refused::Full(_) => HandleError::Full,
            Refused::TooLarge(_) => HandleError::TooLarge,
            Refused::Closed(_) => HandleError::Stopped,
        })
    }
}

#[cfg(test)]
impl Handle {
    /// It reaches no worker.
    pub(crate) fn of_nobody() -> Self {
        let (mailboxes, boards, stop, order) =
            (Arc::default(), Arc::default(), Arc::default(), Arc::default());
        let loads = Arc::new(Loads::new(0));
        let probe = Arc::new(Probe::new(crate::probe::DriverKind::Uring));
        let (measuring, leftover_max) = (None, 0);
        Self { mailboxes, boards, stop, order, measuring, probe, loads, leftover_max }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Handle").field("workers", &self.mailboxes.len()).finish()
    }
}

/// Why a worker did not take what was asked of it. Nothing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandleError {
    /// Too many messages wait already, or too many bytes: with this one they would be more than
    /// [`Config::mailbox_size`](crate::Config::mailbox_size) or
    /// [`Config::mailbox_bytes_max`](crate::Config::mailbox_bytes_max).
    Full,
    /// It is by itself larger than
    /// [`Config::mailbox_bytes_max`](crate::Config::mailbox_bytes_max).
    TooLarge,
    /// The worker has ended.
    Stopped,
    /// A code or reason that cannot be sent.
    Misuse(Misuse),
}

impl fmt::Display for HandleError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => formatter.write_str("the worker's mailbox is full"),
            Self::TooLarge => {
                formatter.write_str("the message is larger than the worker's mailbox")
            }
            Self::Stopped => formatter.write_str("the worker has ended"),
            Self::Misuse(misuse) => misuse.fmt(formatter),
        }
    }
}

impl Error for HandleError {}

/// The connections that a message for many did not reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// All of those whose workers did not take it.
    pub connections: Vec<ConnectionId>,
    /// Why the first of them did not.
    pub error: HandleError,
}

impl fmt::Display for Undelivered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} connections were not reached: {}", self.connections.len(), self.error)
    }
}

impl Error for Undelivered {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;
    use crate::mailbox::Bounds;
    use crate::probe::DriverKind;

    /// A handle to workers that read nothing.
    fn handle(workers: usize, size: usize) -> Handle {
        let bounds = Bounds::new(size, 1 << 30).unwrap();
        let mailboxes = (0..workers).map(|_| Arc::new(Mailbox::new(bounds))).collect();
        let boards = (0..workers).map(|_| Arc::default()).collect();
        let (stop, order) = (Arc::default(), Arc::default());
        let probe = Arc::new(Probe::new(DriverKind::Uring));
        let loads = Arc::new(Loads::new(workers));
        let (measuring, leftover_max) = (None, 0);
        Handle { mailboxes, boards, stop, order, measuring, probe, loads, leftover_max }
    }

    #[test]
    fn all_workers_have_the_posts_of_a_key_in_one_order() {
        const COUNT: usize = 20_000;
        const THREADS: usize = 4;
        let handle = handle(2, THREADS * COUNT);
        let start = Barrier::new(THREADS);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (handle, start) = (&handle, &start);
                scope.spawn(move || {
                    start.wait();
                    let (keyed, retained) = (Post::new("").with_key("k"), Post::new("").retained());
                    let post = if thread % 2 == 0 { keyed } else { retained };
                    for _ in 0..COUNT {
                        handle.publish("a", post.clone()).unwrap();
                    }
                });
            }
        });
        let orders: Vec<Vec<_>> = handle
            .mailboxes
            .iter()
            .map(|mailbox| {
                let mails = mailbox.drain().map(|mail| match mail {
                    Mail::Publish(publication) => publication,
                    mail => panic!("{mail:?}"),
                });
                mails.collect()
            })
            .collect();
        assert_eq!(orders[0].len(), THREADS * COUNT);
        let mut pairs = orders[0].iter().zip(&orders[1]);
        assert!(pairs.all(|(one, other)| Arc::ptr_eq(one, other)));
    }
}
