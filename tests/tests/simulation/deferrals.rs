//! Requests that the handler puts off, and who decides about them at any time, or never.

use std::collections::HashMap;

use ringwire::{Abandoned, Later, Response, Upgrade};

use crate::chance::Chance;
use crate::client::{Client, Stage};
use crate::ledger::Told;

/// What waits for a decision, and what has been decided, by the number of the client.
pub(crate) struct Deferrals {
    /// Of a hundred requests so many are put off.
    pub(crate) percent: usize,
    /// Once in so many turns one is decided.
    pub(crate) pace: usize,
    chance: Chance,
    waiting: Vec<(usize, Later<Told>)>,
    decided: HashMap<usize, Verdict>,
    stopping: bool,
    pub(crate) counts: Counts,
}

/// How much was tried.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) put_off: u64,
    pub(crate) decided: u64,
    pub(crate) late: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Accepted,
    Refused,
    /// There was none.
    Dropped,
    /// Nobody waited for it.
    Late(Abandoned),
}

impl Deferrals {
    pub(crate) fn new(chance: Chance) -> Self {
        let (waiting, decided) = (Vec::new(), HashMap::new());
        let counts = Counts::default();
        Self { percent: 0, pace: 4, chance, waiting, decided, stopping: false, counts }
    }

    /// Puts a request off, perhaps. Some are decided before the handler returns.
    pub(crate) fn put_off(&mut self, number: usize) -> Option<Upgrade<Told>> {
        if self.chance.below(100) >= self.percent {
            return None;
        }
        let (upgrade, later) = Upgrade::later();
        if self.chance.once_in(10) {
            self.decide(number, later);
        } else {
            self.waiting.push((number, later));
            self.counts.put_off += 1;
        }
        Some(upgrade)
    }

    /// Decides about some.
    pub(crate) fn decide_some(&mut self, chance: &mut Chance) {
        while !self.waiting.is_empty() && chance.once_in(self.pace) {
            let (number, later) = self.waiting.swap_remove(chance.below(self.waiting.len()));
            self.decide(number, later);
        }
    }

    /// Decides about all there are, and from now on about each at once.
    pub(crate) fn decide_all(&mut self) {
        self.percent = 0;
        for (number, later) in std::mem::take(&mut self.waiting) {
            self.decide(number, later);
        }
    }

    fn decide(&mut self, number: usize, later: Later<Told>) {
        let is_awaited = later.is_awaited();
        self.counts.decided += u64::from(is_awaited);
        self.counts.late += u64::from(!is_awaited);
        let (decision, verdict) = match self.chance.below(10) {
            0 => {
                drop(later);
                if is_awaited {
                    self.decided.insert(number, Verdict::Dropped);
                }
                return;
            }
            1 => {
                let response = Response::text(403, "Not today, we have thought about it.\n");
                (Upgrade::refuse(response), Verdict::Refused)
            }
            _ => {
                let told = Told { number: Some(number) };
                let accept = Upgrade::accept().state(told).streaming(self.chance.once_in(3));
                (accept, Verdict::Accepted)
            }
        };
        let result = later.decide(decision);
        assert_eq!(result.is_ok(), is_awaited, "{result:?}");
        let verdict = result.map_or_else(|late| Verdict::Late(late.reason), |()| verdict);
        self.decided.insert(number, verdict);
    }

    /// The server stops from now on: nobody is let in any more.
    pub(crate) const fn begin_stop(&mut self) {
        self.stopping = true;
    }

    /// A turn has ended: whoever is waited for has a connection that waits, and no other does.
    pub(crate) fn check(&self, deciding: usize) {
        let awaited = self.waiting.iter().filter(|(_, later)| later.is_awaited()).count();
        // Those that are let go by a stop are answered one after another.
        let is_right = if self.stopping { awaited <= deciding } else { awaited == deciding };
        assert!(is_right, "{awaited} are waited for, and {deciding} wait");
    }

    /// The connection of a client has ended: it has had the answer that was decided on, if any.
    /// `may_be_lost`: it may have gone without having wished to.
    pub(crate) fn check_end(&self, client: &Client, may_be_lost: bool) {
        let number = client.number;
        let Some(verdict) = self.decided.get(&number) else { return };
        let Some(status) = client.status else {
            let has_left = matches!(client.stage, Stage::Leaving | Stage::Gone);
            let is_gone = *verdict == Verdict::Late(Abandoned::Gone);
            assert!(has_left || may_be_lost || !is_gone, "{number} has not gone");
            return;
        };
        let is_right = match verdict {
            Verdict::Accepted => status == 101 || self.stopping && status == 503,
            Verdict::Refused => status == 403,
            Verdict::Dropped => status == 500,
            Verdict::Late(Abandoned::TimeOut | Abandoned::Stopped) => status == 503,
            Verdict::Late(_) => false,
        };
        assert!(is_right, "{verdict:?}, and answered with {status}");
    }
}
