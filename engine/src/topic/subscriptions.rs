//! Who has subscribed what.
//!
//! ```text
//!   pattern 3 ──▶ │ 0 │ 7 │ 2 │ ...      subscribers by number: read in one sweep
//!                       │
//!   subscriber 7 ──▶ its identity, and its own places: (3, index 1), (9, index 4), ...
//! ```
//!
//! The two point at each other, so that either end of a subscription finds the other without a
//! search: subscribing and unsubscribing cost the same with one subscriber and with a hundred
//! thousand, and a subscriber that ends costs what it had subscribed.

use std::collections::HashMap;
use std::hash::Hash;

use super::memory;
use super::own::Own;
use super::tight::Tight;
use super::tokens::number_of;

/// The subscriptions of many subscribers to patterns, which are known by number here.
///
/// A subscription takes 8 bytes in the list of its pattern and 8 to 20 with its subscriber, and
/// what the two keep to spare: 32 bytes at most while there are more and more of them. A subscriber
/// takes some 100 bytes besides while it has any. The table of subscribers keeps the size of the
/// most there were until the last one goes.
#[derive(Debug)]
pub(super) struct Subscriptions<S> {
    /// By number of the pattern; empty where nobody has subscribed it.
    lists: Vec<Tight<Entry>>,
    /// The number of each subscriber.
    numbers: HashMap<S, u32>,
    /// Who it is, by number. Read for each visit, so nothing else stands between.
    identities: Vec<S>,
    /// The last publish that has visited it, by number.
    stamps: Vec<u32>,
    /// What it has subscribed, by number; nothing where the number is free.
    own: Vec<Own>,
    free: Vec<u32>,
    /// The present publish.
    stamp: u32,
}

/// A subscriber in the list of a pattern.
#[derive(Clone, Copy, Debug)]
struct Entry {
    subscriber: u32,
    tag: u8,
    /// Whether it has been given the last values, and everything since.
    has_last_values: bool,
}

const _: () = assert!(size_of::<Entry>() == 8);

impl<S> Subscriptions<S> {
    /// Bytes of a subscription at the most, at both its ends.
    pub(super) const SUBSCRIPTION_SIZE: usize = memory::in_list(size_of::<Entry>()) + Own::SIZE_MAX;

    /// Bytes of a subscriber at the most, without its subscriptions.
    pub(super) const SUBSCRIBER_SIZE: usize = memory::in_list(size_of::<S>())
        + memory::in_list(size_of::<Own>())
        + 2 * memory::in_list(size_of::<u32>())
        + memory::in_table(size_of::<(S, u32)>())
        + Own::MANY_SIZE;

    /// Bytes of a pattern at the most: those of its list.
    pub(super) const PATTERN_SIZE: usize = memory::in_list(size_of::<Tight<Entry>>());
}

impl<S: Copy + Eq + Hash> Subscriptions<S> {
    pub(super) fn new() -> Self {
        Self {
            lists: Vec::new(),
            numbers: HashMap::new(),
            identities: Vec::new(),
            stamps: Vec::new(),
            own: Vec::new(),
            free: Vec::new(),
            stamp: 0,
        }
    }

    /// How many have subscribed exactly this pattern.
    pub(super) fn subscriber_count(&self, pattern: u32) -> usize {
        self.lists.get(pattern as usize).map_or(0, Tight::len)
    }

    /// How many patterns it has subscribed.
    pub(super) fn count(&self, subscriber: S) -> usize {
        let number = self.numbers.get(&subscriber);
        number.and_then(|&number| self.own.get(number as usize)).map_or(0, Own::count)
    }

    /// Whether it has subscribed this pattern.
    pub(super) fn contains(&self, subscriber: S, pattern: u32) -> bool {
        self.tag(subscriber, pattern).is_some()
    }

    /// The tag with which it has subscribed this pattern.
    pub(super) fn tag(&self, subscriber: S, pattern: u32) -> Option<u8> {
        let (list, index) = self.place(subscriber, pattern)?;
        self.lists.get(list)?.as_slice().get(index).map(|entry| entry.tag)
    }

