//! Topics as connections have them: whom a publication reaches, and how a handler subscribes.

use ringwire_protocol::Prepared;

use crate::conn::connections::Connections;
use crate::conn::peer::{Peer, Stage};
use crate::conn::view::Connection;
use crate::driver::Driver;
use crate::handler::Handler;
use crate::message::OwnedMessage;
use crate::publication::{Publication, PublishError};
use crate::topic::{OwnedTopic, Pattern, SubscribeError, Topic};

impl<D: Driver, H: Handler> Connections<D, H> {
    /// Sends a publication to each subscriber that this worker has, encoded once for all.
    pub(crate) fn publish(&mut self, publication: &Publication) {
        let Self { slots, shared, .. } = self;
        let mut topics = std::mem::take(&mut shared.topics);
        let mut prepared = Prepared::new(publication.message.payload());
        let except = publication.except.filter(|id| id.worker == shared.worker).map(|id| id.key);
        shared.dirty.set_fans_out(true);
        let visit = |key, _tag| {
            if let Some(Peer { stage: Stage::Open, link, state, .. }) = slots.at(key) {
                Connection { key, state, link, shared }.send_prepared(&mut prepared);
            }
        };
        let reached = topics.publish(publication.topic.as_topic(), except, visit);
        shared.dirty.set_fans_out(false);
        shared.topics = topics;
        shared.stats.publications += 1;
        shared.stats.deliveries += reached.unwrap_or(0) as u64;
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
        if !self.is_open() {
            return Ok(false);
        }
        self.shared.topics.subscribe(self.key, pattern)
    }

    /// Takes a subscription back. Says whether there was one.
    pub fn unsubscribe(&mut self, pattern: Pattern<'_>) -> bool {
        self.shared.topics.unsubscribe(self.key, pattern)
    }

    /// Publishes a message to all subscribers of a topic, on all workers; if this connection is
    /// one, it has the message at once, between what it is sent before and after. The others have
    /// it before this turn ends, or as soon as their workers look at their mail, behind what was
    /// asked through a [`Handle`](crate::Handle) before.
    ///
    /// # Errors
    /// [`PublishError`]: the topic is none, or some workers did not take it.
    pub fn publish(
        &mut self,
        topic: &str,
        message: impl Into<OwnedMessage>,
    ) -> Result<(), PublishError> {
        let name = Topic::new(topic)?;
        let message = message.into();
        // Where too many patterns match, nobody has it.
        if self.shared.topics.is_subscriber(self.key, name) == Ok(true) {
            self.send(message.payload());
        }
        self.publish_further(name, message)
    }

    /// Publishes a message to all subscribers of a topic but this connection.
    ///
    /// # Errors
    /// As [`Connection::publish`].
    pub fn publish_to_others(
        &mut self,
        topic: &str,
        message: impl Into<OwnedMessage>,
    ) -> Result<(), PublishError> {
        self.publish_further(Topic::new(topic)?, message.into())
    }

    fn publish_further(
        &mut self,
        topic: Topic<'_>,
        message: OwnedMessage,
    ) -> Result<(), PublishError> {
        let topic = OwnedTopic::from(topic);
        let publication = Publication { topic, message, except: Some(self.id()) };
        self.shared.handle.send_publication(publication)
    }
}
