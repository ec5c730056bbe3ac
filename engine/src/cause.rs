//! Why a connection ended: exactly one cause for each.

use std::error::Error;
use std::fmt;
use std::io;

use ringwire_protocol::Violation;

/// Why a connection ended. Each end has exactly one cause; it is given to the handler and counted
/// under its labels.
///
/// A close that the engine decided upon (an idle connection, a slow one, a stop) keeps that cause
/// whatever the peer makes of it, unless it violates the protocol: [`Closed::clean`] says whether
/// the closing handshake was completed. A close of the handler's that is not completed has what
/// broke it for a cause.
///
/// ```
/// use ringwire::{Cause, Violation};
///
/// let cause = Cause::Violation { violation: Violation::Unmasked, offset: 148 };
/// assert_eq!(cause.labels(), ("violation", "unmasked"));
/// let text = "a client's frame is not masked (RFC 6455 5.1), at byte 148";
/// assert_eq!(cause.to_string(), text);
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause {
    /// The peer began the closing handshake, and it was completed.
    PeerClosed {
        /// The code of its close frame; 1005 where it had none.
        code: u16,
    },
    /// The handler, or a [`Handle`](crate::Handle), began the closing handshake, and it was
    /// completed.
    HandlerClosed,
    /// The peer violated the protocol, and was told so.
    Violation {
        /// What it did; [`Violation::section`] says where that is forbidden.
        violation: Violation,
        /// How many bytes it had sent before the wrong one, its request included, which is where a
        /// capture of the connection shows it. A frame that is wrong as such counts as wrong at
        /// its first byte
        /// ([`Receiver::violation_offset`](ringwire_protocol::Receiver::violation_offset)).
        offset: u64,
    },
    /// The peer asked for more than this side allows, and was told so.
    Limit(Limit),
    /// A policy of this side's closed it.
    Policy(Policy),
    /// A time-out of this side's has passed.
    TimeOut(TimeOut),
    /// The peer went away without a close frame.
    Gone,
    /// The system reported an error of this connection, as when the peer has reset it.
    Io(io::Error),
    /// The handler ended it without a closing handshake.
    Terminated,
    /// The server was stopped.
    Stopped,
}

/// What there was too much of. The last seven turn peers away before their request is answered:
/// with 503, or without a word where that is being said to many already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// Bytes in a frame
    /// ([`Limits::frame_size_max`](crate::Limits::frame_size_max)).
    FrameSize,
    /// Bytes in a message, or of what a compressed one becomes
    /// ([`Limits::message_size_max`](crate::Limits::message_size_max),
    /// [`Limits::streamed_size_max`](crate::Limits::streamed_size_max),
    /// [`Compression::ratio_max`](crate::Compression::ratio_max)).
    MessageSize,
    /// Frames in a message
    /// ([`Limits::fragments_max`](crate::Limits::fragments_max)).
    Fragments,
    /// Connections of a worker ([`Config::connections_max`](crate::Config::connections_max)).
    Connections,
    /// Connections of the server
    /// ([`Config::connections_server_max`](crate::Config::connections_server_max)).
    ConnectionsServer,
    /// Connections of one address
    /// ([`Config::connections_address_max`](crate::Config::connections_address_max)).
    ConnectionsAddress,
    /// Handshakes: this one was the oldest when a newer one needed its place
    /// ([`Config::handshakes_max`](crate::Config::handshakes_max)) or its descriptor; or it is the
    /// newest, and all others wait for a decision ([`Upgrade::later`](crate::Upgrade::later)).
    Handshakes,
    /// Requests in a second ([`Config::handshake_rate`](crate::Config::handshake_rate)).
    HandshakeRate,
    /// The time for a decision that was put off
    /// ([`Config::upgrade_timeout`](crate::Config::upgrade_timeout)).
    UpgradeTime,
    /// Descriptors of the process or the system.
    Descriptors,
}

/// What this side does not put up with, although the protocol and its limits allow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Policy {
    /// A peer that takes its messages too slowly
    /// ([`Overflow::Close`](crate::Overflow::Close)).
    SlowConsumer,
}

/// What took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimeOut {
    /// The peer: to begin its request
    /// ([`Config::handshake_timeout`](crate::Config::handshake_timeout)). One that has begun it is
    /// answered with 408.
    Handshake,
    /// A message of either side ([`Config::idle_timeout`](crate::Config::idle_timeout)). The peer
    /// was told so with a close frame.
    Idle,
    /// The peer: to say anything after a ping
    /// ([`Config::pong_timeout`](crate::Config::pong_timeout)).
    Pong,
    /// The peer: to take any of what was sent
    /// ([`Config::send_timeout`](crate::Config::send_timeout)).
    Send,
    /// The peer: to take all of what was sent
    /// ([`Config::outbox_age_max`](crate::Config::outbox_age_max)).
    Outbox,
    /// The peer: to send the rest of a message
    /// ([`Config::message_timeout`](crate::Config::message_timeout)). It was told so with a close
    /// frame.
    Message,
    /// The life of the connection ([`Config::lifetime_max`](crate::Config::lifetime_max)). The peer
    /// was told so with a close frame.
    Lifetime,
    /// The peer: to answer a close frame of the handler's
    /// ([`Config::close_timeout`](crate::Config::close_timeout)).
    Close,
}

