//! Messages that wait behind a flight for a slow peer, each whole, so that one can be dropped.
//!
//! ```text
//!   send ──▶ outbox, while nothing is in flight
//!       └──▶ backlog, after that ──refill──▶ outbox, when the flight has landed
//!                │ too many bytes, or too old
//!                ▼
//!             dropped, or the connection closed: as its policy says
//! ```
//!
//! A message is encoded when it leaves the backlog and not before: with context takeover a message
//! that has been compressed must be sent.

use std::collections::VecDeque;

use ringwire_protocol::{Frame, Payload, Prepared, Sender, Workspace};

use crate::slow::{Overflow, SlowConsumer};
use crate::timer::Time;

/// A message that is being sent.
pub(crate) enum Outgoing<'a, 'm> {
    Message(Payload<'m>),
    Uncompressed(Payload<'m>),
    Prepared(&'a mut Prepared<'m>),
}

impl Outgoing<'_, '_> {
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Message(payload) | Self::Uncompressed(payload) => payload.as_bytes().len(),
            Self::Prepared(message) => message.payload().as_bytes().len(),
        }
    }
}

/// What one connection has waiting.
#[derive(Debug)]
pub(crate) struct Backlog {
    pub(crate) policy: SlowConsumer,
    entries: VecDeque<Entry>,
    /// Bytes of all entries, as they are counted.
    size: usize,
    /// Accepted, dropped and not yet told to the handler.
    untold: u64,
    /// The turn in which that was told last. It wraps.
    told: Option<u16>,
}

/// Bytes of a backlog that are not counted in its size: itself, and the entries that the queue has
/// room for at the least.
pub(crate) const BACKLOG_SIZE: usize = size_of::<Backlog>() + 4 * size_of::<Entry>();

/// A message that waits.
#[derive(Debug)]
struct Entry {
    content: Content,
    since: Time,
}

/// A message in the form in which it is kept.
#[derive(Debug)]
pub(crate) enum Content {
    Text(Box<str>),
    Binary(Box<[u8]>),
    /// Not to be compressed.
    Uncompressed(Box<Self>),
    /// Encoded already, and shared with other connections.
    Frame(Frame),
}

impl Content {
    /// A copy of a message.
    pub(crate) fn copy(payload: Payload<'_>) -> Self {
        match payload {
            Payload::Text(text) => Self::Text(text.into()),
            Payload::Binary(bytes) => Self::Binary(bytes.into()),
        }
    }

    /// Bytes that it takes, so that messages without content are bounded as well.
    fn size(&self) -> usize {
        size_of::<Entry>() + self.size_outside()
    }

    /// Bytes of it that do not lie in the entry.
    fn size_outside(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
            Self::Uncompressed(content) => size_of::<Self>() + content.size_outside(),
            Self::Frame(frame) => frame.len(),
        }
    }

    /// Appends it to `out`. It was accepted, so it is sent even if closing has begun since.
    fn encode(&self, sender: &mut Sender, workspace: &mut Workspace, out: &mut Vec<u8>) {
        let (payload, compresses) = match self {
            Self::Frame(frame) => return out.extend_from_slice(frame),
            Self::Text(text) => (Payload::Text(text), true),
            Self::Binary(bytes) => (Payload::Binary(bytes), true),
            Self::Uncompressed(content) => match &**content {
                Self::Text(text) => (Payload::Text(text), false),
                Self::Binary(bytes) => (Payload::Binary(bytes), false),
                content => return content.encode(sender, workspace, out),
            },
        };
        // A server needs no masking keys, and nothing else can be wrong.
        let _encoded = sender.message_held(payload, compresses, workspace, out);
    }
}

impl Backlog {
    pub(crate) const fn new(policy: SlowConsumer) -> Self {
        Self { policy, entries: VecDeque::new(), size: 0, untold: 0, told: None }
    }

    pub(crate) const fn size(&self) -> usize {
        self.size
    }

