//! What a connection has to send: one buffer flying, one filling.
//!
//! ```text
//!   handler, protocol ──append──▶ filling ──take_off──▶ flying (the driver's) ──land──▶ gone
//!                                    └──────────── buffered() ─────────┘
//! ```
//!
//! A frame for many connections flies as it is where nothing else waits: a message to ten thousand
//! idle peers takes neither ten thousand copies nor as many buffers.

use ringwire_protocol::frame::header::SIZE_MAX;
use ringwire_protocol::{Frame, Workspace};

use crate::driver::Bytes;
use crate::timer::Stamp;

/// The buffers that an idle connection does not hold: they come from here and go back.
#[derive(Debug, Default)]
pub(crate) struct BufferStore {
    spare: Vec<Vec<u8>>,
}

/// Buffers kept for the next turn.
const SPARE_COUNT_MAX: usize = 1024;

/// Bytes of the largest of these. Larger ones are those of the workspace.
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
    pub(crate) fn give_sent(&mut self, bytes: Bytes, workspace: &mut Workspace) {
        if let Bytes::Own(buffer) = bytes {
            if buffer.capacity() > SPARE_SIZE_MAX {
                workspace.give(buffer);
            } else {
                self.give(buffer);
            }
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
    filling: Filling,
    /// Bytes of the present flight that have not been confirmed. Zero: nothing is in flight.
    flying: usize,
    /// Since when the oldest of the bytes in `filling` waits, as far as `date` knows.
    filling_since: Option<Stamp>,
    /// Since when the oldest byte of the present flight has waited. `None`: nothing is in flight.
    flying_since: Option<Stamp>,
}

/// What waits to leave.
#[derive(Debug)]
enum Filling {
    /// One connection's alone.
    Own(Vec<u8>),
    /// A frame for many connections, which nobody can change.
    Shared(Frame),
    /// A frame that flies by itself, and what follows it.
    Given(Box<Given>),
}

/// A received message that goes back in its own buffer.
#[derive(Debug)]
struct Given {
    /// Empty until the handler has returned.
    first: Vec<u8>,
    /// Bytes of `first` that will leave: the last ones.
    size: usize,
    rest: Vec<u8>,
}

impl Default for Filling {
    fn default() -> Self {
        Self::Own(Vec::new())
    }
}

impl Outbox {
    /// Bytes that have not left: queued and in flight.
    pub(crate) fn buffered(&self) -> usize {
        self.filled() + self.flying
    }

    /// Bytes for the next flight, or the next two.
    pub(crate) fn filled(&self) -> usize {
        match &self.filling {
            Filling::Own(buffer) => buffer.len(),
            Filling::Shared(frame) => frame.len(),
            Filling::Given(given) => given.size + given.rest.len(),
        }
    }

    /// Bytes that are allocated for the next flight.
    #[cfg(feature = "simulation")]
    pub(crate) fn allocated(&self) -> usize {
        match &self.filling {
            Filling::Own(buffer) => buffer.capacity(),
            Filling::Shared(frame) => frame.len(),
            Filling::Given(given) => given.first.capacity() + given.rest.capacity(),
        }
    }

    /// The frames for the next flight, to append to.
    pub(crate) fn filling(&mut self) -> &mut Vec<u8> {
        if let Filling::Shared(frame) = &self.filling {
            self.filling = Filling::Own(frame.to_vec());
        }
        match &mut self.filling {
            Filling::Own(buffer) => buffer,
            Filling::Given(given) => &mut given.rest,
            Filling::Shared(_) => unreachable!("it has been copied"),
        }
    }

    /// The buffer to append a message of `size` bytes to, if there is one with room for it, and no
    /// more than `max` bytes have not left with it.
    #[inline]
    pub(crate) fn buffer_for(&mut self, size: usize, max: usize) -> Option<&mut Vec<u8>> {
        let (room, whole) = (size.saturating_add(SIZE_MAX), size.saturating_add(self.flying));
        let buffer = self.buffer(room)?;
        (buffer.len() + whole <= max).then_some(buffer)
    }

    /// The buffer to append `size` bytes to, if there is one with room for them.
    #[inline]
    pub(crate) fn buffer(&mut self, size: usize) -> Option<&mut Vec<u8>> {
        match &mut self.filling {
            Filling::Own(buffer) if buffer.capacity() - buffer.len() >= size => Some(buffer),
            Filling::Own(_) | Filling::Shared(_) | Filling::Given(_) => None,
        }
    }

    /// Sees to it that there is a buffer to append to.
    #[inline]
    pub(crate) fn fetch(&mut self, store: &mut BufferStore) {
        let frame = match &self.filling {
            Filling::Own(buffer) if buffer.capacity() > 0 => return,
            Filling::Own(_) => &[],
            Filling::Shared(frame) => &**frame,
            Filling::Given(_) => return,
        };
        let mut buffer = store.take();
        buffer.extend_from_slice(frame);
        self.filling = Filling::Own(buffer);
    }

    /// Sees to it that there is a buffer to append `size` bytes to, a large one where these are
    /// many.
    pub(crate) fn fetch_large(
        &mut self,
        size: usize,
        store: &mut BufferStore,
        workspace: &mut Workspace,
    ) {
        let whole = self.filled().saturating_add(size);
        if whole <= SPARE_SIZE_MAX || matches!(self.filling, Filling::Given(_)) {
            return self.fetch(store);
        }
        if self.buffer(size).is_some() {
            return;
        }
        // Doubled at least, so that what is appended again and again is copied twice at most.
        let mut buffer = workspace.buffer(whole.max(2 * self.filled()));
        buffer.extend_from_slice(self.filling());
        let before = std::mem::replace(&mut self.filling, Filling::Own(buffer));
        if let Filling::Own(buffer) = before {
            store.give_sent(Bytes::Own(buffer), workspace);
        }
    }

    /// Gives the buffer back, if nothing is in it.
    #[inline]
    pub(crate) fn release(&mut self, store: &mut BufferStore, workspace: &mut Workspace) {
        if self.filled() == 0
            && let Filling::Own(buffer) = std::mem::take(&mut self.filling)
        {
            store.give_sent(Bytes::Own(buffer), workspace);
        }
    }

    /// Appends a frame that other connections send as well. Where there is no buffer it waits as it
    /// is.
    #[inline]
    pub(crate) fn push(&mut self, frame: Frame) {
        match &mut self.filling {
            Filling::Own(buffer) if buffer.capacity() == 0 => self.filling = Filling::Shared(frame),
            Filling::Own(_) | Filling::Shared(_) | Filling::Given(_) => {
                self.filling().extend_from_slice(&frame);
            }
        }
    }

    /// Keeps a place for a frame of `size` bytes that will be given in a buffer of its own, before
    /// anything leaves. `false`: something waits already, and the frame is to be appended to it.
    pub(crate) fn promise(&mut self, size: usize) -> bool {
        match &mut self.filling {
            Filling::Own(buffer) if buffer.is_empty() => {
                let rest = std::mem::take(buffer);
                self.filling = Filling::Given(Box::new(Given { first: Vec::new(), size, rest }));
                true
            }
            Filling::Own(_) | Filling::Shared(_) | Filling::Given(_) => false,
        }
    }

    /// Gives the frame that was promised: a buffer, and where in it the frame begins.
    pub(crate) fn fulfil(&mut self, frame: Option<(Vec<u8>, usize)>) {
        let Filling::Given(given) = &mut self.filling else { return };
        let size = frame.as_ref().map_or(0, |(first, from)| first.len() - from);
        debug_assert_eq!(given.size, size, "another frame was promised");
        match frame {
            Some((first, _)) if given.size == size => given.first = first,
            // Only a defect of ours leads here.
            Some(_) | None => self.filling = Filling::Own(std::mem::take(&mut given.rest)),
        }
    }

    /// In how many flights all of them will have left, from the one that is under way.
    pub(crate) fn flights(&self) -> u8 {
        let waiting = match &self.filling {
            Filling::Given(given) => 1 + u8::from(!given.rest.is_empty()),
            Filling::Own(_) | Filling::Shared(_) => u8::from(self.filled() > 0),
        };
        u8::from(self.is_flying()) + waiting
    }

    /// Since when the oldest byte waits. Bytes of one flight are as old as the first of them.
    pub(crate) fn since(&self) -> Option<Stamp> {
        self.flying_since.or(self.filling_since)
    }

    /// Dates what has been queued since the last call, or the last take-off.
    pub(crate) fn date(&mut self, now: Stamp) {
        if self.filled() > 0 {
            self.filling_since.get_or_insert(now);
        }
    }

    /// Whether a flight is due: something waits and nothing is under way.
    pub(crate) fn is_due(&self) -> bool {
        self.flying == 0 && self.filled() > 0
    }

    /// Whether a send is under way.
    pub(crate) const fn is_flying(&self) -> bool {
        self.flying > 0
    }

    /// Hands over what has been filled and dated, for the driver to send. Nothing is under way.
    pub(crate) fn take_off(&mut self) -> Bytes {
        debug_assert!(self.is_due() && self.filling_since.is_some());
        self.flying_since = self.filling_since.take();
        match std::mem::take(&mut self.filling) {
            Filling::Own(buffer) => {
                self.flying = buffer.len();
                Bytes::Own(buffer)
            }
            Filling::Shared(frame) => {
                self.flying = frame.len();
                Bytes::Shared(frame)
            }
            Filling::Given(given) => {
                let Given { first, size, rest } = *given;
                if !rest.is_empty() {
                    // As old as what goes before it, for all that is known.
                    self.filling_since = self.flying_since;
                }
                self.filling = Filling::Own(rest);
                self.flying = size;
                Bytes::Own(first)
            }
        }
    }

    /// Where in `bytes`, which have just been handed over, those begin that are to be sent.
    pub(crate) fn flies_from(&self, bytes: &[u8]) -> usize {
        bytes.len().saturating_sub(self.flying)
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
    pub(crate) fn abandon(self, store: &mut BufferStore, workspace: &mut Workspace) {
        match self.filling {
            Filling::Own(buffer) => store.give_sent(Bytes::Own(buffer), workspace),
            Filling::Shared(_) => {}
            Filling::Given(given) => {
                store.give_sent(Bytes::Own(given.first), workspace);
                store.give_sent(Bytes::Own(given.rest), workspace);
            }
        }
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
        let mut workspace = Workspace::new(Limits::default());
        store.give_sent(flight, &mut workspace);
        outbox.push(first.clone());
        outbox.fetch(&mut store);
        assert_eq!((outbox.filled(), store.spare.len()), (5, 0));
        outbox.crash();
        // Where there is a buffer it is used, and one that has remained empty goes back.
        store.give(Vec::with_capacity(10));
        outbox.fetch(&mut store);
        outbox.release(&mut store, &mut workspace);
        assert_eq!(store.spare.len(), 1);
        outbox.fetch(&mut store);
        outbox.push(first);
        outbox.release(&mut store, &mut workspace);
        assert_eq!((outbox.filled(), store.spare.len()), (5, 0));
    }

    #[test]
    fn what_is_large_has_a_buffer_that_was_used_before() {
        let mut workspace = Workspace::new(Limits::default());
        let (mut outbox, mut store) = (Outbox::default(), BufferStore::default());
        outbox.filling().extend_from_slice(b"before");
        outbox.fetch_large(1 << 20, &mut store, &mut workspace);
        assert!(outbox.buffer(1 << 20).is_some() && outbox.buffer(2 << 20).is_none());
        outbox.filling().resize(1 << 20, 7);
        outbox.date(at(1));
        let flight = outbox.take_off();
        assert_eq!(flight[..8], *b"before\x07\x07");
        let address = flight.as_ptr();
        assert_eq!(outbox.land(&flight, flight.len()), None);
        store.give_sent(flight, &mut workspace);
        outbox.fetch_large(900_000, &mut store, &mut workspace);
        assert_eq!(outbox.buffer(900_000).map(|buffer| buffer.as_ptr()), Some(address));
        outbox.release(&mut store, &mut workspace);
        assert_eq!(workspace.allocated(), (1 << 20) + 6);
    }

    #[test]
    fn a_frame_that_was_promised_leaves_first() {
        let mut workspace = Workspace::new(Limits::default());
        let (mut outbox, mut store) = (Outbox::default(), BufferStore::default());
        assert!(outbox.promise(4));
        assert!(!outbox.promise(4), "the first is before it");
        assert_eq!((outbox.filled(), outbox.flights(), outbox.is_due()), (4, 1, true));
        outbox.filling().extend_from_slice(b"after");
        outbox.fulfil(Some((b"room, then this".to_vec(), 11)));
        assert_eq!((outbox.filled(), outbox.flights()), (9, 2));
        outbox.date(at(1));
        let flight = outbox.take_off();
        assert_eq!(outbox.flies_from(&flight), 11);
        assert_eq!((outbox.buffered(), outbox.flights()), (9, 2));
        assert_eq!(outbox.land(&flight, 3), Some(14));
        assert_eq!(outbox.land(&flight, 1), None);
        assert_eq!(outbox.since(), Some(at(1)));
        let flight = outbox.take_off();
        assert_eq!((outbox.flies_from(&flight), &*flight), (0, &b"after"[..]));
        assert_eq!(outbox.land(&flight, 5), None);
        // What waits already goes before, and then nothing is promised.
        outbox.filling().extend_from_slice(b"before");
        assert!(!outbox.promise(4));
        outbox.abandon(&mut store, &mut workspace);
        assert_eq!(store.spare.len(), 1);
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
