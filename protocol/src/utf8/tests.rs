//! One suite over every implementation, against the standard library; every input in every split.

use alloc::{format, string::ToString, vec, vec::Vec};

use proptest::prelude::*;

use super::*;
use crate::mask;
use crate::pieces::Outlook;
use crate::shelf::Shelf;

/// What the standard library says, as the offset of the first byte that no text can have there.
fn expected(bytes: &[u8]) -> Result<(), usize> {
    core::str::from_utf8(bytes).map(drop).map_err(|error| {
        let from = error.valid_up_to();
        match (error.error_len(), bytes[from]) {
            // Cut short: where the missing byte would stand.
            (None, _) => bytes.len(),
            // The lead byte is good, so the one after what is good of the character is bad.
            (Some(good), 0xc2..=0xf4) => from + good,
            (Some(_), _) => from,
        }
    })
}

/// Pushes the parts in order: the absolute offset of the first bad byte.
fn pushed<'a>(
    push: impl Fn(&mut Validator, &[u8]) -> Result<(), InvalidUtf8>,
    parts: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(), usize> {
    let mut validator = Validator::new();
    let mut done = 0;
    for part in parts {
        push(&mut validator, part).map_err(|error| done + error.offset)?;
        done += part.len();
    }
    validator.finish().map_err(|error| done + error.offset)
}

/// All the ways to push: the public one, and each implementation from the first byte on.
fn check<'a>(bytes: &[u8], parts: impl IntoIterator<Item = &'a [u8]> + Clone) {
    let expected = expected(bytes);
    let chosen = pushed(Validator::push, parts.clone());
    assert_eq!(chosen, expected, "chosen: {bytes:x?}");
    for implementation in implementations() {
        let push = |validator: &mut Validator, part: &[u8]| implementation.push(validator, part);
        let actual = pushed(push, parts.clone());
        assert_eq!(actual, expected, "{}: {bytes:x?}", implementation.name());
    }
}

/// As above, of what is masked.
fn check_masked<'a>(bytes: &[u8], parts: impl IntoIterator<Item = &'a [u8]> + Clone) {
    let expected = expected(bytes);
    let chosen = pushed(masked(Validator::push_masked), parts.clone());
    assert_eq!(chosen, expected, "chosen: {bytes:x?}");
    for implementation in implementations() {
        let push = masked(|validator: &mut Validator, part: &mut [u8], key, phase| {
            implementation.push_masked(validator, part, key, phase)
        });
        let actual = pushed(push, parts.clone());
        assert_eq!(actual, expected, "{}: {bytes:x?}", implementation.name());
    }
}

/// Masks each part, byte by byte, before it is pushed, at places that no vector begins at; and sees
/// to it that all of it is unmasked, and nothing beside it touched.
fn masked(
    push: impl Fn(&mut Validator, &mut [u8], [u8; 4], usize) -> Result<(), InvalidUtf8>,
) -> impl Fn(&mut Validator, &[u8]) -> Result<(), InvalidUtf8> {
    const KEY: [u8; 4] = [0x9d, 0x36, 0xf0, 0x4d];
    move |validator, part| {
        let phase = part.len() * 7;
        let offset = part.len() % 5;
        let mut buffer = vec![0xa5; offset + part.len() + 70];
        let end = offset + part.len();
        for (index, byte) in part.iter().enumerate() {
            buffer[offset + index] = byte ^ KEY[(phase + index) % 4];
        }
        let pushed = push(validator, &mut buffer[offset..end], KEY, phase);
        assert_eq!(&buffer[offset..end], part, "after {pushed:?}");
        assert!(buffer[..offset].iter().chain(&buffer[end..]).all(|&byte| byte == 0xa5));
        pushed
    }
}

fn check_whole(bytes: &[u8]) {
    check(bytes, [bytes]);
}

/// The same of what is masked; and what is lent as a text, plain and masked.
fn check_whole_masked(bytes: &[u8]) {
    let whole = text(&mut bytes.to_vec()).map(drop);
    assert_eq!(whole.map_err(|error| error.offset), expected(bytes), "whole: {bytes:x?}");
    check_masked(bytes, [bytes]);
    let key = [0x9d, 0x36, 0xf0, 0x4d];
    let mut payload = bytes.to_vec();
    mask::apply(&mut payload, key, 0);
    let whole = masked_text(&mut payload, key).map(drop);
    assert_eq!(whole.map_err(|error| error.offset), expected(bytes), "whole: {bytes:x?}");
    assert_eq!(payload, bytes);
}

