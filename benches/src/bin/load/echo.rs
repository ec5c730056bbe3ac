//! Messages that come back.

use std::collections::VecDeque;
use std::error::Error;
use std::rc::Rc;

use ringwire_protocol::deflate::Agreed;
use ringwire_protocol::{Limits, Receiver, Role, Sender, Workspace};

use crate::check::{Check, Compressed, Cursor};
use crate::crowd::{Due, Load, Turn};
use crate::messages::Messages;
use crate::plan::{Mode, Plan, Protocol};
use crate::ring::Bytes;
use crate::schedule::Schedule;
use crate::stream::Stream;
use crate::wrong::Wrong;

/// What echoing connections want.
#[derive(Debug)]
pub(crate) struct Echo {
    messages: Messages,
    talks: Vec<Talk>,
    pace: Pace,
    workspace: Workspace,
    /// Messages that have not come back, or wait to be sent.
    missing: u64,
}

/// When messages are sent.
#[derive(Debug)]
enum Pace {
    /// Never: the connections are idle.
    Never,
    /// As answers come, so that up to `depth` are under way.
    Answers { depth: usize, burst: bool },
    /// At a rate, by each connection in turn.
    Rate(u64),
    /// As that, once it has begun.
    Schedule(Schedule),
}

/// One connection.
#[derive(Debug)]
struct Talk {
    check: Check,
    /// The next message to be sent.
    next: usize,
    /// Messages that are to be sent after answers.
    owed: usize,
    /// When those that are to be sent by the schedule were due.
    planned: VecDeque<u64>,
    /// When those that are on their way were sent, or were due, and how many at that moment.
    sent: VecDeque<(u64, usize)>,
}

impl Echo {
    /// For connections that have agreed on compression, or not.
    ///
    /// # Errors
    /// The messages cannot be made.
    pub(crate) fn new(plan: &Plan, agreed: &[Option<Agreed>]) -> Result<Self, Box<dyn Error>> {
        let messages = Messages::new(plan)?;
        let talk = |(number, agreed): (usize, &Option<Agreed>)| {
            // No two neighbours send the same at the same time.
            let next = number % messages.count();
            let check = check(plan.protocol, agreed.as_ref(), Cursor::new(next));
            Talk { check, next, owed: 0, planned: VecDeque::new(), sent: VecDeque::new() }
        };
        let talks = agreed.iter().enumerate().map(talk).collect();
        let pace = match (plan.mode, plan.rate) {
            (Mode::Idle, _) => Pace::Never,
            (_, 0) => Pace::Answers { depth: plan.depth, burst: plan.burst },
            (_, rate) => Pace::Rate(rate),
        };
        // The masks hide nothing: nobody stands between this client and its server.
        let limits = Limits { message_size_max: plan.size.max(125), ..Limits::default() };
        let workspace = Workspace::new(limits).with_masking_keys(|| [1, 2, 3, 4]);
        Ok(Self { messages, talks, pace, workspace, missing: 0 })
    }
}

fn check(protocol: Protocol, agreed: Option<&Agreed>, cursor: Cursor) -> Check {
    match (protocol, agreed) {
        (Protocol::Tcp, _) => Check::Bytes(cursor),
        (Protocol::Ws, None) => Check::Frames(Stream::default(), cursor),
        (Protocol::Ws, Some(agreed)) => {
            let receiver = Receiver::new(Role::Client).with_deflate(agreed, u32::MAX);
            Check::Compressed(Box::new(Compressed {
                receiver,
                sender: Sender::new(Role::Client),
                cursor,
            }))
        }
    }
}

impl Load for Echo {
    fn begin(&mut self, now: u64, due: &mut Due) {
        match self.pace {
            Pace::Answers { depth, .. } => {
                for (number, talk) in self.talks.iter_mut().enumerate() {
                    talk.owed = depth;
                    due.add(number);
                }
                self.missing = (self.talks.len() * depth) as u64;
            }
            Pace::Rate(rate) => self.pace = Pace::Schedule(Schedule::new(now, rate)),
            Pace::Never | Pace::Schedule(_) => {}
        }
    }

    fn tick(&mut self, now: u64, due: &mut Due) -> u64 {
        let Pace::Schedule(schedule) = &mut self.pace else { return u64::MAX };
        while let Some((count, moment)) = schedule.due(now) {
            let number = usize::try_from(count % self.talks.len() as u64).unwrap_or(0);
            self.talks[number].planned.push_back(moment);
            self.missing += 1;
            due.add(number);
        }
        schedule.next()
    }

