//! The decision about a client that asks for a connection, made later and elsewhere.

use std::error::Error;
use std::fmt;

use ringwire_protocol::handshake::Response;

use crate::conn::promise::{Abandoned, Promise, promise};
use crate::conn::upgrade::{Answer, Decision, Upgrade};

/// What decides about a client whose request was put off ([`Upgrade::later`]): once, from any
/// thread where the state `S` may go there. Dropped without a decision it answers 500.
///
/// It knows nothing of the request, which is gone when the handler returns: a handler copies what
/// is needed to decide (the path, a cookie, the [address](crate::Request::peer)).
#[must_use = "dropped, it answers 500"]
pub struct Later<S> {
    promise: Promise<Decision<S>>,
}

/// A decision that nobody waits for any more, given back. Nothing has happened.
#[non_exhaustive]
pub struct TooLate<S> {
    /// What was decided, with the state that the connection was to begin with.
    pub upgrade: Upgrade<S>,
    /// Why nobody waits.
    pub reason: Abandoned,
}

impl<S> Upgrade<S> {
    /// Decides later: the handler returns the first half, and the second one says what the answer
    /// is, from any thread, when a database or another service has been asked.
    ///
    /// Meanwhile the client waits, at most for
    /// [`Config::upgrade_timeout`](crate::Config::upgrade_timeout); then it is answered with 503.
    /// It counts as a handshake ([`Config::handshakes_max`](crate::Config::handshakes_max)), but is
    /// not one that gives way to a newer one: its request is here, and it is this side that takes
    /// its time. Where so many wait that there is no room, it is newcomers that are refused.
    ///
    /// What it sends before it is answered, as no client should, is kept and comes after `open`, in
    /// order. No more of it is read than a head may have
    /// ([`HandshakeLimits::head_size_max`](crate::HandshakeLimits::head_size_max)) and what had
    /// arrived by then. Unless it has sent that much, its end is seen at once, and all of it is
    /// freed.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use ringwire::{Connection, Handler, Later, Message, Request, Response, Upgrade};
    ///
    /// /// Who a token belongs to is known elsewhere.
    /// struct Members {
    ///     lookups: mpsc::Sender<(String, Later<String>)>,
    /// }
    ///
    /// impl Handler for Members {
    ///     type State = String;
    ///
    ///     fn upgrade(&mut self, request: &Request<'_>) -> Upgrade<String> {
    ///         let token = request.query().unwrap_or_default().to_owned();
    ///         let (upgrade, later) = Upgrade::later();
    ///         // If nobody is there to look it up, `later` is dropped, and the answer is 500.
    ///         let _sent = self.lookups.send((token, later));
    ///         upgrade
    ///     }
    ///
    ///     fn open(&mut self, connection: &mut Connection<'_, String>) {
    ///         let greeting = format!("hello, {}", connection.state());
    ///         connection.send(&greeting);
    ///     }
    ///
    ///     fn message(&mut self, _: &mut Connection<'_, String>, _: Message<'_>) {}
    /// }
    ///
    /// /// A thread of its own, which may take its time.
    /// fn look_up(requests: mpsc::Receiver<(String, Later<String>)>) {
    ///     for (token, later) in requests {
    ///         let decision = match &*token {
    ///             "token=7" => Upgrade::accept().state("Ada".to_owned()),
    ///             _ => Upgrade::refuse(Response::text(401, "Log in first.\n")),
    ///         };
    ///         if let Err(late) = later.decide(decision) {
    ///             println!("nobody waits any more: {}", late.reason);
    ///         }
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::io::{Read, Write};
    /// use ringwire::{Config, Server};
    ///
    /// let (lookups, requests) = mpsc::channel();
    /// std::thread::spawn(move || look_up(requests));
    /// let config = Config { workers: 1, pin_workers: false, ..Config::default() };
    /// let server = Server::bind("127.0.0.1:0", config)?;
    /// # let (address, handle) = (server.address().ok_or("it listens")?, server.handle());
    /// # let ask = move |token: &str, end: &str| -> std::io::Result<Vec<u8>> {
    /// #     let mut stream = std::net::TcpStream::connect(address)?;
    /// #     write!(stream, "GET /?token={token} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
    /// #         Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    /// #         Sec-WebSocket-Version: 13\r\n\r\n")?;
    /// #     let mut answer = Vec::new();
    /// #     while !answer.ends_with(end.as_bytes()) {
    /// #         let mut byte = [0; 1];
    /// #         stream.read_exact(&mut byte)?;
    /// #         answer.extend(byte);
    /// #     }
    /// #     Ok(answer)
    /// # };
    /// # let client = std::thread::spawn(move || {
    /// #     let answers = (ask("7", "hello, Ada"), ask("8", "Log in first.\n"));
    /// #     handle.stop_now();
    /// #     answers
    /// # });
    /// server.run(|_worker| Members { lookups: lookups.clone() })?;
    /// # let (member, other) = client.join().expect("the client does not panic");
    /// # assert!(member?.starts_with(b"HTTP/1.1 101 "));
    /// # assert!(other?.starts_with(b"HTTP/1.1 401 "));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "without its first half nobody waits, without the second one the answer is 500"]
    pub fn later() -> (Self, Later<S>) {
        let (promise, awaited) = promise();
        (Self { answer: Answer::Later(awaited) }, Later { promise })
    }
}

impl<S> Later<S> {
    /// Answers as the handler could have answered at once. It never blocks, and no mailbox is too
    /// full for it. That nobody has left yet does not say that the client will not, before its
    /// worker gets to it: then the decision is dropped, by the worker.
    ///
    /// One that is itself put off is answered with 500.
    ///
    /// # Errors
    /// [`TooLate`] has the decision back, and says why nobody waits for it.
    pub fn decide(self, upgrade: Upgrade<S>) -> Result<(), TooLate<S>> {
        let decision = match upgrade.answer {
            Answer::Now(decision) => decision,
            Answer::Later(_) => Decision::Refuse(undecided()),
        };
        self.promise.keep(decision).map_err(|(decision, reason)| {
            let upgrade = Upgrade { answer: Answer::Now(decision) };
            TooLate { upgrade, reason }
        })
    }

    /// Whether a decision is wanted still. Who has much to do for one may look again meanwhile.
    ///
    /// ```
    /// use ringwire::{Abandoned, Upgrade};
    ///
    /// let (upgrade, later) = Upgrade::<u32>::later();
    /// assert!(later.is_awaited());
    /// // The handler has better ideas.
    /// drop(upgrade);
    /// assert!(!later.is_awaited());
    /// let late = later.decide(Upgrade::accept().state(7)).expect_err("nobody waits");
    /// assert_eq!(late.reason, Abandoned::Unused);
    /// ```
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.promise.is_awaited()
    }
}

impl<S> fmt::Display for TooLate<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "nobody waits for the decision: {}", self.reason)
    }
}

/// Without the state, which need not be such that it can be shown.
impl<S> fmt::Debug for TooLate<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TooLate").field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl<S> Error for TooLate<S> {}

impl<S> fmt::Debug for Later<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Later").field("is_awaited", &self.is_awaited()).finish()
    }
}

/// What a client is told about which nobody has decided.
pub(super) fn undecided() -> Response {
    Response::text(500, "The server has not decided.\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn is_send<T: Send>() {}

    #[test]
    fn it_goes_where_its_state_may() {
        is_send::<Later<u32>>();
        is_send::<TooLate<String>>();
    }
}
