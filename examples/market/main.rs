//! A market: publishes the quotes of thousands of invented instruments, and shows a page with them.

use std::error::Error;
use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::{env, thread};

use feed::Feed;
use generator::{Counters, Generator};
use instruments::Instruments;
use options::{HELP, Options};
use quote::{Encoding, Quote};
use request::Parser;
use ringwire::topic::RetainedLimits;
use ringwire::{Config, Limits, Overflow, SlowConsumer, Subscription};
use ringwire_examples::{Metrics, bind, give_back_memory, run, serve};

mod demand;
mod feed;
mod generator;
mod instruments;
mod options;
mod pace;
mod quote;
mod request;
mod walk;

/// A message that is no request, and too large to be told so.
const MESSAGE_SIZE_MAX: usize = 64 << 10;

/// What the kernel takes for a client and has not sent yet is out of reach, and grows old there: a
/// flight of the engine's, and no more.
const UNSENT_MAX: u32 = 64 << 10;

fn main() -> ExitCode {
    give_back_memory();
    let listen = env::var("RINGWIRE_LISTEN").ok();
    let options = Options::read(env::args_os().skip(1), listen);
    run("market", HELP, options, open)
}

/// Opens the market until it is stopped.
fn open(options: Options) -> Result<(), Box<dyn Error>> {
    let instruments = Arc::new(Instruments::new(options.instruments));
    let server = bind(&options.listen, config(&options))?;
    let handle = server.handle();
    let (notices, noticed) = mpsc::channel();
    let counters = Counters::default();
    let table: Arc<str> = instruments.json().into();
    let subscription = subscription(&options);
    let walk = (options.seed, options.rate);
    let generator = Generator::new(handle.clone(), instruments, noticed, walk, counters.clone());
    let generator = thread::Builder::new().name("generator".into()).spawn(|| generator.run())?;
    let served = serve(server, move |_worker| {
        let mut metrics = Metrics::new(handle.clone());
        counters.register(metrics.registry());
        let (notices, instruments) = (notices.clone(), Arc::clone(&table));
        Feed { notices, instruments, subscription, metrics, parser: Parser::new() }
    });
    // It ends with the last of the notices' senders, which the workers had.
    generator.join().map_err(|_| "the generator has panicked")?;
    served
}

/// Bytes that may wait for a client: a quote of each instrument in any encoding, with what the
/// engine keeps for it. So nothing is ever too much for one that is slow, and nothing is dropped
/// but what is replaced.
fn waiting_max(options: &Options) -> usize {
    (64 << 10) + 2 * options.instruments * Quote::JSON_SIZE_MAX
}

/// How clients subscribe: the last values first, and when they are slow the newest of each topic.
fn subscription(options: &Options) -> Subscription {
    let slow_consumer = SlowConsumer {
        overflow: Overflow::Conflate,
        size_max: waiting_max(options),
        ..SlowConsumer::default()
    };
    Subscription { snapshot: true, slow_consumer: Some(slow_consumer) }
}

fn config(options: &Options) -> Config {
    let defaults = Config::default();
    let (size, retained) = (MESSAGE_SIZE_MAX, RetainedLimits::default());
    Config {
        workers: options.workers,
        limits: Limits { message_size_max: size, frame_size_max: size, ..defaults.limits },
        // A client that is slow is still answered: what waits for it is bounded.
        outbox_high: defaults.outbox_high.max(waiting_max(options)),
        unsent_max: Some(UNSENT_MAX),
        retained: RetainedLimits {
            count_max: retained.count_max.max(Encoding::ALL.len() * options.instruments),
            ..retained
        },
        ..defaults
    }
}
