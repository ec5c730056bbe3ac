//! Messages taken in chunks through the running engine: whatever the size, in bounded memory, and
//! no faster than the peer takes what is answered.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use ringwire::{
    Cause, Chunk, Closed, Compression, Config, Connection, ConnectionId, Handler, Limit, Limits,
    Message, Request, Sent, Upgrade, Violation,
};
use ringwire_protocol::deflate::{Compressor, Settings};
use ringwire_tests::{
    BINARY, CONTINUATION, Client, End, FIN, Frame, Length, PATIENCE, REQUEST, TEXT, TestServer,
    binary, close, config, frame, header, message, ping, text, wait_until,
};

/// What a handler that takes chunks was told.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    /// A message of so many chunks: is it text, its bytes.
    Message(bool, Vec<u8>),
    Whole(Vec<u8>),
    Error(End),
    /// How many bytes of a message had come when its connection ended, and the code of the end.
    Close(Option<usize>, u16),
}

/// Puts the chunks of each message together and tells it.
struct Taker {
    told: mpsc::Sender<Told>,
}

impl Taker {
    fn tell(&self, told: Told) {
        // A test that does not want to know has dropped its end.
        let _told = self.told.send(told);
    }
}

impl Handler for Taker {
    type State = Option<Vec<u8>>;

    fn upgrade(&mut self, _: &Request<'_>) -> Upgrade<Self::State> {
        Upgrade::accept().streaming(true)
    }

    fn message(&mut self, connection: &mut Connection<'_, Self::State>, message: Message<'_>) {
        self.tell(Told::Whole(message.as_bytes().to_vec()));
        connection.set_streaming(true);
    }

    fn chunk(&mut self, connection: &mut Connection<'_, Self::State>, chunk: Chunk<'_>) {
        assert_eq!(chunk.is_first, connection.state().is_none());
        let mut all = connection.state().take().unwrap_or_default();
        all.extend_from_slice(chunk.part.as_bytes());
        if !chunk.is_last {
            *connection.state() = Some(all);
            return;
        }
        if all == b"whole" {
            connection.set_streaming(false);
        }
        self.tell(Told::Message(chunk.part.as_text().is_some(), all));
        connection.send("taken");
    }

    fn error(&mut self, _: &mut Connection<'_, Self::State>, cause: &Cause) {
        self.tell(Told::Error(End::from(cause)));
    }

    fn close(&mut self, connection: &mut Connection<'_, Self::State>, closed: Closed<'_>) {
        let size = connection.state().as_ref().map(Vec::len);
        self.tell(Told::Close(size, closed.code));
    }
}

fn taker(config: Config) -> (TestServer, mpsc::Receiver<Told>) {
    let (sender, told) = mpsc::channel();
    (TestServer::start(config, move |_worker| Taker { told: sender.clone() }), told)
}

fn next(told: &mpsc::Receiver<Told>) -> Told {
    told.recv_timeout(PATIENCE).expect("the handler tells")
}

/// Limits under which nothing but chunks passes.
fn narrow() -> Config {
    let limits = Limits { message_size_max: 10, frame_size_max: 10, ..Limits::default() };
    Config { limits, buffer_size: 1 << 10, buffers: 16, ..config() }
}

#[test]
fn chunks_make_the_message() {
    let (server, told) = taker(narrow());
    let mut client = server.client();
    let letters = "é€😀".repeat(1000);
    let (first, rest) = letters.as_bytes().split_at(3334);
    let long: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let pinged = [frame(TEXT, first), ping("between"), frame(FIN | CONTINUATION, rest)].concat();
    let cases = [
        (text("short"), Told::Message(true, b"short".to_vec())),
        (text(""), Told::Message(true, Vec::new())),
        (message(BINARY, &[b"", b"ab", b""]), Told::Message(false, b"ab".to_vec())),
        (binary(&long), Told::Message(false, long)),
        (pinged, Told::Message(true, letters.clone().into_bytes())),
    ];
    for (bytes, expected) in cases {
        for piece in [bytes.len(), 700] {
            bytes.chunks(piece).for_each(|piece| client.write(piece));
            assert_eq!(next(&told), expected);
            let answer = client.read_frame().unwrap();
            if answer == Frame::pong("between") {
                client.expect(&Frame::text("taken"));
            } else {
                assert_eq!(answer, Frame::text("taken"));
            }
        }
    }
}

#[test]
fn the_mode_changes_with_the_next_message() {
    let (server, told) = taker(config());
    let mut client = server.client();
    // All of it in one read: what the handler sets counts for what it has received already.
    client.write([text("whole"), text("as one"), text("in chunks")].concat());
    assert_eq!(next(&told), Told::Message(true, b"whole".to_vec()));
    assert_eq!(next(&told), Told::Whole(b"as one".to_vec()));
    assert_eq!(next(&told), Told::Message(true, b"in chunks".to_vec()));
}