/// Bytes on both sides of every boundary in the table.
const BOUNDARIES: [u8; 30] = [
    0x00, 0x41, 0x7f, 0x80, 0x81, 0x8f, 0x90, 0x91, 0x9f, 0xa0, 0xa1, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf,
    0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf8, 0xfe, 0xff,
];

/// Valid and not, of every kind, short enough for every split into three.
const CORPUS: [&[u8]; 22] = [
    b"",
    b"Hello",
    "κόσμε".as_bytes(),
    "grün, Straße".as_bytes(),
    "日本語のテキスト".as_bytes(),
    "a😀b🏴c".as_bytes(),
    "\u{7ff}\u{800}\u{d7ff}\u{e000}\u{ffff}\u{10000}\u{10ffff}".as_bytes(),
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited",
    b"ab\xe0\x80\x80cd",
    b"ab\xe0\xa0",
    b"ab\xf0\x80\x80\x80",
    b"ab\xf0\x90\x80",
    b"ab\xf4\x90",
    b"ab\xc0\xaf",
    b"ab\xc1\xbf",
    b"ab\xf5\x80\x80\x80",
    b"ab\xff",
    b"ab\x80cd",
    b"ab\xc3(cd",
    b"ab\xe2\x82(cd",
    b"ab\xf0\x9f\x98(cd",
];

#[test]
fn every_short_sequence() {
    for first in 0..=0xff {
        check_whole(&[first]);
        for second in 0..=0xff {
            check_whole(&[first, second]);
        }
    }
    for first in 0x7f..=0xff_u8 {
        for second in 0x7e..=0xc2 {
            for third in 0..=0xff {
                check_whole(&[first, second, third]);
            }
        }
    }
}

#[test]
fn nothing_beside_the_text_is_read() {
    let text = "aé日😀 plain text, ".repeat(20);
    for size in 0..=text.len() {
        // An allocation of just this size: what is read beside it, an address sanitizer sees.
        let bytes = text.as_bytes()[..size].to_vec().into_boxed_slice();
        check_whole(&bytes);
    }
}

#[test]
fn every_boundary_of_four_bytes() {
    for first in BOUNDARIES {
        for second in BOUNDARIES {
            for third in BOUNDARIES {
                for fourth in BOUNDARIES {
                    check_whole(&[first, second, third, fourth]);
                }
            }
        }
    }
}

/// Sequences of up to four bytes in ASCII, and in text that keeps the vectors at work, across every
/// lane and block.
#[test]
fn boundaries_at_every_position() {
    let mut sequences: Vec<Vec<u8>> = Vec::new();
    for first in BOUNDARIES {
        for second in BOUNDARIES {
            sequences.push(vec![first, second]);
            sequences.push(vec![first, second, 0x80]);
            sequences.push(vec![first, second, 0xbf, 0x80]);
        }
    }
    for size in [64, 100, 129, 200] {
        for (index, sequence) in sequences.iter().enumerate() {
            // Every position in turn, and for each sequence others; those of the last bytes for
            // all.
            let step = 11 + index % 5;
            let last = size - sequence.len();
            for position in (index % step..last).step_by(step).chain(last - 4..=last) {
                for filler in ["x", "é"] {
                    let mut bytes = filler.repeat(size / filler.len()).into_bytes();
                    bytes.resize(size, b' ');
                    bytes[position..position + sequence.len()].copy_from_slice(sequence);
                    check_whole(&bytes);
                }
            }
        }
    }
}

#[test]
fn every_length_of_each_kind_of_text() {
    for text in ["x", "é", "語", "😀", "aé語😀"] {
        let whole = text.repeat(700 / text.len());
        // Short ones, and what is walked as a long one.
        for size in (0..=300).chain(500..=whole.len()) {
            check_whole(&whole.as_bytes()[..size]);
            check_whole_masked(&whole.as_bytes()[..size]);
        }
    }
}

