//! What an echo server must do to be compared: the peers' workspace compiles this file as well.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ringwire_protocol::deflate::{Agreed, Offer, Policy, accept};
use ringwire_protocol::handshake::{self, ClientRequest, Head};
use ringwire_protocol::{Close, Event, Limits, Message, Payload};
use ringwire_protocol::{Receiver, Role, Sender, Workspace};

/// Longer than anything takes where nothing is wrong.
const PATIENCE: Duration = Duration::from_secs(20);

const MASKING_KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Every form of a header, both sides of its limits, and more than any buffer holds.
const SIZES: [usize; 9] = [0, 1, 20, 125, 126, 65_535, 65_536, 100_000, 1 << 20];

/// A program that serves, and ends with this value.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn start(program: &str, words: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port: u16 = line.trim().parse().unwrap();
        Self { child, address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)) }
    }

    /// It ends when its input does.
    pub(crate) fn end(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// What a server says that is to compress and cannot.
pub(crate) fn refuses_compression(program: &str, words: &[&str]) {
    let mut command = Command::new(program);
    let output = command.args(words).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(output.stderr, b"compressed: not supported\n");
    assert_eq!(output.stdout, b"");
}

/// All that a server must do. It agrees to compress only where it has been told to.
pub(crate) fn check(program: &str, words: &[&str]) {
    let server = Server::start(program, words);
    let compresses = words.contains(&"compressed");
    for offers in [false, true] {
        let mut client = Client::connect(server.address, offers);
        assert_eq!(client.agreed.is_some(), offers && compresses, "offers: {offers}");
        every_size(&mut client);
        pipelined(&mut client);
        fragmented(&mut client);
        pings(&mut client);
        client.close();
    }
    several(server.address);
    server.end();
}

fn every_size(client: &mut Client) {
    for size in SIZES {
        let text = text(size);
        for payload in [Payload::Text(&text), Payload::Binary(text.as_bytes())] {
            client.queue(payload);
            client.write();
            client.expect(payload);
        }
        let bytes = noise(size);
        client.queue(Payload::Binary(&bytes));
        client.write();
        client.expect(Payload::Binary(&bytes));
    }
}

/// Messages that come in one go come back in their order, also more than one send takes.
fn pipelined(client: &mut Client) {
    for size in [0, 20, 1000, 60_000] {
        let messages: Vec<_> = (0..32_u8).map(|number| vec![number; size]).collect();
        for message in &messages {
            client.queue(Payload::Binary(message));
        }
        client.write();
        for message in &messages {
            client.expect(Payload::Binary(message));
        }
    }
}

/// A message in fragments, with a ping between them, comes back whole or in any fragments.
fn fragmented(client: &mut Client) {
    let text = text(1000);
    let (first, rest) = text.split_at(text.char_indices().nth(100).unwrap().0);
    for (part, fin) in [(first, false), ("", false), (rest, true)] {
        let sent = client.sender.fragment(part, fin, &mut client.workspace, &mut client.out);
        sent.unwrap();
        if !fin {
            client.sender.ping(b"between", &mut client.workspace, &mut client.out).unwrap();
        }
        // By itself, so that it is read by itself.
        client.write();
        std::thread::sleep(Duration::from_millis(5));
    }
    client.expect(Payload::Text(&text));
}

fn pings(client: &mut Client) {
    client.pongs = 0;
    client.sender.ping(b"here?", &mut client.workspace, &mut client.out).unwrap();
    client.queue(Payload::Text("after it"));
    client.write();
    client.expect(Payload::Text("after it"));
    // A server may answer a ping before or after what was sent with it.
    while client.pongs == 0 {
        client.read_event();
    }
}

/// Connections do not get each other's messages, and one that leaves is no matter to others.
fn several(address: SocketAddr) {
    let mut clients: Vec<_> = (0..20).map(|_| Client::connect(address, true)).collect();
    for round in 0..5_u8 {
        for (number, client) in clients.iter_mut().enumerate() {
            client.queue(Payload::Binary(&vec![round; 100 + number]));
            client.write();
        }
        for (number, client) in clients.iter_mut().enumerate() {
            client.expect(Payload::Binary(&vec![round; 100 + number]));
        }
        drop(clients.pop());
    }
    clients.into_iter().for_each(Client::close);
}

/// Like what is compressed, with characters of one to four bytes.
fn text(size: usize) -> String {
    let mut text = String::new();
    for number in 0.. {
        let next = format!("{{\"price\":{},\"in\":\"€\",\"é\":\"𝄞\"}},", number * 7919 % 10_007);
        if text.len() + next.len() > size {
            break;
        }
        text.push_str(&next);
    }
    text.extend(std::iter::repeat_n('x', size - text.len()));
    text
}

/// What no compression makes smaller.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(size).collect()
}

