//! What can be set, and the private settings that are made of it once.

use std::time::Duration;

use ringwire_protocol::deflate::Policy;
use ringwire_protocol::{Close, Limits, handshake};

use crate::error::ConfigError;
use crate::mailbox::Bounds;
use crate::probe::DriverChoice;
use crate::profile::Profile;
use crate::slow::{Contradiction, SlowConsumer};
use crate::timer::DURATION_MAX;
use crate::topic::{RetainedLimits, TopicLimits};

/// Everything that can be set. Each field has a default that serves a public server. No time may be
/// longer than 50 days.
///
/// ```
/// use std::time::Duration;
/// use ringwire::Config;
///
/// let config = Config { workers: 1, idle_timeout: Some(Duration::from_secs(60)),
/// ..Config::default() };
/// # let _ = config;
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Threads, each with a ring, a listener and connections of its own. Default 0: one for each
    /// core that this process may use.
    pub workers: usize,
    /// Whether each worker stays on a core of its own. Default `true`: its caches stay warm and no
    /// move of the scheduler's lengthens the tail. Only where there are as many cores as workers.
    pub pin_workers: bool,
    /// The cores that workers stay on, one for each in the order of their numbers. Default empty:
    /// the first of those that this process may use.
    pub cores: Vec<usize>,
    /// How long a worker that has nothing to do looks for more without sleeping, since something
    /// last arrived or was asked of it; after that it sleeps. To be woken takes tens of
    /// microseconds. Default zero: a worker that spins takes all of its core.
    pub spin: Duration,
    /// What moves the bytes. Default [`DriverChoice::Auto`]: io_uring where the system lets us, as
    /// most containers do not, and epoll elsewhere; [`Server::probe`](crate::Server::probe) says
    /// which, and why.
    pub driver: DriverChoice,
    /// How long the kernel polls the network card before it sleeps (`SO_BUSY_POLL`, and that of the
    /// ring), from 1 µs to 1 s. Default `None`: it takes a card that can be polled, and the
    /// loopback has none. More than the system's `net.core.busy_read` needs `CAP_NET_ADMIN`.
    pub busy_poll: Option<Duration>,
    /// Whether the time of messages from stage to stage is measured, for
    /// [`Handle::latencies`](crate::Handle::latencies). Default `false`: it reads the clock some
    /// four times for a message, and takes up to 3 MB for each worker.
    pub measure_latency: bool,
    /// Connections of one worker, those in their opening handshake included. A peer beyond them
    /// takes the place of the oldest handshake; where there is none it is refused with 503 before
    /// anything of it is read. Default 1,000,000: the limit of descriptors comes first on most
    /// systems.
    pub connections_max: usize,
    /// Connections of all workers together; beyond them as beyond
    /// [`connections_max`](Self::connections_max). Default `None`: what the workers may have.
    pub connections_server_max: Option<usize>,
    /// Connections from one address, of all workers together: one address of IPv4, one /64 prefix
    /// of IPv6. A peer beyond them is refused with 503 before anything of it is read. Default
    /// `None`: behind a proxy all clients have its address, and behind one router or carrier there
    /// may be thousands.
    pub connections_address_max: Option<usize>,
    /// Opening handshakes of one worker at the same time. The oldest gives up its place to a newer
    /// one, because a good client is done within a round trip, so that peers that connect and say
    /// nothing only ever drive each other out. One whose answer was put off
    /// ([`Upgrade::later`](crate::Upgrade::later)) counts and does not give way. Default 4,096: who
    /// sends its request within 80 ms gets in past 50,000 such peers a second. No more than
    /// [`connections_max`](Self::connections_max) count.
    pub handshakes_max: usize,
    /// Requests that one worker answers in a second. One beyond them is refused with 503 before it
    /// is parsed or anything is hashed; a peer that sends no whole request takes nothing from
    /// others. Default `None`: a request costs a few microseconds.
    pub handshake_rate: Option<u32>,
    /// Requests that may come at once after a pause, above what
    /// [`handshake_rate`](Self::handshake_rate) lets through. Default 1,000: the clients that come
    /// back in the instant in which a network does.
    pub handshake_burst: u32,
    /// Peers that the kernel keeps until they are accepted, for each worker. Default 4,096, which
    /// is also the kernel's own limit unless it was raised.
    pub backlog: u32,
    /// Who may connect to a path of [`Server::bind_unix`](crate::Server::bind_unix): the bits of
    /// chmod(1), of which those for writing count. Default `None`: what the umask of the process
    /// leaves, which is its user alone on most systems.
    pub unix_mode: Option<u32>,

    /// Bytes, lines and so on of the request that opens a connection.
    pub handshake: handshake::Limits,
    /// From accepting a connection to the end of its request. Default 10 s: a phone on a bad
    /// network manages, and a peer that dribbles is done with soon.
    pub handshake_timeout: Duration,
    /// From the end of a request that the handler has put off to its answer
    /// ([`Upgrade::later`](crate::Upgrade::later)); then it is 503. Default 10 s: another service
    /// may be asked twice, and clients do not give up before.
    pub upgrade_timeout: Duration,
    /// Which web pages may connect. Default [`Origins::Any`].
    pub origins: Origins,

    /// Compression of messages, where a client offers it. Default `None`: it costs memory and time
    /// that a server of small messages does not get back. A handler may choose otherwise for each
    /// connection ([`Upgrade::compression`](crate::Upgrade::compression)).
    pub compression: Option<Compression>,

    /// Sizes of messages and frames, and the number of fragments.
    pub limits: Limits,
    /// The number of receive buffers of one worker, shared by its connections. A power of two from
    /// 1 to 32,768. Default 256: what arrives in one turn of the loop fits, and when it does not,
    /// connections wait for a turn and lose nothing.
    pub buffers: u16,
    /// Bytes of one receive buffer, from 64 to 16 MiB. Default 32 KiB: the common message fits
    /// whole, with its header, and is handed over without a copy. What of it has never been
    /// received into takes no memory.
    pub buffer_size: usize,

    /// Bytes of messages that one connection may have handled in one turn of the loop; a message or
    /// a control frame counts as 256 at least, which is the time that the smallest one takes, and
    /// what is compressed by what it becomes. What has arrived beyond waits for the next turn,
    /// after what arrives then, so that a peer that floods, or whose messages grow a thousandfold,
    /// does not lengthen the tail of the others. When all connections together have had four times
    /// as much, others have at most 16 KiB. Default 256 KiB: 1,024 small messages, some 25 µs of
    /// the engine's own work, and more than a busy connection has in one turn.
    pub turn_size_max: usize,

    /// Bytes queued and in flight to one peer above which `send` refuses. A message that starts
    /// below and ends above is refused whole. What had arrived when the high mark was passed is
    /// still handed over, at most `buffers` times `buffer_size`: who answers all of it leaves room
    /// for that. Chunks wait instead. Default 64 MiB: three messages of the default maximum.
    pub outbox_size_max: usize,
    /// Bytes queued and in flight to one peer from which on nothing more is read from it, so that a
    /// peer that does not take its answers cannot ask for more. Default 1 MiB: above what the
    /// kernel takes at once, and a small part of what one message may hold.
    pub outbox_high: usize,
    /// When they have fallen to this, reading goes on and `drain` is called. Default 256 KiB: the
    /// link stays busy while the handler answers the call.
    pub outbox_low: usize,
    /// What is done about a peer for which more waits than `outbox_size_max`, or messages that are
    /// too old; [`Connection::set_slow_consumer`](crate::Connection::set_slow_consumer) chooses for
    /// one. Default: the message that is being sent is dropped, and `send` says so.
    pub slow_consumer: SlowConsumer,
    /// A peer that takes none of what is sent for this long is dropped. Default 30 s.
    pub send_timeout: Duration,
    /// How old the oldest byte may be that has not left; then the peer is dropped, however much it
    /// takes. Bytes that leave in one send are as old as the first of them. Not below
    /// [`send_timeout`](Self::send_timeout). Default 5 minutes, in which a message of the default
    /// maximum crosses a link of half a megabit a second; a peer that takes a byte a second would
    /// hold its outbox for two years.
    pub outbox_age_max: Option<Duration>,
    /// Bytes that the kernel takes for one peer before they are on their way (`TCP_NOTSENT_LOWAT`
    /// of tcp(7)). Default `None`: what its send buffer holds, which most systems let grow to 4 MiB
    /// and more.
    ///
    /// Set it, to some 64 KiB, a flight, wherever peers are sent what they have not asked for piece
    /// by piece: a feed, a fan-out, whatever conflates or drops. For a peer that has stopped
    /// reading the kernel otherwise takes megabytes, which are seconds of a feed, ahead of
    /// everything that is done about slow consumers: this sees only what is beyond, in the outbox,
    /// and what the kernel has taken can only grow old. It is fresh memory besides, for each such
    /// peer, and while a worker copies into it, all others of that worker wait for their sends.
    ///
    /// The link is kept busy all the same, since what is on its way does not count. Who sends files
    /// or answers requests gains nothing by it.
    pub unsent_max: Option<u32>,

    /// From the first byte of a message or a frame to its last, while it is read; then the
    /// connection is failed with 1008. Control frames between the fragments do not put it off.
    /// Default 5 minutes, as for [`outbox_age_max`](Self::outbox_age_max): who dribbles holds the
    /// memory of a message for that long, and no longer. Of a message that is taken in chunks
    /// nothing is held, and it may take hours: there the time is that from one chunk to the next.
    pub message_timeout: Option<Duration>,

    /// A connection without a message in either direction for this long is closed with 1001. Each
    /// piece of a message that is arriving counts; the time in which it is not read does not.
    /// Default `None`: pings find out whether the peer is there.
    pub idle_timeout: Option<Duration>,
    /// A connection that has been open for this long is closed with
    /// [`lifetime_code`](Self::lifetime_code), so that clients spread anew over the servers of a
    /// fleet. Default `None`: a connection lives as long as both sides want.
    pub lifetime_max: Option<Duration>,
    /// How many percent of [`lifetime_max`](Self::lifetime_max) a connection's own lifetime may be
    /// shorter, at most 90. Those that open one after the other are spread evenly, so that what
    /// came at once does not leave and come back at once. Default 10.
    pub lifetime_jitter_percent: u8,
    /// The code of the close frame at the end of a lifetime, one that
    /// [`Connection::close`](crate::Connection::close) takes. Default 1001, going away.
    pub lifetime_code: u16,
    /// A peer that has sent nothing for this long is sent a ping. Default 30 s, below the minute
    /// after which many routers forget a connection.
    pub ping_interval: Option<Duration>,
    /// A peer that has sent nothing for this long after a ping is dropped. Default 20 s.
    pub pong_timeout: Duration,
    /// How long the peer has to answer a close frame. Default 5 s.
    pub close_timeout: Duration,
    /// After the last byte has been sent, how long the peer has to close its side, so that what it
    /// still sends does not make the kernel take that byte back. Default 2 s.
    pub linger_timeout: Duration,
    /// A stop sends its close frames one after another over this long
    /// ([`Handle::stop`](crate::Handle::stop)), the first at once. Default 1 s: it keeps clients
    /// from coming back all in the same instant, and leaves most of the ten seconds that
    /// supervisors wait. Who has very many of them, and the time, spreads them further.
    pub stop_spread: Duration,
    /// How long a stop waits for the closing handshakes after the last close frame. Default 5 s.
    pub stop_timeout: Duration,

    /// Subscriptions of a connection, patterns of a worker, and matches of a publish.
    pub topics: TopicLimits,
    /// Last values that each worker keeps for who subscribes later: those of all workers are the
    /// same, and share their bytes. A post beyond them is delivered and not retained, nor is the
    /// value before it, which is the last no more; [`Stats`](crate::Stats) counts it. Default:
    /// 65,536 values, 64 MiB.
    pub retained: RetainedLimits,

    /// Messages from other threads that wait for one worker, at most 8,388,607. Above this,
    /// [`Handle::send`](crate::Handle::send) refuses. Default 65,536.
    pub mailbox_size: usize,
    /// Bytes of memory that those messages hold, below 64 GiB; above this as well, `send` refuses.
    /// A message that is larger by itself is never taken. One for many connections counts for each
    /// of their workers, with eight bytes for each connection. Default 64 MiB: as much as may be
    /// queued to one peer.
    pub mailbox_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            workers: 0,
            pin_workers: true,
            cores: Vec::new(),
            spin: Duration::ZERO,
            driver: DriverChoice::Auto,
            busy_poll: None,
            measure_latency: false,
            connections_max: 1_000_000,
            connections_server_max: None,
            connections_address_max: None,
            handshakes_max: 4096,
            handshake_rate: None,
            handshake_burst: 1000,
            backlog: 4096,
            unix_mode: None,
            handshake: handshake::Limits::default(),
            handshake_timeout: Duration::from_secs(10),
            upgrade_timeout: Duration::from_secs(10),
            origins: Origins::Any,
            compression: None,
            limits: Limits::default(),
            buffers: 256,
            buffer_size: 32 << 10,
            turn_size_max: 256 << 10,
            outbox_size_max: 64 << 20,
            outbox_high: 1 << 20,
            outbox_low: 256 << 10,
            slow_consumer: SlowConsumer::default(),
            send_timeout: Duration::from_secs(30),
            outbox_age_max: Some(Duration::from_secs(300)),
            unsent_max: None,
            message_timeout: Some(Duration::from_secs(300)),
            idle_timeout: None,
            lifetime_max: None,
            lifetime_jitter_percent: 10,
            lifetime_code: 1001,
            ping_interval: Some(Duration::from_secs(30)),
            pong_timeout: Duration::from_secs(20),
            close_timeout: Duration::from_secs(5),
            linger_timeout: Duration::from_secs(2),
            stop_spread: Duration::from_secs(1),
            stop_timeout: Duration::from_secs(5),
            topics: TopicLimits::default(),
            retained: RetainedLimits::default(),
            mailbox_size: 65_536,
            mailbox_bytes_max: 64 << 20,
        }
    }
}

