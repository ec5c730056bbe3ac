//! Counts by label: how connections ended, and how requests were refused.

use crate::cause::{Cause, Limit};

/// The name and the value of a label.
type Label = (&'static str, &'static str);

/// Connections by the cause of their end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends {
    counts: [u64; CAUSES.len()],
}

/// Connections by the status that they were answered with, and by the limit where one was to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    counts: [u64; ANSWERS.len()],
}

/// The labels of every cause, each once.
const CAUSES: [[Label; 2]; 39] = [
    row("peer_closed", ""),
    row("handler_closed", ""),
    row("gone", ""),
    row("io", ""),
    row("terminated", ""),
    row("stopped", ""),
    row("time_out", "handshake"),
    row("time_out", "idle"),
    row("time_out", "pong"),
    row("time_out", "send"),
    row("time_out", "outbox"),
    row("time_out", "message"),
    row("time_out", "lifetime"),
    row("time_out", "close"),
    row("policy", "slow_consumer"),
    row("limit", "frame_size"),
    row("limit", "message_size"),
    row("limit", "fragments"),
    row("limit", "connections"),
    row("limit", "connections_server"),
    row("limit", "connections_address"),
    row("limit", "handshakes"),
    row("limit", "handshake_rate"),
    row("limit", "upgrade_time"),
    row("limit", "descriptors"),
    row("violation", "reserved_bits"),
    row("violation", "reserved_opcode"),
    row("violation", "unmasked"),
    row("violation", "masked"),
    row("violation", "length_not_minimal"),
    row("violation", "length_too_large"),
    row("violation", "control_fragmented"),
    row("violation", "control_too_long"),
    row("violation", "continuation_unexpected"),
    row("violation", "continuation_expected"),
    row("violation", "invalid_utf8"),
    row("violation", "close_truncated"),
    row("violation", "close_code"),
    row("violation", "compression_corrupt"),
];

/// The statuses that the engine answers with and those that handlers are likely to, and within 503
/// the limits that turn peers away; the last row is for all others.
const ANSWERS: [(u16, [Label; 2]); 25] = [
    (200, answer("200", "")),
    (204, answer("204", "")),
    (302, answer("302", "")),
    (400, answer("400", "")),
    (401, answer("401", "")),
    (403, answer("403", "")),
    (404, answer("404", "")),
    (405, answer("405", "")),
    (408, answer("408", "")),
    (413, answer("413", "")),
    (414, answer("414", "")),
    (426, answer("426", "")),
    (429, answer("429", "")),
    (431, answer("431", "")),
    (500, answer("500", "")),
    (501, answer("501", "")),
    (503, answer("503", "")),
    (503, answer("503", "connections")),
    (503, answer("503", "connections_server")),
    (503, answer("503", "connections_address")),
    (503, answer("503", "handshakes")),
    (503, answer("503", "handshake_rate")),
    (503, answer("503", "upgrade_time")),
    (505, answer("505", "")),
    (0, answer("other", "")),
];

impl Ends {
    pub(crate) const COUNT: usize = CAUSES.len();

    /// The ends by causes with these [labels](Cause::labels).
    ///
    /// ```
    /// # use ringwire::{Config, Server};
    /// # let server = Server::bind("127.0.0.1:0", Config { workers: 1, ..Config::default() })?;
    /// let ended = server.handle().stats().ended;
    /// assert_eq!(ended.count(("time_out", "idle")), 0);
    /// # Ok::<(), ringwire::Error>(())
    /// ```
    #[must_use]
    pub fn count(&self, labels: (&str, &str)) -> u64 {
        place(labels).and_then(|place| self.counts.get(place)).copied().unwrap_or_default()
    }

    /// All ends.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Counts one. The labels are looked for: an end is rare beside what comes before it.
    pub(crate) fn add(&mut self, cause: &Cause) {
        let count = place(cause.labels()).and_then(|place| self.counts.get_mut(place));
        debug_assert!(count.is_some(), "{cause:?} has no row");
        if let Some(count) = count {
            *count += 1;
        }
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = (&'static [Label], u64)> + use<> {
        static ROWS: [[Label; 2]; CAUSES.len()] = CAUSES;
        ROWS.iter().map(|labels| &labels[..]).zip(self.counts)
    }

    pub(crate) const fn counts(&self) -> [u64; CAUSES.len()] {
        self.counts
    }

    pub(crate) fn from_counts(next: &mut impl FnMut() -> u64) -> Self {
        Self { counts: std::array::from_fn(|_| next()) }
    }
}

impl Refused {
    pub(crate) const COUNT: usize = ANSWERS.len();

    /// The answers with this status, if it has a row of its own: those of the engine have.
    #[must_use]
    pub fn count(&self, status: u16) -> u64 {
        let rows = ANSWERS.iter().zip(self.counts);
        rows.filter(|((row, _), _)| *row == status).map(|(_, count)| count).sum()
    }