/// A strict client: the protocol's, on a socket that blocks.
struct Client {
    stream: TcpStream,
    agreed: Option<Agreed>,
    receiver: Receiver,
    sender: Sender,
    workspace: Workspace,
    /// To be written.
    out: Vec<u8>,
    /// Received and not looked at.
    received: Vec<u8>,
    pongs: usize,
}

/// What has come: a message, text or not, or a close.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Close(Option<u16>),
}

impl Client {
    fn connect(address: SocketAddr, offers: bool) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let offer = Offer { client_no_context_takeover: true, ..Offer::default() };
        let (host, header) = (address.to_string(), offer.offer_header());
        let mut request = ClientRequest::new(&host, "/", *b"the sample nonce");
        request.extensions = offers.then_some(&header);
        let mut head = Vec::new();
        request.encode(&mut head).unwrap();
        stream.write_all(&head).unwrap();
        let (mut answer, mut scan) = (Vec::new(), Head::response());
        let size = loop {
            assert!(receive(&mut stream, &mut answer) > 0, "no answer");
            if let Some(size) = scan.scan(&answer, &handshake::Limits::default()).unwrap() {
                break size;
            }
        };
        let received = answer.split_off(size);
        let accepted = request.verify(&answer).unwrap();
        let agreed = match offers {
            true => accept(accepted.extensions(), &offer).unwrap(),
            false => None,
        };
        let (mut receiver, mut sender) = (Receiver::new(Role::Client), Sender::new(Role::Client));
        if let Some(agreed) = &agreed {
            receiver = receiver.with_deflate(agreed, u32::MAX);
            sender = sender.with_deflate(agreed, &Policy { size_min: 0, ..Policy::default() });
        }
        let workspace = Workspace::new(Limits::default()).with_masking_keys(|| MASKING_KEY);
        let (out, pongs) = (Vec::new(), 0);
        Self { stream, agreed, receiver, sender, workspace, out, received, pongs }
    }

    fn queue(&mut self, payload: Payload<'_>) {
        self.sender.message(payload, &mut self.workspace, &mut self.out).unwrap();
    }

    /// Writes what is queued in one go. A server that takes no more until it is read from is read
    /// from meanwhile.
    fn write(&mut self) {
        let (mut stream, out) = (self.stream.try_clone().unwrap(), std::mem::take(&mut self.out));
        if out.len() < 64 << 10 {
            return stream.write_all(&out).unwrap();
        }
        std::thread::spawn(move || stream.write_all(&out).unwrap());
    }

    fn expect(&mut self, payload: Payload<'_>) {
        let came = loop {
            if let Some(came) = self.read_event() {
                break came;
            }
        };
        let expected = match payload {
            Payload::Text(text) => Came::Text(text.into()),
            Payload::Binary(bytes) => Came::Binary(bytes.into()),
        };
        // The whole is too much to print.
        assert!(came == expected, "{} bytes came back otherwise", payload.as_bytes().len());
    }

    /// A message or a close, or `None` where something else has come.
    fn read_event(&mut self) -> Option<Came> {
        let (sender, workspace) = (&mut self.sender, &mut self.workspace);
        let mut bytes = std::mem::take(&mut self.received);
        let mut input = &mut bytes[..];
        let event = self.receiver.next(&mut input, sender, workspace, &mut self.out);
        let is_dry = event.is_none();
        let came = match event {
            Some(Event::Message(Message::Text(text))) => Some(Came::Text(text.as_str().into())),
            Some(Event::Message(Message::Binary(bytes))) => Some(Came::Binary(bytes.to_vec())),
            Some(Event::Close(close)) => Some(Came::Close(close.code)),
            Some(Event::Pong(_)) => {
                self.pongs += 1;
                None
            }
            Some(Event::Failed(violation)) => panic!("the server violated: {violation}"),
            Some(Event::Chunk(_) | Event::Ping(_) | Event::Inflated(_)) | None => None,
        };
        self.received.extend_from_slice(input);
        if is_dry {
            let size = receive(&mut self.stream, &mut self.received);
            assert!(size > 0, "the connection has ended");
        }
        came
    }

    /// Closes: the close is answered, and the server ends the connection.
    fn close(mut self) {
        let close = Close { code: Some(1000), reason: "" };
        self.sender.close(close, &mut self.workspace, &mut self.out).unwrap();
        self.write();
        let came = loop {
            if let Some(came) = self.read_event() {
                break came;
            }
        };
        assert!(matches!(came, Came::Close(Some(1000) | None)), "{came:?}");
        assert_eq!(receive(&mut self.stream, &mut self.received), 0, "the server ends it");
    }
}

fn receive(stream: &mut TcpStream, received: &mut Vec<u8>) -> usize {
    let mut buffer = vec![0; 256 << 10];
    let size = stream.read(&mut buffer).unwrap();
    received.extend_from_slice(&buffer[..size]);
    size
}
