//! What a configuration may come to take of memory, before anything has been taken.

use ringwire_protocol::Workspace;

use crate::admission::ADDRESS_SIZE;
use crate::affinity;
use crate::config::Config;
use crate::conn;
use crate::driver::epoll::Epoll;
use crate::driver::{Completion, Key};
use crate::handle::Mail;
use crate::handler::Handler;
use crate::topic::Topics;

/// The most that a server can hold at the same time, in bytes: [`Config::memory_max`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryMax {
    /// Of each worker, whatever its connections do.
    pub worker: u64,
    /// Of an open connection that is idle. It is part of `connection`.
    pub connection_idle: u64,
    /// Of a connection that does the worst at all times: its largest message has arrived but for
    /// the last byte, its outbox is full, and both its windows are kept.
    pub connection: u64,
    /// Of a connection in its opening handshake, beyond `connection_idle`.
    pub handshake: u64,
    /// Of all of them together; `u64::MAX` where that is not enough.
    pub total: u64,
}

impl Config {
    /// The most memory that the engine itself takes with this configuration and the handler `H`,
    /// if every connection does its worst at the same moment. Nobody has as much: it tells which
    /// field counts, and what a limit buys.
    ///
    /// ```text
    ///   total       = workers × worker + connections × connection + handshakes × handshake
    ///   connections = connections_max of each worker, at most connections_server_max
    ///   handshakes  = handshakes_max of each worker, at most connections
    ///   worker      = buffers × buffer_size                   receive buffers
    ///               + 64 MiB + 12 MiB                         spare buffers of sends and messages
    ///               + 4 × 551 KiB, where messages compress    idle compressors
    ///               + outbox_size_max, where messages compress  the message being compressed
    ///               + 3 × retained.size_max                   last values, their names and frames
    ///               + 264 × retained.count_max                and their places
    ///               + patterns_max × 6008 bytes               what is subscribed, by patterns
    ///               + 3 MB, where latencies are measured
    ///               + queues and lists
    ///   connection  = its slot with the handler's state, its deadline
    ///               + its places in lists and in the driver, its address where those are limited
    ///               + 2 × (message_size_max + 64 KiB)         its pieces, then joined
    ///               + 2 × (outbox_size_max + 64 KiB + 2 × buffers × buffer_size)
    ///               + 2 × outbox_size_max                     the queue of a slow consumer
    ///               + 2 × (2 × buffers × buffer_size         what is kept while it is paused,
    ///                      + head_size_max)                   and from before it was let in
    ///               + 58 × subscriptions_max + 188 bytes      what it subscribes
    ///               + 551 KiB, where messages compress        its windows
    ///   handshake   = 2 × (head_size_max + buffer_size)
    ///               + its places in lists
    /// ```
    ///
    /// The outbox may pass its maximum by the answers to pings that had arrived before. What may
    /// grow counts twice: a vector has up to twice the capacity that is used. What waits for a slow
    /// consumer counts as part of its outbox, each message with its place in the queue and what it
    /// is conflated by; but places are kept until the queue is empty. A message that was published
    /// counts in full for each consumer, though all of them hold the same one.
    ///
    /// A pattern counts as if it had sixteen tokens and shared none of them with another.
    ///
    /// Not counted: the kernel's sockets and rings; what the handler keeps and answers to a
    /// request; what the allocator adds; compression that the handler chooses where
    /// [`Config::compression`] is `None`.
    ///
    /// ```
    /// use ringwire::{Config, Connection, Handler, Message};
    ///
    /// struct Quiet;
    ///
    /// impl Handler for Quiet {
    ///     type State = ();
    ///
    ///     fn message(&mut self, _: &mut Connection<'_, ()>, _: Message<'_>) {}
    /// }
    ///
    /// let mut config = Config { workers: 2, connections_max: 50_000, ..Config::default() };
    /// config.limits.message_size_max = 4096;
    /// config.outbox_size_max = 1 << 20;
    /// config.buffers = 64;
    /// let memory = config.memory_max::<Quiet>();
    /// assert!(memory.connection_idle <= 256);
    /// assert!(memory.total < 4 << 40);
    /// ```
    #[must_use]
    pub fn memory_max<H: Handler>(&self) -> MemoryMax {
        let workers = if self.workers == 0 { affinity::cores().len().max(1) } else { self.workers };
        let server = self.connections_server_max.unwrap_or(usize::MAX);
        let connections = workers.saturating_mul(self.connections_max).min(server);
        let handshakes = workers.saturating_mul(self.handshakes_max).min(connections);
        let connection_idle = wide(conn::slot_size::<H::State>());
        let outbox = wide(self.outbox_size_max);
        let connection = sum([
            connection_idle,
            wide(conn::LISTS_SIZE),
            times(2, wide(Epoll::CONNECTION_SIZE)),
            wide(conn::BACKLOG_SIZE),
            if self.connections_address_max.is_some() { wide(ADDRESS_SIZE) } else { 0 },
            times(2, sum([wide(self.limits.message_size_max), wide(Workspace::SPARE_SIZE_MAX)])),
            times(2, sum([outbox, wide(conn::SPARE_SIZE_MAX), times(2, self.receive_buffers())])),
            times(2, outbox),
            times(2, wide(self.leftover_max())),
            self.memory_subscriber(),
            if self.compression.is_some() { COMPRESSION } else { 0 },
        ]);
        let heads = sum([wide(self.handshake.head_size_max), wide(self.buffer_size)]);
        let handshake = sum([times(2, heads), wide(conn::OPENING_SIZE), wide(conn::DEFERRAL_SIZE)]);
        let worker = self.memory_worker::<H>();
        let total = sum([
            times(wide(workers), worker),
            times(wide(connections), connection),
            times(wide(handshakes), handshake),
        ]);
        MemoryMax { worker, connection_idle, connection, handshake, total }
    }

