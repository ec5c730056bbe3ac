//! Any message, with any settings, in any pieces, is itself again.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;
use zlib_rs::{Inflate, InflateFlush};

use super::{WIDE, decompress};
use crate::deflate::{Compressor, Decompressor, Settings};

/// Messages with and without repetition, across the sizes of windows and chunks.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let noise = prop::collection::vec(any::<u8>(), 0..700);
    prop_oneof![
        2 => noise.clone(),
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

/// Decompresses with a window of just `window_bits`: one byte at a time, so that nothing but the
/// window can be referred to.
fn narrow(window_bits: u8, payload: &[u8]) -> Vec<u8> {
    let mut inflate = Inflate::new(false, window_bits);
    let (mut message, mut byte) = (Vec::new(), [0]);
    loop {
        let (taken, written) = (inflate.total_in(), inflate.total_out());
        let at = usize::try_from(taken).unwrap();
        inflate.decompress(&payload[at..], &mut byte, InflateFlush::NoFlush).unwrap();
        if inflate.total_out() > written {
            message.push(byte[0]);
        } else if inflate.total_in() == taken {
            return message;
        }
    }
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
    fn no_reference_reaches_beyond_the_window(message in message(), settings in settings()) {
        let mut payload = Vec::new();
        let mut compressor = Compressor::new(settings).unwrap();
        prop_assert_eq!(compressor.compress(&message, false, &mut payload), Ok(()));
        prop_assert_eq!(narrow(settings.window_bits, &payload), message);
    }
}
