//! What a worker knows of one peer, from its acceptance until its slot is freed.

use ringwire_protocol::handshake::Head;
use ringwire_protocol::{Closing, Receiver};

use crate::admission::Place;
use crate::config::Config;
use crate::conn::link::Link;
use crate::driver::Descriptor;
use crate::timer::{Stamp, Time};

/// Deferred arrivals of one connection from which on nothing more is received from it until they
/// have been handled, so that a flood leaves the buffers to others. Some, because a connection that
/// is merely busy should not pay for a cancellation.
const DEFERRED_HIGH: u8 = 8;

/// One connection.
#[derive(Debug)]
pub(crate) struct Peer<S> {
    pub(crate) descriptor: Descriptor,
    pub(crate) stage: Stage,
    pub(crate) in_flight: InFlight,
    pub(crate) receiver: Receiver,
    pub(crate) link: Link,
    pub(crate) state: S,
    /// Where it is counted. `None`: it was refused or evicted.
    pub(crate) place: Option<Place>,
    /// When the last byte came in.
    pub(crate) last_received: Stamp,
    /// When the present send began or last made progress.
    pub(crate) last_progress: Stamp,
    /// When what is being waited for began: the stage, or the answer to a ping or a close, which
    /// have left by then.
    pub(crate) since: Stamp,
    /// When the first byte came of the message or frame that is arriving, or its last chunk.
    pub(crate) message_since: Option<Stamp>,
    /// When its lifetime ends.
    pub(crate) expires: Option<Stamp>,
    pub(crate) waiting: Waiting,
    /// Arrivals of it that wait for a later turn.
    pub(crate) deferred: u8,
}

/// Where a connection is in its life. It only ever goes down this list.
///
/// ```text
///   Opening ──101──▶ Open ──both close frames, violation, end of stream──▶ Lingering
///      │              │                                                     │
///      │ refused      │ error, time-out, terminate                          │ flushed, and the
///      ├──────────────┼────────▶ Lingering                                  │ peer has ended too,
///      │              │                                                     │ or time is up
///      └──────────────┴──────────────────▶ Terminating ◀────────────────────┘
///                                              │ nothing is in flight
///                                              ▼
///                                        close, slot freed
/// ```
#[derive(Debug)]
pub(crate) enum Stage {
    /// The request is arriving.
    Opening(Box<Opening>),
    /// Messages pass. The closing handshake may have begun.
    Open,
    /// The last byte has been written, and `close` has been called. What is queued still leaves;
    /// what arrives is discarded, so that the kernel does not answer it with a reset that would
    /// overtake our last bytes.
    Lingering(Lingering),
    /// Both directions have been shut down; what is in flight is awaited.
    Terminating,
}

/// The part of a request that has arrived.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) head: Vec<u8>,
    pub(crate) scan: Head,
}

/// Bytes of an opening handshake, without the head.
pub(crate) const OPENING_SIZE: usize = size_of::<Opening>();

impl Opening {
    /// Nothing has arrived.
    pub(crate) const fn new() -> Self {
        Self { head: Vec::new(), scan: Head::request() }
    }
}

/// Which sides of a connection that ends have ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lingering {
    /// The peer's: nothing more will arrive.
    pub(crate) peer: bool,
    /// Ours: everything has been sent.
    pub(crate) ours: bool,
}

/// What the kernel works on, besides the send that the outbox knows of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct InFlight {
    pub(crate) receive: bool,
    pub(crate) cancel: bool,
}

/// What an open connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// Anything.
    Nothing,
    /// A sign of life: a ping has been sent.
    Pong,
    /// The peer's close frame: ours has been sent.
    Close,
}

/// What a deadline is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alarm {
    Handshake,
    Ping,
    Pong,
    Message,
    Idle,
    Lifetime,
    Close,
    Send,
    Age,
    Linger,
}

impl<S> Peer<S> {
    /// Whether nothing of it is in flight: only then may its descriptor be closed.
    pub(crate) const fn is_joined(&self) -> bool {
        !self.in_flight.receive && !self.in_flight.cancel && !self.link.outbox.is_flying()
    }

