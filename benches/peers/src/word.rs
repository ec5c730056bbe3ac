//! The one word that an echo server understands.

use std::io::{self, Write};
use std::{env, process};

/// Whether messages are to be compressed: the word `compressed` says so.
#[must_use]
pub fn is_compressed() -> bool {
    env::args().skip(1).any(|word| word == "compressed")
}

/// Ends the process, with 2, where messages are to be compressed and the peer cannot.
pub fn refuse_compressed() {
    if is_compressed() {
        let _told = writeln!(io::stderr(), "compressed: not supported");
        process::exit(2);
    }
}
