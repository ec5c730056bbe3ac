//! What other threads want of a worker: a bounded queue with many producers and one consumer, and
//! a way to wake the consumer that is never missed and rarely used.
//!
//! The consumer sleeps in its ring. Before it does, it says so and looks once more; a producer puts
//! its mail in and then looks whether the consumer said so. Both in one total order, so one of them
//! sees the other: either the consumer finds the mail, or the producer wakes it.
//!
//! The fences make that order, and each write of `sleeping` is a swap, because loom models no
//! stronger order for a plain store or load than acquire and release.

#[cfg(loom)]
use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU32, Ordering, fence},
};
use std::sync::Arc;
#[cfg(not(loom))]
use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU32, Ordering, fence},
};

/// Wakes a worker that sleeps in its driver.
pub(crate) trait Wake: Send + Sync {
    fn wake(&self);
}

/// The mailbox of one worker.
pub(crate) struct Mailbox<T> {
    queue: Mutex<Queue<T>>,
    /// Whether the queue may hold something. Set after a push, cleared before a drain, so that an
    /// empty mailbox costs a worker one load a turn.
    pending: AtomicBool,
    /// What must get through even when the queue is full: one bit for each thing.
    signals: AtomicU32,
    /// Whether the consumer sleeps, or is about to, and nobody has woken it yet.
    sleeping: AtomicBool,
}

struct Queue<T> {
    /// In the order of the pushes. `mail.len() <= capacity`.
    mail: Vec<T>,
    capacity: usize,
    /// How the consumer is woken; `None` before it has started and after it has ended.
    waker: Option<Arc<dyn Wake>>,
    closed: bool,
}

/// Why mail was not taken; it comes back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused<T> {
    /// The queue is full.
    Full(T),
    /// The worker has ended.
    Closed(T),
}

