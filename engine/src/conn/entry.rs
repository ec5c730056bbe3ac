//! What stands in the queue of one connection.

use std::sync::Arc;

use crate::conn::chain::{Chain, Place};
use crate::conn::content::Content;
use crate::conn::name::Name;
use crate::gap::Gap;
use crate::timer::Time;
use crate::topic::OwnedTopic;

/// A message that waits, or a place where some are missing.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) thing: Thing,
    /// Since when the message has waited. Of one that was replaced: the newest.
    pub(crate) since: Time,
    /// Where it may be replaced, or is told of when it is missing.
    pub(crate) name: Option<Arc<Name>>,
    /// The messages of the same lane before and after it.
    pub(crate) before: u32,
    pub(crate) after: u32,
    /// Where messages are missing between the one before and this one.
    pub(crate) gap: u32,
    pub(crate) tag: u8,
}

#[derive(Debug)]
pub(crate) enum Thing {
    Message(Content),
    Gap(Box<Missing>),
}

impl Entry {
    /// Adds what is missing at the place of another gap.
    pub(crate) fn add(&mut self, other: &Self) {
        if let (Thing::Gap(missing), Thing::Gap(others)) = (&mut self.thing, &other.thing) {
            missing.add(others);
            self.since = self.since.min(other.since);
        }
    }

    /// Bytes that it takes, so that messages without content are bounded as well.
    pub(crate) fn size(&self) -> usize {
        let name = self.name.as_ref().map_or(0, |name| name.size());
        ENTRY_SIZE + name + self.size_outside()
    }

    /// Bytes of what it holds: of a message, what there is to send.
    pub(crate) fn size_outside(&self) -> usize {
        match &self.thing {
            Thing::Message(content) => content.size(),
            Thing::Gap(_) => size_of::<Missing>(),
        }
    }
}

/// Bytes of the place of an entry.
pub(crate) const ENTRY_SIZE: usize = size_of::<Place<Entry>>();

/// Messages that are missing at one place.
#[derive(Debug)]
pub(crate) struct Missing {
    messages: u64,
    bytes: u64,
    /// `None`: of several, or not of one.
    topic: Option<OwnedTopic>,
}

impl Missing {
    /// One message.
    pub(crate) fn one(size: usize, name: Option<&Arc<Name>>) -> Self {
        Self { messages: 1, bytes: size as u64, topic: name.map(|name| name.topic().clone()) }
    }

    /// Adds what is missing at another place, as if it were the same.
    pub(crate) fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        self.bytes += other.bytes;
        if self.topic != other.topic {
            self.topic = None;
        }
    }

    /// As a peer is told of it.
    pub(crate) fn gap(&self) -> Gap<'_> {
        let topic = self.topic.as_ref().map(OwnedTopic::as_topic);
        Gap { messages: self.messages, bytes: self.bytes, topic }
    }
}

/// All entries of a queue in the order in which they leave, and their bytes.
#[derive(Debug)]
pub(crate) struct Entries {
    chain: Chain<Entry>,
    size: usize,
}

impl Entries {
    pub(crate) const fn new() -> Self {
        Self { chain: Chain::new(), size: 0 }
    }

    /// Bytes of all of them, as they are counted.
    pub(crate) const fn size(&self) -> usize {
        self.size
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.chain.is_empty()
    }

    /// The number of the first, and its lane's.
    pub(crate) fn first(&self) -> Option<(u32, u8)> {
        let number = self.chain.first()?;
        Some((number, self.chain.get(number)?.tag))
    }

    pub(crate) fn get(&self, number: u32) -> Option<&Entry> {
        self.chain.get(number)
    }

    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut Entry> {
        self.chain.get_mut(number)
    }

    /// Adds one before another, or behind all where that is none. Returns its number.
    pub(crate) fn push_before(&mut self, other: u32, entry: Entry) -> u32 {
        self.size += entry.size();
        self.chain.push_before(other, entry)
    }

    /// Takes one out.
    pub(crate) fn remove(&mut self, number: u32) -> Option<Entry> {
        let entry = self.chain.remove(number)?;
        self.size -= entry.size();
        Some(entry)
    }

    /// Puts another thing in the place of one. Says how many bytes the two take.
    pub(crate) fn replace(
        &mut self,
        number: u32,
        thing: Thing,
        since: Time,
    ) -> Option<(usize, usize)> {
        let entry = self.chain.get_mut(number)?;
        let older = entry.size();
        (entry.thing, entry.since) = (thing, since);
        let newer = entry.size();
        self.size = self.size - older + newer;
        Some((older, newer))
    }

    /// All of them with their numbers, in order.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Entry)> {
        self.chain.iter()
    }

    /// Bytes that they have allocated, but for the tables of names.
    #[cfg(feature = "simulation")]
    pub(crate) fn allocated(&self) -> usize {
        let outside = self.iter().map(|(_, entry)| entry.size() - ENTRY_SIZE).sum::<usize>();
        self.chain.capacity() * ENTRY_SIZE + outside
    }

    /// Places that there are, with and without an entry.
    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.chain.capacity()
    }
}
