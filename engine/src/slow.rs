//! What becomes of a peer that takes less than it is sent.

use std::time::Duration;

use ringwire_protocol::Close;

use crate::gap::GapNotice;

/// Bytes of a flight that keep a fast connection busy while the next one is filled.
const FLIGHT_SIZE: usize = 64 << 10;

/// What is done about a slow consumer: a peer for which more bytes wait, or older ones, than it is
/// granted. Whatever is done, the others do not notice, and memory stays within
/// [`Config::outbox_size_max`](crate::Config::outbox_size_max).
///
/// What has been handed to the kernel for sending, at most 64 KiB beside a single larger message,
/// cannot be dropped any more. Nor can what the kernel has taken before and not sent, which is
/// seconds of a feed unless [`Config::unsent_max`](crate::Config::unsent_max) says otherwise.
///
/// It is chosen for all connections ([`Config::slow_consumer`](crate::Config::slow_consumer)), for
/// one ([`Connection::set_slow_consumer`](crate::Connection::set_slow_consumer)), and for what one
/// of its subscriptions brings ([`Subscription`](crate::Subscription)).
///
/// ```
/// use std::time::Duration;
/// use ringwire::{Config, Overflow, SlowConsumer};
///
/// // A price that has waited for a second is of no use: the newer ones are sent.
/// let slow_consumer = SlowConsumer {
///     overflow: Overflow::DropOldest,
///     size_max: 256 << 10,
///     age_max: Some(Duration::from_secs(1)),
///     ..SlowConsumer::default()
/// };
/// let config = Config { slow_consumer, ..Config::default() };
/// # let _ = config;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowConsumer {
    /// What is done.
    pub overflow: Overflow,
    /// Bytes of messages that may wait, what is in flight included, if they are fewer than
    /// [`Config::outbox_size_max`](crate::Config::outbox_size_max). Each message that waits behind
    /// a flight counts with its place in the queue, some 80 bytes, and where it may be conflated or
    /// told of with its topic and key and some 100 more. Default: no other limit.
    pub size_max: usize,
    /// How long the oldest of the messages that wait may have waited. The age of one that has been
    /// replaced is that of the newest: who gets the newest values is up to date, however long a key
    /// has kept its place. Default: for any time.
    pub age_max: Option<Duration>,
    /// What the peer is told where messages are missing, in the place of them: behind those that
    /// were sent before, and ahead of the next one to which this policy applies. Default: nothing.
    pub gap_notice: Option<GapNotice>,
}

impl Default for SlowConsumer {
    fn default() -> Self {
        let overflow = Overflow::DropNewest;
        Self { overflow, size_max: usize::MAX, age_max: None, gap_notice: None }
    }
}

impl SlowConsumer {
    /// The same, where no more than `size_max` may wait in any case.
    pub(crate) fn within(self, size_max: usize) -> Self {
        Self { size_max: self.size_max.min(size_max), ..self }
    }

    /// Bytes that are filled for one flight, and cannot be dropped any more then: at most half of
    /// what may wait.
    pub(crate) fn flight_size(&self) -> usize {
        FLIGHT_SIZE.min(self.size_max / 2).max(1)
    }

    /// Whether only whole connections are looked at, and not the messages that wait for them.
    pub(crate) fn is_plain(&self) -> bool {
        !self.drops_old() && self.age_max.is_none()
    }

    /// Whether messages are dropped that have been accepted, and which have waited for too long.
    pub(crate) const fn drops_old(&self) -> bool {
        matches!(self.overflow, Overflow::DropOldest | Overflow::Conflate)
    }

    /// Whether a message takes the place of an older one.
    pub(crate) const fn conflates(&self) -> bool {
        matches!(self.overflow, Overflow::Conflate)
    }

    /// Whether it matters what a message that waits is known by.
    pub(crate) const fn names(&self) -> bool {
        self.conflates() || self.gap_notice.is_some()
    }

    /// What contradicts itself, if anything does.
    pub(crate) fn contradiction(&self) -> Option<Contradiction> {
        if self.size_max == 0 {
            return Some(Contradiction::Size);
        }
        let Overflow::Close(code) = self.overflow else { return None };
        let close = Close { code: Some(code), reason: "" };
        close.check().err().map(|_| Contradiction::Code(code))
    }
}

/// What is wrong with a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contradiction {
    /// Nothing may wait.
    Size,
    /// It closes with a code that cannot be sent.
    Code(u16),
}

/// What is done about a slow consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// The message that is being sent is dropped: `send` says so. The default.
    DropNewest,
    /// Messages that were to be sent first are dropped, each whole; `dropped` tells how many.
    DropOldest,
    /// A [`Post`](crate::Post) takes the place of the one that waits with the same topic and key,
    /// so that what waits is bounded by the number of keys, a peer that falls behind ends with
    /// the newest of each, and none waits longer because another changes more often. It goes behind
    /// all others where it would be too large for its place. What has no topic, since it was sent
    /// to the connection, and what is too much or too old even so, is treated as by
    /// [`DropOldest`](Self::DropOldest).
    ///
    /// What waits when the connection changes what it subscribes, or its policy, is replaced no
    /// more: so no peer has an older message behind a newer one.
    Conflate,
    /// The connection is closed with this code, and all that waits is dropped. 1013, "try again
    /// later", is what it is for.
    Close(u16),
}