/// How messages are compressed with `permessage-deflate` (RFC 7692).
///
/// ```
/// use ringwire::{Compression, Config, DeflatePolicy};
///
/// let policy = DeflatePolicy { server_max_window_bits: 12, ..DeflatePolicy::default() };
/// let config = Config {
///     compression: Some(Compression { policy, ..Compression::dedicated() }),
///     ..Config::default()
/// };
/// # let _ = config;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    /// Windows, takeover, level, and the size under which messages go uncompressed.
    pub policy: Policy,
    /// How many times its compressed size a message may have, beyond 64 KiB; more is answered with
    /// 1009. Default `u32::MAX`, no limit: [`Limits::message_size_max`] holds to the byte in any
    /// case, and DEFLATE ends at 1,032.
    pub ratio_max: u32,
}

impl Compression {
    /// Nothing is kept between two messages: the worker's own compressors serve all its
    /// connections, and an idle one holds none.
    #[must_use]
    pub fn shared() -> Self {
        Self { policy: Policy::default().shared(), ratio_max: u32::MAX }
    }

    /// Each connection keeps its windows, from its first compressed message to its end: small
    /// messages that resemble one another become smaller still, for 350 to 380 kB at 15 bits.
    #[must_use]
    pub fn dedicated() -> Self {
        Self { policy: Policy::default(), ratio_max: u32::MAX }
    }
}

