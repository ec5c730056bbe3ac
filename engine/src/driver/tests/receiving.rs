//! What arrives, in each of the ways in which it may be asked for.

use std::io::{Read, Write};
use std::net::{Shutdown as End, TcpListener};
use std::thread;
use std::time::Instant;

use socket2::SockRef;

use super::{KEY, MOMENT, OTHER, PATIENCE, World, received};
use crate::driver::{BufferPool, Completion, Driver, Fault, Lease};

pub(super) fn receives_until_the_end<D: Driver>(make: fn(TcpListener, BufferPool) -> D) {
    let (mut world, descriptor, mut peer) = World::connected(make);
    assert_eq!(world.driver.peer_address(descriptor), Some(peer.local_addr().unwrap()));
    world.driver.receive(KEY, descriptor);
    world.assert_quiet();
    for piece in ["one", "two", "three"] {
        peer.write_all(piece.as_bytes()).unwrap();
        assert_eq!(world.piece(), (piece.as_bytes().to_vec(), true));
    }
    world.assert_quiet();
    // The end comes together with the last bytes.
    peer.write_all(b"last").unwrap();
    peer.shutdown(End::Write).unwrap();
    thread::sleep(MOMENT);
    let mut both = world.several(2);
    let end = both.pop().unwrap();
    assert!(matches!(end, Completion::Received { result: Ok(None), more: false, .. }), "{end:?}");
    let (lease, more) = received(both.remove(0));
    assert!(more && *lease == *b"last");
    world.driver.recycle(lease);
    world.assert_quiet();
    world.driver.close(descriptor);
    world.assert_quiet();
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
}

/// The urgent byte itself is left out by the system.
pub(super) fn what_is_urgent_holds_nothing_up<D: Driver>(make: fn(TcpListener, BufferPool) -> D) {
    let (mut world, descriptor, mut peer) = World::connected(make);
    for _ in 0..3 {
        peer.write_all(b"before").unwrap();
        SockRef::from(&peer).send_out_of_band(b"!").unwrap();
        peer.write_all(b"after").unwrap();
        thread::sleep(MOMENT);
        for expected in ["before", "after"] {
            world.driver.receive_once(KEY, descriptor);
            assert_eq!(world.piece(), (expected.as_bytes().to_vec(), false));
        }
    }
}

pub(super) fn receives_once<D: Driver>(make: fn(TcpListener, BufferPool) -> D) {
    let (mut world, descriptor, mut peer) = World::connected(make);
    // More than a buffer holds.
    peer.write_all(&[9; 100]).unwrap();
    thread::sleep(MOMENT);
    for size in [64, 36] {
        world.assert_quiet();
        world.driver.receive_once(KEY, descriptor);
        assert_eq!(world.piece(), (vec![9; size], false));
    }
    world.driver.receive_once(KEY, descriptor);
    world.assert_quiet();
    peer.write_all(b"more").unwrap();
    assert_eq!(world.piece(), (b"more".to_vec(), false));
    drop(peer);
    world.driver.receive_once(KEY, descriptor);
    assert_eq!(world.piece(), (Vec::new(), false));
}

pub(super) fn fills<D: Driver>(make: fn(TcpListener, BufferPool) -> D) {
    let (mut world, descriptor, mut peer) = World::connected(make);
    let mut buffer = Vec::with_capacity(1000);
    buffer.extend(b"head");
    world.driver.fill(KEY, descriptor, buffer, 300);
    world.assert_quiet();
    peer.write_all(&[7; 500]).unwrap();
    let (result, buffer) = world.filled();
    let size = result.unwrap();
    assert!((1..=300).contains(&size), "{size}");
    assert_eq!(buffer, [&b"head"[..], &vec![7; size]].concat());
    // What is beyond is there for the next one, of any kind.
    let mut rest = 500 - size;
    while rest > 0 {
        world.driver.receive_once(KEY, descriptor);
        let (bytes, more) = world.piece();
        assert!(!more && bytes.iter().all(|byte| *byte == 7));
        rest -= bytes.len();
    }
    peer.shutdown(End::Write).unwrap();
    world.driver.fill(KEY, descriptor, buffer, 1);
    let (result, buffer) = world.filled();
    assert_eq!((result.unwrap(), buffer.len()), (0, 4 + size));
}

