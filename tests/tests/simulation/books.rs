//! A handler that echoes, does all that a handler may at all times, and keeps the books on it.

use std::any::Any;
use std::time::Duration;

use ringwire::topic::{Pattern, SubscribeError, Topic};
use ringwire::{
    Cause, Chunk, Closed, Config, Connection, Handle, Handler, Message, Misuse, Overflow,
    OwnedMessage, Post, Prepared, PublishError, Request, Response, Sent, SlowConsumer,
    Subscription, Upgrade,
};

use crate::chance::Chance;
use crate::deferrals::Deferrals;
use crate::gaps::NOTICES;
use crate::host::Outcomes;
use crate::ledger::{Ledger, Told, Totals};
use crate::owed::{Kind, Owed};
use crate::topics::{KEYS, Mail, Name, PATTERNS, Publication, TOPICS, Topics};

/// Bytes that the last message may need besides its own: a header, its place in the backlog, and
/// what a compressor adds to what it cannot make smaller.
const OVERHEAD: usize = 128;

/// Bytes that each value of a snapshot may count as besides, with a sixteenth of its own.
const VALUE_OVERHEAD: usize = 128;

/// What a handler knows of all its connections, by the number of the client.
pub(crate) struct Books {
    pub(crate) ledgers: Vec<Ledger>,
    /// In how many of a hundred calls it does more than to echo.
    pub(crate) mischief: usize,
    /// In how many it subscribes or publishes.
    pub(crate) talk: usize,
    /// What each connection subscribes when it opens.
    pub(crate) joins: &'static [&'static str],
    pub(crate) chance: Chance,
    pub(crate) topics: Topics,
    pub(crate) deferrals: Deferrals,
    /// That subscriptions have.
    policies: Vec<SlowConsumer>,
    /// Of a connection that has none of its own.
    policy: SlowConsumer,
    /// Who asks is let in.
    pub(crate) welcomes: bool,
    /// Once the worker has started.
    pub(crate) handle: Option<Handle>,
    /// Where it is told what has become of a release.
    pub(crate) outcomes: Outcomes,
    /// Connections come or go in this turn: what is published meanwhile could not be foretold.
    pub(crate) is_silent: bool,
    /// Releases that the handler has asked for, and nobody has counted.
    pub(crate) asked: usize,
    /// Chunks are sent on as they come.
    relays: bool,
    low: usize,
    high: usize,
    size_max: usize,
    /// Sums over all connections.
    pub(crate) totals: Totals,
}

impl Books {
    pub(crate) fn new(config: &Config, mischief: usize, mut chance: Chance) -> Self {
        let relays = chance.once_in(2);
        let deferrals = Deferrals::new(Chance::new(chance.below(usize::MAX) as u64));
        let (low, high) = (config.outbox_low, config.outbox_high);
        let size_max = config.outbox_size_max;
        let policies = (0..NOTICES.len()).map(|number| posted_policy(&mut chance, number));
        let policies = policies.collect();
        Self {
            ledgers: Vec::new(),
            mischief,
            talk: 0,
            joins: &[],
            chance,
            topics: Topics::new(config),
            deferrals,
            policies,
            policy: config.slow_consumer,
            welcomes: false,
            handle: None,
            outcomes: Outcomes::default(),
            is_silent: false,
            asked: 0,
            relays,
            low,
            high,
            size_max,
            totals: Totals::default(),
        }
    }

    /// The worker reads its mail: what comes of it is sent now.
    pub(crate) fn read_mail(&mut self) {
        self.is_silent = self.topics.hands_over();
        for (client, message, name) in self.topics.read() {
            self.owe(client, message, name);
        }
    }

    /// A message is sent that did not come from `send`: by mail, or as this is published.
    fn owe(&mut self, client: usize, message: OwnedMessage, name: Option<Name>) {
        let kind = name.map_or(Kind::Mailed, |name| {
            let policy = self.topics.policy(client, name.0);
            let conflates = self.conflates(client, name.0);
            Kind::Posted { name, policy, conflates }
        });
        let ledger = &mut self.ledgers[client];
        if ledger.opened && ledger.closed.is_none() {
            ledger.owe(message, kind);
            self.totals.mailed += 1;
        }
    }

