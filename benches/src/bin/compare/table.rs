//! Tables of medians and spreads, and how ours stand to the others', in Markdown.

use std::fmt::Write;

use ringwire_benches::spread::Spread;

use crate::contestant::{OURS, SPINNING, is_peer};
use crate::metric::{CPU, LATENCIES, MEMORY, Metric, RATE, SYSTEM, USER, Verdict, WHOLE};
use crate::record::{Entry, Record, Results};
use crate::workload::Plot;

/// A metric, and the workloads that tell something by it.
struct Compared {
    title: &'static str,
    metric: &'static Metric,
    tells: fn(&Results) -> bool,
}

const COMPARED: [Compared; 7] = [
    Compared { title: "Throughput", metric: &RATE, tells: is_throughput },
    Compared { title: "Server's CPU time a message", metric: &CPU, tells: is_throughput },
    Compared { title: "User time in it", metric: &USER, tells: is_throughput },
    Compared { title: "Median of the latency", metric: &LATENCIES[0], tells: is_latency },
    Compared { title: "99 % of the latency", metric: &LATENCIES[1], tells: is_latency },
    Compared { title: "99.9 % of the latency", metric: &LATENCIES[2], tells: is_latency },
    Compared { title: "Private memory", metric: &MEMORY, tells: is_memory },
];

/// The server sets the pace.
fn is_throughput(results: &Results) -> bool {
    matches!(&*results.mode, "echo" | "connect") && !is_latency(results)
}

/// Somebody else does, or the only connection waits.
fn is_latency(results: &Results) -> bool {
    results.plot == Some(Plot::Latency) || results.mode == "fanout"
}

/// Nobody sends anything.
fn is_memory(results: &Results) -> bool {
    results.mode == "idle"
}

/// A part of the report.
pub(crate) struct Section {
    pub(crate) title: String,
    pub(crate) text: String,
}

/// Ratios over all workloads: one table for each metric that some of them tell.
pub(crate) fn ratios(record: &Record) -> String {
    let mut text = String::new();
    for compared in &COMPARED {
        let told = record.results.iter().filter(|results| (compared.tells)(results));
        let told: Vec<_> = told.collect();
        if !told.is_empty() {
            write_ratios(&mut text, compared, &told);
        }
    }
    text
}

fn write_ratios(text: &mut String, compared: &Compared, told: &[&Results]) {
    let Compared { title, metric, .. } = compared;
    let mut others: Vec<&Entry> = Vec::new();
    for entry in told.iter().flat_map(|results| &results.entries) {
        let is_ours = [OURS, SPINNING].contains(&&*entry.contestant);
        if !is_ours && others.iter().all(|other| other.contestant != entry.contestant) {
            others.push(entry);
        }
    }
    let titles: String = others.iter().map(|other| format!(" {} |", other.title)).collect();
    let better = if metric.more_is_better { "above 1" } else { "below 1" };
    line(text, &format!("{title}, ringwire's by each one's: {better} ringwire is ahead.\n"));
    line(text, &format!("| {} | ringwire |{titles}", metric.title));
    line(text, &format!("|---|---|{}", "---|".repeat(others.len())));
    for results in told {
        for (base, name) in [(OURS, ""), (SPINNING, ", spinning")] {
            let Some(entry) = results.entry(base) else { continue };
            let ours = metric.spread(entry);
            let cells: String = others
                .iter()
                .map(|other| {
                    let theirs = results.entry(&other.contestant);
                    let theirs = theirs.and_then(|theirs| metric.spread(theirs));
                    let is_peer = is_peer(&other.contestant);
                    format!(" {} |", ratio(metric, ours, theirs, is_peer))
                })
                .collect();
            let own = ours.map_or_else(nothing, |ours| ours.cell(metric.digits));
            line(text, &format!("| {}{name} | {own} |{cells}", results.workload));
        }
    }
    line(text, "");
}

fn ratio(metric: &Metric, ours: Option<Spread>, theirs: Option<Spread>, is_peer: bool) -> String {
    let ratio = ours.zip(theirs).and_then(|(ours, theirs)| metric.ratio(ours, theirs));
    ratio.map_or_else(nothing, |ratio| ratio.cell(is_peer))
}

/// Where a peer is ahead in every round, a line for each.
pub(crate) fn lost(record: &Record) -> String {
    let mut text = String::new();
    for results in &record.results {
        for compared in COMPARED.iter().filter(|compared| (compared.tells)(results)) {
            let peers = results.entries.iter();
            peers.filter_map(|peer| loss(results, compared.metric, peer)).for_each(|loss| {
                line(&mut text, &loss);
            });
        }
    }
    text
}

