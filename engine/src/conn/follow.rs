//! Messages that are followed from the call to the completion of their send, to be measured.
//!
//! ```text
//!   called ──▶ encoded ──▶ waits in the outbox ──▶ flies ──▶ completed
//!                 │ lost with its connection ◀──────┘
//!                 └ not followed: another one waits in that outbox, or too many are followed
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use crate::driver::Key;
use crate::latency::{Latencies, Measuring};
use crate::timer::Time;

/// Connections that have something followed at the same time.
const CONNECTIONS_MAX: usize = 4096;

/// Of the recipients of a message for many, one in so many.
const EACH: usize = 64;

/// Bytes of all that a worker follows, and of its histograms, both here and where others read them;
/// tables may have four times the capacity that is used.
pub(crate) const FOLLOW_SIZE: usize = 2 * Latencies::SIZE
    + 4 * CONNECTIONS_MAX * (size_of::<(Key, Flight)>() + size_of::<(u64, Spread)>());

/// What one worker measures.
#[derive(Debug)]
pub(crate) struct Follow {
    measuring: Arc<Measuring>,
    worker: u8,
    latencies: Latencies,
    /// Since when what has been measured is not known to others.
    is_new: bool,
    /// When the call was made that is being carried out, if another thread made it.
    called: Option<Time>,
    /// The message for many that is being encoded.
    fan: Option<Fan>,
    /// What is followed, by connection. At most [`CONNECTIONS_MAX`].
    flights: HashMap<Key, Flight>,
    /// Messages for many, some of whose recipients are followed: fewer than those.
    spreads: HashMap<u64, Spread>,
    next: u64,
}

/// A message for many while it is encoded.
#[derive(Clone, Copy, Debug)]
struct Fan {
    called: Time,
    encoded: Option<Time>,
    /// Recipients so far, and those of them that are followed.
    count: usize,
    followed: usize,
    /// The last recipient, unless it is followed.
    last: Option<Key>,
}

/// A message for one recipient.
#[derive(Clone, Copy, Debug)]
struct Mark {
    called: Time,
    encoded: Time,
    /// That it is part of.
    spread: Option<u64>,
}

/// What is followed of one connection: one message in the outbox, one in flight with its time.
#[derive(Debug, Default)]
struct Flight {
    waiting: Option<Mark>,
    flying: Option<(Mark, Time)>,
}

/// A message for many after it has been encoded.
#[derive(Clone, Copy, Debug)]
struct Spread {
    called: Time,
    /// Recipients that are followed and have not completed. At least one.
    left: usize,
    submitted: bool,
    completed: Option<Time>,
}

impl Follow {
    pub(crate) fn new(measuring: Arc<Measuring>, worker: u8) -> Self {
        Self {
            measuring,
            worker,
            latencies: Latencies::default(),
            is_new: false,
            called: None,
            fan: None,
            flights: HashMap::new(),
            spreads: HashMap::new(),
            next: 0,
        }
    }

    /// What happens now is what another thread called for at that time, or no longer is.
    pub(crate) const fn set_called(&mut self, called: Option<Time>) {
        self.called = called;
    }

    /// When the present message was called for.
    pub(crate) fn called(&self) -> Time {
        match (&self.fan, self.called) {
            (Some(fan), _) => fan.called,
            (None, Some(called)) => called,
            (None, None) => self.measuring.clock.read(),
        }
    }

    /// The recipients of one message follow.
    pub(crate) fn begin_fan(&mut self) {
        let called = self.called();
        self.fan = Some(Fan { called, encoded: None, count: 0, followed: 0, last: None });
    }

    /// These were all.
    pub(crate) fn end_fan(&mut self) {
        let Some(mut fan) = self.fan.take() else { return };
        if let (Some(key), Some(encoded)) = (fan.last, fan.encoded) {
            fan.followed += usize::from(self.wait(key, self.mark(&fan, encoded)));
        }
        if fan.followed > 0 {
            let Fan { called, followed: left, .. } = fan;
            let spread = Spread { called, left, submitted: false, completed: None };
            self.spreads.insert(self.next, spread);
            self.next += 1;
        }
    }

    /// A message that was called for then has been encoded for a connection; `queued` says whether
    /// it leaves with the next send.
    pub(crate) fn encoded(&mut self, key: Key, called: Time, queued: bool) {
        let Some(mut fan) = self.fan else {
            let encoded = self.on_encoded(called);
            if queued {
                self.wait(key, Mark { called, encoded, spread: None });
            }
            return;
        };
        let encoded = fan.encoded.unwrap_or_else(|| self.on_encoded(called));
        fan.encoded = Some(encoded);
        if queued {
            let is_followed = fan.count % EACH == 0 && self.wait(key, self.mark(&fan, encoded));
            fan.followed += usize::from(is_followed);
            fan.last = (!is_followed).then_some(key);
        }
        fan.count += 1;
        self.fan = Some(fan);
    }

    fn on_encoded(&mut self, called: Time) -> Time {
        let now = self.measuring.clock.read();
        self.latencies.encoded.record(now.since(called));
        self.is_new = true;
        now
    }

    const fn mark(&self, fan: &Fan, encoded: Time) -> Mark {
        Mark { called: fan.called, encoded, spread: Some(self.next) }
    }

    /// Follows a message that waits in the outbox of a connection, unless one is followed there.
    fn wait(&mut self, key: Key, mark: Mark) -> bool {
        if self.flights.len() >= CONNECTIONS_MAX && !self.flights.contains_key(&key) {
            return false;
        }
        let waiting = &mut self.flights.entry(key).or_default().waiting;
        let is_first = waiting.is_none();
        waiting.get_or_insert(mark);
        is_first
    }

