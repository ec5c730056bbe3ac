//! What a worker knows of one peer, from its acceptance until its slot is freed.

use std::any::Any;

use ringwire_protocol::handshake::Head;
use ringwire_protocol::{Closing, Receiver};

use crate::admission::Place;
use crate::config::Config;
use crate::conn::flow::Flow;
use crate::conn::link::Link;
use crate::conn::releases::Parting;
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
///   Opening ──later──▶ Deciding
///
///   either ──101──▶ Open ──both close frames, violation, end of stream──▶ Lingering
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
    /// The request has arrived, and somebody else decides about it. It is read for as long as what
    /// has come behind it is little, so that the peer's end is seen. The head is kept, to be parsed
    /// again: what a parsed one refers to lies in receive buffers, which are everybody's.
    Deciding(Box<Opening>),
    /// Messages pass. The closing handshake may have begun.
    Open,
    /// The last byte has been written, and `close` has been called. What is queued still leaves;
    /// what arrives is discarded, so that the kernel does not answer it with a reset that would
    /// overtake our last bytes.
    Lingering(Lingering),
    /// Both directions have been shut down; what is in flight is awaited.
    Terminating,
}

/// The part of a request that has arrived, or all of it.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) head: Vec<u8>,
    pub(crate) scan: Head,
    /// What another server has handed over with it.
    pub(crate) state: Option<Box<dyn Any + Send>>,
}

/// Bytes of an opening handshake, without the head.
pub(crate) const OPENING_SIZE: usize = size_of::<Opening>();

impl Opening {
    /// Nothing has arrived.
    pub(crate) const fn new() -> Self {
        Self { head: Vec::new(), scan: Head::request(), state: None }
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
    pub(crate) receive: Receive,
    pub(crate) cancel: bool,
}

/// Whether a receive is armed, and how the next one is to be: one byte, since every idle connection
/// keeps it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Receive {
    Armed(Pace),
    /// The next one is a multishot.
    #[default]
    Ended,
    /// The next one brings a single piece.
    EndedSingle,
}

impl Receive {
    pub(crate) const fn is_armed(self) -> bool {
        matches!(self, Self::Armed(_))
    }

    pub(crate) const fn pace(self) -> Pace {
        match self {
            Self::Armed(pace) => pace,
            Self::Ended => Pace::Multishot,
            Self::EndedSingle => Pace::Single,
        }
    }

    /// Takes note that one has been armed, or has ended.
    pub(crate) const fn set_armed(&mut self, is_armed: bool) {
        *self = match (is_armed, self.pace()) {
            (true, pace) => Self::Armed(pace),
            (false, Pace::Multishot) => Self::Ended,
            (false, Pace::Slowing | Pace::Single) => Self::EndedSingle,
        };
    }

    /// Sets how the next one is to be.
    pub(crate) const fn set_pace(&mut self, pace: Pace) {
        let is_armed = self.is_armed();
        *self = Self::Armed(pace);
        self.set_armed(is_armed);
    }
}