    fn send(&mut self, number: usize, now: u64) -> Option<Bytes> {
        let talk = &mut self.talks[number];
        let count = match self.pace {
            Pace::Schedule(_) => {
                let count = talk.planned.len().min(self.messages.run_max());
                talk.sent.extend(talk.planned.drain(..count).map(|moment| (moment, 1)));
                count
            }
            Pace::Answers { .. } | Pace::Rate(_) | Pace::Never => {
                let count = talk.owed.min(self.messages.run_max());
                talk.owed -= count;
                talk.sent.extend((count > 0).then_some((now, count)));
                count
            }
        };
        if count == 0 {
            return None;
        }
        let range = self.messages.run(talk.next, count);
        talk.next += count;
        Some(Bytes { memory: Rc::clone(self.messages.frames()), range })
    }

    fn take(
        &mut self,
        number: usize,
        read: &mut [u8],
        turn: &mut Turn<'_, '_>,
    ) -> Result<(), Wrong> {
        let talk = &mut self.talks[number];
        let count = talk.check.take(read, &self.messages, &mut self.workspace, turn.reply)?;
        let mut rest = count;
        while rest > 0 {
            let (since, waiting) = talk.sent.front_mut().ok_or(Wrong::Unasked)?;
            let part = rest.min(*waiting);
            turn.window.count(*since, turn.now, part as u64);
            (*waiting, rest) = (*waiting - part, rest - part);
            if *waiting == 0 {
                talk.sent.pop_front();
            }
        }
        if let Pace::Answers { depth, burst } = self.pace {
            let more = match burst {
                false => count,
                true if talk.sent.is_empty() && talk.owed == 0 => depth,
                true => 0,
            };
            if count > 0 && more > 0 {
                talk.owed += more;
                self.missing += more as u64;
                turn.due.add(number);
            }
        }
        self.missing -= count as u64;
        Ok(())
    }

    fn missing(&self) -> u64 {
        self.missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Window;

    fn plan(line: &str) -> Plan {
        Plan::read(line.split_whitespace().map(str::to_owned)).unwrap()
    }

    /// The first `count` echoes of the first connection.
    fn echoes(echo: &Echo, count: usize) -> Vec<u8> {
        (0..count)
            .flat_map(|number| [&[0x82, 64], echo.messages.payload(number)].concat())
            .collect()
    }

    /// Has the first connection take `bytes` at that time, and send: what is missing then, and how
    /// many messages are sent, or what is wrong.
    fn turn(
        echo: &mut Echo,
        window: &mut Window<'_>,
        bytes: &mut [u8],
    ) -> Result<(u64, usize), Wrong> {
        let (mut due, mut reply) = (Due::new(1), Vec::new());
        let mut turn = Turn { now: 100, window, due: &mut due, reply: &mut reply };
        echo.take(0, bytes, &mut turn)?;
        let sent = echo.send(0, 50).map_or(0, |bytes| bytes.range.len() / (6 + 64));
        Ok((echo.missing(), sent))
    }

    #[test]
    fn an_answer_is_followed_by_one_message_or_the_last_of_a_burst_by_all() {
        for (line, first, second) in [("", (3, 2), (3, 1)), ("--burst 1", (1, 0), (3, 3))] {
            let plan = plan(&format!("--depth 3 {line}"));
            let mut window = Window::new(&plan).unwrap();
            let mut echo = Echo::new(&plan, &[None]).unwrap();
            echo.begin(0, &mut Due::new(1));
            assert_eq!(turn(&mut echo, &mut window, &mut []).unwrap(), (3, 3));
            let mut bytes = echoes(&echo, 3);
            let (two, one) = bytes.split_at_mut(2 * 66);
            assert_eq!(turn(&mut echo, &mut window, two).unwrap(), first);
            assert_eq!(turn(&mut echo, &mut window, one).unwrap(), second);
        }
    }

    #[test]
    fn an_echo_of_what_was_not_sent_is_wrong() {
        let plan = plan("--depth 2");
        let mut window = Window::new(&plan).unwrap();
        let mut echo = Echo::new(&plan, &[None]).unwrap();
        echo.begin(0, &mut Due::new(1));
        assert_eq!(turn(&mut echo, &mut window, &mut []).unwrap(), (2, 2));
        let mut bytes = echoes(&echo, 3);
        assert!(matches!(turn(&mut echo, &mut window, &mut bytes), Err(Wrong::Unasked)));
    }

    #[test]
    fn a_rate_does_not_wait_for_answers() {
        let plan = plan("--rate 1000");
        let mut window = Window::new(&plan).unwrap();
        let mut echo = Echo::new(&plan, &[None]).unwrap();
        let mut due = Due::new(1);
        echo.begin(0, &mut due);
        assert_eq!(echo.tick(2_500_000, &mut due), 3_000_000);
        assert_eq!(turn(&mut echo, &mut window, &mut []).unwrap(), (3, 3));
        assert_eq!(echo.tick(3_000_000, &mut due), 4_000_000);
        assert_eq!(turn(&mut echo, &mut window, &mut []).unwrap(), (4, 1));
        let mut bytes = echoes(&echo, 4);
        assert_eq!(turn(&mut echo, &mut window, &mut bytes).unwrap(), (0, 0));
    }
}
