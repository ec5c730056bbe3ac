//! The two kernels that touch every byte, by each instruction set of this machine. Beside others
//! and beside the limit they are measured in the folder `peers`.
//!
//! `unmask` and `utf8`: the crate's choice, and each implementation. `burst`: a read full of small
//! text messages, each unmasked and validated; per read.
//!
//! ```text
//! cargo bench -p ringwire-benches --bench kernels
//! cargo bench -p ringwire-benches --bench kernels -- 'utf8/cjk/.*/16384'
//! ```

use std::{hint::black_box, time::Duration};

use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
    measurement::WallTime,
};
use ringwire_benches::text::KINDS;
use ringwire_protocol::{mask, utf8};

criterion_group!(kernels, unmask, burst, validate);
criterion_main!(kernels);

/// A small message, the longest that a short header takes, and what fills L1, L2 and neither.
const UNMASK_SIZES: [usize; 5] = [20, 125, 1 << 10, 16 << 10, 1 << 20];

/// Every path of the validator: words, one padded block, a block and its rest, and long runs.
const VALIDATE_SIZES: [usize; 6] = [20, 64, 125, 1 << 10, 16 << 10, 1 << 20];

/// Everything is measured briefly: what is compared differs by more than the noise, or does not
/// matter.
fn brief<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(20);
    group.warm_up_time(Duration::from_millis(40));
    group.measurement_time(Duration::from_millis(160));
    group
}

fn unmask(criterion: &mut Criterion) {
    let key = black_box([0x12, 0x9a, 0xf0, 0x4d]);
    for size in UNMASK_SIZES {
        let mut group = brief(criterion, "unmask");
        group.throughput(Throughput::Bytes(size as u64));
        // A payload follows a header of 6 or 8 bytes, so it is never aligned to a vector.
        let mut buffer = vec![0x5a; 6 + size];
        let payload = &mut buffer[6..];
        group.bench_function(BenchmarkId::new("ringwire", size), |bencher| {
            bencher.iter(|| mask::apply(black_box(&mut *payload), key, 0));
        });
        for implementation in mask::implementations() {
            group.bench_function(BenchmarkId::new(implementation.name(), size), |bencher| {
                bencher.iter(|| implementation.apply(black_box(&mut *payload), key, 0));
            });
        }
        group.finish();
    }
}

/// Sizes differ, as they do in a feed, so that neither branches nor stores that are read again come
/// out too well.
fn burst(criterion: &mut Criterion) {
    const HEADER: usize = 6;
    let mut group = brief(criterion, "burst");
    for (name, low, high) in [("20", 20, 20), ("16-47", 16, 47)] {
        let sizes: Vec<usize> =
            (0..512_usize).map(|i| low + i * i * 31 % (high - low + 1)).collect();
        let total = sizes.iter().map(|size| HEADER + size).sum();
        // A key of zeros does the same work, and leaves text for the next iteration.
        let mut buffer = vec![b'x'; total];
        let zero = black_box([0; 4]);
        group.throughput(Throughput::Elements(sizes.len() as u64));
        group.bench_function(BenchmarkId::new("ringwire", name), |bencher| {
            bencher.iter(|| {
                let mut rest = black_box(&mut buffer[..]);
                for &size in &sizes {
                    let payload;
                    (payload, rest) = rest[HEADER..].split_at_mut(size);
                    mask::apply(payload, zero, 0);
                    black_box(utf8::text(payload).is_ok());
                }
            });
        });
        let scalar = mask::implementations().next().expect("the oracle is always there");
        group.bench_function(BenchmarkId::new("oracle", name), |bencher| {
            bencher.iter(|| {
                let mut rest = black_box(&mut buffer[..]);
                for &size in &sizes {
                    let payload;
                    (payload, rest) = rest[HEADER..].split_at_mut(size);
                    scalar.apply(payload, zero, 0);
                    black_box(std::str::from_utf8(payload).is_ok());
                }
            });
        });
    }
    group.finish();
}

fn validate(criterion: &mut Criterion) {
    for kind in KINDS {
        let mut group = brief(criterion, &format!("utf8/{}", kind.name));
        for size in VALIDATE_SIZES {
            group.throughput(Throughput::Bytes(size as u64));
            let text = kind.text(size);
            let bytes = text.as_bytes();
            group.bench_function(BenchmarkId::new("ringwire", size), |bencher| {
                bencher.iter(|| {
                    let mut validator = utf8::Validator::new();
                    validator.push(black_box(bytes)).and_then(|()| validator.finish()).is_ok()
                });
            });
            for implementation in utf8::implementations().skip(2) {
                group.bench_function(BenchmarkId::new(implementation.name(), size), |bencher| {
                    bencher.iter(|| {
                        let mut validator = utf8::Validator::new();
                        implementation.push(&mut validator, black_box(bytes)).is_ok()
                    });
                });
            }
        }
        group.finish();
    }
}
