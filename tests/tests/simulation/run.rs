//! One run: clients come, act and go, others send from outside, the server stops.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::time::Duration;

use ringwire::simulation::{Faults, Simulation};
use ringwire::topic::{Pattern, RetainedLimits, TopicLimits};
use ringwire::{
    Compression, Config, ConnectionId, HandleError, HandshakeLimits, Limits, OwnedMessage,
    SlowConsumer,
};
use ringwire_protocol::deflate::Offer;

use crate::books::{Books, policy};
use crate::chance::Chance;
use crate::check::{Missing, check, check_end, check_stats, dropped_at_once, missing, notices};
use crate::client::{Client, Stage};
use crate::door::Door;
use crate::host::Host;
use crate::topics::Mail;

/// A simulation, who takes part in it, and the chance that decides.
pub(crate) struct Run {
    seed: u64,
    pub(crate) simulation: Simulation<Books>,
    pub(crate) clients: Vec<Client>,
    chance: Chance,
    faults: Faults,
    config: Config,
    /// Messages that others than the handler have sent.
    outside: usize,
    /// Connections that are no more, whose names another may bear if anything is wrong.
    gone: Vec<(usize, ConnectionId)>,
    /// Messages that did not come to those who are no more, and notices that did.
    gone_missing: u64,
    gone_told: u64,
    door: Door,
    host: Host,
    /// Nobody comes or goes by another server but who has to.
    hurries: bool,
    /// Turns in which clients act. Some runs end earlier than others.
    turns: Range<usize>,
    /// Clients at the same time.
    clients_max: usize,
    /// Everything that was owed has come.
    settled: bool,
    stopped: bool,
    pub(crate) tally: Tally,
}

/// How much was tried.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) connections: u64,
    pub(crate) messages: u64,
    pub(crate) deliveries: u64,
    pub(crate) turns: u64,
    pub(crate) adopted: u64,
    pub(crate) released: u64,
    /// Decisions that were put off and made in time, and those that came too late.
    pub(crate) decided: u64,
    pub(crate) late: u64,
}

const TURNS: usize = 300;

const CLIENTS_MAX: usize = 12;

/// Clients of whom a message for all takes three turns.
const CROWD: usize = 300;

impl Run {
    pub(crate) fn new(seed: u64, faults: Faults) -> Self {
        let mut chance = Chance::new(seed);
        let config = config(&mut chance);
        let mischief = chance.of(&[0, 0, 3, 15]);
        let mut books = Books::new(&config, mischief, Chance::new(!seed));
        books.talk = chance.of(&[0, 10, 60]);
        books.deferrals.percent = chance.of(&[0, 0, 0, 30, 100]);
        books.deferrals.pace = chance.of(&[2, 10, 40]);
        books.joins = if books.talk > 0 { chance.of(&[&[], &["a.*", "*.b"], &[">"]]) } else { &[] };
        Self::with(seed, faults, config, books, chance)
    }

    /// Very many, of whom everybody is reached by two patterns.
    pub(crate) fn crowd(seed: u64, faults: Faults) -> Self {
        let mut chance = Chance::new(seed);
        let config = Config {
            buffers: 512,
            buffer_size: 300,
            mailbox_size: 1000,
            topics: TopicLimits::default(),
            ..config_served(&mut chance)
        };
        let mut books = Books::new(&config, 0, Chance::new(!seed));
        (books.talk, books.joins) = (5, &["a.*", ">"]);
        books.deferrals.percent = 20;
        let mut run = Self::with(seed, faults, config, books, chance);
        for _ in 0..CROWD {
            run.connect();
        }
        while run.simulation.stats().accepted < u64::try_from(CROWD).unwrap() {
            assert!(run.turn(), "the server has ended");
        }
        (run.turns, run.clients_max) = (30..60, CROWD + 20);
        run
    }

    fn with(seed: u64, faults: Faults, config: Config, books: Books, chance: Chance) -> Self {
        let mut simulation = Simulation::new(seed, config.clone(), faults, books).unwrap();
        simulation.handler().handle = Some(simulation.handle());
        let (clients, tally, door) = (Vec::new(), Tally::default(), Door::new(&config));
        let outcomes = simulation.handler().outcomes.clone();
        let host = Host::new(&config, outcomes);
        Self {
            seed,
            simulation,
            clients,
            chance,
            faults,
            config,
            outside: 0,
            gone: Vec::new(),
            gone_missing: 0,
            gone_told: 0,
            door,
            host,
            hurries: false,
            turns: 0..TURNS,
            clients_max: CLIENTS_MAX,
            settled: false,
            stopped: false,
            tally,
        }
    }

