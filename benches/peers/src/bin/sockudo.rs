//! sockudo-ws: its topics, which give each message to a channel of each subscriber, and a task for
//! each connection. A task takes all that waits and flushes once, as `write_coalescing` asks for.

use std::error::Error;
use std::sync::Arc;

use bytes::BytesMut;
use futures_util::{SinkExt, StreamExt};
use mimalloc::MiMalloc;
use ringwire_fanout_peers::order::{Order, Series, announce};
use sockudo_ws::handshake::{build_response, generate_accept_key, parse_request};
use sockudo_ws::pubsub::PubSub;
use sockudo_ws::{Config, Message, WebSocketStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    announce(listener.local_addr()?.port())?;
    let topics = Arc::new(PubSub::new());
    let (orders, mut asked) = mpsc::unbounded_channel::<Order>();
    let published = topics.clone();
    tokio::spawn(async move {
        let mut series = Series::default();
        while let Some(Order { count, size }) = asked.recv().await {
            for _ in 0..count {
                published.publish("fan", Message::Binary(series.message(size).into()));
            }
        }
    });
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve(stream, topics.clone(), orders.clone()));
    }
}

/// Its errors are those of a connection that has ended.
async fn serve(
    mut stream: TcpStream,
    topics: Arc<PubSub>,
    orders: mpsc::UnboundedSender<Order>,
) -> sockudo_ws::Result<()> {
    stream.set_nodelay(true)?;
    shake_hands(&mut stream).await?;
    let config = Config::builder().idle_timeout(0).auto_ping(false).build();
    let mut socket = WebSocketStream::server(stream, config);
    let (sender, mut messages) = mpsc::unbounded_channel();
    let subscriber = topics.create_subscriber(sender);
    topics.subscribe(subscriber, "fan");
    loop {
        tokio::select! {
            Some(message) = messages.recv() => {
                socket.feed(message).await?;
                while let Ok(message) = messages.try_recv() {
                    socket.feed(message).await?;
                }
                socket.flush().await?;
            }
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    if let Some(order) = str::from_utf8(&text).ok().and_then(Order::parse) {
                        let _sent = orders.send(order);
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => break,
            },
        }
    }
    topics.remove_subscriber(subscriber);
    Ok(())
}

async fn shake_hands(stream: &mut TcpStream) -> sockudo_ws::Result<()> {
    let mut head = BytesMut::with_capacity(4096);
    loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(sockudo_ws::Error::ConnectionClosed);
        }
        if let Some((request, _)) = parse_request(&head)? {
            let key = generate_accept_key(request.key);
            stream.write_all(&build_response(&key, None, None)).await?;
            return Ok(());
        }
    }
}
