//! What the engine owes to a client and to the handler, compared with what they have had.

use ringwire::OwnedMessage;
use ringwire::simulation::Simulation;

use crate::books::{Books, Ledger, Totals};
use crate::client::Client;
use crate::topics::Counts;

/// Compares both ends of a connection, at any time.
pub(crate) fn check(client: &Client, ledger: &Ledger) {
    assert!(client.sent.starts_with(&ledger.received), "the handler was given something else");
    // Each message once, in the order in which it was sent, whoever has sent it.
    gaps(client.got.iter(), ledger.owed.iter());
    // What came by mail may not have been taken, and nobody was told.
    let (got, owed) = (client.got.iter(), ledger.owed.iter());
    let gaps = gaps(got.filter(is_taken), owed.filter(is_taken));
    assert!(gaps <= ledger.dropped, "{gaps} messages are missing, {} reported", ledger.dropped);
    if client.closed.is_some() {
        // All that was taken stands before the close frame.
        let Missing { all, taken } = missing(client, ledger);
        assert!(taken <= ledger.dropped, "lost before the close frame");
        assert!(all >= ledger.dropped, "dropped, and sent all the same");
    }
}

/// A connection has been closed: it has come to one end, and a known one.
pub(crate) fn check_end(client: &Client, ledger: &Ledger) {
    check(client, ledger);
    assert_eq!(ledger.opened, ledger.closed.is_some(), "opened and not closed");
    if client.status == Some(101) {
        assert!(ledger.opened, "answered and not opened");
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
}

/// What has been sent and has not come.
pub(crate) fn missing(client: &Client, ledger: &Ledger) -> Missing {
    let taken = wide(client.got.iter().filter(is_taken).count());
    let all = wide(ledger.owed.len() - client.got.len());
    Missing { all, taken: ledger.taken - taken }
}

/// Whether `send` has said what became of it.
fn is_taken(message: &&OwnedMessage) -> bool {
    let bytes = message.payload().as_bytes();
    !bytes.starts_with(b"outside") && !bytes.starts_with(b"topic")
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap()
}

/// Finds each of `got` in `owed`, in order, and says how many had to be passed over.
fn gaps<'a>(
    got: impl Iterator<Item = &'a OwnedMessage>,
    mut owed: impl Iterator<Item = &'a OwnedMessage>,
) -> u64 {
    let mut gaps = 0;
    for (index, got) in got.enumerate() {
        let found = owed.position(|owed| owed == got);
        let size = got.payload().as_bytes().len();
        assert!(found.is_some(), "message {index} of {size} bytes is not owed, or not now");
        gaps += found.unwrap_or_default();
    }
    wide(gaps)
}

/// Every connection and every message is counted in one place at any time.
pub(crate) fn check_stats(simulation: &mut Simulation<Books>) {
    let stats = simulation.stats();
    let (opening, open) = simulation.census();
    assert_eq!((stats.opening(), stats.open()), (opening, open), "{stats:?}");
    let over = stats.refused.total() + stats.unanswered.total();
    assert_eq!(stats.accepted, opening + over + stats.opened);
    assert_eq!(stats.opened, open + stats.ended.total());
    let patterns = simulation.patterns();
    let Books { totals, topics, .. } = simulation.handler();
    topics.check();
    assert_eq!(patterns, topics.pattern_count(), "what is subscribed");
    let Counts { publications, deliveries, mails } = topics.counts;
    let counted = (stats.publications, stats.deliveries, stats.mails);
    assert_eq!(counted, (publications, deliveries, mails), "what was published");
    assert_eq!((stats.opened, stats.ended.total()), (totals.opened, totals.closed));
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
