//! What chance makes of the operations in flight.

use std::collections::VecDeque;
use std::io::Read;

use crate::driver::sim::socket::{Flight, Socket};
use crate::driver::sim::world::World;
use crate::driver::{Completion, Descriptor, Fault, Key, Lease};

/// What a receive fails with when the peer is gone, and a send with any of both.
const RECEIVE_ERRORS: [i32; 3] = [libc::ECONNRESET, libc::ETIMEDOUT, libc::EIO];
const SEND_ERRORS: [i32; 5] =
    [libc::EPIPE, libc::ECONNRESET, libc::ETIMEDOUT, libc::EIO, libc::ECANCELED];

/// Accepts in a row that may find no descriptor.
const ACCEPT_FAILURES_MAX: usize = 8;

impl World {
    /// Lets everything in flight make what progress chance allows, and delivers what has completed,
    /// or a part of it.
    pub(crate) fn progress(&mut self, into: &mut Vec<Completion>) {
        self.held = false;
        self.progress_accept();
        self.progress_refuse();
        let mut by_socket: Vec<VecDeque<Completion>> = Vec::new();
        for index in 0..self.sockets.len() {
            if self.sockets[index].closed {
                continue;
            }
            let mut completions = VecDeque::new();
            self.widen(index);
            // The kernel looks at a socket more than once in a turn.
            for _ in 0..=self.random.below(3) {
                self.progress_receive(index, &mut completions);
                self.progress_send(index, &mut completions);
                self.progress_cancel(index, &mut completions);
            }
            if !completions.is_empty() {
                self.sockets[index].reset |= self.random.chance(self.faults.lost_peers);
                by_socket.push(completions);
            }
        }
        // In order on each socket, in any order among them.
        while !by_socket.is_empty() {
            let choice = self.random.below(by_socket.len());
            match by_socket[choice].pop_front() {
                Some(completion) => self.queue.push_back(completion),
                None => drop(by_socket.swap_remove(choice)),
            }
        }
        self.deliver(into);
    }

    /// Delivers what has completed, in order: all, or what fits.
    fn deliver(&mut self, into: &mut Vec<Completion>) {
        let mut count = self.queue.len();
        if self.random.chance(self.faults.full_queue) {
            count = count.min(1 + self.random.below(count));
        }
        for completion in self.queue.drain(..count) {
            self.journal.completion(self.now, &completion);
            let named =
                |key: Key| move |socket: &&mut Socket| !socket.closed && socket.key == Some(key);
            match &completion {
                Completion::Accepted { result, more } => {
                    self.accept_untold &= more;
                    if let Ok(Descriptor(number)) = result
                        && let Ok(index) = usize::try_from(*number)
                    {
                        self.sockets[index].accepted = true;
                    }
                }
                Completion::Received { key, more, .. } => {
                    let socket = self.sockets.iter_mut().find(named(*key));
                    socket.into_iter().for_each(|socket| socket.untold.receive &= more);
                }
                Completion::Filled { key, .. } => {
                    let socket = self.sockets.iter_mut().find(named(*key));
                    socket.into_iter().for_each(|socket| socket.untold.receive = false);
                }
                Completion::Sent { key, .. } => {
                    let socket = self.sockets.iter_mut().find(named(*key));
                    socket.into_iter().for_each(|socket| socket.untold.send = false);
                }
                Completion::Cancelled { key } => {
                    let socket = self.sockets.iter_mut().find(named(*key));
                    socket.into_iter().for_each(|socket| socket.untold.cancel = false);
                }
                Completion::Refused { .. } => self.refuse_untold = false,
                Completion::Woken => {}
            }
            into.push(completion);
        }
        self.held |= !self.queue.is_empty();
    }

    fn progress_accept(&mut self) {
        while self.accept_armed && !self.backlog.is_empty() {
            if self.accept_failures == 0 && self.random.chance(self.faults.descriptors_exhausted) {
                self.accept_failures = 1 + self.random.below(ACCEPT_FAILURES_MAX);
            }
            let fault = if self.accept_failures > 0 {
                self.accept_failures -= 1;
                Some(Fault::DescriptorsExhausted)
            } else if self.random.chance(self.faults.broken_accepts) {
                Some(Fault::from_errno(libc::ECONNABORTED))
            } else if self.random.chance(self.faults.cancelled) {
                Some(Fault::Cancelled)
            } else {
                None
            };
            if let Some(fault) = fault {
                self.accept_armed = false;
                self.queue.push_back(Completion::Accepted { result: Err(fault), more: false });
                return;
            }
            let Some(descriptor) = self.backlog.pop_front() else { return };
            let more = !self.random.chance(self.faults.ended_multishots);
            self.accept_armed = more;
            self.queue.push_back(Completion::Accepted { result: Ok(descriptor), more });
        }
    }

