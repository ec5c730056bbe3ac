//! An echo with yawc, tuned as its README says that its own comparison was: a read buffer of
//! 128 KiB, 64 KiB that may wait to be written, and one flush for the messages that are ready.
//! hyper's upgrade, off whose box the socket is taken. `simd` is on, and so is the validation of
//! text, which the RFC demands and yawc leaves to the application.
//!
//! Compressed, it has what its documentation has for many connections: no takeover, and a pool, of
//! one compressor, since there is one thread.

use std::error::Error;

use futures_util::SinkExt;
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::header::SEC_WEBSOCKET_EXTENSIONS;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::{OnUpgrade, on};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use mimalloc::MiMalloc;
use ringwire_fanout_peers::order::announce;
use ringwire_fanout_peers::upgraded::stream_of;
use ringwire_fanout_peers::{burst, word};
use tokio::net::TcpListener;
use yawc::{DeflatePool, OpCode, Options, Role, WebSocket, WebSocketError};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const READ_BUFFER: usize = 128 << 10;
const WRITE_BOUNDARY: usize = 64 << 10;

/// Bytes of a message. The limits are exclusive.
const MESSAGE_SIZE_MAX: usize = (16 << 20) + 1;

/// The threshold of its documentation, below which messages are not worth compressing.
const COMPRESSION_THRESHOLD: usize = 64;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = options(word::is_compressed());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    announce(listener.local_addr()?.port())?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let options = options.clone();
        let service = service_fn(move |request| answer(request, options.clone()));
        let connection =
            http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades();
        tokio::spawn(connection);
    }
}

fn options(compressed: bool) -> Options {
    let options = Options::default()
        .with_limits(MESSAGE_SIZE_MAX, MESSAGE_SIZE_MAX)
        .with_read_buffer_capacity(READ_BUFFER)
        .with_backpressure_boundary(WRITE_BOUNDARY)
        .with_utf8();
    if !compressed {
        return options;
    }
    options
        .with_low_latency_compression()
        .server_no_context_takeover()
        .client_no_context_takeover()
        .with_deflate_pool(DeflatePool::new(1))
        .with_compression_threshold(COMPRESSION_THRESHOLD)
}

/// Answers a request, and serves whom it upgrades.
async fn answer(
    mut request: Request<Incoming>,
    options: Options,
) -> Result<Response<Empty<Bytes>>, WebSocketError> {
    let upgraded = on(&mut request);
    let (response, _) = WebSocket::upgrade_with_options(&mut request, options.clone())?;
    let agreed = response.headers().get(SEC_WEBSOCKET_EXTENSIONS);
    let agreed = agreed.and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
    tokio::spawn(serve(upgraded, agreed, options));
    Ok(response)
}

/// Its errors are those of a connection that has ended.
async fn serve(
    upgraded: OnUpgrade,
    agreed: Option<String>,
    options: Options,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let stream = stream_of(upgraded).await?;
    let extensions = agreed.as_deref();
    let mut socket =
        WebSocket::from_stream_with_extensions(stream, Role::Server, extensions, options)?;
    while let Some(message) = burst::next(&mut socket).await {
        if matches!(message.opcode(), OpCode::Text | OpCode::Binary) {
            socket.feed(message).await?;
        }
    }
    Ok(())
}
