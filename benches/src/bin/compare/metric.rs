//! What is read off a round.

use ringwire_benches::spread::Spread;

use crate::record::{Entry, Latency, Outcome};

/// One number of a round.
pub(crate) struct Metric {
    /// As the columns of tables have it.
    pub(crate) title: &'static str,
    /// Behind the point.
    pub(crate) digits: usize,
    /// Whether more of it is better.
    pub(crate) more_is_better: bool,
    /// `None`: the round does not tell.
    pub(crate) value: fn(&Outcome) -> Option<f64>,
}

/// Messages a second; connections, where these come and go.
pub(crate) const RATE: Metric = Metric {
    title: "messages/s",
    digits: 0,
    more_is_better: true,
    value: |round| share(round.messages, round.seconds),
};

/// Time of the server's processor for a message.
pub(crate) const CPU: Metric = Metric {
    title: "CPU µs",
    digits: 3,
    more_is_better: false,
    value: |round| per_message(round, round.server_user_ns + round.server_system_ns),
};

/// The part of it in the server's own code.
pub(crate) const USER: Metric = Metric {
    title: "user µs",
    digits: 3,
    more_is_better: false,
    value: |round| per_message(round, round.server_user_ns),
};

/// The part of it in the system's.
pub(crate) const SYSTEM: Metric = Metric {
    title: "system µs",
    digits: 3,
    more_is_better: false,
    value: |round| per_message(round, round.server_system_ns),
};

/// Private memory that the server has taken since before the connections came, for each.
pub(crate) const MEMORY: Metric = Metric {
    title: "B a connection",
    digits: 0,
    more_is_better: false,
    value: |round| {
        let grown = round.server_private_bytes.saturating_sub(round.server_private_bytes_before);
        share(grown, float(round.connections))
    },
};

/// Private memory of the server, its own and that of the connections.
pub(crate) const WHOLE: Metric = Metric {
    title: "MB of the server",
    digits: 1,
    more_is_better: false,
    value: |round| {
        (round.server_private_bytes > 0).then(|| float(round.server_private_bytes) / 1e6)
    },
};

/// Percentiles of the latency.
pub(crate) const LATENCIES: [Metric; 4] = [
    latency("p50 µs", |round| percentile(&round.latency_ns, round.latency_ns.p50, 2)),
    latency("p99 µs", |round| percentile(&round.latency_ns, round.latency_ns.p99, 100)),
    latency("p99.9 µs", |round| percentile(&round.latency_ns, round.latency_ns.p99_9, 1000)),
    latency("p99.99 µs", |round| percentile(&round.latency_ns, round.latency_ns.p99_99, 10_000)),
];

/// One more, which only plots have.
pub(crate) const P90: Metric =
    latency("p90 µs", |round| percentile(&round.latency_ns, round.latency_ns.p90, 10));

const fn latency(title: &'static str, value: fn(&Outcome) -> Option<f64>) -> Metric {
    Metric { title, digits: 1, more_is_better: false, value }
}

/// In microseconds. `None`: so few messages have such a percentile only in name; it is their most.
fn percentile(latency: &Latency, nanoseconds: u64, count_min: u64) -> Option<f64> {
    (latency.count >= count_min).then(|| float(nanoseconds) / 1e3)
}

/// In microseconds.
fn per_message(round: &Outcome, nanoseconds: u64) -> Option<f64> {
    share(nanoseconds, float(round.messages) * 1e3)
}

fn share(value: u64, count: f64) -> Option<f64> {
    (count > 0.0).then(|| float(value) / count)
}

#[expect(clippy::cast_precision_loss, reason = "a table has no more than seven digits")]
const fn float(value: u64) -> f64 {
    value as f64
}

/// How ours stands to another one's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ratio {
    /// Ours by theirs, of the medians.
    pub(crate) value: f64,
    pub(crate) verdict: Verdict,
}

