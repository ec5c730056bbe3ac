//! A client that writes whatever a test wants, and is strict about what it reads.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::bytes::{CLOSE, FIN, Frame, RSV1};
use crate::patience::PATIENCE;

/// The request of RFC 6455 section 1.3, without what is optional.
pub const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// The answer to the key in [`REQUEST`].
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A TCP connection to a server.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    /// Bytes that were read and not looked at.
    received: Vec<u8>,
    /// The reserved bits to which what was negotiated gives a meaning.
    reserved: u8,
}

/// The head of a server's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// All header lines: names in lower case, values trimmed.
    pub headers: Vec<(String, String)>,
}

impl Answer {
    /// The value of a header, whose name is given in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

impl Client {
    /// Connects and says nothing.
    ///
    /// # Panics
    /// If nobody listens there.
    #[must_use]
    pub fn connect(address: SocketAddr) -> Self {
        Self::on(TcpStream::connect_timeout(&address, PATIENCE).expect("the server listens"))
    }

    /// Connects to a path and says nothing.
    ///
    /// # Panics
    /// If nobody listens there.
    #[must_use]
    pub fn connect_unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("the server listens");
        // Bytes come and go in the same way.
        Self::on(OwnedFd::from(stream).into())
    }

    /// Says nothing on a connection that was made otherwise.
    ///
    /// # Panics
    /// If the socket takes no options.
    #[must_use]
    pub fn on(stream: TcpStream) -> Self {
        // One of the Unix domain has none of it, and loses nothing.
        let _delayed = stream.set_nodelay(true);
        stream.set_read_timeout(Some(PATIENCE)).expect("the socket takes options");
        stream.set_write_timeout(Some(PATIENCE)).expect("the socket takes options");
        Self { stream, received: Vec::new(), reserved: 0 }
    }

    /// Connects and opens the WebSocket with an offer of extensions, written as its header lines
    /// have it. Beside the client stands what the server accepts.
    ///
    /// # Panics
    /// If the server does not open the connection.
    #[must_use]
    pub fn offering(address: SocketAddr, offers: &[&str]) -> (Self, Option<String>) {
        let mut client = Self::connect(address);
        let mut request = REQUEST.trim_end().to_owned();
        for offer in offers {
            request.push_str("\r\nSec-WebSocket-Extensions: ");
            request.push_str(offer);
        }
        request.push_str("\r\n\r\n");
        client.write(request);
        let accepted = client.read_opening().header("sec-websocket-extensions").map(str::to_owned);
        if accepted.is_some() {
            client.reserved = RSV1;
        }
        (client, accepted)
    }

    /// Connects and opens the WebSocket.
    #[must_use]
    pub fn open(address: SocketAddr) -> Self {
        let mut client = Self::connect(address);
        client.write(REQUEST);
        client.read_opening();
        client
    }