    fn memory_worker<H: Handler>(&self) -> u64 {
        let compressing = match self.compression {
            Some(_) => sum([
                times(wide(Workspace::POOL_COUNT_MAX), COMPRESSION),
                wide(self.outbox_size_max),
            ]),
            None => 0,
        };
        let openings = times(2 * 2, times(wide(self.handshakes_max), wide(size_of::<u64>())));
        let spare_slots = times(wide(conn::SLOTS_SPARE), wide(conn::slot_size::<H::State>()));
        let retained = self.retained;
        let values = retained.count_max.min(retained.size_max / conn::LAST_VALUE_SIZE_MIN);
        let last_values = sum([
            times(3, wide(retained.size_max)),
            times(wide(values), wide(conn::LAST_VALUE_SIZE)),
        ]);
        let completions = COMPLETIONS_MIN.max(2 * u64::from(self.buffers));
        sum([
            self.receive_buffers(),
            times(u64::from(self.buffers), RECEIVE_BUFFER_ENTRY),
            wide(conn::SPARE_MAX),
            wide(Workspace::SPARE_MAX),
            compressing,
            self.memory_mail(),
            self.memory_patterns(),
            openings,
            spare_slots,
            last_values,
            times(2, times(completions, wide(size_of::<Completion>()))),
            if self.measure_latency { wide(conn::FOLLOW_SIZE) } else { 0 },
            OTHERS,
        ])
    }

    /// Of what waits in a mailbox.
    fn memory_mail(&self) -> u64 {
        // The queue adds three words to each, and two of its blocks may be all but empty.
        let places = wide(self.mailbox_size).saturating_add(2 * 31);
        let places = times(places, wide(size_of::<Mail>() + 3 * size_of::<u64>()));
        sum([places, wide(self.mailbox_bytes_max)])
    }

    /// Of the patterns that are subscribed, and of what a publish finds of them.
    fn memory_patterns(&self) -> u64 {
        let patterns = times(wide(self.topics.patterns_max), wide(Topics::<Key>::PATTERN_SIZE));
        sum([patterns, wide(Topics::<Key>::TABLES_SIZE)])
    }

    /// Of a connection that subscribes as much as it may.
    fn memory_subscriber(&self) -> u64 {
        // Nobody subscribes more patterns than there are.
        let count = self.topics.subscriptions_max.min(self.topics.patterns_max);
        let subscriptions = times(wide(count), wide(Topics::<Key>::SUBSCRIPTION_SIZE));
        sum([subscriptions, wide(Topics::<Key>::SUBSCRIBER_SIZE)])
    }

    /// Of what all connections have subscribed, where a worker has so many.
    #[cfg(feature = "simulation")]
    pub(crate) fn memory_topics(&self, connections: usize) -> u64 {
        sum([self.memory_patterns(), times(wide(connections), self.memory_subscriber())])
    }

    /// Bytes that may have been read from a connection that another server hands over. What it has
    /// of them is within what is counted for a paused one, and for one that has sent much before it
    /// was let in.
    pub(crate) fn leftover_max(&self) -> usize {
        let filled = usize::from(self.buffers).saturating_mul(self.buffer_size);
        filled.saturating_mul(2).saturating_add(self.handshake.head_size_max)
    }

