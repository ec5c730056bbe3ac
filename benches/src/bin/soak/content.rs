//! Messages that nobody has to remember: the seed, the connection and the number say every byte.

use ringwire_benches::random::Random;
use ringwire_protocol::Message;
use ringwire_protocol::frame::Opcode;

/// Bytes of the largest message.
pub(crate) const SIZE_MAX: usize = 64 << 10;

/// A character of two and of three bytes, and one of four.
const LETTERS: [[u8; 5]; 2] = [*b"\xC3\xA9\xE2\x82\xAC", *b"\xF0\x9F\xA6\x80!"];

/// One message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content {
    random: Random,
    is_text: bool,
    size: usize,
}

impl Content {
    /// The message of that `number` on a connection, whose serial number never comes twice.
    pub(crate) fn new(seed: u64, serial: u64, number: u64) -> Self {
        let mut random = Random::of(&[seed, serial, number]);
        let is_text = random.chance(500);
        // Half of them of any size, half of them small or empty.
        let size = if random.chance(500) {
            random.below(SIZE_MAX + 1)
        } else {
            let end = 1 << random.below(10);
            random.below(end)
        };
        Self { random, is_text, size }
    }

    pub(crate) const fn opcode(&self) -> Opcode {
        if self.is_text { Opcode::Text } else { Opcode::Binary }
    }

    /// All bytes of it.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.clear();
        for index in 0..self.size.div_ceil(8) {
            let block = self.block(index);
            out.extend_from_slice(&block[..(self.size - 8 * index).min(8)]);
        }
    }

    /// Whether `message` is this one, in kind and in every byte.
    pub(crate) fn is(&self, message: &Message<'_>) -> bool {
        let bytes = message.as_bytes();
        let is_block = |(index, chunk): (usize, &[u8])| chunk == &self.block(index)[..chunk.len()];
        message.as_text().is_some() == self.is_text
            && bytes.len() == self.size
            && bytes.chunks(8).enumerate().all(is_block)
    }

    /// The eight bytes at `8 * index`. In a text they are whole characters, and one byte each in
    /// the last block, which may be cut.
    fn block(&self, index: usize) -> [u8; 8] {
        let number = self.random.at(index as u64);
        if !self.is_text {
            return number.to_le_bytes();
        }
        let mut block = (number & 0x7F7F_7F7F_7F7F_7F7F).to_le_bytes();
        let is_whole = 8 * index + 8 <= self.size;
        if let (true, Some(letters)) = (is_whole, LETTERS.get((number >> 61) as usize)) {
            block[..5].copy_from_slice(letters);
        }
        block
    }
}

#[cfg(test)]
mod tests {
    use ringwire_protocol::utf8;

    use super::*;

    #[test]
    fn texts_are_texts_and_sizes_are_kept() {
        let (mut texts, mut letters, mut bytes) = (0, 0, Vec::new());
        for number in 0..400 {
            let content = Content::new(7, 1, number);
            content.write(&mut bytes);
            assert_eq!(bytes.len(), content.size);
            let other = Content::new(7, 2, number);
            let mut copy = bytes.clone();
            let message = if content.is_text {
                texts += 1;
                let text = utf8::text(&mut copy).expect("a text is UTF-8");
                letters += usize::from(!bytes.is_ascii());
                Message::Text(text)
            } else {
                Message::Binary(&mut copy)
            };
            assert!(content.is(&message));
            assert!(content.size < 8 || !other.is(&message));
        }
        assert!((100..300).contains(&texts) && letters > 50, "{texts} {letters}");
    }

    #[test]
    fn each_byte_counts() {
        let long = (0..).map(|number| Content::new(1, 1, number)).find(|it| it.size > 1000);
        let content = long.expect("there is one");
        let mut bytes = Vec::new();
        content.write(&mut bytes);
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            assert!(!content.is(&Message::Binary(&mut bytes.clone())), "byte {at}");
            bytes[at] ^= 1;
        }
    }
}
