//! Subscribers that do not keep up, over real sockets: beside one that does.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use ringwire::topic::Pattern;
use ringwire::{
    Config, Connection, GapNotice, Handle, Handler, Message, Overflow, Post, PublishError,
    SlowConsumer, Subscription,
};
use ringwire_tests::{Client, Frame, TestServer, config, text};

/// Bytes of a message, so that a few hundred are more than the kernel takes.
const SIZE: usize = 64 << 10;

const KEYS: [&str; 4] = ["DAX", "MDAX", "CAC", "AEX"];

/// More than the buffers of two sockets hold.
const ROUNDS: usize = 100;

/// Subscribes all prices by the policy of this name.
struct Feed;

impl Handler for Feed {
    type State = ();

    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        let gap_notice = GapNotice::new(|gap| {
            let topic = gap.topic.map_or("several", |topic| topic.as_str());
            Some(format!("gap {topic} {} {}", gap.messages, gap.bytes).into())
        });
        let size_max = 8 * SIZE;
        let oldest = SlowConsumer {
            overflow: Overflow::DropOldest,
            size_max,
            gap_notice: Some(gap_notice),
            ..SlowConsumer::default()
        };
        let slow_consumer = match message.as_text().unwrap() {
            "conflate" => SlowConsumer { overflow: Overflow::Conflate, ..oldest },
            "oldest" => oldest,
            "close" => SlowConsumer { overflow: Overflow::Close(1013), ..oldest },
            _ => SlowConsumer { size_max: 64 << 20, ..SlowConsumer::default() },
        };
        for (pattern, slow_consumer) in [("prices.*", Some(slow_consumer)), ("end", None)] {
            let subscription = Subscription { slow_consumer, ..Subscription::default() };
            connection.subscribe_with(Pattern::new(pattern).unwrap(), subscription).unwrap();
        }
        connection.send("subscribed");
    }
}

fn subscribe(server: &TestServer, policy: &str) -> Client {
    let mut client = server.client();
    client.write(text(policy));
    client.expect(&Frame::text("subscribed"));
    client
}

/// Publishes what the mailboxes take sooner or later.
fn publish(handle: &Handle, topic: &str, post: &Post) {
    loop {
        match handle.publish(topic, post.clone()) {
            Ok(()) => return,
            Err(PublishError::Workers(_)) => thread::sleep(Duration::from_millis(1)),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Publishes the prices of all rounds, each with its number.
fn publish_all(handle: &Handle) {
    for round in 0..ROUNDS {
        for key in KEYS {
            let message = format!("{key} {round} {}", "x".repeat(SIZE));
            publish(handle, "prices.all", &Post::new(message).with_key(key));
        }
    }
    publish(handle, "end", &Post::new("end"));
}

/// The words of all messages up to the last one.
fn read(client: &mut Client) -> Vec<Vec<String>> {
    let mut seen = Vec::new();
    loop {
        let frame = client.read_frame().expect("the end comes");
        let message = String::from_utf8(frame.payload).unwrap();
        if message == "end" {
            return seen;
        }
        seen.push(message.split(' ').take(3).map(str::to_owned).collect());
    }
}

/// What was seen of each key.
fn rounds(seen: &[Vec<String>]) -> BTreeMap<&str, Vec<usize>> {
    let mut rounds = BTreeMap::<_, Vec<_>>::new();
    for words in seen.iter().filter(|words| words[0] != "gap") {
        rounds.entry(&*words[0]).or_default().push(words[1].parse().unwrap());
    }
    rounds
}

#[test]
fn each_lags_as_its_policy_says_and_nobody_else_notices() {
    let config = Config { workers: 2, outbox_size_max: 64 << 20, ..config() };
    let server = TestServer::start(config, |_| Feed);
    let mut clients = ["conflate", "oldest", "close", "all"].map(|it| subscribe(&server, it));
    let mut quick = clients[3].share();
    let reader = thread::spawn(move || read(&mut quick).len());
    publish_all(&server.handle());
    assert_eq!(reader.join().unwrap(), ROUNDS * KEYS.len());
    let [conflated, oldest, closed, _] = &mut clients;

    let seen = read(conflated);
    let rounds_conflated = rounds(&seen);
    assert_eq!(rounds_conflated.len(), KEYS.len());
    for (key, rounds) in rounds_conflated {
        assert!(rounds.is_sorted() && rounds.len() < ROUNDS, "{key}: {rounds:?}");
        assert_eq!(rounds.last(), Some(&(ROUNDS - 1)), "{key}");
    }

    // Each message, or told of where it is missing.
    let (mut next, mut missing) = (0, 0_u64);
    for words in read(oldest) {
        if words[0] == "gap" {
            assert_eq!(words[1], "prices.all");
            let count = words[2].parse::<usize>().unwrap();
            (next, missing) = (next + count, missing + count as u64);
        } else {
            assert_eq!(words[..2], [KEYS[next % KEYS.len()], &(next / KEYS.len()).to_string()]);
            next += 1;
        }
    }
    assert_eq!(next, ROUNDS * KEYS.len());
    assert!(missing > 0, "the buffers of the sockets held all of it");

    let code = 1013_u16.to_be_bytes();
    while !closed.read_frame().expect("a close frame comes").payload.starts_with(&code) {}
    let stats = server.stats_when(|stats| {
        stats.messages_conflated > 0 && stats.gaps_told > 0 && stats.messages_dropped > missing
    });
    assert!(stats.bytes_dropped >= stats.messages_dropped * SIZE as u64);
}
