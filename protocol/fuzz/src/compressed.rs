//! Messages that one side compresses and the other one decompresses.

use arbitrary::Arbitrary;
use ringwire_protocol::deflate::{Agreed, Compressor, Policy};
use ringwire_protocol::frame::Opcode;
use ringwire_protocol::frame::header::Header;
use ringwire_protocol::{Limits, Payload, Role};

use crate::cuts::Cuts;
use crate::naive::masked;
use crate::side::{MASKING_KEY, Seen, Side};

/// A connection, and what is sent on it.
#[derive(Arbitrary, Debug)]
pub struct Input<'a> {
    /// Whether the server sends.
    pub server: bool,
    /// The window of the sender, 9 to 15 as the remainder of seven.
    pub window: u8,
    /// The memory of the compressor, 1 to 9 as the remainder of nine.
    pub memory_level: u8,
    /// Its effort, 0 to 9 as the remainder of ten.
    pub level: u8,
    /// Whether the window is kept from message to message.
    pub takeover: bool,
    /// Messages of fewer bytes are not compressed.
    pub size_min: u8,
    /// The frames of each message, where the sender does not make them.
    pub fragments: Option<Cuts>,
    /// How the bytes arrive.
    pub cuts: Cuts,
    /// What is sent: see [`Operation`].
    pub operations: &'a [u8],
}

/// One thing to send. It is read from three bytes (what it is, how often its text is repeated, how
/// long this is) and the text.
#[derive(Debug)]
enum Operation {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    /// A message that goes out as it is.
    Uncompressed(Vec<u8>),
}

impl Input<'_> {
    /// What is seen is what was sent, in one piece, in single bytes and in other pieces.
    pub fn check(&self) {
        let role = if self.server { Role::Server } else { Role::Client };
        let mut sender = self.side(role);
        let mut compressor =
            Compressor::new(self.policy().settings(&self.agreed(), role)).expect("it is in range");
        let mut expected = Vec::new();
        for operation in operations(self.operations) {
            match self.fragments {
                None => send(&mut sender, &operation),
                Some(cuts) => self.write(&mut sender, &mut compressor, &operation, cuts),
            }
            expected.push(match operation {
                Operation::Text(text) => Seen::Text(text),
                Operation::Binary(bytes) | Operation::Uncompressed(bytes) => Seen::Binary(bytes),
                Operation::Ping(payload) => Seen::Ping(payload),
            });
        }
        let is_short = sender.out.len() <= BYTEWISE_SIZE_MAX;
        let bytewise = is_short.then_some(Cuts::BYTEWISE);
        for cuts in [self.cuts].into_iter().chain(bytewise) {
            let mut receiver = self.side(role.peer());
            receiver.read_cut(&sender.out, cuts);
            assert!(receiver.seen == expected, "{cuts:?}: {:?}", receiver.seen.last());
        }
        let mut receiver = self.side(role.peer());
        receiver.read(&sender.out);
        assert!(receiver.seen == expected, "{:?}", receiver.seen.last());
    }

    fn policy(&self) -> Policy {
        Policy {
            memory_level: 1 + self.memory_level % 9,
            level: self.level % 10,
            size_min: usize::from(self.size_min),
            ..Policy::default()
        }
    }

    fn agreed(&self) -> Agreed {
        let window = Some(9 + self.window % 7);
        Agreed {
            server_no_context_takeover: !self.takeover,
            client_no_context_takeover: !self.takeover,
            server_max_window_bits: window,
            client_max_window_bits: window,
        }
    }

    fn side(&self, role: Role) -> Side {
        Side::new(role, Limits::default()).with_deflate(&self.agreed(), &self.policy(), u32::MAX)
    }

    /// Appends the operation's frames, made here.
    fn write(
        &self,
        sender: &mut Side,
        compressor: &mut Compressor,
        operation: &Operation,
        cuts: Cuts,
    ) {
        let (opcode, message) = match operation {
            Operation::Text(text) => (Opcode::Text, text.as_bytes()),
            Operation::Binary(bytes) => (Opcode::Binary, &bytes[..]),
            Operation::Ping(_) | Operation::Uncompressed(_) => return send(sender, operation),
        };
        let mut payload = Vec::new();
        let done = compressor.compress(message, self.takeover, &mut payload);
        assert_eq!(done, Ok(()));
        let pieces: Vec<_> = cuts.pieces(&payload).collect();
        for (index, piece) in pieces.iter().enumerate() {
            let header = Header {
                fin: index + 1 == pieces.len(),
                compressed: index == 0,
                opcode: if index == 0 { opcode } else { Opcode::Continuation },
                masking_key: (!self.server).then_some(MASKING_KEY),
                length: piece.len() as u64,
            };
            header.encode(&mut sender.out);
            let key = header.masking_key.unwrap_or_default();
            sender.out.extend(masked(piece, key));
        }
    }
}

/// Lets the sender make the frames.
fn send(side: &mut Side, operation: &Operation) {
    let Side { sender, workspace, out, .. } = side;
    let sent = match operation {
        Operation::Text(text) => sender.message(text, workspace, out),
        Operation::Binary(bytes) => sender.message(bytes, workspace, out),
        Operation::Ping(payload) => sender.ping(payload, workspace, out),
        Operation::Uncompressed(bytes) => {
            sender.message_uncompressed(Payload::Binary(bytes), workspace, out)
        }
    };
    assert_eq!(sent, Ok(()));
}

/// What `bytes` say, as long as all messages together have at most [`SUM_MAX`] bytes.
fn operations(bytes: &[u8]) -> Vec<Operation> {
    let mut found = Vec::new();
    let (mut rest, mut sum) = (bytes, 0);
    while let [what, repeats, size, after @ ..] = rest {
        let (text, after) = after.split_at(after.len().min(usize::from(*size)));
        rest = after;
        let message = text.repeat(1 + usize::from(*repeats).pow(2) / 16);
        sum += message.len();
        if sum > SUM_MAX {
            break;
        }
        found.push(match what % 4 {
            0 => Operation::Text(String::from_utf8_lossy(&message).into_owned()),
            1 => Operation::Binary(message),
            2 => Operation::Ping(text.iter().copied().take(125).collect()),
            _ => Operation::Uncompressed(message),
        });
    }
    found
}

/// Enough for messages that are larger than every window.
const SUM_MAX: usize = 96 << 10;

/// More bytes than these are not read one by one as well: it takes too long.
const BYTEWISE_SIZE_MAX: usize = 4 << 10;
