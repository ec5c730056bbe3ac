//! The little that a client needs which trusts the server.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use ringwire_protocol::frame::Opcode;
use ringwire_protocol::frame::header::Header;
use ringwire_protocol::handshake::{ClientRequest, Head, Limits};
use ringwire_protocol::mask;
use socket2::SockRef;

/// Any sixteen bytes: nobody stands between these clients and their server.
const KEY: [u8; 16] = *b"the sample nonce";

/// The request for a WebSocket.
#[must_use]
pub const fn request() -> ClientRequest<'static> {
    ClientRequest::new("localhost", "/", KEY)
}

/// Opens a WebSocket, and waits until it is open. The server speaks second.
///
/// # Errors
/// What the socket says; an answer that is none.
pub fn open(address: SocketAddr) -> io::Result<TcpStream> {
    upgrade(TcpStream::connect(address)?)
}

/// Makes a WebSocket of a connection, as [`open`] does.
///
/// # Errors
/// As [`open`].
pub fn upgrade(mut stream: TcpStream) -> io::Result<TcpStream> {
    let head = exchange(&mut stream, &request())?;
    request().verify(&head).map_err(io::Error::other)?;
    Ok(stream)
}

/// Sends a request, and reads the head of the answer, which the caller is to verify.
///
/// # Errors
/// As [`open`].
pub fn exchange(stream: &mut TcpStream, request: &ClientRequest<'_>) -> io::Result<Vec<u8>> {
    stream.set_nodelay(true)?;
    let mut head = Vec::new();
    request.encode(&mut head).map_err(|_| io::ErrorKind::InvalidInput)?;
    stream.write_all(&head)?;
    head.clear();
    let mut scan = Head::response();
    loop {
        let mut bytes = [0; 1024];
        let size = stream.read(&mut bytes)?;
        head.extend_from_slice(&bytes[..size]);
        match scan.scan(&head, &Limits::default()) {
            Ok(Some(end)) if end == head.len() => return Ok(head),
            Ok(None) if size > 0 => {}
            Ok(_) | Err(_) => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// Appends a binary message in one frame.
pub fn frame(out: &mut Vec<u8>, payload: &[u8], key: [u8; 4]) {
    fragment(out, Opcode::Binary, true, payload, key);
}

/// Appends a frame of a client.
pub fn fragment(out: &mut Vec<u8>, opcode: Opcode, fin: bool, payload: &[u8], key: [u8; 4]) {
    append(out, opcode, fin, false, payload, key);
}

fn append(
    out: &mut Vec<u8>,
    opcode: Opcode,
    fin: bool,
    compressed: bool,
    payload: &[u8],
    key: [u8; 4],
) {
    let masking_key = Some(key);
    Header { fin, compressed, opcode, masking_key, length: payload.len() as u64 }.encode(out);
    let start = out.len();
    out.extend_from_slice(payload);
    mask::apply(&mut out[start..], key, 0);
}

/// Appends a text message in one frame, whose payload has been compressed.
pub fn compressed_text(out: &mut Vec<u8>, payload: &[u8], key: [u8; 4]) {
    append(out, Opcode::Text, true, true, payload, key);
}

/// Ends a connection so that its peer is told of an error.
///
/// # Errors
/// What the socket says.
pub fn reset(stream: TcpStream) -> io::Result<()> {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))
}
