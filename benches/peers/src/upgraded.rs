//! The socket of a connection that hyper has upgraded.
//!
//! hyper hands it over in a box. Who takes it out saves a call through a table at each read and
//! write, and has vectored writes.

use std::error::Error;

use hyper::upgrade::{OnUpgrade, Parts};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Takes it out.
///
/// # Errors
/// The connection has ended; the peer has said more than its request before it was answered.
pub async fn stream_of(upgraded: OnUpgrade) -> Result<TcpStream, Box<dyn Error + Send + Sync>> {
    let socket = upgraded.await?.downcast::<TokioIo<TcpStream>>();
    let Parts { io, read_buf, .. } = socket.map_err(|_| "it is not the socket")?;
    if read_buf.is_empty() {
        Ok(io.into_inner())
    } else {
        Err("it has spoken before it was answered".into())
    }
}
