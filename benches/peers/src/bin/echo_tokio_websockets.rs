//! An echo with tokio-websockets: its stream and sink. Its stream flushes before it reads whatever
//! was fed, so the messages of a burst are taken first, then fed, and flushed once. For that the
//! threshold at which the sink flushes by itself is raised from 8 KiB. It has no compression.

use std::error::Error;

use futures_util::SinkExt;
use mimalloc::MiMalloc;
use ringwire_fanout_peers::order::announce;
use ringwire_fanout_peers::{burst, word};
use tokio::net::{TcpListener, TcpStream};
use tokio_websockets::{Config, ServerBuilder};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// As large as the buffers of others.
const FLUSH_THRESHOLD: usize = 64 << 10;

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
async fn serve(stream: TcpStream) -> Result<(), tokio_websockets::Error> {
    stream.set_nodelay(true)?;
    let config = Config::default().flush_threshold(FLUSH_THRESHOLD);
    let (_, mut socket) = ServerBuilder::new().config(config).accept(stream).await?;
    let mut messages = Vec::new();
    while burst::take(&mut socket, &mut messages).await {
        for message in messages.drain(..) {
            let message = message?;
            if message.is_text() || message.is_binary() {
                socket.feed(message).await?;
            }
        }
        socket.flush().await?;
    }
    Ok(())
}