    /// The answers, all with 503, to peers that a limit turned away.
    ///
    /// ```
    /// # use ringwire::{Config, Limit, Server};
    /// # let server = Server::bind("127.0.0.1:0", Config { workers: 1, ..Config::default() })?;
    /// let refused = server.handle().stats().refused;
    /// assert_eq!(refused.count_limit(Limit::ConnectionsAddress), 0);
    /// # Ok::<(), ringwire::Error>(())
    /// ```
    #[must_use]
    pub fn count_limit(&self, limit: Limit) -> u64 {
        let place = answer_place(503, limit.label());
        place.and_then(|place| self.counts.get(place)).copied().unwrap_or_default()
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Counts one; `limit` is what was to blame for it, if any was.
    pub(crate) fn add(&mut self, status: u16, limit: Option<Limit>) {
        let place = answer_place(status, limit.map_or("", Limit::label));
        debug_assert!(place.is_some() || limit.is_none(), "{status} for {limit:?} has no row");
        if let Some(count) = self.counts.get_mut(place.unwrap_or(ANSWERS.len() - 1)) {
            *count += 1;
        }
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = (&'static [Label], u64)> + use<> {
        static ROWS: [(u16, [Label; 2]); ANSWERS.len()] = ANSWERS;
        ROWS.iter().map(|(_, labels)| &labels[..]).zip(self.counts)
    }

    pub(crate) const fn counts(&self) -> [u64; ANSWERS.len()] {
        self.counts
    }

    pub(crate) fn from_counts(next: &mut impl FnMut() -> u64) -> Self {
        Self { counts: std::array::from_fn(|_| next()) }
    }
}

impl Default for Ends {
    fn default() -> Self {
        Self { counts: [0; CAUSES.len()] }
    }
}

impl Default for Refused {
    fn default() -> Self {
        Self { counts: [0; ANSWERS.len()] }
    }
}

/// The row of these labels.
fn place((kind, detail): (&str, &str)) -> Option<usize> {
    CAUSES.iter().position(|[(_, first), (_, second)]| *first == kind && *second == detail)
}

/// The row of this answer.
fn answer_place(status: u16, limit: &str) -> Option<usize> {
    ANSWERS.iter().position(|(row, [_, (_, detail)])| *row == status && *detail == limit)
}

const fn answer(status: &'static str, limit: &'static str) -> [Label; 2] {
    [("status", status), ("limit", limit)]
}

const fn row(kind: &'static str, detail: &'static str) -> [Label; 2] {
    [("cause", kind), ("detail", detail)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::{Closer, Limit, Policy, TimeOut};
    use ringwire_protocol::Violation;

    /// Every cause. A new limit or time-out does not compile here before it has a place.
    fn every() -> Vec<Cause> {
        let mut every = vec![
            Cause::PeerClosed { code: 1000 },
            Cause::HandlerClosed,
            Cause::Gone,
            Cause::Io(std::io::ErrorKind::Other.into()),
            Cause::Terminated,
            Cause::Stopped,
            Cause::Policy(Policy::SlowConsumer),
        ];
        let next = |limit| match limit {
            Limit::FrameSize => Some(Limit::MessageSize),
            Limit::MessageSize => Some(Limit::Fragments),
            Limit::Fragments => Some(Limit::Connections),
            Limit::Connections => Some(Limit::ConnectionsServer),
            Limit::ConnectionsServer => Some(Limit::ConnectionsAddress),
            Limit::ConnectionsAddress => Some(Limit::Handshakes),
            Limit::Handshakes => Some(Limit::HandshakeRate),
            Limit::HandshakeRate => Some(Limit::UpgradeTime),
            Limit::UpgradeTime => Some(Limit::Descriptors),
            Limit::Descriptors => None,
        };
        let limits = std::iter::successors(Some(Limit::FrameSize), |limit| next(*limit));
        every.extend(limits.map(Cause::Limit));
        let next = |time_out| match time_out {
            TimeOut::Handshake => Some(TimeOut::Idle),
            TimeOut::Idle => Some(TimeOut::Pong),
            TimeOut::Pong => Some(TimeOut::Send),
            TimeOut::Send => Some(TimeOut::Outbox),
            TimeOut::Outbox => Some(TimeOut::Message),
            TimeOut::Message => Some(TimeOut::Lifetime),
            TimeOut::Lifetime => Some(TimeOut::Close),
            TimeOut::Close => None,
        };
        let time_outs = std::iter::successors(Some(TimeOut::Handshake), |it| next(*it));
        every.extend(time_outs.map(Cause::TimeOut));
        // Those that are limits come as such, once more.
        every.extend(Violation::ALL.map(|violation| Closer::violated(violation, 0)));
        every
    }

    #[test]
    fn every_cause_has_a_row_and_every_row_a_cause() {
        let mut ends = Ends::default();
        for (index, cause) in every().iter().enumerate() {
            let before = ends.count(cause.labels());
            ends.add(cause);
            assert_eq!(ends.count(cause.labels()), before + 1, "{cause:?}");
            assert_eq!(ends.total(), index as u64 + 1);
        }
        for (labels, count) in ends.rows() {
            assert!(count > 0, "{labels:?} are of no cause");
        }
        assert_eq!(ends.count(("no such", "cause")), 0);
    }

    #[test]
    fn statuses() {
        let mut refused = Refused::default();
        for status in [503, 503, 426, 299] {
            refused.add(status, None);
        }
        assert_eq!((refused.count(503), refused.count(426), refused.count(299)), (2, 1, 0));
        assert_eq!(refused.total(), 4);
        let last = [("status", "other"), ("limit", "")];
        assert_eq!(refused.rows().last(), Some((&last[..], 1)));
        for refusal_status in [400, 403, 405, 408, 413, 414, 426, 431, 500, 501, 503, 505] {
            assert!(answer_place(refusal_status, "").is_some());
        }
    }

    #[test]
    fn limits_within_a_status() {
        let mut refused = Refused::default();
        refused.add(503, None);
        let limits = [
            Limit::Connections,
            Limit::ConnectionsServer,
            Limit::ConnectionsAddress,
            Limit::Handshakes,
            Limit::HandshakeRate,
            Limit::UpgradeTime,
        ];
        for limit in limits {
            refused.add(503, Some(limit));
            refused.add(503, Some(limit));
            assert_eq!(refused.count_limit(limit), 2, "{limit:?}");
        }
        assert_eq!((refused.count(503), refused.total()), (13, 13));
        assert_eq!(refused.count_limit(Limit::MessageSize), 0, "that is no answer");
    }
}
