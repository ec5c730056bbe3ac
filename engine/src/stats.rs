//! What a worker counts.

use std::iter::Sum;
use std::ops::AddAssign;

use ringwire_protocol::Traffic;

use crate::cause::{Cause, Limit};
use crate::tally::{Ends, Refused};

/// Defines [`Stats`] and what goes over its single numbers, so that none can be left out anywhere.
macro_rules! stats {
    ($($name:ident: $help:literal,)+) => {
        /// What has been counted since the start: by one worker, or as a sum by all of a server's.
        ///
        /// Of all connections that were accepted each is, at any time, in one place:
        ///
        /// ```text
        ///   accepted = opening() + refused + unanswered + opened
        ///   opened   = open() + ended + released
        /// ```
        ///
        /// ```
        /// use ringwire::{Config, Server};
        ///
        /// let server = Server::bind("127.0.0.1:0", Config { workers: 1, ..Config::default() })?;
        /// let stats = server.handle().stats();
        /// assert_eq!((stats.opened, stats.open()), (0, 0));
        /// for sample in stats.samples() {
        ///     println!("{} {:?} {}", sample.name, sample.labels, sample.value);
        /// }
        /// # Ok::<(), ringwire::Error>(())
        /// ```
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Stats {
            $(#[doc = $help] pub $name: u64,)+
            /// Connections that were answered with something else than 101, by status and limit.
            pub refused: Refused,
            /// Connections that ended before their request was answered, by cause.
            pub unanswered: Ends,
            /// Connections that were open and have ended, by cause.
            pub ended: Ends,
        }

        const NAMES: &[(&str, &str)] = &[$((stringify!($name), $help)),+];

        impl Stats {
            fn numbers(&self) -> impl Iterator<Item = u64> + use<> {
                [$(self.$name),+].into_iter()
            }

            /// The inverse of [`Stats::words`].
            pub(crate) fn from_words(mut words: impl Iterator<Item = u64>) -> Self {
                let mut next = || words.next().unwrap_or_default();
                Self {
                    $($name: next(),)+
                    refused: Refused::from_counts(&mut next),
                    unanswered: Ends::from_counts(&mut next),
                    ended: Ends::from_counts(&mut next),
                }
            }
        }
    };
}

stats! {
    accepted: "Connections that the kernel or another server has handed over.",
    adopted: "Of these, those of another server.",
    opened: "Connections that were opened: answered with 101, here or elsewhere.",
    deferred: "Requests whose answer the handler has put off.",
    released: "Connections that were open and have been given away.",
    messages_received: "Whole messages that were handed to the handler.",
    messages_sent: "Messages that were queued.",
    messages_dropped: "Messages that were dropped, since the peer takes too little.",
    bytes_dropped: "Bytes of the messages that were dropped.",
    messages_conflated: "Messages that waited and were replaced by newer ones.",
    gaps_told: "Gaps that peers were told of.",
    payload_bytes_received: "Bytes of the messages that were handed to the handler.",
    payload_bytes_sent: "Bytes of the messages that were queued.",
    bytes_received: "Bytes that the kernel has handed over.",
    bytes_sent: "Bytes that the kernel has taken.",
    frames_received: "Frames whose header has arrived and is right.",
    frames_sent: "Frames that were queued.",
    pings_received: "Pings that have arrived.",
    pings_sent: "Pings that were queued.",
    pongs_received: "Pongs that have arrived, asked for or not.",
    pongs_sent: "Pongs that were queued.",
    messages_compressed: "Messages that were compressed. One for many connections counts once.",
    compression_bytes_before: "Bytes of these messages before that.",
    compression_bytes_after: "Bytes of these messages after that.",
    receives: "Pieces in which bytes have arrived.",
    receives_without_buffer: "Receives that ended because all receive buffers were in use.",
    sends: "Sends that were given to the kernel.",
    sends_short: "Sends of which the kernel took only a part.",
    backlogs: "Times that a peer fell behind and was read no more.",
    drains: "Times that such a peer has caught up.",
    accept_pauses: "Times that accepting rested after an error.",
    turns: "Turns of the loop.",
    completions: "Completions that these turns have handled.",
    enters: "Times that the kernel was entered to submit or wait; without a ring, each operation.",
    wakeups: "Times that another thread woke the worker.",
    publications: "Messages published, as this worker has seen them.",
    deliveries: "Subscribers of this worker that these have reached.",
    retained_refused: "Posts that were to be retained, and were not, since there was no room.",
    mails: "Requests of other threads that were carried out.",
    timers: "Deadlines that have passed.",
}

/// One number of [`Stats`], for an exporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sample {
    /// What it is called, in small letters and underscores, without a prefix or a suffix.
    pub name: &'static str,
    /// One sentence about it.
    pub help: &'static str,
    /// Whether it can fall. All others only grow, from 0 at the start.
    pub is_gauge: bool,
    /// Names and values of what tells it from others of the same name, which come right before or
    /// after it.
    pub labels: &'static [(&'static str, &'static str)],
    /// The number.
    pub value: u64,
}

impl Stats {
    /// How many numbers there are, without those that follow from others.
    pub(crate) const COUNT: usize = NAMES.len() + Refused::COUNT + 2 * Ends::COUNT;

    /// Changes whenever anything has happened but a turn of the loop.
    #[inline]
    pub(crate) const fn activity(&self) -> u64 {
        let outside = self.completions.wrapping_add(self.mails).wrapping_add(self.timers);
        // What has arrived may be handled in a later turn, in which nothing completes.
        outside.wrapping_add(self.messages_received)
    }

