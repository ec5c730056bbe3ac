//! An echo of bytes, with no WebSocket at all: what an engine on such a ring could come to at best.
//!
//! It is driven as the engine is: what a turn has received for a connection leaves in one send,
//! and one is in flight at most. Each byte is copied once, from the receive buffer to where the
//! kernel reads it, so that the buffer is free at the end of the turn.

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use ringwire_benches::order::announce;
use socket2::{Domain, Socket, Type};

use crate::ring::{Completion, Lease, Ring};

/// Connections that may wait to be accepted, as in the engine.
const BACKLOG: i32 = 4096;

/// Bytes that may wait for a peer, as in the engine. More end its connection.
const WAITING_MAX: usize = 64 << 20;

/// Serves until its input is closed.
pub(crate) fn serve(spin: Duration) -> Result<(), Box<dyn Error>> {
    let listener = listen()?;
    announce(listener.local_addr()?.port())?;
    let mut echo = Echo {
        ring: Ring::new(listener)?,
        connections: Vec::new(),
        free: Vec::new(),
        dirty: Vec::new(),
    };
    echo.ring.accept()?;
    let mut completions = Vec::new();
    loop {
        echo.ring.wait(spin, &mut completions)?;
        for completion in completions.drain(..) {
            echo.complete(completion)?;
        }
        echo.send_all()?;
    }
}

fn listen() -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    // The accepted ones have it of the listener.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

struct Echo {
    // Dropped first: it uses what the connections have.
    ring: Ring,
    /// Each at its slot, which is free again when nothing of it is in flight.
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    /// Slots of connections that something has happened to in this turn.
    dirty: Vec<usize>,
}

struct Connection {
    stream: TcpStream,
    /// What has been received and is not in flight.
    waiting: Vec<u8>,
    is_dirty: bool,
    is_receiving: bool,
    is_sending: bool,
    /// The peer has ended, or has gone.
    has_ended: bool,
}

impl Echo {
    fn complete(&mut self, completion: Completion) -> io::Result<()> {
        match completion {
            Completion::Accepted { stream, more } => {
                self.open(stream?)?;
                if !more {
                    self.ring.accept()?;
                }
            }
            Completion::Received { slot, result, lease, more } => {
                self.on_receive(slot, result, lease, more)?;
            }
            Completion::Sent { slot, result, bytes, from } => {
                self.on_send(slot, result, bytes, from)?;
            }
        }
        Ok(())
    }

    fn open(&mut self, stream: TcpStream) -> io::Result<()> {
        let slot = self.free.pop().unwrap_or(self.connections.len());
        if slot == self.connections.len() {
            self.connections.push(None);
        }
        self.ring.receive(slot, &stream)?;
        self.connections[slot] = Some(Connection {
            stream,
            waiting: Vec::new(),
            is_dirty: false,
            is_receiving: true,
            is_sending: false,
            has_ended: false,
        });
        Ok(())
    }

    /// A buffer with bytes, or the end of the peer's.
    fn on_receive(
        &mut self,
        slot: usize,
        result: io::Result<usize>,
        lease: Option<Lease>,
        more: bool,
    ) -> io::Result<()> {
        let Some(connection) = &mut self.connections[slot] else { return Ok(()) };
        connection.is_receiving = more;
        if let Some(lease) = lease {
            connection.waiting.extend_from_slice(self.ring.bytes(&lease));
            self.ring.put_back(lease);
        }
        match result {
            Ok(0) => connection.has_ended = true,
            Ok(_) if connection.waiting.len() > WAITING_MAX => connection.fail(),
            Ok(_) => {}
            // All buffers were lent. They no longer are when this turn ends.
            Err(error) if error.raw_os_error() == Some(ENOBUFS) => {}
            Err(_) => connection.fail(),
        }
        if !connection.is_receiving && !connection.has_ended {
            self.ring.receive(slot, &connection.stream)?;
            connection.is_receiving = true;
        }
        self.touch(slot);
        Ok(())
    }

    /// The kernel has taken bytes; those that it has not go again, before all others.
    fn on_send(
        &mut self,
        slot: usize,
        result: io::Result<usize>,
        mut bytes: Vec<u8>,
        from: usize,
    ) -> io::Result<()> {
        let Some(connection) = &mut self.connections[slot] else { return Ok(()) };
        connection.is_sending = false;
        match result {
            Ok(size) if from + size < bytes.len() => {
                self.ring.send(slot, &connection.stream, bytes, from + size)?;
                connection.is_sending = true;
            }
            Ok(_) if connection.waiting.is_empty() => {
                // Its memory is used again.
                bytes.clear();
                connection.waiting = bytes;
            }
            Ok(_) => {}
            Err(_) => connection.fail(),
        }
        self.touch(slot);
        Ok(())
    }

    fn touch(&mut self, slot: usize) {
        if let Some(connection) = &mut self.connections[slot]
            && !connection.is_dirty
        {
            connection.is_dirty = true;
            self.dirty.push(slot);
        }
    }

    /// One send for each connection that has something to send, and an end for those that ended.
    fn send_all(&mut self) -> io::Result<()> {
        for slot in self.dirty.drain(..) {
            let Some(connection) = &mut self.connections[slot] else { continue };
            connection.is_dirty = false;
            if connection.is_sending {
                continue;
            }
            if !connection.waiting.is_empty() {
                let bytes = std::mem::take(&mut connection.waiting);
                self.ring.send(slot, &connection.stream, bytes, 0)?;
                connection.is_sending = true;
            } else if connection.has_ended && !connection.is_receiving {
                self.connections[slot] = None;
                self.free.push(slot);
            }
        }
        Ok(())
    }
}

impl Connection {
    /// Nothing more can be sent. What is in flight completes soon.
    fn fail(&mut self) {
        self.has_ended = true;
        self.waiting.clear();
        // It fails where the peer has ended both directions.
        let _ended = self.stream.shutdown(Shutdown::Both);
    }
}

/// The system's number for buffers that have run out.
const ENOBUFS: i32 = 105;
