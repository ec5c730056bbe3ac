//! What the README shows is what is built.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

#[test]
fn the_program_is_the_example() {
    let readme = read("README.md");
    let (_, rest) = readme.split_once("```rust\n").unwrap();
    let (program, _) = rest.split_once("```\n").unwrap();
    assert_eq!(program, read("examples/minimal/main.rs"));
}

#[test]
fn the_test_command_is_marked() {
    let readme = read("README.md");
    let (_, rest) = readme.split_once("<!-- test command -->\n```sh\n").unwrap();
    assert_eq!(rest.lines().next(), Some("cargo test --workspace"));
}