    /// Who waits longest is ended, unless chance has the whole system run out of files.
    fn progress_refuse(&mut self) {
        if !self.refuse_armed {
            return;
        }
        if self.random.chance(self.faults.delays) {
            self.held = true;
            return;
        }
        self.refuse_armed = false;
        let result = if self.random.chance(self.faults.descriptors_exhausted) {
            Err(Fault::DescriptorsExhausted)
        } else if let Some(descriptor) = self.backlog.pop_front() {
            self.close(descriptor);
            Ok(())
        } else {
            // Accepting has been stopped meanwhile.
            Err(Fault::Cancelled)
        };
        self.queue.push_back(Completion::Refused { result });
    }

    /// A peer that reads in trickles makes room for a little.
    fn widen(&mut self, index: usize) {
        let Self { random, sockets, held, .. } = self;
        let socket = &mut sockets[index];
        if socket.trickle > 0 {
            socket.window = 1 + random.below(socket.trickle);
            *held |= socket.send.is_some();
        }
    }

    fn progress_receive(&mut self, index: usize, into: &mut VecDeque<Completion>) {
        let Self { random, faults, sockets, buffers, held, .. } = self;
        let socket = &mut sockets[index];
        let (Some(key), true) = (socket.key, socket.receive) else { return };
        let ended = socket.peer_ended || socket.shut;
        if socket.inbound.is_empty() && !ended && !socket.reset {
            return;
        }
        if random.chance(faults.delays) {
            *held = true;
            return;
        }
        let fault = if socket.reset || random.chance(faults.broken_receives) {
            socket.reset = true;
            Some(Fault::from_errno(RECEIVE_ERRORS[random.below(RECEIVE_ERRORS.len())]))
        } else if random.chance(faults.cancelled) {
            Some(Fault::Cancelled)
        } else {
            None
        };
        if let Some((mut buffer, size)) = socket.fill.take() {
            socket.receive = false;
            let mut size = socket.inbound.len().min(size);
            if size > 0 && random.chance(faults.short) {
                size = 1 + random.below(size);
            }
            let result = fault.map_or(Ok(size), Err);
            if result.is_ok() {
                buffer.extend(socket.inbound.drain(..size));
            }
            into.push_back(Completion::Filled { key, result, buffer });
            return;
        }
        if let Some(fault) = fault {
            socket.receive = false;
            into.push_back(Completion::Received { key, result: Err(fault), more: false });
            return;
        }
        if socket.inbound.is_empty() {
            socket.receive = false;
            into.push_back(Completion::Received { key, result: Ok(None), more: false });
            return;
        }
        let exhausted = random.chance(faults.buffers_exhausted);
        let Some((id, mut buffer)) = (if exhausted { None } else { buffers.pop() }) else {
            socket.receive = false;
            let result = Err(Fault::BuffersExhausted);
            into.push_back(Completion::Received { key, result, more: false });
            return;
        };
        let mut size = socket.inbound.len().min(buffer.len());
        if random.chance(faults.short) {
            size = 1 + random.below(size);
        }
        let copied = socket.inbound.read_exact(&mut buffer[..size]);
        copied.expect("so many bytes are there");
        let more = !socket.once && !random.chance(faults.ended_multishots);
        if !more {
            socket.receive = false;
        }
        let result = Ok(Some(Lease { buffer, id, size }));
        into.push_back(Completion::Received { key, result, more });
    }

    fn progress_send(&mut self, index: usize, into: &mut VecDeque<Completion>) {
        let Self { random, faults, sockets, held, .. } = self;
        let socket = &mut sockets[index];
        let Some(flight) = &socket.send else { return };
        let broken = socket.reset || socket.shut;
        let rest = flight.bytes.len() - flight.from;
        let mut size = rest.min(socket.window);
        if !broken && size == 0 {
            return;
        }
        if random.chance(faults.delays) {
            *held = true;
            return;
        }
        let Some(Flight { key, bytes, from }) = socket.send.take() else { return };
        if broken || random.chance(faults.broken_sends) {
            socket.reset = true;
            let error = SEND_ERRORS[random.below(SEND_ERRORS.len())];
            let result = Err(Fault::from_errno(error));
            into.push_back(Completion::Sent { key, result, bytes });
            return;
        }
        if random.chance(faults.short) {
            size = 1 + random.below(size);
        }
        socket.outbound.extend_from_slice(&bytes[from..from + size]);
        socket.window -= size;
        into.push_back(Completion::Sent { key, result: Ok(size), bytes });
    }

    fn progress_cancel(&mut self, index: usize, into: &mut VecDeque<Completion>) {
        let socket = &mut self.sockets[index];
        let (Some(key), true) = (socket.key, socket.cancel) else { return };
        if self.random.chance(self.faults.delays) {
            self.held = true;
            return;
        }
        socket.cancel = false;
        if std::mem::take(&mut socket.receive) {
            into.push_back(match socket.fill.take() {
                Some((buffer, _)) => {
                    let result = Err(Fault::Cancelled);
                    Completion::Filled { key, result, buffer }
                }
                None => Completion::Received { key, result: Err(Fault::Cancelled), more: false },
            });
        }
        into.push_back(Completion::Cancelled { key });
    }
}
