//! The examples of RFC 7692 section 7.2.3, whole and in every cut into two.

use alloc::vec;
use alloc::vec::Vec;

use super::{WIDE, decompress};
use crate::deflate::{Compressor, DecompressError, Decompressor, Settings};

const SETTINGS: Settings = Settings { window_bits: 15, memory_level: 8, level: 6 };

const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
const HELLO_AGAIN: [u8; 5] = [0xf2, 0x00, 0x11, 0x00, 0x00];
const HELLO_STORED: [u8; 11] = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
const HELLO_LAST: [u8; 8] = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
const HELLO_TWO_BLOCKS: [u8; 13] =
    [0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00];

/// Decompresses `payload` in each cut, after the messages in `before`.
#[track_caller]
fn assert_message(before: &[&[u8]], payload: &[u8], expected: &[u8]) {
    for cut in 0..=payload.len() {
        let mut decompressor = Decompressor::new();
        for message in before {
            decompress(&mut decompressor, [*message], &WIDE, true).unwrap();
        }
        let pieces: [&[u8]; 2] = payload.split_at(cut).into();
        let message = decompress(&mut decompressor, pieces, &WIDE, true);
        assert_eq!(message.as_deref(), Ok(expected), "cut at {cut}");
        // Byte by byte, and what comes after.
        let mut decompressor = Decompressor::new();
        for message in before.iter().chain([&payload]) {
            decompress(&mut decompressor, message.chunks(1), &WIDE, true).unwrap();
        }
        let after = decompress(&mut decompressor, [&HELLO[..]], &WIDE, true);
        assert_eq!(after.as_deref(), Ok(&b"Hello"[..]));
    }
}

#[test]
fn one_block() {
    assert_message(&[], &HELLO, b"Hello");
    let mut payload = vec![7];
    let mut compressor = Compressor::new(SETTINGS).unwrap();
    compressor.compress(b"Hello", true, &mut payload).unwrap();
    assert_eq!(payload[1..], HELLO);
    assert_eq!(payload[0], 7);
}

#[test]
fn sharing_the_window() {
    assert_message(&[&HELLO], &HELLO, b"Hello");
    assert_message(&[&HELLO], &HELLO_AGAIN, b"Hello");
    // Without takeover there is nothing to refer to.
    let mut decompressor = Decompressor::new();
    decompress(&mut decompressor, [&HELLO[..]], &WIDE, false).unwrap();
    let second = decompress(&mut decompressor, [&HELLO_AGAIN[..]], &WIDE, false);
    assert_eq!(second, Err(DecompressError::Corrupt));
}

#[test]
fn the_compressor_shares_the_window_or_does_not() {
    let mut compressor = Compressor::new(SETTINGS).unwrap();
    let mut payloads = [Vec::new(), Vec::new(), Vec::new()];
    for (payload, takeover) in payloads.iter_mut().zip([true, false, false]) {
        compressor.compress(b"Hello", takeover, payload).unwrap();
    }
    assert_eq!(payloads, [HELLO.to_vec(), HELLO_AGAIN.to_vec(), HELLO.to_vec()]);
}

#[test]
fn a_block_without_compression() {
    assert_message(&[], &HELLO_STORED, b"Hello");
}

#[test]
fn a_last_block() {
    assert_message(&[], &HELLO_LAST, b"Hello");
    // The octet after it may be missing: the stream has ended all the same.
    assert_message(&[], &HELLO_LAST[..7], b"Hello");
    assert_message(&[&HELLO_LAST], &HELLO, b"Hello");
    // What follows the last block is one more stream.
    let twice = [&HELLO_LAST[..7], &HELLO[..]].concat();
    assert_message(&[], &twice, b"HelloHello");
    // Its window is empty.
    let refers = [&HELLO_LAST[..7], &HELLO_AGAIN[..]].concat();
    let message = decompress(&mut Decompressor::new(), [&refers[..]], &WIDE, true);
    assert_eq!(message, Err(DecompressError::Corrupt));
}

#[test]
fn two_blocks() {
    assert_message(&[], &HELLO_TWO_BLOCKS, b"Hello");
}

#[test]
fn an_empty_message() {
    assert_message(&[], &[0x00], b"");
    // The other empty block, with a fixed code, and then the one that is cut.
    assert_message(&[], &[0x02, 0x00], b"");
    let mut compressor = Compressor::new(SETTINGS).unwrap();
    let mut decompressor = Decompressor::new();
    for message in [&b""[..], b"Hello", b"", b"", b"Hello"] {
        let mut payload = Vec::new();
        compressor.compress(message, true, &mut payload).unwrap();
        assert_eq!(payload == [0], message.is_empty());
        let back = decompress(&mut decompressor, [&payload[..]], &WIDE, true);
        assert_eq!(back.as_deref(), Ok(message));
    }
}

#[test]
fn settings_out_of_range() {
    for window_bits in 0..=u8::MAX {
        let made = Compressor::new(Settings { window_bits, ..SETTINGS }).is_some();
        assert_eq!(made, (9..=15).contains(&window_bits), "{window_bits}");
    }
    for value in 0..=u8::MAX {
        let made = Compressor::new(Settings { memory_level: value, ..SETTINGS }).is_some();
        assert_eq!(made, (1..=9).contains(&value), "{value}");
        let made = Compressor::new(Settings { level: value, ..SETTINGS }).is_some();
        assert_eq!(made, value <= 9, "{value}");
    }
}
