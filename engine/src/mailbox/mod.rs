//! What other threads want of a worker: a bounded queue with many producers and one consumer, and
//! a way to wake the consumer that is never missed and rarely used.
//!
//! The queue is the library's and knows no bounds, no sleep and no end. All of these are in one
//! word beside it, so that each question has one answer and each step is one exchange:
//!
//! ```text
//!    1        1          3        23      36 bits
//!  closed │ sleeping │ signals │ items │ bytes
//! ```
//!
//! A producer counts its mail in the word, puts it in the queue, and then wakes the worker if the
//! word said that it sleeps. The worker goes to sleep by an exchange of zero for `sleeping`, so
//! never while mail is counted: who comes before it keeps it awake, who comes after it has seen
//! that it sleeps. Of those who have seen it, one clears the bit, and that one wakes; each tries it
//! behind its own mail only, so that who is woken has something to read.
//!
//! Mail is counted until it has been read, so that the bounds hold for what waits and for what is
//! being read together. A signal is in the word behind all mail that was counted before it, so who
//! sees the one finds the other.

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(loom)]
mod stand_in;
#[cfg(all(test, not(loom)))]
mod tests;

use std::sync::Arc;

#[cfg(not(loom))]
use crossbeam_queue::SegQueue;
#[cfg(loom)]
use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};
#[cfg(not(loom))]
use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};

#[cfg(loom)]
use stand_in::SegQueue;

/// Wakes a worker that sleeps in its driver.
pub(crate) trait Wake: Send + Sync {
    fn wake(&self);
}

/// The mailbox of one worker.
///
/// Any thread pushes and signals. The worker alone opens, drains, sleeps and closes. Mail of one
/// thread is read in the order in which it was pushed.
pub(crate) struct Mailbox<T> {
    /// In blocks that are allocated when mail comes and freed when it has been read.
    queue: SegQueue<Letter<T>>,
    /// As drawn above. Items and bytes count what is in the queue, what is about to be, and what is
    /// being read.
    state: AtomicU64,
    bounds: Bounds,
    /// How the worker is woken; `None` before it has started and after it has ended. The lock is
    /// taken once a sleep.
    waker: Mutex<Option<Arc<dyn Wake>>>,
}

/// How much may be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// From 1 to [`ITEMS_MAX`].
    items: u64,
    /// From 1 to [`BYTES_MAX`].
    bytes: u64,
}

/// Why mail was not taken; it comes back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused<T> {
    /// There is no room for it now.
    Full(T),
    /// There never will be: it has more bytes than all mail together may have.
    TooLarge(T),
    /// The worker has ended.
    Closed(T),
}

/// A mail, and as what it was counted.
struct Letter<T> {
    weight: u64,
    mail: T,
}

/// The worker has ended. It stays so.
const CLOSED: u64 = 1 << 63;
/// The worker sleeps, or is about to, and nobody has woken it yet.
const SLEEPING: u64 = 1 << 62;
/// What must get through even when the mailbox is full: one bit for each thing.
const SIGNALS: u64 = SIGNALS_MAX << SIGNALS_SHIFT;
const SIGNALS_SHIFT: u32 = 59;
/// One mail.
const ITEM: u64 = 1 << 36;
const WEIGHT: u64 = (1 << SIGNALS_SHIFT) - 1;

/// All signals at once.
pub(crate) const SIGNALS_MAX: u64 = 7;
/// Mails that one mailbox may be allowed to hold.
pub(crate) const ITEMS_MAX: u64 = WEIGHT / ITEM;
/// Bytes that one mailbox may be allowed to hold.
pub(crate) const BYTES_MAX: u64 = ITEM - 1;

impl Bounds {
    /// `None`: a bound is zero, or beyond what can be counted.
    pub(crate) fn new(items: usize, bytes: usize) -> Option<Self> {
        let (items, bytes) = (u64::try_from(items).ok()?, u64::try_from(bytes).ok()?);
        let fits = (1..=ITEMS_MAX).contains(&items) && (1..=BYTES_MAX).contains(&bytes);
        fits.then_some(Self { items, bytes })
    }

    /// The state with one mail more, if the mailbox is open and has room for it.
    const fn add(self, state: u64, weight: u64) -> Option<u64> {
        // Neither sum passes into the bits above: a bound is at most what they can count.
        let items = (state & WEIGHT) / ITEM + 1;
        let bytes = state % ITEM + weight % ITEM;
        let fits = state & CLOSED == 0 && items <= self.items && bytes <= self.bytes;
        if fits { Some(state + weight) } else { None }
    }
}

