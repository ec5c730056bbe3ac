//! What a frame is (RFC 6455 section 5.2).

use crate::Violation;

/// The opcodes that RFC 6455 defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// A further fragment of a message.
    Continuation = 0x0,
    /// A text message, or its first fragment.
    Text = 0x1,
    /// A binary message, or its first fragment.
    Binary = 0x2,
    /// The closing handshake.
    Close = 0x8,
    /// Are you there?
    Ping = 0x9,
    /// I am.
    Pong = 0xA,
}

impl Opcode {
    /// Reads the low four bits of `byte`.
    ///
    /// # Errors
    /// [`Violation::ReservedOpcode`] for the values that the RFC keeps for later.
    pub const fn decode(byte: u8) -> Result<Self, Violation> {
        match byte & 0x0F {
            0x0 => Ok(Self::Continuation),
            0x1 => Ok(Self::Text),
            0x2 => Ok(Self::Binary),
            0x8 => Ok(Self::Close),
            0x9 => Ok(Self::Ping),
            0xA => Ok(Self::Pong),
            //= RFC 6455 5.2: If an unknown opcode is received, the receiving endpoint MUST _Fail
            //= the WebSocket Connection_.
            reserved => Err(Violation::ReservedOpcode(reserved)),
        }
    }

    /// Close, ping and pong: never fragmented, at most 125 bytes, allowed between the fragments of
    /// a message.
    #[must_use]
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::Opcode;
    use crate::Violation;

    #[test]
    fn every_value() {
        for byte in 0..=255_u8 {
            match Opcode::decode(byte) {
                Ok(opcode) => {
                    assert_eq!(opcode as u8, byte & 0x0F);
                    assert_eq!(opcode.is_control(), byte & 0x08 != 0);
                }
                Err(violation) => {
                    assert!(matches!(byte & 0x0F, 3..=7 | 11..=15));
                    assert_eq!(violation, Violation::ReservedOpcode(byte & 0x0F));
                }
            }
        }
    }
}