/// In every lane of a short text and of a long one, whose blocks are partly ASCII.
#[test]
fn bad_bytes_at_every_position_of_a_text() {
    for filler in ["x", "é", "語", "😀"] {
        for size in [200, 650] {
            let mut good = filler.repeat(size / filler.len()).into_bytes();
            for half in [size, size / 2] {
                good.get_mut(half..).unwrap_or_default().fill(b'x');
                for position in 0..good.len() {
                    for bad in [0x80, 0xc3, 0xe2, 0xf0, 0xff] {
                        let mut bytes = good.clone();
                        bytes[position] = bad;
                        check_whole(&bytes);
                    }
                }
            }
        }
    }
}

/// In every lane of every vector that the widest four take at once, and in what is before and after
/// them; in ASCII and beside it.
#[test]
fn bad_bytes_at_every_position_of_a_masked_text() {
    for filler in ["x", "é", "語"] {
        let good = filler.repeat(400 / filler.len()).into_bytes();
        for position in 0..good.len() {
            for bad in [0x80, 0xc3, 0xe2, 0xf0, 0xff] {
                let mut bytes = good.clone();
                bytes[position] = bad;
                check_whole_masked(&bytes);
            }
        }
    }
}

/// Cut into pieces, and long enough for the chosen implementation to do it in one pass.
#[test]
fn masked_texts_of_several_pieces() {
    for text in ["x", "é", "語", "😀"] {
        let size = 2 * PIECE_SIZE_MAX + 100;
        let mut bytes = text.repeat(size / text.len()).into_bytes();
        for cut in [1, 2, 3, PIECE_SIZE_MAX - 1, PIECE_SIZE_MAX + 2] {
            check_masked(&bytes, [&bytes[..cut], &bytes[cut..]]);
        }
        check_whole_masked(&bytes);
        for position in [0, PIECE_SIZE_MAX - 1, PIECE_SIZE_MAX, size - 200] {
            let good = core::mem::replace(&mut bytes[position], 0xff);
            check_whole_masked(&bytes);
            check_whole(&bytes);
            bytes[position] = good;
        }
    }
}

#[test]
fn every_split_of_the_corpus() {
    for bytes in CORPUS {
        check_whole(bytes);
        check_whole_masked(bytes);
        check(bytes, bytes.chunks(1));
        check_masked(bytes, bytes.chunks(1));
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                check(bytes, [&bytes[..first], &bytes[first..second], &bytes[second..]]);
            }
        }
    }
}

#[test]
fn every_split_of_long_texts() {
    for text in CORPUS {
        let mut bytes =
            "aé語😀 and ASCII for a while, longer than a block of the widest vector there is"
                .repeat(2)
                .into_bytes();
        bytes.extend_from_slice(text);
        bytes.extend_from_slice("語".repeat(50).as_bytes());
        for split in 0..=bytes.len() {
            check(&bytes, [&bytes[..split], &bytes[split..]]);
        }
    }
}

#[test]
fn bad_bytes_beyond_the_first_piece() {
    let mut bytes = "語".repeat(PIECE_SIZE_MAX).into_bytes();
    check_whole(&bytes);
    for position in [PIECE_SIZE_MAX - 2, PIECE_SIZE_MAX, 2 * PIECE_SIZE_MAX + 1] {
        let kept = core::mem::replace(&mut bytes[position], 0xff);
        check_whole(&bytes);
        bytes[position] = kept;
    }
}

#[test]
fn an_error_is_final() {
    for implementation in implementations() {
        let mut validator = Validator::new();
        assert_eq!(implementation.push(&mut validator, b"ab\xff"), Err(InvalidUtf8 { offset: 2 }));
        assert_eq!(implementation.push(&mut validator, b"ab"), Err(InvalidUtf8 { offset: 0 }));
        assert_eq!(implementation.push(&mut validator, b""), Err(InvalidUtf8 { offset: 0 }));
        assert_eq!(validator.push(b""), Err(InvalidUtf8 { offset: 0 }));
        assert_eq!(validator.finish(), Err(InvalidUtf8 { offset: 0 }));
        assert!(!validator.is_complete());
    }
}

#[test]
fn the_second_byte_fails_in_its_own_push() {
    for (first, second) in [(0xe0, 0x80), (0xed, 0xa0), (0xf0, 0x80), (0xf4, 0x90), (0xc3, 0x41)] {
        let mut validator = Validator::new();
        assert_eq!(validator.push(&[first]), Ok(()));
        assert!(!validator.is_complete());
        assert_eq!(validator.push(&[second]), Err(InvalidUtf8 { offset: 0 }));
    }
}

