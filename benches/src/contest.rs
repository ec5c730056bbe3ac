//! `permessage-deflate` beside bare zlib-rs: the same settings on the same messages.

use ringwire_protocol::deflate::{Agreed, Bounds, Compressor, Decompressor, Policy, Settings};
use ringwire_protocol::frame::Role;
use ringwire_protocol::{Event, Limits, Payload, Receiver, Sender, Workspace};

use crate::bare::{BareCompressor, BareDecompressor};
use crate::feed::Feed;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contest {
    /// Which way.
    pub direction: Direction,
    /// Bytes of one message, nearly.
    pub message_size: usize,
    /// Whether the window is kept from message to message.
    pub takeover: bool,
    /// Of compression, 0 to 9.
    pub level: u8,
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Message to payload.
    Compress,
    /// Payload to message.
    Decompress,
}

/// Who does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contestant {
    /// zlib-rs by itself: without limits, validation and frames.
    Bare,
    /// The [`Compressor`] or the [`Decompressor`].
    Half,
    /// [`Sender::message`] to the bytes of a frame, or the bytes of a masked frame through
    /// [`Receiver::next`] to a message of valid text.
    Path,
}

impl Direction {
    /// As tables have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Compress => "compress",
            Self::Decompress => "decompress",
        }
    }
}

impl Contestant {
    /// All three, the measure first.
    pub const ALL: [Self; 3] = [Self::Bare, Self::Half, Self::Path];

    /// As tables have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bare => "zlib-rs",
            Self::Half => "ringwire",
            Self::Path => "path",
        }
    }
}

/// What works through all messages of a contest when it is called, and returns the bytes made.
pub type Round = Box<dyn FnMut() -> usize>;