    /// Connections that are open now.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.opened.saturating_sub(self.ended.total() + self.released)
    }

    /// Connections now in their opening handshake.
    #[must_use]
    pub fn opening(&self) -> u64 {
        let over = self.refused.total() + self.unanswered.total() + self.opened;
        self.accepted.saturating_sub(over)
    }

    /// Peers that this limit turned away before their request was answered, with 503 or, where that
    /// was being said to many, without a word.
    #[must_use]
    pub fn turned_away(&self, limit: Limit) -> u64 {
        let ended = self.unanswered.count(Cause::Limit(limit).labels());
        self.refused.count_limit(limit) + ended
    }

    /// Everything, each with its name: what an exporter needs.
    pub fn samples(&self) -> impl Iterator<Item = Sample> + use<> {
        let gauge = |name, help, value| Sample { is_gauge: true, ..Sample::new(name, help, value) };
        let gauges = [
            gauge("opening", "Connections now in their opening handshake.", self.opening()),
            gauge("open", "Connections that are open now.", self.open()),
        ];
        let numbers = NAMES.iter().zip(self.numbers());
        let numbers = numbers.map(|(&(name, help), value)| Sample::new(name, help, value));
        let help = "Connections that were answered with something else than 101.";
        let refused = self
            .refused
            .rows()
            .map(move |(labels, value)| Sample { labels, ..Sample::new("refused", help, value) });
        let ends = |ends: &Ends, name, help| {
            ends.rows()
                .map(move |(labels, value)| Sample { labels, ..Sample::new(name, help, value) })
        };
        let help = "Connections that ended before their request was answered.";
        let unanswered = ends(&self.unanswered, "unanswered", help);
        let ended = ends(&self.ended, "ended", "Connections that were open and have ended.");
        gauges.into_iter().chain(numbers).chain(refused).chain(unanswered).chain(ended)
    }

    /// All numbers, in an order that stays.
    pub(crate) fn words(&self) -> impl Iterator<Item = u64> + use<> {
        let (refused, unanswered) = (self.refused.counts(), self.unanswered.counts());
        self.numbers().chain(refused).chain(unanswered).chain(self.ended.counts())
    }

    /// What the protocol has counted.
    pub(crate) const fn set_traffic(&mut self, traffic: &Traffic) {
        self.frames_received = traffic.frames_received;
        self.frames_sent = traffic.frames_sent;
        self.pings_received = traffic.pings_received;
        self.pings_sent = traffic.pings_sent;
        self.pongs_received = traffic.pongs_received;
        self.pongs_sent = traffic.pongs_sent;
        self.messages_compressed = traffic.messages_compressed;
        self.compression_bytes_before = traffic.compression_bytes_before;
        self.compression_bytes_after = traffic.compression_bytes_after;
    }
}

impl Sample {
    const fn new(name: &'static str, help: &'static str, value: u64) -> Self {
        Self { name, help, is_gauge: false, labels: &[], value }
    }
}

impl AddAssign<&Self> for Stats {
    fn add_assign(&mut self, other: &Self) {
        *self = Self::from_words(self.words().zip(other.words()).map(|(a, b)| a.wrapping_add(b)));
    }
}

impl<'a> Sum<&'a Self> for Stats {
    fn sum<I: Iterator<Item = &'a Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, one| {
            sum += one;
            sum
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each number another one.
    fn distinct() -> Stats {
        Stats::from_words(1..)
    }

    #[test]
    fn words_are_all_there_is() {
        let stats = distinct();
        assert!(stats.words().eq(1..=Stats::COUNT as u64));
        assert_eq!(Stats::from_words(stats.words()), stats);
        assert_eq!((stats.accepted, stats.adopted), (1, 2));
        let twice: Stats = [&stats, &stats].into_iter().sum();
        assert!(twice.words().eq((1..=Stats::COUNT as u64).map(|word| 2 * word)));
    }

    #[test]
    fn every_sample_is_of_its_own() {
        let samples: Vec<Sample> = distinct().samples().collect();
        assert_eq!(samples.len(), Stats::COUNT + 2);
        for (index, sample) in samples.iter().enumerate() {
            let same = |other: &&Sample| (other.name, other.labels) == (sample.name, sample.labels);
            assert_eq!(samples.iter().filter(same).count(), 1, "{sample:?}");
            let previous = index.checked_sub(1).and_then(|index| samples.get(index));
            let before = samples.iter().take(index).any(|other| other.name == sample.name);
            let is_next = previous.is_some_and(|previous| previous.name == sample.name);
            assert_eq!(before, is_next, "{sample:?} stands apart from its name");
        }
        let counts: Vec<u64> =
            samples.iter().filter(|sample| !sample.is_gauge).map(|sample| sample.value).collect();
        assert!(counts.into_iter().eq(distinct().words()));
    }

    #[test]
    fn each_connection_is_in_one_place() {
        let mut stats = Stats { accepted: 7, opened: 3, ..Stats::default() };
        assert_eq!((stats.opening(), stats.open()), (4, 3));
        stats.refused.add(503, Some(Limit::Handshakes));
        stats.unanswered.add(&Cause::Gone);
        stats.ended.add(&Cause::Terminated);
        assert_eq!((stats.opening(), stats.open()), (2, 2));
        stats.unanswered.add(&Cause::Limit(Limit::Handshakes));
        assert_eq!((stats.turned_away(Limit::Handshakes), stats.opening()), (2, 1));
    }
}
