//! One flush for each burst: what echoes the messages of one read leaves in one write.
//!
//! It leaves when no further message can be had without waiting for the peer. For those whose
//! documentation leaves the moment of a flush to the application.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, BufWriter, ReadBuf};
use tokio::net::TcpStream;

/// What comes next of a connection. What was fed to it is flushed before it waits; where that
/// fails, the connection ends.
pub async fn next<S, M>(socket: &mut S) -> Option<S::Item>
where
    S: Stream + Sink<M> + Unpin,
{
    poll_fn(|context| {
        if let Poll::Ready(item) = socket.poll_next_unpin(context) {
            return Poll::Ready(item);
        }
        match ready!(socket.poll_flush_unpin(context)) {
            Ok(()) => Poll::Pending,
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}

/// Appends everything that can be had of a connection without waiting, and waits for the first of
/// it. For those who flush before they read. `false`: there is nothing more.
pub async fn take<S>(socket: &mut S, into: &mut Vec<S::Item>) -> bool
where
    S: Stream + Unpin,
{
    poll_fn(|context| {
        while into.len() < MESSAGES_MAX {
            match socket.poll_next_unpin(context) {
                Poll::Ready(Some(item)) => into.push(item),
                Poll::Ready(None) => return Poll::Ready(!into.is_empty()),
                Poll::Pending if into.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(true)
    })
    .await
}

/// Messages of a burst that are taken before they are answered.
const MESSAGES_MAX: usize = 128;

/// A socket that gathers what is written, for a peer that writes each frame by itself. It is
/// written in one go when it is time to wait for more input, or when it is more than the buffer
/// holds; what is larger than the buffer is not copied.
#[derive(Debug)]
pub struct Burst(BufWriter<TcpStream>);

/// Bytes that are gathered: what uWebSockets gathers as well, and larger than a burst of small
/// messages.
const SIZE: usize = 16 << 10;

impl Burst {
    /// Gathers what is written to `stream`.
    #[must_use]
    pub fn new(stream: TcpStream) -> Self {
        Self(BufWriter::with_capacity(SIZE, stream))
    }
}

impl AsyncRead for Burst {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.0).poll_read(context, buffer);
        if read.is_pending() && !self.0.buffer().is_empty() {
            // It has told the context when there is more to read.
            ready!(Pin::new(&mut self.0).poll_flush(context))?;
        }
        read
    }
}

impl AsyncWrite for Burst {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
