//! The mailbox of a worker, beside what it must beat: a lock around a vector that is swapped, and
//! the queues of `crossbeam-queue`. Each keeps the same contract: bounded by items and by bytes,
//! and a consumer that sleeps on an event descriptor is woken once.
//!
//! `alone`: one thread puts a burst in and reads it; per mail. `stream`: threads put mail in as
//! fast as it is taken, and the consumer sleeps when there is none; per mail. `bursts`: each thread
//! waits until its 32 have been read before it puts the next in; per burst of one thread.
//!
//! ```text
//! cargo bench -p ringwire-benches --bench mailbox
//! cargo bench -p ringwire-benches --bench mailbox -- 'stream/.*/2'
//! ```

use std::hint::black_box;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use crossbeam_queue::{ArrayQueue, SegQueue};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};

use mailbox::{Bounds, Mailbox, Wake};

#[path = "../../engine/src/mailbox/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    reason = "the engine uses all of it, this its queue only"
)]
mod mailbox;

criterion_group!(mailboxes, alone, stream, bursts);
criterion_main!(mailboxes);

/// As the engine's own have by default.
const ITEMS_MAX: usize = 65_536;
const BYTES_MAX: usize = 64 << 20;

/// A mail of the engine is as large.
type Letter = [u64; 6];

/// What a letter says it holds.
const LETTER_BYTES: usize = 100;

/// Letters of one thread that are read before it puts the next in.
const BURST: u64 = 32;

/// What can be a mailbox.
trait Candidate: Sync + Send {
    /// `false`: it is full.
    fn push(&self, letter: Letter) -> bool;
    /// Reads all letters. One thread only.
    fn read(&self, reader: &mut Reader<'_>);
    fn prepare_sleep(&self) -> bool;
    fn awake(&self);
}

/// Who reads.
struct Reader<'a> {
    /// How many letters of each thread have been read.
    read: &'a [AtomicU64],
    count: u64,
    /// What the lock swaps.
    kept: Vec<Letter>,
}

impl Reader<'_> {
    fn take(&mut self, letter: Letter) {
        let [producer, number, ..] = black_box(letter);
        let read = &self.read[index(producer)];
        assert_eq!(read.load(Ordering::Relaxed), number, "out of order");
        read.store(number + 1, Ordering::Release);
        self.count += 1;
    }
}

/// One candidate, and who uses it.
struct Load<'a> {
    queue: &'a dyn Candidate,
    bell: &'a Bell,
    /// For each thread, how many of its letters have been read.
    read: Vec<AtomicU64>,
}

impl<'a> Load<'a> {
    fn new(queue: &'a dyn Candidate, bell: &'a Bell, producers: u64) -> Self {
        Self { queue, bell, read: (0..producers).map(|_| AtomicU64::new(0)).collect() }
    }
}

/// Ends a sleep in `poll`.
struct Bell(OwnedFd);

impl Bell {
    fn new() -> Arc<Self> {
        Arc::new(Self(eventfd(0, EventfdFlags::NONBLOCK).expect("a descriptor is free")))
    }

    fn sleep(&self) {
        let mut waited = [PollFd::new(&self.0, PollFlags::IN)];
        poll(&mut waited, None).expect("it can be waited for");
        let mut counter = [0; 8];
        rustix::io::read(&self.0, &mut counter).expect("it can be read");
    }
}

impl Wake for Bell {
    fn wake(&self) {
        rustix::io::write(&self.0, &1_u64.to_ne_bytes()).expect("it can be written");
    }
}

impl Candidate for Mailbox<Letter> {
    fn push(&self, letter: Letter) -> bool {
        Self::push(self, letter, LETTER_BYTES).is_ok()
    }

    fn read(&self, reader: &mut Reader<'_>) {
        self.drain().for_each(|letter| reader.take(letter));
    }

    fn prepare_sleep(&self) -> bool {
        Self::prepare_sleep(self)
    }

    fn awake(&self) {
        Self::awake(self);
    }
}

/// Who sleeps and who wakes, beside a queue that does not know.
struct Sleep {
    sleeping: AtomicBool,
    bell: Arc<Bell>,
}

impl Sleep {
    const fn new(bell: Arc<Bell>) -> Self {
        Self { sleeping: AtomicBool::new(false), bell }
    }

    fn prepare(&self, is_empty: impl FnOnce() -> bool) -> bool {
        self.sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let empty = is_empty();
        if !empty {
            self.awake();
        }
        empty
    }

