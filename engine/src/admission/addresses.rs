//! How many connections each address has, for all workers together.
//!
//! An address is in the table as long as it has a connection, so there are no more entries than
//! connections. A connection keeps the four bytes of its [`Place`] and not the address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Parts of the table, each with a lock of its own, so that workers seldom wait for each other.
const SHARDS: u32 = 64;

/// Where a connection is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place(NonZeroU32);

impl Place {
    /// By no address.
    pub(crate) const ANYWHERE: Self = Self(NonZeroU32::MAX);

    /// `None` where a shard has more entries than fit, which takes 67 million addresses.
    fn new(shard: u32, index: usize) -> Option<Self> {
        let index = u32::try_from(index).ok()?;
        let number = index.checked_mul(SHARDS)?.checked_add(shard + 1)?;
        NonZeroU32::new(number).map(Self).filter(|place| *place != Self::ANYWHERE)
    }

    /// The shard, and the index in it.
    const fn parts(self) -> (usize, usize) {
        let number = self.0.get() - 1;
        ((number % SHARDS) as usize, (number / SHARDS) as usize)
    }
}

/// The table.
#[derive(Debug)]
pub(super) struct Addresses {
    shards: Box<[Mutex<Shard>]>,
    count_max: usize,
}

#[derive(Debug, Default)]
struct Shard {
    /// The index of each prefix that has a connection. Its hashes cannot be foreseen.
    indexes: HashMap<u64, usize>,
    entries: Vec<Entry>,
    /// Entries without a connection. `indexes.len() + free.len() == entries.len()`.
    free: Vec<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    prefix: u64,
    /// Zero: the entry is free.
    count: usize,
}

/// Bytes of an address at the most, in tables that may have more than twice the capacity that is
/// used.
pub(crate) const ADDRESS_SIZE: usize =
    3 * (size_of::<(u64, usize)>() + 1) + 2 * (size_of::<Entry>() + size_of::<usize>());

impl Addresses {
    /// A table that lets each prefix have at most `count_max` connections.
    pub(super) fn new(count_max: usize) -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), count_max }
    }

    /// Counts a connection of `prefix`, unless it has as many as it may.
    pub(super) fn enter(&self, prefix: u64) -> Option<Place> {
        let number = shard(prefix);
        let mut shard = lock(self.shards.get(number as usize)?);
        let Shard { indexes, entries, free } = &mut *shard;
        if let Some(&index) = indexes.get(&prefix) {
            let entry = entries.get_mut(index).filter(|entry| entry.count < self.count_max)?;
            entry.count += 1;
            return Place::new(number, index);
        }
        let index = free.last().copied().unwrap_or(entries.len());
        let place = Place::new(number, index)?;
        let entry = Entry { prefix, count: 1 };
        match entries.get_mut(index) {
            Some(place) => {
                *place = entry;
                free.pop();
            }
            None => entries.push(entry),
        }
        indexes.insert(prefix, index);
        Some(place)
    }

    /// That it counts these places, as often as they are here, and no others.
    #[cfg(feature = "simulation")]
    pub(super) fn check(&self, places: &[Place]) {
        let mut counted = 0;
        for (number, shard) in (0..).zip(&self.shards) {
            let Shard { indexes, entries, .. } = &*lock(shard);
            for &index in indexes.values() {
                let place = Place::new(number, index);
                let count = places.iter().filter(|it| Some(**it) == place).count();
                let entry = entries.get(index).map(|entry| entry.count);
                assert_eq!(entry, Some(count), "an address is counted wrong");
                assert!(count <= self.count_max, "{count} connections of an address");
                counted += count;
            }
        }
        let anywhere = places.iter().filter(|place| **place == Place::ANYWHERE).count();
        assert_eq!(counted + anywhere, places.len(), "a place is of no address");
    }

    /// Counts a connection no more.
    pub(super) fn leave(&self, place: Place) {
        if place == Place::ANYWHERE {
            return;
        }
        let (number, index) = place.parts();
        let Some(shard) = self.shards.get(number) else { return };
        let mut shard = lock(shard);
        let Shard { indexes, entries, free } = &mut *shard;
        let Some(entry) = entries.get_mut(index) else { return };
        debug_assert!(entry.count > 0, "a place was left twice");
        entry.count = entry.count.saturating_sub(1);
        if entry.count > 0 {
            return;
        }
        indexes.remove(&entry.prefix);
        free.push(index);
        if indexes.is_empty() {
            // What a flood of addresses took is given back when it is over.
            *shard = Shard::default();
        }
    }
}

