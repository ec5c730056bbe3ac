//! Messages made of frames (RFC 6455 section 5.4): continuity, limits, and the pieces put together
//! or handed over as they come.

mod assembler;
mod assembly;
mod kind;
mod streamed;

pub(crate) use assembler::Assembler;
pub(crate) use assembly::Assembly;
pub(crate) use kind::Kind;
pub(crate) use streamed::{Place, Portion, Streamed};
