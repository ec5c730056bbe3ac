//! The numbers to reach: ratios of medians of one run.

use crate::contestant::{
    BESIDE_TOKIO_URING, EPOLL, HOST_LIMIT, IN_TOKIO_URING, LIMIT, OURS, SPINNING, is_peer,
};
use crate::metric::{CPU, LATENCIES, MEMORY, Metric, RATE, USER};
use crate::record::{Entry, Record, Results};

/// What ours is to be by another one's: at least this where more is better, else at most.
struct Goal {
    workload: &'static str,
    /// Who of ours, and what of it.
    ours: &'static str,
    metric: &'static Metric,
    /// By whose.
    by: By,
    ratio: f64,
}

/// Whose.
#[derive(Clone, Copy)]
enum By {
    /// That of one, by its name.
    One(&'static str),
    /// That of the best peer.
    Best,
    /// That of the best peer in Rust.
    BestInRust,
    /// Another number of our own, of one that sleeps.
    Own(&'static Metric),
}

/// The one that is not in Rust.
const UWEBSOCKETS: &str = "uwebsockets";

const GOALS: [Goal; 32] = [
    goal("echo-20-100", &CPU, By::One(UWEBSOCKETS), 1.0),
    goal("echo-20-100", &CPU, By::One(LIMIT), 1.05),
    goal("echo-20-100", &USER, By::One(UWEBSOCKETS), 0.4),
    goal("echo-1k-100", &CPU, By::One(UWEBSOCKETS), 1.0),
    goal("echo-1k-100", &CPU, By::One(LIMIT), 1.05),
    goal("echo-1k-100", &USER, By::One(UWEBSOCKETS), 0.4),
    goal("pipelined-32", &CPU, By::One(UWEBSOCKETS), 1.0),
    goal("pipelined-32", &CPU, By::One(LIMIT), 1.05),
    goal("pipelined-32", &CPU, By::BestInRust, 0.6),
    goal("burst-1000", &RATE, By::One(UWEBSOCKETS), 2.0),
    goal("burst-1000", &RATE, By::BestInRust, 6.0),
    goal("echo-16k-100", &RATE, By::Best, 1.05),
    goal("echo-1m-100", &RATE, By::Best, 1.1),
    goal("connect", &RATE, By::Best, 1.2),
    goal("compressed-1k", &RATE, By::One(UWEBSOCKETS), 1.2),
    goal("ping-pong", &LATENCIES[0], By::One(UWEBSOCKETS), 1.0),
    Goal { ours: SPINNING, ..goal("ping-pong", &LATENCIES[0], By::One(UWEBSOCKETS), 0.45) },
    Goal { ours: SPINNING, ..goal("ping-pong", &LATENCIES[2], By::Own(&LATENCIES[0]), 1.1) },
    goal("latency-half", &LATENCIES[2], By::Best, 1.0),
    goal("idle", &MEMORY, By::Best, 1.0),
    on_epoll("echo-20-100"),
    on_epoll("echo-1k-100"),
    on_epoll("echo-16k-100"),
    on_epoll("echo-1m-100"),
    on_epoll("pipelined-32"),
    on_epoll("burst-1000"),
    on_epoll("text-1k"),
    on_epoll("fan-out"),
    hosted("echo-20-100", IN_TOKIO_URING),
    hosted("echo-1k-100", IN_TOKIO_URING),
    hosted("echo-20-100", BESIDE_TOKIO_URING),
    hosted("echo-1k-100", BESIDE_TOKIO_URING),
];

const fn goal(workload: &'static str, metric: &'static Metric, by: By, ratio: f64) -> Goal {
    Goal { workload, ours: OURS, metric, by, ratio }
}

/// Without a ring the system calls are the same for all, and so nearly is what they cost.
const fn on_epoll(workload: &'static str) -> Goal {
    Goal { ours: EPOLL, ..goal(workload, &CPU, By::One(UWEBSOCKETS), 1.05) }
}

/// In somebody's runtime a message costs what that runtime takes for its bytes, and a little more.
const fn hosted(workload: &'static str, ours: &'static str) -> Goal {
    Goal { ours, ..goal(workload, &CPU, By::One(HOST_LIMIT), 1.15) }
}

/// A table of those whose workloads were run.
pub(crate) fn table(record: &Record) -> String {
    let rows: Vec<String> = GOALS.iter().filter_map(|goal| goal.row(record)).collect();
    if rows.is_empty() {
        return String::new();
    }
    let head = "| to reach | ratio | is | |\n|---|---|---|---|\n";
    format!("{head}{}", rows.concat())
}

impl Goal {
    /// `None`: its workload was not run, or without us.
    fn row(&self, record: &Record) -> Option<String> {
        let Self { workload, metric, ratio, .. } = self;
        let results = record.results.iter().find(|results| results.workload == *workload)?;
        let ours = results.entry(self.ours)?;
        let (whose, theirs) = self.by.value(results, metric);
        let is = metric.spread(ours).zip(theirs).map(|(ours, theirs)| ours.median / theirs);
        // Of so little that the kernel has not seen it there is no ratio.
        let is = is.filter(|is| is.is_finite());
        let bound = if metric.more_is_better { "at least" } else { "at most" };
        let (is, verdict) = match is {
            Some(is) if self.holds(is) => (format!("{is:.2}"), "reached"),
            Some(is) => (format!("{is:.2}"), "**not reached**"),
            None => ("–".to_owned(), "not measured"),
        };
        let what = format!("{workload}: {}, {}", ours.title, metric.title);
        Some(format!("| {what}, by that of {whose} | {bound} {ratio:.2} | {is} | {verdict} |\n"))
    }

    fn holds(&self, is: f64) -> bool {
        if self.metric.more_is_better { is >= self.ratio } else { is <= self.ratio }
    }
}

impl By {
    /// Who that is, and the median.
    fn value(self, results: &Results, metric: &Metric) -> (String, Option<f64>) {
        let peers = |in_rust: bool| {
            let all = results.entries.iter().filter(|entry| is_peer(&entry.contestant));
            best(all.filter(|entry| !in_rust || entry.contestant != UWEBSOCKETS), metric)
        };
        let named = |who: &str, best: Option<(&Entry, f64)>| match best {
            Some((entry, value)) => (format!("{who} ({})", entry.title), Some(value)),
            None => (who.to_owned(), None),
        };
        match self {
            Self::One(name) => match results.entry(name) {
                Some(entry) => (entry.title.clone(), median(metric, entry)),
                None => (name.to_owned(), None),
            },
            Self::Best => named("the best peer", peers(false)),
            Self::BestInRust => named("the best peer in Rust", peers(true)),
            Self::Own(other) => {
                let entry = results.entry(OURS);
                let whose = format!("ringwire asleep, {}", other.title);
                (whose, entry.and_then(|entry| median(other, entry)))
            }
        }
    }
}

/// Who has the best median, and that.
fn best<'a>(entries: impl Iterator<Item = &'a Entry>, metric: &Metric) -> Option<(&'a Entry, f64)> {
    let medians = entries.filter_map(|entry| Some((entry, median(metric, entry)?)));
    let compare = |(_, one): &(&Entry, f64), (_, other): &(&Entry, f64)| one.total_cmp(other);
    if metric.more_is_better { medians.max_by(compare) } else { medians.min_by(compare) }
}

fn median(metric: &Metric, entry: &Entry) -> Option<f64> {
    metric.spread(entry).map(|spread| spread.median)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reached() {
        let text = include_str!("../../../tests/recorded.json");
        let record: Record = serde_json::from_str(text).expect("it is a record");
        let table = table(&record);
        let rows: Vec<_> = table.lines().skip(2).collect();
        let row = |what: &str, rest: &str| format!("| {what} | {rest} |");
        let expected = [
            row(
                "echo-20-100: ringwire, CPU µs, by that of uWebSockets",
                "at most 1.00 | 0.94 | reached",
            ),
            row(
                "echo-20-100: ringwire, CPU µs, by that of raw TCP",
                "at most 1.05 | 1.02 | reached",
            ),
            row(
                "echo-20-100: ringwire, user µs, by that of uWebSockets",
                "at most 0.40 | 0.25 | reached",
            ),
            row(
                "ping-pong: ringwire, p50 µs, by that of uWebSockets",
                "at most 1.00 | 0.99 | reached",
            ),
            row(
                "ping-pong: ringwire, spinning, p50 µs, by that of uWebSockets",
                "at most 0.45 | 0.40 | reached",
            ),
            row(
                "ping-pong: ringwire, spinning, p99.9 µs, by that of ringwire asleep, p50 µs",
                "at most 1.10 | 0.80 | reached",
            ),
            row(
                "idle: ringwire, B a connection, by that of the best peer (uWebSockets)",
                "at most 1.00 | 0.50 | reached",
            ),
        ];
        assert_eq!(rows, expected);
    }
    #[test]
    fn what_is_not() {
        let text = include_str!("../../../tests/recorded.json");
        let mut record: Record = serde_json::from_str(text).expect("it is a record");
        "burst-1000".clone_into(&mut record.results[0].workload);
        let whose = "burst-1000: ringwire, messages/s, by that of the best peer in Rust";
        let has = |record: &Record, row: &str| table(record).contains(&format!("| {whose}{row} |"));
        assert!(has(&record, " (sockudo-ws) | at least 6.00 | 0.86 | **not reached**"));
        record.results[0].entries[0].failure = Some("it has ended".to_owned());
        assert!(has(&record, " (sockudo-ws) | at least 6.00 | – | not measured"));
        record.results[0].entries[3].failure = Some("it as well".to_owned());
        assert!(has(&record, " | at least 6.00 | – | not measured"));
        record.results.clear();
        assert_eq!(table(&record), "");
    }
}