/// How what a peer sends is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// By a receive that brings one piece after another, until it ends.
    Multishot,
    /// As before, but its messages are large: a receive that is armed so is to be cancelled.
    Slowing,
    /// Each piece by itself, so that it may go where it belongs.
    Single,
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
    Upgrade,
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
        !self.in_flight.receive.is_armed()
            && !self.in_flight.cancel
            && !self.link.outbox.is_flying()
    }

    /// Whether a receive should be armed and is not.
    pub(crate) const fn wants_receive(&self) -> bool {
        let wanted = match self.stage {
            Stage::Opening(_) => true,
            Stage::Open | Stage::Deciding(_) => !self.link.backlogged && !self.is_stopped(),
            Stage::Lingering(lingering) => !lingering.peer,
            Stage::Terminating => false,
        };
        wanted && self.deferred == 0 && !self.in_flight.receive.is_armed() && !self.in_flight.cancel
    }

    /// Whether a receive is armed that should not be.
    pub(crate) const fn wants_cancel(&self) -> bool {
        matches!(self.stage, Stage::Open | Stage::Deciding(_))
            && (self.link.backlogged
                || self.is_stopped()
                || self.deferred >= DEFERRED_HIGH
                || matches!(self.in_flight.receive.pace(), Pace::Slowing))
            && self.in_flight.receive.is_armed()
            && !self.in_flight.cancel
    }

    /// Whether nothing is to be read: the handler has paused it, or it is about to be released, or
    /// too much has come before it was answered.
    pub(crate) const fn is_stopped(&self) -> bool {
        matches!(self.stage, Stage::Open | Stage::Deciding(_))
            && (!self.link.flow.is_running() || matches!(self.link.parting, Parting::Stopped))
    }

    /// Whether what arrives is held: bytes, or, where `is_end`, what ends them.
    pub(crate) const fn holds(&self, is_end: bool) -> bool {
        match self.stage {
            // Nobody need decide about a peer that has gone.
            Stage::Deciding(_) => !is_end,
            Stage::Open => self.is_stopped(),
            Stage::Opening(_) | Stage::Lingering(_) | Stage::Terminating => false,
        }
    }

    /// Whether what is held is to be handed over. Who is about to be released has its turn when it
    /// stays.
    pub(crate) fn resumes(&self) -> bool {
        self.link.flow == Flow::Resuming && self.link.parting != Parting::Stopped
    }

    /// Whether nothing can have a deadline but what it sends, and its silence from now on.
    pub(crate) fn is_plain(&self) -> bool {
        let Self { link, stage, waiting, message_since, expires, .. } = self;
        matches!((stage, waiting), (Stage::Open, Waiting::Nothing))
            && message_since.is_none()
            && expires.is_none()
            && !link.backlogged
            && link.flow.is_running()
            && link.parting == Parting::No
            && link.sender.closing().is_open()
    }

    /// The next deadline and what it is about.
    pub(crate) fn alarm(&self, config: &Config, now: Time) -> Option<(Time, Alarm)> {
        let after = |since: Stamp, duration| since.time(now).after(duration);
        let send = self.alarm_send(config, now);
        let other = match &self.stage {
            Stage::Opening(_) => {
                Some((after(self.since, config.handshake_timeout), Alarm::Handshake))
            }
            Stage::Deciding(_) => Some((after(self.since, config.upgrade_timeout), Alarm::Upgrade)),
            Stage::Open => self.alarm_open(config, now),
            // While bytes leave, their own deadline counts: a slow peer gets all of them.
            Stage::Lingering(_) if send.is_some() => None,
            Stage::Lingering(_) => Some((after(self.since, config.linger_timeout), Alarm::Linger)),
            Stage::Terminating => return None,
        };
        match other {
            Some(other) => nearer(send, other.0, other.1),
            None => send,
        }
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
        let mut next = None;
        // While nothing is read its messages wait in the kernel.
        if let Some(timeout) = config.idle_timeout
            && is_open
            && is_read
        {
            next = nearer(next, after(active, timeout), Alarm::Idle);
        }
        if let Some(end) = self.expires
            && is_open
        {
            next = nearer(next, end.time(now), Alarm::Lifetime);
        }
        // While nothing is read the peer cannot go on with its message.
        if let (Some(since), Some(timeout)) = (self.message_since, config.message_timeout)
            && is_open
            && is_read
        {
            next = nearer(next, after(since, timeout), Alarm::Message);
        }
        match self.waiting {
            // What it is to answer has not left yet: the deadline of the send counts.
            Waiting::Pong | Waiting::Close if self.link.leaving > 0 => next,
            // Nor is it asked for a sign of life while nothing is read from it.
            _ if !is_read => next,
            Waiting::Nothing => match config.ping_interval {
                Some(interval) => nearer(next, after(self.last_received, interval), Alarm::Ping),
                None => next,
            },
            Waiting::Pong => nearer(next, after(self.since, config.pong_timeout), Alarm::Pong),
            Waiting::Close => nearer(next, after(self.since, config.close_timeout), Alarm::Close),
        }
    }
}

/// The nearer one, the first where they are equal. Looked for this way, and not in a list, because
/// it is done for each send.
#[inline]
fn nearer(next: Option<(Time, Alarm)>, deadline: Time, alarm: Alarm) -> Option<(Time, Alarm)> {
    match next {
        Some((nearest, _)) if nearest <= deadline => next,
        _ => Some((deadline, alarm)),
    }
}

#[cfg(test)]
mod tests {
    use super::Peer;

    #[test]
    fn an_idle_connection_is_small() {
        // With eight bytes for its generation and 16 in the wheel it is all that the engine keeps
        // of one: below the 256 bytes that it allows itself.
        assert!(size_of::<Peer<()>>() <= 184, "{} bytes", size_of::<Peer<()>>());
    }
}
