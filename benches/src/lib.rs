//! Kernels, compression and memory, measured beside what they must beat.
//!
//! `cargo bench` runs the `benches` folder; the programs in `src/bin` print tables. Here stands
//! what they share.

pub mod bare;
pub mod contest;
pub mod feed;
