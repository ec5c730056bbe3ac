//! A handler that echoes, does all that a handler may at all times, and keeps the books on it.

use std::time::Duration;

use ringwire::topic::Pattern;
use ringwire::{
    Cause, Chunk, Closed, Config, Connection, ConnectionId, Handle, Handler, Message, Misuse,
    Overflow, OwnedMessage, Post, Prepared, PublishError, Request, Response, Sent, SlowConsumer,
    Upgrade,
};

use crate::chance::Chance;
use crate::topics::{Mail, PATTERNS, Publication, TOPICS, Topics};

/// Bytes that the last message may need besides its own: a header, its place in the backlog, and
/// what a compressor adds to what it cannot make smaller.
const OVERHEAD: usize = 128;

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
    /// Who asks is let in.
    pub(crate) welcomes: bool,
    /// Once the worker has started.
    pub(crate) handle: Option<Handle>,
    /// Chunks are sent on as they come.
    relays: bool,
    low: usize,
    high: usize,
    size_max: usize,
    /// Sums over all connections.
    pub(crate) totals: Totals,
}

/// What the statistics must say as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) opened: u64,
    pub(crate) closed: u64,
    pub(crate) received: u64,
    pub(crate) taken: u64,
    /// Taken, and dropped later.
    pub(crate) dropped: u64,
    /// Not taken, and counted as dropped.
    pub(crate) refused: u64,
    /// Sent by mail, to connections that were open then. Some may not have been taken.
    pub(crate) mailed: u64,
    pub(crate) drained: u64,
    /// Requests that the handler was asked about.
    pub(crate) asked: u64,
}

/// One connection's.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) id: Option<ConnectionId>,
    pub(crate) received: Vec<OwnedMessage>,
    /// What `send` has taken, and what has come by mail, in the order in which it is to leave.
    pub(crate) owed: Vec<OwnedMessage>,
    /// How much of it `send` has taken.
    pub(crate) taken: u64,
    /// Of all of it, what was reported as dropped.
    pub(crate) dropped: u64,
    pub(crate) opened: bool,
    error: Option<(&'static str, &'static str)>,
    pub(crate) closed: Option<(&'static str, &'static str)>,
    pub(crate) clean: bool,
    /// The handler has ended it, or has wished to.
    pub(crate) left: bool,
    /// More waits than should, and `drain` is to say when there is room again.
    pub(crate) backlogged: bool,
    terminated: bool,
    /// Of a message that arrives in chunks, what has come.
    partial: Vec<u8>,
    /// It is sent on chunk by chunk, and its last has not come.
    relaying: bool,
}

/// Which client a connection is.
#[derive(Default)]
pub(crate) struct Told {
    number: Option<usize>,
}

impl Books {
    pub(crate) fn new(config: &Config, mischief: usize, mut chance: Chance) -> Self {
        let relays = chance.once_in(2);
        let (low, high) = (config.outbox_low, config.outbox_high);
        let size_max = config.outbox_size_max;
        Self {
            ledgers: Vec::new(),
            mischief,
            talk: 0,
            joins: &[],
            chance,
            topics: Topics::new(config),
            welcomes: false,
            handle: None,
            relays,
            low,
            high,
            size_max,
            totals: Totals::default(),
        }
    }

    /// The worker reads its mail: what comes of it is sent now.
    pub(crate) fn read_mail(&mut self) {
        for (client, message) in self.topics.read() {
            self.owe(client, message);
        }
    }

    /// A message is sent that did not come from `send`.
    fn owe(&mut self, client: usize, message: OwnedMessage) {
        let ledger = &mut self.ledgers[client];
        if ledger.opened && ledger.closed.is_none() {
            ledger.owed.push(message);
            self.totals.mailed += 1;
        }
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
        ledger.owed.push(message);
    }

    fn terminate(&mut self, connection: &mut Connection<'_, Told>) {
        connection.terminate();
        let ledger = self.ledger(connection);
        (ledger.terminated, ledger.left) = (true, true);
    }

