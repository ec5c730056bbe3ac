//! The messages of a run: made once, sent as often as there is time.
//!
//! They follow each other in a circle. Their frames lie one behind the other, the circle's start
//! once more behind its end, so that any run of messages is one piece of memory.
//!
//! ```text
//!   message   0   1   2   3 | 0   1       a circle of four, of which up to three are sent in one
//!           ├───┼───┼───┼───┼───┼───┤     go: 3, 0 and 1, say
//! ```

use std::error::Error;
use std::ops::Range;
use std::rc::Rc;

use ringwire_benches::client;
use ringwire_benches::feed::Feed;
use ringwire_benches::random::Random;
use ringwire_protocol::deflate::{Compressor, Settings};
use ringwire_protocol::frame::Opcode;
use ringwire_protocol::frame::header::Header;
use ringwire_protocol::mask;

use crate::plan::Plan;

/// Bytes of all payloads, about: they should stay in a cache.
const CIRCLE_SIZE: usize = 256 << 10;

/// Messages of a circle. Two at least, so that an echo which comes twice is noticed.
const COUNT_MIN: usize = 2;
const COUNT_MAX: usize = 64;

/// Messages that one send takes where a schedule, not an answer, asks for them.
const RUN_MIN: usize = 16;

/// Bytes at a message's start that are no other message's.
const MARK_SIZE: usize = 4;

/// The circle.
#[derive(Debug)]
pub(crate) struct Messages {
    frames: Rc<[u8]>,
    /// Where each frame begins, and where the last one ends.
    edges: Vec<usize>,
    payloads: Vec<u8>,
    kind: Opcode,
    size: usize,
    count: usize,
    /// Messages of one send, at most.
    run_max: usize,
}

impl Messages {
    /// The messages of a plan.
    ///
    /// # Errors
    /// They cannot be compressed.
    pub(crate) fn new(plan: &Plan) -> Result<Self, Box<dyn Error>> {
        let size = plan.size;
        let count = (CIRCLE_SIZE / size.max(1)).clamp(COUNT_MIN, COUNT_MAX);
        let run_max = if plan.rate > 0 { RUN_MIN } else { plan.depth };
        let is_text = plan.kind == Opcode::Text || plan.compressed;
        let mut feed = Feed::new(plan.seed);
        let mut payloads = Vec::with_capacity(count * size);
        for index in 0..count {
            let mut random = Random::of(&[plan.seed, index as u64]);
            let payload =
                if is_text { text(&mut feed, &mut random, size) } else { bytes(random, size) };
            payloads.extend_from_slice(&payload);
        }
        let (mut frames, mut edges) = (Vec::new(), vec![0]);
        let mut keys = Random::of(&[plan.seed, u64::MAX]);
        let packed = (0..count)
            .map(|index| {
                let payload = &payloads[index * size..(index + 1) * size];
                if plan.compressed { compress(payload) } else { Ok(payload.to_vec()) }
            })
            .collect::<Result<Vec<_>, _>>()?;
        let keys: Vec<_> = (0..count).map(|_| keys.masking_key()).collect();
        for index in (0..count + run_max).map(|index| index % count) {
            frame(&mut frames, plan, &packed[index], keys[index]);
            edges.push(frames.len());
        }
        Ok(Self { frames: frames.into(), edges, payloads, kind: plan.kind, size, count, run_max })
    }

    /// How many different messages there are.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// How many messages can be sent in one go.
    pub(crate) const fn run_max(&self) -> usize {
        self.run_max
    }

    /// Text or binary.
    pub(crate) const fn kind(&self) -> Opcode {
        self.kind
    }

    /// What is sent, and echoed, as the message of that number: numbers go on for ever.
    pub(crate) fn payload(&self, number: usize) -> &[u8] {
        let start = number % self.count * self.size;
        &self.payloads[start..start + self.size]
    }

    /// The masked frame of a message.
    pub(crate) fn frame(&self, number: usize) -> &[u8] {
        &self.frames[self.run(number, 1)]
    }

    /// All frames.
    pub(crate) const fn frames(&self) -> &Rc<[u8]> {
        &self.frames
    }

