//! Snapshots on the seeded ring: whatever is delayed, cut short or told late, what a subscriber has
//! goes on from what it was given first, whichever of its patterns brought it.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::collections::{BTreeMap, BTreeSet};

use ringwire::simulation::{Faults, Peer, Simulation};
use ringwire::topic::{Pattern, Topic};
use ringwire::{Config, Connection, Handler, Message, Post, Subscription};
use ringwire_tests::{REQUEST, text};

/// Subscribes what a message says, with a snapshot, and then answers.
struct Broker;

impl Handler for Broker {
    type State = ();

    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        let pattern = Pattern::new(message.as_text().unwrap()).unwrap();
        let subscription = Subscription { snapshot: true, ..Subscription::default() };
        assert_eq!(connection.subscribe_with(pattern, subscription), Ok(true));
        connection.send(&format!("subscribed {}", pattern.as_str()));
    }
}

const PATTERNS: [&str; 4] = [">", "a.*", "*.x", "a.x"];
const TOPICS: [&str; 3] = ["a.x", "a.y", "b.x"];
const KEYS: [&str; 2] = ["", "1"];

/// A topic and a key.
type Thing = (String, String);

/// What has been published.
#[derive(Default)]
struct Published {
    /// The last number of each thing.
    last: BTreeMap<Thing, usize>,
    /// Those that have a value.
    retained: BTreeSet<Thing>,
    /// Numbers that followed nothing that was retained.
    firsts: BTreeSet<(Thing, usize)>,
}

impl Published {
    /// The next number of a thing, or nothing, which clears it.
    fn post(&mut self, thing: &Thing, clears: bool) -> Post {
        let (topic, key) = thing;
        if clears {
            self.retained.remove(thing);
            return Post::new("").with_key(key).retained();
        }
        let number = self.last.get(thing).map_or(0, |last| last + 1);
        self.last.insert(thing.clone(), number);
        if self.retained.insert(thing.clone()) {
            self.firsts.insert((thing.clone(), number));
        }
        Post::new(format!("{topic} {key} {number}")).with_key(key).retained()
    }

    /// Looks at all that one subscriber of these patterns, one after another, has had.
    fn check(&self, patterns: &[&str], messages: &[String]) {
        let answers: Vec<(usize, Pattern<'_>)> = patterns
            .iter()
            .map(|pattern| {
                let answer = format!("subscribed {pattern}");
                let at = messages.iter().position(|message| *message == answer).unwrap();
                (at, Pattern::new(pattern).unwrap())
            })
            .collect();
        // What a thing begins with comes before the answer to the first that matches it.
        let answer = |thing: &Thing| {
            let topic = Topic::new(&thing.0).unwrap();
            answers.iter().find(|(_, pattern)| pattern.matches(topic)).map(|(at, _)| *at)
        };
        let mut seen: BTreeMap<Thing, usize> = BTreeMap::new();
        for (index, message) in messages.iter().enumerate() {
            let words: Vec<&str> = message.split(' ').collect();
            let [topic, key, number] = words[..] else { continue };
            let thing = (topic.to_owned(), key.to_owned());
            let number = number.parse().unwrap();
            if index < answers[0].0 {
                let last = seen.last_key_value();
                assert!(last.is_none_or(|(last, _)| *last < thing), "in order, and once");
            }
            match seen.insert(thing.clone(), number) {
                Some(before) => assert_eq!(number, before + 1, "{thing:?}"),
                None if Some(index) < answer(&thing) => {}
                None => assert!(self.firsts.contains(&(thing, number)), "a gap at {message}"),
            }
        }
        let matching = |thing: &&Thing| answer(thing).is_some();
        for thing in self.retained.iter().filter(matching) {
            assert_eq!(seen.get(thing), self.last.get(thing), "{thing:?} is not the newest");
        }
        for (thing, number) in seen {
            assert_eq!(self.last.get(&thing), Some(&number), "{thing:?} ends early");
        }
    }
}

/// The messages of a server, which are short.
fn messages(received: &[u8]) -> Vec<String> {
    let head = received.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    let (mut rest, mut messages) = (&received[head..], Vec::new());
    while let [first, size, tail @ ..] = rest {
        assert_eq!(*first, 0x81, "a text");
        let (message, behind) = tail.split_at(usize::from(*size));
        messages.push(String::from_utf8(message.to_vec()).unwrap());
        rest = behind;
    }
    messages
}

fn run(seed: u64) -> usize {
    // Shown where the run fails.
    eprintln!("seed {seed}");
    let config = Config { ping_interval: None, ..Config::default() };
    let mut simulation = Simulation::new(seed, config, Faults::HARMLESS, Broker).unwrap();
    let handle = simulation.handle();
    let (mut published, mut peers) = (Published::default(), Vec::<(Peer, Vec<&str>)>::new());
    for _ in 0..300 {
        match simulation.choose(12) {
            0 if peers.len() < 12 => {
                let peer = simulation.connect();
                let pattern = PATTERNS[simulation.choose(PATTERNS.len())];
                simulation.send(peer, REQUEST.as_bytes());
                simulation.send(peer, text(pattern).as_ref());
                peers.push((peer, vec![pattern]));
            }
            1 if !peers.is_empty() => {
                let chosen = simulation.choose(peers.len());
                let pattern = PATTERNS[simulation.choose(PATTERNS.len())];
                let (peer, patterns) = &mut peers[chosen];
                if !patterns.contains(&pattern) {
                    simulation.send(*peer, text(pattern).as_ref());
                    patterns.push(pattern);
                }
            }
            1..7 => {
                let topic = TOPICS[simulation.choose(TOPICS.len())];
                let key = KEYS[simulation.choose(KEYS.len())];
                let clears = simulation.choose(8) == 0;
                let post = published.post(&(topic.to_owned(), key.to_owned()), clears);
                handle.publish(topic, post).unwrap();
            }
            _ => assert!(simulation.turn().unwrap()),
        }
    }
    simulation.run(500).unwrap();
    for (peer, patterns) in &peers {
        published.check(patterns, &messages(&simulation.received(*peer)));
    }
    assert_eq!(simulation.stats().retained_refused, 0);
    peers.len()
}

#[test]
fn updates_go_on_from_the_snapshot() {
    let subscribers: usize = (0..100).map(run).sum();
    assert!(subscribers > 500, "{subscribers} are too few");
}
