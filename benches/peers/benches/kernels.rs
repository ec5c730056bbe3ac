//! Every kernel beside others', each job by itself.
//!
//! ```text
//! RUSTFLAGS='-C target-cpu=native' cargo bench --bench kernels -- 'unmask/1024'
//! ```
//!
//! The jobs do not alternate here, so a machine that is busy for a while is unjust to some: ratios
//! are the business of the program of the same name.

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mimalloc::MiMalloc;
use ringwire_fanout_peers::kernels::KERNELS;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

criterion_group!(kernels, all);
criterion_main!(kernels);

fn all(criterion: &mut Criterion) {
    for contest in KERNELS.iter().flat_map(|(_, contests)| contests()) {
        let mut group = criterion.benchmark_group(contest.kernel);
        group.sample_size(10);
        group.warm_up_time(Duration::from_millis(10));
        group.measurement_time(Duration::from_millis(50));
        group.throughput(Throughput::Bytes(contest.size as u64));
        for mut job in contest.jobs {
            group.bench_function(BenchmarkId::new(job.name, &contest.case), |bencher| {
                bencher.iter_custom(|count| {
                    let start = Instant::now();
                    job.run(count);
                    start.elapsed()
                });
            });
        }
        group.finish();
    }
}
