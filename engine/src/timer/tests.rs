//! The wheel against a table that is searched.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::{Time, Wheel};

const TICK: u64 = 1 << 22;

#[derive(Clone, Debug)]
enum Act {
    Set(u32, u64),
    Advance(u32, u64),
    Clear(u32),
    Pass(u64),
}

fn duration() -> impl Strategy<Value = u64> {
    // From nothing to a year, evenly by magnitude.
    (0..55_u32, any::<u64>()).prop_map(|(bits, random)| random & ((1 << bits) - 1))
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..40_u32, duration()).prop_map(|(slot, after)| Act::Set(slot, after)),
        2 => (0..40_u32, duration()).prop_map(|(slot, after)| Act::Advance(slot, after)),
        1 => (0..50_u32).prop_map(Act::Clear),
        4 => duration().prop_map(Act::Pass),
    ]
}

proptest! {
    #[test]
    fn expires_each_once_and_never_early(
        start in duration(),
        acts in prop::collection::vec(act(), 0..200),
    ) {
        let mut now = Time::from_nanos(start);
        let mut wheel = Wheel::new(now);
        let mut table: BTreeMap<u32, Time> = BTreeMap::new();
        let mut expired = Vec::new();
        for act in acts {
            match act {
                Act::Set(slot, after) => {
                    let deadline = now.after(Duration::from_nanos(after));
                    wheel.set(slot, deadline);
                    table.insert(slot, deadline);
                }
                Act::Advance(slot, after) => {
                    let deadline = now.after(Duration::from_nanos(after));
                    let tick = |time: Time| time.as_nanos() / TICK;
                    // Within one tick either may stand.
                    let standing = table.get(&slot).copied();
                    wheel.advance(slot, deadline);
                    if standing.is_none_or(|standing| tick(deadline) < tick(standing)) {
                        table.insert(slot, deadline);
                    }
                }
                Act::Clear(slot) => {
                    wheel.clear(slot);
                    table.remove(&slot);
                }
                Act::Pass(time) => {
                    now = now.after(Duration::from_nanos(time));
                    wheel.expire(now, &mut expired);
                    for slot in expired.drain(..) {
                        let deadline = table.remove(&slot);
                        prop_assert!(deadline.is_some(), "slot {} expired without one", slot);
                        prop_assert!(deadline <= Some(now), "slot {} expired early", slot);
                    }
                    for (slot, deadline) in &table {
                        let late = now.since(*deadline);
                        let tick = Duration::from_nanos(TICK);
                        prop_assert!(late < tick, "slot {slot} is {late:?} late");
                    }
                }
            }
            // The loop is told to look no later than the nearest deadline's tick, and something
            // stands behind what it is told.
            let nearest = table.values().min().map(|time| time.after(Duration::from_nanos(TICK)));
            prop_assert_eq!(wheel.next().is_some(), nearest.is_some());
            prop_assert!(wheel.next() <= nearest);
        }
    }
}

#[test]
fn a_jump_of_years_takes_few_steps() {
    let mut wheel = Wheel::new(Time::ZERO);
    let year = Duration::from_secs(365 * 86_400);
    for slot in 0..1000 {
        wheel.set(slot, Time::ZERO.after(year * slot / 1000));
    }
    let mut expired = Vec::new();
    wheel.expire(Time::ZERO.after(year * 2), &mut expired);
    expired.sort_unstable();
    assert!(expired.iter().copied().eq(0..1000));
    assert_eq!(wheel.next(), None);
}

#[test]
fn the_end_of_time() {
    let mut wheel = Wheel::new(Time::ZERO);
    wheel.set(3, Time::ZERO.after(Duration::MAX));
    let mut expired = Vec::new();
    wheel.expire(Time::from_nanos(u64::MAX / 2), &mut expired);
    assert_eq!(expired, []);
    assert!(wheel.next().is_some());
}
