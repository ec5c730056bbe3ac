//! The engine on the seeded ring, with everything going wrong that may: a peer receives what it is
//! owed, in order and without a gap that was not reported; every connection comes to one end; and
//! what the engine believes to be in flight is what is.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::env;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ringwire::simulation::Faults;

// Named one by one, because a file straight in the folder above would be a test of its own.
#[path = "simulation/act.rs"]
mod act;
#[path = "simulation/books.rs"]
mod books;
#[path = "simulation/chance.rs"]
mod chance;
#[path = "simulation/check.rs"]
mod check;
#[path = "simulation/client.rs"]
mod client;
#[path = "simulation/crowd.rs"]
mod crowd;
#[path = "simulation/deferrals.rs"]
mod deferrals;
#[path = "simulation/door.rs"]
mod door;
#[path = "simulation/gaps.rs"]
mod gaps;
#[path = "simulation/host.rs"]
mod host;
#[path = "simulation/ledger.rs"]
mod ledger;
#[path = "simulation/owed.rs"]
mod owed;
#[path = "simulation/run.rs"]
mod run;
#[path = "simulation/scenes.rs"]
mod scenes;
#[path = "simulation/topics.rs"]
mod topics;

use run::{Run, Tally};

/// Runs with the same seeds each time, and of these with a crowd.
const FIXED: u64 = 60;
const FIXED_CROWDS: u64 = 3;

/// For how long others are tried besides, which have never been tried.
const FRESH: Duration = Duration::from_secs(6);

/// Runs with `fixed` seeds, and with fresh ones. `RINGWIRE_SEED` repeats one of them,
/// `RINGWIRE_SECONDS` tries fresh ones for longer.
fn run_all(fixed: u64, run: impl Fn(u64) -> Run) {
    let number = |name| env::var(name).ok().and_then(|number: String| number.parse().ok());
    if let Some(seed) = number("RINGWIRE_SEED") {
        run(seed).all();
        return;
    }
    let mut sum = Tally::default();
    let mut run = |seed| {
        let tally = run(seed).all();
        sum.connections += tally.connections;
        sum.messages += tally.messages;
        sum.deliveries += tally.deliveries;
        sum.turns += tally.turns;
        sum.adopted += tally.adopted;
        sum.released += tally.released;
        sum.decided += tally.decided;
        sum.late += tally.late;
    };
    (0..fixed).for_each(&mut run);
    let (start, time) = (Instant::now(), number("RINGWIRE_SECONDS").map(Duration::from_secs));
    let first = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let mut fresh = u64::try_from(first % u128::from(u64::MAX)).unwrap();
    while start.elapsed() < time.unwrap_or(FRESH) {
        run(fresh);
        fresh = fresh.wrapping_add(1);
    }
    eprintln!("{sum:?}");
    assert!(sum.connections > 20 * fixed && sum.messages > 200 * fixed, "too little: {sum:?}");
    assert!(sum.deliveries > 20 * fixed, "too little: {sum:?}");
    assert!(sum.adopted > 5 * fixed && sum.released > 2 * fixed, "too little: {sum:?}");
    assert!(sum.decided > fixed && sum.late > fixed / 6, "too little: {sum:?}");
}

#[test]
fn nothing_is_lost_without_faults() {
    run_all(FIXED, |seed| Run::new(seed, Faults::default()));
}

#[test]
fn nothing_is_lost_by_harmless_faults() {
    run_all(FIXED, |seed| Run::new(seed, Faults::HARMLESS));
}

#[test]
fn everything_ends_whatever_happens() {
    run_all(FIXED, |seed| Run::new(seed, Faults::MANY));
}

#[test]
fn a_crowd_loses_nothing_by_harmless_faults() {
    run_all(FIXED_CROWDS, |seed| Run::crowd(seed, Faults::HARMLESS));
}

#[test]
fn a_crowd_ends_whatever_happens() {
    // Without descriptors there would be no crowd.
    let faults = Faults { descriptors_exhausted: 0, ..Faults::MANY };
    run_all(FIXED_CROWDS, |seed| Run::crowd(seed, faults));
}
