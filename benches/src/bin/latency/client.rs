//! The client's side: one thread with sockets of the standard library, the same for everybody.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use hdrhistogram::Histogram;

/// Longer times count as this long.
const NANOS_MAX: u64 = 60_000_000_000;

/// What waits for the other side's bytes.
pub(crate) struct Client {
    stream: TcpStream,
    /// Whether it looks at its socket all the time, instead of sleeping.
    spins: bool,
}

impl Client {
    pub(crate) fn new(stream: TcpStream, spins: bool) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(spins)?;
        Ok(Self { stream, spins })
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        // Nothing else is under way, so there is room for all of it.
        self.stream.write_all(bytes)
    }

    /// Waits for so many bytes.
    pub(crate) fn receive(&mut self, mut size: usize) -> io::Result<()> {
        let mut buffer = [0; 256];
        while size > 0 {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => size = size.saturating_sub(read),
                Err(error) if self.spins && error.kind() == io::ErrorKind::WouldBlock => {
                    std::hint::spin_loop();
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The times of `count` calls, in nanoseconds.
pub(crate) fn measure(
    count: u64,
    mut round_trip: impl FnMut() -> io::Result<()>,
) -> io::Result<Histogram<u64>> {
    let new = Histogram::new_with_bounds(1, NANOS_MAX, 3);
    let mut histogram = new.map_err(io::Error::other)?;
    for _ in 0..count {
        let begun = Instant::now();
        round_trip()?;
        let nanos = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        histogram.saturating_record(nanos);
    }
    Ok(histogram)
}