    fn receive_buffers(&self) -> u64 {
        times(u64::from(self.buffers), wide(self.buffer_size))
    }
}

/// A compressor and a decompressor with the largest windows, as they were measured.
const COMPRESSION: u64 = (495 + 56) << 10;

/// What names a receive buffer: an entry of the ring, a box, rounded up.
const RECEIVE_BUFFER_ENTRY: u64 = 64;

/// Completions that a ring holds with few receive buffers.
const COMPLETIONS_MIN: u64 = 8192;

/// The wheel's heads, answers to those who are refused, and the like.
pub(crate) const OTHERS: u64 = 1 << 20;

fn wide(size: usize) -> u64 {
    size as u64
}

const fn times(count: u64, size: u64) -> u64 {
    count.saturating_mul(size)
}

fn sum<const N: usize>(parts: [u64; N]) -> u64 {
    parts.into_iter().fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Compression;
    use crate::conn::Connection;
    use ringwire_protocol::Message;

    struct With<S>(S);

    impl<S: Default + 'static> Handler for With<S> {
        type State = S;

        fn message(&mut self, _: &mut Connection<'_, S>, _: Message<'_>) {}
    }

    fn memory(change: impl FnOnce(&mut Config)) -> MemoryMax {
        let mut config = Config { workers: 2, connections_max: 1000, ..Config::default() };
        change(&mut config);
        config.memory_max::<With<()>>()
    }

    #[test]
    fn the_parts_make_the_total() {
        let MemoryMax { worker, connection_idle, connection, handshake, total } = memory(|_| ());
        // Handshakes are connections, so there are no more of them.
        assert_eq!(total, 2 * worker + 2000 * connection + 2000 * handshake);
        let limits = Config::default();
        let held = limits.limits.message_size_max + limits.outbox_size_max;
        assert!(connection > connection_idle + held as u64);
        assert!(connection < connection_idle + 5 * held as u64);
        assert!(worker > 256 * (32 << 10) + (64 << 20));
        let server = memory(|config| config.connections_server_max = Some(10));
        assert_eq!(server.total, 2 * worker + 10 * connection + 10 * handshake);
    }

    #[test]
    fn no_limit_that_grows_lessens_it() {
        let changes: [fn(&mut Config); 17] = [
            |config| config.workers += 1,
            |config| config.connections_max += 1,
            |config| config.handshakes_max = 3,
            |config| config.handshake.head_size_max *= 2,
            |config| config.compression = Some(Compression::dedicated()),
            |config| config.limits.message_size_max += 1,
            |config| config.buffers *= 2,
            |config| config.buffer_size *= 2,
            |config| config.outbox_size_max += 1,
            |config| config.measure_latency = true,
            |config| config.mailbox_size += 1,
            |config| config.mailbox_bytes_max += 1,
            |config| config.connections_address_max = Some(1),
            |config| config.retained.count_max += 1,
            |config| config.retained.size_max += 1,
            |config| config.topics.patterns_max += 1,
            |config| config.topics.subscriptions_max += 1,
        ];
        let few = |config: &mut Config| config.handshakes_max = 2;
        let before = memory(few).total;
        for (index, change) in changes.into_iter().enumerate() {
            let after = memory(|config| (few(config), change(config)).1).total;
            assert!(after > before, "{index}");
        }
        let server = |max| memory(|config| config.connections_server_max = Some(max)).total;
        assert!(server(1500) < server(1501) && server(1501) < server(2000));
    }

    #[test]
    fn finite_whatever_is_configured() {
        let huge = memory(|config| {
            config.connections_max = usize::MAX;
            config.limits.message_size_max = usize::MAX;
            config.outbox_size_max = usize::MAX;
            config.retained.count_max = usize::MAX;
        });
        assert_eq!(huge.total, u64::MAX);
        assert!(Config { workers: 0, ..Config::default() }.memory_max::<With<()>>().total > 0);
    }

    #[test]
    fn subscriptions_are_what_the_documentation_says() {
        let (pattern, subscriber) = (Topics::<Key>::PATTERN_SIZE, Topics::<Key>::SUBSCRIBER_SIZE);
        assert_eq!((pattern, subscriber, Topics::<Key>::SUBSCRIPTION_SIZE), (6008, 188, 58));
    }

    #[test]
    fn the_handler_s_state_lies_in_the_slot() {
        let config = Config::default();
        let (small, large) =
            (config.memory_max::<With<()>>(), config.memory_max::<With<[u64; 32]>>());
        assert_eq!(large.connection_idle - small.connection_idle, 256);
        assert!(small.connection_idle <= 256, "{} bytes", small.connection_idle);
    }
}
