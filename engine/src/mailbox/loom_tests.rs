//! Every interleaving of two producers and the worker, and every value that the memory model lets
//! them read, in small models, one for each promise. No preemption is left out.
//!
//! The library's queue is not explored: `stand_in` stands for it. So these models prove what is
//! around the queue: the bounds, the sleep, the signals and the end.

use std::sync::atomic::AtomicUsize;

use loom::sync::{Notify, atomic::AtomicBool};
use loom::thread::{self, JoinHandle};

use super::*;

/// A sleep that a wake ends, before or after it has begun.
struct Bed {
    notify: Notify,
    /// Not loom's: it counts, and orders nothing.
    wakes: AtomicUsize,
}

impl Wake for Bed {
    fn wake(&self) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
        self.notify.notify();
    }
}

impl Bed {
    fn wakes(&self) -> usize {
        self.wakes.load(Ordering::Relaxed)
    }
}

/// A producer, and which of its mails this is.
type Mail = (u32, u32);
type Shared = loom::sync::Arc<Mailbox<Mail>>;

/// All signals.
const ALL: u32 = 7;

fn mailbox(items: usize, bytes: usize) -> (Shared, Arc<Bed>) {
    let bounds = Bounds::new(items, bytes).expect("the bounds are in bounds");
    let mailbox = loom::sync::Arc::new(Mailbox::new(bounds));
    let bed = Arc::new(Bed { notify: Notify::new(), wakes: AtomicUsize::new(0) });
    mailbox.open(bed.clone());
    (mailbox, bed)
}

fn start<R: 'static>(
    mailbox: &Shared,
    act: impl FnOnce(&Mailbox<Mail>) -> R + 'static,
) -> JoinHandle<R> {
    let mailbox = mailbox.clone();
    thread::spawn(move || act(&mailbox))
}

/// The worker's loop until `is_done`, and how often it slept. A wake that is lost leaves it asleep,
/// which loom reports.
fn work(mailbox: &Shared, bed: &Bed, mut is_done: impl FnMut() -> bool) -> usize {
    let mut sleeps = 0;
    while !is_done() {
        if mailbox.prepare_sleep() {
            sleeps += 1;
            bed.notify.wait();
            mailbox.awake();
        } else {
            thread::yield_now();
        }
    }
    sleeps
}

#[test]
fn no_wake_is_lost() {
    loom::model(|| {
        let (mailbox, bed) = mailbox(4, 4);
        let producer = start(&mailbox, |mailbox| assert_eq!(mailbox.push((0, 0), 1), Ok(())));
        let mut seen = Vec::new();
        let sleeps = work(&mailbox, &bed, || {
            seen.extend(mailbox.drain());
            seen == [(0, 0)]
        });
        producer.join().unwrap();
        // Loom ends some sleeps without a reason.
        assert!(bed.wakes() <= sleeps);
        assert!(mailbox.prepare_sleep(), "nothing is counted any more");
    });
}

#[test]
fn a_sleep_ends_with_one_wake() {
    loom::model(|| {
        let (mailbox, bed) = mailbox(4, 4);
        assert!(mailbox.prepare_sleep());
        let producers =
            [0, 1].map(|name| start(&mailbox, move |mailbox| mailbox.push((name, 0), 1)));
        assert_eq!(producers.map(|producer| producer.join().unwrap()), [Ok(()), Ok(())]);
        assert_eq!(bed.wakes(), 1);
        bed.notify.wait();
        mailbox.awake();
        assert_eq!(mailbox.drain().count(), 2);
        assert!(mailbox.prepare_sleep(), "nothing is counted any more");
    });
}

#[test]
fn a_sleep_that_something_else_ends_has_at_most_one_wake() {
    loom::model(|| {
        let (mailbox, bed) = mailbox(4, 4);
        assert!(mailbox.prepare_sleep());
        let sender = start(&mailbox, |mailbox| assert_eq!(mailbox.push((0, 0), 1), Ok(())));
        let stopper = start(&mailbox, |mailbox| mailbox.signal(1));
        // A completion, or a deadline.
        mailbox.awake();
        sender.join().unwrap();
        stopper.join().unwrap();
        assert!(bed.wakes() <= 1);
        assert!(!mailbox.prepare_sleep(), "mail and a signal are there");
        assert_eq!(mailbox.take_signals(ALL), 1);
        assert_eq!(mailbox.drain().collect::<Vec<_>>(), [(0, 0)]);
        assert!(mailbox.prepare_sleep());
    });
}

