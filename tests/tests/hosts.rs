//! Workers inside other runtimes: they serve, they rest, they leave the thread to others, and they
//! end when they are told to, or dropped.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::future::Future;
use std::net::{SocketAddr, TcpStream};
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use ringwire::topic::Pattern;
use ringwire::{
    Config, Connection, ConnectionId, Error, Handle, HandleError, Handler, HostError, Message,
    Part, Server,
};
use ringwire_tests::{Client, Frame, PATIENCE, PING, close, config, text, wait_until};
use rustix::time::{ClockId, clock_gettime};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;

/// A runtime, and how a worker lives in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Host {
    Tokio,
    TokioUring,
    /// With a ring of its own, in a runtime that has one as well.
    TokioInTokioUring,
}

const HOSTS: [Host; 3] = [Host::Tokio, Host::TokioUring, Host::TokioInTokioUring];

impl Host {
    fn block_on<T>(self, future: impl Future<Output = T>) -> T {
        match self {
            Self::Tokio => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                LocalSet::new().block_on(&runtime.unwrap(), future)
            }
            Self::TokioUring | Self::TokioInTokioUring => tokio_uring::start(future),
        }
    }

    async fn host<H: Handler>(self, part: Part, handler: H) -> Result<(), Error> {
        match self {
            Self::Tokio | Self::TokioInTokioUring => part.host_on_tokio(|_worker| handler).await,
            Self::TokioUring => part.host_on_tokio_uring(|_worker| handler).await,
        }
    }
}

/// Echoes, and greets late: what it waits for is a task of the same thread.
struct Late {
    handle: Handle,
    delay: Option<Duration>,
    opened: mpsc::Sender<ConnectionId>,
}

impl Handler for Late {
    type State = ();

    fn open(&mut self, connection: &mut Connection<'_, ()>) {
        connection.subscribe(Pattern::new("news").unwrap()).unwrap();
        let _told = self.opened.send(connection.id());
    }

    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        let Some(delay) = self.delay else {
            connection.send(&message);
            return;
        };
        let (handle, id) = (self.handle.clone(), connection.id());
        let reply = Rc::new(message.as_bytes().to_vec());
        spawn_local(async move {
            sleep(delay).await;
            handle.send(id, reply.to_vec()).unwrap();
        });
    }
}

fn server(config: Config) -> (Server, SocketAddr, Handle) {
    let server = Server::bind("127.0.0.1:0", config).unwrap();
    let (address, handle) = (server.address().unwrap(), server.handle());
    (server, address, handle)
}

fn only(server: Server) -> Part {
    server.parts().remove(0)
}

fn handler(handle: &Handle) -> (Late, mpsc::Receiver<ConnectionId>) {
    let (opened, opens) = mpsc::channel();
    (Late { handle: handle.clone(), delay: None, opened }, opens)
}

/// Ends a server also where its test has failed.
struct StopOnDrop<'a>(&'a Handle);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stop_now();
    }
}

/// A server with one worker, hosted on a thread of its own beside `beside`, while `test` looks on.
fn beside<T: Send>(
    host: Host,
    config: Config,
    delay: Option<Duration>,
    beside: impl AsyncFnOnce() -> T + Send,
    test: impl FnOnce(SocketAddr, &Handle, mpsc::Receiver<ConnectionId>),
) -> T {
    let (server, address, handle) = server(config);
    let (mut late, opens) = handler(&handle);
    late.delay = delay;
    thread::scope(|scope| {
        let body = move || {
            host.block_on(async {
                let hosted = spawn_local(host.host(only(server), late));
                let result = beside().await;
                hosted.await.unwrap().unwrap();
                result
            })
        };
        let thread = scope.spawn(body);
        let stop = StopOnDrop(&handle);
        test(address, &handle, opens);
        drop(stop);
        thread.join().unwrap()
    })
}

#[test]
fn it_serves_until_it_is_stopped() {
    for host in HOSTS {
        beside(
            host,
            config(),
            None,
            async || (),
            |address, handle, _opens| {
                let mut clients: Vec<_> = (0..20).map(|_| Client::open(address)).collect();
                for client in &mut clients {
                    client.write(text("there"));
                    client.expect(&Frame::text("there"));
                }
                handle.stop();
                for client in &mut clients {
                    assert_eq!(
                        client.read_frame().and_then(|frame| frame.close_code()),
                        Some(1001)
                    );
                    client.write(close(1001, ""));
                    assert_eq!(client.read_to_end(), []);
                }
            },
        );
    }
}

