//! Requests that are decided later, on real sockets: by any thread, in time or not, and with
//! whatever the client does meanwhile.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use ringwire::{
    Abandoned, Adoption, Chunk, Compression, Config, Connection, Handler, Later, Limit, Message,
    Request, Response, Upgrade,
};
use ringwire_tests::{
    Answer, Client, Frame, PATIENCE, REQUEST, TestServer, binary, config, text, wait_until,
};

/// Puts every request off, and hands over who decides; but for some paths.
struct Deferring {
    asked: Sender<(String, Later<String>)>,
}

impl Handler for Deferring {
    type State = String;

    fn upgrade(&mut self, request: &Request<'_>) -> Upgrade<String> {
        let (upgrade, later) = Upgrade::later();
        match request.path() {
            "/at-once" => return Upgrade::accept().state("at once".to_owned()),
            "/decided" => later.decide(Upgrade::accept().state("decided".to_owned())).unwrap(),
            "/refused" => later.decide(Upgrade::refuse(Response::new(404))).unwrap(),
            "/dropped" => drop(later),
            "/changed" => {
                drop(upgrade);
                let late = later.decide(Upgrade::accept().state("mine".to_owned())).unwrap_err();
                assert_eq!(late.reason, Abandoned::Unused);
                return late.upgrade;
            }
            path => self.asked.send((path.to_owned(), later)).unwrap(),
        }
        upgrade
    }

    fn open(&mut self, connection: &mut Connection<'_, String>) {
        let greeting = format!("hello, {}", connection.state());
        connection.send(&greeting);
    }

    /// Echoes; and sleeps where it is told for how long, with all of its worker.
    fn message(&mut self, connection: &mut Connection<'_, String>, message: Message<'_>) {
        if let Message::Text(text) = &message
            && let Some(time) = text.strip_prefix("sleep ")
        {
            thread::sleep(Duration::from_millis(time.parse().unwrap()));
        }
        connection.send(&message);
    }

    fn chunk(&mut self, connection: &mut Connection<'_, String>, chunk: Chunk<'_>) {
        let text = format!("{} bytes in a chunk", chunk.part.as_bytes().len());
        connection.send(&text);
    }
}

/// A server, and who is to decide.
struct Bench {
    server: TestServer,
    asked: Receiver<(String, Later<String>)>,
}

impl Bench {
    fn start(config: Config) -> Self {
        let (sender, asked) = channel();
        let server = TestServer::start(config, move |_| Deferring { asked: sender.clone() });
        Self { server, asked }
    }

    /// A client whose request was put off, and who decides about it.
    fn ask(&self) -> (Client, Later<String>) {
        let mut client = Client::connect(self.server.address());
        client.write(REQUEST);
        (client, self.asked())
    }

    fn asked(&self) -> Later<String> {
        let (path, later) = self.asked.recv_timeout(PATIENCE).unwrap();
        assert_eq!(path, "/chat");
        later
    }

    /// A client that is let in at once, and served.
    fn neighbor(&self) -> Client {
        let mut client = Client::connect(self.server.address());
        client.write(REQUEST.replace("/chat", "/at-once"));
        client.read_opening();
        client.expect(&Frame::text("hello, at once"));
        client
    }
}

fn accept(name: &str) -> Upgrade<String> {
    Upgrade::accept().state(name.to_owned())
}

/// Reads an answer that ends the connection, and its body.
fn read_refusal(client: &mut Client) -> (Answer, String) {
    let answer = client.read_answer();
    let body = String::from_utf8(client.read_to_end()).unwrap();
    (answer, body)
}

#[test]
fn accepted_with_all_that_an_answer_may_have() {
    let bench = Bench::start(config());
    let mut client = Client::connect(bench.server.address());
    let request = REQUEST.trim_end().to_owned()
        + "\r\nSec-WebSocket-Protocol: one, two\r\n\
           Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    client.write(request);
    let later = bench.asked();
    assert!(client.is_silent(Duration::from_millis(50)), "answered before it is decided");
    assert!(later.is_awaited());
    let decision = accept("Ada")
        .subprotocol("two")
        .header("X-Node", "7")
        .compression(Some(Compression::shared()))
        .streaming(true);
    thread::spawn(move || later.decide(decision).unwrap());
    let answer = client.read_opening();
    assert_eq!(answer.header("sec-websocket-protocol"), Some("two"));
    assert_eq!(answer.header("x-node"), Some("7"));
    let extensions = answer.header("sec-websocket-extensions").unwrap();
    assert!(extensions.starts_with("permessage-deflate"), "{extensions}");
    client.expect(&Frame::text("hello, Ada"));
    client.write(text("four"));
    client.expect(&Frame::text("4 bytes in a chunk"));
    let stats = bench.server.stats_when(|stats| stats.opened == 1);
    assert_eq!((stats.deferred, stats.opening(), stats.open()), (1, 0, 1));
}

