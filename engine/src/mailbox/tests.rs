//! One thread at a time, and threads on the machine itself; `loom_tests` has the rest.

use std::collections::VecDeque;
use std::sync::atomic::AtomicUsize;

use proptest::prelude::*;

use super::*;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn mailbox<T>(items: usize, bytes: usize) -> Mailbox<T> {
    Mailbox::new(Bounds::new(items, bytes).expect("the bounds are in bounds"))
}

/// All signals.
const ALL: u32 = 7;

fn read<T>(mailbox: &Mailbox<T>) -> Vec<T> {
    mailbox.drain().collect()
}

#[test]
fn bounds_have_bounds() {
    let (items, bytes) = (usize::try_from(ITEMS_MAX), usize::try_from(BYTES_MAX));
    let (items, bytes) = (items.unwrap(), bytes.unwrap());
    assert!(Bounds::new(1, 1).is_some());
    assert!(Bounds::new(items, bytes).is_some());
    for (items, bytes) in [(0, 1), (1, 0), (items + 1, 1), (1, bytes + 1)] {
        assert_eq!(Bounds::new(items, bytes), None);
    }
}

#[test]
fn full_and_closed_give_the_mail_back() {
    let mailbox = mailbox(2, 9);
    assert_eq!(mailbox.push(1, 0), Ok(()));
    assert_eq!(mailbox.push(2, 0), Ok(()));
    assert_eq!(mailbox.push(3, 0), Err(Refused::Full(3)));
    assert_eq!(read(&mailbox), [1, 2]);
    assert_eq!(read(&mailbox), []);
    assert_eq!(mailbox.push(4, 0), Ok(()));
    assert_eq!(mailbox.close().collect::<Vec<_>>(), [4]);
    assert_eq!(mailbox.push(5, 0), Err(Refused::Closed(5)));
    assert_eq!(read(&mailbox), []);
}

#[test]
fn bytes_are_bounded() {
    let mailbox = mailbox(9, 10);
    assert_eq!(mailbox.push('a', 11), Err(Refused::TooLarge('a')));
    assert_eq!(mailbox.push('b', usize::MAX), Err(Refused::TooLarge('b')));
    assert_eq!(mailbox.push('c', 4), Ok(()));
    assert_eq!(mailbox.push('d', 7), Err(Refused::Full('d')));
    assert_eq!(mailbox.push('e', 6), Ok(()));
    assert_eq!(mailbox.push('f', 1), Err(Refused::Full('f')));
    assert_eq!(mailbox.push('g', 0), Ok(()));
    assert_eq!(read(&mailbox), ['c', 'e', 'g']);
    assert_eq!(mailbox.push('h', 10), Ok(()), "as large as all together");
}

#[test]
fn the_largest_bounds_can_be_filled() {
    let bytes = usize::try_from(BYTES_MAX).unwrap();
    let mailbox = mailbox(usize::try_from(ITEMS_MAX).unwrap(), bytes);
    assert_eq!(mailbox.push(1, bytes), Ok(()));
    assert_eq!(mailbox.push(2, 1), Err(Refused::Full(2)));
    assert_eq!(mailbox.push(3, 0), Ok(()));
    assert_eq!((mailbox.take_signals(ALL), read(&mailbox)), (0, vec![1, 3]));
    assert!(mailbox.prepare_sleep(), "nothing has been counted too much");
}

#[test]
fn what_is_being_read_counts() {
    let mailbox = mailbox(2, 9);
    assert_eq!((mailbox.push(1, 0), mailbox.push(2, 0)), (Ok(()), Ok(())));
    let mut mails = mailbox.drain();
    assert_eq!(mails.next(), Some(1));
    assert_eq!(mailbox.push(3, 0), Err(Refused::Full(3)));
    assert!(!mailbox.prepare_sleep());
    drop(mails);
    assert_eq!(read(&mailbox), [2], "what was not read is there");
    assert_eq!((mailbox.push(4, 0), mailbox.push(5, 0)), (Ok(()), Ok(())));
}

#[test]
fn a_drain_ends_though_mail_keeps_coming() {
    let mailbox = mailbox(9, 9);
    assert_eq!((mailbox.push(1, 0), mailbox.push(2, 0)), (Ok(()), Ok(())));
    let mails = mailbox.drain().inspect(|_| assert_eq!(mailbox.push(3, 0), Ok(())));
    assert_eq!(mails.count(), 2);
    assert_eq!(read(&mailbox), [3, 3]);
}

#[test]
fn wakes_once_and_only_a_sleeper() {
    let mailbox = mailbox(9, 9);
    let count = Arc::new(Count::default());
    mailbox.open(count.clone());
    assert_eq!(mailbox.push(1, 0), Ok(()));
    assert!(!mailbox.prepare_sleep(), "there is mail");
    assert_eq!(read(&mailbox), [1]);
    assert!(mailbox.prepare_sleep());
    assert_eq!(count.0.load(Ordering::SeqCst), 0);
    assert_eq!(mailbox.push(2, 0), Ok(()));
    assert_eq!(mailbox.push(3, 0), Ok(()));
    mailbox.signal(1);
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
    mailbox.awake();
    assert!(!mailbox.prepare_sleep());
    assert_eq!(read(&mailbox), [2, 3]);
    assert!(!mailbox.prepare_sleep(), "there is a signal");
    assert_eq!((mailbox.take_signals(ALL), mailbox.take_signals(ALL)), (1, 0));
    assert!(mailbox.prepare_sleep());
    mailbox.awake();
    mailbox.signal(2);
    assert_eq!(count.0.load(Ordering::SeqCst), 1, "nobody sleeps");
    assert_eq!(mailbox.take_signals(ALL), 2);
}