#[test]
fn a_message_that_is_cut_short_has_no_last_chunk() {
    let (server, told) = taker(narrow());
    let mut client = server.client();
    client.write(frame(TEXT, "right"));
    client.write(frame(FIN | CONTINUATION, b"\xFFwrong"));
    client.expect_close(Some(1007));
    assert_eq!(next(&told), Told::Error(End::Violation(Violation::InvalidUtf8)));
    assert_eq!(next(&told), Told::Close(Some(5), 1006));

    let mut client = server.client();
    client.write(frame(BINARY, "to be continued"));
    client.write(close(1000, ""));
    client.expect_close(Some(1000));
    assert_eq!(next(&told), Told::Close(Some(15), 1000));

    let mut client = server.client();
    client
        .write([&header(FIN | BINARY, Length::Medium(900), Some([0; 4]))[..], &[7; 450]].concat());
    client.end();
    assert_eq!(client.read_frames(), []);
    assert_eq!(next(&told), Told::Error(End::Gone));
    assert_eq!(next(&told), Told::Close(Some(450), 1006));
}

#[test]
fn its_own_limit_is_answered() {
    let mut config = narrow();
    config.limits.streamed_size_max = 1000;
    let (server, told) = taker(config);
    let mut client = server.client();
    client.write(binary([7; 1000]));
    assert_eq!(next(&told), Told::Message(false, vec![7; 1000]));
    client.expect(&Frame::text("taken"));
    client.write([frame(BINARY, [7; 600]), frame(FIN | CONTINUATION, [7; 401])].concat());
    client.expect_close(Some(1009));
    assert_eq!(next(&told), Told::Error(End::Limit(Limit::MessageSize)));
    assert_eq!(next(&told), Told::Close(Some(600), 1006));
}

/// Asks for chunks and does not take them.
struct Forgetful;

impl Handler for Forgetful {
    type State = ();

    fn upgrade(&mut self, _: &Request<'_>) -> Upgrade<()> {
        Upgrade::accept().streaming(true)
    }

    fn message(&mut self, _: &mut Connection<'_, ()>, _: Message<'_>) {
        panic!("messages are taken in chunks");
    }
}

#[test]
fn who_does_not_take_chunks_closes() {
    let server = TestServer::start(config(), |_worker| Forgetful);
    let mut client = server.client();
    client.write([text("one"), text("two"), close(1000, "")].concat());
    client.expect_close(Some(1011));
}

/// Answers each chunk with a fragment of the same bytes, and notes the most that was buffered.
struct Relay {
    buffered_max: Arc<AtomicUsize>,
    drains: Arc<AtomicUsize>,
}

impl Handler for Relay {
    type State = ();

    fn upgrade(&mut self, _: &Request<'_>) -> Upgrade<()> {
        Upgrade::accept().streaming(true)
    }

    fn message(&mut self, _: &mut Connection<'_, ()>, _: Message<'_>) {
        panic!("messages are taken in chunks");
    }

    fn chunk(&mut self, connection: &mut Connection<'_, ()>, chunk: Chunk<'_>) {
        // Compressed as it came, it would never fill the outbox.
        let sent = connection.send_fragment_uncompressed(&chunk, chunk.is_last);
        assert!(matches!(sent, Sent::Queued | Sent::Backlogged), "{sent:?}");
        self.buffered_max.fetch_max(connection.buffered(), Ordering::Relaxed);
    }

    fn drain(&mut self, _: &mut Connection<'_, ()>) {
        self.drains.fetch_add(1, Ordering::Relaxed);
    }
}

struct Relayed {
    server: TestServer,
    buffered_max: Arc<AtomicUsize>,
    drains: Arc<AtomicUsize>,
}

const TURN_SIZE_MAX: usize = 256 << 10;
const OUTBOX_HIGH: usize = 64 << 10;
const BUFFERS_SIZE: usize = 16 * (16 << 10);

fn relay(compression: Option<Compression>, turn_size_max: usize) -> Relayed {
    let limits = Limits { message_size_max: 10, ..Limits::default() };
    let config = Config {
        limits,
        compression,
        turn_size_max,
        buffers: 16,
        buffer_size: 16 << 10,
        outbox_high: OUTBOX_HIGH,
        outbox_low: OUTBOX_HIGH / 4,
        outbox_size_max: 1 << 20,
        ..config()
    };
    let (buffered_max, drains) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let shared = (Arc::clone(&buffered_max), Arc::clone(&drains));
    let server = TestServer::start(config, move |_worker| Relay {
        buffered_max: Arc::clone(&shared.0),
        drains: Arc::clone(&shared.1),
    });
    Relayed { server, buffered_max, drains }
}

