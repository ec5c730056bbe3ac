//! What stands on every operation, so that its completion finds its way back.

/// The operation, the connection's slot and its generation, in the 64 bits that the kernel carries.
///
/// ```text
///  63        56 55                      32 31                              0
/// +------------+--------------------------+---------------------------------+
/// |  operation |        generation        |              slot               |
/// +------------+--------------------------+---------------------------------+
/// ```
///
/// A slot's generation grows by one each time it is freed, so that what completes late for an
/// earlier connection is told from what belongs to the present one. It comes round after 16 million
/// connections in the same slot, while a completion is never more than one turn of the loop late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Token(u64);

/// What was asked of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Operation {
    Accept = 1,
    Receive = 2,
    Send = 3,
    Cancel = 4,
    Close = 5,
    Wake = 6,
}

const GENERATION_BITS: u32 = 24;
const OPERATION_SHIFT: u32 = 32 + GENERATION_BITS;

/// A slot and its generation: which connection.
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

    /// What [`Key::bits`] gave.
    #[expect(clippy::cast_possible_truncation, reason = "the parts of a key are taken apart")]
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self { slot: bits as u32, generation: (bits >> 32) as u32 & ((1 << GENERATION_BITS) - 1) }
    }
}

impl Token {
    pub(crate) const fn new(operation: Operation, key: Key) -> Self {
        Self((operation as u64) << OPERATION_SHIFT | key.bits())
    }

    /// A token of an operation that belongs to no connection.
    pub(crate) const fn of(operation: Operation) -> Self {
        Self::new(operation, Key { slot: 0, generation: 0 })
    }

    pub(crate) const fn key(self) -> Key {
        Key::from_bits(self.0)
    }

    /// The operation, unless the bits are none of ours.
    pub(crate) const fn operation(self) -> Option<Operation> {
        match (self.0 >> OPERATION_SHIFT) as u8 {
            1 => Some(Operation::Accept),
            2 => Some(Operation::Receive),
            3 => Some(Operation::Send),
            4 => Some(Operation::Cancel),
            5 => Some(Operation::Close),
            6 => Some(Operation::Wake),
            _ => None,
        }
    }

    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{Key, Operation, Token};

    #[test]
    fn parts_come_back() {
        let operations = [
            Operation::Accept,
            Operation::Receive,
            Operation::Send,
            Operation::Cancel,
            Operation::Close,
            Operation::Wake,
        ];
        for operation in operations {
            for slot in [0, 1, 0x1234_5678, u32::MAX] {
                for generation in [0, 1, 0xFF_FFFF] {
                    let key = Key { slot, generation };
                    let token = Token::from_bits(Token::new(operation, key).bits());
                    assert_eq!(token.key(), key);
                    assert_eq!(token.operation(), Some(operation));
                    assert_eq!(Key::from_bits(key.bits()), key);
                }
            }
        }
        assert_eq!(Key::next_generation(0xFF_FFFF), 0);
        assert_eq!(Token::from_bits(0).operation(), None);
    }
}
