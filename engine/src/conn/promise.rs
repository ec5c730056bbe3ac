//! A decision that is made elsewhere: one half for who makes it, one for the worker that waits.
//!
//! ```text
//!             take up            keep, break
//!      New ───────────▶ Awaited ─────────────▶ Kept, Broken   the worker is told
//!       │                  │
//!       │ keep, break      │ let go: the peer has gone, the time is up, the server stops
//!       ▼                  ▼
//!   Kept, Broken         Over   the decision is given back
//! ```
//!
//! Both halves are ends of one cell behind a lock, which is taken once or twice in the life of a
//! handshake. What was in it is dropped outside of the lock, because it is the application's.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::conn::decisions::Decisions;
use crate::driver::Key;

/// The half of who decides. Dropped, it is broken.
pub(crate) struct Promise<T>(Arc<Cell<T>>);

/// The half of who waits. Dropped, it is over.
pub(crate) struct Awaited<T>(Arc<Cell<T>>);

/// Who is told of a decision.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) decisions: Arc<Decisions>,
    pub(crate) key: Key,
}

/// What has become of a promise.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome<T> {
    Kept(T),
    /// Nobody is left who could decide.
    Broken,
}

/// Why nobody waits for a decision any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Abandoned {
    /// The peer has gone.
    Gone,
    /// [`Config::upgrade_timeout`](crate::Config::upgrade_timeout) has passed, and the peer was
    /// answered with 503.
    TimeOut,
    /// The server stops, and the peer is answered with 503.
    Stopped,
    /// Nobody ever waited: the handler did not return the other half.
    Unused,
}

struct Cell<T>(Mutex<State<T>>);

enum State<T> {
    /// Neither taken up nor decided.
    New,
    Awaited(Waiter),
    Kept(T),
    Broken,
    /// Nobody waits.
    Over(Abandoned),
}

/// Both halves.
pub(crate) fn promise<T>() -> (Promise<T>, Awaited<T>) {
    let cell = Arc::new(Cell(Mutex::new(State::New)));
    (Promise(Arc::clone(&cell)), Awaited(cell))
}

impl<T> Promise<T> {
    /// Whether a decision is wanted still.
    pub(crate) fn is_awaited(&self) -> bool {
        match *self.0.lock() {
            State::New | State::Awaited(_) => true,
            State::Kept(_) | State::Broken | State::Over(_) => false,
        }
    }

    /// Decides, and tells who waits. The value comes back where nobody does.
    pub(crate) fn keep(self, value: T) -> Result<(), (T, Abandoned)> {
        let mut state = self.0.lock();
        if let State::Over(reason) = *state {
            return Err((value, reason));
        }
        let before = mem::replace(&mut *state, State::Kept(value));
        drop(state);
        before.tell();
        Ok(())
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        match *state {
            State::New | State::Awaited(_) => {
                let before = mem::replace(&mut *state, State::Broken);
                drop(state);
                before.tell();
            }
            State::Kept(_) | State::Broken | State::Over(_) => {}
        }
    }
}

impl<T> Awaited<T> {
    /// Waits from here on, unless it has been decided: then this is the outcome.
    pub(crate) fn take_up(&self, waiter: Waiter) -> Option<Outcome<T>> {
        let mut state = self.0.lock();
        if let State::New = *state {
            *state = State::Awaited(waiter);
            return None;
        }
        drop(state);
        self.take()
    }

    /// The outcome, once there is one.
    pub(crate) fn take(&self) -> Option<Outcome<T>> {
        let mut state = self.0.lock();
        match mem::replace(&mut *state, State::Over(Abandoned::Gone)) {
            State::Kept(value) => Some(Outcome::Kept(value)),
            State::Broken => Some(Outcome::Broken),
            waiting @ (State::New | State::Awaited(_) | State::Over(_)) => {
                *state = waiting;
                None
            }
        }
    }

    /// Waits no more. What has been decided stays.
    pub(crate) fn let_go(&self, reason: Abandoned) {
        let mut state = self.0.lock();
        match *state {
            State::New | State::Awaited(_) => *state = State::Over(reason),
            State::Kept(_) | State::Broken | State::Over(_) => {}
        }
    }
}

impl<T> Drop for Awaited<T> {
    fn drop(&mut self) {
        let reason = match *self.0.lock() {
            State::New => Abandoned::Unused,
            State::Awaited(_) | State::Kept(_) | State::Broken | State::Over(_) => Abandoned::Gone,
        };
        self.let_go(reason);
        // A decision that came too late is dropped by the thread of the worker.
        let _outcome = self.take();
    }
}

impl<T> State<T> {
    /// Tells who has waited, if anybody has, that this is over.
    fn tell(self) {
        match self {
            Self::Awaited(Waiter { decisions, key }) => decisions.add(key),
            Self::New | Self::Kept(_) | Self::Broken | Self::Over(_) => {}
        }
    }
}

impl<T> Cell<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing under the lock panics, so what it guards is whole even if a thread died with it.
        match self.0.lock() {
            Ok(guard) => guard,
            Err(poisoned) => poisoned.into_inner(),
        }
    }
}

