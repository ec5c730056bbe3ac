//! What the engine owes to a client and to the handler, compared with what they have had.

use ringwire::OwnedMessage;
use ringwire::simulation::Simulation;

use crate::books::{Books, Ledger};
use crate::client::Client;

/// Compares both ends of a connection, at any time.
pub(crate) fn check(client: &Client, ledger: &Ledger) {
    assert!(client.sent.starts_with(&ledger.received), "the handler was given something else");
    let (ours, others): (Vec<_>, Vec<_>) = client.got.iter().partition(|got| !is_outside(got));
    let gaps = gaps(&ours, &ledger.taken);
    assert!(gaps <= ledger.dropped, "{gaps} messages are missing, {} reported", ledger.dropped);
    // Those are not taken one by one, so that any may have been refused.
    let _refused = self::gaps(&others, &ledger.outside);
    if client.closed.is_some() && ledger.outside.is_empty() {
        // All that was taken stands before the close frame.
        assert_eq!(missing(client, ledger), ledger.dropped, "lost before the close frame");
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

/// Messages that were taken and have not come.
pub(crate) fn missing(client: &Client, ledger: &Ledger) -> u64 {
    let got = client.got.iter().filter(|got| !is_outside(got)).count();
    u64::try_from(ledger.taken.len() - got).unwrap()
}

/// Whether it was sent by others than the handler.
fn is_outside(message: &OwnedMessage) -> bool {
    matches!(message, OwnedMessage::Text(text) if text.starts_with("outside"))
}

/// Finds each of `got` in `owed`, in order, and says how many had to be passed over.
fn gaps(got: &[&OwnedMessage], owed: &[OwnedMessage]) -> u64 {
    let (mut owed, mut gaps) = (owed.iter(), 0);
    for (index, got) in got.iter().enumerate() {
        let before = owed.len();
        let found = owed.position(|owed| owed == *got);
        let size = got.payload().as_bytes().len();
        assert!(
            found.is_some(),
            "message {index} of {size} bytes is not owed, or not now, with {before} left"
        );
        gaps += found.unwrap_or_default();
    }
    u64::try_from(gaps).unwrap()
}

/// Every connection and every message is counted in one place at any time.
pub(crate) fn check_stats(simulation: &mut Simulation<Books>) {
    let stats = simulation.stats();
    let (opening, open) = simulation.census();
    assert_eq!((stats.opening(), stats.open()), (opening, open), "{stats:?}");
    let over = stats.refused.total() + stats.unanswered.total();
    assert_eq!(stats.accepted, opening + over + stats.opened);
    assert_eq!(stats.opened, open + stats.ended.total());
    let totals = simulation.handler().totals;
    assert_eq!((stats.opened, stats.ended.total()), (totals.opened, totals.closed));
    assert_eq!(stats.messages_received, totals.received);
    assert!(stats.messages_sent >= totals.taken);
    assert!(stats.messages_dropped >= totals.dropped);
}
