//! Topics as connections have them: whom a publication reaches, and how a handler subscribes.

use std::sync::Arc;

use ringwire_protocol::Prepared;

use crate::conn::connections::Connections;
use crate::conn::peer::{Peer, Stage};
use crate::conn::view::Connection;
use crate::driver::Driver;
use crate::handler::Handler;
use crate::publication::{Post, Publication, PublishError};
use crate::subscription::Subscription;
use crate::topic::{Pattern, SubscribeError, Topic};

impl<D: Driver, H: Handler> Connections<D, H> {
    /// Sends a publication to each subscriber that this worker has, encoded once for all, and
    /// retains it in the same step: who subscribes before it has it as an update, who subscribes
    /// after it in the snapshot.
    pub(crate) fn publish(&mut self, publication: &Arc<Publication>) {
        let Self { slots, shared, .. } = self;
        let mut topics = std::mem::take(&mut shared.topics);
        let mut prepared = Prepared::new(publication.payload());
        let except = publication.except.filter(|id| id.worker == shared.worker).map(|id| id.key);
        shared.dirty.set_fans_out(true);
        let visit = |key, _tag| {
            if let Some(Peer { stage: Stage::Open, link, state, .. }) = slots.at(key) {
                let mut connection = Connection { key, state, link, shared };
                let sent = connection.send_prepared(&mut prepared);
                connection.count_interrupting(sent);
            }
        };
        let reached = topics.publish(publication.topic.as_topic(), except, visit);
        shared.dirty.set_fans_out(false);
        shared.topics = topics;
        if publication.post.is_retained && !shared.last_values.set(publication) {
            shared.stats.retained_refused += 1;
        }
        shared.stats.publications += 1;
        shared.stats.deliveries += reached.unwrap_or(0) as u64;
    }

    /// How many connections a message to this topic would reach.
    pub(crate) fn subscriber_count(&mut self, topic: Topic<'_>) -> usize {
        // Where too many patterns match, nobody would have it.
        self.shared.topics.subscriber_count(topic).unwrap_or(0)
    }
}

impl<S> Connection<'_, S> {
    /// Subscribes this connection to a topic, or with a pattern to many. It gets each message once,
    /// however many of its patterns match. Says whether that is new. A connection that has ended
    /// is unsubscribed.
    ///
    /// # Errors
    /// [`Config::topics`](crate::Config::topics) allows no more.
    pub fn subscribe(&mut self, pattern: Pattern<'_>) -> Result<bool, SubscribeError> {
        self.subscribe_with(pattern, Subscription::default())
    }

    /// Subscribes as [`Connection::subscribe`] does, in the way that `subscription` says.
    ///
    /// # Errors
    /// [`Config::topics`](crate::Config::topics) allows no more, or the snapshot cannot be sent.
    /// Nothing has changed.
    pub fn subscribe_with(
        &mut self,
        pattern: Pattern<'_>,
        subscription: Subscription,
    ) -> Result<bool, SubscribeError> {
        if !self.is_open() {
            return Ok(false);
        }
        let is_new = self.shared.topics.subscribe(self.key, pattern)?;
        if is_new
            && subscription.snapshot
            && let Err(error) = self.send_snapshot(pattern)
        {
            self.unsubscribe(pattern);
            return Err(error);
        }
        Ok(is_new)
    }

    /// Takes a subscription back. Says whether there was one.
    pub fn unsubscribe(&mut self, pattern: Pattern<'_>) -> bool {
        self.shared.topics.unsubscribe(self.key, pattern)
    }

    /// Publishes a message to all subscribers of a topic, on all workers: those have it before this
    /// turn ends, or as soon as their workers look at their mail, behind what was asked through a
    /// [`Handle`](crate::Handle) before.
    ///
    /// If this connection is a subscriber, it has a post without a key that is not retained at
    /// once, between what it is sent before and after. Any other post it has with everybody else,
    /// behind what it is sent in this turn: another thread's may be under way, which all have
    /// before this one, and the last one counts. What must come behind that goes through
    /// [`Handle::send`](crate::Handle::send), and where it publishes posts of both kinds in one
    /// turn, through [`Handle::publish`](crate::Handle::publish).
    ///
    /// # Errors
    /// [`PublishError`]: the topic is none, the key too long, or some workers did not take it.
    pub fn publish(&mut self, topic: &str, post: impl Into<Post>) -> Result<(), PublishError> {
        let (topic, post) = (Topic::new(topic)?, post.into());
        // Where too many patterns match, nobody has it.
        let is_at_once =
            !post.is_ordered() && self.shared.topics.is_subscriber(self.key, topic) == Ok(true);
        // Who is none yet, and becomes one in this turn, has it like all who do.
        let except = is_at_once.then(|| self.id());
        let publication = Publication::new(topic, post, except)?;
        if is_at_once {
            let sent = self.send(publication.post.message.payload());
            self.count_interrupting(sent);
        }
        self.shared.handle.send_publication(publication)
    }

    /// Publishes a message to all subscribers of a topic but this connection, whatever it
    /// subscribes. What is retained it finds like all others if it subscribes in a later turn.
    ///
    /// # Errors
    /// As [`Connection::publish`].
    pub fn publish_to_others(
        &mut self,
        topic: &str,
        post: impl Into<Post>,
    ) -> Result<(), PublishError> {
        let publication = Publication::new(Topic::new(topic)?, post.into(), Some(self.id()))?;
        self.shared.handle.send_publication(publication)
    }
}
