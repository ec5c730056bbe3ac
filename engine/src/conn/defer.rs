//! Requests that are decided later.
//!
//! ```text
//!   answer ──later──▶ put off ──decided──▶ settle ──▶ open, or refused
//!                        │
//!                        │ the time is up, the peer has gone, the server stops
//!                        ▼
//!                     forgotten: who decides is told
//! ```

use std::mem;
use std::sync::Arc;

use ringwire_protocol::handshake;

use crate::cause::Limit;
use crate::conn::connections::{Connections, stopping};
use crate::conn::flow::Step;
use crate::conn::held::Pieces;
use crate::conn::later::undecided;
use crate::conn::open::{Answered, Refused};
use crate::conn::peer::{Peer, Stage};
use crate::conn::promise::{Abandoned, Awaited, Outcome, Waiter};
use crate::conn::upgrade::Decision;
use crate::driver::{Driver, Key};
use crate::handler::Handler;

impl<D: Driver, H: Handler> Connections<D, H> {
    /// Puts a request off, whose head this is, unless it has been decided already.
    pub(super) fn put_off(
        &mut self,
        key: Key,
        head: &[u8],
        upgrade: &handshake::Upgrade<'_, '_>,
        awaited: Awaited<Decision<H::State>>,
    ) -> Result<Answered, Refused> {
        let decisions = Arc::clone(&self.decisions);
        if let Some(outcome) = awaited.take_up(Waiter { decisions, key }) {
            return self.conclude(key, head, upgrade, outcome);
        }
        let Self { slots, shared, deferrals, .. } = self;
        let Some(peer) = slots.at(key) else { return Ok(Answered::Deferred) };
        let mut opening = match mem::replace(&mut peer.stage, Stage::Terminating) {
            Stage::Opening(opening) => opening,
            stage => {
                debug_assert!(false, "{stage:?} is no opening handshake");
                peer.stage = stage;
                return Ok(Answered::Deferred);
            }
        };
        opening.head = head.to_vec();
        // It goes on counting as a handshake.
        peer.stage = Stage::Deciding(opening);
        peer.since = shared.stamp();
        shared.stats.deferred += 1;
        deferrals.insert(key, awaited);
        self.watch(key);
        Ok(Answered::Deferred)
    }

    /// Carries out what has been decided since the last time.
    pub(crate) fn settle_decided(&mut self) {
        for key in self.decisions.take() {
            // Of one that has ended meanwhile nobody wants to know.
            let outcome = self.deferrals.get(&key).and_then(Awaited::take);
            if let Some(outcome) = outcome {
                self.deferrals.remove(&key);
                self.settle(key, outcome);
            }
        }
        if self.deferrals.is_empty() {
            // What many of them took at once is given back.
            self.deferrals.shrink_to_fit();
        }
    }

    fn settle(&mut self, key: Key, outcome: Outcome<Decision<H::State>>) {
        let Some(Peer { stage: Stage::Deciding(opening), .. }) = self.slots.at(key) else { return };
        let head = mem::take(&mut opening.head);
        match self.settle_head(key, &head, outcome) {
            Ok(_) => self.open_deferred(key),
            Err(refused) => self.respond(key, &refused.response, refused.head_only, None),
        }
    }

    /// The head was right when it came, and is now.
    fn settle_head(
        &mut self,
        key: Key,
        head: &[u8],
        outcome: Outcome<Decision<H::State>>,
    ) -> Result<Answered, Refused> {
        let request = handshake::Request::parse(head)?;
        let upgrade = request.upgrade()?.ok_or_else(undecided)?;
        self.conclude(key, head, &upgrade, outcome)
    }

    /// Acts on a decision.
    fn conclude(
        &mut self,
        key: Key,
        head: &[u8],
        upgrade: &handshake::Upgrade<'_, '_>,
        outcome: Outcome<Decision<H::State>>,
    ) -> Result<Answered, Refused> {
        match outcome {
            Outcome::Kept(Decision::Accept(_)) if self.stopping => Err(stopping().into()),
            Outcome::Kept(decision) => self.act(key, upgrade, head.len(), decision),
            Outcome::Broken => Err(undecided().into()),
        }
    }

    /// Opens a connection that has waited for it. What came meanwhile is read as if it came now.
    fn open_deferred(&mut self, key: Key) {
        let Self { slots, shared, .. } = self;
        let Some(Peer { link, .. }) = slots.at(key) else { return };
        link.flow = link.flow.on(Step::Pause).on(Step::Resume);
        shared.resumed.push(key);
        let left = self.open(key, &mut []);
        debug_assert!(left == 0, "something is left of nothing");
    }

    /// Reads no more of a peer that has sent much before it was answered.
    pub(super) fn hold_early(&mut self, key: Key) {
        let Self { slots, shared, held, .. } = self;
        let Some(Peer { stage: Stage::Deciding(_), link, .. }) = slots.at(key) else { return };
        let size = held.get(&key).map_or(0, Pieces::len);
        if size >= shared.config().handshake.head_size_max {
            link.flow = link.flow.on(Step::Pause);
            // Its receive is cancelled when it is flushed.
            shared.mark(key, link);
        }
    }

    /// Nobody has decided in time.
    pub(super) fn expire_upgrade(&mut self, key: Key) {
        if let Some(awaited) = self.deferrals.get(&key) {
            awaited.let_go(Abandoned::TimeOut);
        }
        self.turn_away(key, Limit::UpgradeTime);
    }

    /// The server stops: nobody is let in any more, whatever is decided from here on.
    pub(super) fn let_go_all(&self) {
        for awaited in self.deferrals.values() {
            awaited.let_go(Abandoned::Stopped);
        }
    }

    /// A connection that leaves its handshake is waited for no more, unless it opens. Who decides
    /// is told that it has gone, or why it was ended.
    pub(super) fn forget(&mut self, key: Key) {
        if self.slots.at(key).is_some_and(|peer| matches!(peer.stage, Stage::Deciding(_))) {
            self.deferrals.remove(&key);
            self.held.remove(&key);
        }
    }
}