    /// Whether it has the last values of this pattern, which it has subscribed.
    pub(super) fn has_last_values(&self, subscriber: S, pattern: u32) -> bool {
        let place = self.place(subscriber, pattern);
        let entry = place.and_then(|(list, index)| self.lists.get(list)?.as_slice().get(index));
        entry.is_some_and(|entry| entry.has_last_values)
    }

    /// Notes that it has been given the last values of a pattern that it has subscribed.
    pub(super) fn note_last_values(&mut self, subscriber: S, pattern: u32) {
        let Some((list, index)) = self.place(subscriber, pattern) else { return };
        let list = self.lists.get_mut(list).map(Tight::as_mut_slice);
        if let Some(entry) = list.and_then(|list| list.get_mut(index)) {
            entry.has_last_values = true;
        }
    }

    /// The list of a pattern that it has subscribed, and where it stands in that.
    fn place(&self, subscriber: S, pattern: u32) -> Option<(usize, usize)> {
        let number = self.numbers.get(&subscriber)?;
        let index = self.own.get(*number as usize)?.index(pattern)?;
        Some((pattern as usize, index as usize))
    }

    /// Subscribes a pattern. Says whether that is new; if not, only the tag changes.
    pub(super) fn subscribe(&mut self, subscriber: S, pattern: u32, tag: u8) -> bool {
        let number = self.number(subscriber);
        if self.lists.len() <= pattern as usize {
            self.lists.resize_with(pattern as usize + 1, Tight::new);
        }
        let (Some(list), Some(own)) =
            (self.lists.get_mut(pattern as usize), self.own.get_mut(number as usize))
        else {
            return false;
        };
        if let Some(index) = own.index(pattern) {
            if let Some(entry) = list.as_mut_slice().get_mut(index as usize) {
                entry.tag = tag;
            }
            return false;
        }
        own.insert(pattern, number_of(list.len()));
        list.push(Entry { subscriber: number, tag, has_last_values: false });
        true
    }

    /// Takes a subscription back. Says whether there was one.
    pub(super) fn unsubscribe(&mut self, subscriber: S, pattern: u32) -> bool {
        let Some(&number) = self.numbers.get(&subscriber) else { return false };
        let was_there = self.withdraw(number, pattern);
        if self.own.get(number as usize).is_some_and(|own| own.count() == 0) {
            self.free(subscriber, number);
        }
        was_there
    }

    /// Takes back any one subscription. Says of which pattern, `None` when there is none left.
    pub(super) fn unsubscribe_any(&mut self, subscriber: S) -> Option<u32> {
        let number = *self.numbers.get(&subscriber)?;
        let pattern = self.own.get(number as usize)?.any()?;
        self.unsubscribe(subscriber, pattern);
        Some(pattern)
    }

    /// Visits each subscriber of these patterns but one, once, with the tag of its subscription to
    /// the first of them. Returns how many it were.
    pub(super) fn visit(
        &mut self,
        patterns: &[u32],
        except: Option<S>,
        mut visit: impl FnMut(S, u8),
    ) -> usize {
        let except = except.and_then(|except| self.numbers.get(&except).copied());
        let mut count = 0;
        // One pattern names nobody twice, and is what most topics match.
        let is_single = patterns.len() == 1;
        self.begin();
        for &pattern in patterns {
            let Some(list) = self.lists.get(pattern as usize) else { continue };
            for entry in list.as_slice() {
                if Some(entry.subscriber) == except {
                    continue;
                }
                let number = entry.subscriber as usize;
                if !is_single && !is_first(&mut self.stamps, number, self.stamp) {
                    continue;
                }
                if let Some(&identity) = self.identities.get(number) {
                    visit(identity, entry.tag);
                    count += 1;
                }
            }
        }
        count
    }

    /// How many a visit would visit.
    pub(super) fn count_distinct(&mut self, patterns: &[u32]) -> usize {
        match patterns {
            [] => 0,
            [pattern] => self.subscriber_count(*pattern),
            _ => self.visit(patterns, None, |_, _| {}),
        }
    }

    /// Begins a publish that no stamp knows.
    fn begin(&mut self) {
        self.stamp = self.stamp.wrapping_add(1);
        if self.stamp == 0 {
            self.stamps.fill(0);
            self.stamp = 1;
        }
    }

