//! Compression and decompression beside bare zlib-rs, see `ringwire_benches::contest`.
//!
//! The time is that of one round: 128 KiB of messages. How the contestants compare is better read
//! from the program `deflate`, which alternates between them and counts their instructions.
//!
//! ```text
//! cargo bench -p ringwire-benches --bench deflate
//! cargo bench -p ringwire-benches --bench deflate -- 'deflate/compress/level-1/takeover'
//! ```

use std::{hint::black_box, time::Duration};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringwire_benches::contest::{Contest, Contestant};

criterion_group!(deflate, contests);
criterion_main!(deflate);

fn contests(criterion: &mut Criterion) {
    for contest in Contest::all() {
        let Contest { direction, message_size, takeover, level } = contest;
        let takeover = if takeover { "takeover" } else { "no-takeover" };
        let name = format!("deflate/{}/level-{level}/{takeover}", direction.name());
        let mut group = criterion.benchmark_group(name);
        group.sample_size(20);
        group.warm_up_time(Duration::from_millis(40));
        group.measurement_time(Duration::from_millis(200));
        let size: usize = contest.messages().iter().map(String::len).sum();
        group.throughput(Throughput::Bytes(size as u64));
        for contestant in Contestant::ALL {
            let mut round = contest.round(contestant);
            group.bench_function(BenchmarkId::new(contestant.name(), message_size), |bencher| {
                bencher.iter(|| black_box(round()));
            });
        }
        group.finish();
    }
}
