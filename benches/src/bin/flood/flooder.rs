//! Peers that send as fast as they can.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ringwire_benches::{client, system};

/// What a flooding peer does with the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Leaves them. Once nothing more is taken from it, it resets the connection and comes again.
    Nothing,
    /// Reads them, so that the flood never ends.
    Everything,
}

/// Bytes of an empty message of a client: the smallest frame that is answered by the handler.
const FRAME_SIZE: usize = 6;

/// Bytes of one write.
const WRITE_SIZE: usize = FRAME_SIZE << 13;

/// How long a flooding peer waits until its bytes are taken.
const STALL: Duration = Duration::from_millis(50);

/// One connection that floods, and some that send and read nothing.
pub(crate) struct Flooders {
    stop: Arc<AtomicBool>,
    flood: JoinHandle<io::Result<u64>>,
    mute: Vec<TcpStream>,
}

impl Flooders {
    pub(crate) fn start(
        address: SocketAddr,
        reading: Reading,
        mute_count: usize,
    ) -> io::Result<Self> {
        let mute: io::Result<Vec<_>> = (0..mute_count).map(|_| mute(address)).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let flood = thread::spawn(move || {
            // What is measured is the server, not how the clients share their core.
            system::yield_to_others();
            flood(address, reading, &stopped)
        });
        Ok(Self { stop, flood, mute: mute? })
    }

    /// Ends all of it. Says how many frames were sent.
    pub(crate) fn stop(self) -> io::Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let sent = self.flood.join().map_err(|_| io::Error::other("the flood panicked"))?;
        for stream in self.mute {
            client::reset(stream)?;
        }
        sent
    }
}

/// A connection that sends until nothing more is taken, and reads nothing.
fn mute(address: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = client::open(address)?;
    let mut frames = Vec::new();
    for _ in 0..64 {
        client::frame(&mut frames, &[b'x'; 1000], [1, 2, 3, 4]);
    }
    stream.set_nonblocking(true)?;
    for _ in 0..64 {
        match stream.write(&frames) {
            Ok(size) if size == frames.len() => {}
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(stream)
}

fn flood(address: SocketAddr, reading: Reading, stop: &AtomicBool) -> io::Result<u64> {
    let mut frames = Vec::with_capacity(WRITE_SIZE);
    while frames.len() < WRITE_SIZE {
        client::frame(&mut frames, &[], [5, 6, 7, 8]);
    }
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        let stream = client::open(address)?;
        stream.set_write_timeout(Some(STALL))?;
        match reading {
            Reading::Nothing => sent += write(&stream, &frames, stop)?,
            Reading::Everything => {
                let mut reader = stream.try_clone()?;
                let discard = thread::spawn(move || {
                    let mut buffer = vec![0; 1 << 18];
                    while matches!(reader.read(&mut buffer), Ok(1..)) {}
                });
                sent += write(&stream, &frames, stop)?;
                let _ended = stream.shutdown(Shutdown::Both);
                let _joined = discard.join();
            }
        }
        client::reset(stream)?;
    }
    Ok(sent)
}

/// Writes frames until nothing is taken for a while, and counts them.
fn write(mut stream: &TcpStream, frames: &[u8], stop: &AtomicBool) -> io::Result<u64> {
    let mut size: u64 = 0;
    while !stop.load(Ordering::Relaxed) {
        let from = usize::try_from(size).unwrap_or(0) % frames.len();
        match stream.write(&frames[from..]) {
            Ok(written) => size += written as u64,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(size / FRAME_SIZE as u64)
}
