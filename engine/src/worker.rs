//! The loop: wait → completions → deferred → decided → mail → deadlines → flush.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ringwire_protocol::Close;

use crate::admission::Admission;
use crate::board::{Board, Publisher};
use crate::cause::{Cause, Closer, Limit};
#[cfg(feature = "simulation")]
use crate::config::Config;
use crate::config::Settings;
#[cfg(feature = "simulation")]
use crate::conn::Belief;
use crate::conn::Connections;
use crate::driver::{Completion, Descriptor, Driver, Fault};
use crate::handle::{DECIDED, Handle, Mail, STOP, STOP_NOW};
use crate::handler::Handler;
use crate::mailbox::Mailbox;
use crate::run::Run;
#[cfg(feature = "simulation")]
use crate::stats::Stats;
use crate::stop::Stop;
use crate::stopping::{LOOKS_MAX, Pace, Stopping, TOLD_MAX};
use crate::timer::Time;
use crate::trace;

#[cfg(any(feature = "tokio", feature = "tokio-uring"))]
mod hosted;

#[cfg(any(feature = "tokio", feature = "tokio-uring"))]
pub(crate) use hosted::Next;

/// Recipients of mail in a turn, beside those of the last two runs of it. What a message for one of
/// many costs is a fraction of a microsecond, so what arrives meanwhile waits for some ten
/// milliseconds, however much is published and however many have subscribed it.
const RECIPIENTS_MAX: u64 = 65_536;

/// How long accepting rests after an error that would only come again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long it rests until the descriptors of evicted handshakes have been closed.
const EVICTION_PAUSE: Duration = Duration::from_millis(2);

/// One thread's share of a server: a driver, its connections, a handler, a mailbox.
pub(crate) struct Worker<D: Driver, H: Handler> {
    connections: Connections<D, H>,
    mailbox: Arc<Mailbox<Mail>>,
    publisher: Publisher,
    accepting: Accepting,
    /// How to stop, if that has been said.
    stop: Arc<OnceLock<Stop>>,
    stopping: Stopping,
    /// It does not sleep before this, but looks for something to do without a rest.
    spins_until: Time,
    /// Kept for its memory. Empty between turns.
    completions: Vec<Completion>,
    /// As well.
    run: Run,
}

/// What other threads have of a worker, or share with it.
pub(crate) struct Outside {
    pub(crate) mailbox: Arc<Mailbox<Mail>>,
    pub(crate) board: Arc<Board>,
    /// How to stop, if that has been said.
    pub(crate) stop: Arc<OnceLock<Stop>>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) handle: Handle,
}

/// Whether peers are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accepting {
    Armed,
    /// Nobody is until one peer, for which there was no descriptor, has been refused.
    Refusing,
    /// It failed and is tried again then.
    Paused(Time),
    Stopped,
}

impl<D: Driver, H: Handler> Worker<D, H> {
    pub(crate) fn new(
        mut driver: D,
        handler: H,
        settings: Settings,
        number: u8,
        outside: Outside,
    ) -> Self {
        let Outside { mailbox, board, stop, admission, handle } = outside;
        mailbox.open(driver.waker());
        driver.accept();
        trace::worker_started(number);
        Self {
            connections: Connections::new(driver, handler, settings, number, admission, handle),
            mailbox,
            publisher: Publisher::new(board),
            accepting: Accepting::Armed,
            stop,
            stopping: Stopping::No,
            spins_until: Time::ZERO,
            completions: Vec::new(),
            run: Run::default(),
        }
    }

