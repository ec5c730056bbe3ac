//! What waits, beside a list that is searched.

use std::time::Duration;

use proptest::prelude::*;
use ringwire_protocol::{Limits, Payload, Prepared, Role};

use super::*;
use crate::gap::GapNotice;
use crate::slow::Overflow;
use crate::timer::Stamp;
use crate::topic::{OwnedTopic, Topic};

const AGE_MAX: u64 = 20;

fn terms(tag: u8, policy: &SlowConsumer, now: u64) -> Terms<'_> {
    let (size_max, flight_size, now) = (usize::MAX, usize::MAX, Time::from_nanos(now));
    Terms { tag, policy: *policy, connection: policy, size_max, flight_size, now }
}

fn drain(backlog: &mut Backlog, now: u64) -> Vec<u8> {
    let (mut sender, mut workspace) =
        (Sender::new(Role::Server), Workspace::new(Limits::default()));
    let mut out = Vec::new();
    while !backlog.is_empty() {
        let end = out.len();
        let mut flight = Outbox::default();
        backlog.refill(&mut sender, &mut workspace, &mut flight, Time::from_nanos(now));
        out.extend_from_slice(flight.filling());
        backlog.invariants();
        assert!(out.len() > end || backlog.is_empty(), "nothing leaves");
    }
    out
}

fn text(text: &str) -> Content {
    Content::copy(Payload::Text(text), true)
}

#[test]
fn what_is_counted_is_what_is_held() {
    let policy = SlowConsumer::default();
    let mut backlog = Backlog::new(policy);
    let mut all = 0;
    for size in [0, 1, 1000] {
        let bytes = vec![7; size];
        for compresses in [true, false] {
            all += ENTRY_SIZE + size;
            let content = Content::copy(Payload::Binary(&bytes), compresses);
            backlog.push(&terms(OWN, &policy, 0), content, None);
            assert_eq!(backlog.size(), all);
            assert_eq!(backlog.lane_size(OWN), all);
            assert_eq!(backlog.lane_size(1), 0);
        }
    }
    for left in (0..6).rev() {
        assert!(backlog.drop_first(OWN));
        backlog.invariants();
        assert_eq!(backlog.is_empty(), left == 0);
    }
    assert_eq!((backlog.size(), backlog.drop_first(OWN)), (0, false));
    assert_eq!(backlog.take_last_untold(), 6);
    assert_eq!(backlog.take_losses(), Losses { bytes: 2002, ..Losses::default() });
}

#[test]
fn a_queue_that_is_empty_holds_nothing() {
    let policy = SlowConsumer::default();
    let mut backlog = Backlog::new(policy);
    for _ in 0..1000 {
        backlog.push(&terms(OWN, &policy, 0), text(""), None);
    }
    assert_eq!((drain(&mut backlog, 0).len(), backlog.size()), (2000, 0));
    assert_eq!((backlog.entries.capacity(), backlog.lanes.capacity()), (0, 0));
}

#[test]
fn the_oldest_of_one_lane_alone_take_no_room_behind_one_of_another() {
    let policy = SlowConsumer { overflow: Overflow::DropOldest, ..SlowConsumer::default() };
    let mut backlog = Backlog::new(policy);
    backlog.push(&terms(OWN, &policy, 0), text("first"), None);
    for _ in 0..10_000 {
        backlog.push(&terms(1, &policy, 0), text("x"), None);
        if backlog.lane_size(1) > 10 * (ENTRY_SIZE + 1) {
            assert!(backlog.drop_first(1));
        }
    }
    assert!(backlog.entries.capacity() <= 16);
    assert_eq!(drain(&mut backlog, 0).len(), 7 + 10 * 3);
}

/// What a naive list keeps of an entry.
#[derive(Clone, Debug)]
enum Kept {
    Message { tag: u8, name: Option<usize>, number: usize, since: u64 },
    Missing { tag: u8, count: u64 },
}

#[derive(Clone, Debug)]
enum Act {
    Push { tag: u8, name: usize },
    Withdraw(usize),
    DropFirst(u8),
    Miss(u8),
    Seal,
    Send,
    Pass(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (0..4_u8, 0..5_usize).prop_map(|(tag, name)| Act::Push { tag, name }),
        1 => (0..4_usize).prop_map(Act::Withdraw),
        3 => (0..4_u8).prop_map(Act::DropFirst),
        2 => (0..4_u8).prop_map(Act::Miss),
        1 => Just(Act::Seal),
        3 => Just(Act::Send),
        2 => (1..AGE_MAX).prop_map(Act::Pass),
    ]
}

