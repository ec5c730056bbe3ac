//! Publish and subscribe through the running engine, across workers.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::sync::{Arc, OnceLock};
use std::thread;

use ringwire::topic::{Pattern, SubscribeError, Topic, TopicError, TopicLimits};
use ringwire::{Config, Connection, Handle, Handler, Message, Post, PublishError, Sent};
use ringwire_tests::{Client, Frame, TestServer, close, config, text};

/// Does what the first word of a message says, and answers.
#[derive(Default)]
struct Broker {
    handle: Arc<OnceLock<Handle>>,
}

impl Handler for Broker {
    type State = ();

    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        let text = message.as_text().unwrap().to_owned();
        let (verb, rest) = text.split_once(' ').unwrap();
        let answer = match verb {
            "subscribe" => format!("{:?}", connection.subscribe(Pattern::new(rest).unwrap())),
            "unsubscribe" => format!("{:?}", connection.unsubscribe(Pattern::new(rest).unwrap())),
            "publish" => format!("{:?}", connection.publish(rest, text.clone())),
            "others" => format!("{:?}", connection.publish_to_others(rest, text.clone())),
            "both" => {
                // In the order of the calls.
                connection.send("before");
                connection.publish(rest, "published").unwrap();
                format!("{:?}", connection.send("after") == Sent::Queued)
            }
            "keyed" => {
                // With everybody else, so behind what is sent in this turn.
                connection.send("before");
                connection.publish(rest, Post::new("published").with_key("k")).unwrap();
                format!("{:?}", connection.send("after") == Sent::Queued)
            }
            "then" => {
                // Who subscribes in the turn in which it publishes has what comes behind that.
                connection.publish(rest, "published").unwrap();
                connection.publish_to_others(rest, "for others").unwrap();
                let subscribed = connection.subscribe(Pattern::new(rest).unwrap());
                connection.publish(rest, "published as a subscriber").unwrap();
                format!("{subscribed:?}")
            }
            "first" => format!("{:?}", connection.send_fragment(rest, false)),
            "last" => format!("{:?}", connection.send_fragment(rest, true)),
            "handle" => format!("{:?}", self.handle.get().unwrap().publish(rest, text.clone())),
            verb => panic!("{verb}"),
        };
        connection.send(&*answer);
    }
}

fn start(config: Config) -> TestServer {
    let handle: Arc<OnceLock<Handle>> = Arc::default();
    let shared = Arc::clone(&handle);
    let server = TestServer::start(config, move |_| Broker { handle: Arc::clone(&shared) });
    handle.set(server.handle()).unwrap();
    server
}

fn ask(client: &mut Client, question: &str, answer: &str) {
    client.write(text(question));
    client.expect(&Frame::text(answer));
}

#[test]
fn subscribers_of_all_workers_are_reached_once() {
    let server = start(Config { workers: 2, ..config() });
    let mut clients: Vec<Client> = (0..20).map(|_| server.client()).collect();
    for client in &mut clients {
        ask(client, "subscribe prices.*", "Ok(true)");
        ask(client, "subscribe prices.>", "Ok(true)");
        ask(client, "subscribe prices.>", "Ok(false)");
    }
    let mut other = server.client();
    ask(&mut other, "subscribe news.*", "Ok(true)");
    ask(&mut other, "publish prices.DAX", "Ok(())");
    server.handle().publish("prices.MDAX", "from outside").unwrap();
    for client in &mut clients {
        client.expect(&Frame::text("publish prices.DAX"));
        client.expect(&Frame::text("from outside"));
    }
    // A sender is told, and between what it sends itself; or is not.
    let (first, rest) = clients.split_first_mut().unwrap();
    first.write(text("both prices.DAX"));
    for expected in ["before", "published", "after", "true"] {
        first.expect(&Frame::text(expected));
    }
    ask(first, "others prices.DAX", "Ok(())");
    for client in rest {
        client.expect(&Frame::text("published"));
        client.expect(&Frame::text("others prices.DAX"));
    }
    // A pattern that is taken back leaves the other one.
    ask(first, "unsubscribe prices.*", "true");
    ask(first, "unsubscribe prices.*", "false");
    ask(&mut other, "publish prices.DAX", "Ok(())");
    first.expect(&Frame::text("publish prices.DAX"));
    ask(first, "unsubscribe prices.>", "true");
    ask(&mut other, "publish prices.DAX", "Ok(())");
    ask(first, "subscribe news.DAX", "Ok(true)");
}