    /// Whether a client has posts of this topic conflated.
    fn conflates(&self, client: usize, topic: &str) -> bool {
        let of_connection = self.ledgers[client].policy.unwrap_or(self.policy);
        let policy = self.topics.policy(client, topic).unwrap_or(of_connection);
        policy.overflow == Overflow::Conflate
    }

    fn ledger(&mut self, connection: &mut Connection<'_, Told>) -> &mut Ledger {
        &mut self.ledgers[connection.state().number.unwrap()]
    }

    /// Sends in one of the ways there are, and notes what became of it.
    pub(crate) fn send(&mut self, connection: &mut Connection<'_, Told>, message: OwnedMessage) {
        let was_open = connection.is_open();
        let payload = message.payload();
        let way = self.chance.below(8);
        let sent = match if self.ledger(connection).relaying { 7 } else { way } {
            0 => connection.send_uncompressed(payload),
            1 => connection.send_prepared(&mut Prepared::new(payload)),
            2 => match connection.send_fragment(payload, false) {
                Sent::Queued | Sent::Backlogged => {
                    let last: ringwire::Payload<'_> = match &message {
                        OwnedMessage::Text(_) => "".into(),
                        OwnedMessage::Binary(_) => (&[] as &[u8]).into(),
                    };
                    let sent = connection.send_fragment(last, true);
                    if sent == Sent::Dropped {
                        // Nothing else can be sent any more.
                        self.terminate(connection);
                    }
                    sent
                }
                sent => sent,
            },
            _ => connection.send(payload),
        };
        let (high, size_max) = (self.high, self.size_max);
        let buffered = connection.buffered();
        match sent {
            Sent::Queued => assert!(buffered <= high, "{buffered} bytes are no backlog"),
            Sent::Backlogged => assert!(buffered > high, "{buffered} bytes are a backlog"),
            Sent::Dropped => {
                self.totals.refused += 1;
                return assert!(was_open, "dropped after the end");
            }
            Sent::Closed => return assert!(!connection.is_open(), "refused without a reason"),
            Sent::Misused(misuse) => {
                let ledger = self.ledger(connection);
                let is_within = ledger.terminated || ledger.relaying;
                return assert!(is_within && misuse == Misuse::MessageUnfinished);
            }
        }
        assert!(was_open, "sent after the end");
        assert!(buffered <= size_max + OVERHEAD, "{buffered} bytes wait, at most {size_max}");
        self.totals.taken += 1;
        let ledger = self.ledger(connection);
        ledger.backlogged |= sent == Sent::Backlogged;
        ledger.taken += 1;
        ledger.owed.push(Owed::new(message, Kind::Taken, ledger.epoch, false));
    }

    /// Has it given away, when it is quiet.
    fn release(&mut self, connection: &mut Connection<'_, Told>) {
        let number = connection.state().number.unwrap();
        self.asked += 1;
        let outcomes = self.outcomes.clone();
        connection.release(move |outcome| outcomes.lock().unwrap().push((number, outcome)));
    }

    fn terminate(&mut self, connection: &mut Connection<'_, Told>) {
        connection.terminate();
        let ledger = self.ledger(connection);
        (ledger.terminated, ledger.left) = (true, true);
    }

    /// Does something of its own accord, now and then.
    fn act(&mut self, connection: &mut Connection<'_, Told>) {
        if !self.is_silent && self.chance.below(100) < self.talk {
            self.take_part(connection);
        }
        if self.chance.below(100) >= self.mischief {
            return;
        }
        match self.chance.below(22) {
            20..22 => self.release(connection),
            0..8 => {
                let number = self.totals.taken;
                self.send(connection, OwnedMessage::Text(format!("note {number}")));
            }
            8..10 => {
                let byte = u8::try_from(self.totals.taken % 251).unwrap();
                let size = 1 + self.chance.below(3000);
                self.send(connection, OwnedMessage::Binary(vec![byte; size]));
            }
            10..12 => {
                let sent = connection.ping(b"from the handler");
                assert!(!matches!(sent, Sent::Misused(_)), "{sent:?}");
            }
            12..14 => {
                let policy = policy(&mut self.chance);
                connection.set_slow_consumer(policy).unwrap();
                let ledger = self.ledger(connection);
                ledger.policy = Some(policy);
                ledger.epoch += 1;
            }
            14 => connection.pause(),
            15 => connection.resume(),
            16 => {
                let sent = connection.measure_round_trip();
                assert!(!matches!(sent, Sent::Misused(_)), "{sent:?}");
            }
            17 => connection.set_streaming(self.chance.once_in(2)),
            18 => {
                let was_open = connection.is_open();
                let closed = connection.close(4321, "as it likes");
                assert_eq!(closed, if was_open { Ok(()) } else { Err(Misuse::Closing) });
                self.ledger(connection).left = true;
            }
            _ => self.terminate(connection),
        }
    }
}

