//! A driver over the ring of a `tokio-uring` runtime, which runs for as long as it is called.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::yield_now;
use tokio::time::sleep;

use crate::driver::tokio_uring::TokioUring;
use crate::driver::{BufferPool, Bytes, Completion, Descriptor, Driver, Key, Lease, Shutdown};
use crate::mailbox::Wake;
use crate::signal::Signal;
use crate::timer::Time;

/// How long the runtime has the thread while nothing completes.
const PAUSE: Duration = Duration::from_millis(1);

pub(super) struct InRuntime {
    /// Dropped before its ring.
    driver: TokioUring,
    runtime: tokio_uring::Runtime,
    signal: Arc<Signal>,
}

impl InRuntime {
    pub(super) fn new(listener: TcpListener, pool: BufferPool) -> Self {
        let signal = Arc::new(Signal::default());
        let driver = TokioUring::new(Some(listener.into()), pool, Arc::clone(&signal)).unwrap();
        let runtime = tokio_uring::Runtime::new(&tokio_uring::builder()).unwrap();
        Self { driver, runtime, signal }
    }

    /// The same as where the ring does not receive.
    pub(super) fn polling(listener: TcpListener, pool: BufferPool) -> Self {
        let Self { driver, runtime, signal } = Self::new(listener, pool);
        Self { driver: driver.polling(), runtime, signal }
    }

    fn run<T>(&mut self, call: impl FnOnce(&mut TokioUring) -> T) -> T {
        self.runtime.block_on(async { call(&mut self.driver) })
    }
}

impl Driver for InRuntime {
    fn now(&self) -> Time {
        self.driver.now()
    }

    fn secret(&mut self) -> u64 {
        self.driver.secret()
    }

    fn waker(&self) -> Arc<dyn Wake> {
        self.driver.waker()
    }

    fn accept(&mut self) {
        self.run(TokioUring::accept);
    }

    fn accept_stop(&mut self) -> Vec<Descriptor> {
        self.run(TokioUring::accept_stop)
    }

    fn accept_refuse(&mut self) -> bool {
        self.run(TokioUring::accept_refuse)
    }

    fn adopt(&mut self, socket: OwnedFd) -> io::Result<Descriptor> {
        self.run(|driver| driver.adopt(socket))
    }

    fn release(&mut self, descriptor: Descriptor) -> OwnedFd {
        self.run(|driver| driver.release(descriptor))
    }

    fn receive(&mut self, key: Key, descriptor: Descriptor) {
        self.run(|driver| driver.receive(key, descriptor));
    }

    fn receive_once(&mut self, key: Key, descriptor: Descriptor) {
        self.run(|driver| driver.receive_once(key, descriptor));
    }

    fn fill(&mut self, key: Key, descriptor: Descriptor, buffer: Vec<u8>, size: usize) {
        self.run(|driver| driver.fill(key, descriptor, buffer, size));
    }

    fn receive_cancel(&mut self, key: Key) {
        self.run(|driver| driver.receive_cancel(key));
    }

    fn send(&mut self, key: Key, descriptor: Descriptor, bytes: Bytes, from: usize) {
        self.run(|driver| driver.send(key, descriptor, bytes, from));
    }

    fn shutdown(&mut self, descriptor: Descriptor, how: Shutdown) {
        self.run(|driver| driver.shutdown(descriptor, how));
    }

    fn close(&mut self, descriptor: Descriptor) {
        self.run(|driver| driver.close(descriptor));
    }

    fn abandon(&mut self, descriptor: Descriptor) {
        self.run(|driver| driver.abandon(descriptor));
    }

    fn peer_address(&self, descriptor: Descriptor) -> Option<SocketAddr> {
        self.driver.peer_address(descriptor)
    }

    fn enters(&self) -> u64 {
        self.driver.enters()
    }

    fn recycle(&mut self, lease: Lease) {
        self.driver.recycle(lease);
    }

    /// Wakes for a signal as well, as a worker's task does.
    fn wait(&mut self, timeout: Option<Duration>, into: &mut Vec<Completion>) -> io::Result<()> {
        let Self { driver, runtime, signal } = self;
        let (begun, count) = (Instant::now(), into.len());
        let goes_on = || timeout.is_none_or(|timeout| begun.elapsed() < timeout);
        runtime.block_on(async {
            loop {
                signal.clear();
                driver.wait(Some(Duration::ZERO), into)?;
                if into.len() > count || !goes_on() {
                    return Ok(());
                }
                // What is submitted leaves when the thread is parked.
                sleep(PAUSE).await;
                yield_now().await;
            }
        })
    }

    fn spin(
        &mut self,
        _until: Time,
        _is_wanted: impl Fn() -> bool,
        into: &mut Vec<Completion>,
    ) -> io::Result<()> {
        self.wait(Some(Duration::ZERO), into)
    }
}