/// Which web pages may open connections (RFC 6455 section 10.2). Clients that are not browsers send
/// no origin and are let in; it protects a browser's user, not the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origins {
    /// Every one.
    #[default]
    Any,
    /// Those of the host that the request is for, whatever the scheme.
    SameHost,
    /// Those of the list, as browsers write them: `https://example.com`, compared without case.
    List(Vec<String>),
}

impl Origins {
    /// Whether a request for `host` from a page of `origin` is let in.
    pub(crate) fn allow(&self, origin: Option<&[u8]>, host: &str) -> bool {
        let Some(origin) = origin else { return true };
        match self {
            Self::Any => true,
            Self::SameHost => std::str::from_utf8(origin)
                .ok()
                .and_then(|origin| origin.split_once("://"))
                .is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host)),
            Self::List(list) => {
                list.iter().any(|allowed| allowed.as_bytes().eq_ignore_ascii_case(origin))
            }
        }
    }
}

/// The configuration once it has been found free of contradictions.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) config: Config,
    /// At least one.
    pub(crate) workers: usize,
    /// The core of each worker; empty where they are not kept on cores.
    pub(crate) cores: Vec<usize>,
    pub(crate) mailbox: Bounds,
}

impl Settings {
    /// Checks a configuration for this system, which gives the process `cores`.
    pub(crate) fn resolve(mut config: Config, cores: &[usize]) -> Result<Self, ConfigError> {
        let Config { pin_workers, spin, busy_poll, .. } = config;
        let profile = Profile { pin_workers, cores: &config.cores, spin, busy_poll };
        let workers = match config.workers {
            0 => profile.workers(cores),
            workers => workers,
        };
        if workers > WORKERS_MAX {
            return Err(ConfigError::Workers { max: WORKERS_MAX });
        }
        let cores = profile.resolve(workers, cores)?;
        check_connections(&config, workers)?;
        check_sizes(&config)?;
        check_times(&config)?;
        check_compression(&config)?;
        let mailbox = Bounds::new(config.mailbox_size, config.mailbox_bytes_max)
            .ok_or(ConfigError::Mailbox)?;
        config.slow_consumer = config.slow_consumer.within(config.outbox_size_max);
        Ok(Self { config, workers, cores, mailbox })
    }
}