impl Books {
    /// Subscribes, takes a subscription back, or publishes.
    fn take_part(&mut self, connection: &mut Connection<'_, Told>) {
        let number = connection.state().number.unwrap();
        let ledger = &self.ledgers[number];
        let has_ended = ledger.error.is_some() || ledger.closed.is_some();
        match self.chance.below(8) {
            0..2 => {
                let name = self.chance.of(&PATTERNS);
                self.subscribe(connection, name);
            }
            // One that is about to be told of its end has no subscriptions any more.
            2 if connection.is_open() || has_ended => {
                let name = self.chance.of(&PATTERNS);
                let pattern = Pattern::new(name).unwrap();
                let expected = self.topics.unsubscribe(number, name);
                assert_eq!(connection.unsubscribe(pattern), expected);
                self.ledgers[number].epoch += 1;
            }
            2 => self.check_last_value(connection),
            3 => self.publish_outside(),
            kind => self.publish(connection, kind < 6),
        }
    }

    /// Of a topic and key there is the last value that was retained.
    fn check_last_value(&mut self, connection: &Connection<'_, Told>) {
        let name = (self.chance.of(&TOPICS), self.chance.of(&KEYS));
        let retained = connection.retained(Topic::new(name.0).unwrap(), name.1);
        assert_eq!(retained, self.topics.last_value(name), "the last value of {name:?}");
    }

    fn subscribe(&mut self, connection: &mut Connection<'_, Told>, name: &'static str) {
        let pattern = Pattern::new(name).unwrap();
        let number = connection.state().number.unwrap();
        let own = self.chance.once_in(2).then(|| self.chance.of(&self.policies));
        let subscription = Subscription { slow_consumer: own, snapshot: self.chance.once_in(2) };
        if !connection.is_open() {
            return assert_eq!(connection.subscribe_with(pattern, subscription), Ok(false));
        }
        let expected = self.topics.subscribe(number, name, subscription.slow_consumer);
        let before = connection.buffered();
        let subscribed = connection.subscribe_with(pattern, subscription);
        self.ledgers[number].epoch += usize::from(expected.is_ok());
        if !subscription.snapshot || expected != Ok(true) {
            return assert_eq!(subscribed, expected);
        }
        match subscribed {
            Ok(is_new) => assert!(is_new),
            Err(error) => {
                self.check_refusal(number, name, before, error);
                return assert!(self.topics.unsubscribe(number, name));
            }
        }
        let values = self.topics.snapshot(number, name);
        self.topics.note_snapshot(number, name);
        let size = values.iter().map(|value| value.payload().as_bytes().len()).sum::<usize>();
        let is_within = values.is_empty() || before + size <= self.size_max;
        assert!(is_within, "a snapshot of {size} bytes behind {before}");
        let ledger = &self.ledgers[number];
        assert!(!ledger.relaying || ledger.terminated, "a snapshot within a message");
        for value in values {
            self.ledgers[number].owe(value, Kind::Retained);
            self.totals.mailed += 1;
        }
        self.ledgers[number].backlogged |= connection.buffered() > self.high;
    }

