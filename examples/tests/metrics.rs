//! The echo server's page of numbers: read by a client, parsed, and compared with what clients did.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use program::{PATIENCE, Program};
use tungstenite::{Message, client};

mod program;

/// A running echo server.
struct Server(Program);

impl Server {
    fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(options: &[&str]) -> Self {
        Self(Program::start(Command::new(env!("CARGO_BIN_EXE_echo")), options))
    }

    /// The page, parsed.
    fn metrics(&self) -> Metrics {
        Metrics::parse(&self.page())
    }

    fn page(&self) -> String {
        let (head, page) = self.0.page("/metrics");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains("\r\nContent-Type: application/openmetrics-text; version=1.0.0;"));
        page
    }

    /// The page, once it is as expected: the numbers come with a delay.
    fn metrics_when(&self, expected: impl Fn(&Metrics) -> bool) -> Metrics {
        let begun = Instant::now();
        loop {
            let metrics = self.metrics();
            if expected(&metrics) {
                return metrics;
            }
            assert!(begun.elapsed() < PATIENCE, "{metrics:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The values of a page by their names and labels.
#[derive(Debug)]
struct Metrics(BTreeMap<String, u64>);

impl Metrics {
    /// Parses the text as strictly as the format asks.
    fn parse(page: &str) -> Self {
        let body = page.strip_suffix("# EOF\n").expect("the page is whole");
        let (mut values, mut families) = (BTreeMap::new(), BTreeMap::new());
        let mut family = "";
        for line in body.lines() {
            if let Some(described) = line.strip_prefix("# ") {
                let mut words = described.splitn(3, ' ');
                let (keyword, name, rest) = (words.next(), words.next(), words.next());
                let (Some(name), Some(rest)) = (name, rest) else { panic!("{line}") };
                match keyword {
                    Some("HELP") => assert!(rest.ends_with('.') && !rest.ends_with(".."), "{line}"),
                    Some("TYPE") => {
                        assert!(["counter", "gauge", "info"].contains(&rest), "{line}");
                        assert_eq!(families.insert(name, rest), None, "{name} comes twice");
                    }
                    _ => panic!("{line}"),
                }
                family = name;
                continue;
            }
            let (series, value) = line.rsplit_once(' ').expect("a value");
            let (name, labels) = match series.split_once('{') {
                Some((name, labels)) => (name, labels.strip_suffix('}').expect("a brace")),
                None => (series, ""),
            };
            let suffix = match families.get(family) {
                Some(&"counter") => "_total",
                Some(&"info") => "_info",
                _ => "",
            };
            assert_eq!(name, format!("{family}{suffix}"), "a value of another family");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            for label in labels.split_terminator(',') {
                let (key, quoted) = label.split_once('=').expect("a label");
                assert!(key.bytes().all(|byte| byte.is_ascii_lowercase()), "{label}");
                assert!(quoted.len() >= 2 && quoted.starts_with('"') && quoted.ends_with('"'));
            }
            let value = value.parse().expect("a whole number");
            assert_eq!(values.insert(series.to_owned(), value), None, "{series} comes twice");
        }
        Self(values)
    }

    fn get(&self, series: &str) -> u64 {
        let value = self.0.get(&format!("ringwire_{series}"));
        *value.unwrap_or_else(|| panic!("there is no {series}"))
    }
}

#[test]
fn the_numbers_are_those_of_the_clients() {
    let server = Server::start();
    let before = server.metrics();
    assert_eq!((before.get("opened_total"), before.get("open")), (0, 0));
    // Whichever the tests run on.
    let drivers = ["io_uring", "epoll"].map(|driver| {
        let series = format!("ringwire_driver_info{{driver=\"{driver}\",lacks=");
        before.0.iter().filter(|(name, value)| name.starts_with(&series) && **value == 1).count()
    });
    assert_eq!(drivers.iter().sum::<usize>(), 1, "{before:#?}");
    let url = format!("ws://{}/", server.0.address);
    let (mut socket, _) = client(&url, server.0.connect()).expect("it opens");
    for size in [0, 1, 200, 70_000] {
        socket.send(Message::binary(vec![7; size])).expect("it reads");
        assert_eq!(socket.read().expect("it echoes").len(), size);
    }
    socket.send(Message::Ping(b"?"[..].into())).expect("it reads");
    assert!(socket.read().expect("it answers").is_pong());
    let during = server.metrics_when(|metrics| metrics.get("pongs_sent_total") == 1);
    assert_eq!((during.get("opened_total"), during.get("open")), (1, 1));
    for name in ["messages_received_total", "messages_sent_total"] {
        assert_eq!(during.get(name), 4, "{name}");
    }
    for name in ["payload_bytes_received_total", "payload_bytes_sent_total"] {
        assert_eq!(during.get(name), 70_201, "{name}");
    }
    // What has a header of 6, 6, 8, 14 and, for the ping, 6 bytes, and a request before it.
    assert!(during.get("bytes_received_total") > 70_201 + 41);
    socket.close(None).expect("it was open");
    while socket.read().is_ok() {}
    let closed = "ended_total{cause=\"peer_closed\",detail=\"\"}";
    let after = server.metrics_when(|metrics| metrics.get(closed) == 1);
    assert_eq!((after.get("opened_total"), after.get("open")), (1, 0));
    // A client without a mask.
    let (socket, _) = client(&url, server.0.connect()).expect("it opens");
    let mut stream = socket.into_inner();
    stream.write_all(&[0x81, 1, b'x']).expect("it reads");
    let mut told = Vec::new();
    stream.read_to_end(&mut told).expect("it closes");
    assert_eq!(told.get(2..4), Some(&1002_u16.to_be_bytes()[..]));
    let violation = "ended_total{cause=\"violation\",detail=\"unmasked\"}";
    let last = server.metrics_when(|metrics| metrics.get(violation) == 1);
    // Each page that was read before was a request that is no WebSocket's.
    assert!(last.get("refused_total{status=\"200\",limit=\"\"}") >= 3);
    for (series, value) in &before.0 {
        let is_gauge = series == "ringwire_open" || series == "ringwire_opening";
        assert!(is_gauge || last.0[series] >= *value, "{series} has fallen");
    }
}

#[test]
fn latencies_are_histograms() {
    let server = Server::start_with(&["--spin", "100", "--measure", "on"]);
    assert!(!server.page().contains("latency"), "nothing has been measured");
    let url = format!("ws://{}/", server.0.address);
    let (mut socket, _) = client(&url, server.0.connect()).expect("it opens");
    for _ in 0..5 {
        socket.send(Message::text("x")).expect("it reads");
        assert_eq!(socket.read().expect("it echoes").len(), 1);
    }
    let begun = Instant::now();
    let page = loop {
        let page = server.page();
        if page.contains("\nringwire_latency_seconds_count{stage=\"message\"} 5\n") {
            break page;
        }
        assert!(begun.elapsed() < PATIENCE, "{page}");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(page.contains("\n# TYPE ringwire_latency_seconds histogram\n"));
    let of = |stage: &str| {
        let prefix = "ringwire_latency_seconds_bucket{le=\"";
        let suffix = format!("\",stage=\"{stage}\"}}");
        let buckets = page.lines().filter_map(|line| {
            let (le, count) = line.strip_prefix(prefix)?.split_once(' ')?;
            let le = le.strip_suffix(&suffix)?;
            Some((le.to_owned(), count.parse::<u64>().expect("a count")))
        });
        buckets.collect::<Vec<_>>()
    };
    for stage in ["encoded", "submitted", "completed", "message"] {
        let buckets = of(stage);
        assert!(buckets.is_sorted_by_key(|(_, count)| *count), "{buckets:?}");
        assert_eq!(buckets.len(), 22, "{page}");
        assert_eq!(buckets.last(), Some(&("+Inf".to_owned(), 5)));
    }
}
