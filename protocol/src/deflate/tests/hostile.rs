//! Bombs, broken streams and noise.

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::{WIDE, decompress};
use crate::deflate::{Bounds, Compressor, DecompressError, Decompressor, Settings};
use crate::utf8::{InvalidUtf8, Validator};

const SETTINGS: Settings = Settings { window_bits: 15, memory_level: 8, level: 9 };

fn compressed(message: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    Compressor::new(SETTINGS).unwrap().compress(message, false, &mut payload).unwrap();
    payload
}

/// How much the sink got, and how it ended.
fn measure(payload: &[u8], bounds: &Bounds) -> (usize, Result<(), DecompressError<()>>) {
    let mut size = 0;
    let mut sink = |chunk: &[u8]| {
        assert!(chunk.len() <= Decompressor::CHUNK_SIZE);
        size += chunk.len();
        Ok(())
    };
    let mut decompressor = Decompressor::new();
    let mut done = decompressor.inflate(payload, bounds, &mut sink);
    if done.is_ok() {
        done = decompressor.finish(bounds, true);
    }
    (size, done)
}

#[test]
fn a_bomb_stops_at_the_byte() {
    let size = 16 << 20;
    let bomb = compressed(&vec![0; size]);
    assert!(bomb.len() * 1000 < size, "{} bytes", bomb.len());
    for size_max in [0, 1, 100, 8191, 8192, 8193, 1 << 20, size - 1] {
        let bounds = Bounds { size_max, ratio_max: u32::MAX };
        assert_eq!(measure(&bomb, &bounds), (size_max, Err(DecompressError::TooBig)));
    }
    let bounds = Bounds { size_max: size, ratio_max: u32::MAX };
    assert_eq!(measure(&bomb, &bounds), (size, Ok(())));
}

#[test]
fn the_ratio_counts_what_has_arrived() {
    let bomb = compressed(&vec![0; 4 << 20]);
    let bounds = Bounds { size_max: usize::MAX, ratio_max: 100 };
    let (size, done) = measure(&bomb, &bounds);
    assert_eq!(done, Err(DecompressError::TooDense));
    assert!(size <= 2 * Bounds::RATIO_FROM + 64 * 8, "{size}");
    // Small ones may grow as they like.
    let small = compressed(&vec![0; Bounds::RATIO_FROM]);
    assert_eq!(measure(&small, &bounds), (Bounds::RATIO_FROM, Ok(())));
    let above = compressed(&vec![0; Bounds::RATIO_FROM + 1]);
    assert_eq!(measure(&above, &bounds).1, Err(DecompressError::TooDense));
}

#[test]
fn bounds_hold_for_the_message_and_not_for_its_pieces() {
    let payload = compressed(&[7; 1000]);
    let exact = Bounds { size_max: 1000, ratio_max: u32::MAX };
    let short = Bounds { size_max: 999, ratio_max: u32::MAX };
    let mut decompressor = Decompressor::new();
    for _ in 0..3 {
        let message = decompress(&mut decompressor, payload.chunks(1), &exact, true);
        assert_eq!(message, Ok(vec![7; 1000]));
    }
    let message = decompress(&mut decompressor, payload.chunks(1), &short, true);
    assert_eq!(message, Err(DecompressError::TooBig));
    decompressor.reset();
    let message = decompress(&mut decompressor, payload.chunks(1), &exact, true);
    assert_eq!(message, Ok(vec![7; 1000]));
}

#[test]
fn every_message_cut_short_is_corrupt() {
    let text: Vec<u8> = (0..3000_u32).flat_map(|n| (n * n % 977).to_be_bytes()).collect();
    for level in 0..=9 {
        let settings = Settings { level, ..SETTINGS };
        let mut payload = Vec::new();
        let mut compressor = Compressor::new(settings).unwrap();
        compressor.compress(&text, false, &mut payload).unwrap();
        let mut decompressor = Decompressor::new();
        for end in 0..payload.len() {
            let message = decompress(&mut decompressor, [&payload[..end]], &WIDE, true);
            match message {
                // Blocks without compression may be cut to fewer, the last one empty.
                Ok(prefix) if level == 0 => assert!(text.starts_with(&prefix)),
                other => assert_eq!(other, Err(DecompressError::Corrupt), "{level}, {end} bytes"),
            }
            decompressor.reset();
        }
    }
}

