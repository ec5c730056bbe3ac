//! What one connection may have of a turn of the loop.

use ringwire_protocol::Event;

/// Shares are counted in blocks of this many bytes. The smallest event takes one: handing it over
/// costs some 25 ns, as much as this many bytes of a large message.
const BLOCK: usize = 256;

/// The blocks that an event of this size counts for.
#[inline]
pub(crate) const fn blocks(size: usize) -> usize {
    let blocks = size.div_ceil(BLOCK);
    if blocks == 0 { 1 } else { blocks }
}

/// What a connection has had of the present turn. Two numbers of two bytes, since every idle
/// connection keeps them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    /// The turn that `spent` is about. It wraps: a connection that spent its share 65,536 turns ago
    /// may wait for one turn in vain.
    turn: u16,
    /// Blocks of messages and control frames.
    spent: u16,
}

impl Share {
    /// Nothing has been spent.
    pub(crate) const fn new() -> Self {
        Self { turn: 0, spent: 0 }
    }

    /// Whether it has had `size_max` bytes in this turn. Nothing has been spent in a turn that
    /// begins.
    #[inline]
    pub(crate) fn is_spent(&mut self, turn: u16, size_max: usize) -> bool {
        if self.turn != turn {
            *self = Self { turn, spent: 0 };
        }
        // Beyond 16 MiB the count is at its end, and so is the share.
        self.spent == u16::MAX || usize::from(self.spent) * BLOCK >= size_max
    }

    /// Whether it has had anything in this turn.
    pub(crate) const fn has_had(self, turn: u16) -> bool {
        self.turn == turn && self.spent > 0
    }

    /// Takes note of an event. Says for how many bytes it counts.
    #[inline]
    pub(crate) fn spend(&mut self, event: &Event<'_>) -> usize {
        let size = match event {
            Event::Message(message) => message.as_bytes().len(),
            Event::Chunk(chunk) => chunk.part.as_bytes().len(),
            Event::Inflated(size) => *size,
            Event::Ping(_) | Event::Pong(_) | Event::Close(_) | Event::Failed(_) => 0,
        };
        self.spend_blocks(blocks(size))
    }

    /// Takes note of blocks. Says for how many bytes they count.
    #[inline]
    pub(crate) fn spend_blocks(&mut self, blocks: usize) -> usize {
        self.spent = self.spent.saturating_add(u16::try_from(blocks).unwrap_or(u16::MAX));
        blocks * BLOCK
    }

    /// Blocks that it may have besides, of the turn that [`Share::is_spent`] was last asked about.
    #[inline]
    pub(crate) fn room(&self, size_max: usize) -> usize {
        size_max.div_ceil(BLOCK).min(usize::from(u16::MAX)).saturating_sub(self.spent.into())
    }

    /// Grants another share of the same turn.
    pub(crate) const fn renew(&mut self) {
        self.spent = 0;
    }
}

/// What all connections have had since the loop last looked at who waits: of what arrives, of what
/// was deferred and of what was resumed, each time anew.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent(usize);

/// Whole shares that are granted at a time.
const SHARES: usize = 4;

/// The share of the others when those have been had. A peer that sends little has all of it handled
/// at once, however many others send much.
const SHARE_MIN: usize = 16 << 10;

impl Spent {
    /// Takes note of bytes that somebody has had.
    #[inline]
    pub(crate) const fn add(&mut self, size: usize) {
        self.0 = self.0.saturating_add(size);
    }

    /// Whether all whole shares, of `size_max` bytes, have been had.
    #[inline]
    pub(crate) const fn is_all(self, size_max: usize) -> bool {
        self.0 / SHARES >= size_max
    }

    /// Bytes that one connection may have, of at most `size_max`.
    #[inline]
    pub(crate) fn share_max(self, size_max: usize) -> usize {
        if self.is_all(size_max) { size_max.min(SHARE_MIN) } else { size_max }
    }
}

#[cfg(test)]
mod tests {
    use ringwire_protocol::Message;

    use super::*;

    #[test]
    fn when_all_shares_are_spent_the_others_have_little() {
        let mut spent = Spent::default();
        let mut shares = vec![];
        for _ in 0..6 {
            shares.push(spent.share_max(1 << 20));
            spent.add(1 << 20);
        }
        assert_eq!(shares, [1 << 20, 1 << 20, 1 << 20, 1 << 20, SHARE_MIN, SHARE_MIN]);
        assert_eq!(spent.share_max(100), 100);
    }

    #[test]
    fn a_share_is_spent_and_the_next_turn_brings_another() {
        let mut share = Share::new();
        assert!(!share.is_spent(1, 4 * BLOCK));
        assert_eq!(share.spend(&Event::Ping(b"")), BLOCK);
        let message = Event::Message(Message::Binary(&mut [0; BLOCK + 1]));
        assert_eq!(share.spend(&message), 2 * BLOCK);
        assert!(!share.is_spent(1, 4 * BLOCK), "three blocks of four");
        share.spend(&Event::Pong(b"small"));
        assert!(share.is_spent(1, 4 * BLOCK));
        assert!(!share.is_spent(2, 4 * BLOCK));
        share.spend(&Event::Message(Message::Binary(&mut vec![0; 65_535 * BLOCK])));
        assert!(share.is_spent(2, usize::MAX));
        share.renew();
        assert!(!share.is_spent(2, 1));
    }
}
