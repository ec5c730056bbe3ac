//! The thread that makes quotes and publishes them.
//!
//! Each quote is published in each encoding that is wanted, and in no other. The first who connects
//! for an encoding finds its connection paused until the last value of every instrument has been
//! published in it, so that nothing is missing or old in what it is sent first.
//!
//! **Back-pressure.** Where the mailbox of a worker is full, the quote is lost to its subscribers.
//! The generator then waits, and makes a newer quote of the same instrument before any other: the
//! subscribers see a gap in the sequence, and no instrument stays at an old price. What could not
//! be made meanwhile is not made later, and is counted.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use ringwire::{ConnectionId, Handle, HandleError, Post, PublishError};

use crate::demand::Demand;
use crate::instruments::Instruments;
use crate::pace::Pace;
use crate::quote::{Encoding, Quote};
use crate::walk::Walks;

/// What workers tell the generator.
#[derive(Debug)]
pub(crate) enum Notice {
    /// A connection is open, and paused until the generator resumes it.
    Opened(Encoding, ConnectionId),
    /// A connection that was open has ended.
    Closed(Encoding),
}

/// What the generator has counted. A clone shares the numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    made: Counter,
    refused: Counter,
    skipped: Counter,
}

impl Counters {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("market");
        registry.register("quotes", "Quotes made", self.made.clone());
        let help = "Quotes that some worker had no room for";
        registry.register("quotes_refused", help, self.refused.clone());
        let help = "Quotes that were due and not made, for want of room or of time";
        registry.register("quotes_skipped", help, self.skipped.clone());
    }
}

/// Makes quotes until all who could tell it something have gone.
pub(crate) struct Generator {
    handle: Handle,
    instruments: Arc<Instruments>,
    notices: Receiver<Notice>,
    walks: Walks,
    /// The newest of each instrument.
    quotes: Box<[Quote]>,
    pace: Pace,
    /// By encoding.
    demands: [Demand; Encoding::ALL.len()],
    /// What is to be done before any other quote.
    tasks: VecDeque<Task>,
    counters: Counters,
    /// The topic of a quote, and the quote, while they are put together.
    topic: String,
    text: String,
}

/// Something to be done as soon as there is room for it.
#[derive(Debug)]
enum Task {
    /// Publish the newest quotes in an encoding, from this instrument on.
    Refresh(Encoding, usize),
    Resume(ConnectionId),
    /// Make another quote of an instrument.
    Again(usize),
}

/// A worker had no room.
struct NoRoom;

/// How long a worker is given to make room.
const PATIENCE: Duration = Duration::from_millis(1);

impl Generator {
    pub(crate) fn new(
        handle: Handle,
        instruments: Arc<Instruments>,
        notices: Receiver<Notice>,
        (seed, rate): (u64, u32),
        counters: Counters,
    ) -> Self {
        let mut walks = Walks::new(seed, instruments.count());
        let time = now();
        let first = |index| Quote { sequence: 1, time, prices: walks.step(index) };
        Self {
            quotes: (0..instruments.count()).map(first).collect(),
            handle,
            instruments,
            notices,
            walks,
            pace: Pace::new(rate),
            demands: [Demand::default(); Encoding::ALL.len()],
            tasks: VecDeque::new(),
            counters,
            topic: String::new(),
            text: String::new(),
        }
    }

