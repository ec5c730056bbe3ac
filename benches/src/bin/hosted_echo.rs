//! An echo in another runtime, in a process of its own: this engine's, or what the same runtime
//! takes for the same bytes by itself.
//!
//! `hosted_echo tokio|tokio-uring|beside-tokio-uring|bare-tokio-uring [compressed]`: prints its
//! port, and ends when its input does. It is not `echo_server`, so that the engine is built for
//! that one as it is for who hosts nothing.

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use mimalloc::MiMalloc;
use ringwire::Server;
use ringwire_benches::echo::{Echo, config, refuse_compression};
use ringwire_benches::order::announce;
use ringwire_benches::{host, system};
use tokio_uring::net::{TcpListener, TcpStream};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const USAGE: &str =
    "hosted_echo tokio|tokio-uring|beside-tokio-uring|bare-tokio-uring [compressed]";

/// Bytes that the bare echo receives at a time: as many as a receive buffer of the engine has.
const BUFFER_SIZE: usize = 32 << 10;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match serve(&words) {
        Ok(code) => code,
        Err(error) => {
            let _told = writeln!(io::stderr(), "hosted_echo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(words: &[&str]) -> Result<ExitCode, Box<dyn Error>> {
    let _limit = system::raise_descriptors();
    match words {
        ["tokio", rest @ ..] => on_tokio(is_compressed(rest)?)?,
        ["tokio-uring", rest @ ..] => on_tokio_uring(is_compressed(rest)?)?,
        ["beside-tokio-uring", rest @ ..] => beside_tokio_uring(is_compressed(rest)?)?,
        ["bare-tokio-uring"] => bare()?,
        ["bare-tokio-uring", "compressed"] => return Ok(refuse_compression()?),
        _ => return Err(USAGE.into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn is_compressed(options: &[&str]) -> Result<bool, &'static str> {
    match options {
        [] => Ok(false),
        ["compressed"] => Ok(true),
        _ => Err(USAGE),
    }
}

/// Serves on a `tokio` runtime until its input is closed.
fn on_tokio(compressed: bool) -> Result<(), Box<dyn Error>> {
    let (server, port) = bind(compressed)?;
    host::on_tokio(server, Echo, || announce(port))
}

/// Serves on a `tokio-uring` runtime, by a ring of its own, until its input is closed.
fn beside_tokio_uring(compressed: bool) -> Result<(), Box<dyn Error>> {
    let (server, port) = bind(compressed)?;
    host::beside_tokio_uring(server, Echo, || announce(port))
}

/// Serves by the ring of a `tokio-uring` runtime until its input is closed.
fn on_tokio_uring(compressed: bool) -> Result<(), Box<dyn Error>> {
    let (server, port) = bind(compressed)?;
    host::on_tokio_uring(server, Echo, || announce(port))
}

fn bind(compressed: bool) -> Result<(Server, u16), Box<dyn Error>> {
    let server = Server::bind("127.0.0.1:0", config(compressed))?;
    let port = server.address().ok_or("it listens on no address")?.port();
    Ok((server, port))
}

/// Echoes bytes, as any program of that runtime would.
fn bare() -> Result<(), Box<dyn Error>> {
    tokio_uring::start(async {
        let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
        announce(listener.local_addr()?.port())?;
        loop {
            let (stream, _peer) = listener.accept().await?;
            stream.set_nodelay(true)?;
            // A peer that breaks off is no fault of the echo's.
            tokio_uring::spawn(echo(stream));
        }
    })
}

async fn echo(stream: TcpStream) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(BUFFER_SIZE);
    loop {
        buffer.clear();
        let (size, filled) = stream.read(buffer).await;
        if size? == 0 {
            return Ok(());
        }
        let (sent, back) = stream.write_all(filled).await;
        sent?;
        buffer = back;
    }
}
