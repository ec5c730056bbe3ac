//! The loop: wait → completions → deferred → mail → deadlines → flush.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ringwire_protocol::Close;

use crate::board::{Board, Publisher};
use crate::cause::{Cause, Closer, Limit};
use crate::config::Settings;
use crate::conn::Connections;
use crate::driver::{Completion, Descriptor, Driver, Fault, Key};
use crate::handle::{Mail, STOP, STOP_NOW};
use crate::handler::Handler;
use crate::mailbox::Mailbox;
#[cfg(feature = "simulation")]
use crate::stats::Stats;
use crate::timer::Time;
use crate::trace;

/// How long accepting rests after an error that would only come again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// One thread's share of a server: a driver, its connections, a handler, a mailbox.
pub(crate) struct Worker<D: Driver, H: Handler> {
    connections: Connections<D, H>,
    mailbox: Arc<Mailbox<Mail>>,
    publisher: Publisher,
    accepting: Accepting,
    stopping: Stopping,
    // Both are kept for their memory. Empty between turns.
    completions: Vec<Completion>,
    mail: Vec<Mail>,
}

/// Whether peers are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accepting {
    Armed,
    /// It failed and is tried again then.
    Paused(Time),
    Stopped,
}

/// Whether the server is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopping {
    No,
    /// Everything has been closed; what has not ended then is ended.
    Until(Time),
    /// Everything has been ended; what is in flight is awaited.
    Forced,
}

impl<D: Driver, H: Handler> Worker<D, H> {
    pub(crate) fn new(
        mut driver: D,
        handler: H,
        settings: Settings,
        number: u8,
        mailbox: Arc<Mailbox<Mail>>,
        board: Arc<Board>,
    ) -> Self {
        mailbox.open(driver.waker());
        driver.accept();
        trace::worker_started(number);
        Self {
            connections: Connections::new(driver, handler, settings, number),
            mailbox,
            publisher: Publisher::new(board),
            accepting: Accepting::Armed,
            stopping: Stopping::No,
            completions: Vec::new(),
            mail: Vec::new(),
        }
    }

