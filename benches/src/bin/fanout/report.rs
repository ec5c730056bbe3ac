//! Tables of medians, or every round as JSON.

use std::io::{self, Write};

use ringwire_benches::spread::{Spread, median};

use crate::measure::{Cost, Patience};
use crate::results::Results;

/// Prints a table of costs, and one of patience if that was measured.
pub(crate) fn tables(out: &mut impl Write, all: &[Results]) -> io::Result<()> {
    let base = all.first().map(|first| (cost(&first.singles), cost(&first.bursts)));
    let (single, burst) = base.unwrap_or_default();
    writeln!(
        out,
        "| µs a message | single | user | system | × | in bursts | × | burst : single |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|---|")?;
    for results in all.iter().filter(|results| !results.singles.is_empty()) {
        let own = (cost(&results.singles), cost(&results.bursts));
        writeln!(
            out,
            "| {} | {} | {:.2} | {:.2} | {:.2} | {} | {:.2} | {:.3} |",
            results.contestant.name,
            spread(results.singles.iter().map(|cost| cost.total() / 1e3), 2),
            median(results.singles.iter().map(|cost| cost.user / 1e3)),
            median(results.singles.iter().map(|cost| cost.system / 1e3)),
            single / own.0,
            spread(results.bursts.iter().map(|cost| cost.total() / 1e3), 3),
            burst / own.1,
            own.1 / own.0,
        )?;
    }
    writeln!(out, "\n×: the first contestant's time by this one's; below 1 the first is ahead.")?;
    let patient: Vec<_> = all.iter().filter(|results| !results.stuck.is_empty()).collect();
    if patient.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n| some read nothing | p99 ms, all read | p99 ms | × | MiB, all read | MiB |")?;
    writeln!(out, "|---|---|---|---|---|---|")?;
    for results in patient {
        let delays = |rounds: &[Patience]| -> Vec<f64> {
            rounds.iter().map(|round| round.delay / 1e3).collect()
        };
        let memory = |rounds: &[Patience]| {
            spread(rounds.iter().map(|round| round.memory / f64::from(1 << 20)), 1)
        };
        let (calm, stuck) = (delays(&results.calm), delays(&results.stuck));
        writeln!(
            out,
            "| {} | {} | {} | {:.2} | {} | {} |",
            results.contestant.name,
            spread(calm.iter().copied(), 1),
            spread(stuck.iter().copied(), 1),
            median(stuck.iter().copied()) / median(calm.iter().copied()),
            memory(&results.calm),
            memory(&results.stuck),
        )?;
    }
    Ok(())
}

/// Prints one object: by contestant, the numbers of each round, in nanoseconds, microseconds and
/// bytes.
pub(crate) fn json(out: &mut impl Write, all: &[Results]) -> io::Result<()> {
    let list = |values: Vec<String>| format!("[{}]", values.join(","));
    let costs = |costs: &[Cost]| {
        list(costs.iter().map(|cost| format!("[{:.1},{:.1}]", cost.user, cost.system)).collect())
    };
    let patience = |rounds: &[Patience]| {
        let round = |round: &Patience| format!("[{:.0},{:.0}]", round.delay, round.memory);
        list(rounds.iter().map(round).collect())
    };
    let objects: Vec<_> = all
        .iter()
        .map(|results| {
            format!(
                "\"{}\":{{\"single_user_system_ns\":{},\"burst_user_system_ns\":{},\
                 \"calm_p99_us_memory\":{},\"stuck_p99_us_memory\":{}}}",
                results.contestant.name,
                costs(&results.singles),
                costs(&results.bursts),
                patience(&results.calm),
                patience(&results.stuck),
            )
        })
        .collect();
    writeln!(out, "{{{}}}", objects.join(",\n"))
}

/// The median of what a message takes.
fn cost(costs: &[Cost]) -> f64 {
    median(costs.iter().map(|cost| cost.total()))
}

/// The median, and in brackets the least and the most.
fn spread(values: impl Iterator<Item = f64>, digits: usize) -> String {
    Spread::of(values).unwrap_or_default().cell(digits)
}
