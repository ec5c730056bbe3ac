//! Sockets that come from elsewhere, and go on there.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;

use super::{KEY, PATIENCE, World};
use crate::driver::{BufferPool, Bytes, Completion, Driver, Fault};

pub(super) fn adopts_what_blocks_and_what_does_not<D: Driver>(
    make: fn(TcpListener, BufferPool) -> D,
) {
    let mut world = World::new(make);
    for is_nonblocking in [false, true] {
        let (mut peer, socket) = UnixStream::pair().unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_nonblocking(is_nonblocking).unwrap();
        // What has come before is received as well.
        peer.write_all(b"before").unwrap();
        let descriptor = world.driver.adopt(socket.into()).unwrap();
        world.driver.receive(KEY, descriptor);
        assert_eq!(world.piece(), (b"before".to_vec(), true));
        world.assert_quiet();
        peer.write_all(b"after").unwrap();
        assert_eq!(world.piece(), (b"after".to_vec(), true));
        world.driver.send(KEY, descriptor, Bytes::Own(b"answer".to_vec()), 0);
        assert!(matches!(world.sent().0, Ok(6)));
        let mut answer = [0; 6];
        peer.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"answer");
        let end = world.cancelled();
        assert!(matches!(end, Completion::Received { result: Err(Fault::Cancelled), .. }));
        world.driver.close(descriptor);
        world.assert_quiet();
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    }
}

pub(super) fn gives_back_what_goes_on_elsewhere<D: Driver>(make: fn(TcpListener, BufferPool) -> D) {
    let (mut world, descriptor, mut peer) = World::connected(make);
    world.driver.receive(KEY, descriptor);
    peer.write_all(b"ours").unwrap();
    assert_eq!(world.piece(), (b"ours".to_vec(), true));
    world.cancelled();
    peer.write_all(b"theirs").unwrap();
    let mut socket = TcpStream::from(world.driver.release(descriptor));
    let mut bytes = [0; 6];
    socket.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"theirs");
    // It blocks: a read waits for as long as it may.
    socket.set_read_timeout(Some(super::MOMENT)).unwrap();
    let begun = std::time::Instant::now();
    let error = socket.read(&mut bytes).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert!(begun.elapsed() >= super::MOMENT / 2);
    // Nothing is told of it any more, and it comes back.
    peer.write_all(b"again").unwrap();
    world.assert_quiet();
    let descriptor = world.driver.adopt(socket.into()).unwrap();
    world.driver.receive(KEY, descriptor);
    assert_eq!(world.piece(), (b"again".to_vec(), true));
}
