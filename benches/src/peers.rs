//! The servers by others that stand in the folder `peers`, a workspace of its own.

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds all of them, as their users would who want them fast.
///
/// # Errors
/// What keeps the compilers from being run, or that they failed.
pub fn build() -> Result<(), Box<dyn Error>> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/Cargo.toml");
    let status = Command::new(env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()))
        .args(["build", "--release", "--locked", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(folder())
        .env("RUSTFLAGS", "-C target-cpu=native")
        .status()?;
    if status.success() { Ok(()) } else { Err("the peers cannot be built".into()) }
}

/// Where one of them is, once it has been built. It prints its port, and ends with its input. The
/// argument of one that fans out says how many bytes may wait for a subscriber; one that echoes is
/// called `echo_NAME`, and takes the word `compressed`.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    folder().join("release").join(name)
}

/// Beside the folder of this program.
fn folder() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from);
    target.join("peers")
}