    fn awake(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
    }

    fn wake(&self) {
        fence(Ordering::SeqCst);
        if self.sleeping.load(Ordering::Relaxed) && self.sleeping.swap(false, Ordering::Relaxed) {
            self.bell.wake();
        }
    }
}

/// A lock, held for a push or a swap.
struct Lock {
    mail: Mutex<(Vec<Letter>, usize)>,
    pending: AtomicBool,
    sleep: Sleep,
}

impl Lock {
    fn new(bell: Arc<Bell>) -> Self {
        let (mail, pending) = (Mutex::default(), AtomicBool::new(false));
        Self { mail, pending, sleep: Sleep::new(bell) }
    }
}

impl Candidate for Lock {
    fn push(&self, letter: Letter) -> bool {
        {
            let mut mail = self.mail.lock().unwrap_or_else(PoisonError::into_inner);
            let bytes = mail.1 + LETTER_BYTES;
            if mail.0.len() >= ITEMS_MAX || bytes > BYTES_MAX {
                return false;
            }
            mail.0.push(letter);
            mail.1 = bytes;
        }
        self.pending.store(true, Ordering::Release);
        self.sleep.wake();
        true
    }

    fn read(&self, reader: &mut Reader<'_>) {
        if !self.pending.load(Ordering::Acquire) {
            return;
        }
        self.pending.store(false, Ordering::SeqCst);
        let mut kept = std::mem::take(&mut reader.kept);
        {
            let mut mail = self.mail.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut mail.0, &mut kept);
            mail.1 = 0;
        }
        kept.drain(..).for_each(|letter| reader.take(letter));
        reader.kept = kept;
    }

    fn prepare_sleep(&self) -> bool {
        self.sleep.prepare(|| !self.pending.load(Ordering::Relaxed))
    }

    fn awake(&self) {
        self.sleep.awake();
    }
}

/// A queue of the library's, its bounds beside it.
struct Bounded<Q> {
    queue: Q,
    /// Items above, bytes below.
    weight: AtomicU64,
    sleep: Sleep,
}

const ITEM: u64 = 1 << 40;

/// What both queues of the library can do.
trait Queue: Sync + Send {
    fn put(&self, letter: Letter) -> bool;
    fn next(&self) -> Option<Letter>;
    fn is_empty(&self) -> bool;
}

impl Queue for ArrayQueue<Letter> {
    fn put(&self, letter: Letter) -> bool {
        self.push(letter).is_ok()
    }

    fn next(&self) -> Option<Letter> {
        self.pop()
    }

    fn is_empty(&self) -> bool {
        Self::is_empty(self)
    }
}

impl Queue for SegQueue<Letter> {
    fn put(&self, letter: Letter) -> bool {
        self.push(letter);
        true
    }

    fn next(&self) -> Option<Letter> {
        self.pop()
    }

    fn is_empty(&self) -> bool {
        Self::is_empty(self)
    }
}

impl<Q: Queue> Bounded<Q> {
    const fn new(queue: Q, bell: Arc<Bell>) -> Self {
        Self { queue, weight: AtomicU64::new(0), sleep: Sleep::new(bell) }
    }
}

impl<Q: Queue> Candidate for Bounded<Q> {
    fn push(&self, letter: Letter) -> bool {
        let add = |weight: u64| {
            let (items, bytes) = (weight / ITEM + 1, weight % ITEM + LETTER_BYTES as u64);
            let fits = items <= ITEMS_MAX as u64 && bytes <= BYTES_MAX as u64;
            fits.then_some(weight + ITEM + LETTER_BYTES as u64)
        };
        let pushed = self.weight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
            && self.queue.put(letter);
        if pushed {
            self.sleep.wake();
        }
        pushed
    }

    fn read(&self, reader: &mut Reader<'_>) {
        let mut count = 0;
        // No more than one turn may have.
        while count < ITEMS_MAX as u64
            && let Some(letter) = self.queue.next()
        {
            reader.take(letter);
            count += 1;
        }
        if count > 0 {
            self.weight.fetch_sub(count * (ITEM + LETTER_BYTES as u64), Ordering::Relaxed);
        }
    }

    fn prepare_sleep(&self) -> bool {
        self.sleep.prepare(|| self.queue.is_empty())
    }

    fn awake(&self) {
        self.sleep.awake();
    }
}