    /// A snapshot that is not sent might be too much, or come within a message.
    fn check_refusal(&self, client: usize, name: &str, before: usize, error: SubscribeError) {
        let ledger = &self.ledgers[client];
        let is_within = ledger.relaying || ledger.terminated;
        if error == SubscribeError::MessageUnfinished && is_within {
            return;
        }
        assert_eq!(error, SubscribeError::SnapshotTooLarge);
        let values = self.topics.snapshot(client, name);
        assert!(!values.is_empty(), "nothing is too large");
        let sizes = values.iter().map(|value| value.payload().as_bytes().len());
        let size = sizes.map(|size| size + size / 16 + VALUE_OVERHEAD).sum::<usize>();
        let policy = ledger.policy.unwrap_or(self.policy);
        let size_max = policy.size_max.min(self.size_max);
        let is_too_large = before + size > size_max || policy.age_max.is_some();
        assert!(is_too_large, "{size} bytes behind {before} are not above {size_max}");
    }

    /// Publishes for a connection, which has the message as well or has it not.
    fn publish(&mut self, connection: &mut Connection<'_, Told>, to_all: bool) {
        let number = connection.state().number.unwrap();
        let topic = self.chance.of(&TOPICS);
        let (post, publication) = self.write(topic);
        let Publication { name, message, is_retained, .. } = publication;
        let is_ordered = is_retained || !name.1.is_empty();
        let was_open = connection.is_open();
        let published = match to_all {
            true => connection.publish(topic, post),
            false => connection.publish_to_others(topic, post),
        };
        let is_subscriber = self.topics.subscribers(topic).contains(&number);
        let conflates = self.conflates(number, topic);
        let is_at_once = to_all && !is_ordered && is_subscriber && !conflates;
        if is_at_once && was_open {
            self.owe(number, message.clone(), Some(name));
            self.ledgers[number].backlogged |= connection.buffered() > self.high;
        }
        // Who is no subscriber yet does not become one of what it has published.
        let is_theirs = !to_all || !is_ordered && !is_subscriber;
        let except = (is_at_once || is_theirs).then_some(number);
        self.post(&published, Mail::Publish(Publication { name, message, is_retained, except }));
    }

    /// Publishes as another thread would, or asks whom that would reach.
    pub(crate) fn publish_outside(&mut self) {
        let Some(handle) = self.handle.clone() else { return };
        let topic = self.chance.of(&TOPICS);
        if self.chance.once_in(8) {
            let asked = handle.count_subscribers(topic, self.topics.counter());
            return self.post(&asked, Mail::Count(topic));
        }
        let (post, publication) = self.write(topic);
        let published = handle.publish(topic, post);
        self.post(&published, Mail::Publish(publication));
    }

    /// Any post, with a key or without, and what must be known of it.
    fn write(&mut self, topic: &'static str) -> (Post, Publication) {
        let key = self.chance.of(&KEYS);
        let is_retained = self.chance.once_in(3);
        let empty = (is_retained && self.chance.once_in(10)).then(|| self.topics.empty()).flatten();
        let message = empty.unwrap_or_else(|| self.topics.message(&mut self.chance));
        let post = Post::new(message.clone()).with_key(key);
        let post = if is_retained { post.retained() } else { post };
        (post, Publication { name: (topic, key), message, is_retained, except: None })
    }

    fn post(&mut self, published: &Result<(), PublishError>, mail: Mail) {
        let full = Err(PublishError::Workers(vec![0]));
        assert!(published.is_ok() || *published == full, "{published:?}");
        self.topics.post(published.is_ok(), mail);
    }

