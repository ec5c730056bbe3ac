//! Another server, which has clients before the engine and after: it reads past the upgrade by any
//! number of bytes, hands over, gets back, and hands over again.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use ringwire::simulation::{Peer, Simulation};
use ringwire::{Adoption, Config, NotAdopted, ReleaseError, Released};
use ringwire_protocol::deflate::negotiate;
use ringwire_protocol::handshake::{self, Accept, Head, Request};

use crate::books::Books;
use crate::chance::Chance;
use crate::ledger::Told;
use crate::topics::Mail;

/// What has become of the connections of these clients.
pub(crate) type Outcomes = Arc<Mutex<Vec<(usize, Result<Released, ReleaseError>)>>>;

/// The other server.
pub(crate) struct Host {
    guests: Vec<Guest>,
    pub(crate) outcomes: Outcomes,
    /// Releases that were asked for by mail and have not been answered.
    pub(crate) asked: usize,
    /// Clients that it has or has had.
    seen: BTreeSet<usize>,
    config: Config,
    leftover_max: usize,
    pub(crate) released: u64,
    pub(crate) adopted: u64,
}

/// A client that it has.
struct Guest {
    number: usize,
    peer: Peer,
    has: Has,
}

/// What it has of a client.
enum Has {
    /// What has been read of it.
    Read(Vec<u8>),
    /// What was given back by the engine, or could not be given to it.
    Ready(Adoption),
}

impl Host {
    pub(crate) fn new(config: &Config, outcomes: Outcomes) -> Self {
        let leftover_max = 2 * usize::from(config.buffers) * config.buffer_size;
        Self {
            guests: Vec::new(),
            outcomes,
            asked: 0,
            seen: BTreeSet::new(),
            config: config.clone(),
            leftover_max,
            released: 0,
            adopted: 0,
        }
    }

    /// A client has come.
    pub(crate) fn welcome(&mut self, number: usize, peer: Peer) {
        self.seen.insert(number);
        self.guests.push(Guest { number, peer, has: Has::Read(Vec::new()) });
    }

    /// Whether it has nobody, and waits for nobody.
    pub(crate) fn is_empty(&self) -> bool {
        self.guests.is_empty() && self.asked == 0
    }

    /// Reads, and hands over. `hurries`: all that it can.
    pub(crate) fn act(
        &mut self,
        simulation: &mut Simulation<Books>,
        chance: &mut Chance,
        peers: impl Fn(usize) -> Option<Peer>,
        hurries: bool,
    ) {
        for (number, outcome) in std::mem::take(&mut *self.outcomes.lock().unwrap()) {
            self.asked -= 1;
            let Ok(released) = outcome else { continue };
            self.released += 1;
            self.seen.insert(number);
            // One that has gone is closed by dropping it; a simulated one must be told.
            let Some(peer) = peers(number) else { continue };
            self.guests.push(Guest { number, peer, has: Has::Ready(Adoption::from(released)) });
        }
        for guest in std::mem::take(&mut self.guests) {
            if hurries || chance.once_in(3) {
                self.hand_over(simulation, chance, guest);
            } else {
                self.guests.push(guest);
            }
        }
    }

    fn hand_over(&mut self, simulation: &mut Simulation<Books>, chance: &mut Chance, guest: Guest) {
        let Guest { number, peer, has } = guest;
        let mut adoption = match has {
            Has::Ready(adoption) => adoption,
            Has::Read(mut read) => {
                let room = self.leftover_max - read.len();
                let size = if chance.once_in(3) { 0 } else { chance.below(room + 1) };
                read.extend(simulation.read_elsewhere(peer, size));
                let socket = simulation.socket(peer).unwrap();
                let told = Told::new(number);
                match chance.once_in(2).then(|| self.upgrade(&read)).flatten() {
                    Some((answer, size, compression)) => {
                        simulation.write_elsewhere(peer, &answer);
                        let adoption = Adoption::upgraded(socket).leftover(read.split_off(size));
                        let adoption = adoption.state(told).streaming(chance.once_in(3));
                        match compression {
                            Some((agreed, own)) => adoption.compression(agreed, own),
                            None => adoption,
                        }
                    }
                    None => Adoption::accepted(socket).leftover(read).state(told),
                }
            }
        };
        if chance.once_in(2) {
            adoption = adoption.worker(0);
        }
        let handed = simulation.handle().adopt(adoption);
        simulation.handler().topics.post(handed.is_ok(), Mail::HandOver);
        match handed {
            Ok(()) => self.adopted += 1,
            Err(error) => {
                assert!(matches!(error.reason, NotAdopted::Full), "{error}");
                self.guests.push(Guest { number, peer, has: Has::Ready(error.adoption) });
            }
        }
    }

    /// Answers a request with 101, if it has been read whole and is right: the answer, the size of
    /// the request, and the compression that was agreed on.
    #[expect(clippy::type_complexity, reason = "it is taken apart at once")]
    fn upgrade(
        &self,
        read: &[u8],
    ) -> Option<(Vec<u8>, usize, Option<(ringwire::DeflateAgreed, ringwire::Compression)>)> {
        let limits = handshake::Limits::default();
        let size = Head::request().scan(read, &limits).ok()??;
        let request = Request::parse(&read[..size]).ok()?;
        let upgrade = request.upgrade().ok()??;
        let compression = self.config.compression.and_then(|compression| {
            Some((negotiate(request.extensions(), &compression.policy)?, compression))
        });
        let extensions = compression.map(|(agreed, _)| agreed.response_header());
        let accept = Accept { subprotocol: None, extensions: extensions.as_deref(), headers: &[] };
        let mut answer = Vec::new();
        accept.encode(&upgrade, &mut answer).unwrap();
        Some((answer, size, compression))
    }

    /// The engine has ended: who is still here is let go, and who was handed over is not forgotten.
    pub(crate) fn end(&mut self, simulation: &mut Simulation<Books>) {
        self.outcomes.lock().unwrap().clear();
        for guest in self.guests.drain(..) {
            simulation.close_elsewhere(guest.peer);
        }
    }

    /// Whether it has, or has had, a client.
    pub(crate) fn has_seen(&self, number: usize) -> bool {
        self.seen.contains(&number)
    }
}
