//! How a connection leaves for another server.
//!
//! ```text
//!          ask              between two messages         nothing in flight, nothing unsent
//!   No ──────────▶ Asked ──────────────────────▶ Stopped ──────────────────────▶ released
//!   ▲                │                              │
//!   └────────────────┴───── time is up, it closes ──┘
//! ```
//!
//! Until it is between two messages it goes on: a part of one that the receiver has taken cannot be
//! given away, since it has been unmasked and decompressed. From then on what arrives is held, as
//! of a paused connection. It is looked at whenever it is flushed, so whatever it waits for marks
//! it.

use ringwire_protocol::Misuse;

use crate::config::Compression;
use crate::conn::connections::Connections;
use crate::conn::end::tell_dropped;
use crate::conn::flow::Flow;
use crate::conn::peer::{Peer, Stage};
use crate::conn::releases::Parting;
use crate::conn::view::Connection;
use crate::driver::{Driver, Key};
use crate::handler::Handler;
use crate::release::{Done, NotQuiet, ReleaseError, Released};
use crate::trace;

impl<S> Connection<'_, S> {
    /// Gives the connection away: `done` gets its socket, with what has been read of it and not
    /// been handed over, as soon as it is quiet; the peer does not notice. The handler is told by
    /// [`Handler::released`](crate::Handler::released), and `close` is not called.
    ///
    /// Quiet is a connection between two messages, in both directions, of which everything has left
    /// that was sent. Until then it goes on: a message that is arriving is handed over, but the
    /// next one is not. Where that takes longer than
    /// [`Config::send_timeout`](crate::Config::send_timeout) nothing is released, and it is as if
    /// nothing had been asked.
    ///
    /// `done` is called once, on the worker's thread, and not before this method has returned
    /// unless the answer is known; it must not block.
    ///
    /// ```
    /// use ringwire::{Adoption, Connection, Handle, Handler, Message};
    ///
    /// /// Sends who asks for it to another server.
    /// struct Lobby {
    ///     game: Handle,
    /// }
    ///
    /// impl Handler for Lobby {
    ///     type State = ();
    ///
    ///     fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
    ///         if message.as_text() == Some("play") {
    ///             let game = self.game.clone();
    ///             connection.release(move |released| {
    ///                 if let Ok(released) = released {
    ///                     // Where it is not taken, the error has the socket.
    ///                     let _adopted = game.adopt(Adoption::from(released));
    ///                 }
    ///             });
    ///         }
    ///     }
    /// }
    /// # let _ = |game| Lobby { game };
    /// ```
    pub fn release(&mut self, done: impl FnOnce(Result<Released, ReleaseError>) + Send + 'static) {
        self.ask_release(Done::new(done));
    }

    pub(super) fn ask_release(&mut self, done: Done) {
        let Self { key, link, shared, .. } = self;
        if link.terminated || !link.sender.closing().is_open() {
            return done.tell(Err(ReleaseError::Ended));
        }
        if link.parting != Parting::No {
            return done.tell(Err(ReleaseError::Releasing));
        }
        link.parting = Parting::Asked;
        let timeout = shared.config().send_timeout;
        shared.releases.begin(*key, done, shared.now, timeout);
        // Whoever hands over messages in a row looks up.
        shared.wait(*key, link);
        shared.mark(*key, link);
    }
}

impl<D: Driver, H: Handler> Connections<D, H> {
    /// Begins to release a connection for another thread.
    pub(crate) fn release_for(&mut self, key: Key, done: Done) {
        let Self { slots, shared, .. } = self;
        match slots.at(key) {
            Some(Peer { stage: Stage::Open, link, state, .. }) => {
                Connection { key, state, link, shared }.ask_release(done);
            }
            Some(_) | None => done.tell(Err(ReleaseError::Ended)),
        }
    }

    /// Has a connection that is to be released looked at when the turn ends: something that it
    /// waits for may have come.
    pub(super) fn look_again(&mut self, key: Key) {
        let Self { slots, shared, .. } = self;
        if let Some(Peer { link, .. }) = slots.at(key)
            && link.parting != Parting::No
        {
            shared.mark(key, link);
        }
    }

