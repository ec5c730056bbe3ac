//! What one connection may have of a turn of the loop.

use ringwire_protocol::Event;

/// Shares are counted in blocks of this many bytes. The smallest event takes one: handing it over
/// costs some 25 ns, as much as this many bytes of a large message.
const BLOCK: usize = 256;

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

    /// Takes note of an event.
    #[inline]
    pub(crate) fn spend(&mut self, event: &Event<'_>) {
        let size = match event {
            Event::Message(message) => message.as_bytes().len(),
            Event::Chunk(chunk) => chunk.part.as_bytes().len(),
            Event::Ping(_) | Event::Pong(_) | Event::Close(_) | Event::Failed(_) => 0,
        };
        let blocks = u16::try_from(size.div_ceil(BLOCK).max(1)).unwrap_or(u16::MAX);
        self.spent = self.spent.saturating_add(blocks);
    }

    /// Grants another share of the same turn.
    pub(crate) const fn renew(&mut self) {
        self.spent = 0;
    }
}

#[cfg(test)]
mod tests {
    use ringwire_protocol::Message;

    use super::*;

    #[test]
    fn a_share_is_spent_and_the_next_turn_brings_another() {
        let mut share = Share::new();
        assert!(!share.is_spent(1, 4 * BLOCK));
        share.spend(&Event::Ping(b""));
        share.spend(&Event::Message(Message::Binary(&mut [0; BLOCK + 1])));
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