    /// Sends a chunk on as a fragment.
    fn relay(&mut self, connection: &mut Connection<'_, Told>, chunk: &Chunk<'_>) {
        let sent = connection.send_fragment(chunk, chunk.is_last);
        let ledger = self.ledger(connection);
        ledger.relaying = !chunk.is_last;
        match sent {
            Sent::Queued | Sent::Backlogged if chunk.is_last => {
                let bytes = ledger.partial.clone();
                ledger.taken += 1;
                let message = match &chunk.part {
                    Message::Text(_) => OwnedMessage::Text(String::from_utf8(bytes).unwrap()),
                    Message::Binary(_) => OwnedMessage::Binary(bytes),
                };
                ledger.owed.push(Owed::new(message, Kind::Taken, ledger.epoch, false));
                self.totals.taken += 1;
            }
            Sent::Queued | Sent::Backlogged | Sent::Closed => {}
            // What follows could not be told from the message that lacks a part.
            Sent::Dropped => {
                self.totals.refused += 1;
                self.terminate(connection);
            }
            Sent::Misused(misuse) => panic!("{misuse}"),
        }
    }
}

/// Any policy for slow consumers.
pub(crate) fn policy(chance: &mut Chance) -> SlowConsumer {
    let overflow = [
        Overflow::DropNewest,
        Overflow::DropOldest,
        Overflow::DropOldest,
        Overflow::Conflate,
        Overflow::Close(1013),
    ];
    let age_max = chance.once_in(3).then(|| Duration::from_millis(300));
    let size_max = [400, 2000, usize::MAX];
    SlowConsumer {
        overflow: chance.of(&overflow),
        size_max: chance.of(&size_max),
        age_max,
        ..SlowConsumer::default()
    }
}

/// Any policy of a subscription, most often one that conflates.
fn posted_policy(chance: &mut Chance, number: usize) -> SlowConsumer {
    let policy = policy(chance);
    let gap_notice = chance.once_in(2).then_some(NOTICES[number]);
    let overflow = if chance.once_in(3) { Overflow::Conflate } else { policy.overflow };
    SlowConsumer { gap_notice, overflow, ..policy }
}

impl Handler for Books {
    type State = Told;

    fn upgrade(&mut self, request: &Request<'_>) -> Upgrade<Told> {
        let number = request.path().strip_prefix('/').and_then(|path| path.parse().ok());
        assert!(number.is_some_and(|number: usize| number < self.ledgers.len()));
        self.totals.asked += 1;
        if !self.is_silent && self.chance.below(100) < self.talk {
            self.publish_outside();
        }
        if let Some(upgrade) = self.deferrals.put_off(number.unwrap()) {
            return upgrade;
        }
        if !self.welcomes && self.chance.once_in(30) {
            return Upgrade::refuse(Response::text(403, "Not today.\n"));
        }
        Upgrade::accept().state(Told { number }).streaming(self.chance.once_in(3))
    }

    fn request(&mut self, _: &Request<'_>) -> Response {
        self.totals.asked += 1;
        Response::text(426, "Upgrade.\n").header("Upgrade", "websocket")
    }

    fn open(&mut self, connection: &mut Connection<'_, Told>) {
        let id = connection.id();
        let ledger = self.ledger(connection);
        assert!(!ledger.opened, "opened twice");
        (ledger.opened, ledger.id) = (true, Some(id));
        self.totals.opened += 1;
        self.send(connection, OwnedMessage::Text("welcome".to_owned()));
        let joins = if self.is_silent { &[] } else { self.joins };
        for name in joins {
            self.subscribe(connection, name);
        }
        self.act(connection);
    }

    fn message(&mut self, connection: &mut Connection<'_, Told>, message: Message<'_>) {
        let ledger = self.ledger(connection);
        assert!(ledger.opened && ledger.closed.is_none(), "a message after the end");
        assert!(!ledger.terminated, "a message after terminate");
        assert!(ledger.partial.is_empty() && !ledger.relaying, "a message within another");
        let message = OwnedMessage::from(&message);
        ledger.received.push(message.clone());
        self.totals.received += 1;
        self.send(connection, message);
        self.act(connection);
    }

