//! A stream in memory, for those who parse and encode nowhere but on a stream.

use std::io::{self, Read, Write};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wtx::stream::{StreamReader, StreamWriter};

/// Brings the same bytes again and again, and forgets what is written. Each read ends with the
/// bytes at the latest, as one from a socket would.
pub(super) struct Memory {
    bytes: Vec<u8>,
    position: usize,
    written: Vec<u8>,
}

/// What is written is kept up to here, so that it lies in a near cache.
const WRITTEN_SIZE_MAX: usize = 4 << 10;

impl Memory {
    pub(super) fn new(bytes: &[u8]) -> Self {
        let written = Vec::with_capacity(WRITTEN_SIZE_MAX);
        Self { bytes: bytes.to_vec(), position: 0, written }
    }

    /// The next bytes, at most `size`.
    fn advance(&mut self, size: usize) -> &[u8] {
        if self.position == self.bytes.len() {
            self.position = 0;
        }
        let start = self.position;
        self.position = self.bytes.len().min(start + size);
        &self.bytes[start..self.position]
    }

    fn put(&mut self, bytes: &[u8]) {
        if self.written.len() + bytes.len() > WRITTEN_SIZE_MAX {
            self.written.clear();
        }
        self.written.extend_from_slice(bytes);
    }
}

impl Read for Memory {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let bytes = self.advance(to.len());
        to[..bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.put(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Memory {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let size = to.remaining();
        to.put_slice(self.advance(size));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Memory {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.put(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        pieces.iter().for_each(|piece| self.put(piece));
        Poll::Ready(Ok(pieces.iter().map(|piece| piece.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

impl StreamReader for Memory {
    async fn read(&mut self, to: &mut [u8]) -> wtx::Result<usize> {
        let bytes = self.advance(to.len());
        to[..bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }
}

impl StreamWriter for Memory {
    async fn write_all(&mut self, bytes: &[u8]) -> wtx::Result<()> {
        self.put(bytes);
        Ok(())
    }

    async fn write_all_vectored(&mut self, pieces: &[&[u8]]) -> wtx::Result<()> {
        pieces.iter().for_each(|piece| self.put(piece));
        Ok(())
    }
}

/// What a future has at the first poll: nothing on a [`Memory`] waits.
pub(super) fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("memory is always ready"),
    }
}