#[test]
fn a_signal_gets_through_a_full_mailbox() {
    let mailbox = mailbox(1, 1);
    assert_eq!(mailbox.push(1, 1), Ok(()));
    mailbox.signal(1);
    mailbox.signal(2);
    assert_eq!(mailbox.push(2, 0), Err(Refused::Full(2)));
    assert_eq!((mailbox.take_signals(ALL), read(&mailbox)), (3, vec![1]));
}

/// What a thread may ask of a mailbox.
#[derive(Clone, Debug)]
enum Step {
    Push(usize),
    Signal(u32),
    TakeSignals(u32),
    Read(usize),
    PrepareSleep,
    Awake,
    Close,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..12_usize).prop_map(Step::Push),
        1 => (1..8_u32).prop_map(Step::Signal),
        1 => (1..8_u32).prop_map(Step::TakeSignals),
        3 => (0..5_usize).prop_map(Step::Read),
        3 => Just(Step::PrepareSleep),
        2 => Just(Step::Awake),
        1 => Just(Step::Close),
    ];
    prop::collection::vec(step, 0..64)
}

proptest! {
    /// A mailbox does what a queue, a sum and four flags do.
    #[test]
    fn as_a_plain_queue(steps in steps()) {
        let mailbox = mailbox(4, 20);
        let count = Arc::new(Count::default());
        mailbox.open(count.clone());
        let (mut queue, mut signals, mut sleeps, mut wakes) = (VecDeque::new(), 0, false, 0);
        let mut closed = false;
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Push(bytes) => {
                    let sum: usize = queue.iter().map(|mail: &(usize, usize)| mail.1).sum();
                    let mail = (number, bytes);
                    let expected = if closed {
                        Err(Refused::Closed(mail))
                    } else if queue.len() == 4 || sum + bytes > 20 {
                        Err(Refused::Full(mail))
                    } else {
                        queue.push_back(mail);
                        wakes += usize::from(std::mem::take(&mut sleeps));
                        Ok(())
                    };
                    prop_assert_eq!(mailbox.push(mail, bytes), expected);
                }
                Step::Signal(bits) => {
                    signals |= bits;
                    wakes += usize::from(!closed && sleeps);
                    sleeps = false;
                    mailbox.signal(bits);
                }
                Step::TakeSignals(bits) => {
                    prop_assert_eq!(mailbox.take_signals(bits), signals & bits);
                    signals &= !bits;
                }
                Step::Read(some) => {
                    let mails: Vec<_> = mailbox.drain().take(some).collect();
                    let expected: Vec<_> = queue.drain(..some.min(queue.len())).collect();
                    prop_assert_eq!(mails, expected);
                }
                Step::PrepareSleep => {
                    let may = queue.is_empty() && signals == 0 && !sleeps && !closed;
                    prop_assert_eq!(mailbox.prepare_sleep(), may);
                    sleeps |= may;
                }
                Step::Awake => {
                    mailbox.awake();
                    sleeps = false;
                }
                Step::Close => {
                    closed = true;
                    let mails: Vec<_> = mailbox.close().collect();
                    let expected: Vec<_> = queue.drain(..).collect();
                    prop_assert_eq!(mails, expected);
                }
            }
            prop_assert_eq!(count.0.load(Ordering::SeqCst), wakes);
        }
    }
}

#[test]
fn threads() {
    let mailbox = Arc::new(mailbox(64, 640));
    let producers: Vec<_> = (0..4_u32)
        .map(|producer| {
            let mailbox = mailbox.clone();
            std::thread::spawn(move || {
                for number in 0..10_000_u32 {
                    let mut mail = Box::new((producer, number));
                    while let Err(Refused::Full(back)) = mailbox.push(mail, 16) {
                        mail = back;
                        std::thread::yield_now();
                    }
                }
            })
        })
        .collect();
    let mut next = [0; 4];
    while next != [10_000; 4] {
        let mut count = 0;
        for (producer, number) in mailbox.drain().map(|mail| *mail) {
            assert_eq!(number, next[producer as usize]);
            next[producer as usize] += 1;
            count += 1;
        }
        assert!(count <= 40, "of 16 bytes, 40 are 640");
    }
    for producer in producers {
        producer.join().unwrap();
    }
    assert!(mailbox.prepare_sleep(), "nothing is counted any more");
}

/// Threads push while the worker ends: each mail is read, dropped by the close, or comes back.
#[test]
fn a_close_among_threads() {
    for round in 0..200 {
        let mailbox = Arc::new(mailbox(1 << 20, 1 << 20));
        let producers: Vec<_> = (0..2)
            .map(|_| {
                let mailbox = mailbox.clone();
                std::thread::spawn(move || {
                    (0..1_000).take_while(|_| mailbox.push(Box::new(7), 1).is_ok()).count()
                })
            })
            .collect();
        let mut count = 0;
        for _ in 0..round {
            count += mailbox.drain().count();
        }
        count += mailbox.close().count();
        let pushed: usize = producers.into_iter().map(|producer| producer.join().unwrap()).sum();
        assert_eq!(count, pushed);
        assert_eq!(mailbox.drain().count(), 0);
    }
}
