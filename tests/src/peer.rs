//! A client that negotiates compression, made of the protocol crate and a blocking socket.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use ringwire::OwnedMessage;
use ringwire_protocol::deflate::{Agreed, Offer, Policy, accept};
use ringwire_protocol::frame::{Opcode, header::Header};
use ringwire_protocol::handshake::{self, ClientRequest, Head};
use ringwire_protocol::{Close, Event, Limits, Receiver, Role, Sender, Workspace, mask};

use crate::patience::PATIENCE;

const MASKING_KEY: [u8; 4] = [1, 2, 3, 4];

/// The key of RFC 6455 section 1.3: a test needs none that nobody can guess.
const KEY: [u8; 16] = *b"the sample nonce";

/// A connection to a server that may have agreed to compress.
#[derive(Debug)]
pub struct Peer {
    stream: TcpStream,
    agreed: Option<Agreed>,
    receiver: Receiver,
    sender: Sender,
    workspace: Workspace,
    /// Received and not looked at.
    received: Vec<u8>,
}

impl Peer {
    /// Connects, offers, and compresses as `policy` has it where the server accepts.
    #[must_use]
    pub fn connect(address: SocketAddr, offer: &Offer, policy: &Policy) -> Self {
        Self::connect_to(address, "/", offer, policy)
    }

    /// The same, and asks for `path`.
    ///
    /// # Panics
    /// If the server does not open the connection, or not as a server may.
    #[must_use]
    pub fn connect_to(address: SocketAddr, path: &str, offer: &Offer, policy: &Policy) -> Self {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("the socket takes options");
        stream.set_write_timeout(Some(PATIENCE)).expect("the socket takes options");
        stream.set_nodelay(true).expect("the socket takes options");
        let (header, host) = (offer.offer_header(), address.to_string());
        let mut request = ClientRequest::new(&host, path, KEY);
        request.extensions = Some(&header);
        let mut bytes = Vec::new();
        request.encode(&mut bytes).expect("the request is right");
        stream.write_all(&bytes).expect("the server reads");
        let (mut answer, mut scan) = (Vec::new(), Head::response());
        let limits = handshake::Limits::default();
        let size = loop {
            assert!(receive(&mut stream, &mut answer) > 0, "the server answers");
            if let Some(size) = scan.scan(&answer, &limits).expect("an answer") {
                break size;
            }
        };
        let received = answer.split_off(size);
        let accepted = request.verify(&answer).expect("the server accepts");
        let agreed = accept(accepted.extensions(), offer).expect("the answer fits the offer");
        let (mut receiver, mut sender) = (Receiver::new(Role::Client), Sender::new(Role::Client));
        if let Some(agreed) = &agreed {
            receiver = receiver.with_deflate(agreed, u32::MAX);
            sender = sender.with_deflate(agreed, policy);
        }
        let workspace = Workspace::new(Limits::default()).with_masking_keys(|| MASKING_KEY);
        Self { stream, agreed, receiver, sender, workspace, received }
    }

    /// What the server has agreed to.
    #[must_use]
    pub const fn agreed(&self) -> Option<Agreed> {
        self.agreed
    }

    /// Sends a message as its sender would.
    ///
    /// # Panics
    /// If the server does not take it.
    pub fn send(&mut self, message: &OwnedMessage) {
        let mut out = Vec::new();
        let sent = self.sender.message(message.payload(), &mut self.workspace, &mut out);
        sent.expect("the connection is open");
        self.stream.write_all(&out).expect("the server reads");
    }

    /// Sends a message uncompressed.
    ///
    /// # Panics
    /// If the server does not take it.
    pub fn send_uncompressed(&mut self, message: &OwnedMessage) {
        let (mut out, workspace) = (Vec::new(), &mut self.workspace);
        let sent = self.sender.message_uncompressed(message.payload(), workspace, &mut out);
        sent.expect("the connection is open");
        self.stream.write_all(&out).expect("the server reads");
    }

    /// Sends `payload`, which is compressed already, in frames of at most `size` bytes.
    ///
    /// # Panics
    /// If the server does not take it.
    pub fn send_frames(&mut self, opcode: Opcode, payload: &[u8], size: usize) {
        let mut out = Vec::new();
        let count = payload.len().div_ceil(size);
        for (number, piece) in payload.chunks(size).enumerate() {
            let (is_first, fin) = (number == 0, number + 1 == count);
            let opcode = if is_first { opcode } else { Opcode::Continuation };
            let (masking_key, length) = (Some(MASKING_KEY), piece.len() as u64);
            Header { fin, compressed: is_first, opcode, masking_key, length }.encode(&mut out);
            let start = out.len();
            out.extend_from_slice(piece);
            mask::apply(&mut out[start..], MASKING_KEY, 0);
        }
        self.stream.write_all(&out).expect("the server reads");
    }

    /// Sends a message, and checks that it comes back.
    ///
    /// # Panics
    /// If it does not.
    pub fn echo(&mut self, message: &OwnedMessage) {
        self.send(message);
        self.expect(message);
    }

    /// Reads the next message, which must be `expected`.
    ///
    /// # Panics
    /// If it is not.
    pub fn expect(&mut self, expected: &OwnedMessage) {
        let size = |message: &OwnedMessage| message.payload().as_bytes().len();
        let read = self.read();
        // The whole is too much to print.
        let came = read.as_ref().map(size);
        assert!(read.as_ref() == Ok(expected), "{} bytes came back as {came:?}", size(expected));
    }

    /// Reads the next message, or the code of the close frame.
    ///
    /// # Errors
    /// The code.
    ///
    /// # Panics
    /// If the server violates the protocol, or leaves without a close.
    pub fn read(&mut self) -> Result<OwnedMessage, Option<u16>> {
        loop {
            let (sender, workspace) = (&mut self.sender, &mut self.workspace);
            let (mut bytes, mut out) = (std::mem::take(&mut self.received), Vec::new());
            let mut input = &mut bytes[..];
            let event = self.receiver.next(&mut input, sender, workspace, &mut out);
            let is_dry = event.is_none();
            let read = match event {
                Some(Event::Message(message)) => Some(Ok(OwnedMessage::from(&message))),
                Some(Event::Chunk(chunk)) => panic!("{chunk:?}, and no chunks are taken"),
                Some(Event::Close(close)) => Some(Err(close.code)),
                Some(Event::Failed(violation)) => panic!("the server violated: {violation}"),
                Some(Event::Ping(_) | Event::Pong(_) | Event::Inflated(_)) | None => None,
            };
            self.received.extend_from_slice(input);
            // A server that has closed need not read the answer.
            let _written = self.stream.write_all(&out);
            if let Some(read) = read {
                return read;
            }
            if !is_dry {
                continue;
            }
            let size = receive(&mut self.stream, &mut self.received);
            assert!(size > 0, "the connection has ended");
        }
    }

    /// Closes, and reads to the end of the stream.
    ///
    /// # Panics
    /// If the server does not answer the close.
    pub fn close(mut self) {
        let (mut out, close) = (Vec::new(), Close { code: Some(1000), reason: "" });
        self.sender.close(close, &mut self.workspace, &mut out).expect("it has not been closed");
        self.stream.write_all(&out).expect("the server reads");
        assert_eq!(self.read(), Err(Some(1000)));
        assert_eq!(receive(&mut self.stream, &mut self.received), 0, "the server ends it");
    }
}

fn receive(stream: &mut TcpStream, received: &mut Vec<u8>) -> usize {
    let mut buffer = [0; 64 << 10];
    let size = stream.read(&mut buffer).expect("the server answers, and does not reset");
    received.extend_from_slice(&buffer[..size]);
    size
}
