//! The two kernels that touch every byte, beside what they must beat.
//!
//! `unmask`: the crate's choice, each implementation of this machine, and `memcpy` of the same
//! bytes as the limit. `burst`: a read full of small text messages, each unmasked and validated;
//! per read. `utf8`: the crate's choice and each implementation, `simdutf8` and the standard
//! library.
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
        let source = vec![0xa5; size];
        group.bench_function(BenchmarkId::new("memcpy", size), |bencher| {
            bencher.iter(|| black_box(&mut *payload).copy_from_slice(black_box(&source)));
        });
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
            group.bench_function(BenchmarkId::new("simdutf8", size), |bencher| {
                bencher.iter(|| simdutf8::basic::from_utf8(black_box(bytes)).is_ok());
            });
            group.bench_function(BenchmarkId::new("core", size), |bencher| {
                bencher.iter(|| std::str::from_utf8(black_box(bytes)).is_ok());
            });
        }
        group.finish();
    }
}

/// A kind of text: for each character, one of the ranges, drawn with equal chance.
struct Kind {
    name: &'static str,
    ranges: &'static [(char, char)],
}

const KINDS: [Kind; 4] = [
    Kind { name: "ascii", ranges: &[(' ', '~')] },
    // One character in six is of two bytes, as in French or German at its densest.
    Kind {
        name: "latin",
        ranges: &[('a', 'z'), ('a', 'z'), ('a', 'z'), (' ', 'Z'), ('a', 'z'), ('À', 'ÿ')],
    },
    Kind { name: "cjk", ranges: &[('\u{4e00}', '\u{9fff}')] },
    Kind { name: "emoji", ranges: &[('\u{1f300}', '\u{1f64f}')] },
];

impl Kind {
    /// A text of exactly `size` bytes, the same in every run; a remainder too small for a character
    /// is spaces.
    fn text(&self, size: usize) -> String {
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut draw = move |bound: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed >> 32) as usize % bound
        };
        let mut text = String::with_capacity(size);
        loop {
            let (low, high) = self.ranges[draw(self.ranges.len())];
            let Some(character) = (low..=high).nth(draw(high as usize - low as usize + 1)) else {
                continue;
            };
            if text.len() + character.len_utf8() > size {
                break;
            }
            text.push(character);
        }
        text.extend(std::iter::repeat_n(' ', size - text.len()));
        text
    }
}