#[test]
fn refused_with_all_that_an_answer_may_have() {
    let bench = Bench::start(config());
    let (mut client, later) = bench.ask();
    let response = Response::text(403, "Not you.\n").header("X-Reason", "a ban");
    later.decide(Upgrade::refuse(response).header("X-Node", "7")).unwrap();
    let (answer, body) = read_refusal(&mut client);
    assert_eq!((answer.status, body.as_str()), (403, "Not you.\n"));
    assert_eq!((answer.header("x-reason"), answer.header("x-node")), (Some("a ban"), Some("7")));
    bench.server.stats_when(|stats| stats.refused.count(403) == 1 && stats.opening() == 0);
}

#[test]
fn decisions_that_are_none() {
    let bench = Bench::start(config());
    let decide: [fn(Later<String>); 4] = [
        drop,
        |later| later.decide(Upgrade::later().0).unwrap(),
        |later| later.decide(accept("").subprotocol("never offered")).unwrap(),
        |later| later.decide(accept("").header("Connection", "close")).unwrap(),
    ];
    for decide in decide {
        let (mut client, later) = bench.ask();
        decide(later);
        assert_eq!(read_refusal(&mut client).0.status, 500);
    }
    let (mut client, later) = bench.ask();
    let panics = thread::spawn(move || assert!(!later.is_awaited(), "on purpose"));
    assert!(panics.join().is_err());
    assert_eq!(read_refusal(&mut client).0.status, 500);
    bench.server.stats_when(|stats| stats.refused.count(500) == 5 && stats.opening() == 0);
}

#[test]
fn decided_before_the_handler_returns() {
    let bench = Bench::start(config());
    let ask = |path: &str| {
        let mut client = Client::connect(bench.server.address());
        client.write([REQUEST.replace("/chat", path).as_bytes(), &text("hi")].concat());
        client
    };
    for (path, name) in [("/decided", "decided"), ("/changed", "mine")] {
        let mut client = ask(path);
        client.read_opening();
        client.expect(&Frame::text(format!("hello, {name}")));
        client.expect(&Frame::text("hi"));
    }
    assert_eq!(ask("/refused").read_answer().status, 404);
    assert_eq!(ask("/dropped").read_answer().status, 500);
    let stats = bench.server.stats_when(|stats| stats.refused.total() == 2);
    assert_eq!(stats.deferred, 0, "nothing had to be put off");
}

#[test]
fn the_time_for_a_decision_ends() {
    let upgrade_timeout = Duration::from_millis(150);
    let bench = Bench::start(Config { upgrade_timeout, ..config() });
    let begun = Instant::now();
    let (mut client, later) = bench.ask();
    let (answer, _) = read_refusal(&mut client);
    assert!(begun.elapsed() >= upgrade_timeout && begun.elapsed() < PATIENCE);
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert!(!later.is_awaited());
    let late = later.decide(accept("Ada")).unwrap_err();
    assert_eq!(late.reason, Abandoned::TimeOut);
    assert_eq!(late.to_string(), "nobody waits for the decision: the time for it has passed");
    let limit = Limit::UpgradeTime;
    let stats = bench.server.stats_when(|stats| stats.turned_away(limit) == 1);
    assert_eq!((stats.refused.count_limit(limit), stats.opening()), (1, 0));
    // What came back can be used still, state and all.
    let (mut client, later) = bench.ask();
    later.decide(late.upgrade).unwrap();
    client.read_opening();
    client.expect(&Frame::text("hello, Ada"));
}

#[test]
fn a_peer_that_goes_is_not_waited_for() {
    let bench = Bench::start(config());
    let leave: [fn(Client); 3] = [
        drop,
        |client| client.end(),
        |mut client| {
            client.write(text("and something that nobody will read"));
            client.end();
        },
    ];
    for (index, leave) in (0..).zip(leave) {
        let (client, later) = bench.ask();
        leave(client);
        wait_until(|| !later.is_awaited());
        let late = later.decide(accept("nobody")).unwrap_err();
        assert_eq!(late.reason, Abandoned::Gone);
        let gone = |stats: &ringwire::Stats| stats.unanswered.count(("gone", ""));
        bench.server.stats_when(|stats| gone(stats) == index + 1 && stats.opening() == 0);
    }
}

