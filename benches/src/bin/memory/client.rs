//! A client's side of a connection: it opens, and exchanges one message when it is told to.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::time::Duration;

use ringwire_protocol::deflate::{self, Offer, Policy};
use ringwire_protocol::handshake::ClientRequest;
use ringwire_protocol::{Event, Limits, Payload, Receiver, Role, Sender, Workspace};
use socket2::{Domain, Socket, Type};

use crate::result::Result;

/// How long anything on the loopback may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connections from one address: there are 28,232 ports for each by default, and some are taken.
const PER_ADDRESS: usize = 4_000;

/// An open connection.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    sender: Sender,
    receiver: Receiver,
}

/// What all clients share.
pub(crate) fn workspace() -> Workspace {
    // A mask protects the proxies on the way, and there are none.
    Workspace::new(Limits::default()).with_masking_keys(|| [1, 2, 3, 4])
}

impl Client {
    /// Opens the connection of this number, and offers compression.
    pub(crate) fn open(server: SocketAddr, number: usize) -> Result<Self> {
        let host = u8::try_from(1 + number / PER_ADDRESS).map_err(|_| "too many connections")?;
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        let source = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, host), 0);
        socket.bind(&SocketAddr::V4(source).into())?;
        socket.connect_timeout(&server.into(), PATIENCE)?;
        let mut stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;

        let offer = Offer::default();
        let extensions = offer.offer_header();
        let request = ClientRequest {
            extensions: Some(&extensions),
            ..ClientRequest::new("localhost", "/", *b"the sample nonce")
        };
        let mut bytes = Vec::new();
        request.encode(&mut bytes).map_err(|misuse| format!("{misuse:?}"))?;
        stream.write_all(&bytes)?;
        let head = read_head(&mut stream)?;
        let accepted = request.verify(&head)?;
        let (mut sender, mut receiver) = (Sender::new(Role::Client), Receiver::new(Role::Client));
        if let Some(agreed) = deflate::accept(accepted.extensions(), &offer)? {
            sender = sender.with_deflate(&agreed, &Policy::default());
            receiver = receiver.with_deflate(&agreed, u32::MAX);
        }
        Ok(Self { stream, sender, receiver })
    }

    /// Sends a message and reads its echo.
    pub(crate) fn exchange(&mut self, message: &str, workspace: &mut Workspace) -> Result<()> {
        let Self { stream, sender, receiver } = self;
        let mut out = Vec::new();
        let payload = Payload::Text(message);
        sender.message(payload, workspace, &mut out).map_err(|misuse| format!("{misuse:?}"))?;
        stream.write_all(&out)?;
        let mut buffer = [0; 16 << 10];
        loop {
            let size = stream.read(&mut buffer)?;
            let mut input = buffer.get_mut(..size).unwrap_or_default();
            if input.is_empty() {
                return Err("the server has left".into());
            }
            match receiver.next(&mut input, sender, workspace, &mut out) {
                Some(Event::Message(echo)) if echo.as_text() == Some(message) => return Ok(()),
                Some(other) => return Err(format!("{other:?} is no echo").into()),
                None => {}
            }
        }
    }
}

/// Reads the head of an answer; nothing follows it before this side has sent something.
fn read_head(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let (mut head, mut buffer) = (Vec::new(), [0; 1 << 10]);
    loop {
        let size = stream.read(&mut buffer)?;
        head.extend_from_slice(buffer.get(..size).unwrap_or_default());
        if head.ends_with(b"\r\n\r\n") {
            return Ok(head);
        }
        if size == 0 {
            return Err("the server does not answer".into());
        }
    }
}
