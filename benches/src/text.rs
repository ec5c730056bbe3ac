//! Texts of four kinds, the same in every run.

use crate::random::Random;

/// A kind of text: for each character, one of the ranges, drawn with equal chance.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// In lower case.
    pub name: &'static str,
    ranges: &'static [(char, char)],
}

/// Characters of one, of one or two, of three and of four bytes.
pub const KINDS: [Kind; 4] = [
    Kind { name: "ascii", ranges: &[(' ', '~')] },
    // One character in six is of two bytes, as in French or German at its densest.
    Kind {
        name: "latin",
        ranges: &[('a', 'z'), ('a', 'z'), ('a', 'z'), (' ', 'Z'), ('a', 'z'), ('À', 'ÿ')],
    },
    Kind { name: "cjk", ranges: &[('\u{4e00}', '\u{9fff}')] },
    Kind { name: "emoji", ranges: &[('\u{1f300}', '\u{1f64f}')] },
];

impl Kind {
    /// A text of exactly `size` bytes; a remainder too small for a character is spaces.
    #[must_use]
    pub fn text(&self, size: usize) -> String {
        let mut random = Random::new(size as u64);
        let mut text = String::with_capacity(size);
        loop {
            let (low, high) = self.ranges[random.below(self.ranges.len())];
            let above = random.below(high as usize - low as usize + 1);
            // No range has a surrogate in it.
            let character =
                u32::try_from(above).ok().and_then(|above| char::from_u32(low as u32 + above));
            let character = character.unwrap_or(low);
            if text.len() + character.len_utf8() > size {
                break;
            }
            text.push(character);
        }
        text.extend(std::iter::repeat_n(' ', size - text.len()));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_of_their_kind_and_size() {
        for (kind, width) in KINDS.iter().zip([1, 2, 3, 4]) {
            for size in [0, 1, 20, 1000] {
                let text = kind.text(size);
                assert_eq!(text.len(), size);
                assert_eq!(text, kind.text(size));
                assert!(text.chars().all(|character| character.len_utf8() <= width));
            }
            let widest = kind.text(1000).chars().map(char::len_utf8).max();
            assert_eq!(widest, Some(width), "{}", kind.name);
        }
    }
}