    /// All of it.
    pub(crate) fn all(mut self) -> Tally {
        let stops_early = self.chance.once_in(4);
        let Range { start, end } = self.turns.clone();
        let until = if stops_early { start + self.chance.below(end - start) } else { end };
        for _ in 0..until {
            self.come();
            for client in &mut self.clients {
                if self.chance.once_in(4) {
                    client.act(&mut self.simulation, &mut self.chance);
                }
            }
            if self.chance.once_in(10) {
                self.reach_in();
            }
            self.decide();
            assert!(self.turn(), "the server has ended");
        }
        if !stops_early {
            self.settle();
            if self.chance.once_in(3) {
                self.refill();
            }
        }
        self.stop();
        let stats = self.simulation.stats();
        self.tally.connections = stats.accepted;
        self.tally.messages = stats.messages_received + stats.messages_sent;
        self.tally.deliveries = stats.deliveries;
        self.tally.turns = stats.turns;
        (self.tally.adopted, self.tally.released) = (stats.adopted, stats.released);
        let counts = self.simulation.handler().deferrals.counts;
        (self.tally.decided, self.tally.late) = (counts.decided, counts.late);
        self.tally
    }

    /// Somebody connects, now and then.
    fn come(&mut self) {
        if self.clients.len() < self.clients_max && self.chance.once_in(4) {
            self.connect();
        }
    }

    fn connect(&mut self) {
        let offer = self.chance.once_in(2).then(|| Offer {
            server_no_context_takeover: self.chance.once_in(3),
            client_no_context_takeover: self.chance.once_in(3),
            ..Offer::default()
        });
        let address = address(self.chance.below(4));
        let mut client = if self.chance.once_in(3) {
            let connect = |it: &mut Simulation<Books>| it.connect_elsewhere(address);
            let mut guest = Client::on(&mut self.simulation, offer, connect);
            guest.is_guest = true;
            self.host.welcome(guest.number, guest.peer);
            guest
        } else {
            Client::connect(&mut self.simulation, address, offer)
        };
        client.begin(&mut self.simulation, &mut self.chance);
        self.clients.push(client);
    }

    /// Somebody decides about requests that were put off, now and then.
    fn decide(&mut self) {
        let deferrals = &mut self.simulation.handler().deferrals;
        deferrals.decide_some(&mut self.chance);
    }

    /// One turn, and what it has brought to each client. `false`: the server has ended.
    fn turn(&mut self) -> bool {
        self.hand_over();
        let serves = self.simulation.turn_with(Books::read_mail).unwrap();
        check_stats(&mut self.simulation);
        let deciding = self.simulation.deciding();
        self.simulation.handler().deferrals.check(deciding);
        self.door.check(self.simulation.elapsed(), self.simulation.handler().totals.asked);
        let Self { simulation, clients, gone, gone_missing, gone_told, .. } = self;
        let lost_peers = self.faults.lost_peers;
        clients.retain_mut(|client| {
            client.pump(simulation);
            let has_closed = simulation.has_closed(client.peer);
            if has_closed {
                let ledger = std::mem::take(&mut simulation.handler().ledgers[client.number]);
                check_end(client, &ledger);
                simulation.handler().deferrals.check_end(client, lost_peers > 0);
                *gone_missing += missing(client, &ledger).all;
                *gone_told += notices(client);
                gone.extend(ledger.id.map(|id| (client.number, id)));
            }
            !has_closed
        });
        serves
    }

    /// The other server does what it can.
    fn hand_over(&mut self) {
        let Self { simulation, clients, host, chance, hurries, .. } = self;
        let books = simulation.handler();
        books.is_silent = false;
        host.asked += std::mem::take(&mut books.asked);
        let peers = |number| {
            let mut all = clients.iter();
            all.find(|client| client.number == number).map(|client| client.peer)
        };
        host.act(simulation, chance, peers, *hurries);
        for client in clients {
            client.is_guest |= host.has_seen(client.number);
        }
    }

