//! Who has subscribed what, as a table that is searched line by line, and the mail that has been
//! taken and not read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use ringwire::topic::{SubscribeError, TopicLimits};
use ringwire::{Config, OwnedMessage};

use crate::chance::Chance;

/// What is published to. Some of it is matched by several patterns, and some by none.
pub(crate) const TOPICS: [&str; 7] = ["a", "b", "a.b", "a.c", "b.b", "a.b.c", "c.d.e.f"];

/// What is subscribed.
pub(crate) const PATTERNS: [&str; 11] =
    ["a", "a.b", "a.c", "a.*", "*.b", "*", "*.*", ">", "a.>", "a.b.c", "*.*.>"];

/// The table, by the numbers of the clients.
pub(crate) struct Topics {
    limits: TopicLimits,
    subscribed: BTreeMap<usize, BTreeSet<&'static str>>,
    /// In the order in which it was taken.
    mail: Vec<Mail>,
    /// How many mails may be taken until they are read.
    mail_max: usize,
    /// Whether the bytes of mail never matter.
    has_room: bool,
    /// What the next message says.
    number: usize,
    /// How many subscribers a topic has, as often as that was asked, and what was answered.
    expected: Vec<usize>,
    counted: Arc<Mutex<Vec<usize>>>,
    pub(crate) counts: Counts,
}

/// What the statistics must say as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) publications: u64,
    pub(crate) deliveries: u64,
    pub(crate) mails: u64,
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
}

/// A message for whoever has subscribed its topic when it is read.
pub(crate) struct Publication {
    pub(crate) topic: &'static str,
    pub(crate) message: OwnedMessage,
    pub(crate) except: Option<usize>,
}

impl Topics {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            limits: config.topics,
            subscribed: BTreeMap::new(),
            mail: Vec::new(),
            mail_max: config.mailbox_size,
            has_room: config.mailbox_bytes_max == Config::default().mailbox_bytes_max,
            number: 0,
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

    /// What the engine must say to a subscription of a connection that is open.
    pub(crate) fn subscribe(
        &mut self,
        client: usize,
        pattern: &'static str,
    ) -> Result<bool, SubscribeError> {
        let is_known = self.subscribed.values().any(|own| own.contains(pattern));
        let patterns = self.pattern_count();
        let own = self.subscribed.entry(client).or_default();
        if own.contains(pattern) {
            return Ok(false);
        }
        if own.len() >= self.limits.subscriptions_max {
            return Err(SubscribeError::TooManySubscriptions);
        }
        if !is_known && patterns >= self.limits.patterns_max {
            return Err(SubscribeError::TooManyPatterns);
        }
        Ok(own.insert(pattern))
    }

    /// What it must say when one is taken back.
    pub(crate) fn unsubscribe(&mut self, client: usize, pattern: &str) -> bool {
        self.subscribed.get_mut(&client).is_some_and(|own| own.remove(pattern))
    }

    /// A connection has ended.
    pub(crate) fn end(&mut self, client: usize) {
        self.subscribed.remove(&client);
    }

    /// Different patterns that are subscribed.
    pub(crate) fn pattern_count(&self) -> usize {
        self.subscribed.values().flatten().collect::<BTreeSet<_>>().len()
    }

    /// Whom a message to this topic reaches.
    pub(crate) fn subscribers(&self, topic: &str) -> Vec<usize> {
        let found: BTreeSet<&str> =
            self.subscribed.values().flatten().copied().filter(|it| matches(it, topic)).collect();
        if found.len() > self.limits.matches_max {
            return Vec::new();
        }
        let subscribed = self.subscribed.iter();
        subscribed.filter(|(_, own)| !own.is_disjoint(&found)).map(|(client, _)| *client).collect()
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
    pub(crate) fn read(&mut self) -> Vec<(usize, OwnedMessage)> {
        let mut sent = Vec::new();
        for mail in std::mem::take(&mut self.mail) {
            self.counts.mails += 1;
            match mail {
                Mail::Publish(Publication { topic, message, except }) => {
                    self.counts.publications += 1;
                    for client in self.subscribers(topic) {
                        if Some(client) != except {
                            self.counts.deliveries += 1;
                            sent.push((client, message.clone()));
                        }
                    }
                }
                Mail::Send(clients, message) => {
                    sent.extend(clients.into_iter().map(|client| (client, message.clone())));
                }
                Mail::Count(topic) => self.expected.push(self.subscribers(topic).len()),
                Mail::Other => {}
            }
        }
        sent
    }
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
