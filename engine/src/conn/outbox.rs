//! What a connection has to send: one buffer flying, one filling.
//!
//! ```text
//!   handler, protocol ──append──▶ filling ──take_off──▶ flying (the driver's) ──land──▶ gone
//!                                    └──────────── buffered() ─────────┘
//! ```
//!
//! A frame for many connections flies as it is where nothing else waits: a message to ten thousand
//! idle peers takes neither ten thousand copies nor as many buffers.

use ringwire_protocol::Frame;

use crate::driver::Bytes;
use crate::timer::Stamp;

/// The buffers that an idle connection does not hold: they come from here and go back.
#[derive(Debug, Default)]
pub(crate) struct BufferStore {
    spare: Vec<Vec<u8>>,
}

/// Buffers kept for the next turn.
const SPARE_COUNT_MAX: usize = 1024;

/// Bytes of the largest buffer that is kept: what a rare, larger message took is given back.
pub(crate) const SPARE_SIZE_MAX: usize = 64 << 10;

/// Bytes of everything that is kept.
pub(crate) const SPARE_MAX: usize = SPARE_COUNT_MAX * SPARE_SIZE_MAX;

impl BufferStore {
    /// An empty buffer, with some capacity where one is spare.
    #[inline]
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes a buffer back.
    #[inline]
    pub(crate) fn give(&mut self, mut buffer: Vec<u8>) {
        let kept = 1..=SPARE_SIZE_MAX;
        if kept.contains(&buffer.capacity()) && self.spare.len() < SPARE_COUNT_MAX {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// Bytes of everything that is kept.
    #[cfg(feature = "simulation")]
    pub(crate) fn allocated(&self) -> usize {
        self.spare.iter().map(Vec::capacity).sum()
    }

    /// Takes back what has been sent, if it is a buffer.
    #[inline]
    pub(crate) fn give_sent(&mut self, bytes: Bytes) {
        if let Bytes::Own(buffer) = bytes {
            self.give(buffer);
        }
    }

    /// Gives all of it back to the system.
    pub(crate) fn clear(&mut self) {
        self.spare = Vec::new();
    }
}

/// The bytes on their way to one peer.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// Frames in the order they were sent, for the next flight.
    filling: Bytes,
    /// Bytes of the present flight that have not been confirmed. Zero: nothing is in flight.
    flying: usize,
    /// Since when the oldest of the bytes in `filling` waits, as far as `date` knows.
    filling_since: Option<Stamp>,
    /// Since when the oldest byte of the present flight has waited. `None`: nothing is in flight.
    flying_since: Option<Stamp>,
}

impl Outbox {
    /// Bytes that have not left: queued and in flight.
    pub(crate) fn buffered(&self) -> usize {
        self.filled() + self.flying
    }

    /// Bytes for the next flight.
    pub(crate) fn filled(&self) -> usize {
        self.filling.len()
    }

    /// Bytes that are allocated for the next flight.
    #[cfg(feature = "simulation")]
    pub(crate) fn allocated(&self) -> usize {
        self.filling.allocated()
    }

    /// The frames for the next flight, to append to.
    pub(crate) fn filling(&mut self) -> &mut Vec<u8> {
        if let Bytes::Shared(frame) = &self.filling {
            self.filling = Bytes::Own(frame.to_vec());
        }
        match &mut self.filling {
            Bytes::Own(buffer) => buffer,
            Bytes::Shared(_) => unreachable!("it has been copied"),
        }
    }

    /// The buffer to append to, if there is one.
    #[inline]
    pub(crate) fn buffer(&mut self) -> Option<&mut Vec<u8>> {
        match &mut self.filling {
            Bytes::Own(buffer) if buffer.capacity() > 0 => Some(buffer),
            Bytes::Own(_) | Bytes::Shared(_) => None,
        }
    }

    /// Sees to it that there is a buffer to append to.
    #[inline]
    pub(crate) fn fetch(&mut self, store: &mut BufferStore) {
        let frame = match &self.filling {
            Bytes::Own(buffer) if buffer.capacity() > 0 => return,
            Bytes::Own(_) => &[],
            Bytes::Shared(frame) => &**frame,
        };
        let mut buffer = store.take();
        buffer.extend_from_slice(frame);
        self.filling = Bytes::Own(buffer);
    }

    /// Gives the buffer back, if nothing is in it.
    #[inline]
    pub(crate) fn release(&mut self, store: &mut BufferStore) {
        if self.filling.is_empty() {
            store.give_sent(std::mem::take(&mut self.filling));
        }
    }

    /// Appends a frame that other connections send as well. Where there is no buffer it waits as it
    /// is.
    #[inline]
    pub(crate) fn push(&mut self, frame: Frame) {
        match &mut self.filling {
            Bytes::Own(buffer) if buffer.capacity() == 0 => self.filling = Bytes::Shared(frame),
            Bytes::Own(_) | Bytes::Shared(_) => self.filling().extend_from_slice(&frame),
        }
    }

    /// In how many flights all of them will have left, from the one that is under way.
    pub(crate) fn flights(&self) -> u8 {
        u8::from(self.is_flying()) + u8::from(!self.filling.is_empty())
    }

    /// Since when the oldest byte waits. Bytes of one flight are as old as the first of them.
    pub(crate) fn since(&self) -> Option<Stamp> {
        self.flying_since.or(self.filling_since)
    }

