//! Topics as connections have them: whom a publication reaches, and how a handler subscribes.

use std::sync::Arc;

use ringwire_protocol::Prepared;

use crate::conn::connections::Connections;
use crate::conn::outgoing::{Delivery, Origin, Outgoing};
use crate::conn::peer::{Peer, Stage};
use crate::conn::policies::OWN;
use crate::conn::view::Connection;
use crate::driver::Driver;
use crate::handler::Handler;
use crate::publication::{Post, Publication, PublishError};
use crate::slow::Contradiction;
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
        let mut delivery = Delivery::new(publication, shared.hashes.clone());
        let except = publication.except.filter(|id| id.worker == shared.worker).map(|id| id.key);
        shared.begin_fan();
        let visit = |key, tag| {
            if let Some(Peer { stage: Stage::Open, link, state, .. }) = slots.at(key) {
                let outgoing = Outgoing::Prepared(&mut prepared);
                let mut origin = Origin::Published(&mut delivery);
                let mut connection = Connection { key, state, link, shared };
                let sent = connection.queue(outgoing, tag, &mut origin);
                connection.count_interrupting(sent);
            }
        };
        let reached = topics.publish(publication.topic.as_topic(), except, visit);
        shared.end_fan();
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

/// How a connection has what it publishes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OwnShare {
    /// When all others have it.
    WithAll,
    /// Now, under the policy with this number.
    AtOnce(u8),
    /// Not at all, since it is no subscriber.
    None,
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

    /// Subscribes as [`subscribe`](Self::subscribe) does, and says how. Where several patterns of
    /// this connection match a topic, what counts is how the most special of them was subscribed:
    /// tokens are compared from the left, and one that is named goes before `*`, which goes before
    /// `>`. Who subscribes a pattern again changes how.
    ///
    /// # Errors
    /// [`Config::topics`](crate::Config::topics) allows no more, the policy contradicts itself, the
    /// worker has too many others, or the snapshot cannot be sent. Nothing has changed.
    pub fn subscribe_with(
        &mut self,
        pattern: Pattern<'_>,
        subscription: Subscription,
    ) -> Result<bool, SubscribeError> {
        if !self.is_open() {
            return Ok(false);
        }
        let tag = self.tag(subscription)?;
        let is_new = self.shared.topics.subscribe_tagged(self.key, pattern, tag)?;
        self.link.seal();
        if is_new
            && subscription.snapshot
            && let Err(error) = self.send_snapshot(pattern)
        {
            self.unsubscribe(pattern);
            return Err(error);
        }
        Ok(is_new)
    }

    /// The number of the policy of a subscription.
    fn tag(&mut self, subscription: Subscription) -> Result<u8, SubscribeError> {
        let Some(policy) = subscription.slow_consumer else { return Ok(OWN) };
        match policy.contradiction() {
            None => {}
            Some(Contradiction::Size) => return Err(SubscribeError::SlowConsumerSize),
            Some(Contradiction::Code(code)) => return Err(SubscribeError::SlowConsumerCode(code)),
        }
        let policy = policy.within(self.shared.config().outbox_size_max);
        self.shared.policies.tag(policy).ok_or(SubscribeError::TooManySlowConsumers)
    }

    /// Takes a subscription back. Says whether there was one.
    pub fn unsubscribe(&mut self, pattern: Pattern<'_>) -> bool {
        self.link.seal();
        self.shared.topics.unsubscribe(self.key, pattern)
    }

    /// Publishes a message to all subscribers of a topic, on all workers: those have it when their
    /// workers read it in their mail, this one before its turn ends unless much waits there,
    /// behind what was asked through a [`Handle`](crate::Handle) before.
    ///
    /// If this connection is a subscriber, it has a post without a key that is not retained at
    /// once, between what it is sent before and after, unless it has posts
    /// [conflated](crate::Overflow::Conflate). Any other post it has with everybody else,
    /// behind what it is sent in this turn: another thread's may be under way, which all have
    /// before this one, and the last one counts. What must come behind that goes through
    /// [`Handle::send`](crate::Handle::send), and where it publishes posts of both kinds in one
    /// turn, through [`Handle::publish`](crate::Handle::publish).
    ///
    /// If it is none, it does not have a post without a key that is not retained, even if it
    /// subscribes in the same turn: that is for what comes behind.
    ///
    /// # Errors
    /// [`PublishError`]: the topic is none, the key too long, or some workers did not take it.
    pub fn publish(&mut self, topic: &str, post: impl Into<Post>) -> Result<(), PublishError> {
        let (topic, post) = (Topic::new(topic)?, post.into());
        let share = self.own_share(topic, &post);
        let except = (share != OwnShare::WithAll).then(|| self.id());
        let publication = Arc::new(Publication::new(topic, post, except)?);
        if let OwnShare::AtOnce(tag) = share {
            let outgoing = Outgoing::Message(publication.payload());
            let mut delivery = Delivery::new(&publication, self.shared.hashes.clone());
            let sent = self.queue(outgoing, tag, &mut Origin::Published(&mut delivery));
            self.count_interrupting(sent);
        }
        self.shared.handle.send_publication(&publication)
    }

    /// How this connection has a post of its own.
    fn own_share(&mut self, topic: Topic<'_>, post: &Post) -> OwnShare {
        if post.is_ordered() {
            return OwnShare::WithAll;
        }
        // Where too many patterns match, nobody has it.
        let Ok(Some(tag)) = self.shared.topics.tag(self.key, topic) else {
            // If it subscribes now, what it publishes then comes at once, and this would be behind.
            return OwnShare::None;
        };
        let config = &self.shared.settings.config;
        let policy = self.shared.policies.policy(tag);
        // What it replaced could be newer than what is under way and would replace it.
        match policy.unwrap_or_else(|| self.link.policy(config)).conflates() {
            true => OwnShare::WithAll,
            false => OwnShare::AtOnce(tag),
        }
    }

    /// Publishes a message to all subscribers of a topic but this connection, whatever it
    /// subscribes. What is retained it finds like all others in the snapshot of a subscription in a
    /// later turn, unless another one that it has began with a snapshot of this topic.
    ///
    /// # Errors
    /// As [`Connection::publish`].
    pub fn publish_to_others(
        &mut self,
        topic: &str,
        post: impl Into<Post>,
    ) -> Result<(), PublishError> {
        let publication = Publication::new(Topic::new(topic)?, post.into(), Some(self.id()))?;
        self.shared.handle.send_publication(&Arc::new(publication))
    }
}
