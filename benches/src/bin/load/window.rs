//! What is measured, and when: between two edges, after a warm-up.

use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use ringwire_benches::system::{self, CpuTime};

use crate::plan::{Mode, Plan};

/// Longer delays count as this long.
const NANOS_MAX: u64 = 100_000_000_000;

/// How often somebody who waits looks at the clock again.
const LOOK: Duration = Duration::from_millis(100);

const SECOND: u64 = 1_000_000_000;

/// A measured window. All its moments are nanoseconds since it was made.
///
/// The caller's contract: [`Window::begin`] when all is ready, then [`Window::turn`] before each
/// turn, until it says that the window is over.
#[derive(Debug)]
pub(crate) struct Window<'p> {
    plan: &'p Plan,
    clock: Instant,
    phase: Phase,
    /// Where the phase ends.
    edge: u64,
    before: Reading,
    after: Reading,
    /// That arrived while it was measured.
    messages: u64,
    delays: Histogram<u64>,
    /// When the next line of progress is due, and what the last one had counted.
    line: u64,
    told: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    WarmUp,
    Measured,
    Over,
}

/// What the system says at an edge.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reading {
    pub(crate) at: u64,
    /// Bytes.
    pub(crate) server_private: u64,
    pub(crate) server: CpuTime,
    /// Nanoseconds of the processor.
    pub(crate) client: u64,
}

/// The workers of a server may still be beginning when it has said where it listens.
const BEGINNING: Duration = Duration::from_millis(100);

impl<'p> Window<'p> {
    /// A window that has not begun. No connection is open yet: that is what the memory of idle
    /// ones is compared with.
    ///
    /// # Errors
    /// There is no such server.
    pub(crate) fn new(plan: &'p Plan) -> io::Result<Self> {
        if plan.mode == Mode::Idle && plan.process.is_some() {
            thread::sleep(BEGINNING);
        }
        let server_private = plan.process.map_or(Ok(0), system::private_size)?;
        Ok(Self {
            plan,
            clock: Instant::now(),
            phase: Phase::WarmUp,
            edge: u64::MAX,
            before: Reading { server_private, ..Reading::default() },
            after: Reading::default(),
            messages: 0,
            delays: Histogram::new_with_bounds(1, NANOS_MAX, 3).map_err(io::Error::other)?,
            line: u64::MAX,
            told: 0,
        })
    }

    /// Now.
    pub(crate) fn now(&self) -> u64 {
        nanos(self.clock.elapsed())
    }

    /// The warm-up begins.
    pub(crate) fn begin(&mut self) {
        let now = self.now();
        self.edge = now + nanos(self.plan.warm_up);
        self.line = if self.plan.progress { now + SECOND } else { u64::MAX };
    }

    /// Goes on to what is due at `now`. `false`: it is over.
    ///
    /// # Errors
    /// The server has gone.
    pub(crate) fn turn(&mut self, now: u64) -> io::Result<bool> {
        if now >= self.edge {
            self.cross()?;
        }
        if now >= self.line {
            self.line += SECOND;
            let more = self.messages - self.told;
            self.told = self.messages;
            writeln!(io::stderr(), "{} s: {:?}, {more} messages", now / SECOND, self.phase)?;
        }
        Ok(self.phase != Phase::Over)
    }

    /// How long somebody may wait at `now` who has nothing to do.
    pub(crate) fn patience(&self, now: u64) -> Duration {
        Duration::from_nanos(self.edge.saturating_sub(now)).min(LOOK)
    }

    /// Where the measured window ends, once it has begun.
    pub(crate) fn end(&self) -> u64 {
        if self.phase == Phase::WarmUp { u64::MAX } else { self.before.at + self.size() }
    }

    /// Messages have arrived at `now` that were sent, or should have been, at `since`.
    ///
    /// Where a schedule says when messages are sent, the delays are those of all that were due in
    /// the window, whenever they arrive: to leave out those that come too late would leave out the
    /// worst. Elsewhere they are those of all that arrive in it.
    pub(crate) fn count(&mut self, since: u64, now: u64, count: u64) {
        let is_within = self.phase == Phase::Measured;
        self.messages += if is_within { count } else { 0 };
        let is_recorded = if self.plan.rate > 0 {
            self.phase != Phase::WarmUp && (self.before.at..self.end()).contains(&since)
        } else {
            is_within
        };
        if is_recorded {
            self.delays.saturating_record_n(now.saturating_sub(since).max(1), count);
        }
    }

    /// What the system said at both edges. The second is nothing where the run ended before it.
    pub(crate) const fn edges(&self) -> [Reading; 2] {
        [self.before, self.after]
    }

    /// How many messages have arrived between them.
    pub(crate) const fn messages(&self) -> u64 {
        self.messages
    }

    /// Of each message, in nanoseconds.
    pub(crate) const fn delays(&self) -> &Histogram<u64> {
        &self.delays
    }

    fn size(&self) -> u64 {
        nanos(self.plan.measured)
    }

    fn cross(&mut self) -> io::Result<()> {
        match self.phase {
            Phase::WarmUp => {
                let server_private = match self.plan.mode {
                    Mode::Idle => self.before.server_private,
                    Mode::Echo | Mode::Connect | Mode::Fanout => self.private_size()?,
                };
                // Reading the memory of a large process takes its time: that is no part of it.
                self.before = Reading { server_private, ..self.read()? };
                self.phase = Phase::Measured;
                self.edge = self.end();
            }
            Phase::Measured => {
                self.after = self.read()?;
                self.phase = Phase::Over;
                self.edge = u64::MAX;
                self.after.server_private = self.private_size()?;
            }
            Phase::Over => {}
        }
        Ok(())
    }

    fn private_size(&self) -> io::Result<u64> {
        self.plan.process.map_or(Ok(0), system::private_size)
    }

    fn read(&self) -> io::Result<Reading> {
        let server = self.plan.process.map_or_else(|| Ok(CpuTime::default()), system::cpu_time)?;
        let client = system::cpu_time(std::process::id())?.total();
        Ok(Reading { at: self.now(), server_private: 0, server, client })
    }
}

/// A time as a number.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(line: &str) -> Plan {
        Plan::read(line.split_whitespace().map(str::to_owned)).unwrap()
    }

    #[test]
    fn only_what_arrives_within_is_counted() {
        let plan = plan("--warm-up 0 --milliseconds 1000");
        let mut window = Window::new(&plan).unwrap();
        window.count(0, 1, 1);
        window.begin();
        assert!(window.turn(window.now()).unwrap());
        let [before, _] = window.edges();
        window.count(0, before.at + 5000, 2);
        assert!(!window.turn(window.end()).unwrap());
        window.count(before.at, window.end(), 1);
        assert_eq!((window.messages(), window.delays().len()), (2, 2));
        assert!(window.edges()[1].client >= before.client);
    }

    #[test]
    fn what_was_due_within_is_recorded_however_late() {
        let plan = plan("--warm-up 0 --milliseconds 1000 --rate 1");
        let mut window = Window::new(&plan).unwrap();
        window.begin();
        assert!(window.turn(window.now()).unwrap());
        let (start, end) = (window.edges()[0].at, window.end());
        window.count(start - 1, start + 1, 1);
        assert!(!window.turn(end).unwrap());
        window.count(end - 1, end + 7_000_000_000, 1);
        window.count(end, end + 1, 1);
        assert_eq!((window.messages(), window.delays().len()), (1, 1));
        assert!(window.delays().max() >= 6_990_000_000);
    }
}
