//! The market as a process: what subscribers are sent, fast and slow ones, and what it says to bad
//! requests.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use program::{PATIENCE, Program};
use ringwire_tests as raw;
use simd_json::OwnedValue;
use simd_json::prelude::*;
use socket2::SockRef;
use tungstenite::client::IntoClientRequest;
use tungstenite::http::Response;
use tungstenite::{HandshakeError, Message, WebSocket, client};

mod program;

const JSON: &str = "market.json.v1";
const BINARY: &str = "market.binary.v1";

fn market(options: &[&str]) -> Program {
    Program::start(Command::new(env!("CARGO_BIN_EXE_market")), options)
}

/// A client, and the instruments by the numbers that they have in binary messages.
struct Client {
    socket: WebSocket<TcpStream>,
    table: Vec<(String, u32)>,
}

/// A quote, from whichever encoding. Prices are in ticks.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Quote {
    topic: String,
    sequence: u64,
    time: u64,
    size: u64,
    prices: [u64; 3],
}

/// What a client is sent.
#[derive(Clone, Debug, PartialEq)]
enum Received {
    Quote(Quote),
    Answer(OwnedValue),
}

impl Client {
    fn open(server: &Program, subprotocol: &str) -> Self {
        let (socket, chosen) = connect(server, &[subprotocol]).unwrap();
        assert_eq!(chosen.as_deref(), Some(subprotocol));
        Self { socket, table: table(server) }
    }

    fn send(&mut self, request: &str) {
        self.socket.send(Message::text(request)).unwrap();
    }

    fn read(&mut self) -> Received {
        match self.socket.read().unwrap() {
            Message::Text(text) => {
                let value = simd_json::to_owned_value(&mut text.as_bytes().to_vec()).unwrap();
                if value.get_str("type") != Some("quote") {
                    return Received::Answer(value);
                }
                Received::Quote(self.json(&value, &text))
            }
            Message::Binary(bytes) => Received::Quote(self.binary(&bytes)),
            other => panic!("{other:?}"),
        }
    }

    fn json(&self, value: &OwnedValue, text: &str) -> Quote {
        let topic = value.get_str("topic").unwrap().to_owned();
        let (_, decimals) = *self.table.iter().find(|(name, _)| *name == topic).unwrap();
        // As it is written: the digits are all of the ticks.
        let price = |name: &str| {
            let (_, rest) = text.split_once(&format!("\"{name}\":")).unwrap();
            let (whole, part) = rest.split([',', '}']).next().unwrap().split_once('.').unwrap();
            assert_eq!(part.len(), decimals as usize, "{text}");
            format!("{whole}{part}").parse().unwrap()
        };
        let number = |name| value.get_u64(name).unwrap();
        let prices = ["bid", "ask", "last"].map(price);
        let (sequence, time, size) = (number("sequence"), number("time"), number("size"));
        Quote { topic, sequence, time, size, prices }
    }

    fn binary(&self, bytes: &[u8]) -> Quote {
        assert_eq!((bytes.len(), bytes[0]), (40, 1));
        let number = |offset: usize, size: usize| {
            let bytes = &bytes[offset..offset + size];
            bytes.iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))
        };
        let (topic, decimals) = self.table[usize::try_from(number(2, 2)).unwrap()].clone();
        assert_eq!(number(1, 1), u64::from(decimals));
        let prices = [24, 28, 32].map(|offset| number(offset, 4));
        let (sequence, time, size) = (number(8, 8), number(16, 8), number(4, 4));
        Quote { topic, sequence, time, size, prices }
    }

    fn quote(&mut self) -> Quote {
        match self.read() {
            Received::Quote(quote) => quote,
            Received::Answer(answer) => panic!("{answer}"),
        }
    }

    /// The next answer, and the quotes that come before it.
    fn answer(&mut self) -> (OwnedValue, Vec<Quote>) {
        let mut quotes = Vec::new();
        loop {
            match self.read() {
                Received::Quote(quote) => quotes.push(quote),
                Received::Answer(answer) => return (answer, quotes),
            }
        }
    }

    /// Subscribes and returns the last values.
    fn subscribe(&mut self, pattern: &str) -> Vec<Quote> {
        self.send(&format!("{{\"type\":\"subscribe\",\"id\":1,\"topics\":[\"{pattern}\"]}}"));
        let (answer, quotes) = self.answer();
        assert_eq!(answer.get_str("type"), Some("subscribed"), "{answer}");
        quotes
    }
}