/// Reads the fragments of one message: its kind and size, each byte being what `expected` says.
fn read_fragments(client: &mut Client, expected: impl Fn(usize) -> u8) -> (u8, usize) {
    let (mut opcode, mut size) = (None, 0);
    loop {
        let Frame { first, payload } = client.read_frame().unwrap();
        let before = *opcode.get_or_insert(first & 0xF);
        assert!(size == 0 || first & 0xF == CONTINUATION, "{first:#x} after {before:#x}");
        for (index, byte) in payload.iter().enumerate() {
            assert_eq!(*byte, expected(size + index), "at {}", size + index);
        }
        size += payload.len();
        if first & FIN != 0 {
            return (before, size);
        }
    }
}

#[test]
fn a_large_message_passes_through_little_memory() {
    const SIZE: usize = 64 << 20;
    let Relayed { server, buffered_max, .. } = relay(None, TURN_SIZE_MAX);
    let mut client = server.client();
    let mut writer = client.share();
    let writing = thread::spawn(move || {
        writer.write(header(FIN | BINARY, Length::Long(SIZE as u64), Some([0; 4])));
        let piece: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
        (0..SIZE >> 20).for_each(|_| writer.write(&piece));
    });
    let read = read_fragments(&mut client, |at| u8::try_from(at % 256).unwrap());
    assert_eq!(read, (BINARY, SIZE));
    writing.join().unwrap();
    let most = buffered_max.load(Ordering::Relaxed);
    assert!(most <= OUTBOX_HIGH + BUFFERS_SIZE, "{most} bytes were buffered at once");
}

#[test]
fn a_peer_that_does_not_read_is_not_read() {
    const SIZE: usize = 16 << 20;
    let Relayed { server, buffered_max, drains } = relay(None, TURN_SIZE_MAX);
    let mut client = server.client();
    let mut writer = client.share();
    let (written, progress) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let count = Arc::clone(&written);
    let writing = thread::spawn(move || {
        writer.write(header(FIN | TEXT, Length::Long(SIZE as u64), Some([0; 4])));
        let piece = [b'x'; 64 << 10];
        for _ in 0..SIZE / piece.len() {
            writer.write(piece);
            count.fetch_add(piece.len(), Ordering::Relaxed);
        }
    });
    // It comes to a stand, with the outbox and all buffers of the system full.
    wait_until(|| buffered_max.load(Ordering::Relaxed) > OUTBOX_HIGH);
    while written.load(Ordering::Relaxed) != progress.load(Ordering::Relaxed) {
        progress.store(written.load(Ordering::Relaxed), Ordering::Relaxed);
        thread::sleep(Duration::from_millis(200));
    }
    assert!(written.load(Ordering::Relaxed) < SIZE, "it was read to its end");
    assert_eq!(read_fragments(&mut client, |_| b'x'), (TEXT, SIZE));
    writing.join().unwrap();
    let most = buffered_max.load(Ordering::Relaxed);
    assert!(most <= OUTBOX_HIGH + BUFFERS_SIZE, "{most} bytes were buffered at once");
    assert!(drains.load(Ordering::Relaxed) > 0);
}

/// A request that offers compression.
fn offer() -> String {
    let offer = "\r\nSec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=15";
    REQUEST.replacen("\r\nUpgrade", &format!("{offer}\r\nUpgrade"), 1)
}

/// A client that has agreed on compression, in the frames of the tests.
fn compressing_client(server: &TestServer) -> Client {
    let mut client = Client::connect(server.address());
    client.write(offer());
    let answer = client.read_opening();
    assert!(answer.header("sec-websocket-extensions").is_some(), "{answer:?}");
    client
}

const RSV1: u8 = 0x40;

fn zeros(size: usize) -> Vec<u8> {
    let settings = Settings { window_bits: 15, memory_level: 8, level: 9 };
    let mut out = Vec::new();
    Compressor::new(settings).unwrap().compress(&vec![0; size], false, &mut out).unwrap();
    out
}

