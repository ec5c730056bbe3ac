//! Kernels, compression and memory, measured beside what they must beat; and the engine under fire.
//!
//! `cargo bench` runs the `benches` folder; the programs in `src/bin` print tables. Here stands
//! what they share.

pub mod arguments;
pub mod bare;
pub mod callgrind;
pub mod child;
pub mod client;
pub mod contest;
pub mod feed;
pub mod order;
pub mod peers;
pub mod random;
pub mod system;
