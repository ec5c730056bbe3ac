//! DEFLATE read by the letter of RFC 1951, bit by bit: what a compressor wrote, and how far back it
//! referred. zlib-rs cannot say the latter, since its window has 32 KiB whatever is asked for.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::deflate::TAIL;

/// Appends the message in `payload` to `window`, which holds what may be referred to, and returns
/// the longest distance in it.
///
/// # Panics
/// If it is no such payload, or one whose blocks are not all sent.
pub(super) fn read(payload: &[u8], window: &mut Vec<u8>) -> usize {
    let bytes = [payload, &TAIL].concat();
    let mut bits = Bits { bytes: &bytes, position: 0 };
    let mut reach = 0;
    while bits.position < 8 * bytes.len() {
        assert_eq!(bits.number(1), 0, "a last block");
        reach = reach.max(match bits.number(2) {
            0 => stored(&mut bits, window),
            1 => compressed(&mut bits, &Codes::fixed(), window),
            2 => {
                let codes = Codes::dynamic(&mut bits);
                compressed(&mut bits, &codes, window)
            }
            _ => panic!("the reserved type of block"),
        });
    }
    reach
}

/// RFC 1951 section 3.2.4.
fn stored(bits: &mut Bits<'_>, window: &mut Vec<u8>) -> usize {
    bits.position = bits.position.next_multiple_of(8);
    let (length, complement) = (bits.number(16), bits.number(16));
    assert_eq!(length ^ complement, 0xFFFF);
    for _ in 0..length {
        window.push(u8::try_from(bits.number(8)).unwrap());
    }
    0
}

/// RFC 1951 sections 3.2.3 and 3.2.5.
fn compressed(bits: &mut Bits<'_>, codes: &Codes, window: &mut Vec<u8>) -> usize {
    let mut reach = 0;
    loop {
        let symbol = codes.literals.symbol(bits);
        if let Ok(literal) = u8::try_from(symbol) {
            window.push(literal);
            continue;
        }
        if symbol == 256 {
            return reach;
        }
        // 8 lengths without extra bits, then four each with one more; 258 has a symbol of its own.
        let length = match symbol - 257 {
            28 => 258,
            number @ 0..8 => 3 + number,
            number => {
                let extra = number / 4 - 1;
                3 + ((4 + number % 4) << extra) + bits.number(extra)
            }
        };
        // Four without extra bits, then two each with one more.
        let distance = match codes.distances.symbol(bits) {
            number @ 0..4 => 1 + number,
            number => {
                let extra = number / 2 - 1;
                1 + ((2 + number % 2) << extra) + bits.number(extra)
            }
        };
        reach = reach.max(distance);
        for _ in 0..length {
            window.push(window[window.len() - distance]);
        }
    }
}

struct Bits<'b> {
    bytes: &'b [u8],
    position: usize,
}

impl Bits<'_> {
    /// The next `count` bits, the lowest first.
    fn number(&mut self, count: usize) -> usize {
        (0..count).fold(0, |number, place| {
            let bit = self.bytes[self.position / 8] >> (self.position % 8) & 1;
            self.position += 1;
            number | usize::from(bit) << place
        })
    }
}

/// The codes of one block.
struct Codes {
    literals: Code,
    distances: Code,
}

impl Codes {
    /// RFC 1951 section 3.2.6.
    fn fixed() -> Self {
        let literals = [&[8; 144][..], &[9; 112], &[7; 24], &[8; 8]].concat();
        Self { literals: Code::new(&literals), distances: Code::new(&[5; 30]) }
    }

    /// RFC 1951 section 3.2.7.
    fn dynamic(bits: &mut Bits<'_>) -> Self {
        const ORDER: [usize; 19] =
            [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
        let literals = 257 + bits.number(5);
        let count = literals + 1 + bits.number(5);
        let mut lengths = [0; 19];
        for &place in &ORDER[..4 + bits.number(4)] {
            lengths[place] = bits.number(3);
        }
        let code = Code::new(&lengths);
        let mut lengths: Vec<usize> = Vec::new();
        while lengths.len() < count {
            let (length, times) = match code.symbol(bits) {
                16 => (*lengths.last().unwrap(), 3 + bits.number(2)),
                17 => (0, 3 + bits.number(3)),
                18 => (0, 11 + bits.number(7)),
                length => (length, 1),
            };
            lengths.resize(lengths.len() + times, length);
        }
        let (literals, distances) = lengths.split_at(literals);
        Self { literals: Code::new(literals), distances: Code::new(distances) }
    }
}

/// The symbol of each length and code.
struct Code(BTreeMap<(usize, usize), usize>);

impl Code {
    /// Codes of one length are consecutive, and follow those of the lengths below
    /// (RFC 1951 section 3.2.2).
    fn new(lengths: &[usize]) -> Self {
        let (mut symbols, mut code) = (BTreeMap::new(), 0);
        for length in 1..=15 {
            let of_length = lengths.iter().enumerate().filter(|&(_, &other)| other == length);
            for (symbol, _) in of_length {
                symbols.insert((length, code), symbol);
                code += 1;
            }
            code <<= 1;
        }
        Self(symbols)
    }

    /// The symbol of the next bits, the highest of the code first.
    fn symbol(&self, bits: &mut Bits<'_>) -> usize {
        let mut code = 0;
        for length in 1..=15 {
            code = code << 1 | bits.number(1);
            if let Some(&symbol) = self.0.get(&(length, code)) {
                return symbol;
            }
        }
        panic!("bits that no symbol has");
    }
}

#[test]
fn reads_the_examples() {
    let mut window = Vec::new();
    assert_eq!(read(&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], &mut window), 0);
    assert_eq!(read(&[0xf2, 0x00, 0x11, 0x00, 0x00], &mut window), 5);
    assert_eq!(
        read(&[0x00, 0x05, 0x00, 0xfa, 0xff, b'H', b'e', b'l', b'l', b'o', 0], &mut window),
        0
    );
    assert_eq!(window, b"HelloHelloHello");
}
