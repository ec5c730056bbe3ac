//! What a peer is told where messages of its own are missing.

use std::fmt;
use std::ptr;

use crate::message::OwnedMessage;
use crate::topic::Topic;

/// Messages that were dropped between two that a peer gets, or before the next one, because it is
/// slow: all of those to which one [`SlowConsumer`](crate::SlowConsumer) applied. Such as a newer
/// one has replaced are none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap<'a> {
    /// How many.
    pub messages: u64,
    /// Bytes of them: those of a frame where it had been compressed already.
    pub bytes: u64,
    /// What they were published to, if all of them were published to the same topic.
    pub topic: Option<Topic<'a>>,
}

/// Says in the words of an application that messages are missing, so that who gets it may ask for
/// them, or begin anew.
///
/// It is a function and not a method of the [`Handler`](crate::Handler): what waits may have to
/// leave in the middle of one of those, as when a handler closes. It is asked when the place of the
/// gap has come, so that the numbers are the last ones. `None` says nothing.
///
/// ```
/// use ringwire::{GapNotice, Overflow, SlowConsumer};
///
/// let slow_consumer = SlowConsumer {
///     overflow: Overflow::DropOldest,
///     gap_notice: Some(GapNotice::new(|gap| {
///         Some(format!(r#"{{"missing":{}}}"#, gap.messages).into())
///     })),
///     ..SlowConsumer::default()
/// };
/// # let _ = slow_consumer;
/// ```
#[derive(Clone, Copy)]
pub struct GapNotice(Function);

type Function = fn(&Gap<'_>) -> Option<OwnedMessage>;

impl GapNotice {
    /// What is said of a gap. The message is sent whatever waits; it should be short.
    #[must_use]
    pub const fn new(function: fn(&Gap<'_>) -> Option<OwnedMessage>) -> Self {
        Self(function)
    }

    /// Asks for the message.
    pub(crate) fn tell(self, gap: &Gap<'_>) -> Option<OwnedMessage> {
        (self.0)(gap)
    }
}

/// Two that are the same function are equal. Two copies that a compiler has made of one may not be.
impl PartialEq for GapNotice {
    fn eq(&self, other: &Self) -> bool {
        ptr::fn_addr_eq(self.0, other.0)
    }
}

impl Eq for GapNotice {}

impl fmt::Debug for GapNotice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("GapNotice").finish_non_exhaustive()
    }
}
