//! One worker's share of a server, until a thread hosts it.

use std::sync::Arc;

use crate::admission::Admission;
use crate::error::{Error, HostError};
use crate::handle::Handle;
use crate::listener::Listeners;
use crate::seat::Seat;
use crate::server::Server;

/// One worker's share of a server, which any one thread may host: see [`Server::parts`].
///
/// A server is whole or it stops: a part that is dropped, hosted or not, stops all others as
/// [`Handle::stop`] does.
#[derive(Debug)]
#[must_use = "a server stops when one of its parts is dropped"]
pub struct Part {
    pub(super) seat: Seat,
    pub(super) end: End,
}

/// Whichever way a worker ends, the others end with it.
#[derive(Debug)]
pub(super) struct End {
    number: usize,
    handle: Handle,
    /// A path that is listened on is removed with the last part.
    _listeners: Arc<Listeners>,
}

impl Server {
    /// Its workers, each of which a thread hosts: with `Part::host_on_tokio` or
    /// `Part::host_on_tokio_uring`, behind the features of these names. All of them are needed, in
    /// any order; peers wait in the backlog of a part that is not hosted yet.
    ///
    /// [`Config::pin_workers`](crate::Config::pin_workers), [`Config::cores`](crate::Config::cores)
    /// and [`Config::spin`](crate::Config::spin) say nothing here: the threads are the host's.
    #[must_use]
    pub fn parts(self) -> Vec<Part> {
        let Self { settings, mut listeners, handle } = self;
        let listening = std::mem::take(&mut listeners.listening);
        let (admission, listeners) = (Arc::new(Admission::new(&settings)), Arc::new(listeners));
        let part = |(number, listening)| {
            let (settings, admission) = (settings.clone(), Arc::clone(&admission));
            let seat = Seat { number, listening, settings, admission, handle: handle.clone() };
            let end = End { number, handle: handle.clone(), _listeners: Arc::clone(&listeners) };
            Part { seat, end }
        };
        listening.into_iter().enumerate().map(part).collect()
    }

    /// The part of a server that has no other.
    pub(super) fn only_part(self) -> Result<Part, Error> {
        let count = self.workers();
        let mut parts = self.parts();
        match parts.pop() {
            Some(part) if parts.is_empty() => Ok(part),
            _ => Err(Error::Host(HostError::Workers(count))),
        }
    }
}

impl Part {
    /// The number of its worker, from 0.
    #[must_use]
    pub const fn number(&self) -> usize {
        self.seat.number
    }

    /// What reaches the connections of the whole server, and stops it, from any thread.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.seat.handle.clone()
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if let Some(mailbox) = self.handle.mailboxes.get(self.number) {
            // Where there was a worker, it has done so.
            mailbox.close().for_each(drop);
        }
        self.handle.stop();
    }
}
