//! Topics of one thread: who subscribes what, and who is to be told.

use std::hash::Hash;

use super::limits::{SubscribeError, TooManyMatches, TopicLimits};
use super::memory;
use super::name::{Pattern, Topic};
use super::subscriptions::Subscriptions;
use super::trie::Trie;

/// Publish and subscribe among the subscribers of one thread, whatever they are: `S` is what names
/// one, such as a [`ConnectionId`](crate::ConnectionId).
///
/// It knows who is to be told, and sends nothing itself: [`publish`](Self::publish) visits each
/// subscriber once. So a handler has rooms of its own in it, without a lock.
///
/// Who ends must be [removed](Self::remove), or is visited for ever. Subscribing and unsubscribing
/// cost the same however many others there are; a publish costs what it visits, and a search of at
/// most twice [`Pattern::MATCHES_MAX`] steps, usually as many as the topic has tokens.
///
/// ```
/// use ringwire::topic::{Pattern, Topic, TopicLimits, Topics};
///
/// let mut topics = Topics::new(TopicLimits::default());
/// topics.subscribe("ada", Pattern::new("room.*")?)?;
/// topics.subscribe("bob", Pattern::new("room.7")?)?;
/// topics.subscribe("bob", Pattern::new("room.>")?)?;
///
/// let room = Topic::new("room.7")?;
/// assert_eq!(topics.subscriber_count(room)?, 2);
///
/// // Ada says something: all but she are told, and Bob once.
/// let mut told = Vec::new();
/// topics.publish(room, Some("ada"), |who, _tag| told.push(who))?;
/// assert_eq!(told, ["bob"]);
///
/// assert_eq!(topics.remove("bob"), 2);
/// assert_eq!(topics.publish(room, Some("ada"), |_, _| {})?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Topics<S> {
    trie: Trie,
    subscriptions: Subscriptions<S>,
    limits: TopicLimits,
    /// The patterns that the present publish matches: empty but for its memory in between.
    found: Vec<u32>,
}

impl<S> Topics<S> {
    /// Bytes of a subscription at the most.
    pub(crate) const SUBSCRIPTION_SIZE: usize = Subscriptions::<S>::SUBSCRIPTION_SIZE;

    /// Bytes of a subscriber at the most, without its subscriptions.
    pub(crate) const SUBSCRIBER_SIZE: usize = Subscriptions::<S>::SUBSCRIBER_SIZE;

    /// Bytes of a pattern at the most, which shares no token with others and is found by a publish.
    pub(crate) const PATTERN_SIZE: usize = Topic::TOKENS_MAX
        * (Trie::TOKEN_SIZE + Subscriptions::<S>::PATTERN_SIZE)
        + Topic::SIZE_MAX
        + memory::in_list(size_of::<u32>());

    /// Bytes of all its tables while there is little in them.
    pub(crate) const TABLES_SIZE: usize = 4 * memory::TABLE_SIZE_MIN;
}

impl<S: Copy + Eq + Hash> Topics<S> {
    /// No subscriptions yet.
    #[must_use]
    pub fn new(limits: TopicLimits) -> Self {
        Self {
            trie: Trie::default(),
            subscriptions: Subscriptions::new(),
            limits,
            found: Vec::new(),
        }
    }

    /// Subscribes a pattern. Says whether that is new. A topic is subscribed with
    /// `Pattern::from(topic)`.
    ///
    /// # Errors
    /// There are as many subscriptions, or patterns, as there may be.
    pub fn subscribe(
        &mut self,
        subscriber: S,
        pattern: Pattern<'_>,
    ) -> Result<bool, SubscribeError> {
        self.subscribe_tagged(subscriber, pattern, 0)
    }

    /// Subscribes a pattern with a number that [`publish`](Self::publish) hands out again: the form
    /// in which this subscriber wants it, for instance. Says whether that is new; if not, the tag
    /// takes the place of the one before.
    ///
    /// # Errors
    /// There are as many subscriptions, or patterns, as there may be.
    pub fn subscribe_tagged(
        &mut self,
        subscriber: S,
        pattern: Pattern<'_>,
        tag: u8,
    ) -> Result<bool, SubscribeError> {
        let known = self.trie.number(pattern);
        let is_new = known.is_none_or(|number| !self.subscriptions.contains(subscriber, number));
        if is_new && self.subscriptions.count(subscriber) >= self.limits.subscriptions_max {
            return Err(SubscribeError::TooManySubscriptions);
        }
        if known.is_none() && self.trie.pattern_count() >= self.limits.patterns_max {
            return Err(SubscribeError::TooManyPatterns);
        }
        let number = known.unwrap_or_else(|| self.trie.insert(pattern));
        Ok(self.subscriptions.subscribe(subscriber, number, tag))
    }