    /// Writes bytes in one piece. A server that has failed the connection may not want them.
    ///
    /// # Panics
    /// If the socket does not take them in time.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) {
        if let Err(error) = self.stream.write_all(bytes.as_ref()) {
            let gone = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
            assert!(gone.contains(&error.kind()), "the server does not read: {error}");
        }
    }

    /// Writes bytes in one piece. `false`: the server has left.
    pub fn is_taken(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The same connection for another thread, which writes while this one reads.
    ///
    /// # Panics
    /// If there are no more descriptors.
    #[must_use]
    pub fn share(&self) -> Self {
        let stream = self.stream.try_clone().expect("there are descriptors");
        Self { stream, received: Vec::new(), reserved: self.reserved }
    }

    /// Ends this side: the server reads the end of the stream, and may still write.
    ///
    /// # Panics
    /// If the connection has ended already.
    pub fn end(&self) {
        self.stream.shutdown(Shutdown::Write).expect("the connection has not ended");
    }

    /// Reads an answer with status 101 and checks it as a client must.
    ///
    /// # Panics
    /// If it is another one.
    pub fn read_opening(&mut self) -> Answer {
        let answer = self.read_answer();
        assert_eq!(answer.status, 101, "{answer:?}");
        let lower = |name| answer.header(name).map(str::to_ascii_lowercase);
        //= RFC 6455 4.1: If the response lacks an |Upgrade| header field or the |Upgrade| header
        //= field contains a value that is not an ASCII case-insensitive match for the value
        //= "websocket", the client MUST _Fail the WebSocket Connection_.
        assert_eq!(lower("upgrade").as_deref(), Some("websocket"));
        assert_eq!(lower("connection").as_deref(), Some("upgrade"));
        //= RFC 6455 4.2.2: If the /key/ has the value "dGhlIHNhbXBsZSBub25jZQ==" ... the
        //= response would be "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".
        assert_eq!(answer.header("sec-websocket-accept"), Some(ACCEPT));
        answer
    }

    /// Reads the head of an answer.
    ///
    /// # Panics
    /// If it is none.
    pub fn read_answer(&mut self) -> Answer {
        let end = loop {
            let blank = self.received.windows(4).position(|bytes| bytes == b"\r\n\r\n");
            if let Some(position) = blank {
                break position + 4;
            }
            assert!(self.receive(), "the answer ends in its head: {:?}", self.received);
        };
        let head: Vec<u8> = self.received.drain(..end).collect();
        let head = String::from_utf8(head).expect("the head is text");
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
        let status = status.and_then(|rest| rest.get(..3)).and_then(|code| code.parse().ok());
        let header = |line: &str| {
            let (name, value) = line.split_once(':').expect("a header line has a colon");
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        Answer { status: status.expect("a status line"), headers: lines.map(header).collect() }
    }

    /// Reads the next frame; `None` is the end of the stream.
    ///
    /// # Panics
    /// If no frame comes in time, or one that no server may send.
    pub fn read_frame(&mut self) -> Option<Frame> {
        loop {
            if let Some((frame, size)) = parse(&self.received, self.reserved) {
                self.received.drain(..size);
                return Some(frame);
            }
            if !self.receive() {
                assert!(self.received.is_empty(), "the stream ends inside a frame");
                return None;
            }
        }
    }

    /// Reads the next frame, which must be `expected`.
    ///
    /// # Panics
    /// If it is not.
    pub fn expect(&mut self, expected: &Frame) {
        assert_eq!(self.read_frame().as_ref(), Some(expected));
    }

    /// Reads frames until the end of the stream.
    pub fn read_frames(&mut self) -> Vec<Frame> {
        std::iter::from_fn(|| self.read_frame()).collect()
    }

    /// Reads the server's close frame, with `code` or none, and the end of the stream after it.
    ///
    /// # Panics
    /// If something else comes.
    pub fn expect_close(&mut self, code: Option<u16>) {
        let frames = self.read_frames();
        let codes: Vec<_> = frames.iter().map(Frame::close_code).collect();
        assert_eq!(codes, [code]);
    }

    /// Reads bytes until the end of the stream.
    pub fn read_to_end(&mut self) -> Vec<u8> {
        while self.receive() {}
        std::mem::take(&mut self.received)
    }

    /// Reads `size` bytes of any kind, fewer where the stream ends.
    pub fn take(&mut self, size: usize) -> Vec<u8> {
        while self.received.len() < size && self.receive() {}
        let size = size.min(self.received.len());
        self.received.drain(..size).collect()
    }

    /// Whether the server says nothing for a while.
    ///
    /// # Panics
    /// If the socket takes no options.
    pub fn is_silent(&mut self, duration: Duration) -> bool {
        self.stream.set_read_timeout(Some(duration)).expect("the socket takes options");
        let read = self.stream.peek(&mut [0]);
        self.stream.set_read_timeout(Some(PATIENCE)).expect("the socket takes options");
        self.received.is_empty() && read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Reads once. `false` is the end of the stream.
    fn receive(&mut self) -> bool {
        let mut buffer = [0; 64 << 10];
        let size = self.stream.read(&mut buffer).expect("the server answers, and does not reset");
        self.received.extend_from_slice(&buffer[..size]);
        size > 0
    }
}

/// The first frame of `bytes`, with no reserved bits but these, and its size. `None`: not whole.
fn parse(bytes: &[u8], reserved: u8) -> Option<(Frame, usize)> {
    let (&[first, second], rest) = bytes.split_first_chunk::<2>()?;
    assert_eq!(first & 0x70 & !reserved, 0, "no extension gives this bit a meaning");
    //= RFC 6455 5.1: A server MUST NOT mask any frames that it sends to the client.
    assert_eq!(second & 0x80, 0, "a server does not mask");
    let (length, rest) = match second {
        126 => {
            let (length, rest) = rest.split_first_chunk()?;
            (u64::from(u16::from_be_bytes(*length)), rest)
        }
        127 => {
            let (length, rest) = rest.split_first_chunk()?;
            (u64::from_be_bytes(*length), rest)
        }
        short => (u64::from(short), rest),
    };
    //= RFC 6455 5.2: Note that in all cases, the minimal number of bytes MUST be used to encode
    //= the length
    assert!(second < 126 || length > 125, "{length} is not in its shortest form");
    assert!(second < 127 || length > 65_535, "{length} is not in its shortest form");
    if first & CLOSE != 0 {
        assert!(first & FIN != 0 && length <= 125, "a control frame is short and whole");
        assert_eq!(first & 0x70, 0, "a control frame has no reserved bits");
    }
    let payload = rest.get(..usize::try_from(length).ok()?)?.to_vec();
    let size = bytes.len() - rest.len() + payload.len();
    Some((Frame { first, payload }, size))
}
