//! What is told to whoever listens through `tracing`: the life of workers and connections.
//!
//! Nothing here is on the path of a message. Where nobody listens an event costs one load and one
//! branch, and without the feature `tracing` there is none: all of the feature is in this file.
//!
//! | event | level | fields |
//! |---|---|---|
//! | `driver chosen` | info | `driver`, `why`: a line for people |
//! | `io_uring refused` | warn, in place of that: slower than it could be | `driver`, `why` |
//! | `worker started` | info | `worker` |
//! | `worker stopped` | info | `worker`, `opened`: connections in its life |
//! | `accepting paused` | warn | `worker`, `error` |
//! | `the ring does not poll` | warn: sockets do, and sleep before | `worker`, `error` |
//! | `made room` | debug, since an attack must not fill a log as well | `worker` |
//! | `opened` | debug | `connection`, `peer` |
//! | `refused` | debug | `connection`, `peer`, `status`, `limit`: what it is for, or nothing |
//! | `unanswered` | debug | `cause`, `detail`, `text` |
//! | `released` | debug: it was given away | `connection` |
//! | `ended` | debug | `connection`, `cause`, `detail`, `text` |
//!
//! `connection` is [`ConnectionId::as_u64`](crate::ConnectionId::as_u64); `cause`, `detail` and
//! `limit` are the labels of the counters.

use std::io;
use std::net::SocketAddr;

use crate::cause::{Cause, Limit};
use crate::driver::Fault;
use crate::probe::Probe;

/// An event, where the feature is on. Its fields are evaluated when somebody wants it.
#[cfg(feature = "tracing")]
macro_rules! event {
    ($level:ident, { $($field:ident = $value:expr),+ }, $message:literal) => {
        tracing::event!(tracing::Level::$level, $($field = $value,)+ $message)
    };
}

/// Nothing: the fields are only named, so that both forms compile the same code.
#[cfg(not(feature = "tracing"))]
macro_rules! event {
    ($level:ident, { $($field:ident = $value:expr),+ }, $message:literal) => {
        if false {
            $(let _unused = $value;)+
        }
    };
}

/// What moves the bytes of a server that begins to listen.
pub(crate) fn driver_chosen(probe: &Probe) {
    if probe.refusal().is_some() {
        uring_refused(probe);
        return;
    }
    let (driver, why) = (probe.kind().to_string(), probe.to_string());
    event!(INFO, { driver = driver.as_str(), why = why.as_str() }, "driver chosen");
}

/// Of this people have something to do.
#[cold]
fn uring_refused(probe: &Probe) {
    let (driver, why) = (probe.kind().to_string(), probe.to_string());
    event!(WARN, { driver = driver.as_str(), why = why.as_str() }, "io_uring refused");
}

pub(crate) fn worker_started(worker: u8) {
    event!(INFO, { worker = worker }, "worker started");
}

pub(crate) fn worker_stopped(worker: u8, opened: u64) {
    event!(INFO, { worker = worker, opened = opened }, "worker stopped");
}

#[cold]
pub(crate) fn accept_paused(worker: u8, fault: &Fault) {
    event!(WARN, { worker = worker, error = fault.to_string().as_str() }, "accepting paused");
}

/// The kernel does not know how its rings poll network cards.
#[cold]
pub(crate) fn ring_polls_not(worker: u8, error: &io::Error) {
    event!(WARN, { worker = worker, error = error.to_string().as_str() }, "the ring does not poll");
}

/// Accepting rests until the descriptors of evicted handshakes have been closed.
#[cold]
pub(crate) fn made_room(worker: u8) {
    event!(DEBUG, { worker = worker }, "made room");
}

/// `peer` is asked for where somebody listens: it takes a call of the system.
pub(crate) fn opened(connection: u64, peer: impl Fn() -> Option<SocketAddr>) {
    event!(DEBUG, { connection = connection, peer = name(peer()).as_str() }, "opened");
}

pub(crate) fn refused(
    connection: u64,
    peer: impl Fn() -> Option<SocketAddr>,
    status: u16,
    limit: Option<Limit>,
) {
    event!(
        DEBUG,
        {
            connection = connection,
            peer = name(peer()).as_str(),
            status = status,
            limit = limit.map_or("", Limit::label)
        },
        "refused"
    );
}

pub(crate) fn unanswered(cause: &Cause) {
    let (kind, detail) = cause.labels();
    event!(
        DEBUG,
        { cause = kind, detail = detail, text = cause.to_string().as_str() },
        "unanswered"
    );
}

pub(crate) fn released(connection: u64) {
    event!(DEBUG, { connection = connection }, "released");
}

pub(crate) fn ended(connection: u64, cause: &Cause) {
    let (kind, detail) = cause.labels();
    event!(
        DEBUG,
        {
            connection = connection,
            cause = kind,
            detail = detail,
            text = cause.to_string().as_str()
        },
        "ended"
    );
}

/// The address as text; empty where the system does not know it any more.
fn name(peer: Option<SocketAddr>) -> String {
    peer.map_or_else(String::new, |peer| peer.to_string())
}