    /// Another thread sends a message, or many, or closes a connection that may be no more.
    fn reach_in(&mut self) {
        let handle = self.simulation.handle();
        let gone = self.gone.iter().rev().take(3).copied();
        let ids: Vec<(usize, ConnectionId)> = (self.simulation.handler().ledgers.iter())
            .enumerate()
            .filter_map(|(number, ledger)| ledger.id.map(|id| (number, id)))
            .chain(gone)
            .collect();
        if ids.is_empty() {
            return;
        }
        for _ in 0..self.chance.of(&[1, 1, 20]) {
            let (number, id) = self.chance.of(&ids);
            let message = OwnedMessage::Text(format!("outside {}", self.outside));
            self.outside += 1;
            let books = self.simulation.handler();
            let (sent, mail) = match self.chance.below(20) {
                0 => {
                    books.ledgers[number].left = true;
                    (handle.close(id, 4000, "from outside"), Mail::Other)
                }
                1..4 => {
                    let (numbers, all): (Vec<usize>, Vec<ConnectionId>) =
                        ids.iter().copied().unzip();
                    let sent = handle.send_many(&all, message.clone());
                    let sent = sent.map_err(|undelivered| {
                        assert_eq!(undelivered.connections, all);
                        undelivered.error
                    });
                    (sent, Mail::Send(numbers, message))
                }
                4 => (handle.pause(id), Mail::Other),
                5 => (handle.resume(id), Mail::Other),
                14..20 => {
                    let outcomes = books.outcomes.clone();
                    let asked = handle.release(id, move |outcome| {
                        outcomes.lock().unwrap().push((number, outcome));
                    });
                    self.host.asked += usize::from(asked.is_ok());
                    (asked, Mail::HandOver)
                }
                6..12 if books.talk > 0 => {
                    books.publish_outside();
                    continue;
                }
                _ => (handle.send(id, message.clone()), Mail::Send(vec![number], message)),
            };
            let full = Err(HandleError::Full);
            assert!(sent.is_ok() || sent == full, "{sent:?}");
            books.topics.post(sent.is_ok(), mail);
        }
    }

    /// Nobody acts any more, and everybody reads: everything that can arrive does.
    fn settle(&mut self) {
        for client in &mut self.clients {
            self.simulation.set_window(client.peer, usize::MAX);
            let unsent = std::mem::take(&mut client.unsent);
            self.simulation.send(client.peer, &unsent);
        }
        // No more mischief and no more talk, or there would be no end.
        self.hurries = true;
        let books = self.simulation.handler();
        (books.mischief, books.talk) = (0, 0);
        books.deferrals.decide_all();
        let ids = self.clients.iter().map(|client| client.number);
        let ids: Vec<usize> = ids.collect();
        for number in ids {
            // Whoever was paused.
            if let Some(id) = self.simulation.handler().ledgers[number].id {
                while self.simulation.handle().resume(id).is_err() {
                    assert!(self.turn(), "the server has ended");
                }
                self.simulation.handler().topics.post(true, Mail::Other);
            }
        }
        self.await_all();
        // Whoever has subscribed is reached, now that nothing stands in the way.
        for _ in 0..20 {
            self.simulation.handler().publish_outside();
        }
        self.await_all();
        self.settled = true;
    }

    /// Waits until everything has come that is owed.
    fn await_all(&mut self) {
        let mut turns = 0;
        while let Some(why) = self.unsettled() {
            assert!(turns < 5000, "{why}");
            assert!(self.turn(), "the server has ended");
            turns += 1;
        }
        let mut lost = 0;
        let mut unexplained = 0;
        for client in &self.clients {
            let ledger = &self.simulation.handler().ledgers[client.number];
            check(client, ledger, true);
            let Missing { all, taken, irreplaceable } = missing(client, ledger);
            assert!(taken <= ledger.dropped, "{taken} messages are missing");
            lost += all - ledger.dropped;
            unexplained += irreplaceable.saturating_sub(ledger.dropped);
        }
        // The newest of each topic and key came, unless it was dropped.
        let dropped = dropped_at_once(&mut self.simulation);
        assert!(unexplained <= dropped, "{unexplained} did not come, {dropped} dropped");
        let conflated = self.simulation.stats().messages_conflated;
        let known = dropped + conflated;
        assert!(lost <= known, "{lost} did not come, {dropped} dropped, {conflated} replaced");
        self.check_losses();
    }