/// A connection, and the subprotocol that was chosen.
type Connected = (WebSocket<TcpStream>, Option<String>);

/// Connects with an offer of subprotocols. The error is the server's refusal.
fn connect(
    server: &Program,
    subprotocols: &[&str],
) -> Result<Connected, Box<Response<Option<Vec<u8>>>>> {
    let mut request = format!("ws://{}/", server.address).into_client_request().unwrap();
    if !subprotocols.is_empty() {
        let offer = subprotocols.join(", ").parse().unwrap();
        request.headers_mut().insert("Sec-WebSocket-Protocol", offer);
    }
    match client(request, server.connect()) {
        Ok((socket, answer)) => {
            let chosen = answer.headers().get("Sec-WebSocket-Protocol");
            Ok((socket, chosen.map(|name| name.to_str().unwrap().to_owned())))
        }
        Err(HandshakeError::Failure(tungstenite::Error::Http(answer))) => Err(answer),
        Err(error) => panic!("{error}"),
    }
}

/// Topics and decimals by the number of the instrument.
fn table(server: &Program) -> Vec<(String, u32)> {
    let (head, body) = server.page("/instruments");
    assert!(head.contains("\r\nContent-Type: application/json"), "{head}");
    let value = simd_json::to_owned_value(&mut body.into_bytes()).unwrap();
    let pair =
        |pair: &OwnedValue| (pair[0].as_str().unwrap().to_owned(), pair[1].as_u32().unwrap());
    value.as_array().unwrap().iter().map(pair).collect()
}

fn now() -> u64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    u64::try_from(since.as_nanos()).unwrap()
}

/// A client that keeps up, on a thread of its own: it has every quote, each once.
struct Neighbor {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<BTreeMap<String, u64>>,
}

impl Neighbor {
    fn start(server: &Program) -> Self {
        let mut client = Client::open(server, BINARY);
        let quotes = client.subscribe("prices.>");
        let mut last: BTreeMap<_, _> =
            quotes.into_iter().map(|quote| (quote.topic, quote.sequence)).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let quote = client.quote();
                let sequence = last.get_mut(&quote.topic).unwrap();
                assert_eq!(quote.sequence, *sequence + 1, "{}", quote.topic);
                *sequence = quote.sequence;
            }
            last
        });
        Self { stop, thread }
    }

    /// The last sequence of each instrument, none of which it has missed.
    fn stop(self) -> BTreeMap<String, u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the neighbour has missed nothing")
    }
}

#[test]
fn last_values_then_updates_without_a_gap() {
    let server = market(&["--instruments", "320", "--rate", "5000"]);
    for subprotocol in [JSON, BINARY] {
        let mut client = Client::open(&server, subprotocol);
        let quotes = client.subscribe("prices.NORD.*");
        let topics: Vec<_> = quotes.iter().map(|quote| &*quote.topic).collect();
        assert_eq!(topics.len(), 20);
        assert!(topics.is_sorted() && topics.iter().all(|name| name.starts_with("prices.NORD.")));
        let mut last: BTreeMap<_, _> =
            quotes.into_iter().map(|quote| (quote.topic.clone(), quote)).collect();
        assert_eq!(last.len(), 20, "each once");
        for _ in 0..1000 {
            let quote = client.quote();
            let [bid, ask, price] = quote.prices;
            assert!(0 < bid && bid < ask && (bid..=ask).contains(&price), "{quote:?}");
            let before = last.insert(quote.topic.clone(), quote.clone()).unwrap();
            assert_eq!(quote.sequence, before.sequence + 1, "{quote:?}");
            assert!(quote.time >= before.time, "{quote:?}");
        }
        client.send("{\"type\":\"unsubscribe\",\"id\":2,\"topics\":[\"prices.NORD.*\"]}");
        assert_eq!(client.answer().0.get_str("type"), Some("unsubscribed"));
        client.send("{\"type\":\"time\",\"id\":3}");
        let (answer, quotes) = client.answer();
        assert_eq!((answer.get_str("type"), quotes.len()), (Some("time"), 0));
        assert!(now().abs_diff(answer.get_u64("time").unwrap()) < 1_000_000_000);
    }
}