/// Who is ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Ours, in every round.
    Ours,
    /// The other one, in every round.
    Theirs,
    /// It depends on the round.
    Noise,
}

impl Metric {
    /// Of all rounds. `None`: the contestant has failed, or its rounds do not tell.
    pub(crate) fn spread(&self, entry: &Entry) -> Option<Spread> {
        if entry.failure.is_some() {
            return None;
        }
        let values: Option<Vec<f64>> = entry.rounds.iter().map(self.value).collect();
        Spread::of(values?)
    }

    /// How ours stands to another one's. `None`: the other one's is nothing.
    pub(crate) fn ratio(&self, ours: Spread, theirs: Spread) -> Option<Ratio> {
        let value = ours.median / theirs.median;
        let verdict = match (ours.differs(theirs), (value > 1.0) == self.more_is_better) {
            (false, _) => Verdict::Noise,
            (true, true) => Verdict::Ours,
            (true, false) => Verdict::Theirs,
        };
        value.is_finite().then_some(Ratio { value, verdict })
    }
}

impl Ratio {
    /// As tables have it: noise behind a sign, and bold where a peer is ahead, which the limit is
    /// not.
    pub(crate) fn cell(self, is_peer: bool) -> String {
        match self.verdict {
            Verdict::Noise => format!("≈ {:.2}", self.value),
            Verdict::Theirs if is_peer => format!("**{:.2}**", self.value),
            Verdict::Ours | Verdict::Theirs => format!("{:.2}", self.value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(values: [f64; 3]) -> Spread {
        Spread::of(values).expect("there are numbers")
    }

    #[test]
    fn who_is_ahead() {
        let (low, high) = (spread([1.0, 2.0, 3.0]), spread([4.0, 4.0, 5.0]));
        let cells = |metric: &Metric, ours, theirs| {
            let ratio = metric.ratio(ours, theirs).expect("there is one");
            (ratio.verdict, ratio.cell(true), ratio.cell(false))
        };
        let both = |peer: &str, other: &str| (peer.to_owned(), other.to_owned());
        let (bold, plain) = both("**0.50**", "0.50");
        assert_eq!(cells(&RATE, low, high), (Verdict::Theirs, bold, plain.clone()));
        assert_eq!(cells(&CPU, low, high), (Verdict::Ours, plain.clone(), plain));
        assert_eq!(cells(&CPU, high, low).0, Verdict::Theirs);
        assert_eq!(cells(&RATE, high, low).0, Verdict::Ours);
        let near = spread([3.0, 3.5, 9.0]);
        assert_eq!(cells(&RATE, high, near).1, "≈ 1.14");
        assert_eq!(cells(&CPU, low, near).0, Verdict::Noise);
        assert_eq!(CPU.ratio(low, spread([0.0; 3])), None);
    }

    #[test]
    fn what_a_round_tells() {
        let latency_ns = Latency { count: 999, p99: 2500, p99_9: 9000, ..Latency::default() };
        let round = Outcome {
            messages: 500,
            seconds: 2.0,
            connections: 10,
            server_user_ns: 1_000_000,
            server_system_ns: 500_000,
            server_private_bytes: 1_005_000,
            server_private_bytes_before: 1_001_000,
            latency_ns,
            ..Outcome::default()
        };
        let all = [&RATE, &CPU, &USER, &SYSTEM, &MEMORY, &WHOLE];
        let all = all.map(|metric| (metric.value)(&round));
        let values = [250.0, 3.0, 2.0, 1.0, 400.0, 1.005];
        assert_eq!(all, values.map(Some));
        let latencies = LATENCIES.map(|metric| (metric.value)(&round));
        assert_eq!(latencies, [Some(0.0), Some(2.5), None, None]);
        let nothing = Outcome::default();
        assert_eq!([RATE, CPU, MEMORY, WHOLE].map(|metric| (metric.value)(&nothing)), [None; 4]);
    }
}