fn check_connections(config: &Config, workers: usize) -> Result<(), ConfigError> {
    let counts = [
        ("connections_max", Some(config.connections_max)),
        ("connections_server_max", config.connections_server_max),
        ("connections_address_max", config.connections_address_max),
        ("handshakes_max", Some(config.handshakes_max)),
        ("handshake_rate", config.handshake_rate.map(|rate| rate as usize)),
        ("handshake_burst", config.handshake_rate.map(|_| config.handshake_burst as usize)),
        ("backlog", Some(config.backlog as usize)),
        ("unsent_max", config.unsent_max.map(|size| size as usize)),
        ("mailbox_size", Some(config.mailbox_size)),
        ("mailbox_bytes_max", Some(config.mailbox_bytes_max)),
    ];
    not_zero(&counts)?;
    // A limit that is never reached is one that somebody relies on in vain.
    let all = workers.saturating_mul(config.connections_max);
    let server = config.connections_server_max.unwrap_or(all);
    let address = config.connections_address_max.unwrap_or(server);
    if server > all {
        let (field, above) = ("connections_server_max", "connections_max of all workers");
        return Err(ConfigError::Above { field, above });
    }
    if address > server {
        let (field, above) = ("connections_address_max", "the connections of the server");
        return Err(ConfigError::Above { field, above });
    }
    Ok(())
}

