//! What one subscriber has subscribed.

use std::collections::HashMap;

use super::memory;
use super::tight::Tight;

/// The patterns of one subscriber by number, each with the index at which the subscriber stands in
/// the pattern's list.
///
/// The few that most subscribers have are searched one by one, in one or two lines of the cache;
/// many are in a table, so that each costs the same however many there are.
#[derive(Debug)]
pub(super) enum Own {
    Few(Tight<Place>),
    #[expect(clippy::box_collection, reason = "48 bytes, which most subscribers do without")]
    Many(Box<HashMap<u32, u32>>),
}

/// Where a subscriber stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) pattern: u32,
    pub(super) index: u32,
}

/// Beyond it, they are many.
const FEW_MAX: usize = 32;

/// Up to it, those that were many are few again. It is so much less that a subscriber which comes
/// and goes at the border does not move them each time.
const MANY_MIN: usize = FEW_MAX / 2;

impl Own {
    /// Bytes of each pattern, at the most.
    pub(super) const SIZE_MAX: usize = memory::in_table(size_of::<(u32, u32)>());

    /// Bytes that it takes besides, once they are many.
    pub(super) const MANY_SIZE: usize = size_of::<HashMap<u32, u32>>();

    pub(super) const fn new() -> Self {
        Self::Few(Tight::new())
    }

    pub(super) fn count(&self) -> usize {
        match self {
            Self::Few(places) => places.len(),
            Self::Many(indexes) => indexes.len(),
        }
    }

    pub(super) fn index(&self, pattern: u32) -> Option<u32> {
        match self {
            Self::Few(places) => {
                let mut places = places.as_slice().iter();
                places.find(|place| place.pattern == pattern).map(|place| place.index)
            }
            Self::Many(indexes) => indexes.get(&pattern).copied(),
        }
    }

    /// Adds a pattern that it does not have.
    pub(super) fn insert(&mut self, pattern: u32, index: u32) {
        debug_assert_eq!(self.index(pattern), None, "a pattern is subscribed once");
        match self {
            Self::Few(places) if places.len() < FEW_MAX => places.push(Place { pattern, index }),
            Self::Few(places) => {
                let places = places.as_slice().iter();
                let mut indexes: HashMap<_, _> =
                    places.map(|place| (place.pattern, place.index)).collect();
                indexes.insert(pattern, index);
                *self = Self::Many(Box::new(indexes));
            }
            Self::Many(indexes) => _ = indexes.insert(pattern, index),
        }
    }

    /// Notes that the subscriber stands at another index now.
    pub(super) fn relocate(&mut self, pattern: u32, index: u32) {
        match self {
            Self::Few(places) => {
                let mut places = places.as_mut_slice().iter_mut();
                if let Some(place) = places.find(|place| place.pattern == pattern) {
                    place.index = index;
                }
            }
            Self::Many(indexes) => {
                if let Some(place) = indexes.get_mut(&pattern) {
                    *place = index;
                }
            }
        }
    }

    /// Removes a pattern. Says where the subscriber stood.
    pub(super) fn remove(&mut self, pattern: u32) -> Option<u32> {
        match self {
            Self::Few(places) => {
                let mut all = places.as_slice().iter();
                let at = all.position(|place| place.pattern == pattern)?;
                places.swap_remove(at).map(|place| place.index)
            }
            Self::Many(indexes) => {
                let index = indexes.remove(&pattern)?;
                if indexes.len() <= MANY_MIN {
                    self.shorten();
                } else if indexes.len() < indexes.capacity() / 4 {
                    indexes.shrink_to_fit();
                }
                Some(index)
            }
        }
    }

    /// Any of the patterns.
    pub(super) fn any(&self) -> Option<u32> {
        match self {
            Self::Few(places) => places.as_slice().last().map(|place| place.pattern),
            Self::Many(indexes) => indexes.keys().next().copied(),
        }
    }

    fn shorten(&mut self) {
        let Self::Many(indexes) = self else { return };
        let mut places = Tight::new();
        for (&pattern, &index) in indexes.iter() {
            places.push(Place { pattern, index });
        }
        *self = Self::Few(places);
    }

    /// Bytes that it has allocated.
    #[cfg(any(test, feature = "simulation"))]
    pub(super) fn allocated(&self) -> usize {
        match self {
            Self::Few(places) => places.allocated(),
            Self::Many(indexes) => size_of::<HashMap<u32, u32>>() + memory::of_table(indexes),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_a_table(acts in prop::collection::vec((0..60_u32, any::<u32>(), 0..5), 0..300)) {
            let mut own = Own::new();
            let mut table = BTreeMap::new();
            for (pattern, index, act) in acts {
                prop_assert_eq!(own.index(pattern), table.get(&pattern).copied());
                match act {
                    0 => prop_assert_eq!(own.remove(pattern), table.remove(&pattern)),
                    1 => {
                        own.relocate(pattern, index);
                        table.entry(pattern).and_modify(|place| *place = index);
                    }
                    _ => {
                        if table.insert(pattern, index).is_none() {
                            own.insert(pattern, index);
                        } else {
                            own.relocate(pattern, index);
                        }
                    }
                }
                prop_assert_eq!(own.count(), table.len());
                prop_assert!(matches!(own, Own::Few(_)) || table.len() > MANY_MIN);
                prop_assert!(matches!(own, Own::Many(_)) || table.len() <= FEW_MAX);
            }
            while let Some(pattern) = own.any() {
                prop_assert_eq!(own.remove(pattern), table.remove(&pattern));
            }
            prop_assert!(table.is_empty());
            prop_assert_eq!(own.allocated(), 0);
        }
    }
}