/// What counts as one address: one of IPv4; of IPv6 the first 64 bits, since that is the least that
/// a single subscriber is given, who can use any of the 2^64 addresses in it.
///
/// One of IPv4 takes the place of a prefix that begins with 32 zeroes. Those are reserved; the only
/// one with a host is that of `::1`, which is zero.
pub(super) fn prefix(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => match translated(address) {
            Some(address) => u64::from(address),
            None => (address.to_bits() >> 64) as u64,
        },
    }
}

/// The address of IPv4 in one that a translator has made of it (RFC 6052 section 2.1,
/// `64:ff9b::/96`): otherwise all clients behind translators would count as one.
fn translated(address: Ipv6Addr) -> Option<u32> {
    let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = address.segments() else { return None };
    Some(u32::from(high) << 16 | u32::from(low))
}

/// A shard for each prefix: neighbouring ones, and those of one network, in different shards.
fn shard(prefix: u64) -> u32 {
    // The upper bits of a product depend on all bits; the constant is that of Fibonacci hashing.
    let hash = prefix.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    u32::try_from(hash).unwrap_or(0) % SHARDS
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // Nothing under the lock panics, so what it guards is whole even if a thread died with it.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    impl Addresses {
        fn entries(&self) -> usize {
            self.shards.iter().map(|shard| lock(shard).entries.len()).sum()
        }

        fn invariants(&self) {
            for shard in &self.shards {
                let Shard { indexes, entries, free } = &*lock(shard);
                assert_eq!(indexes.len() + free.len(), entries.len());
                for (prefix, index) in indexes {
                    assert_eq!(entries[*index].prefix, *prefix);
                    assert!((1..=self.count_max).contains(&entries[*index].count));
                }
            }
        }
    }

    proptest! {
        /// Against a map that is counted in.
        #[test]
        fn counts(acts in prop::collection::vec((any::<bool>(), 0_u64..20), 0..400)) {
            let addresses = Addresses::new(3);
            let mut places: BTreeMap<u64, Vec<Place>> = BTreeMap::new();
            for (enters, prefix) in acts {
                // Some in the same shard, some apart.
                let prefix = if prefix < 10 { prefix } else { prefix << 40 };
                let held = places.entry(prefix).or_default();
                if enters {
                    let place = addresses.enter(prefix);
                    prop_assert_eq!(place.is_some(), held.len() < 3);
                    held.extend(place);
                    prop_assert!(held.iter().all(|place| *place == held[0]));
                } else if let Some(place) = held.pop() {
                    addresses.leave(place);
                }
                addresses.invariants();
            }
            for place in places.into_values().flatten() {
                addresses.leave(place);
            }
            prop_assert_eq!(addresses.entries(), 0, "an address without connections is kept");
        }
    }

    #[test]
    fn what_is_one_address() {
        let of = |address: &str| prefix(address.parse().unwrap());
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_eq!(of("192.0.2.1"), of("64:ff9b::192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_ne!(of("64:ff9b::192.0.2.1"), of("64:ff9b::192.0.2.2"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_ne!(of("127.0.0.1"), of("::1"));
    }

    #[test]
    fn neighbours_are_in_different_shards() {
        let shards: std::collections::BTreeSet<u32> =
            (0..256).map(|host| shard(0xC000_0200 | host)).collect();
        assert!(shards.len() > 48, "{} of {SHARDS}", shards.len());
    }

    #[test]
    fn workers_count_together() {
        let addresses = Addresses::new(1000);
        let entered = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let places: Vec<_> = (0..500).filter_map(|_| addresses.enter(7)).collect();
                    entered.fetch_add(places.len(), std::sync::atomic::Ordering::Relaxed);
                });
            }
        });
        assert_eq!(entered.into_inner(), 1000);
    }

    #[test]
    fn places_are_small_and_exhaustible() {
        assert_eq!(size_of::<Option<Place>>(), 4);
        for (shard, index) in [(0, 0), (63, 0), (5, 7), (61, (1 << 26) - 1)] {
            assert_eq!(Place::new(shard, index).unwrap().parts(), (shard as usize, index));
        }
        assert_eq!(Place::new(62, (1 << 26) - 1), None, "that is anywhere");
        assert_eq!(Place::new(63, (1 << 26) - 1), None);
        assert_eq!(Place::new(0, 1 << 26), None);
    }
}
