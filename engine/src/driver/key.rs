//! Which connection: its slot, and a generation of that.

/// Bits of a generation.
pub(super) const GENERATION_BITS: u32 = 24;

/// A slot and its generation: which connection.
///
/// A slot's generation grows by one each time it is freed, so that what completes late for an
/// earlier connection is told from what belongs to the present one. It comes round after 16 million
/// connections in the same slot, while a completion is never more than one turn of the loop late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) slot: u32,
    /// `generation < 2^24`.
    pub(crate) generation: u32,
}

impl Key {
    /// The generation that follows `generation`.
    pub(crate) const fn next_generation(generation: u32) -> u32 {
        (generation + 1) & ((1 << GENERATION_BITS) - 1)
    }

    /// The key in 56 bits.
    pub(crate) const fn bits(self) -> u64 {
        (self.generation as u64) << 32 | self.slot as u64
    }
}

#[cfg(test)]
mod tests {
    use super::Key;

    #[test]
    fn generations_come_round() {
        assert_eq!(Key::next_generation(0), 1);
        assert_eq!(Key::next_generation(0xFF_FFFE), 0xFF_FFFF);
        assert_eq!(Key::next_generation(0xFF_FFFF), 0);
    }
}
