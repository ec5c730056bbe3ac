//! What is counted: every number against what a client did, and the books balanced at any time.

use std::time::{Duration, Instant};

use ringwire::simulation::{Faults, Simulation};
use ringwire::{Compression, Config, Connection, Handler, Message};
use ringwire_tests::{
    Client, FIN, Frame, PATIENCE, PING, REQUEST, TestServer, close, config, is_in_tokio_uring,
    message, ping, pong, text,
};

#[test]
fn what_a_client_does_is_counted() {
    let (server, _events) = TestServer::echo(config());
    let mut client = server.client();
    let mut sent = REQUEST.len();
    let parts: [&[u8]; 3] = [b"one", b"two", b"three"];
    let writes = [text("four"), message(0x2, &parts), ping("?"), pong(""), close(1000, "")];
    for bytes in writes {
        sent += bytes.len();
        client.write(&bytes);
    }
    client.expect(&Frame::text("four"));
    client.expect(&Frame::binary("onetwothree"));
    assert_eq!(client.read_frame().unwrap().payload, b"?");
    client.expect_close(Some(1000));
    let stats = server.stats_when(|stats| stats.ended.total() == 1);
    assert_eq!((stats.accepted, stats.opened, stats.open(), stats.opening()), (1, 1, 0, 0));
    assert_eq!(stats.ended.count(("peer_closed", "")), 1);
    assert_eq!((stats.messages_received, stats.messages_sent), (2, 2));
    assert_eq!((stats.payload_bytes_received, stats.payload_bytes_sent), (15, 15));
    assert_eq!(stats.bytes_received, sent as u64);
    // Two echoes, a pong and a close frame, and the answer to the request before them.
    let frames = (2 + 4) + (2 + 11) + (2 + 1) + (2 + 2);
    assert!(stats.bytes_sent > frames && stats.bytes_sent < frames + 300, "{}", stats.bytes_sent);
    assert_eq!((stats.frames_received, stats.frames_sent), (7, 4));
    assert_eq!((stats.pings_received, stats.pongs_sent), (1, 1));
    assert_eq!((stats.pings_sent, stats.pongs_received), (0, 1));
    assert!(stats.receives >= 1 && stats.sends >= 1 && stats.sends <= 5);
    assert!(stats.turns >= 2 && stats.completions >= 3);
    assert!(stats.enters >= stats.turns || is_in_tokio_uring());
    assert_eq!((stats.messages_dropped, stats.backlogs, stats.accept_pauses), (0, 0, 0));
}

#[test]
fn refusals_and_those_who_say_nothing() {
    let timeout = Duration::from_millis(100);
    let (server, _events) = TestServer::echo(Config { handshake_timeout: timeout, ..config() });
    let mut plain = Client::connect(server.address());
    plain.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(plain.read_answer().status, 426);
    let mut wrong = Client::connect(server.address());
    wrong.write("hello\r\n\r\n");
    assert_eq!(wrong.read_answer().status, 400);
    let mut slow = Client::connect(server.address());
    slow.write("GET");
    assert_eq!(slow.read_answer().status, 408);
    let mut mute = Client::connect(server.address());
    assert_eq!(mute.read_to_end(), []);
    Client::connect(server.address()).end();
    let stats = server.stats_when(|stats| stats.accepted == 5 && stats.opening() == 0);
    let refused = [426, 400, 408].map(|status| stats.refused.count(status));
    assert_eq!((refused, stats.refused.total()), ([1; 3], 3));
    let unanswered = [("time_out", "handshake"), ("gone", "")];
    assert_eq!(unanswered.map(|labels| stats.unanswered.count(labels)), [1; 2]);
    assert_eq!((stats.opened, stats.ended.total(), stats.unanswered.total()), (0, 0, 2));
}

#[test]
fn other_threads_wake_and_time_passes() {
    let interval = Duration::from_millis(50);
    let (server, events) = TestServer::echo(Config { ping_interval: Some(interval), ..config() });
    let mut client = server.client();
    let opened = events.recv_timeout(PATIENCE).unwrap();
    let ringwire_tests::Event::Open(id, _) = opened else { panic!("{opened:?}") };
    assert_eq!(client.read_frame().map(|frame| frame.first), Some(FIN | PING));
    let (mut mails, begun) = (0, Instant::now());
    // Where the worker has not gone to sleep again, it is not woken.
    while server.handle().stats().wakeups == 0 {
        assert!(begun.elapsed() < PATIENCE, "it is never woken");
        server.handle().send(id, "mail").unwrap();
        mails += 1;
        while client.read_frame().unwrap() != Frame::text("mail") {}
        std::thread::sleep(Duration::from_millis(5));
    }
    let stats = server.stats_when(|stats| stats.messages_sent == mails);
    assert!(stats.timers >= 1 && stats.pings_sent >= 1);
    assert_eq!((stats.mails, stats.open()), (mails, 1));
    server.stats_when(|stats| server.handle().stats_by_worker() == [stats.clone()]);
}

#[test]
fn compression_is_counted() {
    let compression = Some(Compression::shared());
    let (server, _events) = TestServer::echo(Config { compression, ..config() });
    let mut client = Client::connect(server.address());
    let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    client.write(format!("{}{offer}", REQUEST.strip_suffix("\r\n").unwrap()));
    assert_eq!(client.read_answer().status, 101);
    client.write(text("x".repeat(5000)));
    let head = client.take(2);
    assert_eq!(head[0], 0xC1, "a compressed text");
    assert_eq!(client.take(usize::from(head[1])).len(), usize::from(head[1]));
    let stats = server.stats_when(|stats| stats.messages_sent == 1);
    assert_eq!((stats.messages_compressed, stats.frames_sent), (1, 1));
    assert_eq!(stats.compression_bytes_before, 5000);
    assert_eq!(stats.compression_bytes_after, u64::from(head[1]));
    assert_eq!((stats.payload_bytes_received, stats.payload_bytes_sent), (5000, 5000));
}

#[test]
fn a_worker_that_sleeps_has_published() {
    struct Echo;
    impl Handler for Echo {
        type State = ();
        fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
            connection.send(&message);
        }
    }
    let config = Config { ping_interval: None, ..Config::default() };
    let mut simulation = Simulation::new(3, config, Faults::MANY, Echo).unwrap();
    let peer = simulation.connect();
    simulation.send(peer, REQUEST.as_bytes());
    simulation.send(peer, &[text("a"), ping("b")].concat());
    // Nothing more can happen to it, but a deadline that is a day away.
    simulation.run(200).unwrap();
    let mut known = simulation.handle().stats();
    assert_eq!((known.opened, known.messages_sent, known.pongs_sent), (1, 1, 1));
    // Only turns that did nothing are not known.
    let all = simulation.stats();
    assert!(known.turns <= all.turns && known.enters <= all.enters);
    (known.turns, known.enters) = (all.turns, all.enters);
    assert_eq!(known, all);
}

#[test]
fn a_server_that_has_ended_has_told_all() {
    let (server, _events) = TestServer::echo(config());
    let mut client = server.client();
    client.write(text("last"));
    client.expect(&Frame::text("last"));
    let handle = server.handle();
    handle.stop_now();
    assert!(server.join().is_ok());
    let stats = handle.stats();
    assert_eq!((stats.opened, stats.open(), stats.messages_sent), (1, 0, 1));
    assert_eq!(stats.ended.count(("stopped", "")), 1);
    let sum: u64 =
        stats.samples().filter(|sample| sample.name == "ended").map(|sample| sample.value).sum();
    assert_eq!(sum, 1);
}
