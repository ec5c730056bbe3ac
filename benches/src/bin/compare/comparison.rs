//! The run of everything: workload by workload, round by round, contestant by contestant.

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;

use ringwire_benches::random::Random;
use ringwire_benches::system;

use crate::calls;
use crate::contestant::Contestant;
use crate::machine::{self, Machine};
use crate::metric::{CPU, MEMORY, Metric, RATE};
use crate::record::{Entry, Outcome, Record, Results};
use crate::round::{self, Pacing};
use crate::workload::{MEASURE, Pace, Workload};

/// What is to be run.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) workloads: Vec<Workload>,
    pub(crate) contestants: Vec<&'static Contestant>,
    pub(crate) rounds: u64,
    pub(crate) warm_up: u64,
    pub(crate) milliseconds: u64,
    pub(crate) counts_calls: bool,
    /// Of the last minute, before anything was built.
    pub(crate) load_before: f64,
    /// Where all of it is kept, also of a run that is ended early.
    pub(crate) file: PathBuf,
}

/// Descriptors that a process has besides its connections.
const OTHER_DESCRIPTORS: u64 = 50;

impl Comparison {
    /// Runs all of it. A contestant that fails is out of that workload, and says why.
    pub(crate) fn run(&self, command: String) -> Result<Record, Box<dyn Error>> {
        let descriptors = system::raise_descriptors();
        let mut record = Record {
            machine: Machine::this(),
            command,
            versions: machine::versions(),
            rounds: self.rounds,
            milliseconds: self.milliseconds,
            load_before: self.load_before,
            load_after: 0.0,
            results: Vec::new(),
        };
        for workload in &self.workloads {
            let needed = u64::from(workload.connections) + OTHER_DESCRIPTORS;
            let missing =
                (descriptors < needed).then(|| format!("{needed} descriptors are needed"));
            let results = self.results(workload, half(&record.results), missing.as_ref())?;
            record.results.push(results);
            record.load_after = machine::load();
            record.write(&self.file)?;
        }
        Ok(record)
    }

    /// All rounds of a workload, unless something is missing.
    fn results(
        &self,
        workload: &Workload,
        half: Option<u64>,
        missing: Option<&String>,
    ) -> Result<Results, Box<dyn Error>> {
        let rate = match workload.pace {
            Pace::Server => None,
            Pace::Half => Some(half.ok_or_else(|| format!("nobody has done {MEASURE}"))?),
        };
        let (warm_up, milliseconds) = (self.warm_up, self.milliseconds);
        let pacing = Pacing { warm_up, milliseconds, rate: rate.unwrap_or(0) };
        let all = self.contestants.iter().filter(|contestant| workload.wants(contestant));
        let all: Vec<_> = all.collect();
        let entry = |contestant: &&&Contestant| Entry {
            contestant: contestant.name.to_owned(),
            title: contestant.title.to_owned(),
            arguments: round::arguments(contestant, workload, pacing),
            rounds: Vec::new(),
            failure: missing.cloned(),
            calls: None,
        };
        let mut entries: Vec<Entry> = all.iter().map(entry).collect();
        for number in 1..=workload.rounds(self.rounds) {
            for index in order(number, all.len()) {
                let (contestant, entry) = (all[index], &mut entries[index]);
                if entry.failure.is_some() {
                    continue;
                }
                let round = round::play(contestant, workload, pacing);
                tell(workload, number, contestant, &round)?;
                match round {
                    Ok(outcome) => entry.rounds.push(outcome),
                    Err(error) => entry.failure = Some(error.to_string()),
                }
            }
        }
        if self.counts_calls && workload.is_counted {
            for (contestant, entry) in all.iter().zip(&mut entries) {
                if entry.failure.is_none() {
                    let calls = calls::per_message(contestant, workload);
                    entry.calls = Some(calls.map_err(|error| error.to_string()));
                }
            }
        }
        Ok(Results {
            workload: workload.name(),
            title: workload.title(),
            mode: workload.mode.to_owned(),
            plot: workload.plot,
            rate,
            entries,
        })
    }
}

/// Who comes when in a round: another order in each. In the same one, whatever the machine does
/// every few seconds would always hit the same contestant.
fn order(round: u64, count: usize) -> Vec<usize> {
    let mut random = Random::of(&[round]);
    let mut order: Vec<usize> = (0..count).collect();
    for end in (2..=count).rev() {
        order.swap(end - 1, random.below(end));
    }
    order
}

/// Half of what the slowest of those has answered who have done the [`MEASURE`].
fn half(results: &[Results]) -> Option<u64> {
    let measure = results.iter().find(|results| results.workload == MEASURE)?;
    let rates = measure.entries.iter().filter_map(|entry| RATE.spread(entry));
    let least = rates.map(|spread| spread.median).min_by(f64::total_cmp)?;
    #[expect(clippy::cast_possible_truncation, reason = "messages a second are some millions")]
    #[expect(clippy::cast_sign_loss, reason = "they are counted")]
    Some((least / 2.0) as u64)
}

fn tell(
    workload: &Workload,
    number: u64,
    contestant: &Contestant,
    round: &Result<Outcome, Box<dyn Error>>,
) -> io::Result<()> {
    let what = match round {
        Ok(outcome) => {
            let metrics =
                if outcome.mode == "idle" { [&MEMORY].as_slice() } else { &[&RATE, &CPU] };
            let tell = |metric: &&Metric| {
                let Metric { digits, title, value, .. } = metric;
                Some(format!("{:.digits$} {title}", value(outcome)?))
            };
            metrics.iter().filter_map(tell).collect::<Vec<_>>().join(", ")
        }
        Err(error) => format!("failed: {error}"),
    };
    writeln!(io::stderr(), "{} {number}, {}: {what}", workload.name(), contestant.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_has_a_turn_at_another_time() {
        let orders: Vec<_> = (1..=40).map(|round| order(round, 4)).collect();
        for mut order in orders.clone() {
            order.sort_unstable();
            assert_eq!(order, [0, 1, 2, 3]);
        }
        for place in 0..4 {
            let mut who: Vec<_> = orders.iter().map(|order| order[place]).collect();
            who.sort_unstable();
            who.dedup();
            assert_eq!(who.len(), 4, "all of them come at place {place}");
        }
        assert_eq!(order(1, 0), [0; 0]);
        assert_eq!(order(1, 1), [0]);
    }

    #[test]
    fn half_of_the_slowest_that_has_not_failed() {
        let entry = |messages: [u64; 3], failure: Option<&str>| Entry {
            contestant: String::new(),
            title: String::new(),
            arguments: Vec::new(),
            rounds: messages
                .map(|messages| Outcome { messages, seconds: 0.5, ..Outcome::default() })
                .into(),
            failure: failure.map(str::to_owned),
            calls: None,
        };
        let entries = vec![
            entry([100, 90, 80], None),
            entry([40, 70, 60], None),
            entry([1, 1, 1], Some("it has ended")),
        ];
        let results = |workload: &str, entries| Results {
            workload: workload.to_owned(),
            title: String::new(),
            mode: String::new(),
            plot: None,
            rate: None,
            entries,
        };
        assert_eq!(half(&[results("idle", Vec::new()), results(MEASURE, entries)]), Some(60));
        assert_eq!(half(&[results(MEASURE, Vec::new())]), None);
        assert_eq!(half(&[]), None);
    }
}
