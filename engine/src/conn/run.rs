//! Messages for many connections that come together, and leave each of them in one flight.

use ringwire_protocol::PreparedRun;
use ringwire_protocol::frame::header;

use crate::conn::connections::Connections;
use crate::conn::outgoing::{Delivery, Origin, Outgoing};
use crate::conn::peer::{Peer, Stage};
use crate::conn::view::Connection;
use crate::driver::Driver;
use crate::handler::Handler;
use crate::run::Run;

impl<D: Driver, H: Handler> Connections<D, H> {
    /// Sends publications to each subscriber that this worker has, encoded once for all, and
    /// forgets them.
    ///
    /// A visit costs more than a message: what a connection is lies in memory that none of the
    /// others share.
    pub(crate) fn publish_run(&mut self, run: &mut Run) {
        match run.publications() {
            [] => {}
            [publication] => self.publish(publication),
            [publication, ..] => {
                let publications = run.publications();
                let mut prepared = PreparedRun::new(publications.iter().map(|one| one.payload()));
                let Self { slots, shared, .. } = self;
                let deliver = |one| Delivery::new(one, shared.hashes.clone());
                let mut deliveries: Vec<_> = publications.iter().map(deliver).collect();
                let mut topics = std::mem::take(&mut shared.topics);
                let except = publication.except.filter(|id| id.worker == shared.worker);
                shared.dirty.set_fans_out(true);
                let visit = |key, tag| {
                    if let Some(Peer { stage: Stage::Open, link, state, .. }) = slots.at(key) {
                        let mut connection = Connection { key, state, link, shared };
                        if !connection.send_run(&mut prepared, tag) {
                            connection.send_each(&mut prepared, &mut deliveries, tag);
                        }
                    }
                };
                let topic = publication.topic.as_topic();
                let reached = topics.publish(topic, except.map(|id| id.key), visit);
                shared.dirty.set_fans_out(false);
                shared.topics = topics;
                let count = publications.len() as u64;
                shared.stats.publications += count;
                shared.stats.deliveries += count * reached.unwrap_or(0) as u64;
            }
        }
        run.clear();
    }
}

impl<S> Connection<'_, S> {
    /// Sends messages one behind the other, as bytes that others send as well. `false`: something
    /// waits, or they are more than one flight, or others do not take them in this form.
    fn send_run(&mut self, run: &mut PreparedRun<'_>, tag: u8) -> bool {
        let Self { key, link, shared, .. } = self;
        let config = &shared.settings.config;
        let own = link.policy(config);
        let policy = shared.policies.policy(tag).unwrap_or(own);
        let size_max =
            own.flight_size().min(own.size_max).min(policy.size_max).min(config.outbox_size_max);
        // As much as their frames may take.
        let size = run.payload_size() + run.count() * header::SIZE_MAX;
        if link.buffered() > 0 || size > size_max {
            return false;
        }
        let Ok(Some(frames)) = link.sender.prepared_run(run, &mut shared.workspace) else {
            return false;
        };
        link.outbox.push(frames);
        shared.stats.messages_sent += run.count() as u64;
        shared.stats.payload_bytes_sent += run.payload_size() as u64;
        link.last_message = shared.stamp();
        shared.mark(*key, link);
        if link.buffered() > shared.config().outbox_high {
            shared.fall_behind(link);
        }
        true
    }

    /// Sends messages one behind the other, each as its policy allows.
    fn send_each(&mut self, run: &mut PreparedRun<'_>, deliveries: &mut [Delivery<'_>], tag: u8) {
        for (message, delivery) in run.messages().iter_mut().zip(deliveries) {
            let mut origin = Origin::Published(delivery);
            let sent = self.queue(Outgoing::Prepared(message), tag, &mut origin);
            self.count_interrupting(sent);
        }
    }
}