/// A queue as a list that is searched, with what has been sent.
#[derive(Default)]
struct List {
    kept: Vec<Kept>,
    sealed: usize,
    now: u64,
    sent: Vec<String>,
}

fn policies() -> [SlowConsumer; 4] {
    let gap_notice = Some(GapNotice::new(|gap| Some(format!("-{}", gap.messages).into())));
    let age_max = Some(Duration::from_nanos(AGE_MAX));
    let newest = SlowConsumer { gap_notice, ..SlowConsumer::default() };
    let oldest = SlowConsumer { overflow: Overflow::DropOldest, age_max, ..newest };
    let silent = SlowConsumer { gap_notice: None, ..oldest };
    let conflate = SlowConsumer { overflow: Overflow::Conflate, ..oldest };
    [newest, oldest, silent, conflate]
}

impl List {
    fn tag_of(kept: &Kept) -> u8 {
        match kept {
            Kept::Message { tag, .. } | Kept::Missing { tag, .. } => *tag,
        }
    }

    fn messages(&self, of: u8) -> impl Iterator<Item = usize> {
        let is_message = move |kept: &Kept| matches!(kept, Kept::Message { tag, .. } if *tag == of);
        (0..self.kept.len()).filter(move |index| is_message(&self.kept[*index]))
    }

    fn tells(tag: u8) -> bool {
        policies()[usize::from(tag)].gap_notice.is_some()
    }

    /// All gaps of the lane from `from` to its next message become one before that.
    fn miss(&mut self, of: u8, from: usize, mut missing: u64) {
        if !Self::tells(of) {
            return;
        }
        let next = self.messages(of).find(|index| *index >= from);
        let mut end = next.unwrap_or(self.kept.len());
        let mut index = from;
        while index < end {
            match self.kept[index] {
                Kept::Missing { tag, count } if tag == of => {
                    missing += count;
                    self.kept.remove(index);
                    end -= 1;
                    self.sealed -= usize::from(index < self.sealed);
                }
                _ => index += 1,
            }
        }
        self.kept.insert(end, Kept::Missing { tag: of, count: missing });
        self.sealed += usize::from(end < self.sealed);
    }

    fn drop_first(&mut self, of: u8) -> bool {
        let Some(first) = self.messages(of).next() else { return false };
        self.kept.remove(first);
        self.sealed -= usize::from(first < self.sealed);
        self.miss(of, 0, 1);
        true
    }

    /// The message that one of this name replaces.
    fn find(&self, tag: u8, name: Option<usize>) -> Option<usize> {
        let replaces = |(index, kept): (usize, &Kept)| {
            let Kept::Message { tag: other, name: known, .. } = kept else { return false };
            index >= self.sealed && tag == 3 && *other == 3 && name.is_some() && *known == name
        };
        self.kept.iter().enumerate().position(replaces)
    }

    fn withdraw(&mut self, name: usize) {
        let Some(index) = self.find(3, Some(name)) else { return };
        let before = self.messages(3).take_while(|other| *other < index).last();
        let from = before.map_or(0, |before| before + 1);
        let is_gap = |kept: &Kept| matches!(kept, Kept::Missing { tag: 3, .. });
        let has_gap = self.kept[from..index].iter().any(is_gap);
        self.kept.remove(index);
        if has_gap {
            self.miss(3, from, 0);
        }
    }

    fn push(&mut self, tag: u8, name: Option<usize>, number: usize) {
        let place = self.find(tag, name);
        let message = Kept::Message { tag, name, number, since: self.now };
        match place {
            Some(index) => self.kept[index] = message,
            None => self.kept.push(message),
        }
    }

    fn send(&mut self) {
        while let Some(first) = self.kept.first().cloned() {
            let of = Self::tag_of(&first);
            let oldest = self.messages(of).next().map(|index| self.kept[index].clone());
            if let Some(Kept::Message { since, .. }) = oldest
                && of > 0
                && since + AGE_MAX < self.now
            {
                self.drop_first(of);
                continue;
            }
            self.kept.remove(0);
            self.sealed = self.sealed.saturating_sub(1);
            self.sent.push(match first {
                Kept::Message { number, .. } => number.to_string(),
                Kept::Missing { count, .. } => format!("-{count}"),
            });
            break;
        }
    }
}

