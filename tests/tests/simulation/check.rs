//! What the engine owes to a client and to the handler, compared with what they have had.

use ringwire::simulation::Simulation;

use crate::books::Books;
use crate::client::Client;
use crate::gaps::{Notice, check_gaps};
use crate::ledger::{Ledger, Totals};
use crate::owed::{Kind, irreplaceable, places};
use crate::topics::Counts;

/// Compares both ends of a connection, at any time. `is_all`: nothing waits.
pub(crate) fn check(client: &Client, ledger: &Ledger, is_all: bool) {
    assert!(client.sent.starts_with(&ledger.received), "the handler was given something else");
    // Each message once, in the order in which it was sent, whoever has sent it.
    let places = places(&client.got, &ledger.owed);
    check_gaps(&client.got, &ledger.owed, &places, is_all);
    // What came by mail may not have been taken, and nobody was told.
    let is_taken = |place: &usize| ledger.owed[*place].kind == Kind::Taken;
    let taken: Vec<usize> = places.into_iter().flatten().filter(is_taken).collect();
    let last = taken.last().map_or(0, |last| last + 1);
    let gaps = wide((0..last).filter(is_taken).count() - taken.len());
    assert!(gaps <= ledger.dropped, "{gaps} messages are missing, {} reported", ledger.dropped);
    if client.closed.is_some() {
        // All that was taken stands before the close frame.
        let Missing { all, taken, .. } = missing(client, ledger);
        assert!(taken <= ledger.dropped, "lost before the close frame");
        assert!(all >= ledger.dropped, "dropped, and sent all the same");
    }
}

/// A connection has been closed: it has come to one end, and a known one.
pub(crate) fn check_end(client: &Client, ledger: &Ledger) {
    check(client, ledger, false);
    assert_eq!(ledger.opened, ledger.closed.is_some(), "opened and not closed");
    if client.status == Some(101) {
        // One that comes from another server may find no place.
        let codes = [None, Some(Some(1013)), Some(Some(1001))];
        let is_turned_away = client.is_guest && codes.contains(&client.closed);
        assert!(ledger.opened || is_turned_away, "answered and not opened");
    }
    if client.stays {
        assert_eq!(ledger.closed, Some(("stopped", "")), "ended otherwise");
        assert!(client.closed == Some(Some(1001)) && ledger.clean, "not told of the stop");
    }
    if ledger.clean {
        let (kind, _) = ledger.closed.unwrap();
        let kinds = ["peer_closed", "handler_closed", "policy", "time_out", "stopped"];
        assert!(kinds.contains(&kind), "{kind} is no clean end");
    }
}

/// Messages that have not come.
pub(crate) struct Missing {
    /// Of all.
    pub(crate) all: u64,
    /// Of those that `send` has taken.
    pub(crate) taken: u64,
    /// Of those that no newer one can have replaced.
    pub(crate) irreplaceable: u64,
}

/// What has been sent and has not come.
pub(crate) fn missing(client: &Client, ledger: &Ledger) -> Missing {
    let places = places(&client.got, &ledger.owed);
    let got: Vec<usize> = places.into_iter().flatten().collect();
    let taken = got.iter().filter(|place| ledger.owed[**place].kind == Kind::Taken).count();
    Missing {
        all: wide(ledger.owed.len() - got.len()),
        taken: ledger.taken - wide(taken),
        irreplaceable: wide(irreplaceable(&client.got, &ledger.owed)),
    }
}

/// Notices of gaps that have come.
pub(crate) fn notices(client: &Client) -> u64 {
    wide(client.got.iter().filter_map(Notice::read).count())
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap()
}

/// Every connection and every message is counted in one place at any time.
pub(crate) fn check_stats(simulation: &mut Simulation<Books>) {
    let stats = simulation.stats();
    let (opening, open) = simulation.census();
    assert_eq!((stats.opening(), stats.open()), (opening, open), "{stats:?}");
    let over = stats.refused.total() + stats.unanswered.total();
    assert_eq!(stats.accepted, opening + over + stats.opened);
    assert_eq!(stats.opened, open + stats.ended.total() + stats.released);
    let patterns = simulation.patterns();
    let Books { totals, topics, deferrals, .. } = simulation.handler();
    let put_off = deferrals.counts.put_off;
    topics.check();
    assert_eq!(patterns, topics.pattern_count(), "what is subscribed");
    let Counts { publications, deliveries, mails, retained_refused } = topics.counts;
    assert_eq!(stats.retained_refused, retained_refused, "what was not retained");
    assert_eq!(stats.deferred, put_off, "what was put off");
    let counted = (stats.publications, stats.deliveries, stats.mails);
    assert_eq!(counted, (publications, deliveries, mails), "what was published");
    assert_eq!((stats.opened, stats.ended.total()), (totals.opened, totals.closed));
    assert_eq!(stats.released, totals.released);
    assert_eq!(stats.messages_received, totals.received);
    // What came by mail was queued, or dropped at once, or its connection closes.
    let dropped = stats.messages_dropped.checked_sub(totals.dropped + totals.refused);
    let dropped = dropped.expect("drops that nobody has counted");
    let mailed = stats.messages_sent.checked_sub(totals.taken).expect("more taken than sent");
    assert!(mailed + dropped <= totals.mailed, "{mailed} sent and {dropped} dropped: {totals:?}");
}

/// Mail that was dropped at once, which is counted and nobody is told.
pub(crate) fn dropped_at_once(simulation: &mut Simulation<Books>) -> u64 {
    let dropped = simulation.stats().messages_dropped;
    let Totals { dropped: told, refused, .. } = simulation.handler().totals;
    dropped - told - refused
}