fn check_sizes(config: &Config) -> Result<(), ConfigError> {
    if !config.buffers.is_power_of_two() || config.buffers > 1 << 15 {
        return Err(ConfigError::Buffers);
    }
    if !(64..=16 << 20).contains(&config.buffer_size) {
        return Err(ConfigError::BufferSize);
    }
    let streamed_size_max = usize::try_from(config.limits.streamed_size_max).unwrap_or(usize::MAX);
    not_zero(&[
        ("turn_size_max", Some(config.turn_size_max)),
        ("limits.message_size_max", Some(config.limits.message_size_max)),
        ("limits.streamed_size_max", Some(streamed_size_max)),
        ("limits.frame_size_max", Some(config.limits.frame_size_max)),
        ("limits.fragments_max", Some(config.limits.fragments_max as usize)),
        ("handshake.head_size_max", Some(config.handshake.head_size_max)),
        ("handshake.start_line_size_max", Some(config.handshake.start_line_size_max)),
        ("handshake.headers_max", Some(config.handshake.headers_max)),
    ])?;
    let marks = [config.outbox_low, config.outbox_high, config.outbox_size_max];
    if !marks.is_sorted() || config.outbox_high == 0 {
        return Err(ConfigError::Marks);
    }
    match config.slow_consumer.contradiction() {
        None => Ok(()),
        Some(Contradiction::Size) => Err(ConfigError::Zero { field: "slow_consumer.size_max" }),
        Some(Contradiction::Code(code)) => Err(ConfigError::SlowConsumerCode(code)),
    }
}

