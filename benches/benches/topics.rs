//! Publish and subscribe within a worker: what a visit costs, a search, a change, a snapshot.
//!
//! `visit`: one publish to so many subscribers, per subscriber, beside a plain list of them.
//! `distinct`: the same where each subscriber has subscribed two patterns that match and must be
//! visited once, beside what sorted lists would take instead of stamps. `search`: a publish that
//! reaches hardly anybody, among many patterns, and the worst that patterns can do. `change`:
//! subscribing and unsubscribing. `retained` and `conflation`: per operation.
//!
//! ```text
//! cargo bench -p ringwire-benches --bench topics
//! ```
#![expect(clippy::unwrap_used, reason = "a benchmark that fails panics")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
    measurement::WallTime,
};
use ringwire::topic::{
    Conflation, ConflationLimits, Pattern, Retained, RetainedLimits, Topic, TopicLimits, Topics,
};

criterion_group!(topics, visit, distinct, search, worst, change, retained, conflation);
criterion_main!(topics);

fn brief<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(20);
    group.warm_up_time(Duration::from_millis(40));
    group.measurement_time(Duration::from_millis(160));
    group
}

/// What names a subscriber here: as large as a connection's identity.
type Subscriber = u64;

/// Subscribers in an order that is not that of their numbers, as they come in a server.
fn subscribers(count: usize) -> impl Iterator<Item = Subscriber> {
    (0..count as u64).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 8)
}

fn table() -> Topics<Subscriber> {
    Topics::new(TopicLimits { patterns_max: 1 << 20, ..TopicLimits::default() })
}

fn subscribe(topics: &mut Topics<Subscriber>, subscriber: Subscriber, pattern: &str) {
    assert!(topics.subscribe(subscriber, Pattern::new(pattern).unwrap()).unwrap());
}

/// Publishes, and does with each subscriber what cannot be left out.
fn publish(topics: &mut Topics<Subscriber>, topic: Topic<'_>) -> u64 {
    let mut sum = 0_u64;
    topics.publish(topic, Some(1), |subscriber, _| sum = sum.wrapping_add(subscriber)).unwrap();
    sum
}

fn visit(criterion: &mut Criterion) {
    let topic = Topic::new("prices.DAX").unwrap();
    let mut group = brief(criterion, "visit");
    for count in [1, 100, 10_000, 100_000] {
        let mut topics = table();
        for subscriber in subscribers(count) {
            subscribe(&mut topics, subscriber, topic.as_str());
        }
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::new("ringwire", count), |bencher| {
            bencher.iter(|| publish(&mut topics, black_box(topic)));
        });
        let list: Vec<_> = subscribers(count).collect();
        group.bench_function(BenchmarkId::new("list", count), |bencher| {
            bencher.iter(|| black_box(&list).iter().fold(0_u64, |sum, id| sum.wrapping_add(*id)));
        });
    }
    group.finish();
}

fn distinct(criterion: &mut Criterion) {
    const COUNT: usize = 10_000;
    let topic = Topic::new("prices.DAX").unwrap();
    let mut topics = table();
    for subscriber in subscribers(COUNT) {
        subscribe(&mut topics, subscriber, "prices.DAX");
        subscribe(&mut topics, subscriber, "prices.*");
    }
    let mut group = brief(criterion, "distinct");
    group.throughput(Throughput::Elements(2 * COUNT as u64));
    group.bench_function("ringwire", |bencher| {
        bencher.iter(|| publish(&mut topics, black_box(topic)));
    });
    // Lists as removals leave them, without order.
    let identities: Vec<_> = subscribers(COUNT).collect();
    let count = u32::try_from(COUNT).unwrap();
    let scattered: Vec<_> = (0..count).map(|number| number * 7919 % count).collect();
    let mut both = Vec::new();
    group.bench_function("sort", |bencher| {
        bencher.iter(|| {
            both.clear();
            both.extend_from_slice(black_box(&scattered));
            both.extend_from_slice(black_box(&scattered));
            both.sort_unstable();
            both.dedup();
            both.iter().fold(0_u64, |sum, number| sum.wrapping_add(identities[*number as usize]))
        });
    });
    // Lists that are kept in order, at the price of moving half of one for each subscription.
    let sorted: Vec<_> = (0..count).collect();
    group.bench_function("merge", |bencher| {
        bencher.iter(|| merge(black_box(&sorted), black_box(&sorted), &identities));
    });
    group.finish();
}

fn merge(mut left: &[u32], mut right: &[u32], identities: &[Subscriber]) -> u64 {
    let mut sum = 0_u64;
    loop {
        let number = match (left.first(), right.first()) {
            (Some(a), Some(b)) => *a.min(b),
            (Some(number), None) | (None, Some(number)) => *number,
            (None, None) => return sum,
        };
        left = &left[usize::from(left.first() == Some(&number))..];
        right = &right[usize::from(right.first() == Some(&number))..];
        sum = sum.wrapping_add(identities[number as usize]);
    }
}

