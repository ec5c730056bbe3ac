//! How a connection wants what it subscribes.

use crate::slow::SlowConsumer;

/// How a connection subscribes: see
/// [`Connection::subscribe_with`](crate::Connection::subscribe_with).
///
/// ```
/// use ringwire::topic::Pattern;
/// use ringwire::{Connection, Handler, Message, Overflow, SlowConsumer, Subscription};
///
/// struct Prices;
///
/// impl Handler for Prices {
///     type State = ();
///
///     fn open(&mut self, connection: &mut Connection<'_, ()>) {
///         // All prices as they are now, and then each change. Of those only the newest is of use.
///         let newest = SlowConsumer {
///             overflow: Overflow::Conflate,
///             size_max: 64 << 10,
///             ..SlowConsumer::default()
///         };
///         let prices = Pattern::new("prices.>").expect("it is a pattern");
///         let subscription = Subscription { slow_consumer: Some(newest), snapshot: true };
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
    /// What is done when the connection does not keep up with what this subscription brings, in
    /// place of the policy of the connection. It concerns these messages only, and those of other
    /// subscriptions of the connection that have the very same policy: they share its limits.
    ///
    /// Its bytes and its age are those of messages that wait behind what has been filled for
    /// sending, 64 KiB beside a single larger message. All that waits for the connection is held to
    /// [`Config::outbox_size_max`](crate::Config::outbox_size_max) as well: what would exceed that
    /// is treated as this policy says.
    ///
    /// A worker knows 255 different policies at most, for as long as it runs. Default: none, so
    /// that the policy of the connection applies.
    pub slow_consumer: Option<SlowConsumer>,
    /// Whether the retained values that match are sent first: each once, in the order of topic and
    /// key, and then the posts that come to this worker after them, with no gap and no duplicate in
    /// between. Default `false`.
    ///
    /// It is sent whole or not at all, and what is sent counts as any message does: where it might
    /// be more than may wait for this peer, the answer is
    /// [`SubscribeError::SnapshotTooLarge`](crate::topic::SubscribeError::SnapshotTooLarge). It
    /// waits under the policy of the connection, whatever that of the subscription is.
    ///
    /// It comes with a new subscription only, and without the topics of other subscriptions of the
    /// connection that began with a snapshot: those have brought the value, or a newer one, or have
    /// dropped it as their policy says. What subscriptions without one have brought it has again,
    /// for they may have begun later than a value.
    pub snapshot: bool,
}
