//! Messages that the first connection orders and all connections get.

use std::rc::Rc;

use ringwire_benches::client;
use ringwire_benches::order::{NUMBER_SIZE, Order};
use ringwire_protocol::frame::Opcode;
use ringwire_protocol::{Limits, Workspace};

use crate::check::pong;
use crate::crowd::{Due, Load, Turn};
use crate::plan::Plan;
use crate::ring::Bytes;
use crate::schedule::Schedule;
use crate::stream::{Part, Stream};
use crate::wrong::Wrong;

/// Who orders.
const FIRST: usize = 0;

/// What the subscribers of a fan-out want.
#[derive(Debug)]
pub(crate) struct Fanout {
    order: Rc<[u8]>,
    /// Messages of an order.
    count: u64,
    arrivals: Vec<Arrivals>,
    /// What follows the number of every message.
    filling: Vec<u8>,
    pace: Pace,
    /// Orders that are to be sent.
    waiting: usize,
    /// When each order was sent, or was due.
    orders: Vec<u64>,
    /// The number of the first message of all: the server may have had other clients.
    base: Option<u64>,
    workspace: Workspace,
    missing: u64,
}

#[derive(Debug)]
enum Pace {
    /// Each order follows the last arrival of the one before.
    Answers,
    Rate(u64),
    /// As that, once it has begun.
    Schedule(Schedule),
}

/// What has arrived on one connection.
#[derive(Clone, Debug, Default)]
struct Arrivals {
    stream: Stream,
    /// The message that is arriving: its bytes so far, and its number.
    at: usize,
    number: [u8; NUMBER_SIZE],
    /// Whole messages.
    count: u64,
}

impl Fanout {
    pub(crate) fn new(plan: &Plan) -> Self {
        let count = u32::try_from(plan.depth).unwrap_or(u32::MAX);
        let text = Order { count, size: plan.size }.to_string();
        let mut order = Vec::new();
        client::fragment(&mut order, Opcode::Text, true, text.as_bytes(), [1, 2, 3, 4]);
        Self {
            order: order.into(),
            count: u64::from(count),
            arrivals: vec![Arrivals::default(); plan.connections],
            filling: vec![b'x'; plan.size - NUMBER_SIZE],
            pace: if plan.rate > 0 { Pace::Rate(plan.rate) } else { Pace::Answers },
            waiting: 0,
            orders: Vec::new(),
            base: None,
            workspace: Workspace::new(Limits::default()).with_masking_keys(|| [1, 2, 3, 4]),
            missing: 0,
        }
    }

    fn ask(&mut self, due: &mut Due) {
        self.waiting += 1;
        self.missing += self.count * self.arrivals.len() as u64;
        due.add(FIRST);
    }
}

impl Load for Fanout {
    fn begin(&mut self, now: u64, due: &mut Due) {
        match self.pace {
            Pace::Answers => self.ask(due),
            Pace::Rate(rate) => self.pace = Pace::Schedule(Schedule::new(now, rate)),
            Pace::Schedule(_) => {}
        }
    }

    fn tick(&mut self, now: u64, due: &mut Due) -> u64 {
        loop {
            let Pace::Schedule(schedule) = &mut self.pace else { return u64::MAX };
            let Some((_, moment)) = schedule.due(now) else { return schedule.next() };
            self.orders.push(moment);
            self.ask(due);
        }
    }

    fn send(&mut self, number: usize, now: u64) -> Option<Bytes> {
        if number != FIRST || self.waiting == 0 {
            return None;
        }
        self.waiting -= 1;
        if matches!(self.pace, Pace::Answers) {
            self.orders.push(now);
        }
        Some(Bytes { memory: Rc::clone(&self.order), range: 0..self.order.len() })
    }

    fn take(
        &mut self,
        number: usize,
        read: &mut [u8],
        turn: &mut Turn<'_, '_>,
    ) -> Result<(), Wrong> {
        let arrivals = &mut self.arrivals[number];
        let mut input = &*read;
        while let Some(part) = arrivals.stream.next(&mut input)? {
            let (kind, bytes, is_last) = match part {
                Part::Data { kind, bytes, is_last } => (kind, bytes, is_last),
                Part::Ping(payload) => {
                    pong(payload, &mut self.workspace, turn.reply);
                    continue;
                }
                Part::Close => return Err(Wrong::Gone),
            };
            if kind != Opcode::Binary {
                return Err(Wrong::Kind);
            }
            Arrivals::part(&mut arrivals.at, &mut arrivals.number, bytes, &self.filling)?;
            if !is_last {
                continue;
            }
            if arrivals.at != NUMBER_SIZE + self.filling.len() {
                return Err(Wrong::Size { at: arrivals.at });
            }
            let got = u64::from_le_bytes(arrivals.number);
            let expected = *self.base.get_or_insert(got) + arrivals.count;
            if got != expected {
                return Err(Wrong::Number { expected, got });
            }
            let order = usize::try_from(arrivals.count / self.count).unwrap_or(usize::MAX);
            let since = *self.orders.get(order).ok_or(Wrong::Unasked)?;
            turn.window.count(since, turn.now, 1);
            arrivals.count += 1;
            arrivals.at = 0;
            self.missing -= 1;
        }
        if self.missing == 0 && matches!(self.pace, Pace::Answers) {
            self.ask(turn.due);
        }
        Ok(())
    }

