//! A handler's answer to a client that asks for a connection.

use std::borrow::Cow;

use ringwire_protocol::handshake::Response;

use crate::config::Compression;
use crate::conn::promise::Awaited;

/// Accept, with a subprotocol, headers and the connection's first state, or refuse, or
/// [later](Upgrade::later).
///
/// ```
/// use ringwire::{Response, Upgrade};
///
/// let accept: Upgrade<u32> = Upgrade::accept().subprotocol("quotes.v2").state(7);
/// let refuse: Upgrade<u32> = Upgrade::refuse(Response::text(404, "no such feed\n"));
/// # let _ = (accept, refuse);
/// ```
#[derive(Debug)]
#[must_use]
pub struct Upgrade<S> {
    pub(crate) answer: Answer<S>,
}

/// What an [`Upgrade`] holds.
#[derive(Debug)]
pub(crate) enum Answer<S> {
    Now(Decision<S>),
    /// Who has the other half decides.
    Later(Awaited<Decision<S>>),
}

/// Whether a connection is opened.
#[derive(Debug)]
pub(crate) enum Decision<S> {
    Accept(Acceptance<S>),
    Refuse(Response),
}

/// What an accepted connection begins with.
#[derive(Debug)]
pub(crate) struct Acceptance<S> {
    pub(crate) state: S,
    pub(crate) subprotocol: Option<Cow<'static, str>>,
    pub(crate) headers: Vec<(Cow<'static, str>, Cow<'static, str>)>,
    /// In place of the configuration's, if the handler has chosen.
    pub(crate) compression: Option<Option<Compression>>,
    pub(crate) streaming: bool,
}

impl<S: Default> Upgrade<S> {
    /// Opens the connection, with the default state.
    pub fn accept() -> Self {
        let (subprotocol, headers) = (None, Vec::new());
        let state = S::default();
        let (compression, streaming) = (None, false);
        let acceptance = Acceptance { state, subprotocol, headers, compression, streaming };
        Self { answer: Answer::Now(Decision::Accept(acceptance)) }
    }
}

impl<S> Upgrade<S> {
    /// Answers with `response` instead, and ends the connection.
    pub const fn refuse(response: Response) -> Self {
        Self { answer: Answer::Now(Decision::Refuse(response)) }
    }

    /// Chooses one of the subprotocols that the client offered
    /// ([`Request::subprotocols`](ringwire_protocol::handshake::Request::subprotocols)). One that
    /// it did not offer turns the answer into a 500.
    pub fn subprotocol(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        if let Answer::Now(Decision::Accept(acceptance)) = &mut self.answer {
            acceptance.subprotocol = Some(name.into());
        }
        self
    }

    /// Adds a header to the answer. One that the handshake writes itself, or that is none, turns
    /// the answer into a 500.
    pub fn header(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Cow<'static, str>>,
    ) -> Self {
        match &mut self.answer {
            Answer::Now(Decision::Accept(acceptance)) => {
                acceptance.headers.push((name.into(), value.into()));
            }
            Answer::Now(Decision::Refuse(response)) => {
                *response = response.clone().header(name, value);
            }
            // Nothing is decided yet.
            Answer::Later(_) => {}
        }
        self
    }

    /// Chooses how this connection is compressed, or that it is not, whatever
    /// [`Config::compression`](crate::Config::compression) says. It is where the client offers it.
    pub fn compression(mut self, compression: Option<Compression>) -> Self {
        if let Answer::Now(Decision::Accept(acceptance)) = &mut self.answer {
            acceptance.compression = Some(compression);
        }
        self
    }

    /// Takes the connection's messages in chunks, by [`Handler::chunk`](crate::Handler::chunk), and
    /// never holds one whole. Default `false`. [`Connection::set_streaming`] changes it later.
    ///
    /// [`Connection::set_streaming`]: crate::Connection::set_streaming
    pub fn streaming(mut self, streaming: bool) -> Self {
        if let Answer::Now(Decision::Accept(acceptance)) = &mut self.answer {
            acceptance.streaming = streaming;
        }
        self
    }

    /// Sets the state that the connection begins with.
    pub fn state(mut self, state: S) -> Self {
        if let Answer::Now(Decision::Accept(acceptance)) = &mut self.answer {
            acceptance.state = state;
        }
        self
    }
}