#[test]
fn a_compressed_message_waits_in_its_compressed_form() {
    // More than the system's buffers hold comes out of two of ours. What follows waits behind it.
    const SIZE: usize = 16 << 20;
    let bomb = frame(FIN | RSV1 | BINARY, zeros(SIZE));
    assert!(bomb.len() < 32 << 10);
    let stream = [&bomb[..], &text("after"), &close(1000, "")].concat();
    for turn_size_max in [TURN_SIZE_MAX, 1 << 10] {
        for piece in [stream.len(), 999] {
            let compression = Some(Compression::dedicated());
            let Relayed { server, buffered_max, drains } = relay(compression, turn_size_max);
            let mut client = compressing_client(&server);
            stream.chunks(piece).for_each(|piece| client.write(piece));
            client.end();
            wait_until(|| buffered_max.load(Ordering::Relaxed) > OUTBOX_HIGH);
            assert_eq!(read_fragments(&mut client, |_| 0), (BINARY, SIZE));
            client.expect(&Frame::text("after"));
            client.expect_close(Some(1000));
            let most = buffered_max.load(Ordering::Relaxed);
            assert!(most <= OUTBOX_HIGH + (33 << 10), "{most} bytes were buffered at once");
            assert!(drains.load(Ordering::Relaxed) > 0);
        }
    }
}

#[test]
fn what_is_decompressed_takes_its_turns() {
    const SIZE: usize = 4 << 20;
    let compression = Some(Compression::shared());
    let (server, told) = taker(Config { compression, turn_size_max: 1, ..narrow() });
    let bomb = frame(FIN | RSV1 | BINARY, zeros(SIZE));
    let mut client = compressing_client(&server);
    for _ in 0..2 {
        // Nothing comes behind it that could make the server look again.
        client.write(&bomb);
        assert_eq!(next(&told), Told::Message(false, vec![0; SIZE]));
        client.expect(&Frame::text("taken"));
    }
    client.write(close(1000, ""));
    client.expect_close(Some(1000));
    assert_eq!(next(&told), Told::Close(None, 1000));
}

#[test]
fn what_comes_with_the_end_of_a_request_takes_its_turns() {
    const SIZE: usize = 4 << 20;
    let bytes = [offer().as_bytes(), &frame(FIN | RSV1 | BINARY, zeros(SIZE))].concat();
    for begun in [0, 1, 20, offer().len() - 1, offer().len() + 7] {
        let compression = Some(Compression::shared());
        let (server, told) = taker(Config { compression, turn_size_max: 1, ..narrow() });
        let mut client = Client::connect(server.address());
        if begun > 0 {
            client.write(&bytes[..begun]);
            server.has_read(begun);
        }
        client.write(&bytes[begun..]);
        client.read_opening();
        let whole = Told::Message(false, vec![0; SIZE]);
        assert!(next(&told) == whole, "{begun} bytes came before");
        client.expect(&Frame::text("taken"));
    }
}

#[test]
fn a_connection_ends_while_its_input_waits() {
    let Relayed { server, .. } = relay(Some(Compression::dedicated()), 1 << 10);
    let bomb = frame(FIN | RSV1 | BINARY, zeros(4 << 20));
    for _ in 0..20 {
        let mut client = compressing_client(&server);
        client.write(&bomb);
        assert!(client.read_frame().is_some());
    }
    // They have gone with unread data, which resets them.
    let mut client = server.client();
    client.write(text("undisturbed"));
    client.expect(&Frame::text("undisturbed"));
}

/// Pauses after each chunk, and tells its size.
struct Sipper {
    told: mpsc::Sender<(ConnectionId, usize, bool)>,
}

impl Handler for Sipper {
    type State = ();

    fn upgrade(&mut self, _: &Request<'_>) -> Upgrade<()> {
        Upgrade::accept().streaming(true)
    }

    fn message(&mut self, _: &mut Connection<'_, ()>, _: Message<'_>) {
        panic!("messages are taken in chunks");
    }

    fn chunk(&mut self, connection: &mut Connection<'_, ()>, chunk: Chunk<'_>) {
        connection.pause();
        let told = (connection.id(), chunk.part.as_bytes().len(), chunk.is_last);
        // A test that has failed does not listen.
        let _told = self.told.send(told);
    }
}

#[test]
fn a_pause_holds_in_the_middle_of_a_message() {
    const SIZE: usize = 1 << 20;
    let (sender, told) = mpsc::channel();
    let config = Config { compression: Some(Compression::shared()), ..config() };
    let server = TestServer::start(config, move |_worker| Sipper { told: sender.clone() });
    let mut client = compressing_client(&server);
    client.write(frame(FIN | RSV1 | BINARY, zeros(SIZE)));
    let (mut size, mut count) = (0, 0);
    loop {
        let (id, chunk_size, is_last) = told.recv_timeout(PATIENCE).unwrap();
        (size, count) = (size + chunk_size, count + 1);
        if is_last {
            break;
        }
        if count == 3 {
            let next = told.recv_timeout(Duration::from_millis(100));
            assert!(next.is_err(), "a chunk while paused");
        }
        server.handle().resume(id).unwrap();
    }
    assert_eq!(size, SIZE);
    assert!(count > 16, "{count} chunks");
}