    /// The number of a subscriber, which is given one unless it has one.
    fn number(&mut self, subscriber: S) -> u32 {
        if let Some(&number) = self.numbers.get(&subscriber) {
            return number;
        }
        let number = self.free.pop().unwrap_or_else(|| number_of(self.identities.len()));
        match self.identities.get_mut(number as usize) {
            Some(identity) => *identity = subscriber,
            None => {
                self.identities.push(subscriber);
                self.stamps.push(0);
                self.own.push(Own::new());
            }
        }
        self.numbers.insert(subscriber, number);
        number
    }

    fn free(&mut self, subscriber: S, number: u32) {
        self.numbers.remove(&subscriber);
        self.free.push(number);
        if self.numbers.is_empty() {
            *self = Self::new();
        }
    }

    /// Removes one subscription from both its ends.
    fn withdraw(&mut self, number: u32, pattern: u32) -> bool {
        let own = self.own.get_mut(number as usize);
        let Some(index) = own.and_then(|own| own.remove(pattern)) else { return false };
        let Some(list) = self.lists.get_mut(pattern as usize) else { return false };
        list.swap_remove(index as usize);
        // The last of the list stands there now, unless it was the last itself.
        if let Some(moved) = list.as_slice().get(index as usize)
            && let Some(own) = self.own.get_mut(moved.subscriber as usize)
        {
            own.relocate(pattern, index);
        }
        true
    }

    /// Bytes that have been allocated.
    #[cfg(feature = "simulation")]
    pub(super) fn allocated(&self) -> usize {
        let lists = self.lists.capacity() * size_of::<Tight<Entry>>();
        let subscribers = self.identities.capacity() * size_of::<S>()
            + (self.stamps.capacity() + self.free.capacity()) * size_of::<u32>()
            + self.own.capacity() * size_of::<Own>();
        lists + subscribers + memory::of_table(&self.numbers) + self.allocated_each()
    }

    /// That each end of every subscription finds the other.
    #[cfg(test)]
    fn invariants(&self) {
        let mut count = 0;
        for (pattern, list) in (0..).zip(&self.lists) {
            for (index, entry) in (0..).zip(list.as_slice()) {
                assert_eq!(self.own[entry.subscriber as usize].index(pattern), Some(index));
                count += 1;
            }
        }
        assert_eq!(self.own.iter().map(Own::count).sum::<usize>(), count);
        assert_eq!(self.numbers.len() + self.free.len(), self.identities.len());
    }

    /// Bytes of all subscriptions, without the table of subscribers and that of patterns.
    #[cfg(any(test, feature = "simulation"))]
    fn allocated_each(&self) -> usize {
        let own = self.own.iter().map(Own::allocated).sum::<usize>();
        own + self.lists.iter().map(Tight::allocated).sum::<usize>()
    }
}

