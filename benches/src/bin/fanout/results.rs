//! What all rounds of one contestant have brought.

use std::error::Error;

use crate::contestant::Contestant;
use crate::measure::{self, Cost, Patience, Plan};

/// The results of one contestant, by round.
pub(crate) struct Results {
    pub(crate) contestant: &'static Contestant,
    pub(crate) singles: Vec<Cost>,
    pub(crate) bursts: Vec<Cost>,
    /// All subscribers read.
    pub(crate) calm: Vec<Patience>,
    /// Some read nothing.
    pub(crate) stuck: Vec<Patience>,
}

impl Results {
    /// No rounds yet.
    pub(crate) const fn new(contestant: &'static Contestant) -> Self {
        Self {
            contestant,
            singles: Vec::new(),
            bursts: Vec::new(),
            calm: Vec::new(),
            stuck: Vec::new(),
        }
    }

    /// A round of messages one by one and in bursts.
    pub(crate) fn costs(&mut self, plan: &Plan) -> Result<(), Box<dyn Error>> {
        let costs = measure::costs(self.contestant, plan);
        let (single, burst) = costs.map_err(|error| self.failed(&*error))?;
        self.singles.push(single);
        self.bursts.push(burst);
        Ok(())
    }

    /// A round without subscribers that read nothing, and one beside them.
    pub(crate) fn patience(&mut self, plan: &Plan) -> Result<(), Box<dyn Error>> {
        for is_stuck in [false, true] {
            let patience = measure::patience(self.contestant, plan, is_stuck);
            let patience = patience.map_err(|error| self.failed(&*error))?;
            if is_stuck { &mut self.stuck } else { &mut self.calm }.push(patience);
        }
        Ok(())
    }

    fn failed(&self, error: &dyn Error) -> String {
        format!("{}: {error}", self.contestant.name)
    }
}
