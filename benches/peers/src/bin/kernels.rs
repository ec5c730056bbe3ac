//! Prints every kernel beside others', as ratios of times that were taken in turn.
//!
//! ```text
//! RUSTFLAGS='-C target-cpu=native' cargo run --release --bin kernels -- unmask/1024
//! ```
//!
//! The argument is the beginning of `kernel/case`. One round times each job once, for about a
//! millisecond, and a ratio is that of two times of one round. So what disturbs the machine for
//! longer than a round falls on both sides of it, and what is shorter on few of the ratios, of
//! which the median is printed. A ratio below one says that ours takes less time.
#![expect(clippy::print_stdout, reason = "the table is what it is for")]

use std::env;
use std::time::{Duration, Instant};

use mimalloc::MiMalloc;
use ringwire_fanout_peers::kernels::{Contest, Job, KERNELS};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const ROUNDS: usize = 21;
const ROUND: Duration = Duration::from_micros(800);

fn main() {
    let wanted = env::args().nth(1).unwrap_or_default();
    println!("| kernel | case | whose | ns | ours / theirs |");
    println!("|---|---|---|---:|---:|");
    let all = KERNELS.iter().filter(|(name, _)| wanted.is_empty() || wanted.starts_with(name));
    for contest in all.flat_map(|(_, contests)| contests()) {
        if format!("{}/{}", contest.kernel, contest.case).starts_with(&wanted) {
            print(contest);
        }
    }
}

fn print(mut contest: Contest) {
    let counts: Vec<u64> = contest.jobs.iter_mut().map(count).collect();
    let mut rounds = vec![Vec::with_capacity(ROUNDS); contest.jobs.len()];
    for _ in 0..ROUNDS {
        for ((job, &count), times) in contest.jobs.iter_mut().zip(&counts).zip(&mut rounds) {
            times.push(time(job, count));
        }
    }
    let ours = rounds.first().cloned().unwrap_or_default();
    let Contest { kernel, case, jobs, .. } = &contest;
    for (job, times) in jobs.iter().zip(rounds) {
        let ratio = median(ours.iter().zip(&times).map(|(ours, theirs)| ours / theirs).collect());
        let time = median(times);
        println!("| {kernel} | {case} | {} | {time:.1} | {ratio:.2} |", job.name);
    }
}

/// How often the job is to run for a round; it is warm after that.
fn count(job: &mut Job) -> u64 {
    let mut count = 1;
    loop {
        let start = Instant::now();
        job.run(count);
        if start.elapsed() >= ROUND / 2 {
            return count;
        }
        count *= 2;
    }
}

/// Nanoseconds of one run.
fn time(job: &mut Job, count: u64) -> f64 {
    let start = Instant::now();
    job.run(count);
    start.elapsed().as_secs_f64() * 1e9 / count as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