pub(super) fn a_cancelled_receive_says_so_and_loses_nothing<D: Driver>(
    make: fn(TcpListener, BufferPool) -> D,
) {
    let (mut world, descriptor, mut peer) = World::connected(make);
    for once in [false, true] {
        if once {
            world.driver.receive_once(KEY, descriptor);
        } else {
            world.driver.receive(KEY, descriptor);
        }
        world.assert_quiet();
        assert!(matches!(
            world.cancelled(),
            Completion::Received { key: KEY, result: Err(Fault::Cancelled), more: false }
        ));
        // What arrives meanwhile waits.
        peer.write_all(b"held").unwrap();
        world.assert_quiet();
        world.driver.receive(KEY, descriptor);
        let lease = world.lease();
        assert_eq!(*lease, *b"held");
        // Bytes that are lent stay as they are, whatever becomes of the receive.
        world.cancelled();
        assert_eq!(*lease, *b"held");
        world.driver.recycle(lease);
    }
    world.driver.fill(KEY, descriptor, Vec::with_capacity(10), 10);
    world.assert_quiet();
    let ended = world.cancelled();
    let Completion::Filled { key: KEY, result: Err(Fault::Cancelled), buffer } = ended else {
        panic!("{ended:?}");
    };
    assert_eq!((buffer.len(), buffer.capacity()), (0, 10));
    // One that has ended by itself is told of alone.
    world.driver.receive_cancel(KEY);
    let alone = world.next();
    assert!(matches!(alone, Completion::Cancelled { key: KEY }), "{alone:?}");
}

pub(super) fn without_a_buffer_a_receive_ends<D: Driver>(make: fn(TcpListener, BufferPool) -> D) {
    let (mut world, descriptor, mut peer) = World::connected(make);
    world.driver.receive(KEY, descriptor);
    let leases: Vec<Lease> = [b"first ", b"second"]
        .map(|piece| {
            peer.write_all(piece).unwrap();
            world.lease()
        })
        .into();
    peer.write_all(b"third").unwrap();
    let ended = world.next();
    assert!(
        matches!(
            ended,
            Completion::Received { result: Err(Fault::BuffersExhausted), more: false, .. }
        ),
        "{ended:?}"
    );
    world.assert_quiet();
    leases.into_iter().for_each(|lease| world.driver.recycle(lease));
    world.driver.receive(KEY, descriptor);
    assert_eq!(world.piece(), (b"third".to_vec(), true));
}

pub(super) fn a_fast_sender_has_its_share<D: Driver>(make: fn(TcpListener, BufferPool) -> D) {
    let (mut world, fast, mut flood) = World::connected(make);
    let (slow, mut peer) = world.pair();
    world.driver.receive(OTHER, fast);
    world.driver.receive(KEY, slow);
    flood.set_nonblocking(true).unwrap();
    let mut sent = 0;
    while let Ok(size) = flood.write(&[1; 4096]) {
        sent += size;
        if sent > 100 << 10 {
            break;
        }
    }
    peer.write_all(b"me too").unwrap();
    // The buffers hold a thousandth of what is there, and still both come to theirs.
    let (mut received, mut mine, begun) = (0, false, Instant::now());
    while received < sent || !mine {
        assert!(begun.elapsed() < PATIENCE, "{received} of {sent}, {mine}");
        let mut completions = Vec::new();
        world.driver.wait(Some(PATIENCE), &mut completions).unwrap();
        for completion in completions {
            let Completion::Received { key, result, more } = completion else {
                panic!("{completion:?}");
            };
            if let Ok(Some(lease)) = result {
                received += if key == OTHER { lease.len() } else { 0 };
                mine |= key == KEY;
                world.driver.recycle(lease);
            }
            if !more {
                world.driver.receive(key, if key == KEY { slow } else { fast });
            }
        }
    }
}
