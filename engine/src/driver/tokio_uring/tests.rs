//! What is left behind by a driver that is dropped with receives in flight, and when.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{Shutdown as End, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::time::sleep;
use tokio_uring::{Runtime, builder};

use super::TokioUring;
use super::buffers::ROUND_MIN;
use super::operations::remove;
use super::way::Way;
use crate::driver::memory::Memory;
use crate::driver::{BufferPool, Completion, Descriptor, Driver, Fault, Key};
use crate::signal::Signal;

const KEY: Key = Key { slot: 0, generation: 1 };
const POOL: BufferPool = BufferPool { count: 4, size: 4096 };

/// Far above what anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);

fn runtime() -> Runtime {
    Runtime::new(&builder()).unwrap()
}

/// A driver with a receive in the ring of the present runtime, and its peer.
async fn receiving() -> (TokioUring, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut driver =
        TokioUring::new(Some(listener.into()), POOL, Arc::new(Signal::default())).unwrap();
    driver.accept();
    let peer = TcpStream::connect(address).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    let accepted = next(&mut driver).await;
    let Completion::Accepted { result: Ok(descriptor), .. } = accepted else {
        panic!("{accepted:?}");
    };
    receive(&mut driver, descriptor).await;
    (driver, peer)
}

async fn receive(driver: &mut TokioUring, descriptor: Descriptor) {
    driver.receive(KEY, descriptor);
    let begun = Instant::now();
    while !driver.sockets.iter().any(|socket| socket.receives) {
        assert!(begun.elapsed() < PATIENCE && driver.way != Way::Poll, "{:?}", driver.way);
        driver.wait(None, &mut Vec::new()).unwrap();
        sleep(Duration::from_millis(1)).await;
    }
    // It is taken in by the ring.
    sleep(Duration::from_millis(1)).await;
}

async fn next(driver: &mut TokioUring) -> Completion {
    let (begun, mut completions) = (Instant::now(), Vec::new());
    while completions.is_empty() && begun.elapsed() < PATIENCE {
        driver.wait(None, &mut completions).unwrap();
        sleep(Duration::from_millis(1)).await;
    }
    completions.remove(0)
}

/// Otherwise it would fail again and again until those who have found one have been served.
#[test]
fn who_finds_no_buffer_is_told_and_not_begun_again() {
    const COUNT: u16 = 40;
    runtime().block_on(async {
        let pool = BufferPool { count: 64, size: 64 };
        let mut driver = TokioUring::new(None, pool, Arc::default()).unwrap();
        let mut peers = Vec::new();
        for slot in 0..COUNT {
            let (mut peer, socket) = UnixStream::pair().unwrap();
            peer.write_all(b"all at once").unwrap();
            peers.push(peer);
            let descriptor = driver.adopt(socket.into()).unwrap();
            driver.receive_once(Key { slot: slot.into(), generation: 1 }, descriptor);
        }
        let (begun, mut completions) = (Instant::now(), Vec::new());
        while completions.len() < COUNT.into() && begun.elapsed() < PATIENCE {
            driver.wait(None, &mut completions).unwrap();
            sleep(Duration::from_millis(1)).await;
        }
        let count = |exhausted| {
            let results = completions.iter().filter_map(|completion| match completion {
                Completion::Received { result, more: false, .. } => Some(result),
                _ => None,
            });
            results
                .filter(|result| matches!(result, Err(Fault::BuffersExhausted)) == exhausted)
                .count()
        };
        assert_eq!(count(false) + count(true), COUNT.into());
        assert!(driver.way == Way::Poll || count(false) == ROUND_MIN.into(), "{}", count(false));
    });
}

fn memory(driver: &TokioUring) -> Weak<Memory> {
    Arc::downgrade(&driver.buffers.memory())
}

fn assert_ended(mut peer: &TcpStream) {
    // As a reset, or as the end.
    let ended = peer.read(&mut [0]);
    assert!(!matches!(ended, Ok(1)), "{ended:?}");
}

#[test]
fn where_the_runtime_goes_on_all_is_given_back() {
    let runtime = runtime();
    runtime.block_on(async {
        let (driver, mut peer) = receiving().await;
        let (memory, group) = (memory(&driver), driver.group.unwrap());
        // It comes when the driver is gone, and finds a receive.
        peer.write_all(b"late").unwrap();
        drop(driver);
        assert!(memory.upgrade().is_some(), "the ring may write to it");
        let begun = Instant::now();
        while memory.upgrade().is_some() {
            assert!(begun.elapsed() < PATIENCE, "it is not given back");
            sleep(Duration::from_millis(1)).await;
        }
        peer.shutdown(End::Write).unwrap();
        assert_ended(&peer);
        assert_eq!(forgotten(group).await, 0, "the ring remembers buffers");
    });
}

/// How many buffers the ring of the present runtime still had of a group, and has no longer.
async fn forgotten(group: u16) -> i32 {
    // There is an error where it has none.
    remove(group).await.0.max(0)
}

#[test]
fn where_the_runtime_ends_first_memory_stays() {
    let runtime = runtime();
    let (driver, peer) = runtime.block_on(receiving());
    let memory = memory(&driver);
    drop(runtime);
    drop(driver);
    assert!(memory.upgrade().is_some());
    assert_ended(&peer);
}

#[test]
fn where_the_runtime_ends_with_its_tasks_memory_stays() {
    // On a thread that another runtime runs below, as of one that may block.
    let other = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for is_entered in [false, true] {
        let _entered = is_entered.then(|| other.enter());
        let runtime = runtime();
        let (memory, peer) = runtime.block_on(async {
            let (driver, peer) = receiving().await;
            let memory = memory(&driver);
            tokio_uring::spawn(poll_fn(move |_| {
                let _driver = &driver;
                Poll::<()>::Pending
            }));
            (memory, peer)
        });
        drop(runtime);
        assert!(memory.upgrade().is_some());
        assert_ended(&peer);
    }
}

#[test]
fn with_nothing_in_flight_nothing_stays() {
    let runtime = runtime();
    let (mut driver, peer) = runtime.block_on(receiving());
    let memory = memory(&driver);
    drop(peer);
    runtime.block_on(async {
        let ended = next(&mut driver).await;
        assert!(matches!(ended, Completion::Received { more: false, .. }), "{ended:?}");
    });
    drop(driver);
    assert!(memory.upgrade().is_none());
}

#[test]
fn a_panic_in_the_middle_keeps_what_the_ring_may_write_to() {
    let runtime = runtime();
    let (memory, peer) = runtime.block_on(async {
        let (driver, peer) = receiving().await;
        let memory = memory(&driver);
        let task = tokio_uring::spawn(async move {
            let _driver = driver;
            panic!("as a handler would");
        });
        assert!(task.await.unwrap_err().is_panic());
        (memory, peer)
    });
    runtime.block_on(async {
        let begun = Instant::now();
        while memory.upgrade().is_some() {
            assert!(begun.elapsed() < PATIENCE, "it is not given back");
            sleep(Duration::from_millis(1)).await;
        }
    });
    assert_ended(&peer);
}
