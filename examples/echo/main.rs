//! An echo server: sends every message back, and shows a page that tries it and one of what it has
//! counted.

use std::env;
use std::process::ExitCode;

use options::{HELP, Options};
use ringwire::{Connection, Handler, Message, Request, Response, Upgrade};
use ringwire_examples::{Metrics, bind, give_back_memory, run, serve};

mod options;

const PAGE: &str = include_str!("page.html");

struct Echo {
    metrics: Metrics,
}

impl Handler for Echo {
    type State = ();

    fn upgrade(&mut self, request: &Request<'_>) -> Upgrade<()> {
        // A client that offers subprotocols fails where none is chosen; an echo speaks any.
        match request.subprotocols().next() {
            Some(name) => Upgrade::accept().subprotocol(name.to_owned()),
            None => Upgrade::accept(),
        }
    }

    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        connection.send_back(message);
    }

    fn request(&mut self, request: &Request<'_>) -> Response {
        match request.path() {
            "/" => Response::text(200, PAGE)
                .header("Content-Type", "text/html; charset=utf-8")
                .header("Cache-Control", "no-store"),
            "/metrics" => self.metrics.response(),
            _ => {
                Response::text(404, "There are only pages at / and /metrics, and the WebSocket.\n")
            }
        }
    }
}

fn main() -> ExitCode {
    give_back_memory();
    let listen = env::var("RINGWIRE_LISTEN").ok();
    let options = Options::read(env::args_os().skip(1), listen);
    run("echo", HELP, options, |options| {
        let server = bind(&options.listen, options.config)?;
        let handle = server.handle();
        serve(server, |_worker| Echo { metrics: Metrics::new(handle.clone()) })
    })
}
