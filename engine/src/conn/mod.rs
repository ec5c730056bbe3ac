//! Connections: from accepting them to freeing their slots.

mod connections;
mod deadline;
mod end;
mod open;
mod outbox;
mod peer;
mod receive;
mod send;
mod slots;
mod upgrade;
mod view;

pub(crate) use connections::Connections;
pub use upgrade::Upgrade;
pub use view::{Connection, ConnectionId, Sent};
