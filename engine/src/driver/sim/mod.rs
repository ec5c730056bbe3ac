//! A ring that a seed repeats: no kernel, no clock, peers that a test plays.
//!
//! It keeps the kernel's promises and nothing beyond them: completions of one socket come in order,
//! those of several in any; anything may take its time, be short, or end early. What the engine
//! must never do (two receives on a socket, a descriptor closed with something in flight, a buffer
//! given back twice) is asserted.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::driver::{Bytes, Clock, Completion, Descriptor, Driver, Key, Lease, Shutdown};
use crate::mailbox::Wake;
use crate::timer::Time;

mod faults;
mod host;
mod journal;
mod progress;
mod random;
mod socket;
mod world;

pub use faults::Faults;
pub(crate) use random::Random;
pub(crate) use socket::{Socket, Untold};
pub(crate) use world::World;

/// How long the longest jump of the clock is.
const JUMP_MAX: Duration = Duration::from_secs(120);

/// The driver's end of a simulation. The test has the other one.
pub(crate) struct Sim {
    world: Rc<RefCell<World>>,
    waker: Arc<Flag>,
    /// The time of the last wait, in nanoseconds, for whoever measures.
    clock: Arc<AtomicU64>,
    waits: u64,
}

/// Remembers that somebody wanted to wake the worker.
#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Sim {
    pub(crate) fn new(world: Rc<RefCell<World>>) -> Self {
        let (waker, clock) = (Arc::new(Flag::default()), Arc::new(AtomicU64::new(0)));
        Self { world, waker, clock, waits: 0 }
    }

    /// What says what time it is in this world.
    pub(crate) fn clock(&self) -> Clock {
        Clock::Simulated(Arc::clone(&self.clock))
    }
}

impl Driver for Sim {
    fn now(&self) -> Time {
        self.world.borrow().now
    }

    fn secret(&mut self) -> u64 {
        self.world.borrow_mut().random.number()
    }

    fn waker(&self) -> Arc<dyn Wake> {
        self.waker.clone()
    }

    fn accept(&mut self) {
        self.world.borrow_mut().accept();
    }

    fn accept_stop(&mut self) -> Vec<Descriptor> {
        self.world.borrow_mut().accept_stop()
    }

    fn accept_refuse(&mut self) -> bool {
        self.world.borrow_mut().refuse()
    }

    fn adopt(&mut self, socket: OwnedFd) -> io::Result<Descriptor> {
        self.world.borrow_mut().adopt(socket)
    }

    fn release(&mut self, descriptor: Descriptor) -> OwnedFd {
        self.world.borrow_mut().release(descriptor)
    }

    fn receive(&mut self, key: Key, descriptor: Descriptor) {
        self.world.borrow_mut().receive(key, descriptor);
    }

    fn receive_once(&mut self, key: Key, descriptor: Descriptor) {
        self.world.borrow_mut().receive_once(key, descriptor);
    }

    fn fill(&mut self, key: Key, descriptor: Descriptor, buffer: Vec<u8>, size: usize) {
        self.world.borrow_mut().fill(key, descriptor, buffer, size);
    }

    fn receive_cancel(&mut self, key: Key) {
        self.world.borrow_mut().receive_cancel(key);
    }

    fn send(&mut self, key: Key, descriptor: Descriptor, bytes: Bytes, from: usize) {
        self.world.borrow_mut().send(key, descriptor, bytes, from);
    }

    fn shutdown(&mut self, descriptor: Descriptor, how: Shutdown) {
        self.world.borrow_mut().shutdown(descriptor, how == Shutdown::Both);
    }

    fn close(&mut self, descriptor: Descriptor) {
        self.world.borrow_mut().close(descriptor);
    }

    fn abandon(&mut self, descriptor: Descriptor) {
        self.world.borrow_mut().abandon(descriptor);
    }

    fn peer_address(&self, descriptor: Descriptor) -> Option<SocketAddr> {
        self.world.borrow().peer_address(descriptor)
    }

    fn enters(&self) -> u64 {
        self.waits
    }

    fn recycle(&mut self, lease: Lease) {
        self.world.borrow_mut().recycle(lease);
    }

    fn wait(&mut self, timeout: Option<Duration>, into: &mut Vec<Completion>) -> io::Result<()> {
        self.waits += 1;
        let mut world = self.world.borrow_mut();
        let before = into.len();
        world.progress(into);
        if self.waker.0.swap(false, Ordering::SeqCst) {
            into.push(Completion::Woken);
        }
        // Time passes while the loop works, and all of it while the loop sleeps.
        let World { random, faults, held, .. } = &mut *world;
        let mut passed = Duration::from_nanos(random.number() % 50_000);
        let busy = *held || into.len() > before;
        if let Some(timeout) = timeout.filter(|_| !busy) {
            passed += timeout;
        }
        if random.chance(faults.spurious_wakes) {
            into.push(Completion::Woken);
            // Or it did not sleep for as long as it wanted to.
            passed /= 3;
        }
        if random.chance(faults.jumps) {
            passed += JUMP_MAX * u32::from(random.number().to_be_bytes()[0]) / 256;
        }
        world.now = world.now.after(passed);
        self.clock.store(world.now.as_nanos(), Ordering::Relaxed);
        Ok(())
    }

    /// Nobody sends mail while a simulated worker spins, so it spins for all of the time or, as
    /// when it sleeps, until something completes.
    fn spin(
        &mut self,
        until: Time,
        is_wanted: impl Fn() -> bool,
        into: &mut Vec<Completion>,
    ) -> io::Result<()> {
        let time = if is_wanted() { Duration::ZERO } else { until.since(self.now()) };
        self.wait(Some(time), into)
    }
}
