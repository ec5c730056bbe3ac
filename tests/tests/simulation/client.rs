//! A client of the protocol crate, and what can be said of what it was sent.

use std::net::{IpAddr, Ipv4Addr};

use ringwire::simulation::{Peer, Simulation};
use ringwire::{Limits, OwnedMessage};
use ringwire_protocol::deflate::{Offer, Policy, accept};
use ringwire_protocol::handshake::{self, ClientRequest, Head};
use ringwire_protocol::{Event, Receiver, Role, Sender, Workspace};

use crate::books::Books;

/// One peer, from its connection to its end.
pub(crate) struct Client {
    pub(crate) peer: Peer,
    /// Its place in the books.
    pub(crate) number: usize,
    pub(crate) stage: Stage,
    /// It came by another server, and may have been there since.
    pub(crate) is_guest: bool,
    offer: Option<Offer>,
    /// Of its request, what has not been sent.
    pub(crate) unsent: Vec<u8>,
    /// Of the answer, what has come so far.
    head: Vec<u8>,
    pub(crate) status: Option<u16>,
    receiver: Receiver,
    pub(crate) sender: Sender,
    pub(crate) workspace: Workspace,
    pub(crate) sent: Vec<OwnedMessage>,
    pub(crate) got: Vec<OwnedMessage>,
    /// The server's close frame has come.
    pub(crate) closed: Option<Option<u16>>,
    /// What has come after that.
    after: Vec<u8>,
    /// It answers neither pings nor a close frame.
    pub(crate) mute: bool,
    /// Bytes of its messages, so that none is taken for a post that is empty.
    pub(crate) size_min: usize,
    /// It is to be told of the end of the server, and to answer.
    pub(crate) stays: bool,
}

/// How far a client has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Its request has not been answered.
    Asking,
    Open,
    /// It does nothing more but read: it has closed, ended its side, or violated the protocol.
    Leaving,
    /// It has reset the connection.
    Gone,
}

const RETRY_AFTER: &[u8] = b"\r\nRetry-After: 1\r\n";

const KEY: [u8; 16] = *b"0123456789abcdef";

impl Client {
    /// Connects and asks for nothing yet.
    pub(crate) fn connect(
        simulation: &mut Simulation<Books>,
        address: IpAddr,
        offer: Option<Offer>,
    ) -> Self {
        Self::on(simulation, offer, |simulation| simulation.connect_from(address))
    }

    /// As `connect`, on a connection that is made by `connect`.
    pub(crate) fn on(
        simulation: &mut Simulation<Books>,
        offer: Option<Offer>,
        connect: impl FnOnce(&mut Simulation<Books>) -> Peer,
    ) -> Self {
        let books = simulation.handler();
        let number = books.ledgers.len();
        books.ledgers.push(Default::default());
        let size_min = usize::from(books.talk > 0);
        let workspace = Workspace::new(Limits::default()).with_masking_keys(|| [9, 8, 7, 6]);
        let mut client = Self {
            peer: connect(simulation),
            is_guest: false,
            number,
            stage: Stage::Asking,
            offer,
            unsent: Vec::new(),
            head: Vec::new(),
            status: None,
            receiver: Receiver::new(Role::Client),
            sender: Sender::new(Role::Client),
            workspace,
            sent: Vec::new(),
            got: Vec::new(),
            closed: None,
            after: Vec::new(),
            mute: false,
            size_min,
            stays: false,
        };
        let mut bytes = Vec::new();
        client.with_request(|request| request.encode(&mut bytes).unwrap());
        client.unsent = bytes;
        client
    }

    /// Connects and asks.
    pub(crate) fn open(simulation: &mut Simulation<Books>) -> Self {
        let mut client = Self::connect(simulation, Ipv4Addr::LOCALHOST.into(), None);
        let request = std::mem::take(&mut client.unsent);
        simulation.send(client.peer, &request);
        client
    }

    /// Whether it waits for the answer to all of its request.
    pub(crate) fn has_asked(&self) -> bool {
        self.stage == Stage::Asking && self.unsent.is_empty()
    }

