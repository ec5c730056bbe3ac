//! What the seam promises, looked at on every driver of the system's.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::epoll::Epoll;
use super::uring::Uring;
use super::{BufferPool, Bytes, Completion, Descriptor, Driver, Fault, Key, Lease};
#[cfg(feature = "tokio-uring")]
use in_runtime::InRuntime;

mod accepting;
mod handing_over;
#[cfg(feature = "tokio-uring")]
mod in_runtime;
mod receiving;
mod sending;
mod waiting;

/// Far above what anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Enough to be sure that nothing comes any more.
const MOMENT: Duration = Duration::from_millis(30);

const KEY: Key = Key { slot: 3, generation: 7 };
const OTHER: Key = Key { slot: 4, generation: 0 };

const POOL: BufferPool = BufferPool { count: 2, size: 64 };

/// A driver that listens, with whatever it is asked to wait for.
struct World<D> {
    driver: D,
    address: SocketAddr,
}

fn uring(listener: TcpListener, pool: BufferPool) -> Uring {
    Uring::new(Some(listener.into()), pool).map_err(|(_, error)| error).unwrap()
}

fn epoll(listener: TcpListener, pool: BufferPool) -> Epoll {
    Epoll::new(Some(listener.into()), pool).unwrap()
}

impl<D: Driver> World<D> {
    fn new(make: fn(TcpListener, BufferPool) -> D) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        Self { driver: make(listener, POOL), address }
    }

    fn peer(&self) -> TcpStream {
        let peer = TcpStream::connect(self.address).unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        peer
    }

    /// A connection that has been accepted, and its other end.
    fn pair(&mut self) -> (Descriptor, TcpStream) {
        let peer = self.peer();
        let accepted = self.next();
        let Completion::Accepted { result: Ok(descriptor), more: true } = accepted else {
            panic!("{accepted:?}");
        };
        (descriptor, peer)
    }

    /// A driver that accepts, with one connection.
    fn connected(make: fn(TcpListener, BufferPool) -> D) -> (Self, Descriptor, TcpStream) {
        let mut world = Self::new(make);
        world.driver.accept();
        let (descriptor, peer) = world.pair();
        (world, descriptor, peer)
    }

    /// What completes next, of which nothing may be left out.
    fn several(&mut self, count: usize) -> Vec<Completion> {
        let mut completions = Vec::new();
        let begun = Instant::now();
        // What has no meaning above the driver ends a wait as well.
        while completions.len() < count && begun.elapsed() < PATIENCE {
            self.driver.wait(Some(PATIENCE), &mut completions).unwrap();
        }
        assert_eq!(completions.len(), count, "{completions:?}");
        completions
    }

    /// The only thing that completes.
    fn next(&mut self) -> Completion {
        self.several(1).remove(0)
    }

    fn assert_quiet(&mut self) {
        let (mut completions, begun) = (Vec::new(), Instant::now());
        while begun.elapsed() < MOMENT {
            self.driver.wait(Some(MOMENT), &mut completions).unwrap();
        }
        assert!(completions.is_empty(), "{completions:?}");
    }

    /// What a receive has brought, and whether it goes on.
    fn piece(&mut self) -> (Vec<u8>, bool) {
        let completion = self.next();
        let Completion::Received { key: KEY, result: Ok(lease), more } = completion else {
            panic!("{completion:?}");
        };
        let bytes = lease.as_deref().unwrap_or_default().to_vec();
        lease.into_iter().for_each(|lease| self.driver.recycle(lease));
        (bytes, more)
    }

    fn lease(&mut self) -> Lease {
        let completion = self.next();
        let Completion::Received { result: Ok(Some(lease)), .. } = completion else {
            panic!("{completion:?}");
        };
        lease
    }

    fn filled(&mut self) -> (Result<usize, Fault>, Vec<u8>) {
        let completion = self.next();
        let Completion::Filled { key: KEY, result, buffer } = completion else {
            panic!("{completion:?}");
        };
        (result, buffer)
    }

    fn sent(&mut self) -> (Result<usize, Fault>, Bytes) {
        let completion = self.next();
        let Completion::Sent { key: KEY, result, bytes } = completion else {
            panic!("{completion:?}");
        };
        (result, bytes)
    }

    /// Cancels the receive that is armed. Gives its end, which comes with that of the cancellation.
    fn cancelled(&mut self) -> Completion {
        self.driver.receive_cancel(KEY);
        let mut both = self.several(2);
        let told = both.iter().position(|one| matches!(one, Completion::Cancelled { key: KEY }));
        both.remove(told.unwrap());
        both.remove(0)
    }

    fn assert_accepts_no_more(&mut self) {
        let ended = self.next();
        let expected = Completion::Accepted { result: Err(Fault::Cancelled), more: false };
        assert_eq!(format!("{ended:?}"), format!("{expected:?}"));
    }
}