fn search(criterion: &mut Criterion) {
    const COUNT: usize = 100_000;
    let mut group = brief(criterion, "search");
    let mut topics = table();
    for number in 0..COUNT {
        subscribe(&mut topics, number as u64 / 100, &format!("prices.m{}.s{number}", number % 50));
    }
    let two = Topic::new("prices.m7.s7007").unwrap();
    let none = Topic::new("prices.m7.s7008").unwrap();
    group.bench_function("name", |bencher| {
        bencher.iter(|| Topic::new(black_box("prices.m7.s7007")).is_ok());
    });
    group.bench_function("literal", |bencher| {
        bencher.iter(|| publish(&mut topics, black_box(two)));
    });
    group.bench_function("literal, none", |bencher| {
        bencher.iter(|| publish(&mut topics, black_box(none)));
    });
    for (number, pattern) in (0..).zip(["prices.>", "prices.m7.*", "prices.*.s7007", "*.m7.>"]) {
        subscribe(&mut topics, 1 << 40 | number, pattern);
    }
    group.bench_function("literal and four wildcards", |bencher| {
        bencher.iter(|| publish(&mut topics, black_box(two)));
    });
    let patterns: Vec<_> = (0..COUNT).map(|n| format!("prices.m{}.s{n}", n % 50)).collect();
    group.sample_size(10);
    group.bench_function("one by one", |bencher| {
        bencher.iter(|| {
            let patterns = patterns.iter().map(|name| Pattern::new(name).unwrap());
            patterns.filter(|pattern| pattern.matches(two)).count()
        });
    });
    group.finish();
}

/// Every pattern that matches one topic of sixteen tokens, and as many that fail at its last one.
fn worst(criterion: &mut Criterion) {
    let mut topics = table();
    for bits in (0..1_u32 << 16).filter(|bits| bits.count_ones() <= 4) {
        let token = |at: u32| if bits >> at & 1 == 1 { "*" } else { "a" };
        for count in (0..=16).filter(|count| bits >> count == 0) {
            let mut tokens: Vec<_> = (0..count).map(token).collect();
            if count < 16 {
                tokens.push(">");
            }
            subscribe(&mut topics, u64::from(bits) << 8 | u64::from(count), &tokens.join("."));
        }
    }
    let name = ["a"; 16].join(".");
    let topic = Topic::new(&name).unwrap();
    assert_eq!(topics.subscriber_count(topic), Ok(Pattern::MATCHES_MAX));
    let mut group = brief(criterion, "worst");
    group.bench_function("9401 matches", |bencher| {
        bencher.iter(|| publish(&mut topics, black_box(topic)));
    });
    // The same nodes are seen, but for the last.
    let mut topics = table();
    for bits in (0..1_u32 << 15).filter(|bits| bits.count_ones() <= 4) {
        let token = |at: u32| if bits >> at & 1 == 1 { "*" } else { "a" };
        let tokens: Vec<_> = (0..15).map(token).chain(["b"]).collect();
        subscribe(&mut topics, u64::from(bits), &tokens.join("."));
    }
    assert_eq!(topics.subscriber_count(topic), Ok(0));
    group.bench_function("no match", |bencher| {
        bencher.iter(|| publish(&mut topics, black_box(topic)));
    });
    group.finish();
}

fn change(criterion: &mut Criterion) {
    let mut group = brief(criterion, "change");
    for (others, own) in [(1, 1), (100_000, 1), (100_000, 32), (100_000, 1000)] {
        let mut topics = table();
        for subscriber in subscribers(others) {
            subscribe(&mut topics, subscriber, "prices.DAX");
        }
        let name = |number| format!("prices.s{number}");
        for number in 0..own - 1 {
            subscribe(&mut topics, 1, &name(number));
        }
        let pattern = Pattern::new("prices.DAX").unwrap();
        let id = format!("{others} others, {own} of its own");
        group.bench_function(BenchmarkId::new("subscribe and unsubscribe", id), |bencher| {
            bencher.iter(|| {
                assert_eq!(topics.subscribe(1, black_box(pattern)), Ok(true));
                assert!(topics.unsubscribe(1, black_box(pattern)));
            });
        });
    }
    group.finish();
}

fn retained(criterion: &mut Criterion) {
    const COUNT: usize = 50_000;
    let mut group = brief(criterion, "retained");
    let mut retained: Retained<Arc<[u8]>> = Retained::new(RetainedLimits::default());
    let value: Arc<[u8]> = [0x5a; 100].into();
    for number in 0..COUNT {
        let name = format!("prices.m{}.s{number}", number % 50);
        retained.set(Topic::new(&name).unwrap(), "", Arc::clone(&value)).unwrap();
    }
    let topic = Topic::new("prices.m7.s7007").unwrap();
    group.bench_function("set", |bencher| {
        bencher.iter(|| retained.set(black_box(topic), "", Arc::clone(&value)).is_ok());
    });
    for (name, expected) in
        [("prices.m7.s7007", 1), ("prices.m7.*", 1000), ("*.*.s7007", 1), ("prices.>", COUNT)]
    {
        let pattern = Pattern::new(name).unwrap();
        assert_eq!(retained.matching(pattern).count(), expected);
        group.throughput(Throughput::Elements(expected as u64));
        group.bench_function(BenchmarkId::new("matching", name), |bencher| {
            bencher.iter(|| retained.matching(black_box(pattern)).count());
        });
    }
    group.finish();
}

fn conflation(criterion: &mut Criterion) {
    let mut group = brief(criterion, "conflation");
    let limits = ConflationLimits { size_max: usize::MAX, ..ConflationLimits::default() };
    for keys in [10_u32, 10_000] {
        let mut queue = Conflation::new(limits);
        let mut number = 0_u32;
        group.bench_function(BenchmarkId::new("replace", keys), |bencher| {
            bencher.iter(|| {
                number = number.wrapping_add(7919);
                queue.push(Some(number % keys), number, 100).is_ok()
            });
        });
        group.bench_function(BenchmarkId::new("pop and push", keys), |bencher| {
            bencher.iter(|| {
                let popped = queue.pop().unwrap();
                queue.push(Some(popped % keys), popped, 100).is_ok()
            });
        });
    }
    group.finish();
}
