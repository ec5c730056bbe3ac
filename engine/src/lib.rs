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
//! | `driver` | the seam: the kernel's ring, epoll, or a seeded simulation; and the ladder |
//! | `host` | a worker inside a `tokio` or `tokio-uring` runtime, behind these features |
//! | `admission` | who is let in: what all workers count together |
//! | `adoption`, `release`, `hand_over` | sockets that go from server to server |
//! | `load` | which worker gets the next one |
//! | `timer`, `mailbox`, `secret` | deadlines; what other threads want; what no peer can guess |
//! | `handler`, `handle`, `stop`, `request`, `cause` | what an application sees |
//! | [`topic`] | publish and subscribe: who is to be told |
//! | `stats`, `tally`, `board` | what is counted, and how other threads read it |
//! | `latency`, `histogram` | how long messages take from stage to stage, where that is measured |
//! | `trace` | what is told through `tracing`, behind the feature of that name |
//! | `config`, `error` | what can be set, and what can fail |
//! | `probe`, `refusal`, `permission` | which driver was found by trying, and why |
//! | `seat` | what a worker is started with, and on which driver |
//! | `profile` | what gives cores away for latency |
//! | `memory` | what a configuration may come to take |
//! | `simulation` | a worker on a simulated ring, behind the feature of that name |
//! | `listener`, `affinity`, `limits` | sockets, cores and descriptors of the system |
//!
//! It wants Linux 6.0 or newer with io_uring allowed. Elsewhere, as in most containers, it serves
//! on epoll, with the same behaviour and the same limits. Which of them is found by trying, when
//! the server begins to listen: [`Probe`] says what was found and why, and [`Config::driver`] or
//! the variable `RINGWIRE_DRIVER` (`auto`, `uring`, `epoll`) demand one.
//!
//! On BSD and macOS readiness is that of kqueue. Those are systems to develop on, not to serve on:
//! it is checked that the engine builds for them, and its tests run on Linux. There
//! [`Config::busy_poll`] and [`Config::unsent_max`] are refused, and no thread is kept on a core.

#[cfg(not(unix))]
compile_error!("ringwire needs sockets as Unix has them");
#[cfg(all(feature = "tokio-uring", not(target_os = "linux")))]
compile_error!("the feature `tokio-uring` needs io_uring, which only Linux has");

mod admission;
mod adoption;
mod affinity;
mod board;
mod cause;
mod config;
mod conn;
mod driver;
mod error;
mod gap;
mod hand_over;
mod handle;
mod handler;
mod histogram;
#[cfg(any(feature = "tokio", feature = "tokio-uring"))]
pub mod host;
mod latency;
mod limits;
mod listener;
mod load;
mod mailbox;
mod memory;
mod message;
mod order;
mod permission;
mod presence;
mod probe;
mod profile;
mod publication;
mod refusal;
mod release;
mod request;
mod run;
mod seat;
mod secret;
mod server;
#[cfg(any(feature = "tokio", feature = "tokio-uring"))]
mod signal;
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

pub use adoption::{AdoptError, Adoption, NotAdopted};
pub use cause::{Cause, Closed, Limit, Policy, TimeOut};
pub use config::{Compression, Config, Origins};
pub use conn::{Abandoned, Connection, ConnectionId, Later, Sent, TooLate, Upgrade};
pub use error::{ConfigError, Error};
pub use gap::{Gap, GapNotice};
pub use handle::{Handle, HandleError, Undelivered};
pub use handler::Handler;
pub use histogram::Histogram;
#[cfg(any(feature = "tokio", feature = "tokio-uring"))]
pub use host::{HostError, Part};
pub use latency::Latencies;
pub use listener::{InheritError, ListenAddress, Listener, ListenerFault};
pub use memory::MemoryMax;
pub use message::OwnedMessage;
pub use probe::{Demand, DriverChoice, DriverKind, Probe};
pub use publication::{Post, PublishError};
pub use refusal::{Refusal, RefusalReason, RingFeature, RingStep};
pub use release::{NotQuiet, ReleaseError, Released};
pub use request::Request;
pub use ringwire_protocol::deflate::{Agreed as DeflateAgreed, Policy as DeflatePolicy};
pub use ringwire_protocol::handshake::{Limits as HandshakeLimits, Response};
pub use ringwire_protocol::{Chunk, Limits, Message, Misuse, Payload, Prepared, Violation};
pub use server::Server;
pub use slow::{Overflow, SlowConsumer};
pub use stats::{Sample, Stats};
pub use stop::Stop;
pub use subscription::Subscription;
pub use tally::{Ends, Refused};
