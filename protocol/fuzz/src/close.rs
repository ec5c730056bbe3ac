//! The payload of a close frame.

use arbitrary::Arbitrary;
use ringwire_protocol::frame::close::{Close, REASON_SIZE_MAX, code_may_be_sent};
use ringwire_protocol::{Limits, Role};

use crate::side::{Seen, Side};

/// A payload that a peer sent, and what is closed with on this side.
#[derive(Arbitrary, Debug)]
pub struct Input<'a> {
    /// Whether this side is a server.
    pub server: bool,
    /// Whether this side's close has a code.
    pub has_code: bool,
    /// The code, where it has one.
    pub code: u16,
    /// The peer's payload, and this side's reason as far as it is UTF-8.
    pub payload: &'a [u8],
}

impl Input<'_> {
    /// What is decoded says what the bytes say, and what may be sent arrives.
    pub fn check(&self) {
        self.check_received();
        self.check_sent();
    }

    fn check_received(&self) {
        let payload = self.payload.to_vec();
        let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
        let reason = payload.get(2..).map(str::from_utf8);
        match (Close::decode(&payload), code, reason) {
            (Ok(Close { code: None, reason: "" }), None, None) => assert!(payload.is_empty()),
            (Ok(close), Some(code), Some(Ok(reason))) => {
                assert_eq!(close, Close { code: Some(code), reason });
                let is_short = reason.len() <= REASON_SIZE_MAX;
                assert_eq!(close.check().is_ok(), is_short);
            }
            (Err(_), Some(code), Some(reason)) => {
                assert!(!code_may_be_sent(code) || reason.is_err());
            }
            (Err(_), None, None) => assert_eq!(payload.len(), 1),
            (decoded, _, _) => panic!("{decoded:?}"),
        }
    }

    fn check_sent(&self) {
        let valid = self.payload.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        let close = Close { code: self.has_code.then_some(self.code), reason: valid };
        let role = if self.server { Role::Server } else { Role::Client };
        let mut side = Side::new(role, Limits::default());
        let sent = side.close(close);
        assert_eq!(sent, close.check());
        if sent.is_err() {
            assert!(side.out.is_empty());
            return;
        }
        let mut peer = Side::new(role.peer(), Limits::default());
        peer.read(&side.out);
        assert_eq!(peer.seen, [Seen::Close(close.code, close.reason.to_owned())]);
        // The peer's answer ends it on both sides.
        side.read(&peer.out);
        assert_eq!(side.seen, [Seen::Close(close.code, String::new())]);
        assert!(side.is_over() && peer.is_over());
    }
}
