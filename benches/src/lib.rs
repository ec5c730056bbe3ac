//! Kernels, compression and memory, measured beside what they must beat; and the engine under fire.
//!
//! `cargo bench` runs the `benches` folder; the programs in `src/bin` print tables. Here stands
//! what they share.

pub mod arguments;
pub mod bare;
pub mod child;
pub mod client;
pub mod contest;
pub mod feed;
pub mod random;
pub mod system;

/// For `GLIBC_TUNABLES`: lets the C library copy and clear with loops of vectors, whatever the
/// size. An instruction that copies a whole block counts under valgrind as one for each byte.
pub const LOOPS: &str = "glibc.cpu.x86_rep_movsb_threshold=1000000000:\
                         glibc.cpu.x86_rep_stosb_threshold=1000000000";
