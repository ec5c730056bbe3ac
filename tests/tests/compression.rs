//! Compressed messages through the running engine (RFC 7692): agreed on, echoed, abused.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use ringwire::{Compression, Config, Limits};
use ringwire_protocol::deflate::{Agreed, Compressor, Offer, Policy, Settings, accept};
use ringwire_protocol::frame::{Opcode, header::Header};
use ringwire_protocol::handshake::{self, ClientRequest, Head};
use ringwire_protocol::{Event, Receiver, Role, Sender, Workspace, mask};
use ringwire_tests::{PATIENCE, TestServer, config, text};

const MASKING_KEY: [u8; 4] = [1, 2, 3, 4];

fn compressing(compression: Compression) -> Config {
    let limits = Limits { message_size_max: 1 << 20, ..Limits::default() };
    Config { compression: Some(compression), limits, ..config() }
}

/// A client that offers compression.
struct Client {
    stream: TcpStream,
    agreed: Option<Agreed>,
    receiver: Receiver,
    sender: Sender,
    workspace: Workspace,
    /// Received and not looked at.
    rest: Vec<u8>,
}

impl Client {
    fn connect(server: &TestServer, offer: &Offer) -> Self {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let header = offer.offer_header();
        let mut request = ClientRequest::new("localhost", "/", [7; 16]);
        request.extensions = Some(&header);
        let mut bytes = Vec::new();
        request.encode(&mut bytes).unwrap();
        stream.write_all(&bytes).unwrap();
        let (mut answer, mut scan) = (Vec::new(), Head::response());
        let size = loop {
            let mut buffer = [0; 4096];
            let size = stream.read(&mut buffer).unwrap();
            assert!(size > 0, "the server answers");
            answer.extend_from_slice(&buffer[..size]);
            if let Some(size) = scan.scan(&answer, &handshake::Limits::default()).unwrap() {
                break size;
            }
        };
        let rest = answer.split_off(size);
        let accepted = request.verify(&answer).unwrap();
        let agreed = accept(accepted.extensions(), offer).unwrap();
        let (mut receiver, mut sender) = (Receiver::new(Role::Client), Sender::new(Role::Client));
        if let Some(agreed) = &agreed {
            receiver = receiver.with_deflate(agreed, u32::MAX);
            sender = sender.with_deflate(agreed, &Policy { size_min: 0, ..Policy::default() });
        }
        let workspace = Workspace::new(Limits::default()).with_masking_keys(|| MASKING_KEY);
        Self { stream, agreed, receiver, sender, workspace, rest }
    }

    /// Sends one frame of any kind.
    fn write(&mut self, header: Header, payload: &[u8]) {
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        let start = bytes.len();
        bytes.extend_from_slice(payload);
        mask::apply(&mut bytes[start..], MASKING_KEY, 0);
        self.stream.write_all(&bytes).unwrap();
    }

    fn echo(&mut self, message: &[u8]) {
        let mut out = Vec::new();
        self.sender.message(message, &mut self.workspace, &mut out).unwrap();
        self.stream.write_all(&out).unwrap();
        assert_eq!(self.read(), Ok(message.to_vec()));
    }

    /// The next message, or the code of the close frame.
    fn read(&mut self) -> Result<Vec<u8>, Option<u16>> {
        loop {
            let (sender, workspace) = (&mut self.sender, &mut self.workspace);
            let mut bytes = std::mem::take(&mut self.rest);
            let mut input = &mut bytes[..];
            let event = self.receiver.next(&mut input, sender, workspace, &mut Vec::new());
            let read = match event {
                Some(Event::Message(message)) => Some(Ok(message.as_bytes().to_vec())),
                Some(Event::Close(close)) => Some(Err(close.code)),
                Some(Event::Failed(violation)) => panic!("the server violated: {violation}"),
                Some(Event::Ping(_) | Event::Pong(_)) | None => None,
            };
            self.rest.extend_from_slice(input);
            if let Some(read) = read {
                return read;
            }
            let mut buffer = [0; 16 << 10];
            let size = self.stream.read(&mut buffer).unwrap();
            assert!(size > 0, "the connection has ended");
            self.rest.extend_from_slice(&buffer[..size]);
        }
    }
}

fn header(compressed: bool, opcode: Opcode, fin: bool, length: usize) -> Header {
    let length = length as u64;
    Header { fin, compressed, opcode, masking_key: Some(MASKING_KEY), length }
}