#[test]
fn a_future_that_is_dropped_ends_its_worker() {
    for host in HOSTS {
        let (server, address, handle) = server(config());
        let (late, opens) = handler(&handle);
        let (abort, aborts) = mpsc::channel();
        let (go, goes) = mpsc::channel::<()>();
        let thread = thread::spawn(move || {
            host.block_on(async {
                let hosted = spawn_local(host.host(only(server), late));
                abort.send(hosted.abort_handle()).unwrap();
                assert!(hosted.await.unwrap_err().is_cancelled());
                // The runtime lives on, and has nothing of it any more.
                while goes.try_recv().is_err() {
                    sleep(Duration::from_millis(1)).await;
                }
            });
        });
        let mut client = Client::open(address);
        let id = opens.recv_timeout(PATIENCE).unwrap();
        aborts.recv_timeout(PATIENCE).unwrap().abort();
        assert_eq!(client.read_to_end(), []);
        let begun = Instant::now();
        while TcpStream::connect(address).is_ok() {
            assert!(begun.elapsed() < PATIENCE, "{host:?}: somebody listens still");
        }
        assert_eq!(handle.send(id, "late"), Err(HandleError::Stopped));
        go.send(()).unwrap();
        thread.join().unwrap();
    }
}

#[test]
fn a_runtime_that_ends_takes_its_worker_along() {
    for host in HOSTS {
        let (server, address, handle) = server(config());
        let (late, opens) = handler(&handle);
        let (go, goes) = mpsc::channel::<()>();
        let thread = thread::spawn(move || {
            host.block_on(async {
                spawn_local(host.host(only(server), late));
                while goes.try_recv().is_err() {
                    sleep(Duration::from_millis(1)).await;
                }
            });
        });
        let mut client = Client::open(address);
        opens.recv_timeout(PATIENCE).unwrap();
        go.send(()).unwrap();
        thread.join().unwrap();
        assert_eq!(client.read_to_end(), []);
        assert!(TcpStream::connect(address).is_err(), "{host:?}");
    }
}

#[test]
fn deadlines_pass_while_it_rests() {
    for host in HOSTS {
        let timeout = Duration::from_millis(150);
        let pings = Some(Duration::from_millis(100));
        let config = Config { handshake_timeout: timeout, ping_interval: pings, ..config() };
        beside(
            host,
            config,
            None,
            async || (),
            |address, _handle, _opens| {
                let mut client = Client::open(address);
                let begun = Instant::now();
                // Says nothing.
                let mut silent = Client::connect(address);
                assert_eq!(silent.read_to_end(), [], "{host:?}");
                assert!(begun.elapsed() >= timeout, "{:?}", begun.elapsed());
                let ping = client.read_frame();
                assert!(ping.is_some_and(|ping| ping.first & 0x0F == PING), "{host:?}");
            },
        );
    }
}

#[test]
fn mail_of_other_threads_wakes_it() {
    for host in HOSTS {
        beside(
            host,
            config(),
            None,
            async || (),
            |address, handle, opens| {
                let mut client = Client::open(address);
                let id = opens.recv_timeout(PATIENCE).unwrap();
                for number in 0..300 {
                    if number % 3 == 0 {
                        handle.publish("news", number.to_string()).unwrap();
                    } else {
                        handle.send(id, number.to_string()).unwrap();
                    }
                    client.expect(&Frame::text(number.to_string()));
                    if number % 100 == 0 {
                        // Until it rests for sure.
                        thread::sleep(Duration::from_millis(150));
                    }
                }
            },
        );
    }
}

/// What this thread has taken of its core.
fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap()
}

#[test]
fn a_worker_that_rests_takes_no_time() {
    for host in HOSTS {
        let (are_open, is_measured) = (AtomicBool::new(false), AtomicBool::new(false));
        let spent = beside(
            host,
            config(),
            None,
            async || {
                while !are_open.load(Ordering::Relaxed) {
                    sleep(Duration::from_millis(5)).await;
                }
                // The first is late by what is published behind the last event.
                let mut least = Duration::MAX;
                for _ in 0..3 {
                    let before = thread_time();
                    sleep(Duration::from_millis(400)).await;
                    least = least.min(thread_time() - before);
                }
                is_measured.store(true, Ordering::Relaxed);
                least
            },
            |address, _handle, _opens| {
                let clients: Vec<_> = (0..50).map(|_| Client::open(address)).collect();
                are_open.store(true, Ordering::Relaxed);
                wait_until(|| is_measured.load(Ordering::Relaxed));
                drop(clients);
            },
        );
        assert!(spent < Duration::from_millis(5), "{host:?}: {spent:?}");
    }
}

