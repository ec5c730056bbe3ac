//! uWebSockets: becomes the program that the build script has compiled of
//! `src/echo_uwebsockets.cpp`.

use std::env;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let error = Command::new(env!("ECHO_UWEBSOCKETS")).args(env::args_os().skip(1)).exec();
    let _told = writeln!(io::stderr(), "echo_uwebsockets: {error}");
    ExitCode::FAILURE
}