    /// Serves until it is stopped.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        while self.turn()? {}
        Ok(())
    }

    /// One turn of the loop. `false`: the server has been stopped and nothing is left.
    pub(crate) fn turn(&mut self) -> io::Result<bool> {
        let serves = self.turn_begin()?;
        if serves {
            self.turn_end();
        }
        Ok(serves)
    }

    /// The first half of a turn: what has completed. `false` as for the whole.
    pub(crate) fn turn_begin(&mut self) -> io::Result<bool> {
        if self.has_ended()? {
            return Ok(false);
        }
        self.wait()?;
        self.handle_completed();
        Ok(true)
    }

    /// Whether it has been stopped and nothing is left.
    fn has_ended(&mut self) -> io::Result<bool> {
        let stops = !matches!(self.stopping, Stopping::No);
        Ok(stops && self.connections.count() == 0 && self.finish()?)
    }

    /// Begins a turn with what has completed.
    fn handle_completed(&mut self) {
        let now = self.connections.driver.now();
        self.connections.begin_turn(now);
        let mut completions = std::mem::take(&mut self.completions);
        let stats = self.connections.stats();
        stats.turns += 1;
        stats.completions += completions.len() as u64;
        let spin = self.connections.config().spin;
        if !spin.is_zero() && (!completions.is_empty() || !self.mailbox.is_empty()) {
            self.spins_until = now.after(spin);
        }
        for completion in completions.drain(..) {
            self.complete(completion);
        }
        self.completions = completions;
        self.connections.handle_deferred();
        if self.mailbox.take_signals(DECIDED) != 0 {
            self.connections.settle_decided();
        }
    }

    /// The second half: mail, deadlines, and what leaves.
    pub(crate) fn turn_end(&mut self) {
        let now = self.connections.now();
        self.read_mail();
        self.connections.expire();
        self.pass(now);
        self.connections.end_turn();
        if self.publisher.is_due(self.connections.stats(), now) {
            self.publisher.publish(self.connections.collect(), now);
            self.connections.publish_latencies();
        }
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

    /// Connections whose request was put off and has not been decided.
    #[cfg(feature = "simulation")]
    pub(crate) fn deciding(&self) -> usize {
        self.connections.deciding()
    }

    /// Different patterns that its connections have subscribed.
    #[cfg(feature = "simulation")]
    pub(crate) const fn patterns(&self) -> usize {
        self.connections.patterns()
    }

    /// Receive buffers that wait for the next turn.
    #[cfg(feature = "simulation")]
    pub(crate) fn deferred_leases(&self) -> usize {
        self.connections.deferred_leases()
    }

    #[cfg(feature = "simulation")]
    pub(crate) const fn config(&self) -> &Config {
        self.connections.config()
    }

    /// Checks what holds between two turns, and says what is believed to be in flight.
    #[cfg(feature = "simulation")]
    pub(crate) fn check(&mut self) -> Vec<Belief> {
        assert!(self.completions.is_empty(), "a completion has not been handled");
        self.connections.check()
    }

    #[cfg(feature = "simulation")]
    pub(crate) const fn handler(&mut self) -> &mut H {
        &mut self.connections.handler
    }

    /// Waits until something completes, mail comes or a deadline passes: without sleeping for as
    /// long as the configuration says, asleep after that.
    fn wait(&mut self) -> io::Result<()> {
        // Without a time to spin for this is the time of the last turn, or one before it.
        if self.connections.driver.now() < self.spins_until && !self.connections.has_work() {
            let until = self.deadline().map_or(self.spins_until, |next| next.min(self.spins_until));
            // Who has not said that it sleeps is not woken: mail costs its sender no system call.
            let is_wanted = || !self.mailbox.is_empty();
            return self.connections.driver.spin(until, is_wanted, &mut self.completions);
        }
        // Only who really sleeps says so, and is woken.
        let rests = !self.connections.has_work() && self.mailbox.prepare_sleep();
        let timeout = if rests { self.timeout() } else { Some(Duration::ZERO) };
        let waited = self.connections.driver.wait(timeout, &mut self.completions);
        self.mailbox.awake();
        waited
    }

    /// The time until the next deadline of any kind.
    fn timeout(&mut self) -> Option<Duration> {
        let next = self.deadline()?;
        Some(next.since(self.connections.driver.now()))
    }

    /// The next deadline of any kind.
    fn deadline(&mut self) -> Option<Time> {
        let accepting = match self.accepting {
            Accepting::Paused(until) => Some(until),
            Accepting::Armed | Accepting::Refusing | Accepting::Stopped => None,
        };
        let publishing = self.publisher.deadline(self.connections.stats());
        let next = self.connections.next_deadline();
        let deadlines = [next, accepting, self.stopping.next(), publishing];
        deadlines.into_iter().flatten().min()
    }

    fn complete(&mut self, completion: Completion) {
        match completion {
            Completion::Received { key, result, more } => {
                self.connections.on_received(key, result, more);
            }
            Completion::Filled { key, result, buffer } => {
                self.connections.on_filled(key, result, buffer);
            }
            Completion::Sent { key, result, bytes } => {
                self.connections.on_sent(key, result, bytes);
            }
            Completion::Accepted { result, more } => self.on_accepted(result, more),
            Completion::Refused { result } => self.on_refused(result),
            Completion::Cancelled { key } => self.connections.on_cancelled(key),
            // The mailbox is looked at in every turn.
            Completion::Woken => self.connections.stats().wakeups += 1,
        }
    }

    fn on_accepted(&mut self, result: Result<Descriptor, Fault>, more: bool) {
        let has_ended = !more && self.accepting != Accepting::Stopped;
        match result {
            // When the server stops, it is told so.
            Ok(descriptor) => {
                self.take_in(descriptor);
                if has_ended {
                    self.connections.driver.accept();
                }
            }
            Err(fault) if has_ended => self.on_accept_failed(&fault),
            Err(_) => {}
        }
    }

    /// Accepting goes on after a while. Where descriptors have run out the peer stays in the
    /// backlog, and accepting it would fail again at once: there is room made for it, or it is
    /// refused.
    fn on_accept_failed(&mut self, fault: &Fault) {
        if matches!(fault, Fault::DescriptorsExhausted) {
            if self.connections.evict_for_descriptors() {
                trace::made_room(self.connections.worker());
                self.pause_accepting(EVICTION_PAUSE);
                return;
            }
            if self.connections.driver.accept_refuse() {
                self.accepting = Accepting::Refusing;
                return;
            }
        }
        trace::accept_paused(self.connections.worker(), fault);
        self.pause_accepting(ACCEPT_PAUSE);
    }

    fn on_refused(&mut self, result: Result<(), Fault>) {
        if result.is_ok() {
            self.connections.count_unanswered(&Cause::Limit(Limit::Descriptors));
        }
        if self.accepting == Accepting::Stopped {
            return;
        }
        match result {
            Ok(()) => {
                self.accepting = Accepting::Armed;
                self.connections.driver.accept();
            }
            Err(fault) => {
                trace::accept_paused(self.connections.worker(), &fault);
                self.pause_accepting(ACCEPT_PAUSE);
            }
        }
    }

    fn pause_accepting(&mut self, pause: Duration) {
        self.connections.stats().accept_pauses += 1;
        let now = self.connections.driver.now();
        self.accepting = Accepting::Paused(now.after(pause));
    }

    fn read_mail(&mut self) {
        // Before the mail is looked at: what was sent before a stop leaves before its close frames.
        let signals = self.mailbox.take_signals(STOP | STOP_NOW);
        let Self { mailbox, connections, run, .. } = self;
        let mut sent = 0;
        let delivered = connections.stats().deliveries;
        let mut mails = mailbox.drain();
        // The mail before a stop is read whole. What is left otherwise keeps the worker awake.
        while signals & STOP != 0
            || sent + (connections.stats().deliveries - delivered) < RECIPIENTS_MAX
        {
            let Some(mail) = mails.next() else { break };
            connections.stats().mails += 1;
            sent += mail.recipients();
            let mail = match mail {
                Mail::Publish(publication) => match run.push(publication) {
                    Ok(()) => continue,
                    Err(publication) => Mail::Publish(publication),
                },
                mail => mail,
            };
            // What comes next comes behind what came before it.
            connections.publish_run(run);
            match mail {
                // The run is empty now, and takes any.
                Mail::Publish(publication) => {
                    let _pushed = run.push(publication);
                }
                mail => carry_out(connections, mail),
            }
        }
        drop(mails);
        connections.publish_run(run);
        if signals & STOP != 0 {
            self.begin_stop();
        }
        if signals & STOP_NOW != 0 {
            self.end_all();
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
        match self.stopping {
            Stopping::No | Stopping::Ended => {}
            Stopping::Telling(_) => self.tell(now),
            Stopping::Until(deadline) if now < deadline => {}
            Stopping::Until(_) => self.end_all(),
            Stopping::Ending(slot) => self.end(slot),
        }
    }

    /// Nothing is left: what is queued is carried out. `false`: somebody was accepted meanwhile.
    fn finish(&mut self) -> io::Result<bool> {
        loop {
            self.connections.driver.wait(Some(Duration::ZERO), &mut self.completions)?;
            if self.completions.is_empty() {
                // Not before: what does not fit the queue of completions comes with a later wait.
                return Ok(self.connections.count() == 0);
            }
            for completion in std::mem::take(&mut self.completions) {
                match completion {
                    Completion::Accepted { result: Ok(descriptor), .. } => self.take_in(descriptor),
                    Completion::Refused { result } => self.on_refused(result),
                    _ => {}
                }
            }
        }
    }

    /// Takes a peer in, or tells it that the server stops.
    fn take_in(&mut self, descriptor: Descriptor) {
        match self.stopping {
            Stopping::No | Stopping::Telling(_) | Stopping::Until(_) => {
                self.connections.accept(descriptor);
            }
            Stopping::Ending(_) | Stopping::Ended => {
                self.connections.driver.close(descriptor);
                self.connections.count_unanswered(&Cause::Stopped);
            }
        }
    }

    /// Accepts nobody any more, and begins to close every connection.
    fn begin_stop(&mut self) {
        if !matches!(self.stopping, Stopping::No) {
            return;
        }
        let stop = self.stop.get().cloned();
        let stop = stop.unwrap_or_else(|| Stop::of(self.connections.config()));
        let (now, count) = (self.connections.driver.now(), self.connections.count());
        self.stopping = Stopping::Telling(Pace::new(stop, now, count, self.connections.secret()));
        self.accepting = Accepting::Stopped;
        self.connections.stop();
        for descriptor in self.connections.driver.accept_stop() {
            self.take_in(descriptor);
        }
    }

    /// Tells those that are due to close, as many as one turn has time for.
    fn tell(&mut self, now: Time) {
        let Stopping::Telling(pace) = &mut self.stopping else { return };
        let mut told = 0;
        for _ in 0..LOOKS_MAX {
            if pace.slot >= self.connections.end() {
                self.stopping = Stopping::Until(now.after(pace.stop.timeout));
                return;
            }
            if told == TOLD_MAX || now < pace.due() {
                return;
            }
            let key = self.connections.key(pace.slot);
            pace.slot += 1;
            if key.is_some_and(|key| self.connections.stop_one(key, pace.stop.close())) {
                pace.advance();
                told += 1;
            }
        }
    }

    /// Begins to end what is left.
    fn end_all(&mut self) {
        if !matches!(self.stopping, Stopping::Ending(_) | Stopping::Ended) {
            self.connections.end_all();
            self.end(0);
        }
    }

    /// Ends the connections from this slot on, as many as one turn has time for.
    fn end(&mut self, slot: u32) {
        let end = slot.saturating_add(LOOKS_MAX).min(self.connections.end());
        for number in slot..end {
            if let Some(key) = self.connections.key(number) {
                self.connections.lost(key, Cause::Stopped);
            }
        }
        let is_last = end == self.connections.end();
        self.stopping = if is_last { Stopping::Ended } else { Stopping::Ending(end) };
    }
}

/// Does what another thread has asked for.
fn carry_out<D: Driver, H: Handler>(connections: &mut Connections<D, H>, mail: Mail) {
    match mail {
        Mail::Send { key, message } => {
            connections.send(key, message.payload());
        }
        Mail::SendMany { keys, message } => connections.send_many(&keys, &message),
        Mail::Publish(publication) => connections.publish(&publication),
        Mail::Count(presence) => presence.add(connections.subscriber_count(presence.topic())),
        Mail::Pause { key } => connections.pause(key),
        Mail::Resume { key } => connections.resume(key),
        Mail::Close { key, code, reason } => {
            let close = Close { code: Some(code), reason: &reason };
            connections.close(key, close, Closer::Handler);
        }
        Mail::Adopt(adoption) => connections.adopt(adoption),
        Mail::Release { key, done } => connections.release_for(key, done),
        Mail::Timed { called, mail } => {
            connections.set_called(Some(called));
            carry_out(connections, *mail);
            connections.set_called(None);
        }
    }
}

impl<D: Driver, H: Handler> Drop for Worker<D, H> {
    fn drop(&mut self) {
        // Nobody is left whom it could reach, but who is still to come.
        for mail in self.mailbox.close() {
            if let Mail::Adopt(_) = mail {
                self.connections.count_unadopted();
            }
        }
        // None are left but after an error or a panic.
        self.connections.abandon();
        let now = self.connections.driver.now();
        self.publisher.publish(self.connections.collect(), now);
        self.connections.publish_latencies();
        trace::worker_stopped(self.connections.worker(), self.connections.stats().opened);
    }
}
