//! What the example servers have in common: the allocator, the command line, the program around a
//! server, and the page of numbers.

mod allocator;
mod arguments;
mod metrics;
mod program;

pub use allocator::give_back_memory;
pub use arguments::{Arguments, ArgumentsError, number};
pub use metrics::Metrics;
pub use program::{bind, run, serve};