    /// What waits in the outbox of a connection has been given to the driver.
    pub(crate) fn submitted(&mut self, key: Key) {
        let Some(flight) = self.flights.get_mut(&key) else { return };
        let Some(mark) = flight.waiting.take() else { return };
        let now = self.measuring.clock.read();
        flight.flying = Some((mark, now));
        self.latencies.submitted.record(now.since(mark.encoded));
        if let Some(spread) = mark.spread.and_then(|number| self.spreads.get_mut(&number))
            && !spread.submitted
        {
            spread.submitted = true;
            self.latencies.first.record(now.since(spread.called));
        }
    }

    /// The send of a connection has completed, whole.
    pub(crate) fn completed(&mut self, key: Key) {
        let Some(flight) = self.flights.get_mut(&key) else { return };
        let landed = flight.flying.take();
        if flight.waiting.is_none() {
            self.flights.remove(&key);
        }
        let Some((mark, submitted)) = landed else { return };
        let now = self.measuring.clock.read();
        self.latencies.completed.record(now.since(submitted));
        self.latencies.message.record(now.since(mark.called));
        self.is_new = true;
        self.leave(mark, Some(now));
    }

    /// A connection is freed, with whatever is followed on it.
    pub(crate) fn lost(&mut self, key: Key) {
        let Some(Flight { waiting, flying }) = self.flights.remove(&key) else { return };
        for mark in waiting.into_iter().chain(flying.map(|(mark, _)| mark)) {
            self.leave(mark, None);
        }
    }

    /// A recipient is not followed any more.
    fn leave(&mut self, mark: Mark, completed: Option<Time>) {
        let Some(number) = mark.spread else { return };
        let Some(spread) = self.spreads.get_mut(&number) else { return };
        spread.left -= 1;
        spread.completed = completed.or(spread.completed);
        if spread.left == 0 {
            if let Some(completed) = spread.completed {
                self.latencies.last.record(completed.since(spread.called));
            }
            self.spreads.remove(&number);
        }
    }

    /// Makes known what has been measured.
    pub(crate) fn publish(&mut self) {
        if std::mem::take(&mut self.is_new) {
            self.measuring.publish(self.worker, &self.latencies);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::Clock;

    fn follow() -> Follow {
        Follow::new(Measuring::new(Clock::system(), 1), 0)
    }

    fn key(slot: u32) -> Key {
        Key { slot, generation: 0 }
    }

    /// How many were counted at each stage.
    fn counts(follow: &Follow) -> [u64; 6] {
        let mut stages = follow.latencies.stages();
        std::array::from_fn(|_| stages.next().map_or(0, |(_, times)| times.count()))
    }

    fn send(follow: &mut Follow, slot: u32) {
        let called = follow.called();
        follow.encoded(key(slot), called, true);
    }

    #[test]
    fn the_oldest_message_of_a_send_is_followed() {
        let mut follow = follow();
        send(&mut follow, 1);
        send(&mut follow, 1);
        follow.submitted(key(1));
        assert_eq!(counts(&follow), [2, 1, 0, 0, 0, 0]);
        send(&mut follow, 1);
        follow.completed(key(1));
        follow.submitted(key(1));
        follow.completed(key(1));
        assert_eq!(counts(&follow), [3, 2, 2, 2, 0, 0]);
        assert!(follow.flights.is_empty());
        // Not followed: nothing happens.
        follow.submitted(key(2));
        follow.completed(key(2));
        follow.lost(key(2));
        assert_eq!(counts(&follow), [3, 2, 2, 2, 0, 0]);
    }

    #[test]
    fn of_many_recipients_some_are_followed_and_the_last() {
        let mut follow = follow();
        follow.set_called(Some(Time::ZERO));
        follow.begin_fan();
        (0..100).for_each(|slot| send(&mut follow, slot));
        follow.end_fan();
        follow.set_called(None);
        let mut followed: Vec<u32> = follow.flights.keys().map(|key| key.slot).collect();
        followed.sort_unstable();
        assert_eq!(followed, [0, 64, 99]);
        (0..100).for_each(|slot| follow.submitted(key(slot)));
        assert_eq!(counts(&follow), [1, 3, 0, 0, 1, 0]);
        follow.completed(key(0));
        follow.lost(key(64));
        assert_eq!(counts(&follow), [1, 3, 1, 1, 1, 0]);
        follow.completed(key(99));
        assert_eq!(counts(&follow), [1, 3, 2, 2, 1, 1]);
        assert!(follow.flights.is_empty() && follow.spreads.is_empty());
    }

    #[test]
    fn what_is_followed_is_bounded_and_given_up_with_its_connection() {
        let mut follow = follow();
        let most = u32::try_from(CONNECTIONS_MAX).unwrap();
        for slot in 0..2 * most {
            follow.begin_fan();
            send(&mut follow, slot);
            follow.end_fan();
        }
        assert_eq!((follow.flights.len(), follow.spreads.len()), (4096, 4096));
        (0..2 * most).for_each(|slot| follow.lost(key(slot)));
        assert!(follow.flights.is_empty() && follow.spreads.is_empty());
        assert_eq!(counts(&follow), [2 * u64::from(most), 0, 0, 0, 0, 0]);
    }

    #[test]
    fn what_is_held_back_is_measured_until_it_is_encoded() {
        let mut follow = follow();
        let called = follow.called();
        follow.encoded(key(1), called, false);
        follow.begin_fan();
        follow.encoded(key(2), called, false);
        follow.end_fan();
        assert_eq!(counts(&follow), [2, 0, 0, 0, 0, 0]);
        assert!(follow.flights.is_empty() && follow.spreads.is_empty());
    }
}