/// The payload of a message of `size` zeros.
fn zeros(size: usize) -> Vec<u8> {
    let settings = Settings { window_bits: 15, memory_level: 8, level: 9 };
    let mut out = Vec::new();
    Compressor::new(settings).unwrap().compress(&vec![0; size], false, &mut out).unwrap();
    out
}

#[test]
fn messages_come_back_whatever_is_agreed() {
    for compression in [Compression::shared(), Compression::dedicated()] {
        let server = TestServer::echo(compressing(compression)).0;
        let offers = [
            Offer::default(),
            Offer { server_max_window_bits: Some(9), ..Offer::default() },
            Offer { client_max_window_bits: Some(10), ..Offer::default() },
            Offer { client_max_window_bits: None, ..Offer::default() },
            Offer { server_no_context_takeover: true, ..Offer::default() },
            Offer { client_no_context_takeover: true, ..Offer::default() },
        ];
        for offer in offers {
            let mut client = Client::connect(&server, &offer);
            assert!(client.agreed.is_some());
            for size in [0, 1, 127, 128, 5000, 70_000, 1 << 20] {
                let message: Vec<u8> =
                    b"all the same, ".iter().copied().cycle().take(size).collect();
                client.echo(&message);
                client.echo(&message);
            }
        }
    }
}

#[test]
fn it_is_used_only_where_it_is_wanted() {
    let server = TestServer::echo(config()).0;
    let mut client = Client::connect(&server, &Offer::default());
    assert_eq!(client.agreed, None);
    client.echo(b"plain");
    let payload = zeros(100);
    client.write(header(true, Opcode::Binary, true, payload.len()), &payload);
    assert_eq!(client.read(), Err(Some(1002)));
}

#[test]
fn a_bomb_is_stopped_at_the_limit() {
    let server = TestServer::echo(compressing(Compression::shared())).0;
    let mut neighbor = server.client();
    let whole = zeros(1 << 20);
    let mut client = Client::connect(&server, &Offer::default());
    client.write(header(true, Opcode::Binary, true, whole.len()), &whole);
    assert_eq!(client.read().map(|message| message.len()), Ok(1 << 20));
    for size in [(1 << 20) + 1, 64 << 20] {
        let bomb = zeros(size);
        let mut client = Client::connect(&server, &Offer::default());
        client.write(header(true, Opcode::Binary, true, bomb.len()), &bomb);
        assert_eq!(client.read(), Err(Some(1009)));
    }
    neighbor.write(text("undisturbed"));
    neighbor.expect(&ringwire_tests::Frame::text("undisturbed"));
}

#[test]
fn a_reserved_bit_stands_on_the_first_frame_of_data_only() {
    let server = TestServer::echo(compressing(Compression::shared())).0;
    let payload = zeros(100);
    let wrong: [&[(bool, Opcode, bool)]; 3] = [
        &[(true, Opcode::Ping, true)],
        &[(true, Opcode::Text, false), (true, Opcode::Continuation, true)],
        &[(false, Opcode::Binary, false), (true, Opcode::Continuation, true)],
    ];
    for frames in wrong {
        let mut client = Client::connect(&server, &Offer::default());
        for &(compressed, opcode, fin) in frames {
            client.write(header(compressed, opcode, fin, payload.len()), &payload);
        }
        assert_eq!(client.read(), Err(Some(1002)), "{frames:?}");
    }
}

#[test]
fn what_cannot_be_decompressed_fails() {
    let server = TestServer::echo(compressing(Compression::dedicated())).0;
    for payload in [&b"\xff\xff\xff\xff"[..], &[0xf2, 0x48], &[]] {
        let mut client = Client::connect(&server, &Offer::default());
        client.write(header(true, Opcode::Text, true, payload.len()), payload);
        assert_eq!(client.read(), Err(Some(1007)), "{payload:?}");
    }
    // Text that is not UTF-8 fails as soon as it shows, in the middle of a frame.
    let mut text = vec![b'a'; 100_000];
    text[0] = 0xFF;
    let settings = Settings { window_bits: 15, memory_level: 1, level: 0 };
    let mut payload = Vec::new();
    Compressor::new(settings).unwrap().compress(&text, false, &mut payload).unwrap();
    let mut client = Client::connect(&server, &Offer::default());
    client.stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let (first, _) = payload.split_at(payload.len() / 2);
    client.write(header(true, Opcode::Text, true, payload.len()), first);
    assert_eq!(client.read(), Err(Some(1007)));
}
