//! Any message, with any settings, in any pieces, is itself again.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;
use zlib_rs::{Inflate, InflateFlush};

use super::{WIDE, decompress, oracle};
use crate::deflate::{Compressor, Decompressor, Settings};

/// Messages with and without repetition, across the sizes of windows and chunks.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let noise = prop::collection::vec(any::<u8>(), 0..700);
    prop_oneof![
        2 => noise.clone(),
        1 => prop::collection::vec(any::<u8>(), 0..70_000),
        2 => "[a-e ]{0,3000}".prop_map(String::into_bytes),
        2 => (noise, 1..60_usize).prop_map(|(noise, count)| noise.repeat(count)),
        1 => (any::<u8>(), 0..100_000_usize).prop_map(|(byte, size)| vec![byte; size]),
    ]
}

fn settings() -> impl Strategy<Value = Settings> {
    (9..=15_u8, 1..=9_u8, 0..=9_u8).prop_map(|(window_bits, memory_level, level)| Settings {
        window_bits,
        memory_level,
        level,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_message_is_itself(
        messages in prop::collection::vec(message(), 1..5),
        settings in settings(),
        takeover in any::<bool>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..9),
        bytewise in any::<bool>(),
    ) {
        let mut compressor = Compressor::new(settings).unwrap();
        let (mut decompressor, mut other) = (Decompressor::new(), Decompressor::new());
        for message in &messages {
            let mut payload = Vec::new();
            prop_assert_eq!(compressor.compress(message, takeover, &mut payload), Ok(()));
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(payload.len() + 1)).collect();
            cuts.extend([0, payload.len()]);
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|cut| &payload[cut[0]..cut[1]]);
            let back = decompress(&mut decompressor, pieces, &WIDE, takeover);
            prop_assert_eq!(back.as_ref(), Ok(message));
            if bytewise {
                let back = decompress(&mut other, payload.chunks(1), &WIDE, takeover);
                prop_assert_eq!(back.as_ref(), Ok(message));
            }
        }
    }

    #[test]
    fn no_reference_reaches_beyond_the_window(
        messages in prop::collection::vec(message(), 1..4),
        settings in settings(),
        takeover in any::<bool>(),
    ) {
        let mut compressor = Compressor::new(settings).unwrap();
        let mut window = Vec::new();
        for message in &messages {
            let mut payload = Vec::new();
            prop_assert_eq!(compressor.compress(message, takeover, &mut payload), Ok(()));
            if !takeover {
                window.clear();
            }
            let start = window.len();
            let reach = oracle::read(&payload, &mut window);
            prop_assert!(reach <= 1 << settings.window_bits, "{} bytes back", reach);
            prop_assert_eq!(&window[start..], message);
        }
    }
}

/// What the documentation of [`Decompressor`] says of windows. Once this fails, a decompressor can
/// be made for the window that was agreed.
#[test]
fn the_window_is_the_largest_whatever_is_asked() {
    let settings = Settings { window_bits: 15, memory_level: 9, level: 9 };
    let mut noise = Vec::new();
    let mut state = 1_u32;
    noise.resize_with(20_000, || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    });
    let message = [&noise[..], &noise[..258]].concat();
    let mut payload = Vec::new();
    Compressor::new(settings).unwrap().compress(&message, false, &mut payload).unwrap();
    assert_eq!(oracle::read(&payload, &mut Vec::new()), 20_000);
    let mut inflate = Inflate::new(false, 9);
    let (mut back, mut byte) = (Vec::new(), [0]);
    while back.len() < message.len() {
        // Byte by byte, so that all is in the window and nothing in the output.
        let taken = usize::try_from(inflate.total_in()).unwrap();
        inflate.decompress(&payload[taken..], &mut byte, InflateFlush::NoFlush).unwrap();
        back.push(byte[0]);
    }
    assert_eq!(back, message);
}
