//! Any bytes as the payload of compressed messages.

use arbitrary::Arbitrary;
use ringwire_protocol::deflate::{Agreed, Policy};
use ringwire_protocol::frame::Opcode;
use ringwire_protocol::frame::header::{CONTROL_SIZE_MAX, Header};
use ringwire_protocol::{Limits, Role};

use crate::cuts::Cuts;
use crate::naive::{answers, masked};
use crate::side::{MASKING_KEY, Seen, Side, limits};

/// What a peer sent on a connection with compression.
#[derive(Arbitrary, Debug)]
pub struct Input<'a> {
    /// Whether a server reads it.
    pub server: bool,
    /// Whether the window is kept from message to message.
    pub takeover: bool,
    /// How many times its size a message may become.
    pub ratio_max: u16,
    /// The largest message, see [`limits`].
    pub message_size_max: [u8; 2],
    /// How the bytes arrive.
    pub cuts: Cuts,
    /// Frames. Each is two bytes (what it is, and the size of its payload) and the payload.
    pub frames: &'a [u8],
}

impl Input<'_> {
    /// Whatever the payload is, the same is seen in one piece, in single bytes and in other
    /// pieces, and a violation is answered with one close frame of the right kind.
    pub fn check(&self) {
        let role = if self.server { Role::Server } else { Role::Client };
        let bytes = self.bytes();
        let mut whole = self.side(role);
        whole.read(&bytes);
        for cuts in [self.cuts, Cuts::BYTEWISE] {
            let mut side = self.side(role);
            side.read_cut(&bytes, cuts);
            assert_eq!(side.seen, whole.seen, "{cuts:?}");
            assert_eq!(side.out, whole.out, "{cuts:?}");
        }
        assert_eq!(whole.out, answers(role, false, &whole.seen));
        if let Some(Seen::Failed(violation)) = whole.seen.last() {
            assert!(matches!(violation.close_code(), 1002 | 1007 | 1009), "{violation}");
            whole.read(&bytes);
        }
    }

    fn side(&self, role: Role) -> Side {
        let agreed = Agreed {
            server_no_context_takeover: !self.takeover,
            client_no_context_takeover: !self.takeover,
            server_max_window_bits: None,
            client_max_window_bits: None,
        };
        let limits =
            Limits { fragments_max: u32::MAX, ..limits(self.message_size_max, [255, 11], 0) };
        let ratio_max = u32::from(self.ratio_max);
        Side::new(role, limits).with_deflate(&agreed, &Policy::default(), ratio_max)
    }

    /// The frames as they are sent. The lowest bit of the first byte makes a text of a message, the
    /// next ones end it, leave it uncompressed, send a ping instead, or repeat the payload.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut rest = self.frames;
        let mut is_unfinished = false;
        while let [what, size, after @ ..] = rest {
            let (payload, after) = after.split_at(after.len().min(usize::from(*size)));
            rest = after;
            let is_ping = what & 8 != 0;
            let begins = !is_ping && !is_unfinished;
            let opcode = match (is_ping, is_unfinished, what & 1 != 0) {
                (true, _, _) => Opcode::Ping,
                (_, true, _) => Opcode::Continuation,
                (_, _, true) => Opcode::Text,
                (_, _, false) => Opcode::Binary,
            };
            let payload = match is_ping {
                true => payload[..payload.len().min(CONTROL_SIZE_MAX)].to_vec(),
                false => payload.repeat(if what & 16 == 0 { 1 } else { REPEATS }),
            };
            let header = Header {
                fin: is_ping || what & 2 != 0,
                compressed: begins && what & 4 == 0,
                opcode,
                masking_key: self.server.then_some(MASKING_KEY),
                length: payload.len() as u64,
            };
            header.encode(&mut bytes);
            bytes.extend(masked(&payload, header.masking_key.unwrap_or_default()));
            is_unfinished = if is_ping { is_unfinished } else { !header.fin };
        }
        bytes
    }
}

/// Enough for more empty blocks than a compressed message of some small size can have.
const REPEATS: usize = 40;