impl Cause {
    /// What it is counted under: a kind, and within some kinds which of them, or nothing.
    #[must_use]
    pub const fn labels(&self) -> (&'static str, &'static str) {
        match self {
            Self::PeerClosed { .. } => ("peer_closed", ""),
            Self::HandlerClosed => ("handler_closed", ""),
            Self::Violation { violation, .. } => ("violation", violation.label()),
            Self::Limit(limit) => ("limit", limit.label()),
            Self::Policy(policy) => ("policy", policy.label()),
            Self::TimeOut(time_out) => ("time_out", time_out.label()),
            Self::Gone => ("gone", ""),
            Self::Io(_) => ("io", ""),
            Self::Terminated => ("terminated", ""),
            Self::Stopped => ("stopped", ""),
        }
    }
}

impl Limit {
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::FrameSize => "frame_size",
            Self::MessageSize => "message_size",
            Self::Fragments => "fragments",
            Self::Connections => "connections",
            Self::ConnectionsServer => "connections_server",
            Self::ConnectionsAddress => "connections_address",
            Self::Handshakes => "handshakes",
            Self::HandshakeRate => "handshake_rate",
            Self::UpgradeTime => "upgrade_time",
            Self::Descriptors => "descriptors",
        }
    }

    /// The limit that a violation ran into, if it is none of the RFC's rules.
    const fn of(violation: Violation) -> Option<Self> {
        match violation {
            Violation::FrameTooBig => Some(Self::FrameSize),
            Violation::MessageTooBig => Some(Self::MessageSize),
            Violation::TooManyFragments => Some(Self::Fragments),
            _ => None,
        }
    }
}

impl Policy {
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::SlowConsumer => "slow_consumer",
        }
    }
}

impl TimeOut {
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Idle => "idle",
            Self::Pong => "pong",
            Self::Send => "send",
            Self::Outbox => "outbox",
            Self::Message => "message",
            Self::Lifetime => "lifetime",
            Self::Close => "close",
        }
    }
}

/// Who began the closing handshake on this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closer {
    /// Nobody has.
    Nobody,
    Handler,
    IdleTimeOut,
    MessageTimeOut,
    /// The end of its lifetime.
    Lifetime,
    /// The policy for slow consumers.
    SlowConsumer,
    Stop,
}

impl Closer {
    /// The cause of an end by both close frames, the peer's with `code`.
    pub(crate) const fn completed(self, code: u16) -> Cause {
        match self {
            Self::Nobody => Cause::PeerClosed { code },
            Self::Handler => Cause::HandlerClosed,
            Self::IdleTimeOut => Cause::TimeOut(TimeOut::Idle),
            Self::MessageTimeOut => Cause::TimeOut(TimeOut::Message),
            Self::Lifetime => Cause::TimeOut(TimeOut::Lifetime),
            Self::SlowConsumer => Cause::Policy(Policy::SlowConsumer),
            Self::Stop => Cause::Stopped,
        }
    }

    /// The cause of an end by what the receiver calls a violation.
    pub(crate) const fn violated(violation: Violation, offset: u64) -> Cause {
        match Limit::of(violation) {
            Some(limit) => Cause::Limit(limit),
            None => Cause::Violation { violation, offset },
        }
    }

