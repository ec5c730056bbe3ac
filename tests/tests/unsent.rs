//! What the kernel takes ahead of a peer that does not read, on real sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ringwire::{Config, Connection, Handler, Message};
use ringwire_tests::{BINARY, Client, PATIENCE, REQUEST, TestServer, config, text};
use socket2::{Domain, Socket, Type};

const SIZE: usize = 64 << 10;
const COUNT: usize = 48;

/// Sends a lot when it is first asked, and then tells how much of it has not left.
struct Sender(Arc<AtomicUsize>);

impl Handler for Sender {
    type State = ();

    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        if message.as_text() == Some("send") {
            for _ in 0..COUNT {
                connection.send(&[0; SIZE][..]);
            }
        } else {
            self.0.store(connection.buffered(), Ordering::Relaxed);
        }
    }
}

/// A client whose kernel takes little as well.
fn narrow(server: SocketAddr) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("there are descriptors");
    socket.set_recv_buffer_size(SIZE).expect("the socket takes options");
    socket.connect(&server.into()).expect("the server listens");
    let mut client = Client::on(socket.into());
    client.write(REQUEST);
    client.read_opening();
    client
}

#[test]
fn what_the_kernel_does_not_take_stays_in_the_outbox() {
    let unsent_max = Some(u32::try_from(SIZE).expect("it is small"));
    // The peer is asked for more although it takes nothing.
    let outbox_high = 2 * COUNT * SIZE;
    let config = Config { unsent_max, outbox_high, ..config() };
    let buffered = Arc::new(AtomicUsize::new(usize::MAX));
    let told = Arc::clone(&buffered);
    let server = TestServer::start(config, move |_| Sender(Arc::clone(&told)));
    let mut client = narrow(server.address());
    client.write(text("send"));
    // The kernel has had the time to take whatever it takes.
    let begun = Instant::now();
    let last = loop {
        let before = buffered.load(Ordering::Relaxed);
        thread::sleep(Duration::from_millis(100));
        client.write(text("tell"));
        thread::sleep(Duration::from_millis(100));
        let now = buffered.load(Ordering::Relaxed);
        if now == before && now != usize::MAX {
            break now;
        }
        assert!(begun.elapsed() < PATIENCE, "{now} bytes are left, {before} were");
    };
    // A window's worth at the peer, the unsent, and one flight that has been begun.
    let taken = COUNT * SIZE - last.min(COUNT * SIZE);
    assert!(taken < 8 * SIZE, "the kernel has taken {taken} bytes");
    for _ in 0..COUNT {
        let frame = client.read_frame().expect("the connection is open");
        assert_eq!((frame.first & 0x0f, frame.payload.len()), (BINARY & 0x0f, SIZE));
    }
}
