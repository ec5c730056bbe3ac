//! The last value of each topic and key: a snapshot, then updates, across workers.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ringwire::topic::{Pattern, RetainedLimits, Topic};
use ringwire::{Compression, Config, Connection, Handle, Handler, Message, Post, Subscription};
use ringwire_tests::{Client, Frame, TestServer, config, text};

/// Does what the first word of a message says, and answers.
struct Broker;

const SNAPSHOT: Subscription = Subscription { slow_consumer: None, snapshot: true };

impl Handler for Broker {
    type State = ();

    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        let text = message.as_text().unwrap().to_owned();
        let words: Vec<&str> = text.split(' ').collect();
        let answer = match words[..] {
            ["snapshot", pattern] => {
                format!("{:?}", connection.subscribe_with(Pattern::new(pattern).unwrap(), SNAPSHOT))
            }
            ["subscribe", pattern] => {
                format!("{:?}", connection.subscribe(Pattern::new(pattern).unwrap()))
            }
            ["unsubscribe", pattern] => {
                format!("{:?}", connection.unsubscribe(Pattern::new(pattern).unwrap()))
            }
            ["retain", topic, key, value] => {
                format!("{:?}", connection.publish(topic, post(key, value)))
            }
            ["others", topic, key, value] => {
                format!("{:?}", connection.publish_to_others(topic, post(key, value)))
            }
            ["then", topic, key, value] => {
                connection.publish(topic, post(key, value)).unwrap();
                let pattern = Pattern::from(Topic::new(topic).unwrap());
                format!("{:?}", connection.subscribe_with(pattern, SNAPSHOT))
            }
            ["read", topic, key] => {
                format!("{:?}", connection.retained(Topic::new(topic).unwrap(), key))
            }
            ["fragment", pattern] => {
                connection.send_fragment("a fragment", false);
                let subscribed =
                    connection.subscribe_with(Pattern::new(pattern).unwrap(), SNAPSHOT);
                connection.send_fragment(", the last", true);
                format!("{subscribed:?}")
            }
            _ => panic!("{text}"),
        };
        connection.send(&*answer);
    }
}

fn post(key: &str, value: &str) -> Post {
    Post::new(value).with_key(key).retained()
}

fn start(config: Config) -> TestServer {
    TestServer::start(config, |_| Broker)
}

fn ask(client: &mut Client, question: &str, answers: &[&str]) {
    client.write(text(question));
    for answer in answers {
        client.expect(&Frame::text(*answer));
    }
}

fn read(client: &mut Client) -> String {
    String::from_utf8(client.read_frame().unwrap().payload).unwrap()
}

/// Waits until every worker has read its mail: each counts its own behind what came before.
fn settle(handle: &Handle) {
    let (sender, counted) = std::sync::mpsc::channel();
    handle.count_subscribers("settled", move |sum| sender.send(sum).unwrap()).unwrap();
    counted.recv_timeout(ringwire_tests::PATIENCE).unwrap();
}

#[test]
fn the_last_values_come_first_in_order() {
    let server = start(Config { workers: 2, ..config() });
    let handle = server.handle();
    for (topic, key, value) in [
        ("prices.b", "2", "old"),
        ("prices.b", "2", "b 2"),
        ("prices.b", "1", "b 1"),
        ("prices.a", "", "a"),
        ("news.a", "", "news"),
        ("prices.b", "3", "b 3"),
        ("prices.b", "3", ""),
        ("prices.b.c", "", "c"),
    ] {
        handle.publish(topic, post(key, value)).unwrap();
    }
    handle.publish("prices.a", Post::new("not retained").with_key("1")).unwrap();
    settle(&handle);
    let mut clients: Vec<Client> = (0..16).map(|_| server.client()).collect();
    for client in &mut clients {
        ask(client, "read prices.b 2", &["Some(Text(\"b 2\"))"]);
        ask(client, "read prices.b 3", &["None"]);
        ask(client, "snapshot prices.*", &["a", "b 1", "b 2", "Ok(true)"]);
        // It comes once, also where another subscription has brought it.
        ask(client, "snapshot prices.*", &["Ok(false)"]);
        ask(client, "snapshot prices.>", &["c", "Ok(true)"]);
        ask(client, "subscribe news.*", &["Ok(true)"]);
        ask(client, "snapshot other", &["Ok(true)"]);
    }
    handle.publish("prices.b", post("1", "b 1, newer")).unwrap();
    // A post that clears is a message like any other.
    handle.publish("prices.b", post("2", "")).unwrap();
    for client in &mut clients {
        client.expect(&Frame::text("b 1, newer"));
        client.expect(&Frame::text(""));
        // What is left of the two has had all of it.
        ask(client, "unsubscribe prices.*", &["true"]);
        ask(client, "snapshot prices.*", &["Ok(true)"]);
        ask(client, "unsubscribe prices.>", &["true"]);
        ask(client, "unsubscribe prices.*", &["true"]);
        ask(client, "snapshot prices.*", &["a", "b 1, newer", "Ok(true)"]);
    }
}

