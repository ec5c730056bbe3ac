//! What is asked of the contestants.

use std::error::Error;

use crate::contestant::{Contestant, HOST_LIMIT, LIMIT, SPINNING, Service};

/// One kind of load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    /// The first part of its name, which chooses all that begin with it.
    family: &'static str,
    /// Connections, the second part of its name where a family has several.
    pub(crate) connections: u32,
    is_alone: bool,
    /// `echo`, `connect`, `idle` or `fanout`.
    pub(crate) mode: &'static str,
    /// Bytes of a message.
    size: u32,
    /// Messages in flight on each connection.
    depth: u32,
    /// The next ones leave when all have come back, instead of one for each that comes back.
    burst: bool,
    text: bool,
    compressed: bool,
    pub(crate) pace: Pace,
    /// Whether its system calls are counted.
    pub(crate) is_counted: bool,
    /// What of it is plotted.
    pub(crate) plot: Option<Plot>,
}

/// Who sets the pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// The server: as fast as it answers.
    Server,
    /// A schedule: half of what the slowest contestant answers of [`MEASURE`].
    Half,
}

/// What a plot shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Plot {
    /// CPU time a message.
    Cpu,
    /// Percentiles of the latency.
    Latency,
}

/// The workload that says how much half of the load is.
pub(crate) const MEASURE: &str = "echo-20-100";

/// So many rounds of a latency for one of a throughput.
pub(crate) const LATENCY_ROUNDS: u64 = 3;

const ECHO: Workload = Workload {
    family: "echo-20",
    connections: 100,
    is_alone: true,
    mode: "echo",
    size: 20,
    depth: 1,
    burst: false,
    text: false,
    compressed: false,
    pace: Pace::Server,
    is_counted: true,
    plot: None,
};

/// All of them, in their order.
pub(crate) fn all() -> Vec<Workload> {
    let mut all = Vec::new();
    for (family, size) in
        [("echo-20", 20), ("echo-1k", 1 << 10), ("echo-16k", 16 << 10), ("echo-1m", 1 << 20)]
    {
        for connections in [1, 100, 1000, 10_000] {
            // 10,000 messages of 1 MiB at once measure the memory of the machine.
            if size == 1 << 20 && connections == 10_000 {
                continue;
            }
            let is_main = connections == 100;
            let plot = is_main.then_some(Plot::Cpu);
            all.push(Workload {
                family,
                size,
                connections,
                is_alone: false,
                is_counted: is_main,
                plot,
                ..ECHO
            });
        }
    }
    let (burst, cpu) = (true, Some(Plot::Cpu));
    all.extend([
        Workload { family: "pipelined-32", depth: 32, burst, plot: cpu, ..ECHO },
        Workload { family: "burst-1000", depth: 1000, connections: 50, burst, plot: cpu, ..ECHO },
        Workload { family: "text-1k", size: 1 << 10, text: true, ..ECHO },
        Workload { family: "binary-1k", size: 1 << 10, ..ECHO },
        Workload {
            family: "compressed-1k",
            size: 1 << 10,
            text: true,
            compressed: true,
            plot: cpu,
            ..ECHO
        },
        Workload { family: "connect", mode: "connect", ..ECHO },
        Workload { family: "idle", mode: "idle", connections: 10_000, is_counted: false, ..ECHO },
        Workload {
            family: "fan-out",
            mode: "fanout",
            connections: 1000,
            size: 100,
            is_counted: false,
            ..ECHO
        },
    ]);
    let plot = Some(Plot::Latency);
    all.extend([
        Workload { family: "latency-half", pace: Pace::Half, is_counted: false, plot, ..ECHO },
        Workload { family: "ping-pong", connections: 1, is_counted: false, plot, ..ECHO },
    ]);
    all
}

/// Those whose names or families stand in a list with commas, in the order of [`all`]; without a
/// list, all. Where one needs the [`MEASURE`], that comes first.
pub(crate) fn chosen(names: &str) -> Result<Vec<Workload>, Box<dyn Error>> {
    let mut all = all();
    if names.is_empty() {
        return Ok(all);
    }
    let names: Vec<&str> = names.split(',').collect();
    for name in &names {
        if !all.iter().any(|workload| workload.is_called(name)) {
            let known: Vec<_> = all.iter().map(Workload::name).collect();
            let known = known.join(", ");
            return Err(format!("there is no workload {name}; there are {known}").into());
        }
    }
    let is_chosen = |workload: &Workload| names.iter().any(|name| workload.is_called(name));
    let is_measured = all.iter().any(|one| one.pace == Pace::Half && is_chosen(one));
    all.retain(|one| is_chosen(one) || is_measured && one.name() == MEASURE);
    Ok(all)
}

impl Workload {
    /// As `--only` and the record have it.
    pub(crate) fn name(&self) -> String {
        let Self { family, connections, is_alone, .. } = self;
        if *is_alone { (*family).to_owned() } else { format!("{family}-{connections}") }
    }

    fn is_called(&self, name: &str) -> bool {
        self.family == name || self.name() == name
    }

