//! A handler that echoes, and tells the test what it saw.

use std::sync::mpsc::{Receiver, Sender};

use ringwire::{
    Cause, Closed, Connection, ConnectionId, Handler, Limit, Message, OwnedMessage, TimeOut,
    Violation,
};

use crate::patience::PATIENCE;

/// What a handler was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// `open`, with the number of the worker.
    Open(ConnectionId, usize),
    /// `message`.
    Message(OwnedMessage),
    /// `drain`.
    Drain,
    /// `error`.
    Error(End),
    /// `close`.
    Close {
        /// The peer's code, or what stands for it.
        code: u16,
        /// The peer's reason.
        reason: String,
        /// Whether both close frames passed.
        clean: bool,
    },
}

/// A [`Cause`] that can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// [`Cause::Violation`].
    Violation(Violation),
    /// [`Cause::Limit`].
    Limit(Limit),
    /// [`Cause::Gone`].
    Gone,
    /// [`Cause::Io`].
    Io,
    /// [`Cause::TimeOut`].
    TimeOut(TimeOut),
    /// [`Cause::Terminated`].
    Terminated,
    /// [`Cause::Stopped`].
    Stopped,
    /// One that these tests do not know.
    Unknown,
}

impl From<&Cause> for End {
    fn from(cause: &Cause) -> Self {
        match cause {
            Cause::Violation { violation, .. } => Self::Violation(*violation),
            Cause::Limit(limit) => Self::Limit(*limit),
            Cause::Gone => Self::Gone,
            Cause::Io(_) => Self::Io,
            Cause::TimeOut(time_out) => Self::TimeOut(*time_out),
            Cause::Terminated => Self::Terminated,
            Cause::Stopped => Self::Stopped,
            _ => Self::Unknown,
        }
    }
}

/// Sends every message back, and tells every call.
#[derive(Debug)]
pub struct Echo {
    worker: usize,
    events: Sender<Event>,
}

impl Echo {
    /// The handler of one worker.
    #[must_use]
    pub const fn new(worker: usize, events: Sender<Event>) -> Self {
        Self { worker, events }
    }

    fn tell(&self, event: Event) {
        // A test that does not want to know has dropped its end.
        let _told = self.events.send(event);
    }
}

impl Handler for Echo {
    type State = ();

    fn open(&mut self, connection: &mut Connection<'_, ()>) {
        self.tell(Event::Open(connection.id(), self.worker));
    }

    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        self.tell(Event::Message(OwnedMessage::from(&message)));
        connection.send(&message);
    }

    fn drain(&mut self, _connection: &mut Connection<'_, ()>) {
        self.tell(Event::Drain);
    }

    fn error(&mut self, _connection: &mut Connection<'_, ()>, cause: &Cause) {
        self.tell(Event::Error(End::from(cause)));
    }

    fn close(&mut self, _connection: &mut Connection<'_, ()>, closed: Closed<'_>) {
        let reason = closed.reason.to_owned();
        self.tell(Event::Close { code: closed.code, reason, clean: closed.clean });
    }
}

/// The events of one connection from its opening to its `close`, without the opening.
///
/// # Panics
/// If they do not come in time, or begin otherwise.
#[must_use]
pub fn ended(events: &Receiver<Event>) -> Vec<Event> {
    let next = || events.recv_timeout(PATIENCE).expect("the connection's events come");
    assert!(matches!(next(), Event::Open(..)), "a connection begins with its opening");
    let mut seen = Vec::new();
    loop {
        seen.push(next());
        if let Some(Event::Close { .. }) = seen.last() {
            return seen;
        }
    }
}