#[test]
fn what_was_subscribed_without_last_values_does_not_keep_them_back() {
    let server = start(config());
    let handle = server.handle();
    for (topic, value) in [("a.x", "1"), ("a.y", "2"), ("b.x", "3")] {
        handle.publish(topic, post("", value)).unwrap();
    }
    settle(&handle);
    let mut client = server.client();
    ask(&mut client, "subscribe *.x", &["Ok(true)"]);
    handle.publish("b.x", post("", "4")).unwrap();
    client.expect(&Frame::text("4"));
    ask(&mut client, "snapshot a.*", &["1", "2", "Ok(true)"]);
    // Told of an update, it may have missed another value of the same topic.
    ask(&mut client, "snapshot >", &["4", "Ok(true)"]);
    // Subscribed again, it is not new, and neither has nor loses what it has been given.
    ask(&mut client, "snapshot *.x", &["Ok(false)"]);
    ask(&mut client, "subscribe >", &["Ok(false)"]);
    ask(&mut client, "unsubscribe a.*", &["true"]);
    ask(&mut client, "snapshot a.*", &["Ok(true)"]);
    for pattern in ["a.*", ">"] {
        ask(&mut client, &format!("unsubscribe {pattern}"), &["true"]);
    }
    // Only the one without is left.
    ask(&mut client, "snapshot b.*", &["4", "Ok(true)"]);
}

#[test]
fn who_publishes_ends_where_all_others_do() {
    let server = start(config());
    server.handle().publish("a", post("", "old")).unwrap();
    let mut client = server.client();
    // It is no subscriber when it publishes, and one when all have it.
    ask(&mut client, "then a  new", &["old", "Ok(true)", "new"]);
    ask(&mut client, "retain a  newer", &["Ok(())", "newer"]);
    ask(&mut client, "read a ", &["Some(Text(\"newer\"))"]);
    ask(&mut client, "others a  newest", &["Ok(())"]);
    ask(&mut client, "read a ", &["Some(Text(\"newest\"))"]);
}

#[test]
fn two_publishers_leave_one_last_value() {
    const COUNT: usize = 1000;
    let server = start(Config { workers: 2, ..config() });
    let mut clients: Vec<Client> = (0..8).map(|_| server.client()).collect();
    for client in &mut clients {
        ask(client, "snapshot a", &["Ok(true)"]);
    }
    let handle = server.handle();
    let publisher = thread::spawn(move || {
        for number in 0..COUNT {
            handle.publish("a", post("", &format!("thread {number}"))).unwrap();
        }
    });
    // The first connection publishes as well, and answers it gets are no posts.
    for number in 0..COUNT {
        clients[0].write(text(format!("retain a  connection_{number}")));
    }
    let mut received: Vec<Vec<String>> = clients
        .iter_mut()
        .map(|client| {
            let posts = std::iter::repeat_with(|| read(client)).filter(|text| text != "Ok(())");
            posts.take(2 * COUNT).collect()
        })
        .collect();
    publisher.join().unwrap();
    let first = received.pop().unwrap();
    assert!(received.iter().all(|others| *others == first));
    settle(&server.handle());
    for _ in 0..8 {
        ask(&mut server.client(), "snapshot a", &[&*first[2 * COUNT - 1], "Ok(true)"]);
    }
}

/// Subscribes with a snapshot and looks at so many messages: `name key number`.
fn watch(address: SocketAddr, count: usize) {
    let mut client = Client::open(address);
    client.write(text("snapshot numbers.*"));
    let mut last: BTreeMap<String, usize> = BTreeMap::new();
    let mut is_snapshot = true;
    for _ in 0..count {
        let message = read(&mut client);
        if message == "Ok(true)" {
            is_snapshot = false;
            continue;
        }
        let (thing, number) = message.rsplit_once(' ').unwrap();
        let number = number.parse().unwrap();
        match last.insert(thing.to_owned(), number) {
            Some(before) => {
                assert!(!is_snapshot, "{thing} is twice in a snapshot");
                assert_eq!(number, before + 1, "{thing}");
            }
            None => assert!(is_snapshot || number == 0, "{message} is the first"),
        }
    }
}

/// Keys of each publisher.
const KEYS: usize = 7;

/// Publishes while it is to, and says how much that was: keys in turn, each with its own count.
fn count_up(handle: &Handle, name: &str, goes_on: &AtomicBool) -> usize {
    for number in 0.. {
        if !goes_on.load(Ordering::Relaxed) {
            return number;
        }
        let (key, count) = (format!("k{}", number % KEYS), number / KEYS);
        let post = post(&key, &format!("{name} {key} {count}"));
        handle.publish(&format!("numbers.{name}"), post).unwrap();
        if number % 32 == 31 {
            // In bursts, which both threads together send at full speed.
            thread::sleep(Duration::from_millis(1));
        }
    }
    0
}