    /// Takes a subscription back. Says whether there was one. Only the same pattern is taken back:
    /// another that matches the same topics stays.
    pub fn unsubscribe(&mut self, subscriber: S, pattern: Pattern<'_>) -> bool {
        let Some(number) = self.trie.number(pattern) else { return false };
        let was_there = self.subscriptions.unsubscribe(subscriber, number);
        self.release(number);
        was_there
    }

    /// Takes all subscriptions of a subscriber back: it has ended. Says how many there were, which
    /// is what it costs.
    pub fn remove(&mut self, subscriber: S) -> usize {
        let mut count = 0;
        while let Some(number) = self.subscriptions.unsubscribe_any(subscriber) {
            self.release(number);
            count += 1;
        }
        count
    }

    /// Visits each subscriber of a topic once, but for `except`, who is usually the sender. Says
    /// how many that were. In which order is not said.
    ///
    /// The visitor is given the tag of the subscription. Where several patterns of a subscriber
    /// match it is that of the most special: tokens are compared from the left, and one that is
    /// named goes before `*`, which goes before `>`.
    ///
    /// # Errors
    /// The topic matches more patterns than [`TopicLimits::matches_max`]. Nobody has been visited.
    pub fn publish(
        &mut self,
        topic: Topic<'_>,
        except: Option<S>,
        visit: impl FnMut(S, u8),
    ) -> Result<usize, TooManyMatches> {
        self.find(topic)?;
        Ok(self.subscriptions.visit(&self.found, except, visit))
    }

    /// Whether a message to this topic would reach this subscriber.
    ///
    /// # Errors
    /// The topic matches more patterns than [`TopicLimits::matches_max`].
    pub fn is_subscriber(
        &mut self,
        subscriber: S,
        topic: Topic<'_>,
    ) -> Result<bool, TooManyMatches> {
        Ok(self.tag(subscriber, topic)?.is_some())
    }

    /// The tag with which [`publish`](Self::publish) would visit this subscriber, `None` if it
    /// would not.
    ///
    /// # Errors
    /// The topic matches more patterns than [`TopicLimits::matches_max`].
    pub fn tag(&mut self, subscriber: S, topic: Topic<'_>) -> Result<Option<u8>, TooManyMatches> {
        if self.subscriptions.count(subscriber) == 0 {
            return Ok(None);
        }
        self.find(topic)?;
        let mut found = self.found.iter();
        Ok(found.find_map(|number| self.subscriptions.tag(subscriber, *number)))
    }

    /// Notes that a subscriber has been given the last values of a pattern that it has subscribed.
    pub(crate) fn note_last_values(&mut self, subscriber: S, pattern: Pattern<'_>) {
        if let Some(number) = self.trie.number(pattern) {
            self.subscriptions.note_last_values(subscriber, number);
        }
    }

    /// Whether a subscriber has the last values of this topic: was given them for a pattern that it
    /// still subscribes, and has been told of what came since. It costs what a publish costs to
    /// find whom it reaches.
    pub(crate) fn has_last_values(&mut self, subscriber: S, topic: Topic<'_>) -> bool {
        // Where too many patterns match, nobody is told.
        let is_told = self.find(topic).is_ok();
        let mut found = self.found.iter();
        is_told && found.any(|number| self.subscriptions.has_last_values(subscriber, *number))
    }

    /// How many subscribers a message to this topic would reach.
    ///
    /// # Errors
    /// The topic matches more patterns than [`TopicLimits::matches_max`].
    pub fn subscriber_count(&mut self, topic: Topic<'_>) -> Result<usize, TooManyMatches> {
        self.find(topic)?;
        Ok(self.subscriptions.count_distinct(&self.found))
    }

    /// How many have subscribed exactly this pattern.
    #[must_use]
    pub fn pattern_subscriber_count(&self, pattern: Pattern<'_>) -> usize {
        self.trie.number(pattern).map_or(0, |number| self.subscriptions.subscriber_count(number))
    }

    /// How many patterns a subscriber has subscribed.
    #[must_use]
    pub fn subscription_count(&self, subscriber: S) -> usize {
        self.subscriptions.count(subscriber)
    }

    /// How many different patterns have been subscribed.
    #[must_use]
    pub const fn pattern_count(&self) -> usize {
        self.trie.pattern_count()
    }

    /// Bytes that have been allocated.
    #[cfg(feature = "simulation")]
    pub(crate) fn allocated(&self) -> usize {
        let found = self.found.capacity() * size_of::<u32>();
        self.trie.allocated() + self.subscriptions.allocated() + found
    }

    /// Finds the patterns of a topic.
    fn find(&mut self, topic: Topic<'_>) -> Result<(), TooManyMatches> {
        self.found.clear();
        let fits = self.trie.matches(topic, self.limits.matches_max, &mut self.found);
        if fits { Ok(()) } else { Err(TooManyMatches) }
    }

    /// Removes a pattern that nobody subscribes any more.
    fn release(&mut self, number: u32) {
        if self.subscriptions.subscriber_count(number) == 0 {
            self.trie.remove(number);
        }
    }
}

