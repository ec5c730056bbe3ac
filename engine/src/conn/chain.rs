//! Things in the order in which they came, from which any can be taken out.
//!
//! ```text
//!   places   │ c │   │ a │ b │      each with the numbers of the places before and after it
//!   order      a ─▶ b ─▶ c
//! ```
//!
//! Adding and taking out cost the same wherever it is, and what has been taken out leaves its place
//! to another: a queue of which only the oldest stays holds no more places than things.

/// No place.
pub(crate) const NONE: u32 = u32::MAX;

/// A queue of things that are known by number as long as they are in it.
#[derive(Debug)]
pub(crate) struct Chain<T> {
    places: Vec<Place<T>>,
    /// The first place without a thing. `after` leads to the next one.
    free: u32,
    first: u32,
    last: u32,
}

#[derive(Debug)]
pub(crate) struct Place<T> {
    before: u32,
    after: u32,
    thing: Option<T>,
}

impl<T> Chain<T> {
    pub(crate) const fn new() -> Self {
        Self { places: Vec::new(), free: NONE, first: NONE, last: NONE }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.first == NONE
    }

    /// The number of the thing that came first.
    pub(crate) fn first(&self) -> Option<u32> {
        (self.first != NONE).then_some(self.first)
    }

    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        self.places.get(number as usize)?.thing.as_ref()
    }

    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        self.places.get_mut(number as usize)?.thing.as_mut()
    }

    /// Adds a thing before another, or behind all where that is [`NONE`]. Returns its number.
    pub(crate) fn push_before(&mut self, after: u32, thing: T) -> u32 {
        let before = self.places.get(after as usize).map_or(self.last, |after| after.before);
        let place = Place { before, after, thing: Some(thing) };
        let number = match self.places.get_mut(self.free as usize) {
            Some(free) => {
                let number = self.free;
                self.free = free.after;
                *free = place;
                number
            }
            None => {
                debug_assert!(self.places.len() < NONE as usize, "a queue of 2^32 messages");
                self.places.push(place);
                u32::try_from(self.places.len() - 1).unwrap_or(NONE)
            }
        };
        self.set_after(before, number);
        self.set_before(after, number);
        number
    }

    /// Takes a thing out.
    pub(crate) fn remove(&mut self, number: u32) -> Option<T> {
        let place = self.places.get_mut(number as usize)?;
        let thing = place.thing.take()?;
        let (before, after) = (place.before, place.after);
        place.after = self.free;
        self.free = number;
        self.set_after(before, after);
        self.set_before(after, before);
        Some(thing)
    }

    /// What comes after a place, or first.
    fn set_after(&mut self, number: u32, after: u32) {
        match self.places.get_mut(number as usize) {
            Some(place) => place.after = after,
            None => self.first = after,
        }
    }

    /// What comes before a place, or last.
    fn set_before(&mut self, number: u32, before: u32) {
        match self.places.get_mut(number as usize) {
            Some(place) => place.before = before,
            None => self.last = before,
        }
    }

    /// All things with their numbers, in order.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let next = |number: &u32| self.places.get(*number as usize).map(|place| place.after);
        std::iter::successors(Some(self.first), next)
            .map_while(|number| Some((number, self.get(number)?)))
    }

    /// Places that there are, with and without a thing.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) const fn capacity(&self) -> usize {
        self.places.capacity()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keeps_what_a_list_keeps(acts in prop::collection::vec(any::<(bool, usize)>(), 0..300)) {
            let (mut chain, mut list) = (Chain::new(), Vec::new());
            let mut count_max = 0;
            for (thing, (adds, at)) in acts.into_iter().enumerate() {
                if adds || list.is_empty() {
                    let at = at % (list.len() + 1);
                    let before = list.get(at).map_or(NONE, |(number, _)| *number);
                    list.insert(at, (chain.push_before(before, thing), thing));
                } else {
                    let (number, expected) = list.remove(at % list.len());
                    prop_assert_eq!(chain.remove(number), Some(expected));
                    prop_assert_eq!(chain.get(number), None);
                    prop_assert_eq!(chain.remove(number), None);
                }
                count_max = list.len().max(count_max);
                prop_assert!(chain.iter().eq(list.iter().map(|(number, thing)| (*number, thing))));
                prop_assert_eq!(chain.first(), list.first().map(|(number, _)| *number));
                prop_assert_eq!(chain.is_empty(), list.is_empty());
                prop_assert!(list.iter().all(|(number, thing)| chain.get(*number) == Some(thing)));
            }
            prop_assert_eq!(chain.places.len(), count_max);
        }
    }
}