#[test]
fn between_snapshot_and_updates_is_neither_gap_nor_duplicate() {
    for workers in [1, 2] {
        let mailboxes = Config { mailbox_size: 1 << 20, mailbox_bytes_max: 1 << 30, ..config() };
        let server = start(Config { workers, ..mailboxes });
        let goes_on = AtomicBool::new(true);
        let counts = thread::scope(|scope| {
            let publishers = ["a", "b"].map(|name| {
                let (handle, goes_on) = (server.handle(), &goes_on);
                scope.spawn(move || count_up(&handle, name, goes_on))
            });
            let watchers = [1, 2, 3].map(|length| {
                let address = server.address();
                scope.spawn(move || (0..40).for_each(|_| watch(address, length * 60)))
            });
            // What fails in one of them is told when all have ended.
            let watched = watchers.map(|watcher| watcher.join().is_ok());
            goes_on.store(false, Ordering::Relaxed);
            assert_eq!(watched, [true; 3]);
            publishers.map(|publisher| publisher.join().unwrap())
        });
        settle(&server.handle());
        for _ in 0..6 {
            let mut client = server.client();
            client.write(text("snapshot numbers.>"));
            for (name, count) in ["a", "b"].into_iter().zip(counts) {
                for key in 0..KEYS {
                    let last = (count - 1 - key) / KEYS;
                    assert_eq!(read(&mut client), format!("{name} k{key} {last}"));
                }
            }
            client.expect(&Frame::text("Ok(true)"));
        }
    }
}

#[test]
fn what_is_not_retained_leaves_no_older_value() {
    let retained = RetainedLimits { count_max: 2, size_max: 4096 };
    let server = start(Config { retained, ..config() });
    let handle = server.handle();
    let mut client = server.client();
    ask(&mut client, "subscribe a", &["Ok(true)"]);
    let large = "x".repeat(4000);
    let posts = [("1", "one"), ("2", "two"), ("3", "three"), ("1", &*large), ("3", "third")];
    for (key, value) in posts {
        handle.publish("a", post(key, value)).unwrap();
        // It is delivered in any case.
        client.expect(&Frame::text(value));
    }
    ask(&mut server.client(), "snapshot a", &["two", "third", "Ok(true)"]);
    let stats = server.stats_when(|stats| stats.publications == 5);
    assert_eq!(stats.retained_refused, 2);
}

#[test]
fn a_snapshot_is_sent_whole_or_not_at_all() {
    let marks = Config { outbox_low: 1 << 10, outbox_high: 16 << 10, ..config() };
    let server = start(Config { outbox_size_max: 64 << 10, ..marks });
    let handle = server.handle();
    let publish = |number| handle.publish("a", post(&format!("{number}"), &"x".repeat(1000)));
    for number in 0..50 {
        publish(number).unwrap();
    }
    let large = "x".repeat(1000);
    let mut whole = vec![&*large; 50];
    whole.push("Ok(true)");
    ask(&mut server.client(), "snapshot a", &whole);
    for number in 50..70 {
        publish(number).unwrap();
    }
    let mut client = server.client();
    ask(&mut client, "snapshot a", &["Err(SnapshotTooLarge)"]);
    // It is no subscriber, and may become one.
    ask(&mut client, "unsubscribe a", &["false"]);
    ask(&mut client, "subscribe a", &["Ok(true)"]);
    // A snapshot of nothing fits in any case, but not between fragments.
    ask(&mut client, "snapshot b", &["Ok(true)"]);
    client.write(text("fragment c"));
    assert_eq!(client.read_frame().unwrap().payload, b"a fragment");
    assert_eq!(client.read_frame().unwrap().payload, b", the last");
    client.expect(&Frame::text("Err(MessageUnfinished)"));
    ask(&mut client, "unsubscribe c", &["false"]);
    assert_eq!(server.handle().stats().messages_dropped, 0);
}

#[test]
fn a_snapshot_is_compressed_once_for_all_newcomers() {
    let compression = Some(Compression::shared());
    let server = start(Config { compression, ..config() });
    server.handle().publish("a", post("", &"x".repeat(4000))).unwrap();
    let mut frames = Vec::new();
    for _ in 0..10 {
        let (mut client, accepted) =
            Client::offering(server.address(), &["permessage-deflate; server_no_context_takeover"]);
        assert!(accepted.is_some());
        client.write(text("snapshot a"));
        frames.push(client.read_frame().unwrap());
        client.expect(&Frame::text("Ok(true)"));
    }
    assert!(frames.iter().all(|frame| *frame == frames[0]));
    assert!(frames[0].payload.len() < 400);
    let stats = server.stats_when(|stats| stats.messages_received == 10);
    assert_eq!(stats.messages_compressed, 1);
}