impl Abandoned {
    const fn text(self) -> &'static str {
        match self {
            Self::Gone => "the peer has gone",
            Self::TimeOut => "the time for it has passed",
            Self::Stopped => "the server stops",
            Self::Unused => "the handler did not return its other half",
        }
    }
}

impl fmt::Display for Abandoned {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.text())
    }
}

impl<T> fmt::Debug for Awaited<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Awaited").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handle::Handle;

    /// Brings a promise into one of its states.
    type Begin = fn(&Waits) -> Ends;
    type Ends = (Option<Promise<u8>>, Option<Awaited<u8>>);

    /// A list to be told on.
    struct Waits(Arc<Decisions>);

    const KEY: Key = Key { slot: 7, generation: 3 };

    impl Waits {
        fn new() -> Self {
            Self(Arc::new(Decisions::new(Handle::of_nobody(), 0)))
        }

        fn waiter(&self) -> Waiter {
            Waiter { decisions: Arc::clone(&self.0), key: KEY }
        }
    }

    fn new(_: &Waits) -> Ends {
        let (promise, awaited) = promise();
        (Some(promise), Some(awaited))
    }

    fn awaited(waits: &Waits) -> Ends {
        let (promise, awaited) = new(waits);
        assert_eq!(awaited.as_ref().unwrap().take_up(waits.waiter()), None);
        (promise, awaited)
    }

    fn kept(waits: &Waits) -> Ends {
        let (promise, awaited) = new(waits);
        assert_eq!(promise.unwrap().keep(5), Ok(()));
        (None, awaited)
    }

    fn broken(waits: &Waits) -> Ends {
        (None, new(waits).1)
    }

    fn over(waits: &Waits) -> Ends {
        let (promise, awaited) = new(waits);
        awaited.as_ref().unwrap().let_go(Abandoned::TimeOut);
        (promise, awaited)
    }

    #[test]
    fn who_decides_in_every_state() {
        let states: [(Begin, _, &[Key]); 3] = [
            (new, Ok(()), &[]),
            (awaited, Ok(()), &[KEY]),
            (over, Err((9, Abandoned::TimeOut)), &[]),
        ];
        for (begin, expected, told) in states {
            let waits = Waits::new();
            let (promise, awaited) = begin(&waits);
            let promise = promise.unwrap();
            assert_eq!(promise.is_awaited(), expected.is_ok());
            assert_eq!(promise.keep(9), expected);
            assert_eq!(waits.0.take(), told);
            let outcome = expected.is_ok().then_some(Outcome::Kept(9));
            assert_eq!(awaited.unwrap().take(), outcome);

            let waits = Waits::new();
            let (promise, awaited) = begin(&waits);
            drop(promise);
            assert_eq!(waits.0.take(), told);
            let outcome = expected.is_ok().then_some(Outcome::Broken);
            assert_eq!(awaited.unwrap().take(), outcome);
        }
    }

    #[test]
    fn who_waits_in_every_state() {
        let states: [(Begin, Option<Outcome<u8>>); 5] = [
            (new, None),
            (awaited, None),
            (kept, Some(Outcome::Kept(5))),
            (broken, Some(Outcome::Broken)),
            (over, None),
        ];
        for (begin, outcome) in &states {
            let waits = Waits::new();
            let (_promise, awaited) = begin(&waits);
            let awaited = awaited.unwrap();
            assert_eq!(awaited.take(), *outcome);
            assert_eq!(awaited.take(), None, "an outcome is taken once");
            assert_eq!(waits.0.take(), []);
        }
        for (begin, outcome) in &states {
            let waits = Waits::new();
            let (_promise, awaited) = begin(&waits);
            assert_eq!(awaited.unwrap().take_up(waits.waiter()), *outcome);
        }
        for (begin, outcome) in states {
            let waits = Waits::new();
            let (promise, awaited) = begin(&waits);
            let awaited = awaited.unwrap();
            awaited.let_go(Abandoned::Stopped);
            assert!(promise.is_none_or(|promise| !promise.is_awaited()));
            assert_eq!(awaited.take(), outcome, "what has been decided stays");
        }
    }

    #[test]
    fn who_waits_may_go_in_every_state() {
        let states: [(Begin, Abandoned); 3] =
            [(new, Abandoned::Unused), (awaited, Abandoned::Gone), (over, Abandoned::TimeOut)];
        for (begin, reason) in states {
            let (promise, awaited) = begin(&Waits::new());
            drop(awaited);
            assert_eq!(promise.unwrap().keep(1), Err((1, reason)));
        }
        for begin in [kept, broken] {
            drop(begin(&Waits::new()));
        }
    }

    #[test]
    fn what_came_too_late_is_dropped_by_who_waited() {
        let (promise, awaited) = promise();
        let value = Arc::new(());
        promise.keep(Arc::clone(&value)).unwrap();
        assert_eq!(Arc::strong_count(&value), 2);
        drop(awaited);
        assert_eq!(Arc::strong_count(&value), 1);
    }
}
