//! The opening handshake: a head that arrives in pieces, the handler's decision, the answer.

use std::mem;

use ringwire_protocol::handshake::{self, Accept, Refusal, Response};
use ringwire_protocol::{Receiver, Role, Sender, deflate};

use crate::cause::Limit;
use crate::config::Compression;
use crate::conn::connections::{Connections, stopping};
use crate::conn::flow::Flow;
use crate::conn::peer::{Lingering, Opening, Peer, Stage};
use crate::conn::upgrade::{Acceptance, Decision};
use crate::conn::view::Connection;
use crate::driver::{Driver, Key};
use crate::handler::Handler;
use crate::request::Request;
use crate::trace;

/// Seconds until a client that was turned away may try again. Places come free all the time.
const RETRY_AFTER: u32 = 1;

impl<D: Driver, H: Handler> Connections<D, H> {
    /// Adds `bytes` to the head, and answers it when it is whole. What follows the head are frames.
    /// Says how many of the last bytes are left for a later turn.
    pub(super) fn read_head(&mut self, key: Key, bytes: &mut [u8]) -> usize {
        let limits = self.shared.config().handshake;
        let Some(Peer { stage: Stage::Opening(opening), .. }) = self.slots.at(key) else {
            return 0;
        };
        if opening.head.is_empty() {
            // Most heads come in one piece and are read where they lie.
            match opening.scan.scan(bytes, &limits) {
                Ok(Some(size)) => {
                    let (head, rest) = bytes.split_at_mut(size);
                    return self.answer(key, head, rest);
                }
                Ok(None) => opening.head.extend_from_slice(bytes),
                Err(refusal) => self.refuse(key, &refusal.response()),
            }
            return 0;
        }
        opening.head.extend_from_slice(bytes);
        let Opening { head, scan } = &mut **opening;
        match scan.scan(head, &limits) {
            Ok(Some(size)) => {
                let mut gathered = mem::take(head);
                let (head, rest) = gathered.split_at_mut(size);
                // The head ends in `bytes`, so what is left of the copy is the end of these too.
                return self.answer(key, head, rest);
            }
            Ok(None) => {}
            Err(refusal) => self.refuse(key, &refusal.response()),
        }
        0
    }

    /// Answers a whole head: opens the connection, or refuses.
    fn answer(&mut self, key: Key, head: &[u8], rest: &mut [u8]) -> usize {
        if !self.may_answer() {
            self.turn_away(key, Limit::HandshakeRate);
            return 0;
        }
        match self.decide(key, head) {
            Ok(()) => self.open(key, rest),
            Err(Refused { response, head_only }) => {
                self.respond(key, &response, head_only, None);
                0
            }
        }
    }

    /// Asks the handler and writes the 101 answer.
    fn decide(&mut self, key: Key, head: &[u8]) -> Result<(), Refused> {
        let Self { slots, handler, shared, driver, .. } = self;
        let request = handshake::Request::parse(head)?;
        if self.stopping {
            let head_only = request.method() == "HEAD";
            return Err(Refused { response: stopping(), head_only });
        }
        let Some(peer) = slots.at(key) else { return Err(Refusal::HeadIncomplete.into()) };
        let descriptor = peer.descriptor;
        let address = || driver.peer_address(descriptor);
        let asked = Request::new(&request, &address);
        let Some(upgrade) = request.upgrade()? else {
            let head_only = request.method() == "HEAD";
            return Err(Refused { response: handler.request(&asked), head_only });
        };
        if !shared.config().origins.allow(request.origin(), request.host()) {
            let response = Response::text(403, "The origin is not allowed.\n");
            return Err(Refused { response, head_only: false });
        }
        let acceptance = match handler.upgrade(&asked).decision {
            Decision::Accept(acceptance) => acceptance,
            Decision::Refuse(response) => return Err(Refused { response, head_only: false }),
        };
        let Acceptance { state, subprotocol, headers, compression, streaming } = acceptance;
        let compression = compression.unwrap_or_else(|| shared.config().compression);
        let agreed = compression.and_then(|compression| {
            let agreed = deflate::negotiate(request.extensions(), &compression.policy)?;
            Some((agreed, compression))
        });
        let extensions = agreed.as_ref().map(|(agreed, _)| agreed.response_header());
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
        let accept = Accept {
            subprotocol: subprotocol.as_deref(),
            extensions: extensions.as_deref(),
            headers: &headers,
        };
        peer.link.outbox.fetch(&mut shared.store);
        match accept.encode(&upgrade, peer.link.outbox.filling()) {
            Ok(()) => {
                peer.state = state;
                peer.link.streaming = streaming;
                if let Some((agreed, Compression { policy, ratio_max })) = agreed {
                    peer.receiver = Receiver::new(Role::Server).with_deflate(&agreed, ratio_max);
                    peer.link.sender = Sender::new(Role::Server).with_deflate(&agreed, &policy);
                }
                peer.receiver.start_at(head.len() as u64);
                Ok(())
            }
            Err(_misuse) => Err(Refused { response: internal_error(), head_only: false }),
        }
    }

    /// The answer is written: the connection is open, and `rest` came with the request.
    fn open(&mut self, key: Key, rest: &mut [u8]) -> usize {
        let Self { slots, handler, shared, openings, lifetimes, driver, .. } = self;
        let Some(peer) = slots.at(key) else { return 0 };
        openings.leave(&peer.stage);
        peer.stage = Stage::Open;
        peer.expires = lifetimes.next(shared.config(), shared.now);
        shared.stats.opened += 1;
        let address = || driver.peer_address(peer.descriptor);
        trace::opened(shared.id(key).as_u64(), address);
        peer.link.last_message = shared.stamp();
        let Peer { link, state, .. } = peer;
        shared.mark(key, link);
        handler.open(&mut Connection { key, state, link, shared });
        match link.flow {
            _ if link.terminated => 0,
            Flow::Paused => rest.len(),
            Flow::Running | Flow::Full | Flow::Resuming => self.read_messages(key, rest),
        }
    }

    /// Answers with `response` and ends the connection.
    pub(super) fn refuse(&mut self, key: Key, response: &Response) {
        self.respond(key, response, false, None);
    }

    /// Answers a peer that a limit turns away, and ends the connection.
    pub(super) fn turn_away(&mut self, key: Key, limit: Limit) {
        let response = Refusal::Unavailable { retry_after: RETRY_AFTER }.response();
        self.respond(key, &response, false, Some(limit));
    }

    fn respond(&mut self, key: Key, response: &Response, head_only: bool, limit: Option<Limit>) {
        if let Some(peer) = self.slots.at(key) {
            let out = peer.link.outbox.filling();
            let written = match head_only {
                true => response.encode_head(out),
                false => response.encode(out),
            };
            let status = match written {
                Ok(()) => response.status(),
                // The handler's answer is none; ours always is one.
                Err(_misuse) => {
                    let error = internal_error();
                    let _written = error.encode(out);
                    error.status()
                }
            };
            self.shared.stats.refused.add(status, limit);
            let address = || self.driver.peer_address(peer.descriptor);
            trace::refused(self.shared.id(key).as_u64(), address, status, limit);
            self.linger(key, Lingering::default());
        }
    }
}

/// An answer other than 101.
struct Refused {
    response: Response,
    /// It answers a HEAD request, so it has no body.
    head_only: bool,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { response: refusal.response(), head_only: false }
    }
}

fn internal_error() -> Response {
    Response::text(500, "The server's answer is not valid.\n")
}
