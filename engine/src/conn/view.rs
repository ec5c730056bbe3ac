//! A connection as a handler sees it.

use std::fmt;
use std::time::Duration;

use ringwire_protocol::frame::header::SIZE_MAX;
use ringwire_protocol::{Chunk, Close, Message, Misuse, Payload, Prepared, Workspace};

use crate::cause::Closer;
use crate::conn::backlog::{Backlog, Terms};
use crate::conn::flow::Flow;
use crate::conn::id::ConnectionId;
use crate::conn::link::Link;
use crate::conn::outgoing::{Origin, Outgoing};
use crate::conn::policies::OWN;
use crate::conn::shared::{GIVEN_HEADER_SIZE, Gathered, Shared};
use crate::driver::Key;
use crate::slow::{Overflow, SlowConsumer};
use crate::timer::Time;

/// What became of something that was to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is on its way.
    Queued,
    /// It is on its way, behind more than [`Config::outbox_high`](crate::Config::outbox_high)
    /// bytes: `drain` will say when there is room again.
    Backlogged,
    /// It was dropped: with it there would be more than
    /// [`Config::outbox_size_max`](crate::Config::outbox_size_max) bytes, or than the policy for
    /// [slow consumers](SlowConsumer) grants.
    Dropped,
    /// It was dropped: the closing handshake has begun.
    Closed,
    /// It was dropped: the call was wrong.
    Misused(Misuse),
}

/// What is appended to an outbox, as far as counting minds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A message, or the last part of one.
    Message,
    /// A part of a message with others to follow.
    Part,
    Control,
}

/// A connection, as long as one of the handler's methods runs: the two actions of the browser's
/// API, [`send`](Self::send) and [`close`](Self::close), and what a server needs besides.
///
/// Nothing is sent while the handler runs: what it sends in one turn of the loop leaves together,
/// in order.
pub struct Connection<'a, S> {
    pub(crate) key: Key,
    pub(crate) state: &'a mut S,
    pub(crate) link: &'a mut Link,
    pub(crate) shared: &'a mut Shared,
}

