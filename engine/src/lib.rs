//! A strict WebSocket server engine on Linux io_uring, one thread per core.
//!
//! ```text
//!   kernel ─▶ ring ─▶ connection ─▶ protocol ─▶ handler
//!                                      │           │
//!   kernel ◀─ ring ◀──── outbox ◀──────┴───────────┘
//! ```
//!
//! Bytes go down this path once and replies go back once. One thread is one worker: one ring, one
//! listener, one table of connections, one handler; workers share nothing but their mailboxes. The
//! [`Handler`] is called on the worker's thread and must not block it. A [`Handle`] reaches
//! connections from other threads.
//!
//! Every queue, buffer and table has a maximum, which is a field of [`Config`]. A peer can cause a
//! close, never a panic, and never work or memory out of proportion to the bytes that it sent.
//!
//! | module | what it holds |
//! |---|---|
//! | `server`, `worker`, `stopping` | starting and stopping workers; the loop |
//! | `conn` | connections from acceptance to the end of their slot |
//! | `driver` | the seam: the kernel's ring, or a seeded simulation of it |
//! | `admission` | who is let in: what all workers count together |
//! | `timer`, `mailbox`, `secret` | deadlines; what other threads want; what no peer can guess |
//! | `handler`, `handle`, `stop`, `request`, `cause` | what an application sees |
//! | [`topic`] | publish and subscribe: who is to be told |
//! | `stats`, `tally`, `board` | what is counted, and how other threads read it |
//! | `latency`, `histogram` | how long messages take from stage to stage, where that is measured |
//! | `trace` | what is told through `tracing`, behind the feature of that name |
//! | `config`, `error` | what can be set, and what can fail |
//! | `profile` | what gives cores away for latency |
//! | `memory` | what a configuration may come to take |
//! | `simulation` | a worker on a simulated ring, behind the feature of that name |
//! | `listener`, `affinity`, `limits` | sockets, cores and descriptors of the system |
//!
//! It needs Linux 6.0 or newer, with io_uring allowed; [`Error`] says what is missing.

#[cfg(not(target_os = "linux"))]
compile_error!("ringwire drives io_uring, which only Linux has");

mod admission;
mod affinity;
mod board;
mod cause;
mod config;
mod conn;
mod driver;
mod error;
mod gap;
mod handle;
mod handler;
mod histogram;
mod latency;
mod limits;
mod listener;
mod mailbox;
mod memory;
mod message;
mod order;
mod presence;
mod profile;
mod publication;
mod request;
mod run;
mod secret;
mod server;
#[cfg(feature = "simulation")]
pub mod simulation;
mod slow;
mod stats;
mod stop;
mod stopping;
mod subscription;
mod tally;
mod timer;
pub mod topic;
mod trace;
mod worker;

pub use cause::{Cause, Closed, Limit, Policy, TimeOut};
pub use config::{Compression, Config, Origins};
pub use conn::{Connection, ConnectionId, Sent, Upgrade};
pub use error::{ConfigError, Error, RingStep};
pub use gap::{Gap, GapNotice};
pub use handle::{Handle, HandleError, Undelivered};
pub use handler::Handler;
pub use histogram::Histogram;
pub use latency::Latencies;
pub use memory::MemoryMax;
pub use message::OwnedMessage;
pub use publication::{Post, PublishError};
pub use request::Request;
pub use ringwire_protocol::deflate::Policy as DeflatePolicy;
pub use ringwire_protocol::handshake::{Limits as HandshakeLimits, Response};
pub use ringwire_protocol::{Chunk, Limits, Message, Misuse, Payload, Prepared, Violation};
pub use server::Server;
pub use slow::{Overflow, SlowConsumer};
pub use stats::{Sample, Stats};
pub use stop::Stop;
pub use subscription::Subscription;
pub use tally::{Ends, Refused};
