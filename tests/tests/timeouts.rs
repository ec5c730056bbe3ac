//! What time does to a connection: pings, and peers that are mute, idle or do not read.

use std::time::{Duration, Instant};

use ringwire::{Config, TimeOut};
use ringwire_tests::{
    End, Event, FIN, Frame, PING, TestServer, binary, close, config, ended, pong, text,
};

const SHORT: Duration = Duration::from_millis(100);
/// Where the client must be in time as well, on a machine that stands still for a moment.
const LONG: Duration = Duration::from_millis(500);

fn abnormal() -> Event {
    Event::Close { code: 1006, reason: String::new(), clean: false }
}

fn pinging(time: Duration) -> Config {
    Config { ping_interval: Some(time), pong_timeout: time, ..config() }
}

#[test]
fn a_mute_peer_is_pinged_and_dropped() {
    let (server, events) = TestServer::echo(pinging(SHORT));
    let begun = Instant::now();
    let mut client = server.client();
    assert_eq!(client.read_frame().expect("a ping").first, FIN | PING);
    assert!(begun.elapsed() >= SHORT);
    assert_eq!(client.read_frames(), []);
    assert!(begun.elapsed() >= 2 * SHORT);
    assert_eq!(ended(&events), [Event::Error(End::TimeOut(TimeOut::Pong)), abnormal()]);
}

#[test]
fn a_peer_that_answers_pings_stays() {
    let (server, events) = TestServer::echo(pinging(LONG));
    let mut client = server.client();
    for _ in 0..5 {
        //= RFC 6455 5.5.2: A Ping frame may serve either as a keepalive or as a means to verify
        //= that the remote endpoint is still responsive.
        let frame = client.read_frame().expect("a ping");
        assert_eq!(frame.first, FIN | PING);
        client.write(pong(&frame.payload));
    }
    // Anything else is a sign of life as well.
    assert_eq!(client.read_frame().expect("a ping").first, FIN | PING);
    client.write(text("here"));
    client.expect(&Frame::text("here"));
    assert_eq!(client.read_frame().expect("a ping").first, FIN | PING);
    client.write(close(1000, ""));
    client.expect_close(Some(1000));
    assert!(ended(&events).iter().all(|event| !matches!(event, Event::Error(_))));
}

#[test]
fn the_next_ping_does_not_wait_until_the_last_pong_was_due() {
    // The other time-outs of these tests never come.
    let (server, _events) = TestServer::echo(Config { ping_interval: Some(SHORT), ..config() });
    let mut client = server.client();
    for _ in 0..3 {
        let frame = client.read_frame().expect("a ping");
        client.write(pong(&frame.payload));
    }
}

#[test]
fn a_busy_peer_is_not_pinged() {
    let (server, _events) = TestServer::echo(pinging(LONG));
    let mut client = server.client();
    let begun = Instant::now();
    while begun.elapsed() < 3 * LONG {
        client.write(text("busy"));
        client.expect(&Frame::text("busy"));
        std::thread::sleep(LONG / 20);
    }
}

#[test]
fn an_idle_connection_is_closed() {
    let config = Config { idle_timeout: Some(LONG), ..config() };
    let (server, events) = TestServer::echo(config);
    let mut client = server.client();
    let mut last = Instant::now();
    // Each message puts it off; pongs are no messages.
    for _ in 0..8 {
        std::thread::sleep(LONG / 5);
        last = Instant::now();
        client.write(text("not idle"));
        client.expect(&Frame::text("not idle"));
    }
    client.write(pong("idle"));
    let frame = client.read_frame().expect("a close frame");
    assert_eq!(frame.close_code(), Some(1001));
    assert!(last.elapsed() >= LONG);
    client.write(close(1001, ""));
    assert_eq!(client.read_frame(), None);
    let end = ended(&events).pop();
    assert_eq!(end, Some(Event::Close { code: 1001, reason: String::new(), clean: true }));
}

