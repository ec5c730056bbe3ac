//! The oracle: the table of well-formed byte sequences, read as it stands.

/// What is expected next, in four bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// A character may begin, or the text may end.
    #[default]
    Between,
    /// Inside a character: the next byte lies in `low..=high`, and is the first of `count` still to
    /// come.
    Within {
        /// 0x80, unless a lead byte narrows its second.
        low: u8,
        /// 0xbf, unless a lead byte narrows its second.
        high: u8,
        /// 1..=3.
        count: u8,
    },
    /// A byte came that no text can have there. Nothing leads out.
    Failed,
}

impl State {
    /// The state after `byte`.
    ///
    /// ```text
    ///  first    second   third    fourth
    ///  00..7F
    ///  C2..DF   80..BF
    ///  E0       A0..BF   80..BF              not shorter in two bytes
    ///  E1..EC   80..BF   80..BF
    ///  ED       80..9F   80..BF              no surrogates
    ///  EE..EF   80..BF   80..BF
    ///  F0       90..BF   80..BF   80..BF     not shorter in three bytes
    ///  F1..F3   80..BF   80..BF   80..BF
    ///  F4       80..8F   80..BF   80..BF     not above U+10FFFF
    /// ```
    #[inline]
    pub(super) fn after(self, byte: u8) -> Self {
        let within = |low, high, count| Self::Within { low, high, count };
        match self {
            //= RFC 3629 4: UTF8-octets = *( UTF8-char )
            Self::Between => match byte {
                0x00..=0x7f => Self::Between,
                0xc2..=0xdf => within(0x80, 0xbf, 1),
                0xe0 => within(0xa0, 0xbf, 2),
                0xe1..=0xec | 0xee..=0xef => within(0x80, 0xbf, 2),
                0xed => within(0x80, 0x9f, 2),
                0xf0 => within(0x90, 0xbf, 3),
                0xf1..=0xf3 => within(0x80, 0xbf, 3),
                0xf4 => within(0x80, 0x8f, 3),
                0x80..=0xc1 | 0xf5..=0xff => Self::Failed,
            },
            Self::Within { low, high, count } if (low..=high).contains(&byte) => match count {
                2.. => within(0x80, 0xbf, count - 1),
                _ => Self::Between,
            },
            Self::Within { .. } | Self::Failed => Self::Failed,
        }
    }
}

/// Reads `bytes` from `state` on: the state after them, or the index of the first byte that no text
/// can have there.
pub(super) fn push(mut state: State, bytes: &[u8]) -> Result<State, usize> {
    for (index, &byte) in bytes.iter().enumerate() {
        state = state.after(byte);
        if state == State::Failed {
            return Err(index);
        }
    }
    Ok(state)
}
