//! Waiting, asleep or not.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use super::{KEY, MOMENT, PATIENCE, World, received};
use crate::driver::{BufferPool, Bytes, Completion, Driver};

pub(super) fn a_wait_ends_in_time_or_when_it_is_woken<D: Driver>(
    make: fn(TcpListener, BufferPool) -> D,
) {
    let mut world = World::new(make);
    let waits = [0, 1, 900, 2500, 20_000].map(Duration::from_micros);
    for wait in waits {
        let (begun, mut completions, mut waited) = (Instant::now(), Vec::new(), 0);
        while begun.elapsed() < wait || waited == 0 {
            let left = wait.saturating_sub(begun.elapsed());
            world.driver.wait(Some(left), &mut completions).unwrap();
            waited += 1;
        }
        assert!(completions.is_empty() && waited <= 3, "{wait:?}: {waited} waits");
    }
    let enters = world.driver.enters();
    let waker = world.driver.waker();
    let thread = thread::spawn(move || {
        thread::sleep(MOMENT);
        waker.wake();
    });
    let (begun, mut completions) = (Instant::now(), Vec::new());
    while completions.is_empty() {
        world.driver.wait(None, &mut completions).unwrap();
    }
    assert!(matches!(completions[..], [Completion::Woken]), "{completions:?}");
    assert!(begun.elapsed() >= MOMENT / 2 && world.driver.enters() > enters);
    thread.join().unwrap();
    // Told once.
    world.assert_quiet();
}

pub(super) fn spins_until_there_is_something<D: Driver>(make: fn(TcpListener, BufferPool) -> D) {
    let (mut world, descriptor, mut peer) = World::connected(make);
    world.driver.receive(KEY, descriptor);
    let mut completions = Vec::new();
    let (begun, until) = (Instant::now(), world.driver.now().after(MOMENT));
    world.driver.spin(until, || false, &mut completions).unwrap();
    assert!(completions.is_empty() && world.driver.now() >= until && begun.elapsed() < PATIENCE);
    let late = world.driver.now().after(PATIENCE);
    world.driver.spin(late, || true, &mut completions).unwrap();
    assert!(completions.is_empty() && world.driver.now() < late, "other work is wanted");
    peer.write_all(b"now").unwrap();
    let late = world.driver.now().after(PATIENCE);
    while completions.is_empty() && world.driver.now() < late {
        world.driver.spin(late, || false, &mut completions).unwrap();
    }
    let (lease, _) = received(completions.remove(0));
    assert_eq!(*lease, *b"now");
    world.driver.recycle(lease);
    world.driver.send(KEY, descriptor, Bytes::Own(b"then".into()), 0);
    while completions.is_empty() {
        world.driver.spin(late, || false, &mut completions).unwrap();
    }
    assert!(matches!(completions[..], [Completion::Sent { result: Ok(4), .. }]));
    peer.read_exact(&mut [0; 4]).unwrap();
}