    /// Serves until it is stopped.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        while self.turn()? {}
        Ok(())
    }

    /// One turn of the loop. `false`: the server has been stopped and nothing is left.
    pub(crate) fn turn(&mut self) -> io::Result<bool> {
        if self.stopping != Stopping::No && self.connections.count() == 0 {
            self.finish()?;
            return Ok(false);
        }
        self.wait()?;
        let now = self.connections.driver.now();
        self.connections.begin_turn(now);
        let mut completions = std::mem::take(&mut self.completions);
        let stats = self.connections.stats();
        stats.turns += 1;
        stats.completions += completions.len() as u64;
        for completion in completions.drain(..) {
            self.complete(completion);
        }
        self.completions = completions;
        self.connections.handle_deferred();
        self.read_mail();
        self.connections.expire();
        self.pass(now);
        self.connections.end_turn();
        if self.publisher.is_due(self.connections.stats(), now) {
            self.publisher.publish(self.connections.collect(), now);
        }
        Ok(true)
    }

    #[cfg(feature = "simulation")]
    pub(crate) fn stats(&mut self) -> Stats {
        self.connections.collect().clone()
    }

    /// Connections in their opening handshake, and open ones.
    #[cfg(feature = "simulation")]
    pub(crate) fn census(&mut self) -> (u64, u64) {
        self.connections.census()
    }

    /// Connections that have not been freed.
    #[cfg(feature = "simulation")]
    pub(crate) const fn connections(&self) -> usize {
        self.connections.count()
    }

    /// Receive buffers that wait for the next turn.
    #[cfg(feature = "simulation")]
    pub(crate) fn deferred_leases(&self) -> usize {
        self.connections.deferred_leases()
    }

    #[cfg(feature = "simulation")]
    pub(crate) const fn handler(&mut self) -> &mut H {
        &mut self.connections.handler
    }

    /// Sleeps until something completes, mail comes or a deadline passes.
    fn wait(&mut self) -> io::Result<()> {
        let sleeps = self.mailbox.prepare_sleep();
        let rests = sleeps && !self.connections.has_work();
        let timeout = if rests { self.timeout() } else { Some(Duration::ZERO) };
        let waited = self.connections.driver.wait(timeout, &mut self.completions);
        self.mailbox.awake();
        waited
    }

    /// The time until the next deadline of any kind.
    fn timeout(&mut self) -> Option<Duration> {
        let accepting = match self.accepting {
            Accepting::Paused(until) => Some(until),
            Accepting::Armed | Accepting::Stopped => None,
        };
        let stopping = match self.stopping {
            Stopping::Until(deadline) => Some(deadline),
            Stopping::No | Stopping::Forced => None,
        };
        let publishing = self.publisher.deadline(self.connections.stats());
        let deadlines = [self.connections.next_deadline(), accepting, stopping, publishing];
        let next = deadlines.into_iter().flatten().min()?;
        Some(next.since(self.connections.driver.now()))
    }

    fn complete(&mut self, completion: Completion) {
        match completion {
            Completion::Received { key, result, more } => {
                self.connections.on_received(key, result, more);
            }
            Completion::Sent { key, result, bytes } => {
                self.connections.on_sent(key, result, bytes);
            }
            Completion::Accepted { result, more } => self.on_accepted(result, more),
            Completion::Cancelled { key } => self.connections.on_cancelled(key),
            // The mailbox is looked at in every turn.
            Completion::Woken => self.connections.stats().wakeups += 1,
        }
    }

    fn on_accepted(&mut self, result: Result<Descriptor, Fault>, more: bool) {
        let stopped = self.accepting == Accepting::Stopped;
        let fault = match result {
            // It was accepted before accepting could be stopped.
            Ok(descriptor) if stopped => {
                self.connections.driver.close(descriptor);
                self.connections.count_unanswered(&Cause::Stopped);
                None
            }
            Ok(descriptor) => {
                self.connections.accept(descriptor);
                None
            }
            Err(_) if stopped => None,
            // The peer stays in the backlog, and accepting it would fail again at once.
            Err(fault @ Fault::DescriptorsExhausted) => {
                let refused = self.connections.driver.accept_refuse();
                if refused {
                    self.connections.count_unanswered(&Cause::Limit(Limit::Descriptors));
                }
                (!refused).then_some(fault)
            }
            Err(fault @ (Fault::BuffersExhausted | Fault::Cancelled | Fault::Io(_))) => Some(fault),
        };
        if more || stopped {
            return;
        }
        if let Some(fault) = fault {
            self.connections.stats().accept_pauses += 1;
            trace::accept_paused(self.connections.worker(), &fault);
            let now = self.connections.driver.now();
            self.accepting = Accepting::Paused(now.after(ACCEPT_PAUSE));
        } else {
            self.connections.driver.accept();
        }
    }

    fn read_mail(&mut self) {
        let mut mail = std::mem::take(&mut self.mail);
        self.mailbox.drain(&mut mail);
        self.connections.stats().mails += mail.len() as u64;
        for mail in mail.drain(..) {
            match mail {
                Mail::Send { key, message } => {
                    self.connections.send(key, message.payload());
                }
                Mail::SendMany { keys, message } => {
                    self.connections.send_many(&keys, message.payload());
                }
                Mail::Close { key, code, reason } => {
                    let close = Close { code: Some(code), reason: &reason };
                    self.connections.close(key, close, Closer::Handler);
                }
            }
        }
        self.mail = mail;
        let signals = self.mailbox.take_signals();
        if signals & STOP != 0 {
            self.stop();
        }
        if signals & STOP_NOW != 0 {
            self.force();
        }
    }

    /// Acts on the worker's own deadlines.
    fn pass(&mut self, now: Time) {
        if let Accepting::Paused(until) = self.accepting
            && until <= now
        {
            self.accepting = Accepting::Armed;
            self.connections.driver.accept();
        }
        if let Stopping::Until(deadline) = self.stopping
            && deadline <= now
        {
            self.force();
        }
    }

    /// Nothing is left: what is queued is carried out, and who was accepted meanwhile is ended.
    fn finish(&mut self) -> io::Result<()> {
        self.connections.driver.wait(Some(Duration::ZERO), &mut self.completions)?;
        for completion in self.completions.drain(..) {
            if let Completion::Accepted { result: Ok(descriptor), .. } = completion {
                self.connections.driver.close(descriptor);
                self.connections.count_unanswered(&Cause::Stopped);
            }
        }
        Ok(())
    }

    /// Accepts nobody any more and closes every connection.
    fn stop(&mut self) {
        if self.stopping != Stopping::No {
            return;
        }
        let now = self.connections.driver.now();
        self.stopping = Stopping::Until(now.after(self.connections.stop_timeout()));
        self.accepting = Accepting::Stopped;
        self.connections.driver.accept_stop();
        let keys: Vec<Key> = self.connections.keys().collect();
        for key in keys {
            self.connections.stop(key);
        }
    }

    /// Ends what is left.
    fn force(&mut self) {
        self.stopping = Stopping::Forced;
        let keys: Vec<Key> = self.connections.keys().collect();
        for key in keys {
            self.connections.lost(key, Cause::Stopped);
        }
    }
}

impl<D: Driver, H: Handler> Drop for Worker<D, H> {
    fn drop(&mut self) {
        self.mailbox.close();
        // None are left but after an error or a panic.
        self.connections.abandon();
        let now = self.connections.driver.now();
        self.publisher.publish(self.connections.collect(), now);
        trace::worker_stopped(self.connections.worker(), self.connections.stats().opened);
    }
}