#[test]
fn others_have_their_turn_while_it_is_busy() {
    for host in HOSTS {
        let busy = AtomicBool::new(true);
        let longest = beside(
            host,
            config(),
            None,
            async || {
                let mut longest = Duration::ZERO;
                while busy.load(Ordering::Relaxed) {
                    let before = thread_time();
                    sleep(Duration::from_millis(2)).await;
                    longest = longest.max(thread_time() - before);
                }
                longest
            },
            |address, _handle, _opens| {
                thread::scope(|scope| {
                    for _ in 0..3 {
                        scope.spawn(|| flood(address, Duration::from_secs(1)));
                    }
                });
                busy.store(false, Ordering::Relaxed);
            },
        );
        // Of the thread's own time: other tests have the core as well.
        assert!(longest < Duration::from_millis(50), "{host:?}: {longest:?}");
    }
}

/// Sends more than can be echoed, and reads what is.
fn flood(address: SocketAddr, time: Duration) {
    let mut client = Client::open(address);
    let burst: Vec<u8> = (0..500).flat_map(|_| text("flood")).collect();
    let begun = Instant::now();
    while begun.elapsed() < time {
        client.write(&burst);
        for _ in 0..500 {
            client.expect(&Frame::text("flood"));
        }
    }
}

#[test]
fn a_task_of_the_handler_sends_later() {
    for host in HOSTS {
        for delay in [Duration::ZERO, Duration::from_millis(20)] {
            beside(
                host,
                config(),
                Some(delay),
                async || (),
                |address, _handle, _opens| {
                    let mut clients: Vec<_> = (0..50).map(|_| Client::open(address)).collect();
                    for round in 0..10 {
                        for client in &mut clients {
                            client.write(text(round.to_string()));
                        }
                        for client in &mut clients {
                            client.expect(&Frame::binary(round.to_string()));
                        }
                    }
                    // Each by itself, so that the worker rests in between.
                    for client in &mut clients {
                        client.write(text("alone"));
                        client.expect(&Frame::binary("alone"));
                    }
                },
            );
        }
    }
}

fn worker(id: ConnectionId) -> u64 {
    id.as_u64() >> 56
}

#[test]
fn each_part_has_a_thread() {
    for host in HOSTS {
        let (server, address, handle) = server(Config { workers: 2, ..config() });
        let (opened, opens) = mpsc::channel();
        let threads: Vec<_> = server
            .parts()
            .into_iter()
            .map(|part| {
                let late = Late { handle: part.handle(), delay: None, opened: opened.clone() };
                thread::spawn(move || host.block_on(host.host(part, late)))
            })
            .collect();
        let mut clients: Vec<_> = (0..40).map(|_| Client::open(address)).collect();
        let ids: Vec<_> = clients.iter().map(|_| opens.recv_timeout(PATIENCE).unwrap()).collect();
        assert!(ids.iter().any(|id| worker(*id) != worker(ids[0])), "all have come to one");
        handle.publish("news", "for all").unwrap();
        for client in &mut clients {
            client.expect(&Frame::text("for all"));
        }
        handle.stop_now();
        for thread in threads {
            thread.join().unwrap().unwrap();
        }
    }
}

#[test]
fn a_part_that_is_dropped_stops_the_others() {
    for host in HOSTS {
        let (server, address, handle) = server(Config { workers: 2, ..config() });
        let mut parts = server.parts();
        let (other, part) = (parts.pop().unwrap(), parts.pop().unwrap());
        let (late, _opens) = handler(&handle);
        let thread = thread::spawn(move || host.block_on(host.host(part, late)));
        drop(other);
        thread.join().unwrap().unwrap();
        assert!(TcpStream::connect(address).is_err());
    }
}

#[test]
fn a_host_that_is_none_is_told_so() {
    let (one, _, handle) = server(config());
    let (late, _opens) = handler(&handle);
    let mut future = pin!(one.host_on_tokio(|_worker| late));
    let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Err(Error::Host(HostError::NoRuntime)))), "{polled:?}");
    let (one, _, handle) = server(config());
    let (late, _opens) = handler(&handle);
    let mut future = pin!(one.host_on_tokio_uring(|_worker| late));
    let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Err(Error::Host(HostError::NoRuntime)))), "{polled:?}");
    let (two, _, handle) = server(Config { workers: 2, ..config() });
    let (late, _opens) = handler(&handle);
    let hosted = Host::Tokio.block_on(two.host_on_tokio(|_worker| late));
    let error = hosted.unwrap_err();
    assert!(matches!(error, Error::Host(HostError::Workers(2))), "{error:?}");
    assert!(error.to_string().contains("Config::workers"), "{error}");
}