    fn chunk(&mut self, connection: &mut Connection<'_, Told>, chunk: Chunk<'_>) {
        let relays = self.relays;
        let ledger = self.ledger(connection);
        assert!(ledger.opened && ledger.closed.is_none(), "a chunk after the end");
        assert!(!ledger.terminated, "a chunk after terminate");
        assert!(!chunk.is_first || ledger.partial.is_empty(), "a message within another");
        ledger.partial.extend_from_slice(chunk.part.as_bytes());
        if relays {
            self.relay(connection, &chunk);
        }
        if chunk.is_last {
            let ledger = self.ledger(connection);
            let bytes = std::mem::take(&mut ledger.partial);
            let message = match &chunk.part {
                Message::Text(_) => OwnedMessage::Text(String::from_utf8(bytes).unwrap()),
                Message::Binary(_) => OwnedMessage::Binary(bytes),
            };
            ledger.received.push(message.clone());
            self.totals.received += 1;
            if !relays {
                self.send(connection, message);
            }
        }
        self.act(connection);
    }

    fn pong(&mut self, connection: &mut Connection<'_, Told>, _: &[u8], _: Option<Duration>) {
        let ledger = self.ledger(connection);
        assert!(ledger.opened && ledger.closed.is_none(), "a pong after the end");
        self.act(connection);
    }

    fn drain(&mut self, connection: &mut Connection<'_, Told>) {
        assert!(connection.buffered() <= self.low, "nothing has drained");
        let ledger = self.ledger(connection);
        assert!(ledger.opened && ledger.closed.is_none(), "drained after the end");
        ledger.backlogged = false;
        self.totals.drained += 1;
        self.act(connection);
    }

    fn dropped(&mut self, connection: &mut Connection<'_, Told>, messages: u64) {
        assert!(messages > 0, "nothing was dropped");
        let ledger = self.ledger(connection);
        assert!(ledger.closed.is_none(), "dropped after the end");
        ledger.dropped += messages;
        self.totals.dropped += messages;
        self.act(connection);
    }

    fn released(&mut self, connection: &mut Connection<'_, Told>) -> Option<Box<dyn Any + Send>> {
        let number = connection.state().number.unwrap();
        self.topics.end(number);
        self.totals.released += 1;
        assert_eq!(connection.send("too late"), Sent::Closed);
        let ledger = self.ledger(connection);
        assert!(ledger.opened && ledger.closed.is_none(), "released after the end");
        assert!(ledger.partial.is_empty() && !ledger.relaying, "released within a message");
        assert!(!ledger.backlogged && !ledger.terminated, "released, and not quiet");
        // Another connection begins where it goes on.
        (ledger.opened, ledger.id, ledger.policy) = (false, None, None);
        ledger.epoch += 1;
        Some(Box::new(Told::new(number)))
    }

    fn error(&mut self, connection: &mut Connection<'_, Told>, cause: &Cause) {
        self.topics.end(connection.state().number.unwrap());
        let ledger = self.ledger(connection);
        assert!(ledger.opened && ledger.closed.is_none(), "an error after the end");
        assert_eq!(ledger.error.replace(cause.labels()), None, "an error too many");
        assert!(!connection.is_open());
        self.send(connection, OwnedMessage::Text("too late".to_owned()));
        self.act(connection);
    }

    fn close(&mut self, connection: &mut Connection<'_, Told>, closed: Closed<'_>) {
        let labels = closed.cause.labels();
        self.topics.end(connection.state().number.unwrap());
        let ledger = self.ledger(connection);
        assert!(ledger.opened, "closed without having been opened");
        assert_eq!(ledger.closed.replace(labels), None, "closed twice");
        assert_eq!(ledger.error, (!closed.clean).then_some(labels), "error and close disagree");
        ledger.clean = closed.clean;
        self.totals.closed += 1;
        assert!(!connection.is_open());
        self.send(connection, OwnedMessage::Text("later still".to_owned()));
        self.act(connection);
    }
}