impl Contest {
    /// Both directions at the default level and at zlib's, with and without takeover, three sizes.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for direction in [Direction::Compress, Direction::Decompress] {
            for level in [Policy::default().level, 6] {
                for takeover in [true, false] {
                    for message_size in [512, 4 << 10, 64 << 10] {
                        all.push(Self { direction, message_size, takeover, level });
                    }
                }
            }
        }
        all
    }

    /// The messages of one round. They fill the window four times, so that the next round, which is
    /// the same, does not find itself there.
    #[must_use]
    pub fn messages(&self) -> Vec<String> {
        let mut feed = Feed::new(0x9e37_79b9_7f4a_7c15);
        (0..(128 << 10) / self.message_size).map(|_| feed.message(self.message_size)).collect()
    }

    /// The rounds of a contestant.
    #[must_use]
    pub fn round(&self, contestant: Contestant) -> Round {
        let messages = self.messages();
        match (self.direction, contestant) {
            (Direction::Compress, Contestant::Bare) => self.compress_bare(messages),
            (Direction::Compress, Contestant::Half) => self.compress_half(messages),
            (Direction::Compress, Contestant::Path) => self.compress_path(messages),
            (Direction::Decompress, Contestant::Bare) => self.decompress_bare(&messages),
            (Direction::Decompress, Contestant::Half) => self.decompress_half(&messages),
            (Direction::Decompress, Contestant::Path) => self.decompress_path(&messages),
        }
    }

    fn compress_bare(&self, messages: Vec<String>) -> Round {
        let mut bare = BareCompressor::new(self.settings(), self.message_size);
        let takeover = self.takeover;
        Box::new(move || {
            messages.iter().map(|message| bare.compress(message.as_bytes(), takeover).len()).sum()
        })
    }

    fn compress_half(&self, messages: Vec<String>) -> Round {
        let mut half = Compressor::new(self.settings()).expect("the settings are in range");
        let (takeover, mut out) = (self.takeover, Vec::new());
        Box::new(move || {
            let compress = |message: &String| {
                out.clear();
                half.compress(message.as_bytes(), takeover, &mut out).expect("zlib goes on");
                out.len()
            };
            messages.iter().map(compress).sum()
        })
    }

    fn compress_path(&self, messages: Vec<String>) -> Round {
        let mut workspace = Workspace::new(Limits::default());
        let mut sender = Sender::new(Role::Server).with_deflate(&self.agreed(), &self.policy());
        let mut out = Vec::new();
        Box::new(move || {
            let send = |message: &String| {
                out.clear();
                let payload = Payload::Text(message);
                sender.message(payload, &mut workspace, &mut out).expect("nothing was closed");
                out.len()
            };
            messages.iter().map(send).sum()
        })
    }

    fn decompress_bare(&self, messages: &[String]) -> Round {
        let payloads = self.payloads(messages);
        let mut bare = BareDecompressor::new(self.message_size);
        let takeover = self.takeover;
        Box::new(move || {
            payloads.iter().map(|payload| bare.decompress(payload, takeover).len()).sum()
        })
    }

    fn decompress_half(&self, messages: &[String]) -> Round {
        let payloads = self.payloads(messages);
        let size_max = Limits::default().message_size_max;
        let bounds = Bounds { size_max, ratio_max: u32::MAX };
        let mut half = Decompressor::new();
        let (takeover, mut message) = (self.takeover, Vec::new());
        Box::new(move || {
            let decompress = |payload: &Vec<u8>| {
                message.clear();
                let mut sink = |chunk: &[u8]| {
                    message.extend_from_slice(chunk);
                    Ok::<(), ()>(())
                };
                half.inflate(payload, &bounds, &mut sink).expect("the payload is sound");
                half.finish::<()>(&bounds, takeover).expect("the payload is whole");
                message.len()
            };
            payloads.iter().map(decompress).sum()
        })
    }

    fn decompress_path(&self, messages: &[String]) -> Round {
        // Masked with zeros, which is the same work, and leaves the frames as they are.
        let mut workspace = Workspace::new(Limits::default()).with_masking_keys(|| [0; 4]);
        let agreed = self.agreed();
        let mut client = Sender::new(Role::Client).with_deflate(&agreed, &self.policy());
        let mut frames: Vec<Vec<u8>> = Vec::new();
        for message in messages {
            let mut frame = Vec::new();
            let payload = Payload::Text(message);
            client.message(payload, &mut workspace, &mut frame).expect("nothing was closed");
            frames.push(frame);
        }
        let mut receiver = Receiver::new(Role::Server).with_deflate(&agreed, u32::MAX);
        let (mut sender, mut out) = (Sender::new(Role::Server), Vec::new());
        Box::new(move || {
            let mut size = 0;
            for frame in &mut frames {
                let mut input = &mut frame[..];
                while let Some(event) =
                    receiver.next(&mut input, &mut sender, &mut workspace, &mut out)
                {
                    match event {
                        Event::Message(message) => size += message.as_bytes().len(),
                        Event::Inflated(_) => {}
                        event => panic!("{event:?}"),
                    }
                }
            }
            size
        })
    }

    /// What a peer sends for these messages.
    fn payloads(&self, messages: &[String]) -> Vec<Vec<u8>> {
        let mut bare = BareCompressor::new(self.settings(), self.message_size);
        messages
            .iter()
            .map(|message| bare.compress(message.as_bytes(), self.takeover).to_vec())
            .collect()
    }

    fn policy(&self) -> Policy {
        let policy = Policy { level: self.level, ..Policy::default() };
        if self.takeover { policy } else { policy.shared() }
    }

    const fn agreed(&self) -> Agreed {
        Agreed {
            server_no_context_takeover: !self.takeover,
            client_no_context_takeover: !self.takeover,
            server_max_window_bits: None,
            client_max_window_bits: None,
        }
    }

    fn settings(&self) -> Settings {
        self.policy().settings(&self.agreed(), Role::Server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_contestants_do_the_same() {
        for contest in Contest::all() {
            let messages = contest.messages();
            let [bare, half, path] = Contestant::ALL.map(|contestant| {
                let mut round = contest.round(contestant);
                let first = round();
                assert!(contest.takeover || round() == first, "{contest:?}");
                first
            });
            assert_eq!(bare, half, "{contest:?}");
            match contest.direction {
                // Each frame has a header of two to ten bytes.
                Direction::Compress => {
                    assert!((2..=10).contains(&((path - bare) / messages.len())), "{contest:?}");
                }
                Direction::Decompress => {
                    assert_eq!(bare, messages.iter().map(String::len).sum(), "{contest:?}");
                    assert_eq!(bare, path, "{contest:?}");
                }
            }
        }
    }
}
