//! Who is accepted: the runtime watches the listener, and a call takes who waits there. A poll in
//! its ring would keep the listener open behind a stop, until the ring is entered next.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use rustix::io::Errno;

use super::sockets::Sockets;
use crate::driver::acceptor::{Acceptor, Listening};
use crate::driver::readiness::Readiness;
use crate::driver::{Completion, Fault};
use crate::mailbox::Wake as _;
use crate::signal::Signal;

/// Peers that are accepted in one turn, and those that have gone before one who has not.
const ACCEPTS_MAX: usize = 64;

/// How far accepting has come.
pub(super) struct Accepting {
    acceptor: Acceptor,
    /// Once something has been armed.
    readiness: Option<Readiness>,
    is_armed: bool,
    /// Somebody may wait.
    is_readable: bool,
    knock: Arc<Knock>,
    waker: Waker,
}

/// What the runtime calls when somebody waits.
struct Knock {
    /// The runtime has to be asked.
    is_heard: AtomicBool,
    signal: Arc<Signal>,
}

impl Accepting {
    /// # Errors
    /// What the system said of the listener.
    pub(super) fn new(listener: Option<Listening>, signal: Arc<Signal>) -> io::Result<Self> {
        let acceptor = Acceptor::new(listener);
        // Who has gone again before he is accepted must not keep the thread.
        acceptor.set_nonblocking(true)?;
        let knock = Arc::new(Knock { is_heard: AtomicBool::new(true), signal });
        let waker = Waker::from(Arc::clone(&knock));
        let (is_armed, is_readable) = (false, false);
        Ok(Self { acceptor, readiness: None, is_armed, is_readable, knock, waker })
    }

    pub(super) fn arm(&mut self) {
        self.is_armed = self.acceptor.listener().is_some();
    }

    /// Accepts who waits.
    pub(super) fn accept(&mut self, sockets: &mut Sockets, into: &mut Vec<Completion>) {
        for _ in 0..ACCEPTS_MAX {
            if !self.is_armed {
                return;
            }
            let result = match self.next() {
                Ok(None) => return,
                Ok(Some(peer)) => Ok(sockets.insert(peer)),
                Err(error) => Err(error.raw_os_error().map_or(Fault::Io(error), Fault::from_errno)),
            };
            self.is_armed = result.is_ok();
            into.push(Completion::Accepted { result, more: self.is_armed });
        }
    }

    /// Accepts nobody any more. Gives who has waited, and the end of what was armed.
    pub(super) fn stop(&mut self) -> (Vec<OwnedFd>, Option<Completion>) {
        // First, so that nobody has the listener when it is closed.
        self.readiness = None;
        let result = Err(Fault::Cancelled);
        let is_armed = std::mem::take(&mut self.is_armed);
        (self.acceptor.stop(), is_armed.then_some(Completion::Accepted { result, more: false }))
    }

    /// The next peer. `None`: nobody waits, and the runtime tells when somebody does.
    fn next(&mut self) -> io::Result<Option<OwnedFd>> {
        for _ in 0..ACCEPTS_MAX {
            if !self.is_readable && !self.poll()? {
                return Ok(None);
            }
            match self.acceptor.accept() {
                Ok(peer) => return Ok(Some(peer)),
                Err(Errno::AGAIN) => {
                    self.is_readable = false;
                    // What comes from here on is heard.
                    self.knock.is_heard.store(true, Ordering::Release);
                }
                // It has gone again; the next one may be there.
                Err(Errno::CONNABORTED | Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        // So many have gone again that others have their turn first.
        self.knock.signal.wake();
        Ok(None)
    }

    /// Asks the runtime whether somebody waits, unless it would have told.
    fn poll(&mut self) -> io::Result<bool> {
        let Some(listener) = self.acceptor.listener() else { return Ok(false) };
        let readiness = match &mut self.readiness {
            Some(readiness) => readiness,
            none => none.insert(Readiness::new(listener)?),
        };
        if !self.knock.is_heard.swap(false, Ordering::AcqRel) {
            return Ok(false);
        }
        match readiness.poll(&mut Context::from_waker(&self.waker)) {
            Poll::Ready(Ok(())) => {
                self.is_readable = true;
                Ok(true)
            }
            Poll::Ready(Err(error)) => {
                self.knock.is_heard.store(true, Ordering::Release);
                Err(error)
            }
            Poll::Pending => Ok(false),
        }
    }
}

impl Wake for Knock {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_heard.store(true, Ordering::Release);
        self.signal.wake();
    }
}
