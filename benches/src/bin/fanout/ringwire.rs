//! This engine: every connection subscribes one topic, and whoever asks has messages published to
//! it, by the handler or by another thread.

use std::error::Error;
use std::sync::mpsc::{self, Sender};
use std::thread;

use ringwire::topic::Pattern;
use ringwire::{Config, Connection, Handle, Handler, Message, Overflow, Server, SlowConsumer};
use ringwire_benches::order::{Order, Series, announce};

const TOPIC: &str = "fan";

/// Who publishes.
pub(crate) enum Publisher {
    /// The handler, with [`Connection::publish`].
    Handler,
    /// A thread of the application's, with [`Handle::publish`].
    Thread,
}

/// Serves until its input is closed. More than `waiting` bytes wait for nobody: the oldest messages
/// are dropped.
pub(crate) fn serve(publisher: &Publisher, waiting: usize) -> Result<(), Box<dyn Error>> {
    let policy = SlowConsumer {
        overflow: Overflow::DropOldest,
        size_max: waiting,
        ..SlowConsumer::default()
    };
    let config = Config {
        workers: 1,
        pin_workers: false,
        ping_interval: None,
        slow_consumer: policy,
        // What the kernel holds for those that read nothing is memory that it takes anew, while the
        // others wait.
        unsent_max: u32::try_from(waiting / 4).ok(),
        ..Config::default()
    };
    let server = Server::bind("127.0.0.1:0", config)?;
    let thread = match publisher {
        Publisher::Handler => None,
        Publisher::Thread => Some(start(server.handle())),
    };
    announce(server.address().ok_or("it listens on no address")?.port())?;
    server.run(|_worker| Fan { thread: thread.clone(), series: Series::default() })?;
    Ok(())
}

/// A thread that publishes what it is asked for.
fn start(handle: Handle) -> Sender<Order> {
    let (sender, orders) = mpsc::channel::<Order>();
    thread::spawn(move || {
        let mut series = Series::default();
        for Order { count, size } in orders {
            for _ in 0..count {
                // It fails when the server has ended, and this process with it.
                let _published = handle.publish(TOPIC, series.message(size));
            }
        }
    });
    sender
}

struct Fan {
    thread: Option<Sender<Order>>,
    series: Series,
}

impl Handler for Fan {
    type State = ();

    fn open(&mut self, connection: &mut Connection<'_, ()>) {
        let pattern = Pattern::new(TOPIC);
        let subscribed = pattern.is_ok_and(|pattern| connection.subscribe(pattern) == Ok(true));
        // Who counts its subscribers notices.
        if !subscribed {
            connection.terminate();
        }
    }

    fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
        let Message::Text(text) = &message else { return };
        let Some(order) = Order::parse(text.as_str()) else { return };
        if let Some(thread) = &self.thread {
            let _sent = thread.send(order);
            return;
        }
        for _ in 0..order.count {
            let _published = connection.publish(TOPIC, self.series.message(order.size));
        }
    }
}
