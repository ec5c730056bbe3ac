//! What leaves, and how connections end.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::{KEY, MOMENT, OTHER, World, received};
use crate::driver::{
    BufferPool, Bytes, Completion, Descriptor, Driver, Fault, Key, SEND_SIZE_MAX, Shutdown,
};

pub(super) fn sends_in_parts<D: Driver>(make: fn(TcpListener, BufferPool) -> D) {
    let (mut world, descriptor, mut peer) = World::connected(make);
    let size = 24 << 20;
    let mut bytes = Bytes::Own((0..size).map(|index: u32| index.to_le_bytes()[1]).collect());
    let reader = thread::spawn(move || {
        // So that the sockets' buffers fill.
        thread::sleep(MOMENT);
        let mut all = Vec::new();
        peer.read_to_end(&mut all).unwrap();
        all
    });
    let (mut from, mut parts) = (10, 0);
    while from < bytes.len() {
        world.driver.send(KEY, descriptor, bytes, from);
        let (result, back) = world.sent();
        let size = result.unwrap();
        assert!(size > 0 && size <= SEND_SIZE_MAX);
        (bytes, from, parts) = (back, from + size, parts + 1);
    }
    assert!(parts > 1, "it has gone at once");
    world.driver.shutdown(descriptor, Shutdown::Write);
    assert!(reader.join().unwrap() == bytes[10..]);
}

/// Sends more than all buffers of a system take.
fn send_until_it_waits<D: Driver>(world: &mut World<D>, key: Key, descriptor: Descriptor) {
    loop {
        world.driver.send(key, descriptor, Bytes::Own(vec![0; 16 << 20]), 0);
        let (mut completions, begun) = (Vec::new(), Instant::now());
        while completions.is_empty() && begun.elapsed() < MOMENT {
            world.driver.wait(Some(MOMENT), &mut completions).unwrap();
        }
        if completions.is_empty() {
            break;
        }
    }
}

pub(super) fn one_that_waits_stays_when_a_receive_is_cancelled<D: Driver>(
    make: fn(TcpListener, BufferPool) -> D,
) {
    for is_first in [false, true] {
        let (mut world, descriptor, mut peer) = World::connected(make);
        if is_first {
            world.driver.receive(KEY, descriptor);
        }
        send_until_it_waits(&mut world, KEY, descriptor);
        if !is_first {
            world.driver.receive(KEY, descriptor);
            world.assert_quiet();
        }
        world.driver.receive_cancel(KEY);
        let reader = thread::spawn(move || io::copy(&mut peer, &mut io::sink()));
        // In whichever order.
        let ended = world.several(3);
        let has = |is: fn(&Completion) -> bool| assert!(ended.iter().any(is), "{ended:?}");
        has(|one| matches!(one, Completion::Sent { result: Ok(1..), .. }));
        has(|one| matches!(one, Completion::Received { result: Err(Fault::Cancelled), .. }));
        has(|one| matches!(one, Completion::Cancelled { key: KEY }));
        world.driver.shutdown(descriptor, Shutdown::Both);
        world.driver.close(descriptor);
        reader.join().unwrap().unwrap();
    }
}

pub(super) fn one_that_waits_keeps_nobody_else_waiting<D: Driver>(
    make: fn(TcpListener, BufferPool) -> D,
) {
    let (mut world, stuck, _silent) = World::connected(make);
    let (free, mut peer) = world.pair();
    send_until_it_waits(&mut world, OTHER, stuck);
    world.driver.receive(KEY, free);
    for _ in 0..3 {
        peer.write_all(b"ask").unwrap();
        assert_eq!(world.piece(), (b"ask".to_vec(), true));
        world.driver.send(KEY, free, Bytes::Own(b"answer".into()), 0);
        assert_eq!(world.sent().0.unwrap(), 6);
        peer.read_exact(&mut [0; 6]).unwrap();
    }
    // Ended, the send that waits fails.
    world.driver.shutdown(stuck, Shutdown::Both);
    let ended = world.next();
    assert!(
        matches!(ended, Completion::Sent { key: OTHER, result: Err(Fault::Io(_)), .. }),
        "{ended:?}"
    );
    world.driver.close(stuck);
}

pub(super) fn a_reset_is_heard_of<D: Driver>(make: fn(TcpListener, BufferPool) -> D) {
    let (mut world, descriptor, peer) = World::connected(make);
    world.driver.receive(KEY, descriptor);
    world.assert_quiet();
    SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
    let ended = world.next();
    let Completion::Received { result: Err(Fault::Io(error)), more: false, .. } = ended else {
        panic!("{ended:?}");
    };
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    world.driver.send(KEY, descriptor, Bytes::Own(vec![1]), 0);
    assert!(matches!(world.sent().0, Err(Fault::Io(_))));
    world.driver.close(descriptor);
    world.assert_quiet();
}

pub(super) fn a_shutdown_ends_a_receive<D: Driver>(make: fn(TcpListener, BufferPool) -> D) {
    let (mut world, descriptor, mut peer) = World::connected(make);
    world.driver.receive(KEY, descriptor);
    world.assert_quiet();
    world.driver.shutdown(descriptor, Shutdown::Write);
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    peer.write_all(b"still").unwrap();
    assert_eq!(world.piece(), (b"still".to_vec(), true));
    world.driver.shutdown(descriptor, Shutdown::Both);
    assert_eq!(world.piece(), (Vec::new(), false));
    world.driver.close(descriptor);
}

/// Many that come and go at once, so that descriptors and places are used again while the system
/// may still have something to say of those that had them before.
pub(super) fn what_is_late_concerns_nobody_else<D: Driver>(make: fn(TcpListener, BufferPool) -> D) {
    let (mut world, mut descriptor, mut peer) = World::connected(make);
    for round in 0..200_u32 {
        let key = Key { slot: round % 2, generation: round };
        world.driver.receive(key, descriptor);
        world.driver.receive_cancel(key);
        world.several(2);
        // Readable, ended and closed, with nobody who waits for it.
        peer.write_all(b"late").unwrap();
        drop(peer);
        if round % 3 == 0 {
            world.driver.shutdown(descriptor, Shutdown::Both);
        }
        world.driver.close(descriptor);
        (descriptor, peer) = world.pair();
        let key = Key { slot: round % 2, generation: round + 1 };
        world.driver.receive(key, descriptor);
        peer.write_all(&round.to_be_bytes()).unwrap();
        let (lease, more) = received(world.next());
        assert!(more && *lease == round.to_be_bytes());
        world.driver.recycle(lease);
        world.driver.receive_cancel(key);
        world.several(2);
    }
    world.driver.close(descriptor);
    world.assert_quiet();
}

pub(super) fn what_is_abandoned_ends<D: Driver>(make: fn(TcpListener, BufferPool) -> D) {
    let (mut world, descriptor, mut peer) = World::connected(make);
    world.driver.receive(KEY, descriptor);
    world.driver.send(KEY, descriptor, Bytes::Own(vec![0; 32 << 20]), 0);
    world.driver.wait(Some(Duration::ZERO), &mut Vec::new()).unwrap();
    world.driver.abandon(descriptor);
    drop(world);
    // It ends one way or another, and not by the time-out.
    let mut buffer = vec![0; 1 << 20];
    let end = loop {
        match peer.read(&mut buffer) {
            Ok(0) => break ErrorKind::ConnectionReset,
            Ok(_) => {}
            Err(error) => break error.kind(),
        }
    };
    assert_eq!(end, ErrorKind::ConnectionReset);
}