    fn missing(&self) -> u64 {
        self.missing
    }
}

impl Arrivals {
    /// Takes the next bytes of a message: its number, then what all have in common.
    fn part(
        at: &mut usize,
        number: &mut [u8; NUMBER_SIZE],
        mut bytes: &[u8],
        filling: &[u8],
    ) -> Result<(), Wrong> {
        if *at < NUMBER_SIZE {
            let size = bytes.len().min(NUMBER_SIZE - *at);
            number[*at..*at + size].copy_from_slice(&bytes[..size]);
            bytes = &bytes[size..];
            *at += size;
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let start = *at - NUMBER_SIZE;
        let end = start + bytes.len();
        let expected = filling.get(start..end).ok_or(Wrong::Size { at: NUMBER_SIZE + end })?;
        if expected != bytes {
            let same = expected.iter().zip(bytes).take_while(|(one, other)| one == other).count();
            return Err(Wrong::Byte { at: *at + same });
        }
        *at += bytes.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ringwire_protocol::Role;
    use ringwire_protocol::frame::header::Header;

    use super::*;
    use crate::window::Window;

    /// A message as a server of a fan-out sends it.
    fn message(number: u64, size: usize) -> Vec<u8> {
        let (mut bytes, length) = (Vec::new(), size as u64);
        let opcode = Opcode::Binary;
        Header { fin: true, compressed: false, opcode, masking_key: None, length }
            .encode(&mut bytes);
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.resize(bytes.len() + size - NUMBER_SIZE, b'x');
        bytes
    }

    /// What comes of `reads` on the second of two connections, after an order for three messages,
    /// and how many are missing then.
    fn take(reads: &[&[u8]]) -> (Result<(), Wrong>, u64) {
        let line = "--mode fanout --connections 2 --size 200 --depth 3";
        let plan = Plan::read(line.split(' ').map(str::to_owned)).unwrap();
        let (mut fanout, mut window) = (Fanout::new(&plan), Window::new(&plan).unwrap());
        let mut due = Due::new(2);
        fanout.begin(0, &mut due);
        let order = fanout.send(FIRST, 5).unwrap();
        let (header, start) = Header::decode(&order.memory, Role::Client).unwrap().unwrap();
        assert_eq!(order.memory.len(), start + usize::try_from(header.length).unwrap());
        assert!(fanout.send(FIRST, 5).is_none());
        let mut reply = Vec::new();
        let mut turn = Turn { now: 7, window: &mut window, due: &mut due, reply: &mut reply };
        let taken = reads.iter().try_for_each(|read| fanout.take(1, &mut read.to_vec(), &mut turn));
        (taken, fanout.missing())
    }

    #[test]
    fn messages_are_taken_however_they_are_cut() {
        let bytes = [message(7, 200), message(8, 200), message(9, 200)].concat();
        for cut in 0..=bytes.len() {
            let (taken, missing) = take(&[&bytes[..cut], &bytes[cut..]]);
            assert!(taken.is_ok() && missing == 3, "{cut}: {taken:?} {missing}");
        }
    }

    #[test]
    fn other_messages_are_wrong() {
        let wrong = |messages: &[Vec<u8>]| take(&[&messages.concat()]).0.unwrap_err();
        let lost = wrong(&[message(0, 200), message(2, 200)]);
        assert!(matches!(lost, Wrong::Number { expected: 1, got: 2 }), "{lost}");
        assert!(matches!(wrong(&[message(0, 199)]), Wrong::Size { at: 199 }));
        assert!(matches!(wrong(&[message(0, 201)]), Wrong::Size { at: 201 }));
        let mut other = message(0, 200);
        other[100] = b'y';
        assert!(matches!(wrong(&[other]), Wrong::Byte { at: 96 }));
        let more: Vec<_> = (0..4).map(|number| message(number, 200)).collect();
        assert!(matches!(wrong(&more), Wrong::Unasked));
    }
}
