//! Compiles uWebSockets and the server that uses it, as uWebSockets' own makefile would for this
//! machine: its event loop on epoll, without TLS, without zlib, optimised as one unit.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The package that carries the source.
const CARRIER: &str = "/libuwebsockets-sys-0.0.10/Cargo.toml";

const OPTIONS: [&str; 4] = ["-O3", "-march=native", "-flto=auto", "-DLIBUS_NO_SSL"];

fn main() -> Result<(), Box<dyn Error>> {
    const SERVER: &str = "src/uwebsockets.cpp";
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={SERVER}");
    let source = source()?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let sockets = source.join("uSockets/src");
    let mut objects = Vec::new();
    for folder in ["", "eventing"] {
        for entry in fs::read_dir(sockets.join(folder))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "c") {
                let name = path.file_stem().ok_or("a file has a name")?;
                let object = out.join(name).with_extension("o");
                let mut compiler = Command::new("gcc");
                compiler.args(OPTIONS).arg("-std=c11").arg("-I").arg(&sockets);
                run(compiler.arg("-c").arg(&path).arg("-o").arg(&object))?;
                objects.push(object);
            }
        }
    }
    let program = out.join("uwebsockets");
    let mut compiler = Command::new("g++");
    compiler.args(OPTIONS).args(["-std=c++20", "-DUWS_NO_ZLIB", "-pthread", "-w"]);
    compiler.arg("-I").arg(source.join("src")).arg("-I").arg(&sockets);
    run(compiler.arg(SERVER).args(&objects).arg("-o").arg(&program))?;
    println!("cargo:rustc-env=UWEBSOCKETS={}", program.display());
    Ok(())
}

/// Where cargo has unpacked the source.
fn source() -> Result<PathBuf, Box<dyn Error>> {
    let output = Command::new(env::var("CARGO")?)
        .args(["metadata", "--format-version", "1", "--locked", "--manifest-path"])
        .arg(Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("Cargo.toml"))
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    // A string of JSON; there is no escape in a path of cargo's own.
    let text = String::from_utf8(output.stdout)?;
    let end = text.find(CARRIER).ok_or("cargo does not know the package with the source")?;
    let start = text[..end].rfind('"').map_or(0, |quote| quote + 1);
    let folder = &text[start..end + CARRIER.len()];
    Ok(Path::new(folder).with_file_name("uWebSockets"))
}

fn run(command: &mut Command) -> Result<(), Box<dyn Error>> {
    let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}