#[test]
fn patterns_that_overlap_bring_each_last_value_once() {
    let server = market(&["--instruments", "320", "--rate", "2000"]);
    for subprotocol in [JSON, BINARY] {
        let mut client = Client::open(&server, subprotocol);
        client.send(
            "{\"type\":\"subscribe\",\"id\":1,\"topics\":[\"prices.NORD.*\",\"prices.*.*\",\">\"]}",
        );
        let (answer, mut quotes) = client.answer();
        assert_eq!(answer.get_u64("topics"), Some(3), "{answer}");
        assert_eq!(quotes.len(), 320);
        // What comes before the answers now are updates.
        for pattern in ["prices.>", "prices.NORD.>"] {
            quotes.extend(client.subscribe(pattern));
        }
        quotes.extend((0..500).map(|_| client.quote()));
        let mut last = BTreeMap::new();
        for Quote { topic, sequence, .. } in quotes {
            if let Some(before) = last.insert(topic, sequence) {
                assert_eq!(sequence, before + 1);
            }
        }
    }
}

#[test]
fn who_comes_later_has_values_that_are_not_old() {
    let server = market(&["--instruments", "16", "--rate", "2000"]);
    for _ in 0..2 {
        // Nobody wants any: nothing is encoded any more, and what is retained grows old.
        thread::sleep(Duration::from_millis(2600));
        let before = now();
        let mut client = raw::Client::connect(server.address.parse().unwrap());
        // The request is there before the connection is.
        let request = raw::REQUEST.replace("/chat", "/") + "Sec-WebSocket-Protocol: ";
        let request = request.replace("\r\n\r\nSec", "\r\nSec") + BINARY + "\r\n\r\n";
        let subscribe = raw::text(&*topics("subscribe", 1, "prices.>"));
        client.write([request.as_bytes(), &subscribe].concat());
        client.read_opening();
        let frames: Vec<_> = (0..16).map(|_| client.read_frame().unwrap().payload).collect();
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
        let sequences = frames.iter().map(|bytes| number(&bytes[8..16]));
        assert!(sequences.max() > Some(200), "the market goes on by itself");
        let newest = frames.iter().map(|bytes| number(&bytes[16..24])).max().unwrap();
        assert!(newest + 300_000_000 > before, "{} ns old", before - newest);
        let answer = client.read_frame().unwrap().payload;
        assert!(answer.starts_with(b"{\"type\":\"subscribed\""), "{}", answer.escape_ascii());
    }
}

#[test]
fn a_slow_reader_ends_with_the_newest_of_each() {
    let server = market(&["--instruments", "64", "--rate", "4000"]);
    let neighbor = Neighbor::start(&server);
    let mut client = Client::open(&server, JSON);
    SockRef::from(client.socket.get_ref()).set_recv_buffer_size(16 << 10).unwrap();
    let mut last: BTreeMap<_, _> = client
        .subscribe("prices.>")
        .into_iter()
        .map(|quote| (quote.topic, quote.sequence))
        .collect();
    assert_eq!(last.len(), 64);
    // Some 1.6 MB are published, of which the kernel takes a tenth.
    thread::sleep(Duration::from_secs(3));
    // What the one beside it has by now, whose client has missed nothing, it comes to have as well.
    let (reads, reached) = (now(), neighbor.stop());
    let (mut read, mut skipped) = (0, 0);
    let begun = Instant::now();
    while reached.iter().any(|(topic, sequence)| last[topic] < *sequence) {
        let quote = client.quote();
        let before = last.insert(quote.topic.clone(), quote.sequence).unwrap();
        assert!(quote.sequence > before, "an older one, or the same again: {quote:?}");
        skipped += quote.sequence - before - 1;
        read += 1;
        assert!(begun.elapsed() < PATIENCE, "some instruments stay old");
    }
    // 12,000 quotes were made, and the newest of them are those that it has.
    assert!(skipped > 6000, "{skipped} of {} were replaced", read + skipped);
    let newest = client.quote().time;
    assert!(newest > reads, "it is {} ns behind", reads - newest);
}

