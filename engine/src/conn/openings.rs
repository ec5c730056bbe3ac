//! The opening handshakes that have not ended, the oldest first.

use std::collections::VecDeque;

use crate::conn::peer::Stage;
use crate::driver::Key;

/// Entries beyond twice the handshakes, so that a few cost no tidying.
const SLACK: usize = 64;

/// Who began a handshake, in order. Those that end are left in their place and passed over: most
/// end before they could ever be the oldest. So are those whose request has been put off: they
/// count, and do not give way.
#[derive(Debug, Default)]
pub(super) struct Openings {
    /// `count <= order.len() <= 2 * count + SLACK + 1`, for the largest `count` since the last
    /// tidying.
    order: VecDeque<Key>,
    /// Those that have not ended.
    count: usize,
}

impl Openings {
    /// Handshakes that have not ended.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// A handshake has begun. `is_opening` says which may give way.
    pub(super) fn begin(&mut self, key: Key, mut is_opening: impl FnMut(Key) -> bool) {
        if self.order.len() > 2 * self.count + SLACK {
            self.order.retain(|key| is_opening(*key));
        }
        self.order.push_back(key);
        self.count += 1;
    }

    /// A connection leaves this stage, for whatever follows.
    pub(super) fn leave(&mut self, stage: &Stage) {
        if matches!(stage, Stage::Opening(_) | Stage::Deciding(_)) {
            debug_assert!(self.count > 0, "a handshake ended twice");
            self.count = self.count.saturating_sub(1);
        }
    }

    /// The oldest handshake that may give way.
    pub(super) fn oldest(&mut self, mut is_opening: impl FnMut(Key) -> bool) -> Option<Key> {
        while let Some(key) = self.order.pop_front() {
            if is_opening(key) {
                return Some(key);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conn::peer::Opening;
    use proptest::prelude::*;

    fn opening() -> Stage {
        Stage::Opening(Box::new(Opening::new()))
    }

    proptest! {
        /// Against a list from which those that end are removed.
        #[test]
        fn the_oldest_that_has_not_ended(acts in prop::collection::vec(0_u32..1000, 0..2000)) {
            let mut openings = Openings::default();
            let mut live: Vec<Key> = Vec::new();
            for (slot, act) in (0..).zip(acts) {
                if act < 600 {
                    let key = Key { slot, generation: 0 };
                    openings.begin(key, |key| live.contains(&key));
                    live.push(key);
                } else if act < 950 && !live.is_empty() {
                    live.remove(act as usize % live.len());
                    openings.leave(&opening());
                } else {
                    let oldest = openings.oldest(|key| live.contains(&key));
                    prop_assert_eq!(oldest, live.first().copied());
                    if oldest.is_some() {
                        live.remove(0);
                        openings.leave(&opening());
                    }
                }
                openings.leave(&Stage::Open);
                prop_assert_eq!(openings.count(), live.len());
            }
        }
    }

    #[test]
    fn what_has_ended_does_not_pile_up() {
        let mut openings = Openings::default();
        let first = Key { slot: 0, generation: 0 };
        openings.begin(first, |_| true);
        for slot in 1..100_000 {
            openings.begin(Key { slot, generation: 0 }, |key| key == first);
            openings.leave(&opening());
            assert!(openings.order.len() <= 2 * 2 + SLACK + 1);
        }
        assert_eq!(openings.oldest(|key| key == first), Some(first));
    }
}