    /// Whatever was counted as dropped or replaced did not come.
    fn check_losses(&mut self) {
        let (mut all, mut told) = (self.gone_missing, self.gone_told);
        for client in &self.clients {
            all += missing(client, &self.simulation.handler().ledgers[client.number]).all;
            told += notices(client);
        }
        let refused = self.simulation.handler().totals.refused;
        let stats = self.simulation.stats();
        let counted = stats.messages_dropped - refused + stats.messages_conflated;
        assert!(counted <= all, "{counted} are counted as lost, and {all} did not come");
        assert!(told <= stats.gaps_told, "{told} gaps are told, {} counted", stats.gaps_told);
    }

    /// What is still to come, for the first client for which something is.
    fn unsettled(&mut self) -> Option<String> {
        for client in &self.clients {
            let ledger = &self.simulation.handler().ledgers[client.number];
            let (number, stage) = (client.number, client.stage);
            let (sent, received) = (client.sent.len(), ledger.received.len());
            if stage != Stage::Open || sent != received || ledger.backlogged {
                return Some(format!(
                    "client {number} waits, {stage:?}: {sent} sent, {received} received, \
                     backlogged {}",
                    ledger.backlogged,
                ));
            }
        }
        let is_read = self.simulation.handler().topics.is_read() && self.host.is_empty();
        (!is_read || !self.simulation.is_quiet()).then(|| "something is under way".to_owned())
    }

    /// Everybody goes, and as many as there is room for come: no place has been lost.
    fn refill(&mut self) {
        for client in &mut self.clients {
            self.simulation.reset(client.peer);
            client.stage = Stage::Gone;
        }
        self.turn_until(|run| run.simulation.connections() == 0);
        let server = self.config.connections_server_max.unwrap_or(usize::MAX);
        let room = self.config.connections_max.min(server);
        if room > CLIENTS_MAX || self.faults.lost_peers > 0 {
            return;
        }
        self.simulation.handler().welcomes = true;
        let at_once = self.config.handshakes_max.min(Door::at_once(&self.config));
        let each = self.config.connections_address_max.unwrap_or(room);
        let mut come = 0;
        while come < room {
            for _ in 0..at_once.min(room - come) {
                self.simulation.pass(Door::interval(&self.config));
                let address = address(1 + come / each);
                let mut client = Client::connect(&mut self.simulation, address, None);
                client.ask(&mut self.simulation, usize::MAX);
                self.clients.push(client);
                come += 1;
            }
            self.turn_until(|run| run.clients.iter().all(|it| it.stage != Stage::Asking));
            let is_in = self.clients.iter().all(|client| client.status == Some(101));
            assert!(is_in, "a place of {room} has been lost");
        }
        self.await_all();
    }

    fn turn_until(&mut self, mut is_so: impl FnMut(&Self) -> bool) {
        let mut turns = 0;
        while !is_so(self) {
            turns += 1;
            assert!(turns < 5000, "it does not come to that");
            assert!(self.turn(), "the server has ended");
        }
    }

    /// Stops the server, and sees everything come to its end.
    fn stop(&mut self) {
        let handle = self.simulation.handle();
        let before = self.simulation.elapsed();
        self.simulation.handler().deferrals.begin_stop();
        match self.chance.below(3) {
            0 => handle.stop_now(),
            1 => {
                handle.stop();
                for _ in 0..self.chance.below(30) {
                    self.stopped |= !self.turn();
                }
                handle.stop_now();
            }
            _ => {
                handle.stop();
                // Who is there, and everything between is in order, is told.
                let lossless = self.settled && self.faults.lost_peers == 0;
                let staying = self.clients.iter_mut().filter(|it| lossless && !it.mute);
                staying.for_each(|client| client.stays = true);
            }
        }
        for turn in 0..20_000 {
            if self.stopped {
                break;
            }
            if turn > 2000 {
                // Whoever reads in trickles keeps the loop from sleeping.
                self.simulation.pass(Duration::from_millis(1));
            }
            self.decide();
            self.stopped = !self.turn();
        }
        assert!(self.stopped, "the server does not end");
        if self.faults.jumps == 0 {
            let longest = self.config.stop_timeout + Duration::from_secs(1);
            assert!(self.simulation.elapsed() - before < longest, "a stop takes too long");
        }
        assert_eq!(self.simulation.connections(), 0);
        self.host.end(&mut self.simulation);
        for client in &mut self.clients {
            // Who came by mail that was not read goes with the mailbox.
            let is_in_mail = client.is_guest && !self.simulation.has(client.peer);
            let has_ended = self.simulation.has_ended(client.peer);
            assert!(has_ended || is_in_mail, "a peer was forgotten");
            client.pump(&mut self.simulation);
            check_end(client, &self.simulation.handler().ledgers[client.number]);
        }
        self.simulation.handler().deferrals.decide_all();
        let totals = self.simulation.handler().totals;
        let over = totals.closed + totals.released;
        assert_eq!(totals.opened, over, "each connection that opens closes");
        self.check_losses();
    }
}