#[test]
fn what_is_sent_meanwhile_comes_after_open_and_in_order() {
    let bench = Bench::start(config());
    for parts in [1, 2, 40] {
        let mut client = Client::connect(bench.server.address());
        let frames = (0..40).map(|number| text(format!("{number}"))).collect::<Vec<_>>().concat();
        let bytes = [REQUEST.as_bytes(), &frames].concat();
        for part in bytes.chunks(bytes.len().div_ceil(parts)) {
            client.write(part);
            thread::sleep(Duration::from_millis(1));
        }
        bench.asked().decide(accept("eager")).unwrap();
        client.read_opening();
        client.expect(&Frame::text("hello, eager"));
        for number in 0..40 {
            client.expect(&Frame::text(format!("{number}")));
        }
        client.write(text("and on"));
        client.expect(&Frame::text("and on"));
    }
}

#[test]
fn no_more_than_a_head_may_have_is_read_before_the_answer() {
    const COUNT: usize = 500;
    let config = Config { buffers: 4, buffer_size: 4096, ..config() };
    let bench = Bench::start(config);
    let (mut client, later) = bench.ask();
    let mut writer = client.share();
    // Far more than a socket takes by itself.
    let message = |number: usize| vec![u8::try_from(number % 251).unwrap(); 20_000];
    let writes = thread::spawn(move || {
        for number in 0..COUNT {
            writer.write(binary(message(number)));
        }
    });
    // It comes to rest with little of ten megabytes.
    let mut neighbor = bench.neighbor();
    let mut received = 0;
    loop {
        thread::sleep(Duration::from_millis(250));
        neighbor.write(text("there"));
        neighbor.expect(&Frame::text("there"));
        let stats = bench.server.handle().stats();
        if stats.bytes_received - received < 100 {
            break;
        }
        received = stats.bytes_received;
    }
    assert!(received < 8192 + 3 * 4 * 4096 + 2000, "{received} bytes are held");
    assert!(received > 8192, "{received} bytes are held");
    later.decide(accept("eager")).unwrap();
    client.read_opening();
    client.expect(&Frame::text("hello, eager"));
    for number in 0..COUNT {
        client.expect(&Frame::binary(message(number)));
    }
    writes.join().unwrap();
}

#[test]
fn one_that_is_read_no_more_is_refused_all_the_same() {
    let bench = Bench::start(Config { linger_timeout: Duration::from_millis(300), ..config() });
    let mut client = Client::connect(bench.server.address());
    client.write([REQUEST.as_bytes(), &binary([7; 60_000])].concat());
    let later = bench.asked();
    thread::sleep(Duration::from_millis(50));
    later.decide(Upgrade::refuse(Response::text(403, "Not you.\n"))).unwrap();
    assert_eq!(client.read_answer().status, 403);
    assert_eq!(client.read_to_end(), b"Not you.\n");
    bench.server.stats_when(|stats| stats.refused.count(403) == 1);
}

#[test]
fn what_another_server_hands_over_may_be_decided_later() {
    let bench = Bench::start(config());
    let (other, handle) = (TcpListener::bind("127.0.0.1:0").unwrap(), bench.server.handle());
    // All of it has been read by the other server, or the request and a part of what follows.
    let bytes = [REQUEST.as_bytes(), &text("one"), &binary([7; 20_000]), &text("two")].concat();
    for read in [bytes.len(), REQUEST.len() + 5] {
        let mut client = Client::connect(other.local_addr().unwrap());
        let socket = other.accept().unwrap().0;
        let adoption = Adoption::accepted(socket).leftover(&bytes[..read]);
        handle.adopt(adoption.state("handed over".to_owned())).unwrap();
        let later = bench.asked();
        client.write(&bytes[read..]);
        assert!(client.is_silent(Duration::from_millis(50)), "answered before it is decided");
        later.decide(accept("another")).unwrap();
        client.read_opening();
        client.expect(&Frame::text("hello, handed over"));
        client.expect(&Frame::text("one"));
        client.expect(&Frame::binary([7; 20_000]));
        client.expect(&Frame::text("two"));
    }
}

#[test]
fn a_full_mailbox_keeps_no_decision_out() {
    let config = Config { mailbox_size: 1, ..config() };
    let bench = Bench::start(config);
    let (mut client, later) = bench.ask();
    let mut neighbor = bench.neighbor();
    neighbor.write(text("sleep 1500"));
    thread::sleep(Duration::from_millis(100));
    // The worker is busy, and has room for one mail.
    let handle = bench.server.handle();
    while handle.publish("full", "full").is_ok() {}
    later.decide(accept("Ada")).unwrap();
    assert!(handle.publish("full", "full").is_err(), "there is room, and nothing was tested");
    client.read_opening();
    client.expect(&Frame::text("hello, Ada"));
    neighbor.expect(&Frame::text("sleep 1500"));
}