    fn with_request<T>(&self, act: impl FnOnce(&ClientRequest<'_>) -> T) -> T {
        let target = format!("/{}", self.number);
        let header = self.offer.map(|offer| offer.offer_header());
        let mut request = ClientRequest::new("example.com", &target, KEY);
        request.extensions = header.as_deref();
        act(&request)
    }

    /// Sends a message.
    pub(crate) fn send(&mut self, simulation: &mut Simulation<Books>, message: OwnedMessage) {
        let mut out = Vec::new();
        self.sender.message(message.payload(), &mut self.workspace, &mut out).unwrap();
        self.sent.push(message);
        simulation.send(self.peer, &out);
    }

    /// Reads what has come, and answers what is to be answered.
    pub(crate) fn pump(&mut self, simulation: &mut Simulation<Books>) {
        let bytes = simulation.take(self.peer);
        if self.status.is_some_and(|status| status != 101) || bytes.is_empty() {
            return;
        }
        let mut bytes = if self.status.is_none() { self.read_head(&bytes) } else { bytes };
        let Self { receiver, sender, workspace, got, .. } = self;
        let (mut input, mut out) = (&mut bytes[..], Vec::new());
        while self.closed.is_none()
            && let Some(event) = receiver.next(&mut input, sender, workspace, &mut out)
        {
            match event {
                Event::Message(message) => got.push(OwnedMessage::from(&message)),
                Event::Close(close) => {
                    self.closed = Some(close.code);
                    break;
                }
                Event::Failed(violation) => panic!("the server violated the protocol: {violation}"),
                Event::Chunk(chunk) => panic!("{chunk:?}, and no chunks are taken"),
                Event::Ping(_) | Event::Pong(_) | Event::Inflated(_) => {}
            }
        }
        if self.closed.is_some() {
            self.after.extend_from_slice(input);
        }
        assert!(is_pongs(&self.after), "more after the close frame: {:?}", self.after);
        if self.stage == Stage::Open && !self.mute {
            simulation.send(self.peer, &out);
        }
        if self.closed.is_some() && self.stage != Stage::Gone {
            self.stage = Stage::Leaving;
            if !self.mute {
                simulation.end(self.peer);
            }
        }
    }

    /// Reads of the answer what has come. Gives back what follows it.
    fn read_head(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.head.extend_from_slice(bytes);
        let size = Head::response().scan(&self.head, &handshake::Limits::default()).unwrap();
        let Some(size) = size else { return Vec::new() };
        let rest = self.head.split_off(size);
        let status = str::from_utf8(&self.head[9..12]).unwrap().parse().unwrap();
        self.status = Some(status);
        if status != 101 {
            assert!([400, 403, 408, 426, 500, 503].contains(&status), "{status}");
            let says_when = self.head.windows(RETRY_AFTER.len()).any(|it| it == RETRY_AFTER);
            assert_eq!(says_when, status == 503, "who is turned away may come back");
            if self.stage == Stage::Asking {
                self.stage = Stage::Leaving;
            }
            return Vec::new();
        }
        let offer = self.offer.unwrap_or_default();
        let agreed = self.with_request(|request| {
            let accepted = request.verify(&self.head).unwrap();
            accept(accepted.extensions(), &offer).unwrap()
        });
        if let Some(agreed) = agreed {
            let fresh = || (Receiver::new(Role::Client), Sender::new(Role::Client));
            let (receiver, sender) = fresh();
            self.receiver = receiver.with_deflate(&agreed, u32::MAX);
            if self.stage == Stage::Asking {
                let policy = Policy { size_min: 8, ..Policy::default() };
                self.sender = sender.with_deflate(&agreed, &policy);
            }
        }
        if self.stage == Stage::Asking {
            self.stage = Stage::Open;
        }
        rest
    }
}

/// Whether these are pongs and nothing else, the last perhaps in part.
fn is_pongs(mut bytes: &[u8]) -> bool {
    //= RFC 6455 5.5.2: Upon receipt of a Ping frame, an endpoint MUST send a Pong frame in
    //= response, unless it already received a Close frame.
    while let [first, rest @ ..] = bytes {
        let size = rest.first().map_or(0, |size| usize::from(*size));
        if *first != 0x8A || size > 125 {
            return false;
        }
        bytes = rest.get(1 + size..).unwrap_or_default();
    }
    true
}