impl Drop for Run {
    /// Of a run that fails: how to repeat it, and what led to it.
    fn drop(&mut self) {
        if std::thread::panicking() {
            for line in self.simulation.journal() {
                eprintln!("{line}");
            }
            eprintln!("failed with RINGWIRE_SEED={} and {:?}", self.seed, self.faults);
        }
    }
}

/// Where clients come from. Two may not be told from each other.
fn address(number: usize) -> IpAddr {
    let number = u16::try_from(number).unwrap();
    match number {
        0 => Ipv4Addr::LOCALHOST.into(),
        1 => Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(),
        _ => Ipv6Addr::new(0x2001, 0xdb8, 0, number, 0, 0, 0, 1).into(),
    }
}

/// Any configuration that is tight.
fn config(chance: &mut Chance) -> Config {
    let config = config_served(chance);
    if !chance.once_in(3) {
        return config;
    }
    // Few are let in at all.
    let connections_max = chance.of(&[1, 3, CLIENTS_MAX / 2]);
    let server_max = 1 + chance.below(connections_max);
    let address_max = 1 + chance.below(server_max);
    Config {
        connections_max,
        connections_server_max: chance.once_in(2).then_some(server_max),
        connections_address_max: chance.once_in(2).then_some(address_max),
        handshakes_max: chance.of(&[1, 2, 4096]),
        handshake_rate: chance.once_in(2).then_some(chance.of(&[1, 10, 1000])),
        handshake_burst: chance.of(&[1, 3, 10]),
        ..config
    }
}

fn config_served(chance: &mut Chance) -> Config {
    let compression = [None, Some(Compression::shared()), Some(Compression::dedicated())];
    let compression = chance.of(&compression).map(|mut compression| {
        compression.policy.size_min = 16;
        compression
    });
    let slow_consumer = if chance.once_in(2) { SlowConsumer::default() } else { policy(chance) };
    let outbox_high = chance.of(&[100, 500, 3000]);
    Config {
        buffers: chance.of(&[4, 4, 16]),
        buffer_size: chance.of(&[64, 100, 300]),
        // Three small messages, so that a busy connection waits for its next turn.
        turn_size_max: chance.of(&[1, 3 * 256, 1 << 20]),
        // Hardly more than a request has, so that who sends more before the answer is read no more.
        handshake: HandshakeLimits {
            head_size_max: chance.of(&[500, 8192]),
            ..HandshakeLimits::default()
        },
        upgrade_timeout: chance.of(&[30, 300, 10_000].map(Duration::from_millis)),
        limits: Limits { message_size_max: 20_000, ..Limits::default() },
        outbox_low: outbox_high / chance.of(&[1, 10, 1000]),
        outbox_high,
        outbox_size_max: outbox_high * chance.of(&[1, 4, 100]),
        idle_timeout: chance.once_in(4).then_some(Duration::from_secs(60)),
        slow_consumer,
        compression,
        spin: chance.of(&[Duration::ZERO, Duration::from_micros(50)]),
        measure_latency: chance.once_in(3),
        retained: RetainedLimits {
            count_max: chance.of(&[2, 5, 1000]),
            ..RetainedLimits::default()
        },
        mailbox_size: chance.of(&[1, 7, 1000]),
        // What a host may have read fits into the smaller one as well.
        mailbox_bytes_max: chance.of(&[20_000, Config::default().mailbox_bytes_max]),
        topics: TopicLimits {
            subscriptions_max: chance.of(&[1, 3, 1024]),
            patterns_max: chance.of(&[2, 6, 65_536]),
            matches_max: chance.of(&[1, 5, Pattern::MATCHES_MAX, Pattern::MATCHES_MAX]),
        },
        ..Config::default()
    }
}
