//! Who has subscribed what and how, as a table that is searched line by line, the last values, and
//! the mail that has been taken and not read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use ringwire::topic::{SubscribeError, TopicLimits};
use ringwire::{Config, OwnedMessage, SlowConsumer};

use crate::chance::Chance;

/// A topic and a key.
pub(crate) type Name = (&'static str, &'static str);

/// What is published to. Some of it is matched by several patterns, and some by none.
pub(crate) const TOPICS: [&str; 7] = ["a", "b", "a.b", "a.c", "b.b", "a.b.c", "c.d.e.f"];

/// What is subscribed.
pub(crate) const PATTERNS: [&str; 11] =
    ["a", "a.b", "a.c", "a.*", "*.b", "*", "*.*", ">", "a.>", "a.b.c", "*.*.>"];

/// What is published of within a topic.
pub(crate) const KEYS: [&str; 4] = ["", "", "k", "l"];

/// The table, by the numbers of the clients.
pub(crate) struct Topics {
    limits: TopicLimits,
    subscribed: BTreeMap<usize, BTreeMap<&'static str, How>>,
    /// The last values.
    retained: BTreeMap<Name, OwnedMessage>,
    retained_max: usize,
    /// In the order in which it was taken.
    mail: Vec<Mail>,
    /// How many mails may be taken until they are read.
    mail_max: usize,
    /// Whether the bytes of mail never matter.
    has_room: bool,
    /// What the next message says.
    number: usize,
    /// How many have been cleared. Each is cleared by a message that no other resembles.
    cleared: usize,
    /// How many subscribers a topic has, as often as that was asked, and what was answered.
    expected: Vec<usize>,
    counted: Arc<Mutex<Vec<usize>>>,
    pub(crate) counts: Counts,
}

/// How something is subscribed.
struct How {
    policy: Option<SlowConsumer>,
    /// Whether it has begun with the last values.
    has_last_values: bool,
}

/// What the statistics must say as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) publications: u64,
    pub(crate) deliveries: u64,
    pub(crate) mails: u64,
    pub(crate) retained_refused: u64,
}

