//! An echo with wtx: the reader and the writer of one connection, which it has for sending back
//! what was received, and payloads that are not copied where that can be. `optimization` is on,
//! and the receive buffer is there from the start, which it says matters most; the task is not made
//! to yield.
//!
//! It writes every frame to its stream at once. So the stream gathers the frames of a burst, which
//! costs one system call then, not one for each.
//!
//! Its compression is left out, because it does not echo all that the others do: of a message that
//! DEFLATE makes more than 128 bytes larger the end is cut off, as it is of 64 KiB of noise, and a
//! thousand equal bytes end the connection.

use std::error::Error;
use std::io::IoSlice;

use mimalloc::MiMalloc;
use ringwire_fanout_peers::burst::Burst;
use ringwire_fanout_peers::order::announce;
use ringwire_fanout_peers::word;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::unconstrained;
use wtx::collection::Vector;
use wtx::stream::{StreamReader, StreamWriter};
use wtx::web_socket::{OpCode, WebSocketAcceptor, WebSocketBuffer, WebSocketPayloadOrigin};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// As large as those of others.
const RECEIVE_BUFFER: usize = 128 << 10;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    word::refuse_compressed();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    announce(listener.local_addr()?.port())?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(unconstrained(serve(stream)));
    }
}

/// Its errors are those of a connection that has ended.
async fn serve(stream: TcpStream) -> wtx::Result<()> {
    let buffer = WebSocketBuffer::with_capacity(RECEIVE_BUFFER, 0, 0)?;
    let acceptor = WebSocketAcceptor::default().wsb(buffer);
    let mut stream = Gathering(Burst::new(stream));
    let mut socket = acceptor.accept(&mut stream).await?;
    let (mut common, mut reader, mut writer) = socket.split_mut();
    let mut buffer = Vector::new();
    loop {
        let origin = WebSocketPayloadOrigin::Adaptive;
        let mut message = reader.read_frame(&mut buffer, &mut common, origin).await?;
        match message.op_code() {
            OpCode::Text | OpCode::Binary => writer.write_frame(&mut common, &mut message).await?,
            // It has been answered.
            OpCode::Close => break,
            _ => {}
        }
    }
    Ok(stream.0.shutdown().await?)
}

/// The stream, as wtx has it.
struct Gathering(Burst);

impl StreamReader for Gathering {
    async fn read(&mut self, bytes: &mut [u8]) -> wtx::Result<usize> {
        Ok(self.0.read(bytes).await?)
    }
}

impl StreamWriter for Gathering {
    async fn write_all(&mut self, bytes: &[u8]) -> wtx::Result<()> {
        Ok(self.0.write_all(bytes).await?)
    }

    async fn write_all_vectored(&mut self, bytes: &[&[u8]]) -> wtx::Result<()> {
        // A header and a payload, at most with what belongs to neither.
        let mut slices = [IoSlice::new(&[]); 8];
        for (slice, bytes) in slices.iter_mut().zip(bytes) {
            *slice = IoSlice::new(bytes);
        }
        let mut slices = slices.get_mut(..bytes.len()).ok_or(wtx::Error::VectoredWriteOverflow)?;
        while !slices.is_empty() {
            match self.0.write_vectored(slices).await? {
                0 => return Err(wtx::Error::UnexpectedStreamWriteEOF),
                size => IoSlice::advance_slices(&mut slices, size),
            }
        }
        Ok(())
    }
}