impl<S: Copy + Eq + Hash> Default for Topics<S> {
    fn default() -> Self {
        Self::new(TopicLimits::default())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    const PATTERNS: [&str; 10] = ["a", "a.b", "a.c", "a.*", "*.b", "*", "*.*", ">", "a.>", "a.b.>"];
    const TOPICS: [&str; 7] = ["a", "b", "a.b", "a.c", "b.b", "a.b.c", "c.d.e.f"];

    fn pattern(index: usize) -> Pattern<'static> {
        Pattern::new(PATTERNS[index]).unwrap()
    }

    proptest! {
        #[test]
        fn tells_whom_a_table_would_tell(
            acts in prop::collection::vec((0..8_u8, 0..PATTERNS.len(), 0..8_u8), 0..150),
        ) {
            let limits =
                TopicLimits { subscriptions_max: 5, patterns_max: 8, ..TopicLimits::default() };
            let mut topics = Topics::new(limits);
            let mut table: BTreeMap<u8, BTreeSet<usize>> = BTreeMap::new();
            for (subscriber, index, act) in acts {
                let used: BTreeSet<_> = table.values().flatten().copied().collect();
                let own = table.entry(subscriber).or_default();
                match act {
                    0 => prop_assert_eq!(topics.remove(subscriber), std::mem::take(own).len()),
                    1 | 2 => {
                        let was_there = own.remove(&index);
                        prop_assert_eq!(topics.unsubscribe(subscriber, pattern(index)), was_there);
                    }
                    _ => {
                        let expected = if own.contains(&index) {
                            Ok(false)
                        } else if own.len() == 5 {
                            Err(SubscribeError::TooManySubscriptions)
                        } else if !used.contains(&index) && used.len() == 8 {
                            Err(SubscribeError::TooManyPatterns)
                        } else {
                            Ok(own.insert(index))
                        };
                        prop_assert_eq!(topics.subscribe(subscriber, pattern(index)), expected);
                    }
                }
            }
            let used: BTreeSet<_> = table.values().flatten().copied().collect();
            prop_assert_eq!(topics.pattern_count(), used.len());
            for index in 0..PATTERNS.len() {
                let count = table.values().filter(|own| own.contains(&index)).count();
                prop_assert_eq!(topics.pattern_subscriber_count(pattern(index)), count);
            }
            for name in TOPICS {
                let topic = Topic::new(name).unwrap();
                let is_told = |own: &BTreeSet<usize>| {
                    own.iter().any(|index| pattern(*index).matches(topic))
                };
                let told: Vec<_> =
                    table.iter().filter(|(_, own)| is_told(own)).map(|(who, _)| *who).collect();
                prop_assert_eq!(topics.subscriber_count(topic), Ok(told.len()));
                let mut visited = Vec::new();
                topics.publish(topic, Some(3), |who, _| visited.push(who)).unwrap();
                for who in 0..8 {
                    let tag = told.contains(&who).then_some(0);
                    prop_assert_eq!(topics.tag(who, topic), Ok(tag));
                }
                visited.sort_unstable();
                prop_assert!(told.into_iter().filter(|who| *who != 3).eq(visited));
            }
        }
    }

    #[test]
    fn the_tag_of_the_most_special_pattern_is_handed_out() {
        let mut topics = Topics::default();
        let names = [">", "a.>", "*.b", "a.*", "a.b"];
        for (tag, name) in (1..).zip(names) {
            topics.subscribe_tagged((), Pattern::new(name).unwrap(), tag).unwrap();
            let mut tags = Vec::new();
            topics.publish(Topic::new("a.b").unwrap(), None, |(), tag| tags.push(tag)).unwrap();
            assert_eq!(topics.tag((), Topic::new("a.b").unwrap()), Ok(tags.first().copied()));
            // `*.b` differs from `a.>` in its first token.
            assert_eq!(tags, [if tag == 3 { 2 } else { tag }], "{name}");
        }
        assert_eq!(topics.subscribe_tagged((), Pattern::new("a.b").unwrap(), 9), Ok(false));
        let mut tags = Vec::new();
        topics.publish(Topic::new("a.b").unwrap(), None, |(), tag| tags.push(tag)).unwrap();
        assert_eq!(tags, [9]);
    }

    #[test]
    fn nobody_is_visited_where_too_many_patterns_match() {
        let mut topics = Topics::new(TopicLimits { matches_max: 2, ..TopicLimits::default() });
        let topic = Topic::new("a.b").unwrap();
        for (name, expected) in [("a.*", Ok(1)), (">", Ok(1)), ("*.b", Err(TooManyMatches))] {
            topics.subscribe(7, Pattern::new(name).unwrap()).unwrap();
            let mut count = 0;
            assert_eq!(topics.publish(topic, None, |_, _| count += 1), expected);
            assert_eq!(count, expected.unwrap_or(0));
            assert_eq!(topics.subscriber_count(topic), expected);
        }
    }
}