/// A piece of a receive that goes on or does not.
fn received(completion: Completion) -> (Lease, bool) {
    let Completion::Received { result: Ok(Some(lease)), more, .. } = completion else {
        panic!("{completion:?}");
    };
    (lease, more)
}

/// These promises, on this driver.
macro_rules! on_driver {
    ($driver:ident, $make:path; $($part:ident: $($promise:ident)*;)*) => {
        mod $driver {
            $($(#[test] fn $promise() { super::$part::$promise($make); })*)*
        }
    };
}

/// Each promise, on each driver that waits by itself.
macro_rules! on_every_driver {
    ($($promises:tt)*) => {
        on_driver! { on_uring, super::uring; $($promises)* }
        on_driver! { on_epoll, super::epoll; $($promises)* }
    };
}

on_every_driver! {
    receiving:
        receives_until_the_end
        what_is_urgent_holds_nothing_up
        receives_once
        fills
        a_cancelled_receive_says_so_and_loses_nothing
        without_a_buffer_a_receive_ends
        a_fast_sender_has_its_share;
    sending:
        sends_in_parts
        one_that_waits_keeps_nobody_else_waiting
        one_that_waits_stays_when_a_receive_is_cancelled
        a_reset_is_heard_of
        a_shutdown_ends_a_receive
        what_is_late_concerns_nobody_else
        what_is_abandoned_ends;
    accepting:
        who_is_refused_is_ended_and_the_next_is_not
        a_stop_ends_whatever_is_armed_on_the_listener
        who_waits_when_accepting_stops_comes_back;
    handing_over:
        adopts_what_blocks_and_what_does_not
        gives_back_what_goes_on_elsewhere;
    waiting:
        a_wait_ends_in_time_or_when_it_is_woken
        spins_until_there_is_something;
}

/// Those that a driver keeps which does not wait by itself, and refuses nobody.
#[cfg(feature = "tokio-uring")]
macro_rules! on_every_hosted_driver {
    ($($promises:tt)*) => {
        on_driver! { on_tokio_uring, super::InRuntime::new; $($promises)* }
        on_driver! { on_tokio_uring_polling, super::InRuntime::polling; $($promises)* }
    };
}

#[cfg(feature = "tokio-uring")]
on_every_hosted_driver! {
    receiving:
        receives_until_the_end
        what_is_urgent_holds_nothing_up
        receives_once
        fills
        a_cancelled_receive_says_so_and_loses_nothing
        without_a_buffer_a_receive_ends
        a_fast_sender_has_its_share;
    sending:
        sends_in_parts
        one_that_waits_keeps_nobody_else_waiting
        one_that_waits_stays_when_a_receive_is_cancelled
        a_reset_is_heard_of
        a_shutdown_ends_a_receive
        what_is_late_concerns_nobody_else
        what_is_abandoned_ends;
    accepting:
        a_stop_ends_whatever_is_armed_on_the_listener
        who_waits_when_accepting_stops_comes_back;
    handing_over:
        adopts_what_blocks_and_what_does_not
        gives_back_what_goes_on_elsewhere;
}
