//! What a worker does for its clients: pages, subprotocols, subscriptions.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use ringwire::topic::Pattern;
use ringwire::{Closed, Connection, Handler, Message, Request, Response, Subscription, Upgrade};
use ringwire_examples::Metrics;

use crate::generator::{Notice, now};
use crate::quote::Encoding;
use crate::request::{Fault, Kind, Parser, RequestError, Topics};

const PAGE: &str = include_str!("page.html");

/// One worker's part of the feed.
pub(crate) struct Feed {
    pub(crate) notices: Sender<Notice>,
    /// The list of instruments.
    pub(crate) instruments: Arc<str>,
    /// How clients subscribe.
    pub(crate) subscription: Subscription,
    pub(crate) metrics: Metrics,
    pub(crate) parser: Parser,
}

/// What a connection has agreed on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Client {
    encoding: Encoding,
}

impl Handler for Feed {
    type State = Client;

    fn upgrade(&mut self, request: &Request<'_>) -> Upgrade<Client> {
        if request.path() != "/" {
            return Upgrade::refuse(Response::text(404, "The feed is at /.\n"));
        }
        let mut is_offered = false;
        for offered in request.subprotocols() {
            is_offered = true;
            let encoding = Encoding::ALL.into_iter().find(|one| one.subprotocol() == offered);
            if let Some(encoding) = encoding {
                let client = Client { encoding };
                return Upgrade::accept().subprotocol(encoding.subprotocol()).state(client);
            }
        }
        if is_offered {
            // Accepted without one, a browser would fail the connection, and any other client that
            // asked for a form of messages it does not know would be sent another one.
            let [json, binary] = Encoding::ALL.map(Encoding::subprotocol);
            let text = format!("The subprotocols are {json} and {binary}; none is {json}.\n");
            return Upgrade::refuse(Response::text(400, text));
        }
        Upgrade::accept()
    }

    fn request(&mut self, request: &Request<'_>) -> Response {
        let json = "application/json; charset=utf-8";
        match request.path() {
            "/" => Response::text(200, PAGE)
                .header("Content-Type", "text/html; charset=utf-8")
                .header("Cache-Control", "no-store")
                // Alone in its process a page may use shared memory, and has finer clocks.
                .header("Cross-Origin-Opener-Policy", "same-origin")
                .header("Cross-Origin-Embedder-Policy", "require-corp"),
            "/instruments" => {
                Response::text(200, self.instruments.to_string()).header("Content-Type", json)
            }
            "/metrics" => self.metrics.response(),
            _ => Response::text(404, "There are /, /instruments, /metrics and the WebSocket.\n"),
        }
    }

    fn open(&mut self, connection: &mut Connection<'_, Client>) {
        let notice = Notice::Opened(connection.state().encoding, connection.id());
        // The generator outlives the workers.
        if self.notices.send(notice).is_ok() {
            connection.pause();
        }
    }

    fn message(&mut self, connection: &mut Connection<'_, Client>, message: Message<'_>) {
        let Message::Text(text) = message else {
            return answer_error(connection, &RequestError { id: None, fault: Fault::NotText });
        };
        self.parser.parse(text.into_bytes(), |request| {
            let answered = request.and_then(|request| {
                let id = request.id;
                perform(connection, id, &request.kind, self.subscription)
                    .map_err(|fault| RequestError { id, fault })
            });
            if let Err(error) = answered {
                answer_error(connection, &error);
            }
        });
    }

    fn close(&mut self, connection: &mut Connection<'_, Client>, _: Closed<'_>) {
        let _told = self.notices.send(Notice::Closed(connection.state().encoding));
    }
}

/// Does what a request asks for, and answers, or says what is wrong with it.
fn perform(
    connection: &mut Connection<'_, Client>,
    id: Option<u64>,
    kind: &Kind<'_, '_>,
    subscription: Subscription,
) -> Result<(), Fault> {
    match kind {
        Kind::Subscribe(topics) => {
            let count = subscribe(connection, topics, subscription)?;
            answer(connection, "subscribed", id, format_args!(",\"topics\":{count}"));
        }
        Kind::Unsubscribe(topics) => {
            let count = unsubscribe(connection, topics)?;
            answer(connection, "unsubscribed", id, format_args!(",\"topics\":{count}"));
        }
        Kind::Time => answer(connection, "time", id, format_args!(",\"time\":{}", now())),
    }
    Ok(())
}