/// Each candidate under its name, with the bell that wakes its reader.
fn candidates() -> [(&'static str, Arc<dyn Candidate>, Arc<Bell>); 4] {
    let bells: [_; 4] = std::array::from_fn(|_| Bell::new());
    let [first, second, third, fourth] = bells.clone();
    let bounds = Bounds::new(ITEMS_MAX, BYTES_MAX).expect("the bounds are in bounds");
    let ringwire = Mailbox::new(bounds);
    ringwire.open(first);
    let queues: [(&str, Arc<dyn Candidate>); 4] = [
        ("ringwire", Arc::new(ringwire)),
        ("lock", Arc::new(Lock::new(second))),
        ("array", Arc::new(Bounded::new(ArrayQueue::new(ITEMS_MAX), third))),
        ("segments", Arc::new(Bounded::new(SegQueue::new(), fourth))),
    ];
    let mut bells = bells.into_iter();
    queues.map(|(name, queue)| (name, queue, bells.next().expect("each has one")))
}

fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(20);
    group.warm_up_time(Duration::from_millis(100));
    group.measurement_time(Duration::from_millis(500));
    group
}

fn alone(criterion: &mut Criterion) {
    for burst in [1, 32, 1024] {
        let mut group = group(criterion, "alone");
        group.throughput(Throughput::Elements(burst));
        for (name, queue, _) in candidates() {
            let read = [AtomicU64::new(0)];
            let mut reader = Reader { read: &read, count: 0, kept: Vec::new() };
            group.bench_function(BenchmarkId::new(name, burst), |bencher| {
                bencher.iter(|| {
                    let first = reader.count;
                    for number in first..first + burst {
                        queue.push(black_box([0, number, 0, 0, 0, 0]));
                    }
                    queue.read(&mut reader);
                });
            });
        }
        group.finish();
    }
}

fn stream(criterion: &mut Criterion) {
    for producers in [1, 2, 4] {
        let mut group = group(criterion, "stream");
        group.throughput(Throughput::Elements(producers));
        for (name, queue, bell) in candidates() {
            group.bench_function(BenchmarkId::new(name, producers), |bencher| {
                let load = Load::new(&*queue, &bell, producers);
                bencher.iter_custom(|rounds| {
                    serve(&load, rounds, |load, producer, number| {
                        while !load.queue.push([producer, number, 0, 0, 0, 0]) {
                            thread::yield_now();
                        }
                    })
                });
            });
        }
        group.finish();
    }
}

fn bursts(criterion: &mut Criterion) {
    for producers in [1, 2, 4] {
        let mut group = group(criterion, "bursts");
        group.throughput(Throughput::Elements(producers * BURST));
        for (name, queue, bell) in candidates() {
            group.bench_function(BenchmarkId::new(name, producers), |bencher| {
                let load = Load::new(&*queue, &bell, producers);
                bencher.iter_custom(|rounds| {
                    serve(&load, rounds * BURST, |load, producer, number| {
                        assert!(load.queue.push([producer, number, 0, 0, 0, 0]));
                        let read = &load.read[index(producer)];
                        let ends = number % BURST == BURST - 1;
                        while ends && read.load(Ordering::Acquire) <= number {
                            thread::yield_now();
                        }
                    })
                });
            });
        }
        group.finish();
    }
}

fn index(producer: u64) -> usize {
    usize::try_from(producer).expect("there are four at most")
}

/// The time in which so many threads put in so many letters each, and all of them are read.
fn serve(load: &Load<'_>, letters: u64, put: impl Fn(&Load<'_>, u64, u64) + Sync) -> Duration {
    let start = Barrier::new(load.read.len() + 1);
    for read in &load.read {
        read.store(0, Ordering::Relaxed);
    }
    thread::scope(|scope| {
        for producer in 0..load.read.len() as u64 {
            let (start, put) = (&start, &put);
            scope.spawn(move || {
                start.wait();
                (0..letters).for_each(|number| put(load, producer, number));
            });
        }
        let mut reader = Reader { read: &load.read, count: 0, kept: Vec::new() };
        start.wait();
        let begin = Instant::now();
        while reader.count < letters * load.read.len() as u64 {
            if load.queue.prepare_sleep() {
                load.bell.sleep();
                load.queue.awake();
            }
            load.queue.read(&mut reader);
        }
        begin.elapsed()
    })
}