#[test]
fn a_stop_answers_who_waits() {
    let bench = Bench::start(config());
    let (mut client, later) = bench.ask();
    let mut neighbor = bench.neighbor();
    bench.server.handle().stop();
    let (answer, _) = read_refusal(&mut client);
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    let late = later.decide(accept("Ada")).unwrap_err();
    assert_eq!(late.reason, Abandoned::Stopped);
    assert_eq!(neighbor.read_frame().unwrap().close_code(), Some(1001));
}

#[test]
fn a_stop_at_once_ends_who_waits() {
    let bench = Bench::start(config());
    let (mut client, later) = bench.ask();
    bench.server.handle().stop_now();
    // It may have been told so before it was ended.
    let answer = client.read_to_end();
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 503 "), "{answer:?}");
    bench.server.join().unwrap();
    assert_eq!(later.decide(accept("Ada")).unwrap_err().reason, Abandoned::Stopped);
}

#[test]
fn who_waits_for_a_decision_does_not_give_way() {
    let bench = Bench::start(Config { handshakes_max: 3, ..config() });
    let waiting = [bench.ask(), bench.ask()];
    // Those that say nothing drive each other out.
    let mut silent: Vec<Client> = (0..5).map(|_| Client::connect(bench.server.address())).collect();
    let stats = bench.server.stats_when(|stats| stats.turned_away(Limit::Handshakes) == 4);
    assert_eq!(stats.opening(), 3);
    silent.pop();
    bench.server.stats_when(|stats| stats.opening() == 2);
    let third = bench.ask();
    // Nobody is left who could give way.
    let mut fourth = Client::connect(bench.server.address());
    let (answer, _) = read_refusal(&mut fourth);
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    let limit = Limit::Handshakes;
    let stats = bench.server.stats_when(|stats| stats.turned_away(limit) == 5);
    assert_eq!(stats.refused.count_limit(limit), 1);
    for (mut client, later) in waiting.into_iter().chain([third]) {
        later.decide(accept("patient")).unwrap();
        client.read_opening();
        client.expect(&Frame::text("hello, patient"));
    }
    bench.neighbor();
}

#[test]
fn many_are_decided_by_many() {
    const CLIENTS: usize = 400;
    const THREADS: usize = 4;
    let (sender, asked) = channel();
    let config = Config { workers: 2, ..config() };
    let server = TestServer::start(config, move |_| Deferring { asked: sender.clone() });
    let address = server.address();
    let shared = Arc::new(std::sync::Mutex::new(asked));
    let deciders: Vec<_> = (0..THREADS)
        .map(|_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let mut kept = Vec::new();
                loop {
                    let next = shared.lock().unwrap().recv_timeout(Duration::from_millis(500));
                    let Ok((path, later)) = next else { break };
                    kept.push((path, later));
                    // Some wait for others, and leave in another order.
                    if kept.len().is_multiple_of(5) {
                        kept.drain(..).rev().for_each(decide_by_path);
                    }
                }
                kept.into_iter().for_each(decide_by_path);
            })
        })
        .collect();
    let clients = (0..CLIENTS).map(|number| {
        let mut client = Client::connect(address);
        client.write(REQUEST.replace("/chat", &format!("/{number}")));
        client
    });
    for (number, mut client) in clients.collect::<Vec<_>>().into_iter().enumerate() {
        if number % 3 == 0 {
            assert_eq!(client.read_answer().status, 403);
        } else {
            client.read_opening();
            client.expect(&Frame::text(format!("hello, /{number}")));
        }
    }
    deciders.into_iter().for_each(|decider| decider.join().unwrap());
    let refused = CLIENTS.div_ceil(3) as u64;
    // The end of an answer may be seen after the client has read what followed it.
    let stats = server.stats_when(|stats| stats.refused.total() == refused && stats.opening() == 0);
    assert_eq!(stats.opened, CLIENTS as u64 - refused);
    // A few may have been decided before the handler had returned.
    assert!((CLIENTS as u64 / 2..=CLIENTS as u64).contains(&stats.deferred), "{}", stats.deferred);
}

/// Every third one is refused.
fn decide_by_path((path, later): (String, Later<String>)) {
    let number: usize = path[1..].parse().unwrap();
    let decision = match number % 3 {
        0 => Upgrade::refuse(Response::new(403)),
        _ => accept(&path),
    };
    later.decide(decision).unwrap();
}
