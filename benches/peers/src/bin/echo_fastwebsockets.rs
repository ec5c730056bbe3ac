//! An echo with fastwebsockets, after its example `echo_server`: hyper's upgrade, whole messages by
//! `FragmentCollector`, a task that is not made to yield, vectored writes, and a close and a ping
//! that it answers itself. Its feature `simd` is on.
//!
//! It writes every frame to its stream at once, and says that one that is buffered is flushed by
//! the application. So the stream gathers the frames of a burst, which costs one system call then,
//! not one for each; hyper's own, which is boxed, is taken off the socket. It has no compression.

use std::error::Error;

use fastwebsockets::upgrade::upgrade;
use fastwebsockets::{FragmentCollector, OpCode, Role, WebSocket, WebSocketError};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::{OnUpgrade, on};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use mimalloc::MiMalloc;
use ringwire_fanout_peers::burst::Burst;
use ringwire_fanout_peers::order::announce;
use ringwire_fanout_peers::upgraded::stream_of;
use ringwire_fanout_peers::word;
use tokio::net::TcpListener;
use tokio::task::unconstrained;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    word::refuse_compressed();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    announce(listener.local_addr()?.port())?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let connection = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service_fn(answer))
            .with_upgrades();
        tokio::spawn(connection);
    }
}

/// Answers a request, and serves whom it upgrades.
async fn answer(mut request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, WebSocketError> {
    let upgraded = on(&mut request);
    let (response, _) = upgrade(&mut request)?;
    tokio::spawn(unconstrained(serve(upgraded)));
    Ok(response)
}

/// Its errors are those of a connection that has ended.
async fn serve(upgraded: OnUpgrade) -> Result<(), Box<dyn Error + Send + Sync>> {
    let stream = Burst::new(stream_of(upgraded).await?);
    let mut socket = WebSocket::after_handshake(stream, Role::Server);
    socket.set_writev(true);
    socket.set_auto_close(true);
    socket.set_auto_pong(true);
    let mut messages = FragmentCollector::new(socket);
    loop {
        let message = messages.read_frame().await?;
        match message.opcode {
            OpCode::Text | OpCode::Binary => messages.write_frame(message).await?,
            OpCode::Close => break,
            _ => {}
        }
    }
    Ok(tokio::io::AsyncWriteExt::shutdown(&mut messages.into_inner()).await?)
}