/// The payloads of frames that are all short.
fn payloads(mut frames: &[u8]) -> Vec<String> {
    let mut payloads = Vec::new();
    while let [_, size, rest @ ..] = frames {
        let (payload, rest) = rest.split_at(usize::from(*size));
        payloads.push(String::from_utf8(payload.to_vec()).unwrap());
        frames = rest;
    }
    payloads
}

#[test]
fn few_copies_are_made_of_what_others_have_as_well() {
    let policy = SlowConsumer::default();
    let mut backlog = Backlog::new(policy);
    let (mut sender, mut workspace) =
        (Sender::new(Role::Server), Workspace::new(Limits::default()));
    let mut frame = |size: usize| {
        let bytes = vec![7; size];
        sender.prepared(&mut Prepared::new(&bytes[..]), &mut workspace).unwrap()
    };
    let large = frame(5000);
    for frame in [large.clone(), frame(98), frame(98)] {
        for _ in 0..50 {
            backlog.push(&terms(OWN, &policy, 0), Content::Frame(frame.clone()), None);
        }
    }
    let mut flights = Vec::new();
    while !backlog.is_empty() {
        let mut outbox = Outbox::default();
        backlog.refill(&mut sender, &mut workspace, &mut outbox, Time::ZERO);
        outbox.date(Stamp::of(Time::ZERO));
        flights.push(outbox.take_off());
    }
    assert!(flights[..50].iter().all(|flight| std::ptr::eq(&**flight, &*large)));
    let sizes: Vec<_> = flights[50..].iter().map(|flight| flight.len()).collect();
    assert_eq!(sizes, [4100, 4100, 1800]);
}

proptest! {
    #[test]
    fn does_what_a_list_that_is_searched_does(acts in prop::collection::vec(act(), 0..200)) {
        let policies = policies();
        let names: Vec<Arc<Name>> = ["a", "b", "c", "d"]
            .iter()
            // Two of them have the same hash.
            .zip([1, 2, 2, 3])
            .map(|(key, hash)| {
                let topic = OwnedTopic::from(Topic::new("t").unwrap());
                Arc::new(Name::new(topic, key, hash))
            })
            .collect();
        // Each refill is of one message.
        let own = SlowConsumer { size_max: 1, ..policies[0] };
        let (mut backlog, mut list, mut out) = (Backlog::new(own), List::default(), Vec::new());
        let (mut sender, mut workspace) =
            (Sender::new(Role::Server), Workspace::new(Limits::default()));
        let acts = acts.into_iter().chain(std::iter::repeat_n(Act::Send, 200));
        for (number, act) in acts.enumerate() {
            match act {
                Act::Push { tag, name } => {
                    let terms = terms(tag, &policies[usize::from(tag)], list.now);
                    let (content, known) = (text(&number.to_string()), names.get(name));
                    match known.and_then(|known| backlog.find(tag, known)) {
                        Some((older, _)) => backlog.replace(&terms, older, content),
                        None => backlog.push(&terms, content, known.cloned()),
                    }
                    list.push(tag, known.map(|_| name), number);
                }
                Act::Withdraw(name) => {
                    if let Some((older, _)) = backlog.find(3, &names[name]) {
                        backlog.withdraw(3, older);
                    }
                    list.withdraw(name);
                }
                Act::DropFirst(tag) => {
                    prop_assert_eq!(backlog.drop_first(tag), list.drop_first(tag));
                }
                Act::Miss(tag) => {
                    let terms = terms(tag, &policies[usize::from(tag)], list.now);
                    backlog.refuse(&terms, Missing::one(0, None));
                    let last = list.messages(tag).last();
                    list.miss(tag, last.map_or(0, |last| last + 1), 1);
                }
                Act::Seal => {
                    backlog.seal();
                    list.sealed = list.kept.len();
                }
                Act::Pass(time) => list.now += time,
                Act::Send => {
                    let mut flight = Outbox::default();
                    let now = Time::from_nanos(list.now);
                    backlog.refill(&mut sender, &mut workspace, &mut flight, now);
                    out.extend_from_slice(flight.filling());
                    list.send();
                }
            }
            backlog.invariants();
            prop_assert_eq!(backlog.is_empty(), list.kept.is_empty());
            prop_assert_eq!(payloads(&out), list.sent.clone());
        }
    }
}
