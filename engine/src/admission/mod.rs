//! Who is let in: what all workers of a server count together.
//!
//! It is asked when a connection is accepted and told when it ends, never in between.
//!
//! ```text
//!   accepted ─▶ address full? ─▶ server full? ─▶ worker full? ─▶ too many handshakes? ─▶ a place
//!                    │                │  the oldest handshake gives up its place  │
//!                    ▼                ▼ or, where there is none, ▼
//!                   503              503              503
//! ```

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::cause::Limit;
use crate::config::Settings;

mod addresses;
mod bucket;

pub(crate) use addresses::{ADDRESS_SIZE, Place};
pub(crate) use bucket::Bucket;

use addresses::{Addresses, prefix};

/// What all workers of a server count together.
#[derive(Debug)]
pub(crate) struct Admission {
    /// Connections that have a place. `count <= count_max`.
    count: AtomicUsize,
    count_max: usize,
    /// Where the addresses are limited.
    addresses: Option<Addresses>,
}

impl Admission {
    pub(crate) fn new(settings: &Settings) -> Self {
        let config = &settings.config;
        Self {
            count: AtomicUsize::new(0),
            count_max: config.connections_server_max.unwrap_or(usize::MAX),
            addresses: config.connections_address_max.map(Addresses::new),
        }
    }

    /// Gives a place to a peer, whose `address` is asked for where it counts, or says which limit
    /// it is over. Each place is left once.
    pub(crate) fn enter(
        &self,
        address: impl FnOnce() -> Option<SocketAddr>,
    ) -> Result<Place, Limit> {
        let place = match &self.addresses {
            None => Place::ANYWHERE,
            // A peer without an address has gone already, and its connection ends by itself.
            Some(addresses) => match address() {
                None => Place::ANYWHERE,
                Some(address) => {
                    addresses.enter(prefix(address.ip())).ok_or(Limit::ConnectionsAddress)?
                }
            },
        };
        let room = |count: usize| (count < self.count_max).then(|| count + 1);
        // Relaxed: the number orders nothing but itself.
        match self.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room) {
            Ok(_) => Ok(place),
            Err(_) => {
                self.leave_address(place);
                Err(Limit::ConnectionsServer)
            }
        }
    }

    /// Gives a place back.
    pub(crate) fn leave(&self, place: Place) {
        self.leave_address(place);
        let before = self.count.fetch_sub(1, Ordering::Relaxed);
        debug_assert!(before > 0, "a place was left twice");
    }

    /// That it counts these places, all of its only worker, and no others.
    ///
    /// # Panics
    /// When it does not, or more than it may.
    #[cfg(feature = "simulation")]
    pub(crate) fn check(&self, places: &[Place]) {
        assert_eq!(self.count.load(Ordering::Relaxed), places.len(), "places are counted wrong");
        assert!(places.len() <= self.count_max, "{} connections of the server", places.len());
        if let Some(addresses) = &self.addresses {
            addresses.check(places);
        }
    }

    fn leave_address(&self, place: Place) {
        if let Some(addresses) = &self.addresses {
            addresses.leave(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn admission(server: Option<usize>, address: Option<usize>) -> Admission {
        let config = Config {
            connections_server_max: server,
            connections_address_max: address,
            ..Config::default()
        };
        Admission::new(&Settings::resolve(config, &[0, 1]).unwrap())
    }

    fn at(address: &str) -> impl FnOnce() -> Option<SocketAddr> {
        let address = address.parse().unwrap();
        move || Some(address)
    }

    #[test]
    fn without_limits_nobody_is_asked_for_an_address() {
        let admission = admission(None, None);
        let place = admission.enter(|| panic!("the address does not count")).unwrap();
        admission.leave(place);
        assert_eq!(admission.count.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_place_that_the_server_refuses_is_not_the_address_s() {
        let admission = admission(Some(2), Some(2));
        let first = admission.enter(at("192.0.2.1:1")).unwrap();
        let second = admission.enter(at("192.0.2.2:1")).unwrap();
        for _ in 0..5 {
            assert_eq!(admission.enter(at("192.0.2.1:2")), Err(Limit::ConnectionsServer));
        }
        admission.leave(second);
        let third = admission.enter(at("192.0.2.1:2")).unwrap();
        assert_eq!(admission.enter(at("192.0.2.1:3")), Err(Limit::ConnectionsAddress));
        admission.leave(first);
        admission.leave(third);
        assert_eq!(admission.count.load(Ordering::Relaxed), 0);
    }
}
