//! How many connections another server can hand over in a second: to one worker, on real sockets,
//! each with a message that has been read already.
//!
//! The time is that from the first call of `Handle::adopt` until the handler has had the message of
//! the last connection, and of it that in which the calls have returned. The sockets are made
//! before, as a host has them. Then each is given away and taken again, as often as there are
//! rounds: a round trip is a release and an adoption.

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};
use std::{env, error, thread};

use ringwire::{
    Adoption, Config, Connection, ConnectionId, Handle, Handler, Message, Released, Server,
};
use ringwire_benches::arguments::{Arguments, Known};

const OPTIONS: Known<'_> =
    &[("connections", "handed over in a round", 2000), ("rounds", "each with new sockets", 5)];

/// "hello", masked with zeros.
const HELLO: &[u8] = b"\x81\x85\0\0\0\0hello";

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Counts, and remembers who is open.
struct Counter {
    messages: Arc<AtomicUsize>,
    open: Arc<Mutex<Vec<ConnectionId>>>,
}

impl Handler for Counter {
    type State = ();

    fn open(&mut self, connection: &mut Connection<'_, ()>) {
        if let Ok(mut open) = self.open.lock() {
            open.push(connection.id());
        }
    }

    fn message(&mut self, _: &mut Connection<'_, ()>, _: Message<'_>) {
        self.messages.fetch_add(1, Ordering::Release);
    }
}

fn main() -> ExitCode {
    match Arguments::read(OPTIONS, env::args().skip(1)).map_err(Into::into).and_then(|it| run(&it))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _told = writeln!(io::stderr(), "adoption: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn error::Error>> {
    let (connections, rounds) = (arguments.count("connections"), arguments.count("rounds"));
    let config =
        Config { workers: 1, pin_workers: false, ping_interval: None, ..Config::default() };
    let server = Server::bind("127.0.0.1:0", config)?;
    let handle = server.handle();
    let (messages, open) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<Vec<_>>>::default());
    let counter = {
        let (messages, open) = (Arc::clone(&messages), Arc::clone(&open));
        move |_worker| Counter { messages: Arc::clone(&messages), open: Arc::clone(&open) }
    };
    thread::scope(|scope| {
        let serving = scope.spawn(move || server.run(counter));
        let mut result = Ok(());
        for round in 0..rounds {
            result = measure(&handle, connections, round, &messages, &open);
            if result.is_err() {
                break;
            }
        }
        handle.stop_now();
        serving.join().map_err(|_| "the server panicked")??;
        result
    })
}

fn measure(
    handle: &Handle,
    connections: usize,
    round: usize,
    messages: &AtomicUsize,
    open: &Mutex<Vec<ConnectionId>>,
) -> Result<(), Box<dyn error::Error>> {
    let (clients, sockets) = sockets(connections)?;
    let before = messages.load(Ordering::Acquire);
    let begun = Instant::now();
    for socket in sockets {
        handle.adopt(Adoption::upgraded(socket).leftover(HELLO))?;
    }
    let called = begun.elapsed();
    wait(|| messages.load(Ordering::Acquire) == before + connections)?;
    let taken = begun.elapsed();
    let ids = open.lock().map_err(|_| "the handler panicked")?.split_off(0);
    let begun = Instant::now();
    let (sender, released) = mpsc::channel::<Released>();
    for id in ids {
        let sender = sender.clone();
        handle.release(id, move |outcome| {
            if let Ok(released) = outcome {
                let _told = sender.send(released);
            }
        })?;
    }
    drop(sender);
    let mut count = 0;
    for released in released {
        handle.adopt(Adoption::from(released))?;
        count += 1;
    }
    wait(|| open.lock().is_ok_and(|open| open.len() == connections))?;
    let moved = begun.elapsed();
    if count != connections {
        return Err(format!("{count} of {connections} were released").into());
    }
    drop(clients);
    open.lock().map_err(|_| "the handler panicked")?.clear();
    wait(|| handle.stats().open() == 0)?;
    writeln!(
        io::stdout(),
        "round {round}: {:>8.0} adoptions/s ({:.1} us each, {:.1} us of them in the call), {:>8.0} \
         round trips/s",
        rate(connections, taken),
        each(connections, taken),
        each(connections, called),
        rate(connections, moved),
    )?;
    Ok(())
}

/// Both ends of so many connections.
fn sockets(count: usize) -> io::Result<(Vec<TcpStream>, Vec<TcpStream>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let mut both = (Vec::new(), Vec::new());
    for _ in 0..count {
        both.0.push(TcpStream::connect(address)?);
        both.1.push(listener.accept()?.0);
    }
    Ok(both)
}

fn wait(is_so: impl Fn() -> bool) -> Result<(), &'static str> {
    let begun = Instant::now();
    while !is_so() {
        if begun.elapsed() > PATIENCE {
            return Err("it takes too long");
        }
        thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "three digits are printed")]
fn rate(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// In microseconds.
#[expect(clippy::cast_precision_loss, reason = "three digits are printed")]
fn each(count: usize, time: Duration) -> f64 {
    time.as_secs_f64() * 1e6 / count as f64
}
