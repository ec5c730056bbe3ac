//! What peers are told of gaps, compared with what is missing.

use std::collections::BTreeSet;

use ringwire::{Gap, GapNotice, OwnedMessage};

use crate::owed::{Kind, Owed, counts};

/// The notice of a gap, as a client reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// Which of [`NOTICES`] has made it.
    lane: usize,
    messages: usize,
    topic: Option<String>,
}

/// One for each policy that subscriptions of a run have, so that one can be told from another.
pub(crate) const NOTICES: [GapNotice; 4] = [
    GapNotice::new(tell::<0>),
    GapNotice::new(tell::<1>),
    GapNotice::new(tell::<2>),
    GapNotice::new(tell::<3>),
];

fn tell<const LANE: usize>(gap: &Gap<'_>) -> Option<OwnedMessage> {
    let topic = gap.topic.map_or("", |topic| topic.as_str());
    Some(format!("gap {LANE} {} {topic}", gap.messages).into())
}

impl Notice {
    /// What a message says of a gap, if that is what it is.
    pub(crate) fn read(message: &OwnedMessage) -> Option<Self> {
        let OwnedMessage::Text(text) = message else { return None };
        let mut words = text.strip_prefix("gap ")?.split(' ');
        let mut number = || words.next()?.parse().ok();
        let (lane, messages) = (number()?, number()?);
        let topic = words.next().filter(|topic| !topic.is_empty()).map(str::to_owned);
        Some(Self { lane, messages, topic })
    }
}

/// Which notice tells of an owed message if that is missing, and whether others replace it.
fn lane(owed: &Owed) -> Option<(usize, bool)> {
    let Kind::Posted { policy: Some(policy), conflates, .. } = owed.kind else { return None };
    let notice = policy.gap_notice?;
    NOTICES.iter().position(|other| *other == notice).map(|lane| (lane, conflates))
}

/// Each gap is told of once, where it is, with the number of messages that are missing there and
/// their topic. `places`: where what was got is among what is owed. `is_all`: nothing waits.
pub(crate) fn check_gaps(
    got: &[OwnedMessage],
    owed: &[Owed],
    places: &[Option<usize>],
    is_all: bool,
) {
    let count = counts(owed);
    for number in 0..NOTICES.len() {
        let own: Vec<usize> = (0..owed.len())
            .filter(|at| lane(&owed[*at]).is_some_and(|it| it.0 == number))
            .collect();
        let mut told = Vec::new();
        let mut from = 0;
        // Where one is owed twice it is not known which of the two has come.
        let missing = |from: usize, until: usize| {
            let between = own.iter().filter(|at| (from..until).contains(*at)).map(|at| &owed[*at]);
            let between: Vec<&Owed> = between.filter(|owed| !owed.is_interrupting).collect();
            let is_clear = between.iter().all(|owed| count(&owed.message) == 1);
            (between, is_clear)
        };
        if own.iter().any(|at| lane(&owed[*at]).is_some_and(|it| it.1)) {
            check_conflated(number, got, own.len());
            continue;
        }
        for (message, place) in got.iter().zip(places) {
            match place {
                None => told.extend(Notice::read(message).filter(|it| it.lane == number)),
                // It may be the last value of that name, and then the gap goes on behind its place.
                Some(place) if own.contains(place) && count(message) > 1 => {}
                Some(place) if own.contains(place) => {
                    let (between, is_clear) = missing(from, *place);
                    if is_clear {
                        check_told(&told, &between);
                    }
                    told.clear();
                    from = place + 1;
                }
                Some(_) => {}
            }
        }
        let (between, is_clear) = missing(from, owed.len());
        if is_clear && is_all {
            check_told(&told, &between);
        } else {
            let told = told.iter().map(|notice| notice.messages).sum::<usize>();
            assert!(told <= between.len() || !is_clear, "{told} are said to be missing");
        }
    }
}

/// Where newer posts replace older ones a gap tells of what was dropped and not replaced: less than
/// all that did not come.
fn check_conflated(number: usize, got: &[OwnedMessage], owed: usize) {
    let told = got.iter().filter_map(Notice::read).filter(|it| it.lane == number);
    let told = told.inspect(|notice| assert!(notice.messages > 0)).map(|it| it.messages);
    let told = told.sum::<usize>();
    assert!(told <= owed, "{told} of {owed} are said to be missing");
}

/// What is told of missing messages agrees with them. What is dropped when a notice has left stands
/// in another one.
fn check_told(told: &[Notice], mut missing: &[&Owed]) {
    for Notice { messages, topic, .. } in told {
        assert!((1..=missing.len()).contains(messages), "{told:?}, missing: {}", missing.len());
        let (these, rest) = missing.split_at(*messages);
        let topics: BTreeSet<&str> = these.iter().filter_map(|owed| owed.topic()).collect();
        let only = topics.first().filter(|_| topics.len() == 1);
        assert_eq!(topic.as_deref(), only.copied(), "the topic of a gap of {topics:?}");
        missing = rest;
    }
    assert!(missing.is_empty(), "{told:?}, and {} are missing besides", missing.len());
}
