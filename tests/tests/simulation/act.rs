//! What a client does: one thing of many, chosen by the seed.

use ringwire::OwnedMessage;
use ringwire::simulation::Simulation;
use ringwire_protocol::Close;

use crate::books::Books;
use crate::chance::Chance;
use crate::client::{Client, Stage};

/// What no client may send, each beginning between two messages.
const VIOLATIONS: [&[u8]; 14] = [
    // Reserved bits; no mask; an opcode that means nothing; a control frame in fragments.
    &[0xF1, 0x80, 0, 0, 0, 0],
    &[0x81, 0x01, b'a'],
    &[0x83, 0x80, 0, 0, 0, 0],
    &[0x09, 0x80, 0, 0, 0, 0],
    // Fragments of nothing; a message within another.
    &[0x80, 0x80, 0, 0, 0, 0],
    &[0x01, 0x80, 0, 0, 0, 0, 0x01, 0x80, 0, 0, 0, 0],
    // Text that is none, at once and after a good fragment.
    &[0x81, 0x81, 0, 0, 0, 0, 0xFF],
    &[0x01, 0x81, 0, 0, 0, 0, 0xC3, 0x80, 0x81, 0, 0, 0, 0, 0x28],
    // A ping too long; lengths that are not the shortest, too long, or no length.
    &[0x89, 0xFE, 0, 126, 0, 0, 0, 0],
    &[0x82, 0xFE, 0, 1, 0, 0, 0, 0],
    &[0x82, 0xFF, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
    &[0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    // A close frame with half a code, and with one that is never sent.
    &[0x88, 0x81, 0, 0, 0, 0, 0x03],
    &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xED],
];

/// Where compression was agreed on: a block of a kind that does not exist.
const GARBAGE: &[u8] = &[0xC1, 0x81, 0, 0, 0, 0, 0xFF];

impl Client {
    /// Takes its first step: asks as a whole, with messages right behind, in dribbles, for
    /// something else, or for nothing.
    pub(crate) fn begin(&mut self, simulation: &mut Simulation<Books>, chance: &mut Chance) {
        match chance.below(12) {
            0 | 1 => {}
            2 => {
                self.unsent = b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n".to_vec();
                self.ask(simulation, usize::MAX);
            }
            3 => {
                let size = self.unsent.len() - 1 - chance.below(9);
                self.unsent.truncate(size);
                self.unsent.extend_from_slice(b"\0\r\n\r\n");
                self.ask(simulation, usize::MAX);
            }
            4 => self.unsent.clear(),
            5..8 => {
                self.ask(simulation, usize::MAX);
                for _ in 0..=chance.below(5) {
                    let message = self.message(chance);
                    self.send(simulation, message);
                }
            }
            _ => self.ask(simulation, usize::MAX),
        }
        self.mute = chance.once_in(20);
    }

    /// Sends some more of the request.
    pub(crate) fn ask(&mut self, simulation: &mut Simulation<Books>, size: usize) {
        let rest = self.unsent.split_off(size.min(self.unsent.len()));
        simulation.send(self.peer, &self.unsent);
        self.unsent = rest;
    }

    /// Does the next thing.
    pub(crate) fn act(&mut self, simulation: &mut Simulation<Books>, chance: &mut Chance) {
        if !self.unsent.is_empty() {
            self.ask(simulation, 1 + chance.below(60));
        }
        match (self.stage, chance.below(100)) {
            (Stage::Gone, _) => {}
            (_, 0) => {
                simulation.reset(self.peer);
                self.stage = Stage::Gone;
            }
            (_, 1) => {
                simulation.end(self.peer);
                self.stage = Stage::Leaving;
            }
            (_, 2..5) => simulation.set_window(self.peer, chance.below(300)),
            (_, 5..8) => simulation.set_trickle(self.peer, 1 + chance.below(40)),
            (_, 8..16) => simulation.set_window(self.peer, usize::MAX),
            (Stage::Open, action) => self.act_open(simulation, chance, action),
            // It does not wait for the answer.
            (Stage::Asking, 16..40) if self.has_asked() => {
                let message = self.message(chance);
                self.send(simulation, message);
            }
            (Stage::Asking | Stage::Leaving, _) => {}
        }
    }

    fn act_open(&mut self, simulation: &mut Simulation<Books>, chance: &mut Chance, action: usize) {
        let mut out = Vec::new();
        let (sender, workspace) = (&mut self.sender, &mut self.workspace);
        match action {
            16 => {
                let code = [None, Some(1000), Some(3000)];
                let close = Close { code: chance.of(&code), reason: "" };
                sender.close(close, workspace, &mut out).unwrap();
                self.stage = Stage::Leaving;
            }
            17 | 18 => {
                // A frame that is wrong, or one that never ends.
                let violation = match chance.below(16) {
                    14 => GARBAGE,
                    15 => &[0x82, 0xFE, 1, 0, 0, 0, 0, 0, 1, 2, 3],
                    kind => VIOLATIONS[kind],
                };
                out.extend_from_slice(violation);
                self.stage = Stage::Leaving;
            }
            19..28 => sender.ping(b"are you there", workspace, &mut out).unwrap(),
            28..30 => sender.pong(b"I am", workspace, &mut out).unwrap(),
            30..33 => {
                for _ in 0..chance.below(60) {
                    sender.ping(&[7; 125], workspace, &mut out).unwrap();
                }
            }
            33..40 => {
                let parts = ["", "frag", "", "men", "ted"];
                for (index, part) in parts.into_iter().enumerate() {
                    sender.fragment(part, index == 4, workspace, &mut out).unwrap();
                    if chance.once_in(4) {
                        sender.ping(b"in between", workspace, &mut out).unwrap();
                    }
                }
                self.sent.push(OwnedMessage::Text("fragmented".to_owned()));
            }
            40..44 => {
                for _ in 0..chance.below(40) {
                    let message = OwnedMessage::Text(format!("{}", self.sent.len()));
                    sender.message(message.payload(), workspace, &mut out).unwrap();
                    self.sent.push(message);
                }
            }
            _ => {
                let message = self.message(chance);
                return self.send(simulation, message);
            }
        }
        simulation.send(self.peer, &out);
    }

    /// Any message: empty, small, or more than several buffers hold.
    fn message(&self, chance: &mut Chance) -> OwnedMessage {
        let number = self.sent.len();
        let size = match chance.below(10) {
            0 => 0,
            1 => chance.below(4000),
            2..4 => chance.below(400),
            _ => chance.below(60),
        };
        let size = size.max(self.size_min);
        if chance.once_in(2) {
            let text = format!("{number} {}", "é€ x".repeat(size / 7));
            return OwnedMessage::Text(if size == 0 { String::new() } else { text });
        }
        // Half of them are such that a compressor makes something of them.
        let step = chance.below(2);
        let byte = |index: usize| u8::try_from((number + index * index * step * 7) % 251).unwrap();
        OwnedMessage::Binary((0..size).map(byte).collect())
    }
}