#[test]
fn what_one_thread_sends_and_publishes_arrives_in_that_order() {
    const COUNT: usize = 3000;
    let server = start(Config { workers: 2, ..config() });
    let mut clients: Vec<Client> = (0..16).map(|_| server.client()).collect();
    for client in &mut clients {
        ask(client, "subscribe order.>", "Ok(true)");
    }
    let threads: Vec<_> = ["a", "b"]
        .into_iter()
        .map(|name| {
            let handle = server.handle();
            thread::spawn(move || {
                for number in 0..COUNT {
                    let message = format!("{name} {number}");
                    handle.publish("order.one", &*message).unwrap();
                }
            })
        })
        .collect();
    for client in &mut clients {
        let mut next = [0; 2];
        for _ in 0..2 * COUNT {
            let frame = client.read_frame().unwrap();
            let message = String::from_utf8(frame.payload).unwrap();
            let (name, number) = message.split_once(' ').unwrap();
            let next = &mut next[usize::from(name == "b")];
            assert_eq!(number.parse::<usize>().unwrap(), *next);
            *next += 1;
        }
        assert_eq!(next, [COUNT; 2]);
    }
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_publisher_has_what_all_have_in_their_order() {
    let server = start(config());
    let (mut client, mut other) = (server.client(), server.client());
    ask(&mut other, "subscribe a", "Ok(true)");
    client.write(text("then a"));
    for expected in ["published as a subscriber", "Ok(true)"] {
        client.expect(&Frame::text(expected));
    }
    for expected in ["published", "for others", "published as a subscriber"] {
        other.expect(&Frame::text(expected));
    }
    client.write(text("keyed a"));
    for expected in ["before", "after", "true", "published"] {
        client.expect(&Frame::text(expected));
    }
    // Nothing comes twice.
    client.write(text("both a"));
    for expected in ["before", "published", "after", "true"] {
        client.expect(&Frame::text(expected));
    }
    ask(&mut client, "subscribe a", "Ok(false)");
}

#[test]
fn who_has_gone_is_not_subscribed() {
    let server = start(config());
    let mut left = server.client();
    ask(&mut left, "subscribe a", "Ok(true)");
    left.write(close(1000, ""));
    left.expect_close(Some(1000));
    let mut reset = server.client();
    ask(&mut reset, "subscribe a", "Ok(true)");
    drop(reset);
    let mut stays = server.client();
    ask(&mut stays, "subscribe a", "Ok(true)");
    for _ in 0..100 {
        ask(&mut stays, "others a", "Ok(())");
    }
    let stats = server.handle().stats();
    assert_eq!(stats.deliveries, 0, "{stats:?}");
}

#[test]
fn what_comes_between_two_fragments_is_counted_as_dropped() {
    let server = start(config());
    let mut client = server.client();
    ask(&mut client, "subscribe a", "Ok(true)");
    // Its answer does not reach the client either.
    client.write(text("first "));
    client.expect(&Frame { first: 0x01, ..Frame::text("") });
    client.write(text("publish a"));
    server.stats_when(|stats| stats.publications == 1);
    server.handle().publish("a", "from outside").unwrap();
    server.stats_when(|stats| stats.publications == 2);
    client.write(text("last the end"));
    client.expect(&Frame { first: 0x80, ..Frame::text("the end") });
    client.expect(&Frame::text("Queued"));
    let stats = server.stats_when(|stats| stats.messages_received == 4);
    assert_eq!((stats.deliveries, stats.messages_dropped), (1, 2), "{stats:?}");
    ask(&mut client, "publish a", "publish a");
    client.expect(&Frame::text("Ok(())"));
}

#[test]
fn what_cannot_be_published_says_why() {
    let topics = TopicLimits { subscriptions_max: 2, ..TopicLimits::default() };
    let server = start(Config { topics, ..config() });
    let handle = server.handle();
    let wrong = TopicError::Wildcard { offset: 2 };
    assert_eq!(handle.publish("a.*", "x"), Err(PublishError::Topic(wrong)));
    let post = |size| Post::new("x").with_key(&"k".repeat(size));
    assert_eq!(handle.publish("a", post(Topic::SIZE_MAX)), Ok(()));
    assert_eq!(handle.publish("a", post(257)), Err(PublishError::KeyTooLong { size: 257 }));
    let mut client = server.client();
    ask(&mut client, "subscribe a", "Ok(true)");
    ask(&mut client, "subscribe b", "Ok(true)");
    let full: Result<bool, SubscribeError> = Err(SubscribeError::TooManySubscriptions);
    ask(&mut client, "subscribe c", &format!("{full:?}"));
    handle.stop_now();
    assert!(server.join().is_ok());
    assert_eq!(handle.publish("a", "x"), Err(PublishError::Workers(vec![0])));
}