    /// Does something of its own accord, now and then.
    fn act(&mut self, connection: &mut Connection<'_, Told>) {
        if self.chance.below(100) < self.talk {
            self.take_part(connection);
        }
        if self.chance.below(100) >= self.mischief {
            return;
        }
        match self.chance.below(20) {
            0..8 => {
                let number = self.totals.taken;
                self.send(connection, OwnedMessage::Text(format!("note {number}")));
            }
            8..10 => {
                let byte = u8::try_from(self.totals.taken % 251).unwrap();
                let size = self.chance.below(3000);
                self.send(connection, OwnedMessage::Binary(vec![byte; size]));
            }
            10..12 => {
                let sent = connection.ping(b"from the handler");
                assert!(!matches!(sent, Sent::Misused(_)), "{sent:?}");
            }
            12..14 => connection.set_slow_consumer(policy(&mut self.chance)).unwrap(),
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
            }
            2..4 => self.publish_outside(),
            kind => self.publish(connection, kind < 6),
        }
    }

    fn subscribe(&mut self, connection: &mut Connection<'_, Told>, name: &'static str) {
        let pattern = Pattern::new(name).unwrap();
        let number = connection.state().number.unwrap();
        let is_open = connection.is_open();
        let expected = if is_open { self.topics.subscribe(number, name) } else { Ok(false) };
        assert_eq!(connection.subscribe(pattern), expected);
    }

    /// Publishes for a connection, which has the message as well or has it not.
    fn publish(&mut self, connection: &mut Connection<'_, Told>, to_all: bool) {
        let number = connection.state().number.unwrap();
        let topic = self.chance.of(&TOPICS);
        let message = self.topics.message(&mut self.chance);
        let (post, is_ordered) = self.dress(&message);
        let was_open = connection.is_open();
        let published = match to_all {
            true => connection.publish(topic, post),
            false => connection.publish_to_others(topic, post),
        };
        let is_subscriber = self.topics.subscribers(topic).contains(&number);
        let is_at_once = to_all && !is_ordered && is_subscriber;
        if is_at_once && was_open {
            self.owe(number, message.clone());
            self.ledgers[number].backlogged |= connection.buffered() > self.high;
        }
        let except = (is_at_once || !to_all).then_some(number);
        self.post(&published, Mail::Publish(Publication { topic, message, except }));
    }

    /// Publishes as another thread would, or asks whom that would reach.
    pub(crate) fn publish_outside(&mut self) {
        let Some(handle) = self.handle.clone() else { return };
        let topic = self.chance.of(&TOPICS);
        if self.chance.once_in(8) {
            let asked = handle.count_subscribers(topic, self.topics.counter());
            return self.post(&asked, Mail::Count(topic));
        }
        let message = self.topics.message(&mut self.chance);
        let (post, _) = self.dress(&message);
        let published = handle.publish(topic, post);
        self.post(&published, Mail::Publish(Publication { topic, message, except: None }));
    }

    /// A message as a post, and whether it is one of which the last counts.
    fn dress(&mut self, message: &OwnedMessage) -> (Post, bool) {
        let post = Post::new(message.clone());
        match self.chance.below(6) {
            0 => (post.with_key("key"), true),
            1 => (post.retained(), true),
            _ => (post, false),
        }
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
                ledger.owed.push(match &chunk.part {
                    Message::Text(_) => OwnedMessage::Text(String::from_utf8(bytes).unwrap()),
                    Message::Binary(_) => OwnedMessage::Binary(bytes),
                });
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
    let overflow =
        [Overflow::DropNewest, Overflow::DropOldest, Overflow::DropOldest, Overflow::Close(1013)];
    let age_max = chance.once_in(3).then(|| Duration::from_millis(300));
    let size_max = [400, 2000, usize::MAX];
    SlowConsumer {
        overflow: chance.of(&overflow),
        size_max: chance.of(&size_max),
        age_max,
        ..SlowConsumer::default()
    }
}

impl Handler for Books {
    type State = Told;

    fn upgrade(&mut self, request: &Request<'_>) -> Upgrade<Told> {
        let number = request.path().strip_prefix('/').and_then(|path| path.parse().ok());
        assert!(number.is_some_and(|number: usize| number < self.ledgers.len()));
        self.totals.asked += 1;
        if self.chance.below(100) < self.talk {
            self.publish_outside();
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
        for name in self.joins {
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
