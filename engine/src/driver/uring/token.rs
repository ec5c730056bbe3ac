//! What stands on every operation, so that its completion finds its way back.

use crate::driver::key::{GENERATION_BITS, Key};

/// The operation, the connection's slot and its generation, in the 64 bits that the kernel carries.
///
/// ```text
///  63        56 55                      32 31                              0
/// +------------+--------------------------+---------------------------------+
/// |  operation |        generation        |              slot               |
/// +------------+--------------------------+---------------------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Token(u64);

/// What was asked of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Operation {
    Accept = 1,
    Receive = 2,
    Send = 3,
    Cancel = 4,
    Close = 5,
    Wake = 6,
    Fill = 7,
    Refuse = 8,
}

const OPERATION_SHIFT: u32 = 32 + GENERATION_BITS;

impl Token {
    pub(super) const fn new(operation: Operation, key: Key) -> Self {
        Self((operation as u64) << OPERATION_SHIFT | key.bits())
    }

    /// A token of an operation that belongs to no connection.
    pub(super) const fn of(operation: Operation) -> Self {
        Self::new(operation, Key { slot: 0, generation: 0 })
    }

    /// The key that it was made with.
    #[expect(clippy::cast_possible_truncation, reason = "the parts of a key are taken apart")]
    pub(super) const fn key(self) -> Key {
        let generation = (self.0 >> 32) as u32 & ((1 << GENERATION_BITS) - 1);
        Key { slot: self.0 as u32, generation }
    }

    /// The operation, unless the bits are none of ours.
    pub(super) const fn operation(self) -> Option<Operation> {
        match (self.0 >> OPERATION_SHIFT) as u8 {
            1 => Some(Operation::Accept),
            2 => Some(Operation::Receive),
            3 => Some(Operation::Send),
            4 => Some(Operation::Cancel),
            5 => Some(Operation::Close),
            6 => Some(Operation::Wake),
            7 => Some(Operation::Fill),
            8 => Some(Operation::Refuse),
            _ => None,
        }
    }

    pub(super) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(super) const fn bits(self) -> u64 {
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
            Operation::Fill,
            Operation::Refuse,
        ];
        for operation in operations {
            for slot in [0, 1, 0x1234_5678, u32::MAX] {
                for generation in [0, 1, 0xFF_FFFF] {
                    let key = Key { slot, generation };
                    let token = Token::from_bits(Token::new(operation, key).bits());
                    assert_eq!(token.key(), key);
                    assert_eq!(token.operation(), Some(operation));
                }
            }
        }
        assert_eq!(Token::from_bits(0).operation(), None);
    }
}