    /// The cause of an end by `cause` without both close frames.
    pub(crate) fn broken(self, cause: Cause) -> Cause {
        let is_engine = !matches!(self, Self::Nobody | Self::Handler);
        match cause {
            // Why the peer did not answer is of no interest: it was to go.
            Cause::Gone | Cause::Io(_) | Cause::TimeOut(_) | Cause::Stopped if is_engine => {
                self.completed(1006)
            }
            cause => cause,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerClosed { code } => write!(formatter, "the peer closed with code {code}"),
            Self::HandlerClosed => formatter.write_str("the handler closed the connection"),
            Self::Violation { violation, offset } => {
                write!(formatter, "{violation}, at byte {offset}")
            }
            Self::Limit(Limit::FrameSize) => formatter.write_str("the frame is too big"),
            Self::Limit(Limit::MessageSize) => formatter.write_str("the message is too big"),
            Self::Limit(Limit::Fragments) => formatter.write_str("the message has too many frames"),
            Self::Limit(Limit::Connections | Limit::ConnectionsServer) => {
                formatter.write_str("there are too many connections")
            }
            Self::Limit(Limit::ConnectionsAddress) => {
                formatter.write_str("there are too many connections of one address")
            }
            Self::Limit(Limit::Handshakes) => {
                formatter.write_str("a newer handshake needed the place of this one")
            }
            Self::Limit(Limit::HandshakeRate) => formatter.write_str("there are too many requests"),
            Self::Limit(Limit::UpgradeTime) => {
                formatter.write_str("nobody has decided about the request in time")
            }
            Self::Limit(Limit::Descriptors) => formatter.write_str("no descriptor is free"),
            Self::Policy(Policy::SlowConsumer) => formatter.write_str("the peer was too slow"),
            Self::TimeOut(TimeOut::Handshake) => formatter.write_str("the peer asked for nothing"),
            Self::TimeOut(TimeOut::Idle) => formatter.write_str("the connection was idle"),
            Self::TimeOut(TimeOut::Pong) => formatter.write_str("the peer did not answer a ping"),
            Self::TimeOut(TimeOut::Send) => formatter.write_str("the peer took no data"),
            Self::TimeOut(TimeOut::Outbox) => {
                formatter.write_str("the peer took the data too slowly")
            }
            Self::TimeOut(TimeOut::Message) => {
                formatter.write_str("the peer took too long over a message")
            }
            Self::TimeOut(TimeOut::Lifetime) => {
                formatter.write_str("the connection has been open for as long as it may")
            }
            Self::TimeOut(TimeOut::Close) => formatter.write_str("the peer did not answer a close"),
            Self::Gone => formatter.write_str("the peer went away without a close frame"),
            Self::Io(error) => error.fmt(formatter),
            Self::Terminated => formatter.write_str("the handler ended the connection"),
            Self::Stopped => formatter.write_str("the server was stopped"),
        }
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Violation { violation, .. } => Some(violation),
            Self::Io(error) => Some(error),
            Self::PeerClosed { .. }
            | Self::HandlerClosed
            | Self::Limit(_)
            | Self::Policy(_)
            | Self::TimeOut(_)
            | Self::Gone
            | Self::Terminated
            | Self::Stopped => None,
        }
    }
}

/// The end of a connection: what the browser's API tells, and the cause.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Closed<'a> {
    /// The code of the peer's close frame; 1005 where it had none, 1006 where none came.
    pub code: u16,
    /// The reason that it gave, or nothing.
    pub reason: &'a str,
    /// Whether both close frames passed.
    pub clean: bool,
    /// Why it ended.
    pub cause: &'a Cause,
}

impl<'a> Closed<'a> {
    /// The end without a closing handshake.
    pub(crate) const fn abnormal(cause: &'a Cause) -> Self {
        Self { code: 1006, reason: "", clean: false, cause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_of_the_engines_keeps_its_cause() {
        let gone = || [Cause::Gone, Cause::Io(io::ErrorKind::Other.into())];
        let late = || [Cause::TimeOut(TimeOut::Close), Cause::TimeOut(TimeOut::Send)];
        for cause in gone().into_iter().chain(late()) {
            let cause = Closer::IdleTimeOut.broken(cause);
            assert_eq!(cause.labels(), ("time_out", "idle"));
        }
        for cause in gone().into_iter().chain(late()) {
            assert_eq!(Closer::Stop.broken(cause).labels(), ("stopped", ""));
        }
        for cause in gone().into_iter().chain(late()) {
            let cause = Closer::SlowConsumer.broken(cause);
            assert_eq!(cause.labels(), ("policy", "slow_consumer"));
        }
        for cause in gone().into_iter().chain(late()) {
            for closer in [Closer::Nobody, Closer::Handler] {
                let labels = cause.labels();
                let again = match &cause {
                    Cause::TimeOut(time_out) => Cause::TimeOut(*time_out),
                    _ => Cause::Gone,
                };
                let expected = if labels.0 == "io" { ("gone", "") } else { labels };
                assert_eq!(closer.broken(again).labels(), expected);
            }
        }
        for cause in gone().into_iter().chain(late()) {
            let cause = Closer::Lifetime.broken(cause);
            assert_eq!(cause.labels(), ("time_out", "lifetime"));
        }
        for closer in [Closer::Nobody, Closer::Handler, Closer::SlowConsumer, Closer::Stop] {
            assert_eq!(closer.broken(Cause::Terminated).labels(), ("terminated", ""));
        }
    }

    #[test]
    fn who_began_is_the_cause_of_a_clean_end() {
        assert!(matches!(Closer::Nobody.completed(4000), Cause::PeerClosed { code: 4000 }));
        assert!(matches!(Closer::Handler.completed(1000), Cause::HandlerClosed));
        assert!(matches!(Closer::IdleTimeOut.completed(1001), Cause::TimeOut(TimeOut::Idle)));
        assert!(matches!(Closer::Lifetime.completed(1001), Cause::TimeOut(TimeOut::Lifetime)));
        assert!(matches!(Closer::Stop.completed(1001), Cause::Stopped));
    }

    #[test]
    fn limits_are_no_violations() {
        for violation in Violation::ALL {
            let cause = Closer::violated(violation, 3);
            match violation {
                Violation::FrameTooBig => assert_eq!(cause.labels(), ("limit", "frame_size")),
                Violation::MessageTooBig => assert_eq!(cause.labels(), ("limit", "message_size")),
                Violation::TooManyFragments => assert_eq!(cause.labels(), ("limit", "fragments")),
                _ => assert_eq!(cause.labels(), ("violation", violation.label())),
            }
        }
    }
}