/// Whether this publish has not visited the subscriber yet. It has now.
fn is_first(stamps: &mut [u32], number: usize, stamp: u32) -> bool {
    stamps.get_mut(number).is_some_and(|last| std::mem::replace(last, stamp) != stamp)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Act {
        Subscribe(u16, u32, u8),
        Note(u16, u32),
        Unsubscribe(u16, u32),
        End(u16),
        Visit(BTreeSet<u32>, Option<u16>),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            6 => (0..12_u16, 0..50_u32, any::<u8>()).prop_map(|(s, p, t)| Act::Subscribe(s, p, t)),
            2 => (0..12_u16, 0..50_u32).prop_map(|(s, p)| Act::Note(s, p)),
            2 => (0..12_u16, 0..50_u32).prop_map(|(s, p)| Act::Unsubscribe(s, p)),
            1 => (0..12_u16).prop_map(Act::End),
            2 => (prop::collection::btree_set(0..50_u32, 0..6), prop::option::of(0..12_u16))
                .prop_map(|(patterns, except)| Act::Visit(patterns, except)),
        ]
    }

    proptest! {
        #[test]
        fn is_a_set_of_pairs(acts in prop::collection::vec(act(), 0..400)) {
            let mut subscriptions = Subscriptions::new();
            let mut table: BTreeMap<(u32, u16), u8> = BTreeMap::new();
            let mut noted = BTreeSet::new();
            for act in acts {
                match act {
                    Act::Subscribe(subscriber, pattern, tag) => {
                        let is_new = table.insert((pattern, subscriber), tag).is_none();
                        prop_assert_eq!(subscriptions.contains(subscriber, pattern), !is_new);
                        prop_assert_eq!(subscriptions.subscribe(subscriber, pattern, tag), is_new);
                    }
                    Act::Note(subscriber, pattern) => {
                        subscriptions.note_last_values(subscriber, pattern);
                        if table.contains_key(&(pattern, subscriber)) {
                            noted.insert((pattern, subscriber));
                        }
                    }
                    Act::Unsubscribe(subscriber, pattern) => {
                        let was_there = table.remove(&(pattern, subscriber)).is_some();
                        prop_assert_eq!(subscriptions.unsubscribe(subscriber, pattern), was_there);
                    }
                    Act::End(subscriber) => {
                        while let Some(pattern) = subscriptions.unsubscribe_any(subscriber) {
                            prop_assert!(table.remove(&(pattern, subscriber)).is_some());
                        }
                        prop_assert!(table.keys().all(|(_, other)| *other != subscriber));
                    }
                    Act::Visit(patterns, except) => {
                        let mut expected = BTreeMap::new();
                        for (&(pattern, subscriber), &tag) in &table {
                            if patterns.contains(&pattern) {
                                expected.entry(subscriber).or_insert(tag);
                            }
                        }
                        let patterns: Vec<_> = patterns.into_iter().collect();
                        prop_assert_eq!(subscriptions.count_distinct(&patterns), expected.len());
                        if let Some(except) = except {
                            expected.remove(&except);
                        }
                        let mut visited = Vec::new();
                        let visit = |subscriber, tag| visited.push((subscriber, tag));
                        let count = subscriptions.visit(&patterns, except, visit);
                        visited.sort_unstable();
                        prop_assert_eq!(count, visited.len());
                        prop_assert!(expected.into_iter().eq(visited));
                    }
                }
                subscriptions.invariants();
                noted.retain(|at| table.contains_key(at));
            }
            for (pattern, subscriber) in (0..50).flat_map(|p| (0..12).map(move |s| (p, s))) {
                let has_them = subscriptions.has_last_values(subscriber, pattern);
                prop_assert_eq!(has_them, noted.contains(&(pattern, subscriber)));
            }
            for subscriber in 0..12 {
                let count = table.keys().filter(|(_, other)| *other == subscriber).count();
                prop_assert_eq!(subscriptions.count(subscriber), count);
            }
        }
    }

    #[test]
    fn stamps_come_round() {
        let mut subscriptions = Subscriptions::new();
        for pattern in [1, 2] {
            subscriptions.subscribe('a', pattern, 0);
        }
        assert_eq!(subscriptions.visit(&[1, 2], None, |_, _| {}), 1);
        // The stamp that the first publish has left is given again.
        subscriptions.stamp = u32::MAX;
        assert_eq!(subscriptions.visit(&[1, 2], None, |_, _| {}), 1);
        assert_eq!(subscriptions.stamps, [1]);
    }

    #[test]
    fn a_subscription_takes_at_most_32_bytes() {
        // Many subscribers with few subscriptions each, few with many, and what lies between.
        for (subscribers, patterns) in [(10_000, 1), (5000, 3), (1000, 32), (500, 33), (200, 57)] {
            let mut subscriptions = Subscriptions::new();
            for subscriber in 0..subscribers {
                for pattern in 0..patterns {
                    assert!(subscriptions.subscribe(subscriber, pattern, 0));
                }
            }
            let count = (subscribers * patterns) as usize;
            let each = subscriptions.allocated_each().div_ceil(count);
            assert!(each <= 32, "{each} bytes of {patterns} patterns");
        }
    }

    #[test]
    fn memory_comes_back_with_the_last_subscriber() {
        let mut subscriptions = Subscriptions::new();
        for subscriber in 0..1000 {
            subscriptions.subscribe(subscriber, subscriber % 7, 0);
        }
        for subscriber in 0..1000 {
            assert!(subscriptions.unsubscribe_any(subscriber).is_some());
        }
        assert_eq!(subscriptions.numbers.capacity() + subscriptions.identities.capacity(), 0);
        assert_eq!(subscriptions.lists.capacity(), 0);
    }
}