    /// As tables have it.
    pub(crate) fn title(&self) -> String {
        let count = match self.connections {
            1 => "one connection".to_owned(),
            count => format!("{count} connections"),
        };
        let size = match self.size {
            size if size >= 1 << 20 => format!("{} MiB", size >> 20),
            size if size >= 1 << 10 => format!("{} KiB", size >> 10),
            size => format!("{size} B"),
        };
        let kind = match (self.compressed, self.text) {
            (true, _) => "JSON, compressed",
            (false, true) => "text",
            (false, false) => "binary",
        };
        match (self.mode, self.depth) {
            ("connect", _) => format!("connect, upgrade, close; {count} at once"),
            ("idle", _) => format!("{count}, idle"),
            ("fanout", _) => format!("{size} published to {count}, one topic"),
            (_, depth) if depth > 1 => format!("{depth} × {size} in flight, {kind}, {count}"),
            _ if self.pace == Pace::Half => format!("{size}, {kind}, {count}, half load"),
            _ => format!("{size}, {kind}, {count}"),
        }
    }

    /// The server that it needs.
    pub(crate) fn service(&self) -> Service {
        match self.mode {
            "fanout" => Service::FanOut,
            _ => Service::Echo { compressed: self.compressed },
        }
    }

    /// How many rounds there are of it, where there are so many of the others. What a tail is
    /// shows in few of them: a pause of the machine's is the tail of a round.
    pub(crate) fn rounds(&self, rounds: u64) -> u64 {
        if self.plot == Some(Plot::Latency) { LATENCY_ROUNDS * rounds } else { rounds }
    }

    /// Whether a contestant takes part.
    pub(crate) fn wants(&self, contestant: &Contestant) -> bool {
        let is_latency = self.plot == Some(Plot::Latency);
        let is_plain = matches!(self.mode, "echo" | "idle") && !self.compressed;
        contestant.serves(self.service())
            && (contestant.name != SPINNING || is_latency)
            && (![LIMIT, HOST_LIMIT].contains(&contestant.name) || is_plain)
    }

    /// With no more connections than this. `None`: its name says more.
    pub(crate) fn with_connections_max(self, connections_max: u32) -> Option<Self> {
        let fits = self.is_alone || self.connections <= connections_max;
        fits.then(|| Self { connections: self.connections.min(connections_max), ..self })
    }

    /// What `load` is told of it, but for times and the server.
    pub(crate) fn arguments(&self, contestant: &Contestant) -> Vec<String> {
        let is_raw = [LIMIT, HOST_LIMIT].contains(&contestant.name);
        let number = |flag: bool| if flag { "1" } else { "0" }.to_owned();
        let options = [
            ("--protocol", if is_raw { "tcp" } else { "ws" }.to_owned()),
            ("--mode", self.mode.to_owned()),
            ("--connections", self.connections.to_string()),
            ("--size", self.size.to_string()),
            ("--depth", self.depth.to_string()),
            ("--burst", number(self.burst)),
            ("--kind", if self.text { "text" } else { "binary" }.to_owned()),
            ("--compressed", number(self.compressed)),
        ];
        options.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::contestant::ALL;

    fn names(list: &str) -> Vec<String> {
        chosen(list).expect("they are known").iter().map(Workload::name).collect()
    }

    #[test]
    fn names_and_titles_differ() {
        let all = all();
        assert_eq!(all.len(), 25);
        let distinct: BTreeSet<_> = all.iter().map(Workload::name).collect();
        assert_eq!(distinct.len(), all.len());
        assert!(distinct.contains(MEASURE));
    }

    #[test]
    fn a_name_or_a_family_chooses() {
        assert_eq!(names("echo-1m"), ["echo-1m-1", "echo-1m-100", "echo-1m-1000"]);
        assert_eq!(names("idle,echo-20-1"), ["echo-20-1", "idle"]);
        assert_eq!(names("latency-half"), [MEASURE, "latency-half"]);
        assert_eq!(names("").len(), all().len());
        let error = chosen("echo-2").expect_err("there is none").to_string();
        assert!(error.starts_with("there is no workload echo-2; there are echo-20-1,"), "{error}");
    }

    #[test]
    fn who_takes_part() {
        let takers = |name: &str| -> Vec<&str> {
            let workloads = chosen(name).expect("it is known");
            let workload = workloads.last().expect("it is there");
            ALL.iter().filter(|one| workload.wants(one)).map(|one| one.name).collect()
        };
        assert_eq!(takers("ping-pong").len(), ALL.len());
        assert_eq!(takers("echo-20-100").len(), ALL.len() - 1);
        assert!(!takers("compressed-1k").contains(&LIMIT));
        assert!(!takers("connect").contains(&LIMIT));
        let fans_out = ["ringwire", "ringwire-epoll", "uwebsockets", "tungstenite", "sockudo"];
        assert_eq!(takers("fan-out"), fans_out);
    }

    #[test]
    fn what_load_is_told() {
        let workloads = chosen("pipelined-32").expect("it is known");
        let told = |contestant: usize| workloads[0].arguments(&ALL[contestant]).join(" ");
        let rest = "--mode echo --connections 100 --size 20 --depth 32 --burst 1 --kind binary \
                    --compressed 0";
        assert_eq!(told(0), format!("--protocol ws {rest}"));
        assert_eq!(told(2), told(0));
        assert_eq!(told(3), format!("--protocol tcp {rest}"));
        let few = workloads[0].with_connections_max(7).expect("it may have fewer");
        assert_eq!((few.connections, few.name()), (7, "pipelined-32".to_owned()));
        assert!(all()[1].with_connections_max(99).is_none());
    }
}