    /// Makes quotes until the server has ended, and with it all who hold the other end of the
    /// notices.
    pub(crate) fn run(mut self) {
        let start = Instant::now();
        let mut wait = Duration::ZERO;
        loop {
            match self.notices.recv_timeout(wait) {
                Ok(notice) => self.take(notice, start.elapsed()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            wait = match self.turn(start.elapsed()) {
                Ok(()) => self.pace.wait(start.elapsed()),
                Err(NoRoom) => PATIENCE,
            };
        }
    }

    fn take(&mut self, notice: Notice, now: Duration) {
        match notice {
            Notice::Opened(encoding, connection) => {
                if self.demands[encoding as usize].open() {
                    self.tasks.push_back(Task::Refresh(encoding, 0));
                }
                self.tasks.push_back(Task::Resume(connection));
            }
            Notice::Closed(encoding) => self.demands[encoding as usize].close(now),
        }
    }

    /// Does what waits, then makes the quotes that are due.
    fn turn(&mut self, now: Duration) -> Result<(), NoRoom> {
        for demand in &mut self.demands {
            demand.pass(now);
        }
        while let Some(task) = self.tasks.pop_front() {
            self.perform(task)?;
        }
        let (due, skipped) = self.pace.due(now);
        self.counters.skipped.inc_by(skipped);
        for _ in 0..due {
            self.pace.pass();
            let index = self.walks.next();
            self.quote(index)?;
        }
        Ok(())
    }

    /// Does a task. What of it there is no room for becomes the first task again.
    fn perform(&mut self, task: Task) -> Result<(), NoRoom> {
        match task {
            Task::Refresh(encoding, first) => {
                for index in first..self.quotes.len() {
                    if self.publish(index, encoding).is_err() {
                        self.tasks.push_front(Task::Refresh(encoding, index));
                        return Err(NoRoom);
                    }
                }
                Ok(())
            }
            Task::Resume(connection) => match self.handle.resume(connection) {
                Err(HandleError::Full) => {
                    self.tasks.push_front(task);
                    Err(NoRoom)
                }
                // It has ended, if it was not resumed.
                _ => Ok(()),
            },
            Task::Again(index) => self.quote(index),
        }
    }

    /// Makes the next quote of an instrument.
    fn quote(&mut self, index: usize) -> Result<(), NoRoom> {
        let Some(quote) = self.quotes.get_mut(index) else { return Ok(()) };
        let prices = self.walks.step(index);
        *quote = Quote { sequence: quote.sequence + 1, time: now(), prices };
        self.counters.made.inc();
        for encoding in Encoding::ALL {
            if self.demands[encoding as usize].is_some() && self.publish(index, encoding).is_err() {
                self.counters.refused.inc();
                self.tasks.push_front(Task::Again(index));
                return Err(NoRoom);
            }
        }
        Ok(())
    }

    /// Publishes the newest quote of an instrument.
    fn publish(&mut self, index: usize, encoding: Encoding) -> Result<(), PublishError> {
        let found = self.quotes.get(index).zip(self.instruments.get(index));
        let Some((quote, instrument)) = found else { return Ok(()) };
        self.topic.clear();
        self.topic.push_str(encoding.prefix());
        self.topic.push_str(&instrument.topic);
        let post = match encoding {
            Encoding::Json => {
                self.text.clear();
                quote.write_json(instrument, &mut self.text);
                Post::new(self.text.as_str())
            }
            Encoding::Binary => {
                let number = u16::try_from(index).unwrap_or(u16::MAX);
                Post::new(&quote.binary(number, instrument.decimals)[..])
            }
        };
        // The topic is the instrument's own, so the post needs no key: it makes those before it
        // worthless.
        self.handle.publish(&self.topic, post.retained())
    }
}

/// Nanoseconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use ringwire::{Config, Connection, Handler, Message, Server};

    use super::*;

    struct Nothing;

    impl Handler for Nothing {
        type State = ();

        fn message(&mut self, _: &mut Connection<'_, ()>, _: Message<'_>) {}
    }

    #[test]
    fn a_full_mailbox_is_waited_for() {
        let config =
            Config { workers: 1, pin_workers: false, mailbox_size: 10, ..Config::default() };
        let server = Server::bind("127.0.0.1:0", config).unwrap();
        let handle = server.handle();
        let counters = Counters::default();
        let (_notices, noticed) = mpsc::channel();
        let instruments = Arc::new(Instruments::new(100));
        let walk = (1, 1000);
        let mut generator =
            Generator::new(handle.clone(), instruments, noticed, walk, counters.clone());
        // Nobody is connected: nothing is published, and nothing refused.
        assert!(generator.turn(Duration::from_millis(50)).is_ok());
        assert_eq!((counters.made.get(), counters.refused.get()), (50, 0));
        // The worker does not run yet.
        assert!(generator.demands[Encoding::Json as usize].open());
        assert!(generator.turn(Duration::from_millis(100)).is_err());
        assert_eq!((counters.made.get(), counters.refused.get()), (61, 1));
        let Some(&Task::Again(index)) = generator.tasks.front() else { panic!() };
        let sequence = generator.quotes[index].sequence;
        assert!(generator.turn(Duration::from_secs(1)).is_err());
        assert_eq!(generator.quotes[index].sequence, sequence + 1, "a newer one of the same");
        assert_eq!((counters.made.get(), counters.refused.get()), (62, 2));
        // There is room, ten at a time. The second before is not made up for.
        let server = thread::spawn(move || server.run(|_worker| Nothing));
        let begun = Instant::now();
        while generator.turn(Duration::from_secs(1)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(10), "it waits for ever");
            thread::sleep(PATIENCE);
        }
        assert!(generator.tasks.is_empty());
        assert!(counters.skipped.get() > 800, "{} are skipped", counters.skipped.get());
        handle.stop_now();
        server.join().unwrap().unwrap();
    }
}