    /// Where in the frames the next `count` messages are, which are at most `run_max`.
    pub(crate) fn run(&self, number: usize, count: usize) -> Range<usize> {
        let first = number % self.count;
        self.edges[first]..self.edges[first + count.min(self.run_max)]
    }
}

/// Random bytes.
fn bytes(mut random: Random, size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        bytes.extend_from_slice(&random.number().to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// Letters of its own, then what a trading feed has, cut off.
fn text(feed: &mut Feed, random: &mut Random, size: usize) -> Vec<u8> {
    let mut text: Vec<u8> =
        random.number().to_le_bytes().iter().take(MARK_SIZE).map(|byte| b'a' + byte % 26).collect();
    while text.len() < size {
        // A message of the feed may be one entry shorter than it is asked to be.
        text.extend_from_slice(feed.message(size - text.len() + 256).as_bytes());
    }
    text.truncate(size);
    text
}

/// The payload of a compressed message that needs none before it.
fn compress(payload: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let settings = Settings { window_bits: 15, memory_level: 8, level: 6 };
    let mut compressor = Compressor::new(settings).ok_or("there is no such compressor")?;
    let mut out = Vec::new();
    compressor.compress(payload, false, &mut out)?;
    Ok(out)
}

fn frame(out: &mut Vec<u8>, plan: &Plan, payload: &[u8], key: [u8; 4]) {
    if !plan.compressed {
        return client::fragment(out, plan.kind, true, payload, key);
    }
    let length = payload.len() as u64;
    let header =
        Header { fin: true, compressed: true, opcode: plan.kind, masking_key: Some(key), length };
    header.encode(out);
    let start = out.len();
    out.extend_from_slice(payload);
    mask::apply(&mut out[start..], key, 0);
}

#[cfg(test)]
mod tests {
    use ringwire_protocol::{Event, Limits, Receiver, Role, Sender, Workspace};

    use super::*;

    fn messages(line: &str) -> Messages {
        let plan = Plan::read(line.split_whitespace().map(str::to_owned)).unwrap();
        Messages::new(&plan).unwrap()
    }

    #[test]
    fn any_run_is_these_messages_in_their_order() {
        let messages = messages("--size 1000 --depth 100 --kind text");
        let mut workspace = Workspace::new(Limits::default());
        for first in [0, 1, messages.count() - 1, 1000] {
            let mut receiver = Receiver::new(Role::Server);
            let mut bytes = messages.frames()[messages.run(first, 100)].to_vec();
            let (mut input, mut number) = (&mut bytes[..], first);
            let (mut sender, mut out) = (Sender::new(Role::Server), Vec::new());
            while let Some(event) = receiver.next(&mut input, &mut sender, &mut workspace, &mut out)
            {
                let Event::Message(message) = event else { panic!("{event:?}") };
                assert_eq!(message.as_text().unwrap().as_bytes(), messages.payload(number));
                number += 1;
            }
            assert_eq!(number - first, 100);
        }
    }

    #[test]
    fn no_two_are_the_same() {
        for line in ["--size 4", "--size 16 --kind text", "--size 1048576", "--seed 2 --size 900"] {
            let messages = messages(line);
            for (one, other) in (1..messages.count()).map(|index| (index - 1, index)) {
                assert_ne!(messages.payload(one), messages.payload(other), "{line}");
            }
            assert_eq!(messages.payload(0), messages.payload(messages.count()));
        }
    }

    #[test]
    fn a_seed_makes_the_same_again() {
        for line in ["--size 100", "--size 100 --kind text", "--size 100 --compressed 1"] {
            assert_eq!(messages(line).frames(), messages(line).frames());
            assert_ne!(messages(line).frames(), messages(&format!("{line} --seed 7")).frames());
        }
    }

    #[test]
    fn compression_makes_them_smaller() {
        let messages = messages("--size 16384 --compressed 1");
        assert_eq!(messages.payload(3).len(), 16_384);
        assert!(messages.frame(3).len() < 8192, "{}", messages.frame(3).len());
    }
}