impl<T> Mailbox<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        let queue = Queue { mail: Vec::new(), capacity, waker: None, closed: false };
        Self {
            queue: Mutex::new(queue),
            pending: AtomicBool::new(false),
            signals: AtomicU32::new(0),
            sleeping: AtomicBool::new(false),
        }
    }

    /// Puts mail in, from any thread, and wakes the worker if it sleeps.
    pub(crate) fn push(&self, mail: T) -> Result<(), Refused<T>> {
        {
            let mut queue = self.lock();
            if queue.closed {
                return Err(Refused::Closed(mail));
            }
            if queue.mail.len() >= queue.capacity {
                return Err(Refused::Full(mail));
            }
            queue.mail.push(mail);
        }
        self.pending.store(true, Ordering::SeqCst);
        self.wake();
        Ok(())
    }

    /// Raises signals, from any thread. They get through at any time.
    pub(crate) fn signal(&self, bits: u32) {
        self.signals.fetch_or(bits, Ordering::SeqCst);
        self.wake();
    }

    /// The worker has started: this is how it is woken.
    pub(crate) fn open(&self, waker: Arc<dyn Wake>) {
        self.lock().waker = Some(waker);
    }

    /// Takes the signals that were raised since the last call.
    pub(crate) fn take_signals(&self) -> u32 {
        if self.signals.load(Ordering::SeqCst) == 0 {
            return 0;
        }
        self.signals.swap(0, Ordering::SeqCst)
    }

    /// Moves all mail into `into`, which is empty; its memory becomes the queue's, so that neither
    /// side allocates in the long run and the lock is held for a moment.
    pub(crate) fn drain(&self, into: &mut Vec<T>) {
        debug_assert!(into.is_empty());
        if self.pending.load(Ordering::SeqCst) {
            // Before the queue is looked at: what comes after sets it again.
            self.pending.store(false, Ordering::SeqCst);
            std::mem::swap(&mut self.lock().mail, into);
        }
    }

    /// Announces that the worker is going to sleep. `false`: it must not, something has come. Every
    /// `true` is followed by [`Mailbox::awake`].
    pub(crate) fn prepare_sleep(&self) -> bool {
        self.sleeping.swap(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let empty =
            !self.pending.load(Ordering::SeqCst) && self.signals.load(Ordering::SeqCst) == 0;
        if !empty {
            self.sleeping.swap(false, Ordering::SeqCst);
        }
        empty
    }

    /// The worker no longer sleeps.
    pub(crate) fn awake(&self) {
        self.sleeping.swap(false, Ordering::SeqCst);
    }

    /// The worker has ended. What is in the queue is dropped.
    pub(crate) fn close(&self) {
        let mut queue = self.lock();
        queue.closed = true;
        queue.waker = None;
        queue.mail = Vec::new();
    }

    /// Wakes the worker if it sleeps: one of many producers does.
    fn wake(&self) {
        fence(Ordering::SeqCst);
        if self.sleeping.load(Ordering::SeqCst) && self.sleeping.swap(false, Ordering::SeqCst) {
            let waker = self.lock().waker.clone();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        // Nothing under the lock panics, so what it guards is whole even if a thread died with it.
        match self.queue.lock() {
            Ok(guard) => guard,
            Err(poisoned) => poisoned.into_inner(),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn full_and_closed_give_the_mail_back() {
        let mailbox = Mailbox::new(2);
        assert_eq!(mailbox.push(1), Ok(()));
        assert_eq!(mailbox.push(2), Ok(()));
        assert_eq!(mailbox.push(3), Err(Refused::Full(3)));
        let mut mail = Vec::new();
        mailbox.drain(&mut mail);
        assert_eq!(mail, [1, 2]);
        mail.clear();
        mailbox.drain(&mut mail);
        assert_eq!(mail, []);
        mailbox.close();
        assert_eq!(mailbox.push(4), Err(Refused::Closed(4)));
    }

    #[test]
    fn wakes_once_and_only_a_sleeper() {
        let mailbox = Mailbox::new(9);
        let count = Arc::new(Count::default());
        mailbox.open(count.clone());
        assert_eq!(mailbox.push(1), Ok(()));
        assert!(!mailbox.prepare_sleep(), "there is mail");
        mailbox.drain(&mut Vec::new());
        assert!(mailbox.prepare_sleep());
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
        assert_eq!(mailbox.push(2), Ok(()));
        assert_eq!(mailbox.push(3), Ok(()));
        mailbox.signal(1);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        mailbox.awake();
        assert!(!mailbox.prepare_sleep());
        assert_eq!((mailbox.take_signals(), mailbox.take_signals()), (1, 0));
    }

    #[test]
    fn threads() {
        let mailbox = Arc::new(Mailbox::new(64));
        let producers: Vec<_> = (0..4_u32)
            .map(|producer| {
                let mailbox = mailbox.clone();
                std::thread::spawn(move || {
                    for number in 0..10_000_u32 {
                        let mut mail = (producer, number);
                        while let Err(Refused::Full(back)) = mailbox.push(mail) {
                            mail = back;
                            std::thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        let (mut next, mut mail) = ([0; 4], Vec::new());
        while next != [10_000; 4] {
            mailbox.drain(&mut mail);
            assert!(mail.len() <= 64);
            for (producer, number) in mail.drain(..) {
                assert_eq!(number, next[producer as usize]);
                next[producer as usize] += 1;
            }
        }
        for producer in producers {
            producer.join().unwrap();
        }
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::Notify;
    use loom::thread;

    /// A sleep that a wake ends, before or after it has begun.
    struct Bed(Notify);

    impl Wake for Bed {
        fn wake(&self) {
            self.0.notify();
        }
    }

    fn explore(test: impl Fn() + Send + Sync + 'static) {
        let mut model = loom::model::Builder::new();
        // Every interleaving with at most three switches that no thread asked for.
        model.preemption_bound = Some(3);
        model.check(test);
    }

    #[test]
    fn no_mail_and_no_wake_is_lost() {
        explore(|| {
            let mailbox = loom::sync::Arc::new(Mailbox::new(4));
            let bed = Arc::new(Bed(Notify::new()));
            mailbox.open(bed.clone());
            let producers: Vec<_> = (0..2_u32)
                .map(|producer| {
                    let mailbox = mailbox.clone();
                    thread::spawn(move || {
                        assert_eq!(mailbox.push((producer, 0)), Ok(()));
                        if producer == 0 {
                            assert_eq!(mailbox.push((producer, 1)), Ok(()));
                        } else {
                            mailbox.signal(1);
                        }
                    })
                })
                .collect();
            let (mut seen, mut signals, mut mail) = (Vec::new(), 0, Vec::new());
            while seen.len() < 3 || signals == 0 {
                if mailbox.prepare_sleep() {
                    // A wake that is lost would leave this thread here, which loom reports.
                    bed.0.wait();
                    mailbox.awake();
                }
                mailbox.drain(&mut mail);
                seen.append(&mut mail);
                signals |= mailbox.take_signals();
            }
            let first: Vec<u32> =
                seen.iter().filter(|mail| mail.0 == 0).map(|mail| mail.1).collect();
            assert_eq!(first, [0, 1]);
            assert_eq!(seen.len(), 3);
            for producer in producers {
                producer.join().unwrap();
            }
        });
    }

    #[test]
    fn full_or_closed_is_said_and_a_signal_gets_through() {
        explore(|| {
            let mailbox = loom::sync::Arc::new(Mailbox::new(1));
            let other = mailbox.clone();
            let producer = thread::spawn(move || {
                let pushed = [other.push(1).is_ok(), other.push(2).is_ok()];
                other.signal(2);
                pushed.into_iter().filter(|pushed| *pushed).count()
            });
            let (mut mail, mut drained, mut signals) = (Vec::new(), 0, 0);
            while signals == 0 {
                signals |= mailbox.take_signals();
                mailbox.drain(&mut mail);
                drained += mail.drain(..).count();
                thread::yield_now();
            }
            let pushed = producer.join().unwrap();
            mailbox.drain(&mut mail);
            assert_eq!(drained + mail.len(), pushed);
            assert!(pushed >= 1);
            mailbox.close();
            assert_eq!(mailbox.push(3), Err(Refused::Closed(3)));
        });
    }
}
