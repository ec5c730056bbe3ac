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
pub mod echo;
pub mod feed;
#[cfg(feature = "hosts")]
pub mod host;
pub mod order;
pub mod peers;
pub mod random;
pub mod server;
pub mod spread;
pub mod system;
pub mod text;
