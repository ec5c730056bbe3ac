//! The one deadline of a hosted worker, in the runtime's own wheel.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use crate::timer::Time;

/// A timer that is set anew only where it would ring too late: the worker's deadlines move away far
/// more often than they come, and one that rings too early costs a look.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    clock: Option<Clock>,
    /// When it rings, if it is set.
    set: Option<Time>,
}

#[derive(Debug)]
struct Clock {
    sleep: Pin<Box<Sleep>>,
    /// What the runtime's clock said when the worker's began.
    start: Instant,
}

impl Alarm {
    /// Whether it is so late. It rings a millisecond later at most, which is how finely the runtime
    /// tells time.
    pub(super) fn poll(&mut self, now: Time, until: Time, context: &mut Context<'_>) -> Poll<()> {
        let clock = self.clock.get_or_insert_with(|| Clock::new(now));
        if self.set.is_none_or(|set| set > until) {
            clock.sleep.as_mut().reset(clock.start + until.since(Time::ZERO));
            self.set = Some(until);
        }
        let rings = clock.sleep.as_mut().poll(context);
        if rings.is_ready() {
            self.set = None;
        }
        rings
    }
}

impl Clock {
    fn new(now: Time) -> Self {
        let sleep = Box::pin(sleep(Duration::ZERO));
        let present = sleep.deadline();
        let start = present.checked_sub(now.since(Time::ZERO)).unwrap_or(present);
        Self { sleep, start }
    }
}
