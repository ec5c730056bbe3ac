//! The connections that are to be released, and until when.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::driver::Key;
use crate::release::Done;
use crate::timer::Time;

/// How far a connection has come that is to be released: a byte, since all connections have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parting {
    /// It is not.
    No,
    /// It is, between two messages: until then it goes on.
    Asked,
    /// It is between two messages, and nothing more is handed over: what arrives is held. What is
    /// in flight is awaited.
    Stopped,
}

/// Who waits for which connection.
#[derive(Debug, Default)]
pub(crate) struct Releases {
    waiting: HashMap<Key, Waiting>,
    /// All wait for as long, so the first to come is the first that is late. Those that have been
    /// told are left in their places and passed over, as long as they are not too many.
    order: VecDeque<(Time, Key)>,
}

#[derive(Debug)]
struct Waiting {
    done: Done,
    until: Time,
}

/// Entries beyond twice those that wait.
const SLACK: usize = 64;

/// Bytes of one that waits, in a table that may have three times the capacity that is used, and in
/// a list that may have twice as many entries and twice their capacity.
pub(super) const RELEASE_SIZE: usize =
    3 * (size_of::<(Key, Waiting)>() + 1) + 2 * 2 * size_of::<(Time, Key)>();

impl Releases {
    /// Somebody waits for a connection for which nobody does.
    pub(crate) fn begin(&mut self, key: Key, done: Done, now: Time, timeout: Duration) {
        if self.order.len() > 2 * self.waiting.len() + SLACK {
            let waiting = &self.waiting;
            self.order.retain(|(until, key)| {
                waiting.get(key).is_some_and(|waiting| waiting.until == *until)
            });
        }
        let until = now.after(timeout);
        self.waiting.insert(key, Waiting { done, until });
        self.order.push_back((until, key));
    }

    /// Whom to tell of a connection. Nobody waits for it any more.
    pub(crate) fn end(&mut self, key: Key) -> Option<Done> {
        let waiting = self.waiting.remove(&key)?;
        if self.waiting.is_empty() {
            self.order.clear();
        }
        Some(waiting.done)
    }

    /// Whether somebody waits for a connection.
    #[cfg(feature = "simulation")]
    pub(super) fn contains(&self, key: Key) -> bool {
        self.waiting.contains_key(&key)
    }

    /// When somebody has waited for long enough, or an earlier time.
    pub(super) fn next(&self) -> Option<Time> {
        self.order.front().map(|(until, _)| *until)
    }

    /// A connection for which somebody has waited for long enough. Each comes once.
    pub(super) fn expire(&mut self, now: Time) -> Option<Key> {
        while let Some((until, key)) = self.order.front().copied().filter(|it| it.0 <= now) {
            self.order.pop_front();
            if self.waiting.get(&key).is_some_and(|waiting| waiting.until == until) {
                return Some(key);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::release::ReleaseError;

    fn key(slot: u32) -> Key {
        Key { slot, generation: 0 }
    }

    #[test]
    fn who_is_late_comes_once_and_everybody_is_told() {
        let told = Arc::new(AtomicU32::new(0));
        let done = || {
            let told = Arc::clone(&told);
            Done::new(move |result| {
                assert_eq!(result.err(), Some(ReleaseError::Ended));
                told.fetch_add(1, Ordering::Relaxed);
            })
        };
        let at = |seconds| Time::ZERO.after(Duration::from_secs(seconds));
        let mut releases = Releases::default();
        assert_eq!(releases.next(), None);
        for slot in 0..3 {
            releases.begin(key(slot), done(), at(slot.into()), Duration::from_secs(10));
        }
        assert!(releases.end(key(0)).is_some() && releases.end(key(0)).is_none());
        // Once more, for longer than the first time.
        releases.begin(key(0), done(), at(5), Duration::from_secs(10));
        assert_eq!(releases.expire(at(9)), None);
        assert_eq!(releases.expire(at(11)), Some(key(1)));
        assert_eq!(releases.expire(at(11)), None);
        assert_eq!(releases.next(), Some(at(12)));
        assert_eq!(releases.expire(at(20)), Some(key(2)));
        assert_eq!(releases.expire(at(20)), Some(key(0)));
        drop(releases);
        assert_eq!(told.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn what_is_over_does_not_pile_up() {
        let mut releases = Releases::default();
        let begin = |releases: &mut Releases, slot| {
            releases.begin(key(slot), Done::new(|_| ()), Time::ZERO, Duration::from_secs(1));
        };
        begin(&mut releases, 0);
        for slot in 1..1000 {
            begin(&mut releases, slot);
            drop(releases.end(key(slot)));
            assert!(releases.order.len() <= 2 * 2 + SLACK + 1);
        }
        drop(releases.end(key(0)));
        assert_eq!(releases.next(), None);
    }
}
