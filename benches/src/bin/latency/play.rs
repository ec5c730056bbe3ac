//! What is played: who answers, and what for. All in one process: the server's thread has a core,
//! and the client's another.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;
use ringwire::topic::Pattern;
use ringwire::{Config, Connection, Handle, Handler, Latencies, Message, Server};
use ringwire_benches::server::{self, OTHER_CORE, SERVER_CORE};
use ringwire_benches::{client, peers, system};

use crate::client::{Client, measure};
use crate::ring::{self, Look};

/// Bytes of a message; of its frame from a client, and from a server.
const SIZE: usize = 20;
const FRAME: usize = SIZE + 6;
const ECHO: usize = SIZE + 2;

const TOPIC: &str = "feed";

/// Messages before those that are measured.
const WARM_UP: u64 = 500;

/// A kind of round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Play {
    /// A message to a bare ring, and its echo.
    Bare(Look),
    /// A message to the engine, and its echo.
    Echo,
    /// A publication through the handle, to one subscriber.
    Publish,
    /// A message of one connection that is published, to the subscriber that is another.
    Relay,
    /// A message to a server by others, which publishes as many bytes to the one who sent it.
    Peer(&'static str),
}

/// How a round is played.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    pub(crate) count: u64,
    /// How long the server looks before it sleeps.
    pub(crate) spin: Duration,
    /// Whether the client looks at its socket all the time.
    pub(crate) client_spins: bool,
    /// Whether the engine measures as well.
    pub(crate) measures: bool,
}

/// The times of a round, and those that the engine has measured.
pub(crate) type Times = (Histogram<u64>, Latencies);

impl Round {
    /// Plays it.
    pub(crate) fn play(self, play: Play) -> io::Result<Times> {
        system::pin(OTHER_CORE);
        match play {
            Play::Bare(look) => Ok((self.bare(look)?, Latencies::default())),
            Play::Peer(name) => Ok((self.peer(name)?, Latencies::default())),
            Play::Echo | Play::Publish | Play::Relay => self.engine(play),
        }
    }

    fn bare(self, look: Look) -> io::Result<Histogram<u64>> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let server = scope.spawn(|| {
                system::pin(SERVER_CORE);
                ring::serve(&listener, look, self.spin, ECHO, &stop)
            });
            let mut client = Client::new(TcpStream::connect(address)?, self.client_spins)?;
            let times = self.measure(|| {
                client.send(&[b'x'; FRAME])?;
                client.receive(ECHO)
            });
            stop.store(true, Ordering::Relaxed);
            server.join().map_err(|_| io::Error::other("the ring has panicked"))??;
            times
        })
    }

    fn peer(self, name: &str) -> io::Result<Histogram<u64>> {
        let mut command = Command::new(peers::program(name));
        let server = server::Server::start(command.arg("65536"))?;
        let mut client = Client::new(client::open(server.address())?, self.client_spins)?;
        let mut frame = Vec::new();
        client::frame(&mut frame, format!("publish 1 {SIZE}").as_bytes(), [1, 2, 3, 4]);
        self.measure(|| {
            client.send(&frame)?;
            client.receive(ECHO)
        })
    }

    fn engine(self, play: Play) -> io::Result<Times> {
        let config = Config {
            workers: 1,
            pin_workers: false,
            spin: self.spin,
            measure_latency: self.measures,
            ..Config::default()
        };
        let server = Server::bind("127.0.0.1:0", config).map_err(io::Error::other)?;
        let address = server.address().ok_or(io::ErrorKind::AddrNotAvailable)?;
        let handle = server.handle();
        let (ready, serves) = mpsc::channel();
        let thread = thread::spawn(move || {
            // The worker's thread has the cores of the one that starts it.
            system::pin(SERVER_CORE);
            let told = || {
                let _told = ready.send(());
            };
            server.run_with(|_| Feed, told)
        });
        serves.recv().map_err(|_| io::Error::other("the server does not start"))?;
        let times = self.with(play, address, &handle);
        handle.stop_now();
        let ended = thread.join().map_err(|_| io::Error::other("the server has panicked"))?;
        ended.map_err(io::Error::other)?;
        Ok((times?, handle.latencies()))
    }

    fn with(self, play: Play, address: SocketAddr, handle: &Handle) -> io::Result<Histogram<u64>> {
        let open = || Client::new(client::open(address)?, self.client_spins);
        let frame = |first: u8| {
            let (mut frame, mut message) = (Vec::new(), [b'x'; SIZE]);
            message[0] = first;
            client::frame(&mut frame, &message, [1, 2, 3, 4]);
            frame
        };
        let (mut reader, mut writer) = (open()?, open()?);
        if play == Play::Echo {
            let frame = frame(b'e');
            return self.measure(|| {
                reader.send(&frame)?;
                reader.receive(ECHO)
            });
        }
        // Echoed, so that it has happened.
        reader.send(&frame(b's'))?;
        reader.receive(ECHO)?;
        if play == Play::Relay {
            let frame = frame(b'p');
            return self.measure(|| {
                writer.send(&frame)?;
                reader.receive(ECHO)
            });
        }
        self.measure(|| {
            handle.publish(TOPIC, &[b'x'; SIZE][..]).map_err(io::Error::other)?;
            reader.receive(ECHO)
        })
    }

    fn measure(self, mut round_trip: impl FnMut() -> io::Result<()>) -> io::Result<Histogram<u64>> {
        measure(WARM_UP, &mut round_trip)?;
        measure(self.count, round_trip)
    }
}

/// Does what the first letter of a message says: subscribe, publish; and echo.
struct Feed;

impl Handler for Feed {
    type State = ();

    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        match message.as_bytes().first() {
            Some(b'p') => {
                let _told = connection.publish(TOPIC, &message);
                return;
            }
            Some(b's') => {
                let pattern = Pattern::new(TOPIC);
                let _subscribed = pattern.map(|pattern| connection.subscribe(pattern));
            }
            _ => {}
        }
        connection.send(&message);
    }
}
