//! What a client is owed, entry by entry, and where what it got stands among it.

use std::collections::HashMap;

use ringwire::{OwnedMessage, SlowConsumer};

use crate::gaps::Notice;
use crate::topics::Name;

/// One message for one client.
#[derive(Debug)]
pub(crate) struct Owed {
    pub(crate) message: OwnedMessage,
    pub(crate) kind: Kind,
    /// How often what is subscribed, or a policy, had changed: nothing replaces what is from before
    /// the last change.
    epoch: usize,
    /// It comes between two fragments of another message, and so it does not come.
    pub(crate) is_interrupting: bool,
}

/// How a message has come to be owed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// `send` has taken it.
    Taken,
    /// It has come by mail, for this client.
    Mailed,
    /// It is a last value, of a snapshot.
    Retained,
    /// A subscription has brought it.
    Posted {
        name: Name,
        /// Of the subscription, if it has one of its own.
        policy: Option<SlowConsumer>,
        /// Whether a newer one may take its place.
        conflates: bool,
    },
}

impl Owed {
    /// What is sent to a connection that is in the midst of a message, or is not.
    pub(crate) const fn new(
        message: OwnedMessage,
        kind: Kind,
        epoch: usize,
        is_interrupting: bool,
    ) -> Self {
        Self { message, kind, epoch, is_interrupting }
    }

    fn name(&self) -> Option<Name> {
        if let Kind::Posted { name, .. } = self.kind { Some(name) } else { None }
    }

    /// What it was published to.
    pub(crate) fn topic(&self) -> Option<&'static str> {
        self.name().map(|(topic, _)| topic)
    }

    /// Whether one of the two may take the other's place.
    fn replaces(&self, other: &Self) -> bool {
        let Kind::Posted { conflates: true, .. } = self.kind else { return false };
        self.kind == other.kind && self.epoch == other.epoch
    }
}

/// A message as it is looked for: no two posts of a run are the same.
type Said<'a> = (bool, &'a [u8]);

fn said(message: &OwnedMessage) -> Said<'_> {
    (matches!(message, OwnedMessage::Text(_)), message.payload().as_bytes())
}

/// For each that was got where it is among what is owed, `None` for a notice of a gap.
///
/// Each has a place of its own, and they are in order. Where posts are conflated the place is that
/// of any older one of the same name which has not been got, up to the post's own.
pub(crate) fn places(got: &[OwnedMessage], owed: &[Owed]) -> Vec<Option<usize>> {
    let mut posts: HashMap<Said<'_>, Vec<usize>> = HashMap::new();
    for (index, owed) in owed.iter().enumerate() {
        if matches!(owed.kind, Kind::Posted { .. } | Kind::Retained) {
            posts.entry(said(&owed.message)).or_default().push(index);
        }
    }
    let mut newest: HashMap<Name, usize> = HashMap::new();
    let mut next = 0;
    let place = |(count, got): (usize, &OwnedMessage)| {
        if Notice::read(got).is_some() {
            return None;
        }
        let found = match posts.get(&said(got)) {
            Some(own) => own.iter().find_map(|&index| {
                // Two posts that are the same to the reader, once as a last value.
                let this = &owed[index];
                let before = this.name().and_then(|name| newest.get(&name));
                let from = before.map_or(next, |before| next.max(before + 1));
                let is_place = |&place: &usize| place == index || this.replaces(&owed[place]);
                (from..=index).find(is_place).map(|place| (place, index))
            }),
            None => {
                let rest = owed.iter().enumerate().skip(next);
                let mut own = rest.filter(|(_, owed)| owed.name().is_none());
                own.find(|(_, owed)| owed.message == *got).map(|(index, _)| (index, index))
            }
        };
        let size = got.payload().as_bytes().len();
        let (place, index) = found.unwrap_or_else(|| {
            let start = &said(got).1[..size.min(40)];
            let start = start.escape_ascii();
            panic!("message {count} of {size} bytes is not owed, or not now: {start}")
        });
        assert!(!owed[index].is_interrupting, "a message within another");
        if let Some(name) = owed[index].name() {
            newest.insert(name, index);
        }
        next = place + 1;
        Some(index)
    };
    got.iter().enumerate().map(place).collect()
}

/// How many are missing that no newer one can have replaced. A post that is owed twice, as an
/// update and as a last value, is not told apart.
pub(crate) fn irreplaceable(got: &[OwnedMessage], owed: &[Owed]) -> usize {
    let mut missing: HashMap<Said<'_>, (usize, usize)> = HashMap::new();
    let mut newer: HashMap<Name, &Owed> = HashMap::new();
    for owed in owed.iter().rev() {
        let (count, replaced) = missing.entry(said(&owed.message)).or_default();
        *count += 1;
        if let Some(name) = owed.name() {
            let newer = newer.insert(name, owed);
            *replaced += usize::from(newer.is_some_and(|newer| newer.replaces(owed)));
        }
    }
    for got in got {
        if let Some((count, _)) = missing.get_mut(&said(got)) {
            *count -= 1;
        }
    }
    missing.values().map(|(count, replaced)| count.saturating_sub(*replaced)).sum()
}

/// How often each message is owed.
pub(crate) fn counts(owed: &[Owed]) -> impl Fn(&OwnedMessage) -> usize {
    let mut counts: HashMap<Said<'_>, usize> = HashMap::new();
    for owed in owed {
        *counts.entry(said(&owed.message)).or_default() += 1;
    }
    move |message| counts.get(&said(message)).copied().unwrap_or_default()
}