/// What a worker has been asked.
pub(crate) enum Mail {
    Publish(Publication),
    /// A message for these clients.
    Send(Vec<usize>, OwnedMessage),
    /// Whom a message to this topic would reach.
    Count(&'static str),
    /// What sends nothing.
    Other,
    /// A connection that comes or is to go, of whose handler something may be heard.
    HandOver,
}

/// A message for whoever has subscribed its topic when it is read.
pub(crate) struct Publication {
    pub(crate) name: Name,
    pub(crate) message: OwnedMessage,
    pub(crate) is_retained: bool,
    pub(crate) except: Option<usize>,
}

impl Topics {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            limits: config.topics,
            subscribed: BTreeMap::new(),
            retained: BTreeMap::new(),
            retained_max: config.retained.count_max,
            mail: Vec::new(),
            mail_max: config.mailbox_size,
            has_room: config.mailbox_bytes_max == Config::default().mailbox_bytes_max,
            number: 0,
            cleared: 0,
            expected: Vec::new(),
            counted: Arc::default(),
            counts: Counts::default(),
        }
    }

    /// A message that no other resembles.
    pub(crate) fn message(&mut self, chance: &mut Chance) -> OwnedMessage {
        let size = chance.of(&[0, 0, 10, 100, 2000]);
        self.number += 1;
        let text = format!("topic {} {}", self.number, "é€ x".repeat(size / 7));
        if chance.once_in(2) { text.into() } else { text.into_bytes().into() }
    }

    /// A message that clears a last value, as long as there is one that no other resembles.
    pub(crate) fn empty(&mut self) -> Option<OwnedMessage> {
        let empty = [String::new().into(), Vec::new().into()].into_iter().nth(self.cleared);
        self.cleared += 1;
        empty
    }

    /// What the engine must say to a subscription of a connection that is open, unless it lacks the
    /// room for a snapshot.
    pub(crate) fn subscribe(
        &mut self,
        client: usize,
        pattern: &'static str,
        policy: Option<SlowConsumer>,
    ) -> Result<bool, SubscribeError> {
        let is_known = self.subscribed.values().any(|own| own.contains_key(pattern));
        let patterns = self.pattern_count();
        let own = self.subscribed.entry(client).or_default();
        if let Some(known) = own.get_mut(pattern) {
            known.policy = policy;
            return Ok(false);
        }
        if own.len() >= self.limits.subscriptions_max {
            return Err(SubscribeError::TooManySubscriptions);
        }
        if !is_known && patterns >= self.limits.patterns_max {
            return Err(SubscribeError::TooManyPatterns);
        }
        own.insert(pattern, How { policy, has_last_values: false });
        Ok(true)
    }

    /// What it must say when one is taken back.
    pub(crate) fn unsubscribe(&mut self, client: usize, pattern: &str) -> bool {
        self.subscribed.get_mut(&client).is_some_and(|own| own.remove(pattern).is_some())
    }

    /// A connection has ended.
    pub(crate) fn end(&mut self, client: usize) {
        self.subscribed.remove(&client);
    }

    /// Different patterns that are subscribed.
    pub(crate) fn pattern_count(&self) -> usize {
        self.subscribed.values().flat_map(BTreeMap::keys).collect::<BTreeSet<_>>().len()
    }

    /// The patterns that bring somebody this topic; none where they are too many.
    fn found(&self, topic: &str) -> BTreeSet<&'static str> {
        let subscribed = self.subscribed.values().flat_map(BTreeMap::keys);
        let found: BTreeSet<_> = subscribed.copied().filter(|it| matches(it, topic)).collect();
        if found.len() > self.limits.matches_max { BTreeSet::new() } else { found }
    }

    /// Whom a message to this topic reaches.
    pub(crate) fn subscribers(&self, topic: &str) -> Vec<usize> {
        let found = self.found(topic);
        let subscribed = self.subscribed.iter();
        let reached = subscribed.filter(|(_, own)| own.keys().any(|it| found.contains(it)));
        reached.map(|(client, _)| *client).collect()
    }

    /// The policy of the subscription that brings a client this topic: of the most special one.
    pub(crate) fn policy(&self, client: usize, topic: &str) -> Option<SlowConsumer> {
        let own = self.subscribed.get(&client).into_iter().flatten();
        let matching = own.filter(|(pattern, _)| matches(pattern, topic));
        matching.min_by_key(|(pattern, _)| specialty(pattern)).and_then(|(_, how)| how.policy)
    }

    /// The last value of a topic and key.
    pub(crate) fn last_value(&self, name: Name) -> Option<&OwnedMessage> {
        self.retained.get(&name)
    }

    /// The last values that match and that the client was not given for another pattern, in the
    /// order in which a snapshot has them.
    pub(crate) fn snapshot(&self, client: usize, pattern: &str) -> Vec<OwnedMessage> {
        let values = self.retained.iter().filter(|((topic, _), _)| {
            matches(pattern, topic) && !self.has_last_values(client, topic)
        });
        values.map(|(_, value)| value.clone()).collect()
    }

    /// A client has been sent the last values of a pattern.
    pub(crate) fn note_snapshot(&mut self, client: usize, pattern: &str) {
        let own = self.subscribed.get_mut(&client).unwrap();
        own.get_mut(pattern).unwrap().has_last_values = true;
    }

    fn has_last_values(&self, client: usize, topic: &str) -> bool {
        let (found, own) = (self.found(topic), &self.subscribed[&client]);
        own.iter().any(|(pattern, how)| how.has_last_values && found.contains(pattern))
    }

    /// A post is the last value from now on, unless there are too many.
    fn retain(&mut self, name: Name, message: &OwnedMessage) {
        self.retained.remove(&name);
        if message.payload().as_bytes().is_empty() {
            return;
        }
        if self.retained.len() < self.retained_max {
            self.retained.insert(name, message.clone());
        } else {
            self.counts.retained_refused += 1;
        }
    }

    /// Mail has been taken, or not.
    pub(crate) fn post(&mut self, is_taken: bool, mail: Mail) {
        let is_full = self.mail.len() >= self.mail_max;
        if is_taken {
            assert!(!is_full, "the mailbox takes more than it may");
            self.mail.push(mail);
        } else {
            assert!(is_full || !self.has_room, "the mailbox is not full");
        }
    }

    /// Whether somebody comes or goes by the mail that has not been read.
    pub(crate) fn hands_over(&self) -> bool {
        self.mail.iter().any(|mail| matches!(mail, Mail::HandOver))
    }

    /// Takes note of an answer.
    pub(crate) fn counter(&self) -> impl FnOnce(usize) + Send + 'static {
        let counted = Arc::clone(&self.counted);
        move |count| counted.lock().unwrap().push(count)
    }

    /// The mail has been carried out.
    pub(crate) fn check(&self) {
        assert_eq!(*self.counted.lock().unwrap(), self.expected, "subscribers are counted wrong");
    }

    /// Whether no mail waits.
    pub(crate) fn is_read(&self) -> bool {
        self.mail.is_empty()
    }

    /// The mail is read, and these are the messages that come of it, each with its client, in the
    /// order in which they are sent.
    pub(crate) fn read(&mut self) -> Vec<(usize, OwnedMessage, Option<Name>)> {
        let mut sent = Vec::new();
        for mail in std::mem::take(&mut self.mail) {
            self.counts.mails += 1;
            match mail {
                Mail::Publish(Publication { name, message, is_retained, except }) => {
                    self.counts.publications += 1;
                    for client in self.subscribers(name.0) {
                        if Some(client) != except {
                            self.counts.deliveries += 1;
                            sent.push((client, message.clone(), Some(name)));
                        }
                    }
                    if is_retained {
                        self.retain(name, &message);
                    }
                }
                Mail::Send(clients, message) => {
                    sent.extend(clients.into_iter().map(|client| (client, message.clone(), None)));
                }
                Mail::Count(topic) => self.expected.push(self.subscribers(topic).len()),
                Mail::Other | Mail::HandOver => {}
            }
        }
        sent
    }
}

/// What is smaller is more special: token by token, one that is named before `*` before `>`.
fn specialty(pattern: &str) -> Vec<u8> {
    let rank = |token| match token {
        ">" => 2,
        "*" => 1,
        _ => 0,
    };
    pattern.split('.').map(rank).collect()
}

/// Whether a pattern means this topic: token by token.
fn matches(pattern: &str, topic: &str) -> bool {
    let mut topic = topic.split('.');
    for token in pattern.split('.') {
        match (token, topic.next()) {
            (">", rest) => return rest.is_some(),
            ("*", Some(_)) => {}
            (token, Some(other)) if token == other => {}
            _ => return false,
        }
    }
    topic.next().is_none()
}
