//! How a connection wants what it subscribes.

/// How a connection subscribes: see
/// [`Connection::subscribe_with`](crate::Connection::subscribe_with).
///
/// ```
/// use ringwire::topic::Pattern;
/// use ringwire::{Connection, Handler, Message, Subscription};
///
/// struct Prices;
///
/// impl Handler for Prices {
///     type State = ();
///
///     fn open(&mut self, connection: &mut Connection<'_, ()>) {
///         // All prices as they are now, and then each change.
///         let prices = Pattern::new("prices.>").expect("it is a pattern");
///         let subscription = Subscription { snapshot: true, ..Subscription::default() };
///         if connection.subscribe_with(prices, subscription).is_err() {
///             connection.terminate();
///         }
///     }
///
///     fn message(&mut self, _: &mut Connection<'_, ()>, _: Message<'_>) {}
/// }
/// # let _ = Prices;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    /// Whether the retained values that match are sent first: each once, in the order of topic and
    /// key, and then the posts that come to this worker after them, with no gap and no duplicate in
    /// between. Default `false`.
    ///
    /// It is sent whole or not at all, and what is sent counts as any message does: where it might
    /// be more than may wait for this peer, the answer is
    /// [`SubscribeError::SnapshotTooLarge`](crate::topic::SubscribeError::SnapshotTooLarge). It
    /// comes with a new subscription only, and has also what other subscriptions of the connection
    /// have brought before.
    pub snapshot: bool,
}
