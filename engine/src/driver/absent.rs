//! The ring of systems that have none: nobody can make one, and the ladder goes on to readiness.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use super::{
    BufferPool, Bytes, Completion, Descriptor, Driver, Key, Lease, Listening, Shutdown, Step, errno,
};
use crate::mailbox::Wake;
use crate::refusal::RingFeature;
use crate::timer::Time;

/// There is no value of it.
#[derive(Debug)]
pub(crate) enum Uring {}

/// What rings elsewhere have and those of this system have not.
pub(crate) const fn lacks() -> Option<RingFeature> {
    None
}

impl Uring {
    pub(crate) fn new(_: Option<Listening>, _: BufferPool) -> Result<Self, (Step, io::Error)> {
        Err((Step::Ring, io::Error::from_raw_os_error(errno::ENOSYS)))
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn hosted(
        listener: Option<Listening>,
        pool: BufferPool,
    ) -> Result<Self, (Step, io::Error)> {
        Self::new(listener, pool)
    }

    pub(crate) const fn lacks(&self) -> &[RingFeature] {
        match *self {}
    }

    pub(crate) const fn poll_cards(&mut self, _: Duration) -> io::Result<()> {
        match *self {}
    }
}

#[cfg(feature = "tokio")]
impl std::os::fd::AsRawFd for Uring {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        match *self {}
    }
}

impl Driver for Uring {
    fn now(&self) -> Time {
        match *self {}
    }

    fn secret(&mut self) -> u64 {
        match *self {}
    }

    fn waker(&self) -> Arc<dyn Wake> {
        match *self {}
    }

    fn accept(&mut self) {
        match *self {}
    }

    fn accept_stop(&mut self) -> Vec<Descriptor> {
        match *self {}
    }

    fn accept_refuse(&mut self) -> bool {
        match *self {}
    }

    fn adopt(&mut self, _: OwnedFd) -> io::Result<Descriptor> {
        match *self {}
    }

    fn release(&mut self, _: Descriptor) -> OwnedFd {
        match *self {}
    }

    fn receive(&mut self, _: Key, _: Descriptor) {
        match *self {}
    }

    fn receive_once(&mut self, _: Key, _: Descriptor) {
        match *self {}
    }

    fn fill(&mut self, _: Key, _: Descriptor, _: Vec<u8>, _: usize) {
        match *self {}
    }

    fn receive_cancel(&mut self, _: Key) {
        match *self {}
    }

    fn send(&mut self, _: Key, _: Descriptor, _: Bytes, _: usize) {
        match *self {}
    }

    fn shutdown(&mut self, _: Descriptor, _: Shutdown) {
        match *self {}
    }

    fn close(&mut self, _: Descriptor) {
        match *self {}
    }

    fn abandon(&mut self, _: Descriptor) {
        match *self {}
    }

    fn peer_address(&self, _: Descriptor) -> Option<SocketAddr> {
        match *self {}
    }

    fn enters(&self) -> u64 {
        match *self {}
    }

    fn recycle(&mut self, _: Lease) {
        match *self {}
    }

    fn wait(&mut self, _: Option<Duration>, _: &mut Vec<Completion>) -> io::Result<()> {
        match *self {}
    }

    fn spin(&mut self, _: Time, _: impl Fn() -> bool, _: &mut Vec<Completion>) -> io::Result<()> {
        match *self {}
    }
}
