//! The chat itself: a handler of the engine's. It is handed connections with their members, and
//! knows nothing of HTTP.

use std::any::Any;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use ringwire::topic::Pattern;
use ringwire::{Closed, Connection, Handler, Message, Post, Request, Response, Upgrade};
use serde::{Deserialize, Serialize};

use crate::rooms::{Room, Rooms, Said};
use crate::session::{Session, Sessions};

/// Characters of what is said at once.
const TEXT_SIZE_MAX: usize = 2000;

/// Rooms that a connection is in.
const JOINED_MAX: usize = 10;

/// One worker's.
#[derive(Debug)]
pub(crate) struct Chat {
    pub(crate) rooms: Arc<Rooms>,
    pub(crate) sessions: Arc<Sessions>,
}

/// A connection, and where it is.
#[derive(Debug, Default)]
pub(crate) struct Member {
    name: String,
    token: String,
    rooms: BTreeSet<String>,
}

impl Member {
    pub(crate) fn new(Session { token, name }: Session) -> Self {
        Self { name, token, rooms: BTreeSet::new() }
    }
}

/// What a client wants.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Wish {
    Join { room: String },
    Leave { room: String },
    Say { room: String, text: String },
}

/// What clients are told.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Told<'a> {
    Welcome {
        name: &'a str,
    },
    History {
        room: &'a str,
        messages: &'a VecDeque<Said>,
    },
    Present {
        room: &'a str,
        names: Vec<&'a str>,
    },
    Said {
        room: &'a str,
        #[serde(flatten)]
        said: &'a Said,
    },
    Error {
        text: &'a str,
    },
}

impl Told<'_> {
    /// There is nothing in it that JSON does not have.
    fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Handler for Chat {
    type State = Member;

    /// Whoever comes past the application has no session.
    fn upgrade(&mut self, _: &Request<'_>) -> Upgrade<Member> {
        Upgrade::refuse(Response::text(403, "Come in by the front door.\n"))
    }

    fn adopt(&mut self, state: Box<dyn Any + Send>) -> Member {
        state.downcast().map_or_else(|_| Member::default(), |member| *member)
    }

    fn open(&mut self, connection: &mut Connection<'_, Member>) {
        let id = connection.id();
        if !self.sessions.enter(&connection.state().token, id) {
            // It has logged out on the way here.
            let _closed = connection.close(4001, "logged out");
            return;
        }
        let welcome = Told::Welcome { name: &connection.state().name }.json();
        connection.send(&welcome);
    }

    fn message(&mut self, connection: &mut Connection<'_, Member>, message: Message<'_>) {
        let done = match serde_json::from_slice(message.as_bytes()) {
            Ok(Wish::Join { room }) => self.join(connection, room),
            Ok(Wish::Leave { room }) => self.leave(connection, &room),
            Ok(Wish::Say { room, text }) => self.say(connection, &room, text),
            Err(_) => Err("That is no request."),
        };
        if let Err(text) = done {
            let error = Told::Error { text }.json();
            connection.send(&error);
        }
    }

    fn close(&mut self, connection: &mut Connection<'_, Member>, _: Closed<'_>) {
        while let Some(room) = connection.state().rooms.first().cloned() {
            let _left = self.leave(connection, &room);
        }
        let id = connection.id();
        self.sessions.leave(&connection.state().token, id);
    }
}

impl Chat {
    fn join(
        &self,
        connection: &mut Connection<'_, Member>,
        room: String,
    ) -> Result<(), &'static str> {
        if connection.state().rooms.len() >= JOINED_MAX {
            return Err("You are in too many rooms.");
        }
        if !connection.state().rooms.insert(room.clone()) {
            return Err("You are there already.");
        }
        let joined = self.rooms.with(&room, |it| {
            let topic = topic(&room);
            let pattern = Pattern::new(&topic).map_err(|_| "There is no such room.")?;
            connection.subscribe(pattern).map_err(|_| "You are in too many rooms.")?;
            // What is being told to others right now may be in both: the numbers say so.
            let history = Told::History { room: &room, messages: it.history() }.json();
            connection.send(&history);
            let is_new = it.enter(&connection.state().name);
            if is_new {
                tell_present(connection, &room, it);
            } else {
                let present = Told::Present { room: &room, names: it.names() }.json();
                connection.send(&present);
            }
            Ok(())
        });
        let joined = joined.unwrap_or(Err("There is no such room."));
        if joined.is_err() {
            connection.state().rooms.remove(&room);
        }
        joined
    }

    fn leave(
        &self,
        connection: &mut Connection<'_, Member>,
        room: &str,
    ) -> Result<(), &'static str> {
        if !connection.state().rooms.remove(room) {
            return Err("You are not there.");
        }
        self.rooms.with(room, |it| {
            if let Ok(pattern) = Pattern::new(&topic(room)) {
                connection.unsubscribe(pattern);
            }
            if it.leave(&connection.state().name) {
                tell_present(connection, room, it);
            }
        });
        Ok(())
    }

    fn say(
        &self,
        connection: &mut Connection<'_, Member>,
        room: &str,
        text: String,
    ) -> Result<(), &'static str> {
        if !connection.state().rooms.contains(room) {
            return Err("You are not there.");
        }
        if text.trim().is_empty() || text.chars().count() > TEXT_SIZE_MAX {
            return Err("A message has 1 to 2000 characters.");
        }
        let name = connection.state().name.clone();
        let said = self.rooms.with(room, |it| {
            it.say(&name, text, now(), |said| tell(connection, room, &Told::Said { room, said }))
        });
        said.unwrap_or(Ok(())).map_err(|()| "The chat is too busy. Say it again.")
    }
}

/// Tells all who are in a room. What has a key comes to all workers in one order.
fn tell(connection: &mut Connection<'_, Member>, room: &str, told: &Told<'_>) -> Result<(), ()> {
    let post = Post::new(told.json()).with_key(room);
    connection.publish(&topic(room), post).map_err(|_| ())
}

/// Who misses this because a worker is too busy is told with the next change.
fn tell_present(connection: &mut Connection<'_, Member>, room: &str, it: &Room) {
    let _told = tell(connection, room, &Told::Present { room, names: it.names() });
}

fn topic(room: &str) -> String {
    format!("rooms.{room}")
}

/// In milliseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
