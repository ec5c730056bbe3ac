//! Sockets that go from server to server, from any thread.

use crate::adoption::{AdoptError, Adoption, NotAdopted};
use crate::conn::ConnectionId;
use crate::handle::{Handle, HandleError, Mail};
use crate::mailbox::Refused;
use crate::release::{Done, ReleaseError, Released};

impl Handle {
    /// Takes a socket over from another server, with the bytes that have been read from it. It goes
    /// to the worker that the [`Adoption`] names, or to the one with the fewest connections; where
    /// that one has no room in its mailbox, to another one.
    ///
    /// The limits of connections hold for it as for all others. Who finds no place is told so: an
    /// upgraded peer by a close frame with 1013 (Try Again Later), an accepted one by 503; while
    /// the server stops, by 1001 or by 503. It is counted as one that has been accepted and has
    /// ended before it was open, by the limit.
    ///
    /// The socket becomes blocking or not as the engine needs it, and with it all duplicates of the
    /// descriptor; a TCP socket sends without delay from then on.
    ///
    /// # Errors
    /// [`AdoptError`] gives the [`Adoption`] back: nothing is lost, and nothing is closed.
    pub fn adopt(&self, mut adoption: Adoption) -> Result<(), AdoptError> {
        if let Err(error) = adoption.check() {
            return Err(AdoptError { adoption, reason: NotAdopted::Socket(error) });
        }
        let leftover = &mut adoption.parts.leftover;
        if leftover.len() > self.leftover_max {
            return Err(AdoptError { adoption, reason: NotAdopted::TooLarge });
        }
        if leftover.capacity() > self.leftover_max {
            leftover.shrink_to_fit();
        }
        if let Some(worker) = adoption.parts.worker {
            return self.adopt_on(worker, adoption);
        }
        let (count, first) = (self.mailboxes.len(), self.loads.least());
        let mut refused = match self.adopt_on(first, adoption) {
            Err(error) => error,
            adopted => return adopted,
        };
        for next in 1..count {
            refused = match self.adopt_on((first + next) % count, refused.adoption) {
                Err(error) => error,
                adopted => return adopted,
            };
        }
        Err(refused)
    }

    /// Gives a connection away, as [`Connection::release`](crate::Connection::release): `done` gets
    /// its socket as soon as it is quiet. It is called once, on the worker's thread, which it must
    /// not block.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use ringwire::{Adoption, ConnectionId, Handle, HandleError};
    ///
    /// /// Moves a connection to another server.
    /// fn move_over(from: &Handle, id: ConnectionId, to: &Handle) -> Result<(), HandleError> {
    ///     let to = to.clone();
    ///     from.release(id, move |released| match released {
    ///         Ok(released) => _ = to.adopt(Adoption::from(released)),
    ///         Err(error) => eprintln!("it stays: {error}"),
    ///     })
    /// }
    /// # let _ = move_over;
    /// ```
    ///
    /// # Errors
    /// As [`Handle::send`]; `done` is dropped and never called then.
    pub fn release(
        &self,
        connection: ConnectionId,
        done: impl FnOnce(Result<Released, ReleaseError>) + Send + 'static,
    ) -> Result<(), HandleError> {
        let Some(mailbox) = self.mailboxes.get(usize::from(connection.worker)) else {
            return Err(HandleError::Stopped);
        };
        let mail = Mail::Release { key: connection.key, done: Done::new(done) };
        let Err(refused) = mailbox.push(mail, 0) else { return Ok(()) };
        let (mail, error) = match refused {
            Refused::Full(mail) => (mail, HandleError::Full),
            Refused::TooLarge(mail) => (mail, HandleError::TooLarge),
            Refused::Closed(mail) => (mail, HandleError::Stopped),
        };
        if let Mail::Release { done, .. } = mail {
            done.forget();
        }
        Err(error)
    }

    fn adopt_on(&self, worker: usize, adoption: Adoption) -> Result<(), AdoptError> {
        let Some(mailbox) = self.mailboxes.get(worker) else {
            return Err(AdoptError { adoption, reason: NotAdopted::NoSuchWorker });
        };
        let bytes = adoption.size();
        // Before it is there: the worker may be quicker.
        self.loads.assign(worker);
        let Err(refused) = mailbox.push(Mail::Adopt(adoption), bytes) else { return Ok(()) };
        self.loads.take(worker);
        let (mail, reason) = match refused {
            Refused::Full(mail) => (mail, NotAdopted::Full),
            Refused::TooLarge(mail) => (mail, NotAdopted::TooLarge),
            Refused::Closed(mail) => (mail, NotAdopted::Stopped),
        };
        match mail {
            Mail::Adopt(adoption) => Err(AdoptError { adoption, reason }),
            _ => unreachable!("what is refused is what was put in"),
        }
    }
}