    /// Dates what has been queued since the last call, or the last take-off.
    pub(crate) fn date(&mut self, now: Stamp) {
        if !self.filling.is_empty() {
            self.filling_since.get_or_insert(now);
        }
    }

    /// Whether a flight is due: something waits and nothing is under way.
    pub(crate) fn is_due(&self) -> bool {
        self.flying == 0 && !self.filling.is_empty()
    }

    /// Whether a send is under way.
    pub(crate) const fn is_flying(&self) -> bool {
        self.flying > 0
    }

    /// Hands over what has been filled and dated, for the driver to send. Nothing is under way.
    pub(crate) fn take_off(&mut self) -> Bytes {
        debug_assert!(self.is_due() && self.filling_since.is_some());
        self.flying = self.filling.len();
        self.flying_since = self.filling_since.take();
        std::mem::take(&mut self.filling)
    }

    /// Confirms `size` bytes of the flight; says from where in `bytes` the rest is to be sent,
    /// `None` when there is none.
    pub(crate) fn land(&mut self, bytes: &[u8], size: usize) -> Option<usize> {
        debug_assert!(0 < size && size <= self.flying && self.flying <= bytes.len());
        self.flying = self.flying.saturating_sub(size);
        if self.flying == 0 {
            self.flying_since = None;
            return None;
        }
        Some(bytes.len() - self.flying)
    }

    /// Gives back what no longer leaves.
    pub(crate) fn abandon(self, store: &mut BufferStore) {
        store.give_sent(self.filling);
    }

    /// The flight is lost, and with it what was to follow.
    pub(crate) fn crash(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timer::Time;
    use ringwire_protocol::{Limits, Prepared, Role, Sender, Workspace};

    fn at(tick: u64) -> Stamp {
        Stamp::of(Time::from_nanos(tick << 22))
    }

    #[test]
    fn one_flies_while_the_other_fills() {
        let mut outbox = Outbox::default();
        assert!(!outbox.is_due());
        outbox.filling().extend_from_slice(b"first");
        assert!(outbox.is_due());
        assert_eq!(outbox.flights(), 1);
        outbox.date(at(1));
        let flight = outbox.take_off();
        assert_eq!(outbox.flights(), 1);
        outbox.filling().extend_from_slice(b"second");
        assert_eq!(outbox.flights(), 2);
        assert_eq!((outbox.is_due(), outbox.buffered()), (false, 11));
        outbox.date(at(2));
        outbox.filling().extend_from_slice(b", and more");
        outbox.date(at(3));
        assert_eq!(outbox.since(), Some(at(1)));
        assert_eq!(outbox.land(&flight, 2), Some(2));
        assert_eq!((outbox.buffered(), outbox.since()), (19, Some(at(1))));
        assert_eq!(outbox.land(&flight, 3), None);
        assert!(outbox.is_due());
        assert_eq!(outbox.since(), Some(at(2)));
        outbox.crash();
        assert_eq!(outbox.since(), None);
        assert_eq!((outbox.is_due(), outbox.buffered()), (false, 0));
    }

    #[test]
    fn a_frame_for_many_flies_as_it_is_unless_others_join_it() {
        let frame = |text: &str| {
            let mut workspace = Workspace::new(Limits::default());
            let prepared = &mut Prepared::new(text);
            Sender::new(Role::Server).prepared(prepared, &mut workspace).unwrap()
        };
        let (first, second) = (frame("one"), frame("two"));
        let (mut outbox, mut store) = (Outbox::default(), BufferStore::default());
        outbox.push(first.clone());
        assert_eq!((outbox.is_due(), outbox.buffered(), outbox.flights()), (true, 5, 1));
        outbox.date(at(1));
        let flight = outbox.take_off();
        assert!(std::ptr::eq(&*flight, &*first), "it has been copied");
        assert_eq!(outbox.land(&flight, 4), Some(4));
        outbox.push(first.clone());
        outbox.push(second);
        outbox.filling().extend_from_slice(b"own");
        assert_eq!((outbox.filled(), outbox.buffered()), (13, 14));
        assert_eq!(outbox.land(&flight, 1), None);
        outbox.date(at(2));
        let flight = outbox.take_off();
        assert_eq!(&*flight, b"\x81\x03one\x81\x03twoown");
        assert_eq!(outbox.land(&flight, flight.len()), None);
        store.give_sent(flight);
        outbox.push(first.clone());
        outbox.fetch(&mut store);
        assert_eq!((outbox.filled(), store.spare.len()), (5, 0));
        outbox.crash();
        // Where there is a buffer it is used, and one that has remained empty goes back.
        store.give(Vec::with_capacity(10));
        outbox.fetch(&mut store);
        outbox.release(&mut store);
        assert_eq!(store.spare.len(), 1);
        outbox.fetch(&mut store);
        outbox.push(first);
        outbox.release(&mut store);
        assert_eq!((outbox.filled(), store.spare.len()), (5, 0));
    }

    #[test]
    fn the_store_is_bounded() {
        let mut store = BufferStore::default();
        store.give(Vec::with_capacity(SPARE_SIZE_MAX + 1));
        store.give(Vec::new());
        assert_eq!(store.spare.len(), 0);
        for _ in 0..2 * SPARE_COUNT_MAX {
            store.give(vec![0; 10]);
        }
        assert_eq!(store.spare.len(), SPARE_COUNT_MAX);
        assert_eq!(store.take(), []);
        store.clear();
        assert_eq!(store.take().capacity(), 0);
    }
}