impl<S> Connection<'_, S> {
    /// What names this connection to a [`Handle`](crate::Handle).
    #[must_use]
    pub const fn id(&self) -> ConnectionId {
        self.shared.id(self.key)
    }

    /// The handler's own state of this connection.
    #[must_use]
    pub const fn state(&mut self) -> &mut S {
        self.state
    }

    /// Sends a message: text from a `&str`, bytes from a `&[u8]`, or a received
    /// [`Message`](crate::Message) as it is.
    #[inline]
    pub fn send<'m>(&mut self, message: impl Into<Payload<'m>>) -> Sent {
        let payload = message.into();
        if self.send_quick(payload) {
            return Sent::Queued;
        }
        self.queue(Outgoing::Message(payload), OWN, &mut Origin::Lent)
    }

    /// Sends a received message back, and gives it up. Where it is large, and nothing else waits to
    /// be sent, it leaves in the buffer in which it was put together, without a copy; otherwise
    /// this is [`send`](Self::send).
    ///
    /// ```
    /// use ringwire::{Connection, Handler, Message};
    ///
    /// struct Echo;
    ///
    /// impl Handler for Echo {
    ///     type State = ();
    ///
    ///     fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
    ///         connection.send_back(message);
    ///     }
    /// }
    /// # let _ = Echo;
    /// ```
    #[inline]
    pub fn send_back(&mut self, message: Message<'_>) -> Sent {
        if self.shared.gathered.is_some() && self.promise(&message) {
            let size = message.as_bytes().len();
            return self.written(Ok(()), size, Kind::Message, None);
        }
        self.send(&message)
    }

    /// Sends a message uncompressed, also on a connection that compresses: for what is compressed
    /// already, or holds a secret beside something that others may choose.
    pub fn send_uncompressed<'m>(&mut self, message: impl Into<Payload<'m>>) -> Sent {
        self.queue(Outgoing::Uncompressed(message.into()), OWN, &mut Origin::Lent)
    }

    /// Sends a message that goes to many connections: it is encoded, and compressed, once for all
    /// that take it in the same form.
    ///
    /// ```
    /// use ringwire::{Connection, Handler, Message, Prepared};
    ///
    /// struct Greeter {
    ///     greeting: Prepared<'static>,
    /// }
    ///
    /// impl Handler for Greeter {
    ///     type State = ();
    ///
    ///     fn open(&mut self, connection: &mut Connection<'_, ()>) {
    ///         connection.send_prepared(&mut self.greeting);
    ///     }
    ///
    ///     fn message(&mut self, _: &mut Connection<'_, ()>, _: Message<'_>) {}
    /// }
    /// # let _ = Greeter { greeting: Prepared::new("welcome") };
    /// ```
    pub fn send_prepared(&mut self, message: &mut Prepared<'_>) -> Sent {
        self.queue(Outgoing::Prepared(message), OWN, &mut Origin::Lent)
    }

    /// Sends a fragment of a message; `fin` marks its last. All have the kind of the first, and no
    /// other message may come between: what is published meanwhile, or sent through a
    /// [`Handle`](crate::Handle), does not reach this connection and is counted as dropped.
    pub fn send_fragment<'m>(&mut self, fragment: impl Into<Payload<'m>>, fin: bool) -> Sent {
        let fragment = fragment.into();
        let kind = if fin { Kind::Message } else { Kind::Part };
        self.append(fragment.as_bytes().len(), kind, |link, workspace| {
            link.settle(workspace);
            link.sender.fragment(fragment, fin, workspace, link.outbox.filling())
        })
    }

    /// Sends a fragment, uncompressed: of a message whose first fragment is sent so, nothing is
    /// compressed.
    pub fn send_fragment_uncompressed<'m>(
        &mut self,
        fragment: impl Into<Payload<'m>>,
        fin: bool,
    ) -> Sent {
        let fragment = fragment.into();
        let kind = if fin { Kind::Message } else { Kind::Part };
        self.append(fragment.as_bytes().len(), kind, |link, workspace| {
            link.settle(workspace);
            let out = link.outbox.filling();
            link.sender.fragment_uncompressed(fragment, fin, workspace, out)
        })
    }

    /// Sends a ping of at most 125 bytes. The engine sends its own as well
    /// ([`Config::ping_interval`](crate::Config::ping_interval)).
    pub fn ping(&mut self, payload: &[u8]) -> Sent {
        // A ping is no message: a connection that only pings is idle.
        let last_message = self.link.last_message;
        let sent = self.append(payload.len(), Kind::Control, |link, workspace| {
            link.sender.ping(payload, workspace, link.outbox.filling())
        });
        self.link.last_message = last_message;
        sent
    }

    /// Sends a ping whose pong sets [`Connection::round_trip`]. The engine does so itself whenever
    /// the peer has been silent for [`Config::ping_interval`](crate::Config::ping_interval); one
    /// that never is silent is measured only here.
    pub fn measure_round_trip(&mut self) -> Sent {
        let before = self.link.round_trip;
        let payload = self.link.round_trip.ping(self.key, self.shared.now, self.shared.secret);
        let sent = self.ping(&payload);
        if !matches!(sent, Sent::Queued | Sent::Backlogged) {
            self.link.round_trip = before;
        }
        sent
    }

    /// How long the last ping of the engine's was on its way there and its pong back, if one has
    /// been answered. It is to the microsecond, and never too short: what was to be sent before the
    /// ping counts, and so does the time that the peer takes.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.link.round_trip.last()
    }

    /// Begins the closing handshake. `code` is 1000 to 1003, 1007 to 1014 or 3000 to 4999; `reason`
    /// has at most 123 bytes. `close` is called when the peer has answered, or has not in time.
    ///
    /// # Errors
    /// [`Misuse::CloseCode`], [`Misuse::CloseReasonTooLong`], and [`Misuse::Closing`] where it has
    /// begun already.
    pub fn close(&mut self, code: u16, reason: &str) -> Result<(), Misuse> {
        let close = Close { code: Some(code), reason };
        close.check()?;
        let workspace = &mut self.shared.workspace;
        self.link.settle(workspace);
        self.link.sender.close(close, workspace, self.link.outbox.filling())?;
        self.link.closer = Closer::Handler;
        self.shared.mark(self.key, self.link);
        Ok(())
    }

    /// Takes no more messages until [`Connection::resume`], so that what is behind this handler can
    /// keep up: nothing is received, and the kernel slows the peer down. What has been received by
    /// then is kept, and handed over first.
    ///
    /// Meanwhile the peer is neither idle nor asked for a sign of life, its own pings are not
    /// answered, and that it has gone is seen when something is sent, or after the pause. A close
    /// ends the pause, whoever begins it: the peer's answer must be read.
    pub fn pause(&mut self) {
        self.shared.pause(self.key, self.link);
    }

    /// Takes messages again. [`Handle::resume`](crate::Handle::resume) does so from elsewhere. The
    /// first come when the handler has returned.
    pub fn resume(&mut self) {
        self.shared.resume(self.key, self.link);
    }

    /// Whether [`Connection::pause`] holds.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.link.flow == Flow::Paused
    }

    /// Ends the connection without a closing handshake. What has not left is lost; `error` and
    /// `close` are called.
    pub fn terminate(&mut self) {
        self.link.terminated = true;
        self.shared.mark(self.key, self.link);
    }

    /// Takes messages in chunks, by [`Handler::chunk`](crate::Handler::chunk), or whole. One that
    /// has begun to arrive goes on as it is, also one of which nothing has been handed over.
    ///
    /// ```
    /// use ringwire::{Chunk, Connection, Handler, Message};
    ///
    /// /// Takes one large message after each that announces it.
    /// struct Announced;
    ///
    /// impl Handler for Announced {
    ///     type State = ();
    ///
    ///     fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
    ///         connection.set_streaming(message.as_text() == Some("upload"));
    ///     }
    ///
    ///     fn chunk(&mut self, connection: &mut Connection<'_, ()>, chunk: Chunk<'_>) {
    ///         connection.set_streaming(!chunk.is_last);
    ///     }
    /// }
    /// ```
    pub const fn set_streaming(&mut self, streaming: bool) {
        self.link.streaming = streaming;
    }

    /// Bytes that have not left for the peer: queued and in flight.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.link.buffered()
    }

    /// Sets what is done if this peer is a slow consumer, in place of
    /// [`Config::slow_consumer`](crate::Config::slow_consumer).
    ///
    /// # Errors
    /// [`Misuse::CloseCode`] for a code that cannot be sent.
    pub fn set_slow_consumer(&mut self, policy: SlowConsumer) -> Result<(), Misuse> {
        if let Overflow::Close(code) = policy.overflow {
            Close { code: Some(code), reason: "" }.check()?;
        }
        let policy = policy.within(self.shared.config().outbox_size_max);
        match &mut self.link.backlog {
            Some(backlog) => backlog.set_policy(policy),
            None => self.link.backlog = Some(Box::new(Backlog::new(policy))),
        }
        Ok(())
    }

    /// Whether messages can still be sent: no closing handshake has begun.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.link.sender.closing().is_open()
    }

    /// Sends a message where nothing stands in its way, which is a third less work: nothing waits,
    /// it fits in any case, and there is a buffer. `false`: something does, and nothing happened.
    #[inline(always)]
    fn send_quick(&mut self, payload: Payload<'_>) -> bool {
        let Self { key, link, shared, .. } = self;
        let size = payload.as_bytes().len();
        if link.backlog.is_some() {
            return false;
        }
        let Some(filling) = link.outbox.buffer_for(size, shared.quick_max) else { return false };
        if link.sender.message(payload, &mut shared.workspace, filling).is_err() {
            return false;
        }
        shared.stats.messages_sent += 1;
        shared.stats.payload_bytes_sent += size as u64;
        link.last_message = shared.stamp();
        shared.mark(*key, link);
        true
    }

    /// Promises to send a message in its own buffer, when the handler has returned. `false`: it is
    /// to be copied, and nothing happened.
    #[cold]
    fn promise(&mut self, message: &Message<'_>) -> bool {
        let Self { link, shared, .. } = self;
        let Shared { gathered: Some(gathered), settings, quick_max, .. } = &mut **shared else {
            return false;
        };
        let Gathered { address, size, promised } = Gathered::new(message);
        let is_it = *gathered == Gathered { address, size, promised };
        let frame_size = size + GIVEN_HEADER_SIZE;
        let config = &settings.config;
        let size_max = config.slow_consumer.size_max.min(config.outbox_size_max);
        let fits = link.outbox.buffered().saturating_add(frame_size) <= size_max;
        // Where each message is looked at there is more to do.
        let is_plain = link.backlog.is_none() && *quick_max > 0;
        if !(is_it && is_plain && fits && link.sender.sends_plain()) {
            return false;
        }
        if !link.outbox.promise(frame_size) {
            return false;
        }
        gathered.promised = Some(message.as_text().is_some());
        true
    }

    /// Sends a whole message, as the policy of this number for slow consumers allows.
    #[inline]
    pub(super) fn queue(
        &mut self,
        message: Outgoing<'_, '_>,
        tag: u8,
        origin: &mut Origin<'_, '_>,
    ) -> Sent {
        let Self { key, link, shared, .. } = self;
        let called = shared.follow.as_ref().map(|follow| follow.called());
        let Shared { settings, policies, workspace, stats, store, now, .. } = &mut **shared;
        let config = &settings.config;
        let own = link.policy(config);
        let terms = Terms {
            tag,
            policy: *policies.policy(tag).unwrap_or(own),
            connection: &config.slow_consumer,
            size_max: config.outbox_size_max,
            flight_size: own.flight_size(),
            now: *now,
        };
        let size = message.payload().as_bytes().len();
        if let Some(sent) = link.make_room(size, &terms, origin, workspace) {
            if sent == Sent::Dropped {
                stats.messages_dropped += 1;
                stats.bytes_dropped += size as u64;
                // The gap in its place waits as well.
                if link.buffered() > config.outbox_high {
                    shared.fall_behind(link);
                }
            }
            shared.mark(*key, link);
            return sent;
        }
        // What others are sent as well needs no buffer where it is alone.
        if !matches!(message, Outgoing::Prepared(_)) || link.outbox.filled() > 0 {
            link.outbox.fetch_large(size + SIZE_MAX, store, workspace);
        }
        let written = link.enqueue(message, &terms, origin, workspace);
        self.written(written, size, Kind::Message, called)
    }

    /// Counts a message of another's that this connection could not take, because its own handler
    /// is in the middle of one. All other ways in which it may be lost are counted already.
    pub(super) const fn count_interrupting(&mut self, sent: Sent) {
        if matches!(sent, Sent::Misused(_)) {
            self.shared.stats.messages_dropped += 1;
        }
    }

    /// Takes note of a message that has arrived.
    #[inline]
    pub(super) const fn on_message(&mut self, size: usize) {
        self.link.last_message = self.shared.stamp();
        self.shared.stats.messages_received += 1;
        self.shared.stats.payload_bytes_received += size as u64;
    }

    /// Takes note of a chunk that has arrived. With its last the message has.
    pub(super) fn on_chunk(&mut self, chunk: &Chunk<'_>) {
        self.link.last_message = self.shared.stamp();
        self.shared.stats.messages_received += u64::from(chunk.is_last);
        self.shared.stats.payload_bytes_received += chunk.part.as_bytes().len() as u64;
    }

    /// Takes note of a pong that has arrived, and says what it measures.
    pub(super) fn on_pong(&mut self, payload: &[u8]) -> Option<Duration> {
        let Shared { now, secret, .. } = *self.shared;
        self.link.round_trip.pong(self.key, payload, now, secret)
    }

    #[inline]
    fn append(
        &mut self,
        size: usize,
        kind: Kind,
        write: impl FnOnce(&mut Link, &mut Workspace) -> Result<(), Misuse>,
    ) -> Sent {
        let Self { link, shared, .. } = self;
        let max = shared.config().outbox_size_max;
        if link.buffered().saturating_add(size) > max {
            if !link.sender.closing().is_open() {
                return Sent::Closed;
            }
            if kind != Kind::Control {
                shared.stats.messages_dropped += 1;
                shared.stats.bytes_dropped += size as u64;
            }
            return Sent::Dropped;
        }
        link.outbox.fetch(&mut shared.store);
        let called = shared.follow.as_ref().map(|follow| follow.called());
        let written = write(link, &mut shared.workspace);
        self.written(written, size, kind, called)
    }

    /// Takes note of what has been queued, or has not. `called`: when the handler called for it,
    /// where that is measured.
    #[inline]
    fn written(
        &mut self,
        written: Result<(), Misuse>,
        size: usize,
        kind: Kind,
        called: Option<Time>,
    ) -> Sent {
        let Self { key, link, shared, .. } = self;
        // It may have been refused, or wait elsewhere.
        link.outbox.release(&mut shared.store, &mut shared.workspace);
        if let Err(misuse) = written {
            return if misuse == Misuse::Closing { Sent::Closed } else { Sent::Misused(misuse) };
        }
        shared.stats.messages_sent += u64::from(kind == Kind::Message);
        if let (Some(follow), Some(called), Kind::Message) = (&mut shared.follow, called, kind) {
            follow.encoded(*key, called, !link.holds_back());
        }
        if kind != Kind::Control {
            shared.stats.payload_bytes_sent += size as u64;
        }
        link.last_message = shared.stamp();
        shared.mark(*key, link);
        if link.buffered() > shared.config().outbox_high {
            shared.fall_behind(link);
            return Sent::Backlogged;
        }
        Sent::Queued
    }
}

impl<S> fmt::Debug for Connection<'_, S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Connection")
            .field("id", &self.id())
            .field("buffered", &self.buffered())
            .finish_non_exhaustive()
    }
}
