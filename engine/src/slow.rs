//! What becomes of a peer that takes less than it is sent.

use std::time::Duration;

/// Bytes of a flight that keep a fast connection busy while the next one is filled.
const FLIGHT_SIZE: usize = 64 << 10;

/// What is done about a slow consumer: a peer for which more bytes wait, or older ones, than it is
/// granted. Whatever is done, the others do not notice, and memory stays within
/// [`Config::outbox_size_max`](crate::Config::outbox_size_max).
///
/// What has been handed to the kernel for sending, at most 64 KiB beside a single larger message,
/// cannot be dropped any more.
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
/// };
/// let config = Config { slow_consumer, ..Config::default() };
/// # let _ = config;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowConsumer {
    /// What is done.
    pub overflow: Overflow,
    /// Bytes of messages that may wait, what is in flight included, if they are fewer than
    /// [`Config::outbox_size_max`](crate::Config::outbox_size_max). Default: no other limit.
    pub size_max: usize,
    /// How long the oldest of the messages that wait may have waited. Default: for any time.
    pub age_max: Option<Duration>,
}

impl Default for SlowConsumer {
    fn default() -> Self {
        Self { overflow: Overflow::DropNewest, size_max: usize::MAX, age_max: None }
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
        self.overflow != Overflow::DropOldest && self.age_max.is_none()
    }
}

/// What is done about a slow consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// The message that is being sent is dropped: `send` says so. The default.
    DropNewest,
    /// Messages that were to be sent first are dropped, each whole; `dropped` tells how many.
    DropOldest,
    /// The connection is closed with this code, and all that waits is dropped. 1013, "try again
    /// later", is what it is for.
    Close(u16),
}
