//! Sockets that another server hands over: open ones, or in any part of their opening handshake.
//!
//! ```text
//!   mail ─▶ a place? ─▶ upgraded ─▶ open ─▶ what has been read ─▶ receive
//!              │   └──▶ accepted ─▶ what has been read ─▶ receive
//!              ▼
//!        1013 or 503
//! ```
//!
//! Nothing is received before what has been read is handed over: what waits of it for a later turn
//! is held, as for a paused connection.

use std::any::Any;
use std::os::fd::OwnedFd;

use ringwire_protocol::deflate::Agreed;
use ringwire_protocol::{Close, Receiver, Role, Sender};
use socket2::SockRef;

use crate::adoption::{Adoption, Parts};
use crate::cause::{Cause, Limit};
use crate::config::{Compression, Config};
use crate::conn::admit::REFUSALS_MAX;
use crate::conn::connections::Connections;
use crate::conn::held::Pieces;
use crate::conn::peer::{Lingering, Peer, Stage};
use crate::driver::{Descriptor, Driver, Key};
use crate::handler::Handler;
use crate::listener::{set_busy_poll, set_unsent_max};

impl<D: Driver, H: Handler> Connections<D, H> {
    /// Takes over what another server has handed over.
    pub(crate) fn adopt(&mut self, adoption: Adoption) {
        self.shared.handle.loads.take(self.shared.worker.into());
        let parts = *adoption.parts;
        let Parts { socket, is_upgraded, mut leftover, compression, streaming, state, .. } = parts;
        set_options(&socket, self.shared.config());
        let descriptor = match self.driver.adopt(socket) {
            Ok(descriptor) => descriptor,
            Err(error) => {
                self.shared.stats.adopted += 1;
                return self.count_unanswered(&Cause::Io(error));
            }
        };
        self.shared.stats.adopted += 1;
        if self.ending {
            // As whoever is accepted then.
            self.end_unanswered(descriptor, &Cause::Stopped);
            return;
        }
        if is_upgraded {
            let Some(key) = self.seat_upgraded(descriptor) else { return };
            self.begin(key, compression, streaming, state);
            let left = self.open(key, &mut leftover);
            self.keep(key, leftover, left);
        } else {
            let Some(key) = self.seat(descriptor) else { return };
            if let Some(Peer { stage: Stage::Opening(opening), .. }) = self.slots.at(key) {
                opening.state = state;
            }
            let left = if leftover.is_empty() { 0 } else { self.read(key, &mut leftover) };
            self.keep(key, leftover, left);
        }
    }

    /// Counts a connection that was handed over after the end of the worker.
    pub(crate) fn count_unadopted(&mut self) {
        self.shared.handle.loads.take(self.shared.worker.into());
        self.shared.stats.adopted += 1;
        self.count_unanswered(&Cause::Stopped);
    }

    /// Gives what its server has agreed on to a connection that is about to open.
    fn begin(
        &mut self,
        key: Key,
        compression: Option<(Agreed, Compression)>,
        streaming: bool,
        state: Option<Box<dyn Any + Send>>,
    ) {
        let Self { slots, handler, .. } = self;
        let Some(peer) = slots.at(key) else { return };
        peer.link.streaming = streaming;
        if let Some((agreed, Compression { policy, ratio_max })) = compression {
            peer.receiver = Receiver::new(Role::Server).with_deflate(&agreed, ratio_max);
            peer.link.sender = Sender::new(Role::Server).with_deflate(&agreed, &policy);
        }
        if let Some(state) = state {
            peer.state = handler.adopt(state);
        }
    }

    /// Keeps the last `left` of the bytes that had been read for a later turn, and begins to
    /// receive what follows them.
    fn keep(&mut self, key: Key, bytes: Vec<u8>, left: usize) {
        let Self { slots, shared, held, .. } = self;
        if let Some(peer) = slots.at(key)
            && left > 0
        {
            held.insert(key, Pieces::of(bytes, left));
            if matches!(peer.stage, Stage::Deciding(_)) {
                // It is held until it is decided.
                self.hold_early(key);
            } else {
                // Unless the handler has paused it, and will say when it takes them.
                shared.wait(key, &mut peer.link);
            }
        }
        self.measure(key);
        self.arm(key);
        self.watch(key);
    }

    /// Finds a place for an upgraded connection. Where there is none it is closed.
    fn seat_upgraded(&mut self, descriptor: Descriptor) -> Option<Key> {
        if self.stopping {
            self.turn_away_upgraded(descriptor, &Cause::Stopped);
            return None;
        }
        let place = match self.admit(descriptor, false) {
            Ok(place) => place,
            Err(limit) => {
                self.turn_away_upgraded(descriptor, &Cause::Limit(limit));
                return None;
            }
        };
        let peer = self.newcomer(descriptor, Some(place), Stage::Open);
        let key = self.slots.insert(|_| peer);
        match key {
            Some(_) => self.shared.stats.accepted += 1,
            None => {
                self.leave(place);
                self.end_unanswered(descriptor, &Cause::Limit(Limit::Connections));
            }
        }
        key
    }

    /// Tells an upgraded peer by a close frame that there is no place for it. Where that is being
    /// said to many already it is ended without a word.
    fn turn_away_upgraded(&mut self, descriptor: Descriptor, cause: &Cause) {
        //= RFC 6455 7.4.1: 1001 indicates that an endpoint is "going away", such as a server going
        //= down or a browser having navigated away from a page.
        // 1013 is registered for a server that is overloaded, and asks to try again later.
        let (code, reason, may_tell) = match cause {
            Cause::Stopped => (1001, "the server is stopping", true),
            _ => (1013, "try again later", self.count_without_place() < REFUSALS_MAX),
        };
        let peer = self.newcomer(descriptor, None, Stage::Lingering(Lingering::default()));
        let Some(key) = may_tell.then(|| self.slots.insert(|_| peer)).flatten() else {
            return self.end_unanswered(descriptor, cause);
        };
        self.count_unanswered(cause);
        let Self { slots, shared, .. } = self;
        if let Some(Peer { link, .. }) = slots.at(key) {
            let close = Close { code: Some(code), reason };
            let out = link.outbox.filling();
            let closed = link.sender.close(close, &mut shared.workspace, out);
            debug_assert!(closed.is_ok(), "a close frame of ours can be sent");
            // Nobody waits for the answer.
            link.sender.abandon();
            shared.mark(key, link);
        }
        self.arm(key);
        self.watch(key);
    }
}

/// What a listener of this server's gives to those that it accepts.
fn set_options(socket: &OwnedFd, config: &Config) {
    let socket = SockRef::from(socket);
    // They fail where they have no meaning, as on a Unix socket.
    let _set = socket.set_tcp_nodelay(true);
    if let Some(size) = config.unsent_max {
        let _set = set_unsent_max(&socket, size);
    }
    if let Some(time) = config.busy_poll {
        let _set = set_busy_poll(&socket, time);
    }
}
