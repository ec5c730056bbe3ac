//! A server of one worker in a runtime that has nothing else to do.

use std::error::Error;
use std::io;

use ringwire::{Handler, Server};
use tokio::task::{LocalSet, spawn_local, yield_now};

/// Serves on a `tokio` runtime until it is stopped. `told` is called once it does.
///
/// # Errors
/// Why it does not serve; what `told` says.
pub fn on_tokio(
    server: Server,
    handler: impl Handler + 'static,
    told: impl FnOnce() -> io::Result<()>,
) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, serve(server.host_on_tokio(|_worker| handler), told))
}

/// Serves on a `tokio-uring` runtime by a ring of the engine's own, until it is stopped. `told` is
/// called once it does.
///
/// # Errors
/// Why it does not serve; what `told` says.
pub fn beside_tokio_uring(
    server: Server,
    handler: impl Handler + 'static,
    told: impl FnOnce() -> io::Result<()>,
) -> Result<(), Box<dyn Error>> {
    tokio_uring::start(serve(server.host_on_tokio(|_worker| handler), told))
}

/// Serves by the ring of a `tokio-uring` runtime until it is stopped. `told` is called once it
/// does.
///
/// # Errors
/// Why it does not serve; what `told` says.
pub fn on_tokio_uring(
    server: Server,
    handler: impl Handler + 'static,
    told: impl FnOnce() -> io::Result<()>,
) -> Result<(), Box<dyn Error>> {
    tokio_uring::start(serve(server.host_on_tokio_uring(|_worker| handler), told))
}

async fn serve(
    hosted: impl Future<Output = Result<(), ringwire::Error>> + 'static,
    told: impl FnOnce() -> io::Result<()>,
) -> Result<(), Box<dyn Error>> {
    let hosted = spawn_local(hosted);
    // Its first turn, in which it gets all that it needs of the system.
    yield_now().await;
    told()?;
    Ok(hosted.await??)
}
