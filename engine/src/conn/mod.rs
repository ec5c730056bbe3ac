//! Connections: from accepting them to freeing their slots.

mod admit;
mod arrival;
mod backlog;
mod chain;
#[cfg(feature = "simulation")]
mod check;
mod connections;
mod content;
mod deadline;
mod dirty;
mod end;
mod entry;
mod flow;
mod follow;
mod held;
mod id;
mod lane;
mod last_values;
mod lifetime;
mod link;
mod name;
mod open;
mod openings;
mod outbox;
mod outgoing;
mod pause;
mod peer;
mod policies;
mod queue;
mod receive;
mod round_trip;
mod run;
mod send;
mod share;
mod shared;
mod slots;
mod snapshot;
mod subscribe;
mod turn;
mod upgrade;
mod view;

pub(crate) use backlog::BACKLOG_SIZE;
#[cfg(feature = "simulation")]
pub(crate) use check::Belief;
pub(crate) use connections::{Connections, LISTS_SIZE, SLOTS_SPARE, slot_size};
pub(crate) use follow::FOLLOW_SIZE;
pub use id::ConnectionId;
pub(crate) use last_values::{LAST_VALUE_SIZE, LAST_VALUE_SIZE_MIN};
pub(crate) use outbox::{SPARE_MAX, SPARE_SIZE_MAX};
pub(crate) use peer::OPENING_SIZE;
pub use upgrade::Upgrade;
pub use view::{Connection, Sent};