#[test]
fn no_wake_by_a_signal_is_lost() {
    loom::model(|| {
        let (mailbox, bed) = mailbox(4, 4);
        let stopper = start(&mailbox, |mailbox| mailbox.signal(3));
        let sleeps = work(&mailbox, &bed, || mailbox.take_signals(ALL) == 3);
        stopper.join().unwrap();
        assert!(bed.wakes() <= sleeps);
        assert!(mailbox.prepare_sleep(), "a signal is taken once");
    });
}

#[test]
fn a_stop_finds_all_mail_before_it_in_order() {
    loom::model(|| {
        let (mailbox, _) = mailbox(4, 4);
        let first = start(&mailbox, |mailbox| {
            assert_eq!(mailbox.push((0, 0), 0), Ok(()));
            assert_eq!(mailbox.push((0, 1), 0), Ok(()));
            mailbox.signal(1);
        });
        let second = start(&mailbox, |mailbox| assert_eq!(mailbox.push((1, 0), 0), Ok(())));
        let signals = mailbox.take_signals(ALL);
        let mut seen: Vec<_> = mailbox.drain().filter(|mail| mail.0 == 0).collect();
        assert!(signals == 0 || seen.len() == 2);
        first.join().unwrap();
        second.join().unwrap();
        seen.extend(mailbox.drain().filter(|mail| mail.0 == 0));
        assert_eq!(seen, [(0, 0), (0, 1)]);
    });
}

#[test]
fn a_stop_of_one_thread_finds_the_mail_of_another() {
    loom::model(|| {
        let (mailbox, _) = mailbox(4, 4);
        let sent = loom::sync::Arc::new(AtomicBool::new(false));
        let told = sent.clone();
        let sender = start(&mailbox, move |mailbox| {
            assert_eq!(mailbox.push((0, 0), 1), Ok(()));
            sent.store(true, Ordering::Release);
        });
        let stopper = start(&mailbox, move |mailbox| {
            if told.load(Ordering::Acquire) {
                mailbox.signal(1);
            }
        });
        let signals = mailbox.take_signals(ALL);
        let seen: Vec<_> = mailbox.drain().collect();
        assert!(signals == 0 || seen == [(0, 0)]);
        sender.join().unwrap();
        stopper.join().unwrap();
    });
}

/// Two mails of which only one fits, and a worker that reads meanwhile.
fn one_fits(items: usize, bytes: usize) {
    loom::model(move || {
        let (mailbox, _) = mailbox(items, bytes);
        let producers =
            [0, 1].map(|name| start(&mailbox, move |mailbox| mailbox.push((name, 0), 2)));
        let mut seen: Vec<_> = mailbox.drain().collect();
        let pushed = producers.map(|producer| producer.join().unwrap());
        seen.extend(mailbox.drain());
        for (name, result) in [0, 1].into_iter().zip(pushed) {
            let taken = seen.contains(&(name, 0));
            assert_eq!(result, if taken { Ok(()) } else { Err(Refused::Full((name, 0))) });
        }
        assert!(!seen.is_empty(), "one of them came first");
        assert_eq!(mailbox.push((2, 0), 2), Ok(()), "all room is free again");
    });
}

#[test]
fn full_by_items_is_said() {
    one_fits(1, 9);
}

#[test]
fn full_by_bytes_is_said() {
    one_fits(9, 3);
}

#[test]
fn a_close_leaves_no_mail_to_nobody() {
    loom::model(|| {
        let (mailbox, bed) = mailbox(4, 4);
        let producers =
            [0, 1].map(|name| start(&mailbox, move |mailbox| mailbox.push((name, 0), 1)));
        let seen: Vec<_> = mailbox.close().collect();
        for (name, producer) in [0, 1].into_iter().zip(producers) {
            let read = seen.contains(&(name, 0));
            let expected = if read { Ok(()) } else { Err(Refused::Closed((name, 0))) };
            assert_eq!(producer.join().unwrap(), expected);
        }
        assert_eq!(mailbox.drain().count(), 0);
        assert_eq!(bed.wakes(), 0, "nobody slept");
    });
}

#[test]
fn a_close_in_a_sleep() {
    loom::model(|| {
        let (mailbox, bed) = mailbox(4, 4);
        assert!(mailbox.prepare_sleep());
        let sender = start(&mailbox, |mailbox| mailbox.push((0, 0), 1).is_ok());
        let stopper = start(&mailbox, |mailbox| mailbox.signal(1));
        let read = mailbox.close().count();
        assert_eq!(sender.join().unwrap(), read == 1);
        stopper.join().unwrap();
        assert!(bed.wakes() <= 1);
        assert_eq!(mailbox.take_signals(ALL), 1);
    });
}
