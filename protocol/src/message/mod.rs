//! Messages made of frames (RFC 6455 section 5.4): continuity, limits, and the pieces put together.

mod assembler;

pub(crate) use assembler::{Assembler, Kind};
