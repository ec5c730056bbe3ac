//! How long messages take from stage to stage, as other threads read it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::driver::Clock;
use crate::histogram::Histogram;

/// How long messages took from stage to stage since the start, where
/// [`Config::measure_latency`](crate::Config::measure_latency) is on; empty where it is off.
///
/// ```text
///   the call ──▶ encoded ──▶ submitted ──▶ completed      one recipient
///      ├───────────────────────────────────▶ message
///      ├──────────────▶ first                             all recipients of a worker
///      └─────────────────────────────────────────▶ last
/// ```
///
/// The call is that of [`Handle`](crate::Handle) on any thread, when it has its message, or of
/// [`Connection`](crate::Connection) in a handler. Encoded is when the first recipient's frame is
/// in an outbox; submitted, when the send with that frame is given to the driver, from which the
/// kernel takes it at once or before the worker waits next; completed, when the worker hears that
/// the kernel has taken its last byte. What the network and the peer make of it is not in it.
///
/// A send carries what one turn has queued for a connection; the oldest message in it is measured.
/// Of a message for many that is the first recipient on each worker, every 64th after it and the
/// last, and of 4,096 connections at a time. What waits in the queue of a slow consumer is not
/// measured beyond its encoding.
///
/// ```
/// use ringwire::{Config, Server};
///
/// let config = Config { workers: 1, measure_latency: true, ..Config::default() };
/// let server = Server::bind("127.0.0.1:0", config)?;
/// for (stage, times) in server.handle().latencies().stages() {
///     println!("{stage}: {} ns, {} ns", times.percentile(50.0), times.percentile(99.9));
/// }
/// # Ok::<(), ringwire::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Latencies {
    /// From the call to the encoding.
    pub encoded: Histogram,
    /// From the encoding to the submission.
    pub submitted: Histogram,
    /// From the submission to the completion.
    pub completed: Histogram,
    /// From the call to the completion.
    pub message: Histogram,
    /// Of a message for many, from the call to the submission for the first recipient.
    pub first: Histogram,
    /// Of a message for many, from the call to the completion for the last recipient.
    pub last: Histogram,
}

impl Latencies {
    const WORDS: usize = 6 * Histogram::WORDS;

    /// Bytes of all of them.
    pub(crate) const SIZE: usize = Self::WORDS * size_of::<u64>();

    /// Each with its name.
    pub fn stages(&self) -> impl Iterator<Item = (&'static str, &Histogram)> {
        [
            ("encoded", &self.encoded),
            ("submitted", &self.submitted),
            ("completed", &self.completed),
            ("message", &self.message),
            ("first", &self.first),
            ("last", &self.last),
        ]
        .into_iter()
    }

    fn words(&self) -> impl Iterator<Item = u64> + '_ {
        self.stages().flat_map(|(_, histogram)| histogram.words())
    }

    fn from_words(mut words: impl Iterator<Item = u64>) -> Self {
        let mut next = || words.next().unwrap_or_default();
        // In the order of `stages`.
        Self {
            encoded: Histogram::from_words(&mut next),
            submitted: Histogram::from_words(&mut next),
            completed: Histogram::from_words(&mut next),
            message: Histogram::from_words(&mut next),
            first: Histogram::from_words(&mut next),
            last: Histogram::from_words(&mut next),
        }
    }

    fn add(&mut self, other: &Self) {
        self.encoded += &other.encoded;
        self.submitted += &other.submitted;
        self.completed += &other.completed;
        self.message += &other.message;
        self.first += &other.first;
        self.last += &other.last;
    }
}

/// The clock by which a server measures, and what its workers have made known. As on the boards of
/// counters, each word has one writer, which no reader holds up.
#[derive(Debug)]
pub(crate) struct Measuring {
    pub(crate) clock: Clock,
    /// By worker.
    boards: Box<[Box<[AtomicU64]>]>,
}

impl Measuring {
    pub(crate) fn new(clock: Clock, workers: usize) -> Arc<Self> {
        let board = |_| (0..Latencies::WORDS).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self { clock, boards: (0..workers).map(board).collect() })
    }

    /// Makes known what a worker has measured. Its own thread does, ten times a second at most: it
    /// takes some microseconds.
    pub(crate) fn publish(&self, worker: u8, latencies: &Latencies) {
        let Some(board) = self.boards.get(usize::from(worker)) else { return };
        for (word, value) in board.iter().zip(latencies.words()) {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// What all workers made known last.
    pub(crate) fn read(&self) -> Latencies {
        let mut sum = Latencies::default();
        for board in &self.boards {
            let words = board.iter().map(|word| word.load(Ordering::Relaxed));
            sum.add(&Latencies::from_words(words));
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_published_is_summed_up() {
        let measuring = Measuring::new(Clock::system(), 2);
        assert_eq!(measuring.read(), Latencies::default());
        let mut latencies = Latencies::default();
        latencies.encoded.record(Duration::from_nanos(7));
        latencies.last.record(Duration::from_nanos(9));
        measuring.publish(0, &latencies);
        assert_eq!(measuring.read(), latencies);
        measuring.publish(1, &latencies);
        let sum = measuring.read();
        assert_eq!((sum.encoded.count(), sum.last.count(), sum.first.count()), (2, 2, 0));
        assert_eq!((sum.encoded.max(), sum.last.max()), (7, 9));
        assert_eq!(Latencies::from_words(sum.words()), sum);
    }
}