#[test]
fn bad_requests_are_answered_and_nothing_else_suffers() {
    let server = market(&["--instruments", "160", "--rate", "2000"]);
    let neighbor = Neighbor::start(&server);
    let mut client = Client::open(&server, JSON);
    let long = "a.".repeat(125);
    let cases = [
        ("nonsense".to_owned(), None, "not_json"),
        (String::new(), None, "not_json"),
        ("[".repeat(1000), None, "too_deep"),
        (format!("{{\"id\":1,\"type\":\"{}\"}}", "x".repeat(5000)), None, "too_large"),
        ("[1]".to_owned(), None, "bad_request"),
        ("{\"type\":\"time\",\"id\":\"x\"}".to_owned(), None, "bad_request"),
        ("{\"type\":\"buy\",\"id\":1}".to_owned(), Some(1), "unknown_type"),
        ("{\"type\":\"subscribe\",\"id\":2}".to_owned(), Some(2), "bad_request"),
        (topics("subscribe", 3, "prices..*"), Some(3), "bad_pattern"),
        (topics("subscribe", 4, "prices.>.x"), Some(4), "bad_pattern"),
        // A pattern by itself, but not with the encoding before it.
        (topics("subscribe", 5, &format!("{long}xxxx")), Some(5), "bad_pattern"),
        (topics("unsubscribe", 6, "prices.NORD.*"), Some(6), "not_subscribed"),
    ];
    for _ in 0..20 {
        for (request, id, code) in &cases {
            client.send(request);
            let (answer, _) = client.answer();
            assert_eq!(answer.get_str("type"), Some("error"), "{answer}");
            assert_eq!(answer.get_str("code"), Some(*code), "{answer} to {request}");
            assert_eq!(answer.get_u64("id"), *id, "{answer} to {request}");
            assert!(answer.get_str("message").is_some_and(|text| !text.is_empty()), "{answer}");
        }
        client.socket.send(Message::binary(vec![0; 9])).unwrap();
        assert_eq!(client.answer().0.get_str("code"), Some("not_text"));
    }
    // The connection is as good as new.
    assert_eq!(client.subscribe("prices.NORD.*").len(), 10);
    neighbor.stop();
}

fn topics(kind: &str, id: u64, topic: &str) -> String {
    format!("{{\"type\":\"{kind}\",\"id\":{id},\"topics\":[\"{topic}\"]}}")
}

#[test]
fn too_many_subscriptions_are_refused_together() {
    let server = market(&["--instruments", "16", "--rate", "0"]);
    let mut client = Client::open(&server, JSON);
    let mut count = 0;
    let answer = loop {
        let names: Vec<_> = (0..100).map(|index| format!("\"x{}\"", count + index)).collect();
        client.send(&format!("{{\"type\":\"subscribe\",\"topics\":[{}]}}", names.join(",")));
        let (answer, _) = client.answer();
        if answer.get_str("type") != Some("subscribed") {
            break answer;
        }
        assert_eq!(answer.get_u64("topics"), Some(100));
        count += 100;
    };
    assert_eq!((count, answer.get_str("code")), (1000, Some("too_many")), "{answer}");
    // Of the hundred that went too far, none is left.
    client.send(&topics("unsubscribe", 1, "x1000"));
    assert_eq!(client.answer().0.get_str("code"), Some("not_subscribed"));
    // Nor is anything sent where the first would bring last values, and a later one is refused.
    let names: Vec<_> = (0..50).map(|index| format!("\"y{index}\"")).collect();
    client
        .send(&format!("{{\"type\":\"subscribe\",\"topics\":[\"prices.>\",{}]}}", names.join(",")));
    let (answer, quotes) = client.answer();
    assert_eq!((answer.get_str("code"), quotes.len()), (Some("too_many"), 0), "{answer}");
    // Of what is taken back, the first that was not there is told; all others are taken back.
    client.send("{\"type\":\"unsubscribe\",\"topics\":[\"x1\",\"z\",\"x2\"]}");
    let (answer, _) = client.answer();
    assert_eq!(answer.get_str("code"), Some("not_subscribed"));
    assert!(answer.get_str("message").unwrap().starts_with("topics[1]"), "{answer}");
    client.send(&topics("unsubscribe", 1, "x2"));
    assert_eq!(client.answer().0.get_str("code"), Some("not_subscribed"));
    assert_eq!(client.subscribe("prices.>").len(), 16);
}

