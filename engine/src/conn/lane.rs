//! What waits for one connection under one policy.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use crate::conn::chain::NONE;
use crate::conn::content::Content;
use crate::conn::entry::{Entries, Entry, Missing, Thing};
use crate::conn::name::{Hashed, Name};
use crate::slow::SlowConsumer;
use crate::timer::Time;

/// The messages of one connection to which one policy applies, in their order among those of
/// others.
///
/// ```text
///   entries    gap │ A │ x │ B │ y │ C │ gap      A, B, C are of this lane
///           first ──▲  └──────▲└──────▲─ last       each gap is known by the message behind it
/// ```
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) tag: u8,
    pub(crate) policy: SlowConsumer,
    /// Bytes of its messages, as they are counted.
    size: usize,
    first: u32,
    last: u32,
    /// Where messages are missing behind the last.
    gap_last: u32,
    /// Where the messages are that a newer one replaces.
    numbers: HashMap<Arc<Name>, u32, BuildHasherDefault<Hashed>>,
}

impl Lane {
    pub(crate) fn new(tag: u8, policy: SlowConsumer) -> Self {
        Self {
            tag,
            policy,
            size: 0,
            first: NONE,
            last: NONE,
            gap_last: NONE,
            numbers: HashMap::default(),
        }
    }

    /// Bytes of its messages.
    pub(crate) const fn size(&self) -> usize {
        self.size
    }

    /// Whether its first message has waited for longer than it may.
    pub(crate) fn is_stale(&self, entries: &Entries, now: Time) -> bool {
        let Some(age_max) = self.policy.age_max else { return false };
        entries.get(self.first).is_some_and(|oldest| oldest.since.after(age_max) < now)
    }

    /// The message that one of this name replaces.
    pub(crate) fn find(&self, name: &Arc<Name>) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// From here on no message that waits is replaced.
    pub(crate) fn seal(&mut self) {
        self.numbers = HashMap::default();
    }

    /// Puts a message behind the others.
    pub(crate) fn push(
        &mut self,
        entries: &mut Entries,
        content: Content,
        name: Option<Arc<Name>>,
        now: Time,
    ) {
        let named = name.clone().filter(|_| self.policy.conflates());
        let (thing, tag) = (Thing::Message(content), self.tag);
        let (before, after) = (self.last, NONE);
        let gap = std::mem::replace(&mut self.gap_last, NONE);
        let entry = Entry { thing, since: now, name, before, after, gap, tag };
        self.size += entry.size();
        let number = entries.push_before(NONE, entry);
        match entries.get_mut(self.last) {
            Some(last) => last.after = number,
            None => self.first = number,
        }
        self.last = number;
        if let Some(name) = named {
            self.numbers.insert(name, number);
        }
    }

    /// Puts a message in the place of an older one.
    pub(crate) fn replace(
        &mut self,
        entries: &mut Entries,
        number: u32,
        content: Content,
        now: Time,
    ) {
        if let Some((older, newer)) = entries.replace(number, Thing::Message(content), now) {
            self.size = self.size - older + newer;
        }
    }

    /// Takes a message out, to send it or in favour of a newer one.
    pub(crate) fn take(&mut self, entries: &mut Entries, number: u32) -> Option<Entry> {
        let entry = entries.remove(number)?;
        self.size -= entry.size();
        match entries.get_mut(entry.before) {
            Some(before) => before.after = entry.after,
            None => self.first = entry.after,
        }
        match entries.get_mut(entry.after) {
            Some(after) => after.before = entry.before,
            None => self.last = entry.before,
        }
        if let Some(name) = &entry.name
            && self.numbers.get(name) == Some(&number)
        {
            self.numbers.remove(name);
        }
        if let Some(gap) = entries.remove(entry.gap) {
            self.miss_before(entries, entry.after, gap);
        }
        Some(entry)
    }

    /// Drops its first message, and returns it. Where the peer is told of gaps, there is one then.
    pub(crate) fn drop_first(&mut self, entries: &mut Entries) -> Option<Entry> {
        let entry = self.take(entries, self.first)?;
        let missing = Missing::one(entry.size_outside(), entry.name.as_ref());
        self.miss(entries, self.first, missing, entry.since);
        Some(entry)
    }

    /// Takes note that a message has not been taken.
    pub(crate) fn refuse(&mut self, entries: &mut Entries, missing: Missing, now: Time) {
        self.miss(entries, NONE, missing, now);
    }

    /// Takes a gap out, to tell of it: it stands before all messages.
    pub(crate) fn take_gap(&mut self, entries: &mut Entries, number: u32) -> Option<Entry> {
        let known = self.gap_before(entries, self.first);
        *known = NONE;
        entries.remove(number)
    }

    fn miss(&mut self, entries: &mut Entries, behind: u32, missing: Missing, since: Time) {
        if self.policy.gap_notice.is_some() {
            let thing = Thing::Gap(Box::new(missing));
            let (before, after, gap) = (NONE, NONE, NONE);
            let gap = Entry { thing, since, name: None, before, after, gap, tag: self.tag };
            self.miss_before(entries, behind, gap);
        }
    }

    /// Messages are missing before one, or behind the last where that is none: what was missing
    /// there already is told together with them.
    fn miss_before(&mut self, entries: &mut Entries, behind: u32, mut gap: Entry) {
        let known = *self.gap_before(entries, behind);
        if let Some(known) = entries.remove(known) {
            gap.add(&known);
        }
        let number = entries.push_before(behind, gap);
        *self.gap_before(entries, behind) = number;
    }

    /// Where the gap before a message is known, or that behind the last.
    fn gap_before<'a>(&'a mut self, entries: &'a mut Entries, number: u32) -> &'a mut u32 {
        match entries.get_mut(number) {
            Some(entry) => &mut entry.gap,
            None => &mut self.gap_last,
        }
    }

    /// What holds between any two calls.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn invariants(&self, entries: &Entries) {
        let (mut size, mut before, mut gap, mut found) = (0, NONE, NONE, 0);
        let own = |(_, entry): &(u32, &Entry)| entry.tag == self.tag;
        for (number, entry) in entries.iter().filter(own) {
            match &entry.thing {
                Thing::Message(_) => {
                    assert_eq!(entry.before, before, "a message is not behind the one before it");
                    let number_before = entries.get(before).map_or(self.first, |it| it.after);
                    assert_eq!(number_before, number, "a message is not found");
                    (size, before) = (size + entry.size(), number);
                    let replaced = entry.name.as_ref().and_then(|name| self.find(name));
                    found += usize::from(replaced == Some(number));
                    assert_eq!(entry.gap, std::mem::replace(&mut gap, NONE), "a gap is lost");
                }
                Thing::Gap(_) => {
                    assert_eq!(gap, NONE, "there are two gaps at one place");
                    gap = number;
                }
            }
        }
        assert_eq!(gap, self.gap_last, "the last gap is lost");
        assert_eq!((size, before), (self.size, self.last), "a lane is out of step");
        assert_eq!(found, self.numbers.len(), "a message is to be replaced that is none");
    }
}