#[test]
fn the_chosen_implementation_is_the_last_listed() {
    let last = implementations().last().map(Implementation::name);
    assert_eq!(last, Some(Implementation(chosen()).name()));
}

#[test]
fn text_lends_what_it_validated() {
    let mut bytes = "grün".to_string().into_bytes();
    let lent = text(&mut bytes).unwrap();
    assert_eq!(&*lent, "grün");
    assert_eq!(format!("{lent} {lent:?}"), "grün \"grün\"");
    lent.into_bytes()[0] = b'G';
    assert_eq!(bytes, "Grün".as_bytes());
    assert_eq!(text(&mut [b'a', 0xff]).unwrap_err(), InvalidUtf8 { offset: 1 });
    assert_eq!(text(&mut [b'a', 0xc3]).unwrap_err(), InvalidUtf8 { offset: 2 });
    assert_eq!(InvalidUtf8 { offset: 2 }.to_string(), "invalid UTF-8 at offset 2");
}

fn push(gather: &mut Gather, chunk: &[u8]) -> Result<(), InvalidUtf8> {
    gather.push(chunk, Outlook::Known(0), &mut Shelf::new())
}

#[test]
fn gather_agrees_in_every_split() {
    for bytes in CORPUS {
        for split in 0..=bytes.len() {
            let mut gather = Gather::new(Vec::new());
            let (first, second) = bytes.split_at(split);
            let pushed = push(&mut gather, first).and_then(|()| push(&mut gather, second));
            match core::str::from_utf8(bytes) {
                Ok(text) => assert_eq!(gather.finish().unwrap().as_str(), text),
                Err(_) => assert!(pushed.is_err() || gather.finish().is_err()),
            }
        }
    }
}

#[test]
fn gather_begins_anew_after_it_lent() {
    let mut gather = Gather::new(Vec::from(*b"left over"));
    assert_eq!(gather.len(), 0);
    gather.push(b"first", Outlook::Known(100), &mut Shelf::new()).unwrap();
    assert_eq!(gather.len(), 5);
    // Whoever borrows the text may leave anything in the buffer: none of it may be taken for text
    // later.
    gather.finish().unwrap().into_bytes().fill(0xff);
    assert_eq!(gather.len(), 0);
    assert_eq!(gather.finish().unwrap().as_str(), "");
    push(&mut gather, b"second").unwrap();
    assert_eq!(gather.finish().unwrap().as_str(), "second");
    assert!(gather.into_buffer().capacity() >= 9);
}

#[test]
fn gather_fails_until_the_buffer_is_taken_back() {
    let mut gather = Gather::new(Vec::new());
    push(&mut gather, b"a\xe2").unwrap();
    assert!(gather.finish().is_err());
    assert_eq!(push(&mut gather, b"\x82\xff"), Err(InvalidUtf8 { offset: 1 }));
    assert_eq!(gather.len(), 2);
    assert!(push(&mut gather, b"a").is_err());
    assert!(gather.finish().is_err());
    gather = Gather::new(gather.into_buffer());
    assert_eq!(gather.finish().unwrap().as_str(), "");
}

/// Cuts `bytes` at the given points, which may be anything.
fn parts<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.sort_unstable();
    let mut from = 0;
    let mut parts = Vec::new();
    for cut in cuts.into_iter().chain([bytes.len()]) {
        parts.push(&bytes[from..cut]);
        from = cut;
    }
    parts
}

proptest! {
    #[test]
    fn random_bytes_in_random_splits(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        cuts in prop::collection::vec(any::<usize>(), 0..6),
    ) {
        check(&bytes, parts(&bytes, &cuts));
        check_masked(&bytes, parts(&bytes, &cuts));
    }

    #[test]
    fn mutated_text_in_random_splits(
        text in ".{0,200}",
        changes in prop::collection::vec((any::<usize>(), any::<u8>()), 0..3),
        cuts in prop::collection::vec(any::<usize>(), 0..6),
    ) {
        let mut bytes = text.into_bytes();
        check(&bytes, parts(&bytes, &cuts));
        check_masked(&bytes, parts(&bytes, &cuts));
        for (position, byte) in changes {
            let size = bytes.len();
            if let Some(to) = bytes.get_mut(position % size.max(1)) {
                *to = byte;
            }
        }
        check(&bytes, parts(&bytes, &cuts));
        check_masked(&bytes, parts(&bytes, &cuts));
    }
}
