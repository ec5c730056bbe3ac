//! The last values as a connection has them: one by one, or all that match when it subscribes.

use crate::conn::last_values::LastValues;
use crate::conn::policies::OWN;
use crate::conn::view::{Connection, Sent};
use crate::driver::Key;
use crate::message::OwnedMessage;
use crate::topic::{Pattern, SubscribeError, Topic, Topics};

impl<S> Connection<'_, S> {
    /// The last value that this worker retains of a topic and key, if there is one. What is
    /// published in this turn is not among them yet.
    ///
    /// ```
    /// use ringwire::topic::Topic;
    /// use ringwire::{Connection, Handler, Message, OwnedMessage};
    ///
    /// /// Answers a request for the price of a share.
    /// struct Prices;
    ///
    /// impl Handler for Prices {
    ///     type State = ();
    ///
    ///     fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
    ///         let prices = Topic::new("prices.xetra").expect("it is a topic");
    ///         let share = message.as_text().unwrap_or_default();
    ///         match connection.retained(prices, share) {
    ///             Some(OwnedMessage::Text(price)) => connection.send(&*price.clone()),
    ///             _ => connection.send("no such share"),
    ///         };
    ///     }
    /// }
    /// # let _ = Prices;
    /// ```
    #[must_use]
    pub fn retained(&self, topic: Topic<'_>, key: &str) -> Option<&OwnedMessage> {
        self.shared.last_values.value(topic, key)
    }

    /// Sends all values that match a pattern it has just subscribed, or none. Those that another
    /// subscription began with are no news: that one has told it of all that came since.
    pub(super) fn send_snapshot(&mut self, pattern: Pattern<'_>) -> Result<(), SubscribeError> {
        self.link.sender.check().map_err(|_| SubscribeError::MessageUnfinished)?;
        let mut topics = std::mem::take(&mut self.shared.topics);
        let mut last_values = std::mem::take(&mut self.shared.last_values);
        let sent = self.send_news(pattern, &mut topics, &mut last_values);
        if sent {
            topics.note_last_values(self.key, pattern);
        }
        (self.shared.topics, self.shared.last_values) = (topics, last_values);
        if sent { Ok(()) } else { Err(SubscribeError::SnapshotTooLarge) }
    }

    /// Sends the values of a pattern that it does not have, if there is room for all of them.
    fn send_news(
        &mut self,
        pattern: Pattern<'_>,
        topics: &mut Topics<Key>,
        last_values: &mut LastValues,
    ) -> bool {
        let key = self.key;
        // Most have no other subscription, and need no search for each value.
        let is_first = topics.subscription_count(key) == 1;
        let mut is_news = |topic: Topic<'_>| is_first || !topics.has_last_values(key, topic);
        let sizes = last_values.sizes(pattern).filter(|(topic, _)| is_news(*topic));
        if !self.has_room_for(sizes.map(|(_, size)| size)) {
            return false;
        }
        let sent = last_values.visit(pattern, is_news, |prepared| {
            matches!(self.send_prepared(prepared), Sent::Queued | Sent::Backlogged)
        });
        debug_assert!(sent, "there was room for a snapshot");
        sent
    }

    /// Whether nothing of a snapshot would be dropped, nor anything for it. Values are looked at
    /// until they are too many, so that one that is much too large costs no more than one that
    /// almost fits.
    fn has_room_for(&self, mut sizes: impl Iterator<Item = usize>) -> bool {
        let Self { link, shared, .. } = self;
        if link.backlog.as_ref().is_some_and(|backlog| backlog.is_stale(OWN, shared.now)) {
            return sizes.next().is_none();
        }
        let mut room = link.room(shared.config());
        sizes.all(|size| {
            let left = room.checked_sub(size.saturating_add(size / 16).saturating_add(OVERHEAD));
            room = left.unwrap_or(0);
            left.is_some()
        })
    }
}

/// Bytes that a message may count as beside its own: its header and its place in the queue. What is
/// compressed may grow by less than a sixteenth.
const OVERHEAD: usize = 128;