    /// Takes the next step of a connection that is to be released. `true`: it has left.
    pub(super) fn part(&mut self, key: Key) -> bool {
        let Self { slots, held, .. } = self;
        let Some(peer) = slots.at(key) else { return false };
        if peer.link.parting == Parting::No {
            return false;
        }
        let has_ended = held.get(&key).is_some_and(|pieces| pieces.end.is_some());
        if has_ended || !peer.link.sender.closing().is_open() {
            self.stay(key, ReleaseError::Ended);
            return false;
        }
        if peer.receiver.holds_window() {
            self.stay(key, ReleaseError::NotQuiet(NotQuiet::Window));
            return false;
        }
        if peer.receiver.is_between_messages() {
            peer.link.parting = Parting::Stopped;
        }
        let departs = peer.may_depart();
        if departs {
            self.depart(key);
        }
        departs
    }

    /// Ends the waiting of those who have waited for long enough.
    pub(super) fn expire_releases(&mut self) {
        while let Some(key) = self.shared.releases.expire(self.shared.now) {
            let Some(peer) = self.slots.at(key) else { continue };
            self.shared.stats.timers += 1;
            // If all of it is quiet, what was in flight has not come back.
            let reason = peer.is_quiet().err().unwrap_or(NotQuiet::Receiving);
            self.stay(key, ReleaseError::NotQuiet(reason));
        }
    }

    /// Goes on with a connection that is not released.
    fn stay(&mut self, key: Key, error: ReleaseError) {
        let Self { slots, shared, .. } = self;
        let Some(Peer { link, .. }) = slots.at(key) else { return };
        let was_stopped = std::mem::replace(&mut link.parting, Parting::No) == Parting::Stopped;
        match link.flow {
            // What is held comes first.
            Flow::Running if was_stopped => shared.wait(key, link),
            Flow::Resuming if was_stopped => shared.resumed.push(key),
            Flow::Running | Flow::Resuming | Flow::Paused | Flow::Full => {}
        }
        if let Some(done) = shared.releases.end(key) {
            done.tell(Err(error));
        }
    }

    /// Gives a quiet connection away.
    fn depart(&mut self, key: Key) {
        let Self { slots, shared, handler, held, driver, wheel, .. } = self;
        let Some(peer) = slots.at(key) else { return };
        let Peer { link, state, receiver, .. } = peer;
        let policy = link.sender.deflate_policy();
        let compression = receiver
            .deflate()
            .zip(policy)
            .map(|((agreed, ratio_max), policy)| (agreed, Compression { policy, ratio_max }));
        let streaming = link.streaming;
        shared.topics.remove(key);
        shared.count_losses(link);
        let dropped = link.take_last_untold();
        let mut connection = Connection { key, state, link, shared };
        tell_dropped(handler, &mut connection, dropped);
        // Nothing can be sent any more.
        connection.link.sender.abandon();
        let state = handler.released(&mut connection);
        shared.stats.released += 1;
        trace::released(shared.id(key).as_u64());
        wheel.clear(key.slot);
        let unread = held.remove(&key).map(|mut pieces| pieces.rest().to_vec());
        let socket = driver.release(peer.descriptor);
        let done = shared.releases.end(key);
        self.free(key);
        let unread = unread.unwrap_or_default();
        if let Some(done) = done {
            done.tell(Ok(Released { socket, unread, compression, streaming, state }));
        }
    }
}

impl<S> Peer<S> {
    /// Whether all of it can be given away now.
    pub(super) fn may_depart(&self) -> bool {
        self.is_quiet().is_ok() && self.is_joined() && self.deferred == 0
    }

    /// Whether there is nothing of it that cannot be given away, beside what is in flight.
    fn is_quiet(&self) -> Result<(), NotQuiet> {
        if !self.receiver.is_between_messages() {
            Err(NotQuiet::Receiving)
        } else if self.link.sender.check() == Err(Misuse::MessageUnfinished) {
            Err(NotQuiet::Sending)
        } else if self.link.buffered() > 0 {
            Err(NotQuiet::Unsent)
        } else {
            Ok(())
        }
    }
}
