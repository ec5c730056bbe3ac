//! A hierarchical timing wheel: setting, moving and clearing a deadline cost the same however many
//! there are.
//!
//! ```text
//!  level 0   64 buckets of one tick       │▪│ │ │▪│ ... the next 64 ticks
//!  level 1   64 buckets of 64 ticks       │ │▪│ │ │ ... the next 4,096
//!  level n   64 buckets of 64^n ticks     a bucket that is reached falls to the levels below
//! ```
//!
//! A deadline stands on the level of the highest six bits in which its tick differs from now, in
//! the bucket that these bits of its tick name. So a bucket of a level above 0 is reached exactly
//! when the ticks below it have been used up.

use super::Time;

/// Nanoseconds of a tick: 2^22, some 4.2 ms. Deadlines of connections are seconds; a tick this
/// short keeps the error far below the tenth of a second that people notice.
const TICK_SHIFT: u32 = 22;

const BUCKET_BITS: u32 = 6;
const BUCKETS: usize = 1 << BUCKET_BITS;

/// 64^7 ticks are as long as [`Time`] lasts.
const LEVELS: usize = 7;

const _: () = assert!(BUCKET_BITS as usize * LEVELS == 64 - TICK_SHIFT as usize);

/// No slot.
const NONE: u32 = u32::MAX;

/// At most one deadline for each slot of a table.
#[derive(Debug)]
pub(crate) struct Wheel {
    /// The tick up to which everything has expired.
    now: u64,
    /// By slot. Lists run through these nodes, so memory is that of the slots and nothing else.
    nodes: Vec<Node>,
    /// The first slot of each bucket, or `NONE`.
    heads: [[u32; BUCKETS]; LEVELS],
    /// A bit for each bucket that is not empty.
    occupied: [u64; LEVELS],
}

/// A slot's place in a bucket's list.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// The tick at which the deadline has passed; `UNSET` when there is none.
    tick: u64,
    next: u32,
    previous: u32,
}

const UNSET: u64 = u64::MAX;

impl Wheel {
    /// Bytes of a slot's place.
    pub(crate) const SLOT_SIZE: usize = size_of::<Node>();

    pub(crate) fn new(now: Time) -> Self {
        Self {
            now: now.as_nanos() >> TICK_SHIFT,
            nodes: Vec::new(),
            heads: [[NONE; BUCKETS]; LEVELS],
            occupied: [0; LEVELS],
        }
    }

    /// Sets the deadline of a slot, in place of one that it has.
    pub(crate) fn set(&mut self, slot: u32, deadline: Time) {
        let index = slot as usize;
        if index >= self.nodes.len() {
            let unset = Node { tick: UNSET, next: NONE, previous: NONE };
            self.nodes.resize(index + 1, unset);
        }
        self.clear(slot);
        self.link(slot, self.tick(deadline));
    }

    /// Sets the deadline of a slot, unless it has one that is no later.
    pub(crate) fn advance(&mut self, slot: u32, deadline: Time) {
        let tick = self.tick(deadline);
        // `UNSET` is later than any.
        if self.nodes.get(slot as usize).is_none_or(|node| tick < node.tick) {
            self.set(slot, deadline);
        }
    }

    /// Removes the deadline of a slot, if it has one.
    pub(crate) fn clear(&mut self, slot: u32) {
        let Some(&Node { tick, next, previous }) = self.nodes.get(slot as usize) else { return };
        if tick == UNSET {
            return;
        }
        let (level, bucket) = self.place(tick);
        match self.nodes.get_mut(previous as usize) {
            Some(previous) => previous.next = next,
            None => self.heads[level][bucket] = next,
        }
        if let Some(next) = self.nodes.get_mut(next as usize) {
            next.previous = previous;
        }
        if self.heads[level][bucket] == NONE {
            self.occupied[level] &= !(1 << bucket);
        }
        self.nodes[slot as usize].tick = UNSET;
    }

    /// Whether a slot is looked at no later than in the tick in which `deadline` has passed.
    pub(crate) fn watches(&self, slot: u32, deadline: Time) -> bool {
        let tick = self.tick(deadline);
        self.nodes.get(slot as usize).is_some_and(|node| node.tick <= tick)
    }

    /// When something may have to be done: never after the nearest deadline's tick.
    pub(crate) fn next(&self) -> Option<Time> {
        // A lower level holds the nearer ticks.
        let level = self.occupied.iter().position(|&occupied| occupied != 0)?;
        let shift = BUCKET_BITS * u32::try_from(level).unwrap_or(0);
        let bucket = u64::from(self.occupied[level].trailing_zeros());
        let above = self.now >> shift >> BUCKET_BITS << BUCKET_BITS;
        Some(time((above | bucket) << shift))
    }

    /// Moves on to `now` and appends the slots whose deadline has passed. They have none any more.
    pub(crate) fn expire(&mut self, now: Time, expired: &mut Vec<u32>) {
        let target = now.as_nanos() >> TICK_SHIFT;
        while let Some(next) = self.next() {
            let next = next.as_nanos() >> TICK_SHIFT;
            if next > target {
                break;
            }
            self.now = next;
            self.reach(next, expired);
        }
        self.now = self.now.max(target);
    }

    /// Empties the buckets that tick `now` has reached: what is due expires, the rest falls to the
    /// levels below.
    fn reach(&mut self, now: u64, expired: &mut Vec<u32>) {
        for level in (0..LEVELS).rev() {
            let shift = BUCKET_BITS * u32::try_from(level).unwrap_or(0);
            // Reached when all bits below the bucket's are zero; level 0 always is.
            if now & ((1 << shift) - 1) != 0 {
                continue;
            }
            let bucket = bucket(now, shift);
            let mut slot = std::mem::replace(&mut self.heads[level][bucket], NONE);
            self.occupied[level] &= !(1 << bucket);
            while let Some(node) = self.nodes.get_mut(slot as usize) {
                let (this, tick) = (slot, node.tick);
                slot = node.next;
                node.tick = UNSET;
                if tick <= now {
                    expired.push(this);
                } else {
                    self.link(this, tick);
                }
            }
        }
    }

    fn link(&mut self, slot: u32, tick: u64) {
        let (level, bucket) = self.place(tick);
        let next = std::mem::replace(&mut self.heads[level][bucket], slot);
        if let Some(next) = self.nodes.get_mut(next as usize) {
            next.previous = slot;
        }
        self.nodes[slot as usize] = Node { tick, next, previous: NONE };
        self.occupied[level] |= 1 << bucket;
    }

    /// The first tick that begins after `deadline`; of one that has passed, the next tick.
    fn tick(&self, deadline: Time) -> u64 {
        ((deadline.as_nanos() >> TICK_SHIFT) + 1).max(self.now + 1).min(u64::MAX >> TICK_SHIFT)
    }

    /// The level and bucket of a tick after `now`.
    fn place(&self, tick: u64) -> (usize, usize) {
        let differ = (tick ^ self.now) | 1;
        let level = ((63 - differ.leading_zeros()) / BUCKET_BITS) as usize;
        let level = level.min(LEVELS - 1);
        let shift = BUCKET_BITS * u32::try_from(level).unwrap_or(0);
        (level, bucket(tick, shift))
    }
}

/// The bucket of a tick on the level that begins at the bit `shift`.
fn bucket(tick: u64, shift: u32) -> usize {
    usize::try_from(tick >> shift & (BUCKETS as u64 - 1)).unwrap_or(0)
}

/// The beginning of a tick.
const fn time(tick: u64) -> Time {
    Time::from_nanos(tick.saturating_mul(1 << TICK_SHIFT))
}
