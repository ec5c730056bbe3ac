//! A trial of what everything stands on: a multishot receive into the registered buffers, on a
//! socket pair. Kernels before 6.0 fail here, and some later ones that were patched.

use std::io::{self, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::driver::{Completion, Descriptor, Driver, Fault, Key};

/// How long a working kernel could possibly take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Waits for one completion, so many of which signals may end.
const TRIES: usize = 4;

/// Receives two pieces and the end of the stream.
pub(super) fn receive(driver: &mut impl Driver) -> io::Result<()> {
    let (mut near, far) = UnixStream::pair()?;
    let key = Key { slot: u32::MAX, generation: 0 };
    driver.receive(key, Descriptor(far.as_raw_fd()));
    for piece in [b"first", b"again"] {
        near.write_all(piece)?;
        let (bytes, more) = received(driver)?;
        if bytes != piece || !more {
            return Err(io::Error::other("a multishot receive ended early or brought other bytes"));
        }
    }
    near.shutdown(Shutdown::Write)?;
    let (bytes, more) = received(driver)?;
    if !bytes.is_empty() || more {
        return Err(io::Error::other("a multishot receive missed the end of the stream"));
    }
    Ok(())
}

/// What the next completion brought, and whether more will come.
fn received(driver: &mut impl Driver) -> io::Result<(Vec<u8>, bool)> {
    let mut completions = Vec::new();
    // A signal ends a wait early.
    for _ in 0..TRIES {
        driver.wait(Some(TIMEOUT), &mut completions)?;
        if !completions.is_empty() {
            break;
        }
    }
    let first = completions.pop();
    if !completions.is_empty() {
        return Err(io::Error::other("more completions than operations"));
    }
    match first {
        Some(Completion::Received { result: Ok(lease), more, .. }) => {
            let bytes = lease.as_ref().map(|lease| lease.to_vec()).unwrap_or_default();
            if let Some(lease) = lease {
                driver.recycle(lease);
                // The kernel sees it there from here on. Where its work is not deferred until a
                // wait, it looks for it when the next piece comes.
                driver.wait(Some(Duration::ZERO), &mut completions)?;
            }
            Ok((bytes, more))
        }
        Some(Completion::Received { result: Err(Fault::Io(error)), .. }) => Err(error),
        Some(Completion::Received { result: Err(fault), .. }) => {
            Err(io::Error::other(fault.to_string()))
        }
        _ => Err(io::Error::other("a multishot receive did not complete")),
    }
}
