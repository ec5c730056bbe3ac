//! The opening handshake: a head that arrives in pieces, the handler's decision, the answer.

use std::mem;

use ringwire_protocol::handshake::{self, Accept, Refusal, Response};
use ringwire_protocol::{Receiver, Role, Sender, deflate};

use crate::cause::Limit;
use crate::config::Compression;
use crate::conn::connections::{Connections, stopping};
use crate::conn::flow::Flow;
use crate::conn::peer::{Lingering, Opening, Peer, Stage};
use crate::conn::upgrade::{Acceptance, Answer, Decision};
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
        let Opening { head, scan, .. } = &mut **opening;
        match scan.scan(head, &limits) {
            Ok(Some(size)) => {
                let gathered = mem::take(head);
                let (head, rest) = gathered.split_at(size);
                // It ends in `bytes`. What follows is read where it lies, not in the copy: reading
                // changes what it leaves for a later turn.
                let (_, rest) = bytes.split_at_mut(bytes.len() - rest.len());
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
            Ok(Answered::Accepted) => self.open(key, rest),
            // It is held until there is a connection.
            Ok(Answered::Deferred) => rest.len(),
            Err(Refused { response, head_only }) => {
                self.respond(key, &response, head_only, None);
                0
            }
        }
    }

    /// Asks the handler, and does what it says.
    fn decide(&mut self, key: Key, head: &[u8]) -> Result<Answered, Refused> {
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
            return Err(Response::text(403, "The origin is not allowed.\n").into());
        }
        match handler.upgrade(&asked).answer {
            Answer::Now(decision) => self.act(key, &upgrade, head.len(), decision),
            Answer::Later(awaited) => self.put_off(key, head, &upgrade, awaited),
        }
    }

    /// Acts on a decision: where it is to accept, writes the 101 answer. The head had so many
    /// bytes.
    pub(super) fn act(
        &mut self,
        key: Key,
        upgrade: &handshake::Upgrade<'_, '_>,
        head_size: usize,
        decision: Decision<H::State>,
    ) -> Result<Answered, Refused> {
        let Self { slots, shared, handler, .. } = self;
        let Some(peer) = slots.at(key) else { return Err(Refusal::HeadIncomplete.into()) };
        let acceptance = match decision {
            Decision::Accept(acceptance) => acceptance,
            Decision::Refuse(response) => return Err(response.into()),
        };
        let Acceptance { state, subprotocol, headers, compression, streaming } = acceptance;
        let compression = compression.unwrap_or_else(|| shared.config().compression);
        let agreed = compression.and_then(|compression| {
            let agreed = deflate::negotiate(upgrade.request().extensions(), &compression.policy)?;
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
        match accept.encode(upgrade, peer.link.outbox.filling()) {
            Ok(()) => {
                let handed_over = match &mut peer.stage {
                    Stage::Opening(opening) | Stage::Deciding(opening) => opening.state.take(),
                    Stage::Open | Stage::Lingering(_) | Stage::Terminating => None,
                };
                peer.state = handed_over.map_or(state, |state| handler.adopt(state));
                peer.link.streaming = streaming;
                if let Some((agreed, Compression { policy, ratio_max })) = agreed {
                    peer.receiver = Receiver::new(Role::Server).with_deflate(&agreed, ratio_max);
                    peer.link.sender = Sender::new(Role::Server).with_deflate(&agreed, &policy);
                }
                peer.receiver.start_at(head_size as u64);
                Ok(Answered::Accepted)
            }
            Err(_misuse) => Err(internal_error().into()),
        }
    }

    /// The answer is written, or has left: the connection is open, and `rest` came with the
    /// request. Says how many of the last bytes are left for a later turn.
    pub(super) fn open(&mut self, key: Key, rest: &mut [u8]) -> usize {
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

    pub(super) fn respond(
        &mut self,
        key: Key,
        response: &Response,
        head_only: bool,
        limit: Option<Limit>,
    ) {
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
            // One that was put off may be read no more.
            self.arm(key);
        }
    }
}

/// What has become of a request that is not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// With 101.
    Accepted,
    /// Not yet.
    Deferred,
}

/// An answer other than 101.
pub(super) struct Refused {
    pub(super) response: Response,
    /// It answers a HEAD request, so it has no body.
    pub(super) head_only: bool,
}

impl From<Response> for Refused {
    fn from(response: Response) -> Self {
        Self { response, head_only: false }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        refusal.response().into()
    }
}

fn internal_error() -> Response {
    Response::text(500, "The server's answer is not valid.\n")
}