    /// Bytes that it has allocated, itself among them. What it shares with others counts for each.
    #[cfg(feature = "simulation")]
    pub(crate) fn allocated(&self) -> usize {
        let outside: usize = self.entries.iter().map(|entry| entry.content.size_outside()).sum();
        size_of::<Self>() + self.entries.capacity() * size_of::<Entry>() + outside
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether the oldest message has waited for longer than it may.
    pub(crate) fn is_stale(&self, now: Time) -> bool {
        let age_max = self.policy.age_max;
        self.entries
            .front()
            .zip(age_max)
            .is_some_and(|(oldest, age_max)| oldest.since.after(age_max) < now)
    }

    /// Puts a message behind the others.
    pub(crate) fn push(&mut self, content: Content, now: Time) {
        self.size += content.size();
        self.entries.push_back(Entry { content, since: now });
    }

    /// Drops the oldest message. Says how many bytes that were, `None` if there was none.
    pub(crate) fn drop_oldest(&mut self) -> Option<usize> {
        let entry = self.entries.pop_front()?;
        let size = entry.content.size();
        self.size -= size;
        self.untold += 1;
        Some(size)
    }

    /// Drops every message.
    pub(crate) fn clear(&mut self) {
        self.untold += self.entries.len() as u64;
        self.entries = VecDeque::new();
        self.size = 0;
    }

    /// Forgets every message: they are lost with their connection, and not dropped.
    pub(crate) fn forget(&mut self) {
        self.entries = VecDeque::new();
        self.size = 0;
    }

    /// Messages that have been dropped since this was last asked in another turn.
    pub(crate) fn take_untold(&mut self, turn: u16) -> u64 {
        if self.untold == 0 || self.told == Some(turn) {
            return 0;
        }
        self.told = Some(turn);
        self.take_last_untold()
    }

    /// Messages that have been dropped since this was last asked.
    pub(crate) const fn take_last_untold(&mut self) -> u64 {
        std::mem::replace(&mut self.untold, 0)
    }

    /// Moves messages to `out` until there are enough for the next flight. Those that have become
    /// too old are dropped, where old ones are what is dropped. Says since when the oldest of those
    /// that were moved has waited.
    pub(crate) fn refill(
        &mut self,
        sender: &mut Sender,
        workspace: &mut Workspace,
        out: &mut Vec<u8>,
        now: Time,
    ) -> Option<Time> {
        let mut oldest = None;
        let drops_old = self.policy.overflow == Overflow::DropOldest;
        while out.len() < self.policy.flight_size() {
            if drops_old && self.is_stale(now) {
                self.drop_oldest();
                continue;
            }
            let Some(entry) = self.entries.pop_front() else {
                // What the longest queue took is given back.
                self.entries = VecDeque::new();
                break;
            };
            oldest.get_or_insert(entry.since);
            self.size -= entry.content.size();
            entry.content.encode(sender, workspace, out);
        }
        oldest
    }

    /// Moves all messages to `out`: a close frame or a fragment is to follow them. Says since when
    /// the oldest has waited.
    pub(crate) fn settle(
        &mut self,
        sender: &mut Sender,
        workspace: &mut Workspace,
        out: &mut Vec<u8>,
    ) -> Option<Time> {
        let oldest = self.entries.front().map(|entry| entry.since);
        for entry in std::mem::take(&mut self.entries) {
            entry.content.encode(sender, workspace, out);
        }
        self.size = 0;
        oldest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringwire_protocol::{Limits, Role};

    /// Bytes that an entry takes, asked of each of its parts.
    fn held(content: &Content) -> usize {
        let outside = match content {
            Content::Text(text) => size_of_val::<str>(text),
            Content::Binary(bytes) => size_of_val::<[u8]>(bytes),
            Content::Uncompressed(content) => size_of_val::<Content>(content) + held(content),
            Content::Frame(frame) => frame.len(),
        };
        let inner = matches!(content, Content::Uncompressed(_));
        outside + if inner { 0 } else { size_of::<Entry>() }
    }

    #[test]
    fn what_is_counted_is_what_is_held() {
        let mut backlog = Backlog::new(SlowConsumer::default());
        let mut all = 0;
        for size in [0, 1, 1000] {
            let text = "x".repeat(size);
            let payloads = [Payload::Text(&text), Payload::Binary(text.as_bytes())];
            for payload in payloads {
                for content in [
                    Content::copy(payload),
                    Content::Uncompressed(Box::new(Content::copy(payload))),
                ] {
                    all += held(&content);
                    backlog.push(content, Time::ZERO);
                    assert_eq!(backlog.size(), all);
                }
            }
        }
        while let Some(size) = backlog.drop_oldest() {
            all -= size;
            assert_eq!(backlog.size(), all);
        }
        assert_eq!(all, 0);
    }

    #[test]
    fn a_queue_that_is_empty_holds_nothing() {
        let mut backlog = Backlog::new(SlowConsumer::default());
        for _ in 0..1000 {
            backlog.push(Content::copy(Payload::Text("")), Time::ZERO);
        }
        let (mut sender, mut workspace) =
            (Sender::new(Role::Server), Workspace::new(Limits::default()));
        let mut out = Vec::new();
        backlog.refill(&mut sender, &mut workspace, &mut out, Time::ZERO);
        assert_eq!((out.len(), backlog.size()), (2000, 0));
        assert_eq!(backlog.entries.capacity(), 0);
    }
}