/// Subscribes to all topics of a request, or to none. Says how many are new.
///
/// Nothing is sent until there is a place for each of them: one that is refused after others have
/// brought their last values could not take these back. It still may be where the client takes too
/// little for more last values.
fn subscribe(
    connection: &mut Connection<'_, Client>,
    topics: &Topics<'_, '_>,
    subscription: Subscription,
) -> Result<usize, Fault> {
    let names = names(connection.state().encoding, topics);
    let mut added = Vec::new();
    let subscribed = place(connection, &patterns(&names)?, subscription, &mut added)
        .and_then(|()| begin(connection, &added, subscription));
    if let Err(fault) = subscribed {
        for (_, pattern) in added {
            connection.unsubscribe(pattern);
        }
        return Err(fault);
    }
    Ok(added.len())
}

/// Subscribes without last values, and lists what is new by its index.
fn place<'p>(
    connection: &mut Connection<'_, Client>,
    patterns: &[Pattern<'p>],
    subscription: Subscription,
    added: &mut Vec<(usize, Pattern<'p>)>,
) -> Result<(), Fault> {
    let silent = Subscription { snapshot: false, ..subscription };
    for (index, pattern) in patterns.iter().enumerate() {
        match connection.subscribe_with(*pattern, silent) {
            Ok(true) => added.push((index, *pattern)),
            Ok(false) => {}
            Err(error) => return Err(Fault::Refused(index, error)),
        }
    }
    Ok(())
}

/// Subscribes what has its place anew, with the last values: they come with what is new only.
fn begin(
    connection: &mut Connection<'_, Client>,
    added: &[(usize, Pattern<'_>)],
    subscription: Subscription,
) -> Result<(), Fault> {
    for (index, pattern) in added {
        connection.unsubscribe(*pattern);
        let subscribed = connection.subscribe_with(*pattern, subscription);
        subscribed.map_err(|error| Fault::Refused(*index, error))?;
    }
    Ok(())
}

/// Takes back all subscriptions of a request. Of those that there are not, the first is told.
fn unsubscribe(
    connection: &mut Connection<'_, Client>,
    topics: &Topics<'_, '_>,
) -> Result<usize, Fault> {
    let names = names(connection.state().encoding, topics);
    let mut missing = None;
    for (index, pattern) in patterns(&names)?.into_iter().enumerate() {
        if !connection.unsubscribe(pattern) {
            missing = missing.or(Some(index));
        }
    }
    missing.map_or(Ok(names.len()), |index| Err(Fault::NotSubscribed(index)))
}

/// The topics of a request, as they are named for an encoding.
fn names(encoding: Encoding, topics: &Topics<'_, '_>) -> Vec<String> {
    topics.iter().map(|topic| format!("{}{topic}", encoding.prefix())).collect()
}

/// The names as patterns. With what stands before them they may be too long to be some.
fn patterns(names: &[String]) -> Result<Vec<Pattern<'_>>, Fault> {
    let pattern =
        |(index, name)| Pattern::new(name).map_err(|error| Fault::BadPattern(index, error));
    names.iter().map(String::as_str).enumerate().map(pattern).collect()
}

fn answer_error(connection: &mut Connection<'_, Client>, error: &RequestError) {
    let RequestError { id, fault } = error;
    let code = fault.code();
    let rest = format_args!(",\"code\":\"{code}\",\"message\":\"{fault}\"");
    answer(connection, "error", *id, rest);
}

/// Sends an answer, as text whatever the encoding of quotes is.
fn answer(
    connection: &mut Connection<'_, Client>,
    kind: &str,
    id: Option<u64>,
    rest: std::fmt::Arguments<'_>,
) {
    let mut text = format!("{{\"type\":\"{kind}\",\"id\":");
    // Writing to a string does not fail.
    let _written = match id {
        Some(id) => write!(text, "{id}{rest}}}"),
        None => write!(text, "null{rest}}}"),
    };
    connection.send(&text);
}