/// What the sink got and how it ended must not depend on how the payload was cut.
#[test]
fn what_comes_before_a_violation_counts_in_any_pieces() {
    let ends = |payload: &[u8], bounds: &Bounds| {
        [1, 5, 64, payload.len()].map(|size| {
            let mut message = Vec::new();
            let mut sink = |chunk: &[u8]| {
                message.extend_from_slice(chunk);
                Ok::<(), ()>(())
            };
            let mut decompressor = Decompressor::new();
            let pieces = &mut payload.chunks(size);
            let done = pieces.try_for_each(|piece| decompressor.inflate(piece, bounds, &mut sink));
            let done = done.and_then(|()| decompressor.finish(bounds, true));
            (message, done)
        })
    };
    // "Hello" and then a block of the reserved type, also where its last byte is one too many.
    let broken = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x06];
    for (size_max, error) in [(5, DecompressError::Corrupt), (4, DecompressError::TooBig)] {
        let bounds = Bounds { size_max, ..WIDE };
        let expected = (b"Hello"[..size_max].to_vec(), Err(error));
        assert_eq!(ends(&broken, &bounds), [0; 4].map(|_| expected.clone()));
    }
    // Its beginning is dense, and all of it is not.
    let noise = (0..4096_u32).map(|n| n.wrapping_mul(0x9E37_79B9).to_be_bytes()[0]);
    let message: Vec<u8> = vec![0; 4 * Bounds::RATIO_FROM].into_iter().chain(noise).collect();
    let bounds = Bounds { size_max: usize::MAX, ratio_max: 100 };
    let [bytewise, others @ ..] = ends(&compressed(&message), &bounds);
    assert_eq!(bytewise.1, Err(DecompressError::TooDense));
    assert_eq!(others, [0; 3].map(|_| bytewise.clone()));
}

#[test]
fn broken_streams() {
    let cases: [&[u8]; 8] = [
        // Nothing at all: the tail alone is no stream.
        &[],
        // The reserved type of block.
        &[0x06],
        &[0x07, 0x00],
        // A length that its complement does not match.
        &[0x00, 0x05, 0x00, 0xfa, 0xfe, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
        // A reference to before the first byte.
        &[0xf2, 0x00, 0x11, 0x00, 0x00],
        // The tail is there already.
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00, 0x00, 0xff, 0xff],
        // A block without compression that the tail would fill.
        &[0x00, 0x04, 0x00, 0xfb, 0xff],
        // One that the tail would leave open.
        &[0x00, 0x09, 0x00, 0xf6, 0xff, 0x48],
    ];
    for case in cases {
        let whole = decompress(&mut Decompressor::new(), [case], &WIDE, true);
        assert_eq!(whole, Err(DecompressError::Corrupt), "{case:x?}");
        let bytewise = decompress(&mut Decompressor::new(), case.chunks(1), &WIDE, true);
        assert_eq!(bytewise, Err(DecompressError::Corrupt), "{case:x?}");
    }
}

#[test]
fn the_sink_stops_it() {
    let mut text = vec![b'a'; 1 << 20];
    text[20_000] = 0xff;
    let payload = compressed(&text);
    let (mut validator, mut seen) = (Validator::new(), 0);
    let done = Decompressor::new().inflate(&payload, &WIDE, &mut |chunk: &[u8]| {
        validator.push(chunk)?;
        seen += chunk.len();
        Ok::<(), InvalidUtf8>(())
    });
    assert!(matches!(done, Err(DecompressError::Sink(_))), "{done:?}");
    assert!(seen <= 20_000);
}

proptest! {
    #[test]
    fn noise_ends(
        noise in prop::collection::vec(any::<u8>(), 0..2000),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 1..4),
        piece in 1..100_usize,
        takeover in any::<bool>(),
    ) {
        let bounds = Bounds { size_max: 1 << 20, ratio_max: 2000 };
        let mut damaged = compressed(&noise.repeat(3));
        for (at, flip) in flips {
            let at = at.index(damaged.len());
            damaged[at] ^= flip;
        }
        for bytes in [&noise, &damaged] {
            let mut decompressor = Decompressor::new();
            let pieces = decompress(&mut decompressor, bytes.chunks(piece), &bounds, takeover);
            let whole = decompress(&mut Decompressor::new(), [&bytes[..]], &bounds, takeover);
            prop_assert_eq!(&pieces, &whole);
            // Also one that has failed serves the next connection.
            decompressor.reset();
            let after = decompress(&mut decompressor, [&compressed(b"after")[..]], &bounds, true);
            prop_assert_eq!(after.as_deref(), Ok(&b"after"[..]));
        }
    }
}
