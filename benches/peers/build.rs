//! Compiles uWebSockets and the servers that use it, as uWebSockets' own makefile would for this
//! machine: its event loop on epoll, without TLS, optimised as one unit.
//!
//! The fan-out has no compression compiled in. The echo has: zlib, and libdeflate where the shared
//! compressor can use that, which is quicker. Cargo builds both of what their packages carry.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The package that carries the source.
const CARRIER: &str = "/libuwebsockets-sys-0.0.10/Cargo.toml";

const OPTIONS: [&str; 4] = ["-O3", "-march=native", "-flto=auto", "-DLIBUS_NO_SSL"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    let source = source()?;
    let sockets = source.join("uSockets/src");
    let objects = sockets_objects(&sockets)?;
    let include = [source.join("src"), sockets];
    program("uwebsockets", &include, &objects, &["-DUWS_NO_ZLIB".to_owned()])?;
    let (zlib, libdeflate) =
        (Library::new("Z", "libz.a")?, Library::new("LIBDEFLATE", "libdeflate.a")?);
    let compression = [
        "-DUWS_USE_LIBDEFLATE".to_owned(),
        format!("-I{}", zlib.include),
        format!("-I{}", libdeflate.include),
        zlib.archive,
        libdeflate.archive,
    ];
    program("echo_uwebsockets", &include, &objects, &compression)
}

/// Compiles what uWebSockets stands on.
fn sockets_objects(sockets: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut objects = Vec::new();
    for folder in ["", "eventing"] {
        for entry in fs::read_dir(sockets.join(folder))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "c") {
                let name = path.file_stem().ok_or("a file has a name")?;
                let object = out.join(name).with_extension("o");
                let mut compiler = Command::new("gcc");
                compiler.args(OPTIONS).arg("-std=c11").arg("-I").arg(sockets);
                run(compiler.arg("-c").arg(&path).arg("-o").arg(&object))?;
                objects.push(object);
            }
        }
    }
    Ok(objects)
}

/// Compiles `src/NAME.cpp`, and tells the program of this name where it is.
fn program(
    name: &str,
    include: &[PathBuf],
    objects: &[PathBuf],
    options: &[String],
) -> Result<(), Box<dyn Error>> {
    let source = format!("src/{name}.cpp");
    println!("cargo:rerun-if-changed={source}");
    let out = PathBuf::from(env::var("OUT_DIR")?).join(name);
    let mut compiler = Command::new("g++");
    compiler.args(OPTIONS).args(["-std=c++20", "-pthread", "-w"]);
    for folder in include {
        compiler.arg("-I").arg(folder);
    }
    // Archives last: they give what stands before them.
    run(compiler.arg(source).args(objects).args(options).arg("-o").arg(&out))?;
    println!("cargo:rustc-env={}={}", name.to_uppercase(), out.display());
    Ok(())
}

/// A library that another package has built.
struct Library {
    include: String,
    archive: String,
}

impl Library {
    fn new(name: &str, file: &str) -> Result<Self, Box<dyn Error>> {
        let include = env::var(format!("DEP_{name}_INCLUDE"))?;
        let root = PathBuf::from(env::var(format!("DEP_{name}_ROOT"))?);
        let archive = ["lib", ""].iter().map(|folder| root.join(folder).join(file));
        let archive = archive.into_iter().find(|path| path.exists()).ok_or("no archive")?;
        Ok(Self { include, archive: archive.display().to_string() })
    }
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
