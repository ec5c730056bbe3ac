//! Both halves together, against streams of frames made by hand and by chance.

mod burst;
mod deflate;
mod deflate_any;
mod deflate_fragments;
mod filled;
mod pair;
mod prepared;
mod streaming;

use crate::deflate::Agreed;

/// The same windows and the same takeover in both directions.
fn agreed(takeover: bool, bits: u8) -> Agreed {
    Agreed {
        server_no_context_takeover: !takeover,
        client_no_context_takeover: !takeover,
        server_max_window_bits: Some(bits),
        client_max_window_bits: Some(bits),
    }
}