#[test]
fn both_encodings_say_the_same() {
    let server = market(&["--instruments", "32", "--rate", "1000"]);
    let mut clients = [JSON, BINARY].map(|subprotocol| Client::open(&server, subprotocol));
    let mut known = BTreeMap::new();
    let mut same = 0;
    for client in &mut clients {
        client.subscribe("prices.>");
    }
    while same < 500 {
        for client in &mut clients {
            let quote = client.quote();
            let place = (quote.topic.clone(), quote.sequence);
            match known.remove(&place) {
                Some(other) => {
                    assert_eq!(quote, other);
                    same += 1;
                }
                None => _ = known.insert(place, quote),
            }
        }
    }
}

#[test]
fn a_seed_repeats_its_prices() {
    let prices = |seed| {
        let server = market(&["--instruments", "50", "--rate", "0", "--seed", seed]);
        let quotes = Client::open(&server, JSON).subscribe("prices.>");
        quotes.into_iter().map(|quote| (quote.topic, quote.prices)).collect::<Vec<_>>()
    };
    let first = prices("7");
    assert_eq!(first.len(), 50);
    assert_eq!(first, prices("7"));
    assert_ne!(first, prices("8"));
}

#[test]
fn the_rate_is_held() {
    let server = market(&["--rate", "3000"]);
    let count = || {
        let (_, page) = server.page("/metrics");
        let value = |name: &str| -> u64 {
            let line = page.lines().find(|line| line.starts_with(name)).unwrap();
            line.rsplit(' ').next().unwrap().parse().unwrap()
        };
        assert_eq!(value("ringwire_market_quotes_refused_total"), 0);
        // What a machine that is busy with other things has not let it make.
        value("ringwire_market_quotes_total") + value("ringwire_market_quotes_skipped_total")
    };
    let (first, begun) = (count(), Instant::now());
    thread::sleep(Duration::from_secs(4));
    let (last, took) = (count(), begun.elapsed());
    let expected = 3000.0 * took.as_secs_f64();
    let made = f64::from(u32::try_from(last - first).unwrap());
    assert!((made - expected).abs() < 0.1 * expected, "{made} quotes where {expected} were due");
}

#[test]
fn subprotocols() {
    let server = market(&["--rate", "0"]);
    let chosen = |offer: &[&str]| connect(&server, offer).map(|(_, chosen)| chosen).unwrap();
    assert_eq!(chosen(&[]), None);
    assert_eq!(chosen(&["chat", BINARY, JSON]).as_deref(), Some(BINARY));
    assert_eq!(chosen(&[JSON, BINARY]).as_deref(), Some(JSON));
    let refusal = connect(&server, &["market.json.v2", "chat"]).err().unwrap();
    assert_eq!(refusal.status(), 400);
    // Without one there is JSON.
    let (socket, _) = connect(&server, &[]).unwrap();
    let mut client = Client { socket, table: table(&server) };
    let first = client.table[0].0.clone();
    assert_eq!(client.subscribe(&first).len(), 1);
}

#[test]
fn pages() {
    let server = market(&["--instruments", "20", "--rate", "0"]);
    assert_eq!(table(&server).len(), 20);
    let (head, page) = server.page("/");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && page.starts_with("<!doctype html>"));
    assert!(!page.contains("//cdn") && !page.contains("src=\"http"), "all of it is here");
    assert!(server.page("/else").0.starts_with("HTTP/1.1 404 "));
}
