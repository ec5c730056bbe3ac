//! How many subscribers a topic has, counted across workers.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::sync::mpsc::{self, RecvError};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use ringwire::topic::{Pattern, TopicError};
use ringwire::{Config, Connection, Error, Handle, Handler, Message, PublishError};
use ringwire_tests::{Client, Frame, PATIENCE, TestServer, close, config, text};

/// Subscribes what a message says, or holds its worker up.
struct Member {
    barrier: Arc<Barrier>,
}

impl Handler for Member {
    type State = ();

    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        let text = message.as_text().unwrap().to_owned();
        if text == "wait" {
            // The test knows that the worker is here, and then lets it go.
            self.barrier.wait();
            self.barrier.wait();
        } else {
            connection.subscribe(Pattern::new(&text).unwrap()).unwrap();
        }
        connection.send(&*text);
    }
}

fn start(config: Config) -> (TestServer, Arc<Barrier>) {
    let barrier = Arc::new(Barrier::new(2));
    let shared = Arc::clone(&barrier);
    (TestServer::start(config, move |_| Member { barrier: Arc::clone(&shared) }), barrier)
}

fn subscribe(client: &mut Client, pattern: &str) {
    client.write(text(pattern));
    client.expect(&Frame::text(pattern));
}

fn count(handle: &Handle, topic: &str) -> usize {
    let (sender, sums) = mpsc::channel();
    handle.count_subscribers(topic, move |sum| sender.send(sum).unwrap()).unwrap();
    let sum = sums.recv_timeout(PATIENCE).unwrap();
    assert_eq!(sums.recv(), Err(RecvError), "it is called once");
    sum
}

#[test]
fn each_subscriber_of_all_workers_counts_once() {
    let (server, _) = start(Config { workers: 2, ..config() });
    let handle = server.handle();
    assert_eq!(count(&handle, "room.1"), 0);
    let mut clients: Vec<Client> = (0..24).map(|_| server.client()).collect();
    let patterns: [&[&str]; 4] = [&["room.1"], &["room.*", "room.>"], &[">"], &["room.2"]];
    for (client, patterns) in clients.iter_mut().zip(patterns.into_iter().cycle()) {
        patterns.iter().for_each(|pattern| subscribe(client, pattern));
    }
    let counts = [("room.1", 18), ("room.2", 18), ("room.3", 12), ("room.3.a", 12), ("other", 6)];
    for (topic, expected) in counts {
        assert_eq!(count(&handle, topic), expected, "{topic}");
    }
    // A message reaches as many.
    handle.publish("room.1", "x").unwrap();
    server.stats_when(|stats| stats.publications == 2 && stats.deliveries == 18);
    // Who ends, this way or that, is none any more.
    for mut client in clients.drain(..3) {
        client.write(close(1000, ""));
        client.expect(&Frame::text("x"));
        client.expect_close(Some(1000));
    }
    drop(clients.drain(..5).collect::<Vec<_>>());
    let begun = Instant::now();
    while count(&handle, "room.1") != 12 {
        assert!(begun.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_count_that_is_not_taken_everywhere_says_nothing() {
    let (server, barrier) = start(Config { workers: 2, mailbox_size: 1, ..config() });
    let handle = server.handle();
    let wrong = Err(PublishError::Topic(TopicError::Wildcard { offset: 0 }));
    assert_eq!(handle.count_subscribers("*", |_| ()), wrong);
    let mut client = server.client();
    subscribe(&mut client, "room");
    client.write(text("wait"));
    barrier.wait();
    let (sender, sums) = mpsc::channel();
    let done = move |sum| sender.send(sum).unwrap();
    assert_eq!(handle.count_subscribers("room", done), Ok(()));
    let (sender, refused) = mpsc::channel::<usize>();
    let done = move |sum| sender.send(sum).unwrap();
    let error = handle.count_subscribers("room", done).unwrap_err();
    assert!(matches!(error, PublishError::Workers(_)), "{error:?}");
    barrier.wait();
    assert_eq!(sums.recv_timeout(PATIENCE), Ok(1));
    assert_eq!(refused.recv(), Err(RecvError));
}

#[test]
fn a_count_that_a_worker_s_end_prevents_says_nothing() {
    let (server, barrier) = start(Config { workers: 2, ..config() });
    let handle = server.handle();
    let mut client = server.client();
    subscribe(&mut client, "room");
    client.write(text("wait"));
    barrier.wait();
    let (sender, sums) = mpsc::channel::<usize>();
    handle.count_subscribers("room", move |sum| sender.send(sum).unwrap()).unwrap();
    handle.stop_now();
    barrier.wait();
    // It reads its mail once more, or not.
    assert!(matches!(sums.recv(), Ok(1) | Err(RecvError)));
    assert!(server.join().is_ok());
    let ended = Err(PublishError::Workers(vec![0, 1]));
    assert_eq!(handle.count_subscribers("room", |_| ()), ended);
}

#[test]
fn a_panic_of_the_caller_s_is_one_of_the_handler_s() {
    let (server, _) = start(Config { workers: 2, ..config() });
    let handle = server.handle();
    handle.count_subscribers("room", |_| panic!("as the test wants it")).unwrap();
    assert!(matches!(server.join(), Err(Error::HandlerPanicked)));
}
