//! What follows the handshake, in any pieces.

use arbitrary::Arbitrary;
use ringwire_protocol::{Close, Role, Violation};

use crate::cuts::Cuts;
use crate::naive;
use crate::side::{Seen, Side, limits};

/// Bytes that a peer sent.
#[derive(Arbitrary, Debug)]
pub struct Input<'a> {
    /// Whether a server reads them.
    pub server: bool,
    /// Whether this side has sent its close frame before.
    pub closed: bool,
    /// The largest message, see [`limits`].
    pub message_size_max: [u8; 2],
    /// The largest frame, see [`limits`].
    pub frame_size_max: [u8; 2],
    /// The most fragments of one message, less one.
    pub fragments_max: u8,
    /// How the bytes arrive.
    pub cuts: Cuts,
    /// Frames, if they are any.
    pub bytes: &'a [u8],
}

impl Input<'_> {
    /// In one piece, in single bytes, in other pieces and in chunks the naive reader's events are
    /// seen and answered.
    pub fn check(&self) {
        let limits = limits(self.message_size_max, self.frame_size_max, self.fragments_max);
        let role = if self.server { Role::Server } else { Role::Client };
        let expected = naive::read(role, &limits, self.bytes);
        let answers = naive::answers(role, self.closed, &expected);
        // Of a message that is taken in chunks nothing is held, and its size is not limited.
        let too_big = [Violation::FrameTooBig, Violation::MessageTooBig].map(Seen::Failed);
        let streams = !expected.iter().any(|seen| too_big.contains(seen));
        let ways = [(None, false), (Some(self.cuts), false), (Some(Cuts::BYTEWISE), false)];
        let ways = ways.into_iter().chain(streams.then_some((Some(self.cuts), true)));
        for (cuts, streaming) in ways {
            let mut side = Side::new(role, limits);
            if streaming {
                side = side.streaming();
            }
            if self.closed {
                let done = side.close(Close { code: Some(1000), reason: "" });
                assert_eq!(done, Ok(()));
                side.out.clear();
            }
            match cuts {
                None => side.read(self.bytes),
                Some(cuts) => side.read_cut(self.bytes, cuts),
            }
            assert_eq!(side.seen, expected, "{cuts:?}");
            assert_eq!(side.out, answers, "{cuts:?}");
            // What comes after the end is discarded, and nothing is said of it.
            if side.seen.last().is_some_and(|seen| seen.is_last()) {
                assert!(side.is_over());
                side.read(self.bytes);
            }
        }
    }
}
