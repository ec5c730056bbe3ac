//! tokio-tungstenite: a task for each connection, and a broadcast channel of tokio's between them,
//! which is a ring of messages shared by all. A task takes all that waits and flushes once.

use std::error::Error;

use futures_util::{SinkExt, StreamExt};
use mimalloc::MiMalloc;
use ringwire_fanout_peers::order::{Order, Series, announce};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, mpsc};
use tokio_tungstenite::tungstenite::{self, Message};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Messages that the channel holds: who falls behind by more misses the oldest.
const WAITING_MAX: usize = 256;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    announce(listener.local_addr()?.port())?;
    let (publisher, _) = broadcast::channel(WAITING_MAX);
    let (orders, mut asked) = mpsc::unbounded_channel::<Order>();
    let subscribe = publisher.clone();
    tokio::spawn(async move {
        let mut series = Series::default();
        while let Some(Order { count, size }) = asked.recv().await {
            for _ in 0..count {
                let _reached = publisher.send(Message::binary(series.message(size)));
            }
        }
    });
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve(stream, subscribe.subscribe(), orders.clone()));
    }
}

/// Its errors are those of a connection that has ended.
async fn serve(
    stream: TcpStream,
    mut messages: broadcast::Receiver<Message>,
    orders: mpsc::UnboundedSender<Order>,
) -> Result<(), Box<tungstenite::Error>> {
    stream.set_nodelay(true).map_err(tungstenite::Error::from)?;
    let mut socket = tokio_tungstenite::accept_async(stream).await?;
    loop {
        tokio::select! {
            received = messages.recv() => {
                match received {
                    Ok(message) => socket.feed(message).await?,
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return Ok(()),
                }
                loop {
                    match messages.try_recv() {
                        Ok(message) => socket.feed(message).await?,
                        Err(TryRecvError::Lagged(_)) => {}
                        Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                    }
                }
                socket.flush().await?;
            }
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    if let Some(order) = Order::parse(&text) {
                        let _sent = orders.send(order);
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(()),
            },
        }
    }
}