fn check_times(config: &Config) -> Result<(), ConfigError> {
    let times = [
        ("handshake_timeout", Some(config.handshake_timeout)),
        ("upgrade_timeout", Some(config.upgrade_timeout)),
        ("send_timeout", Some(config.send_timeout)),
        ("outbox_age_max", config.outbox_age_max),
        ("message_timeout", config.message_timeout),
        ("idle_timeout", config.idle_timeout),
        ("lifetime_max", config.lifetime_max),
        ("ping_interval", config.ping_interval),
        ("pong_timeout", Some(config.pong_timeout)),
        ("close_timeout", Some(config.close_timeout)),
        ("linger_timeout", Some(config.linger_timeout)),
        ("stop_timeout", Some(config.stop_timeout)),
        ("stop_spread", Some(config.stop_spread)),
    ];
    for (field, time) in times {
        // No peer could meet the others; these may well be zero.
        let may_be_zero =
            ["close_timeout", "linger_timeout", "stop_timeout", "stop_spread"].contains(&field);
        if time == Some(Duration::ZERO) && !may_be_zero {
            return Err(ConfigError::Zero { field });
        }
        if time.is_some_and(|time| time > DURATION_MAX) {
            return Err(ConfigError::TooLong { field });
        }
    }
    if config.outbox_age_max.is_some_and(|age| age < config.send_timeout) {
        let (field, above) = ("send_timeout", "outbox_age_max");
        return Err(ConfigError::Above { field, above });
    }
    if config.lifetime_jitter_percent > 90 {
        return Err(ConfigError::Jitter);
    }
    let close = Close { code: Some(config.lifetime_code), reason: "" };
    close.check().map_err(|_| ConfigError::LifetimeCode)
}

fn check_compression(config: &Config) -> Result<(), ConfigError> {
    let Some(Compression { policy, ratio_max }) = &config.compression else { return Ok(()) };
    let windows = [policy.server_max_window_bits, policy.client_max_window_bits];
    let is_known = windows.iter().all(|bits| (9..=15).contains(bits))
        && (1..=9).contains(&policy.memory_level)
        && policy.level <= 9
        && *ratio_max > 0;
    if is_known { Ok(()) } else { Err(ConfigError::Compression) }
}

fn not_zero(fields: &[(&'static str, Option<usize>)]) -> Result<(), ConfigError> {
    match fields.iter().find(|(_, count)| *count == Some(0)) {
        Some(&(field, _)) => Err(ConfigError::Zero { field }),
        None => Ok(()),
    }
}

/// A connection's identifier has eight bits for its worker.
pub(crate) const WORKERS_MAX: usize = 256;

#[cfg(test)]
mod tests;
