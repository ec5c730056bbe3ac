//! What a worker's thread allocates: nothing for a message in the steady state, and nothing for
//! bytes that are only declared.
#![expect(unsafe_code, reason = "an allocator that counts is an allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ringwire::{Connection, Handler, Limits, Message};
use ringwire_protocol::{Event, Receiver, Role, Sender, Workspace};
use ringwire_tests::{
    BINARY, Client, FIN, Frame, Length, Neighbor, TEXT, TestServer, binary, config, header, text,
};

/// The system's allocator, which counts what workers ask of it.
struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Whether this thread is a worker. It needs no allocation and no destructor itself.
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

fn count(size: usize) {
    if COUNTED.get() {
        COUNT.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(size, Ordering::Relaxed);
    }
}

// SAFETY: All of it is the system's allocator; counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: The caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: The caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: The caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: The caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The counts are of the whole process, so one test counts at a time.
static COUNTING: Mutex<()> = Mutex::new(());

/// An echo that holds its worker where it finds the gate shut.
struct Gated {
    gate: Arc<Mutex<()>>,
}

impl Handler for Gated {
    type State = ();

    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        if message.as_bytes() == b"gate" {
            drop(self.gate.lock());
        }
        connection.send(&message);
    }
}

struct Counted {
    server: TestServer,
    gate: Arc<Mutex<()>>,
    _alone: MutexGuard<'static, ()>,
}

fn start() -> Counted {
    let alone = COUNTING.lock().expect("no other test has failed");
    let gate = Arc::new(Mutex::new(()));
    let shared = Arc::clone(&gate);
    let server = TestServer::start(config(), move |_worker| {
        assert_eq!(std::thread::current().name(), Some("ringwire-0"));
        COUNTED.set(true);
        Gated { gate: Arc::clone(&shared) }
    });
    Counted { server, gate, _alone: alone }
}

/// Has a message of each connection arrive in one turn, and echoed.
fn all_at_once(server: &TestServer, gate: &Mutex<()>, clients: &mut [Client]) {
    let mut gated = server.client();
    let shut = gate.lock().expect("no handler panics");
    gated.write(binary("gate"));
    for client in &mut *clients {
        client.write(binary(MESSAGE));
    }
    drop(shut);
    gated.expect(&Frame::binary("gate"));
    for client in clients {
        client.expect(&Frame::binary(MESSAGE));
    }
}

const CONNECTIONS: usize = 100;
const PIPELINED: usize = 32;
const MESSAGE: &[u8; 20] = b"twenty bytes of data";

/// Sends the messages of one round on each connection, and then reads all their echoes.
fn round(clients: &mut [Client], messages: &[u8]) {
    for client in &mut *clients {
        client.write(messages);
    }
    read_echoes(clients);
}

fn read_echoes(clients: &mut [Client]) {
    let echo = Frame::binary(MESSAGE);
    for client in clients {
        for _ in 0..PIPELINED {
            client.expect(&echo);
        }
    }
}

/// Runs `exchange` in spans until one makes no allocation. What grows once grows whenever it is
/// first needed, which on a busy machine may be in any of the first; an allocation for each
/// message, or for each thousandth, would show in all.
fn settles(mut exchange: impl FnMut()) {
    let mut span = || {
        let before = COUNT.load(Ordering::Relaxed);
        assert!(before > 0, "what comes before is counted");
        (0..100).for_each(|_| exchange());
        COUNT.load(Ordering::Relaxed) - before
    };
    let mut spans = Vec::new();
    while spans.last() != Some(&0) {
        assert!(spans.len() < 8, "{spans:?} allocations in spans of 100 exchanges");
        spans.push(span());
    }
}

#[test]
fn messages_in_the_steady_state() {
    let Counted { server, gate, _alone } = start();
    let mut clients: Vec<Client> = (0..CONNECTIONS).map(|_| server.client()).collect();
    let messages = binary(MESSAGE).repeat(PIPELINED);
    let mut gated = server.client();
    for _ in 0..3 {
        // The largest turn there can be: all connections at once.
        let shut = gate.lock().expect("no handler panics");
        gated.write([&binary("gate")[..], &messages].concat());
        for client in &mut clients {
            client.write(&messages);
        }
        drop(shut);
        gated.expect(&Frame::binary("gate"));
        read_echoes(std::slice::from_mut(&mut gated));
        read_echoes(&mut clients);
        round(&mut clients, &messages);
    }
    settles(|| round(&mut clients, &messages));
}

#[test]
fn messages_in_pieces_in_the_steady_state() {
    let Counted { server, gate: _, _alone } = start();
    let mut client = server.client();
    let payload = vec![b'x'; 10_000];
    let (echo, message) = (Frame::text(&payload), text(&payload));
    let mut exchange = |pause| {
        for piece in message.chunks(1000) {
            client.write(piece);
            std::thread::sleep(pause);
        }
        client.expect(&echo);
    };
    // The pieces arrive one by one here, and later as they come.
    (0..3).for_each(|_| exchange(Duration::from_millis(5)));
    settles(|| exchange(Duration::ZERO));
}

#[test]
fn lengths_that_are_only_declared() {
    const DECLARED: u64 = 16 << 20;
    let Counted { server, gate, _alone } = start();
    let mut neighbor = Neighbor::new(&server);
    let mut clients: Vec<Client> = (0..50).map(|_| server.client()).collect();
    // What a turn takes in which all of them arrive is there already.
    all_at_once(&server, &gate, &mut clients);
    neighbor.check();
    let before = BYTES.load(Ordering::Relaxed);
    for (number, client) in clients.iter_mut().enumerate() {
        let first = FIN | if number % 2 == 0 { BINARY } else { TEXT };
        let head = header(first, Length::Long(DECLARED), Some([0; 4]));
        client.write([&head[..], b"ten bytes."].concat());
        client.write("and nine.");
    }
    // The neighbour's echo comes after the others' bytes, but for a turn that is under way.
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(20));
        neighbor.check();
    }
    let bytes = BYTES.load(Ordering::Relaxed) - before;
    // Each holds the bytes that came, in a buffer that grows by doubling, and what the neighbour
    // needs comes once.
    assert!(bytes <= 50 * 256, "{bytes} bytes for {} declared", 50 * DECLARED);
}

#[test]
fn a_message_in_chunks_is_not_held() {
    const SIZE: u64 = 1 << 30;
    let _alone = COUNTING.lock().expect("no other test has failed");
    let mut read = vec![0x37; 16 << 10];
    let mut head = header(FIN | TEXT, Length::Long(SIZE), Some([0x16; 4]));
    let (mut receiver, mut sender) = (Receiver::new(Role::Server), Sender::new(Role::Server));
    let (mut workspace, mut out) = (Workspace::new(Limits::default()), Vec::new());
    receiver.set_streaming(true);
    let (mut size, mut is_over) = (0, false);
    let before = BYTES.load(Ordering::Relaxed);
    COUNTED.set(true);
    let mut input = &mut head[..];
    while !is_over {
        while let Some(event) = receiver.next(&mut input, &mut sender, &mut workspace, &mut out) {
            let Event::Chunk(chunk) = event else { panic!("{event:?}") };
            size += chunk.part.as_bytes().len() as u64;
            is_over = chunk.is_last;
        }
        read.fill(0x37);
        input = &mut read;
    }
    COUNTED.set(false);
    let bytes = BYTES.load(Ordering::Relaxed) - before;
    assert_eq!(size, SIZE);
    // The worker of another test may be ending meanwhile, which is counted as well.
    assert!(bytes < 64 << 10, "{bytes} bytes were allocated");
}
