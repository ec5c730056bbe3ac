//! An echo with sockudo-ws: the loop that its README gives for Tokio. Messages are fed, and its
//! stream flushes them when it has no further message that was read with them. `simd` is on, timers
//! are off. Compressed, it has the mode `Shared`, which it recommends for many connections.

use std::error::Error;

use bytes::{Bytes, BytesMut};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use mimalloc::MiMalloc;
use ringwire_fanout_peers::order::announce;
use ringwire_fanout_peers::word;
use sockudo_ws::deflate::{DeflateConfig, negotiate_server_deflate};
use sockudo_ws::handshake::{build_response, generate_accept_key, parse_request};
use sockudo_ws::{CompressedWebSocketStream, Compression, Config, Message, Role, WebSocketStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let compression =
        if word::is_compressed() { Compression::Shared } else { Compression::Disabled };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    announce(listener.local_addr()?.port())?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve(stream, compression));
    }
}

/// Its errors are those of a connection that has ended.
async fn serve(mut stream: TcpStream, compression: Compression) -> sockudo_ws::Result<()> {
    stream.set_nodelay(true)?;
    let policy = compression.to_deflate_config();
    let (agreed, rest) = shake_hands(&mut stream, policy.as_ref()).await?;
    let config =
        Config::builder().compression(compression).idle_timeout(0).auto_ping(false).build();
    match agreed {
        Some(deflate) => {
            let socket =
                CompressedWebSocketStream::server_with_leftover(stream, config, deflate, rest);
            echo(socket).await
        }
        None => {
            let socket =
                WebSocketStream::from_raw_with_leftover(stream, Role::Server, config, rest);
            echo(socket).await
        }
    }
}

async fn echo<S>(mut socket: S) -> sockudo_ws::Result<()>
where
    S: Stream<Item = sockudo_ws::Result<Message>>
        + Sink<Message, Error = sockudo_ws::Error>
        + Unpin,
{
    while let Some(message) = socket.next().await {
        match message? {
            message @ (Message::Text(_) | Message::Binary(_)) => socket.feed(message).await?,
            Message::Close(_) => break,
            Message::Ping(_) | Message::Pong(_) => {}
        }
    }
    Ok(())
}

/// What was agreed on for compression, and what the peer has said after its request.
async fn shake_hands(
    stream: &mut TcpStream,
    policy: Option<&DeflateConfig>,
) -> sockudo_ws::Result<(Option<DeflateConfig>, Option<Bytes>)> {
    let mut head = BytesMut::with_capacity(4096);
    loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(sockudo_ws::Error::ConnectionClosed);
        }
        if let Some((request, size)) = parse_request(&head)? {
            let agreed = policy
                .zip(request.extensions)
                .and_then(|(policy, offers)| negotiate_server_deflate(offers, policy));
            let extensions = agreed.as_ref().map(|agreed| agreed.to_response_header());
            let key = generate_accept_key(request.key);
            stream.write_all(&build_response(&key, None, extensions.as_deref())).await?;
            let rest = head.split_off(size).freeze();
            return Ok((agreed.map(|agreed| agreed.config), Some(rest)));
        }
    }
}