impl<T> Mailbox<T> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let (state, waker) = (AtomicU64::new(0), Mutex::new(None));
        Self { queue: SegQueue::new(), state, bounds, waker }
    }

    /// Puts mail in that holds so many `bytes`, from any thread, and wakes the worker if it sleeps.
    pub(crate) fn push(&self, mail: T, bytes: usize) -> Result<(), Refused<T>> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        if bytes > self.bounds.bytes {
            return Err(Refused::TooLarge(mail));
        }
        let weight = ITEM + bytes;
        let add = |state| self.bounds.add(state, weight);
        // A count orders nothing but itself; the queue orders what is in it.
        let before = match self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add) {
            Ok(before) => before,
            Err(state) if state & CLOSED != 0 => return Err(Refused::Closed(mail)),
            Err(_) => return Err(Refused::Full(mail)),
        };
        self.queue.push(Letter { weight, mail });
        if before & SLEEPING != 0 {
            self.wake();
        }
        Ok(())
    }

    /// Raises signals, from any thread. They get through at any time. Whoever sees one finds all
    /// mail that was put in before it.
    pub(crate) fn signal(&self, bits: u32) {
        let bits = u64::from(bits);
        debug_assert!(bits <= SIGNALS_MAX, "there are no such signals");
        let before = self.state.fetch_or((bits << SIGNALS_SHIFT) & SIGNALS, Ordering::Release);
        if before & SLEEPING != 0 {
            self.wake();
        }
    }

    /// The worker has started: this is how it is woken.
    pub(crate) fn open(&self, waker: Arc<dyn Wake>) {
        *self.lock() = Some(waker);
    }

    /// Takes those of these signals that were raised since they were last taken.
    pub(crate) fn take_signals(&self, bits: u32) -> u32 {
        let wanted = (u64::from(bits) << SIGNALS_SHIFT) & SIGNALS;
        // A worker looks in every turn, and nearly always there are none.
        if self.state.load(Ordering::Relaxed) & wanted == 0 {
            return 0;
        }
        let before = self.state.fetch_and(!wanted, Ordering::Acquire);
        u32::try_from((before & wanted) >> SIGNALS_SHIFT).unwrap_or(0)
    }

    /// Takes what has been put in up to now, and perhaps some of what comes meanwhile, but no more
    /// mails than were counted at first: producers that never rest do not keep a worker.
    pub(crate) fn drain(&self) -> Mails<'_, T> {
        let left = (self.state.load(Ordering::Relaxed) & WEIGHT) / ITEM;
        Mails { mailbox: self, left, taken: 0, waits: false }
    }

    /// Whether nothing has come that has not been read: neither mail nor a signal. One load, for a
    /// worker that does not sleep and looks again and again.
    pub(crate) fn is_empty(&self) -> bool {
        self.state.load(Ordering::Relaxed) & (WEIGHT | SIGNALS) == 0
    }

    /// Announces that the worker is going to sleep. `false`: it must not, something has come. Every
    /// `true` is followed by [`Mailbox::awake`].
    pub(crate) fn prepare_sleep(&self) -> bool {
        let relaxed = Ordering::Relaxed;
        self.state.compare_exchange(0, SLEEPING, relaxed, relaxed).is_ok()
    }

    /// The worker no longer sleeps.
    pub(crate) fn awake(&self) {
        if self.state.load(Ordering::Relaxed) & SLEEPING != 0 {
            self.rouse();
        }
    }

    /// The worker has ended, and this is what it has not read. Nothing comes in any more, but who
    /// has been counted is waited for, so that no mail is left to nobody.
    pub(crate) fn close(&self) -> Mails<'_, T> {
        let before = self.state.fetch_or(CLOSED, Ordering::Relaxed);
        *self.lock() = None;
        Mails { mailbox: self, left: (before & WEIGHT) / ITEM, taken: 0, waits: true }
    }

    /// Wakes the worker, unless somebody else does.
    fn wake(&self) {
        if self.rouse() {
            let waker = self.lock().clone();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Ends a sleep. `false`: somebody else has.
    fn rouse(&self) -> bool {
        self.state.fetch_and(!SLEEPING, Ordering::Relaxed) & SLEEPING != 0
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<dyn Wake>>> {
        // Nothing under the lock panics, so what it guards is whole even if a thread died with it.
        match self.waker.lock() {
            Ok(guard) => guard,
            Err(poisoned) => poisoned.into_inner(),
        }
    }
}

/// The mail that is taken out. What is not read stays. When this goes, so does the weight of what
/// was read: that costs one exchange and not one for each.
pub(crate) struct Mails<'a, T> {
    mailbox: &'a Mailbox<T>,
    /// How many there are at most.
    left: u64,
    /// The weight of those that have been read.
    taken: u64,
    /// Whether those that are counted and not in the queue yet are waited for.
    waits: bool,
}

impl<T> Iterator for Mails<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        while self.left > 0 {
            if let Some(letter) = self.mailbox.queue.pop() {
                self.left -= 1;
                self.taken += letter.weight;
                return Some(letter.mail);
            }
            if !self.waits {
                break;
            }
            // Its producer has but to put it in.
            pause();
        }
        None
    }
}

impl<T> Drop for Mails<'_, T> {
    fn drop(&mut self) {
        if self.taken > 0 {
            let before = self.mailbox.state.fetch_sub(self.taken, Ordering::Relaxed);
            debug_assert!(before & WEIGHT >= self.taken, "what was counted is taken off once");
        }
    }
}

#[cfg(not(loom))]
fn pause() {
    std::hint::spin_loop();
}

#[cfg(loom)]
fn pause() {
    loom::thread::yield_now();
}
