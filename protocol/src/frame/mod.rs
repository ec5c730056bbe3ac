//! Frames (RFC 6455 section 5): pure functions between bytes and headers, and between bytes and
//! close payloads.

pub mod close;
pub mod header;
mod opcode;

pub use opcode::Opcode;

/// Who sends: it decides about masks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The side that asked for the connection. Its frames are masked.
    Client,
    /// The side that accepted it. Its frames are not.
    Server,
}

impl Role {
    /// The other side.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}
