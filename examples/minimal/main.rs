//! The smallest server: greets, echoes, and says why connections ended.

use ringwire::{Cause, Config, Connection, Error, Handler, Message, Server};

struct Echo;

/// What is kept for each connection.
#[derive(Default)]
struct Count(u64);

impl Handler for Echo {
    type State = Count;

    fn open(&mut self, connection: &mut Connection<'_, Count>) {
        connection.send("welcome");
    }

    fn message(&mut self, connection: &mut Connection<'_, Count>, message: Message<'_>) {
        connection.state().0 += 1;
        connection.send(&message);
    }

    fn error(&mut self, connection: &mut Connection<'_, Count>, cause: &Cause) {
        eprintln!("{:?} after {} messages: {cause}", connection.id(), connection.state().0);
    }
}

fn main() -> Result<(), Error> {
    Server::bind("127.0.0.1:9002", Config::default())?.run(|_worker| Echo)
}
