//! Who is accepted, who is refused, and how that ends.

use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use super::{KEY, World};
use crate::driver::{BufferPool, Bytes, Completion, Driver};

pub(super) fn who_is_refused_is_ended_and_the_next_is_not<D: Driver>(
    make: fn(TcpListener, BufferPool) -> D,
) {
    let mut world = World::new(make);
    assert!(!world.driver.accept_refuse(), "nobody waits");
    // Where they are put is free again each time.
    for _ in 0..3 {
        let (mut first, mut second) = (world.peer(), world.peer());
        for refused in [&mut first, &mut second] {
            assert!(world.driver.accept_refuse(), "somebody waits");
            let completion = world.next();
            assert!(matches!(completion, Completion::Refused { result: Ok(()) }), "{completion:?}");
            world.driver.wait(Some(Duration::ZERO), &mut Vec::new()).unwrap();
            assert_eq!(refused.read(&mut [0]).unwrap(), 0);
        }
        assert!(!world.driver.accept_refuse(), "nobody waits any more");
    }
    world.driver.accept();
    let (descriptor, peer) = world.pair();
    assert_eq!(world.driver.peer_address(descriptor), Some(peer.local_addr().unwrap()));
    world.driver.close(descriptor);
}

pub(super) fn a_stop_ends_whatever_is_armed_on_the_listener<D: Driver>(
    make: fn(TcpListener, BufferPool) -> D,
) {
    let mut world = World::new(make);
    world.driver.accept();
    world.assert_quiet();
    assert_eq!(world.driver.accept_stop(), []);
    world.assert_accepts_no_more();
    let refused = TcpStream::connect(world.address).map_err(|error| error.kind());
    assert_eq!(refused.map(|_| ()), Err(ErrorKind::ConnectionRefused));
    assert!(!world.driver.accept_refuse(), "nobody can come");
    world.assert_quiet();
}

pub(super) fn who_waits_when_accepting_stops_comes_back<D: Driver>(
    make: fn(TcpListener, BufferPool) -> D,
) {
    let mut world = World::new(make);
    let mut peers = [world.peer(), world.peer()];
    let waiting = world.driver.accept_stop();
    assert_eq!(waiting.len(), 2);
    for (descriptor, peer) in waiting.into_iter().zip(&mut peers) {
        assert_eq!(world.driver.peer_address(descriptor), Some(peer.local_addr().unwrap()));
        world.driver.send(KEY, descriptor, Bytes::Own(b"503".into()), 0);
        assert_eq!(world.sent().0.unwrap(), 3);
        world.driver.close(descriptor);
        world.driver.wait(Some(Duration::ZERO), &mut Vec::new()).unwrap();
        let mut answer = String::new();
        peer.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "503");
    }
}