    /// Whether a receive should be armed and is not.
    pub(crate) const fn wants_receive(&self) -> bool {
        let wanted = match self.stage {
            Stage::Opening(_) => true,
            Stage::Open => !self.link.backlogged && self.link.flow.is_running(),
            Stage::Lingering(lingering) => !lingering.peer,
            Stage::Terminating => false,
        };
        wanted && self.deferred == 0 && !self.in_flight.receive && !self.in_flight.cancel
    }

    /// Whether a receive is armed that should not be.
    pub(crate) const fn wants_cancel(&self) -> bool {
        matches!(self.stage, Stage::Open)
            && (self.link.backlogged || self.is_stopped() || self.deferred >= DEFERRED_HIGH)
            && self.in_flight.receive
            && !self.in_flight.cancel
    }

    /// Whether what arrives is held: the handler has paused it.
    pub(crate) const fn is_stopped(&self) -> bool {
        matches!(self.stage, Stage::Open) && !self.link.flow.is_running()
    }

    /// The next deadline and what it is about.
    pub(crate) fn alarm(&self, config: &Config, now: Time) -> Option<(Time, Alarm)> {
        let after = |since: Stamp, duration| since.time(now).after(duration);
        let send = self.alarm_send(config, now);
        let other = match &self.stage {
            Stage::Opening(_) => {
                Some((after(self.since, config.handshake_timeout), Alarm::Handshake))
            }
            Stage::Open => self.alarm_open(config, now),
            // While bytes leave, their own deadline counts: a slow peer gets all of them.
            Stage::Lingering(_) if send.is_some() => None,
            Stage::Lingering(_) => Some((after(self.since, config.linger_timeout), Alarm::Linger)),
            Stage::Terminating => return None,
        };
        [send, other].into_iter().flatten().min_by_key(|(deadline, _)| *deadline)
    }

    /// What is sent: the peer must take some of it all the time, and all of it in time.
    fn alarm_send(&self, config: &Config, now: Time) -> Option<(Time, Alarm)> {
        let outbox = &self.link.outbox;
        if !outbox.is_flying() {
            return None;
        }
        let send = (self.last_progress.time(now).after(config.send_timeout), Alarm::Send);
        match (outbox.since(), config.outbox_age_max) {
            (Some(since), Some(age_max)) => {
                let age = (since.time(now).after(age_max), Alarm::Age);
                Some(if age.0 < send.0 { age } else { send })
            }
            _ => Some(send),
        }
    }

    fn alarm_open(&self, config: &Config, now: Time) -> Option<(Time, Alarm)> {
        let after = |since: Stamp, duration| since.time(now).after(duration);
        let is_open = self.link.sender.closing() == Closing::Open;
        let is_read = !self.link.backlogged && !self.is_stopped();
        // Who is sending a large message is not idle.
        let active = match self.message_since {
            Some(_) => self.last_received,
            None => self.link.last_message,
        };
        // While nothing is read its messages wait in the kernel.
        let idle = config
            .idle_timeout
            .filter(|_| is_open && is_read)
            .map(|timeout| (after(active, timeout), Alarm::Idle));
        let lifetime = self.expires.filter(|_| is_open).map(|end| (end.time(now), Alarm::Lifetime));
        // While nothing is read the peer cannot go on with its message.
        let message = match (self.message_since, config.message_timeout) {
            (Some(since), Some(timeout)) if is_open && is_read => {
                Some((after(since, timeout), Alarm::Message))
            }
            _ => None,
        };
        let sign = match self.waiting {
            // What it is to answer has not left yet: the deadline of the send counts.
            Waiting::Pong | Waiting::Close if self.link.leaving > 0 => None,
            // Nor is it asked for a sign of life while nothing is read from it.
            _ if !is_read => None,
            Waiting::Nothing => config
                .ping_interval
                .map(|interval| (after(self.last_received, interval), Alarm::Ping)),
            Waiting::Pong => Some((after(self.since, config.pong_timeout), Alarm::Pong)),
            Waiting::Close => Some((after(self.since, config.close_timeout), Alarm::Close)),
        };
        let alarms = [idle, lifetime, message, sign];
        alarms.into_iter().flatten().min_by_key(|(deadline, _)| *deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::Peer;

    #[test]
    fn an_idle_connection_is_small() {
        // With eight bytes for its generation and 16 in the wheel it is all that the engine keeps
        // of one: below the 256 bytes that it allows itself.
        assert!(size_of::<Peer<()>>() <= 208, "{} bytes", size_of::<Peer<()>>());
    }
}
