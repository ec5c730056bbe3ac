//! Messages made of frames (RFC 6455 section 5.4): continuity, limits, and the pieces put together.

mod assembler;
mod assembly;

pub(crate) use assembler::Assembler;
pub(crate) use assembly::{Assembly, Kind};
