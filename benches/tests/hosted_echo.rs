//! The echo servers in other runtimes.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

mod echo;

use std::process::Command;

use echo::{check, refuses_compression};

const PROGRAM: &str = env!("CARGO_BIN_EXE_hosted_echo");

#[test]
fn ringwire_in_each_runtime() {
    for runtime in ["tokio", "tokio-uring", "beside-tokio-uring"] {
        check(PROGRAM, &[runtime]);
        check(PROGRAM, &[runtime, "compressed"]);
    }
}

#[test]
fn the_bare_one_does_not_compress() {
    refuses_compression(PROGRAM, &["bare-tokio-uring", "compressed"]);
}

#[test]
fn what_is_not_understood_is_refused() {
    for words in [&[][..], &["other"], &["tokio", "other"], &["bare-tokio-uring", "other"]] {
        let output = Command::new(PROGRAM).args(words).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert!(output.stderr.starts_with(b"hosted_echo: "), "{words:?}");
    }
}
