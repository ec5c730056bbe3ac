//! Instructions of a function of this program, counted by callgrind: neither how fast the machine
//! is nor what else it does changes the result.

use std::error::Error;
use std::process::Command;
use std::{env, io};

/// For `GLIBC_TUNABLES`: lets the C library copy and clear with loops of vectors, whatever the
/// size. An instruction that copies a whole block counts under valgrind as one for each byte.
pub const LOOPS: &str = "glibc.cpu.x86_rep_movsb_threshold=1000000000:\
                     glibc.cpu.x86_rep_stosb_threshold=1000000000";

/// How test programs say that they were skipped.
pub const SKIPPED: u8 = 77;

/// Whether there is a valgrind.
#[must_use]
pub fn is_there() -> bool {
    Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Runs this program with `arguments` under callgrind. The instructions of `function`, which the
/// program calls once, and what the program has printed.
///
/// # Errors
/// The program failed, or no instruction was counted.
pub fn count(function: &str, arguments: &[&str]) -> Result<(u64, String), Box<dyn Error>> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--toggle-collect={function}"))
        .arg(env::current_exe()?)
        .args(arguments)
        .env("GLIBC_TUNABLES", LOOPS)
        .output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    let number = |line: &str| line.split_once("Collected : ")?.1.trim().parse().ok();
    let instructions = told.lines().find_map(number).filter(|&count| count > 0);
    let (Some(instructions), true) = (instructions, output.status.success()) else {
        return Err(io::Error::other(format!("{arguments:?}: {told}")).into());
    };
    Ok((instructions, String::from_utf8(output.stdout)?))
}
