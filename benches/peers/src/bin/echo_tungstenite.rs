//! An echo with tokio-tungstenite: its stream and sink, with the buffers of 128 KiB that it
//! recommends for much input and has by default. Messages are fed, and flushed once for a burst. It
//! has no compression.

use std::error::Error;

use futures_util::SinkExt;
use mimalloc::MiMalloc;
use ringwire_fanout_peers::order::announce;
use ringwire_fanout_peers::{burst, word};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    word::refuse_compressed();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    announce(listener.local_addr()?.port())?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve(stream));
    }
}

/// Its errors are those of a connection that has ended.
async fn serve(stream: TcpStream) -> Result<(), Box<tungstenite::Error>> {
    stream.set_nodelay(true).map_err(tungstenite::Error::from)?;
    let mut socket = accept_async(stream).await?;
    while let Some(message) = burst::next(&mut socket).await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            socket.feed(message).await?;
        }
    }
    Ok(())
}