#[test]
fn a_peer_that_reads_nothing_is_dropped() {
    let config = Config {
        send_timeout: SHORT,
        outbox_high: 64 << 10,
        outbox_low: 32 << 10,
        outbox_size_max: 1 << 20,
        ..config()
    };
    let (server, events) = TestServer::echo(config);
    let mut client = server.client();
    // More than both kernels' buffers hold; the server reads no more of it than it can answer.
    let message = binary(vec![7; 60_000]);
    let writer = std::thread::spawn(move || {
        for _ in 0..1000 {
            client.write(&message);
        }
        client
    });
    let mut told = ended(&events);
    told.retain(|event| !matches!(event, Event::Message(_) | Event::Drain));
    assert_eq!(told, [Event::Error(End::TimeOut(TimeOut::Send)), abnormal()]);
    drop(writer.join());
}

#[test]
fn a_peer_that_reads_late_loses_nothing() {
    let config = Config {
        // What one turn may read is less than what lies between the high mark and the maximum.
        buffers: 8,
        outbox_high: 64 << 10,
        outbox_low: 32 << 10,
        outbox_size_max: 1 << 20,
        ..config()
    };
    let (server, events) = TestServer::echo(config);
    let mut reader = server.client();
    let writer = reader.share();
    let messages = 400;
    let message = binary(vec![7; 60_000]);
    let body = move || {
        let mut writer = writer;
        for _ in 0..messages {
            writer.write(&message);
        }
    };
    let thread = std::thread::spawn(body);
    server.stats_when(|stats| stats.backlogs > 0);
    for _ in 0..messages {
        reader.expect(&Frame::binary(vec![7; 60_000]));
    }
    thread.join().expect("the writer does not panic");
    reader.write(close(1000, ""));
    reader.expect_close(Some(1000));
    let told = ended(&events);
    assert!(told.contains(&Event::Drain), "a backlog is followed by a drain");
}

#[test]
fn a_peer_that_never_ends_its_side_is_left() {
    let (server, _events) = TestServer::echo(Config { linger_timeout: SHORT, ..config() });
    let mut client = server.client();
    let begun = Instant::now();
    client.write(close(1000, ""));
    client.expect_close(Some(1000));
    // It goes on writing, until the kernel of a server that has left resets the connection.
    while client.is_taken(&text("on and on")) {
        assert!(begun.elapsed() < 50 * SHORT, "the server lingers for ever");
        std::thread::sleep(SHORT / 10);
    }
    assert!(begun.elapsed() >= SHORT);
}

#[test]
fn a_slow_reader_gets_all_of_a_large_message() {
    // More than the kernel's buffers hold.
    const SIZE: usize = 16 << 20;
    let send_timeout = Duration::from_millis(400);
    let close_timeout = Duration::from_millis(400);
    let (server, _events) = TestServer::echo(Config { send_timeout, close_timeout, ..config() });
    let mut client = server.client();
    client.write(binary(vec![7; SIZE]));
    // Reads all the time, but for longer than any of the time-outs.
    let begin = Instant::now();
    let mut left = SIZE + 10;
    while left > 0 {
        let size = left.min(SIZE / 16);
        assert_eq!(client.take(size).len(), size);
        left -= size;
        std::thread::sleep(send_timeout / 8);
    }
    assert!(begin.elapsed() > send_timeout);
    client.write(text("still there"));
    client.expect(&Frame::text("still there"));
}

#[test]
fn who_sends_a_large_message_is_not_idle() {
    let (server, events) = TestServer::echo(Config { idle_timeout: Some(LONG), ..config() });
    let mut client = server.client();
    let frame = text("x".repeat(100));
    for piece in frame.chunks(10) {
        client.write(piece);
        std::thread::sleep(LONG / 5);
    }
    client.expect(&Frame::text("x".repeat(100)));
    // Who stops in the middle of one is.
    let begun = Instant::now();
    client.write(&frame[..50]);
    assert_eq!(client.read_frame().expect("a close").close_code(), Some(1001));
    assert!(begun.elapsed() >= LONG);
    drop(client);
    let end = ended(&events).pop();
    assert!(matches!(end, Some(Event::Close { code: 1006, .. })), "{end:?}");
}
