//! What is done to every message, ours beside others' and beside a limit.
//!
//! A [`Contest`] is one task of one size, done by several: by Ringwire, whose [`Job`] stands first,
//! by each of the others who lets a caller without a socket do the same, and by what nobody can
//! beat, where there is such a thing. The benchmark of the same name times the jobs each by itself,
//! the program of the same name in turn.
//!
//! Who is missing keeps the task private. `tungstenite`, `tokio-websockets` and `wtx` do so with
//! their masks, and all but `sockudo-ws` with their parser: what they do is measured over a stream
//! in memory, in [`echo`].

mod close;
mod contest;
pub mod echo;
mod handshake;
mod header;
mod memory;
mod place;
mod text;
mod unmask;

pub use contest::{Contest, Job};

/// Makes all contests of one family.
pub type Contests = fn() -> Vec<Contest>;

/// The contests by the name with which their kernels begin. They are made when they are to be run,
/// because they hold what they work on.
pub const KERNELS: [(&str, Contests); 7] = [
    ("unmask", unmask::contests),
    ("utf8", text::validations),
    ("fused", text::fusions),
    ("header", header::contests),
    ("handshake", handshake::contests),
    ("close", close::contests),
    ("echo", echo::contests),
];