/// `None`: this one is not ahead, or no peer.
fn loss(results: &Results, metric: &Metric, peer: &Entry) -> Option<String> {
    if !is_peer(&peer.contestant) {
        return None;
    }
    let (ours, theirs) = (metric.spread(results.entry(OURS)?)?, metric.spread(peer)?);
    let is_lost = metric.ratio(ours, theirs)?.verdict == Verdict::Theirs;
    let [ours, theirs] = [ours, theirs].map(|spread| spread.cell(metric.digits));
    let Results { workload, .. } = results;
    let line = format!("- {workload}: {}, {theirs} {}; ringwire {ours}", peer.title, metric.title);
    is_lost.then_some(line)
}

/// What has failed, a line for each.
pub(crate) fn failed(record: &Record) -> String {
    let mut text = String::new();
    for results in &record.results {
        for entry in &results.entries {
            if let Some(why) = &entry.failure {
                line(&mut text, &format!("- {}: {}: {why}", results.workload, entry.title));
            }
        }
    }
    text
}

/// All numbers of each workload.
pub(crate) fn sections(record: &Record) -> Vec<Section> {
    record.results.iter().map(section).collect()
}

fn section(results: &Results) -> Section {
    let pace = results.rate.map_or(String::new(), |rate| format!(", {rate} messages a second"));
    let mut text = String::new();
    let metrics = columns(results);
    let names: String = metrics
        .iter()
        .map(|metric| {
            let by = if has_ratio(metric) { " × |" } else { "" };
            format!(" {} |{by}", metric.title)
        })
        .collect();
    let count = names.matches('|').count();
    let is_counted = results.entries.iter().any(|entry| entry.calls.is_some());
    let (calls, count) = if is_counted { (" calls |", count + 1) } else { ("", count) };
    line(&mut text, &format!("| {} |{names}{calls}", results.workload));
    line(&mut text, &format!("|---|{}", "---|".repeat(count)));
    let ours = results.entry(OURS);
    for entry in &results.entries {
        if let Some(why) = &entry.failure {
            let rest = " |".repeat(count - 1);
            line(&mut text, &format!("| {} | failed: {} |{rest}", entry.title, quoted(why)));
            continue;
        }
        let mut cells = String::new();
        for metric in &metrics {
            let spread = metric.spread(entry);
            let cell = spread.map_or_else(nothing, |spread| spread.cell(metric.digits));
            cells.push_str(&format!(" {cell} |"));
            if has_ratio(metric) {
                let ours = ours.and_then(|ours| metric.spread(ours));
                let is_peer = is_peer(&entry.contestant);
                cells.push_str(&match entry.contestant == OURS {
                    true => " 1 |".to_owned(),
                    false => format!(" {} |", ratio(metric, ours, spread, is_peer)),
                });
            }
        }
        if is_counted {
            cells.push_str(&format!(" {} |", calls_cell(entry)));
        }
        line(&mut text, &format!("| {} |{cells}", entry.title));
    }
    Section { title: format!("{}: {}{pace}", results.workload, results.title), text }
}

fn calls_cell(entry: &Entry) -> String {
    match &entry.calls {
        Some(Ok(calls)) => format!("{calls:.3}"),
        Some(Err(why)) => quoted(why),
        None => nothing(),
    }
}

/// Of fewer connections, a server's memory is mostly its own.
const MANY: u64 = 1000;

/// What the rounds of a workload tell.
fn columns(results: &Results) -> Vec<&'static Metric> {
    let mut all = vec![&RATE, &CPU, &USER, &SYSTEM];
    all.extend(&LATENCIES);
    if is_memory(results) {
        all.clear();
    }
    let mut rounds = results.entries.iter().flat_map(|entry| &entry.rounds);
    if is_memory(results) || rounds.any(|round| round.connections >= MANY) {
        all.extend([&MEMORY, &WHOLE]);
    }
    all
}

fn has_ratio(metric: &Metric) -> bool {
    [&RATE, &CPU, &LATENCIES[0], &MEMORY].iter().any(|one| one.title == metric.title)
}

/// Within a cell.
fn quoted(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// What stands where nothing was measured.
fn nothing() -> String {
    "–".to_owned()
}

fn line(text: &mut String, line: &str) {
    // A string takes all.
    let _written = writeln!(text, "{line}");
}
