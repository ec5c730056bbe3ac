//! A line service on tokio-uring, and the WebSocket port that it has gained.
//!
//! `tokio_uring [address] [address]`: the first is the line service's, the second the port's. Both
//! answer `count` with how often the service's own timer has rung, and all else in upper case.

use std::cell::Cell;
use std::error::Error;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use ringwire::{Config, Connection, Handler, Message, Server};
use tokio_uring::net::{TcpListener, TcpStream};

/// What both services answer from: one thread, so no locks.
type Count = Rc<Cell<u64>>;

/// Bytes of a line at most. Who sends a longer one is let go.
const LINE_SIZE_MAX: usize = 4096;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut address = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    let lines: SocketAddr = address("127.0.0.1:9100").parse()?;
    let web: SocketAddr = address("127.0.0.1:9101").parse()?;
    tokio_uring::start(async {
        let count = Count::default();
        tokio_uring::spawn(ring(Rc::clone(&count)));

        // The port: these lines, and the handler below.
        let server = Server::bind(web, Config { workers: 1, ..Config::default() })?;
        let (web, asked) = (server.address(), Rc::clone(&count));
        tokio_uring::spawn(async move {
            if let Err(error) = server.host_on_tokio_uring(|_worker| Port(asked)).await {
                let _told = writeln!(io::stderr(), "no WebSocket port: {error}");
            }
        });

        let listener = TcpListener::bind(lines)?;
        let web = web.map(|address| address.to_string()).unwrap_or_default();
        writeln!(io::stdout(), "lines on {}, WebSocket on {web}", listener.local_addr()?)?;
        loop {
            let (stream, _peer) = listener.accept().await?;
            tokio_uring::spawn(serve(stream, Rc::clone(&count)));
        }
    })
}

/// The handler of the WebSocket port.
struct Port(Count);

impl Handler for Port {
    type State = ();

    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        let reply = answer(message.as_bytes(), &self.0);
        connection.send(String::from_utf8_lossy(&reply).as_ref());
    }
}

/// The service's own timer, which nobody may keep waiting.
async fn ring(count: Count) {
    loop {
        tokio::time::sleep(Duration::from_millis(10)).await;
        count.set(count.get() + 1);
    }
}

/// One connection of the line service.
async fn serve(stream: TcpStream, count: Count) -> io::Result<()> {
    let mut waiting = Vec::new();
    let mut buffer = vec![0; LINE_SIZE_MAX];
    loop {
        let (size, filled) = stream.read(buffer).await;
        buffer = filled;
        let read = buffer.get(..size?).unwrap_or_default();
        if read.is_empty() || waiting.len() + read.len() > 2 * LINE_SIZE_MAX {
            return Ok(());
        }
        waiting.extend_from_slice(read);
        let Some(end) = waiting.iter().rposition(|byte| *byte == b'\n') else { continue };
        let lines = waiting.get(..end).unwrap_or_default().split(|byte| *byte == b'\n');
        let replies: Vec<u8> =
            lines.flat_map(|line| [answer(line, &count), vec![b'\n']].concat()).collect();
        waiting.drain(..=end);
        stream.write_all(replies).await.0?;
    }
}

fn answer(question: &[u8], count: &Cell<u64>) -> Vec<u8> {
    if question == b"count" {
        return count.get().to_string().into_bytes();
    }
    question.to_ascii_uppercase()
}
