//! A chat, as an application of axum has it: a page, sessions by cookie, middleware. Its WebSocket
//! route answers the upgrade by itself and hands the socket over to the engine, which has no port
//! of its own for anybody.
//!
//! ```text
//!   browser ──▶ axum: log ─▶ session ─▶ route ──▶ page, login, logout
//!                                         │
//!                                         ▼ /chat: 101, the socket, and what has been read of it
//!                                       engine: rooms, who is there, what was said last
//! ```

use std::error::Error;
use std::sync::Arc;
use std::{env, thread};

use ringwire::{Config, Limits, Server};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use app::App;
use chat::Chat;
use rooms::Rooms;
use session::Sessions;

mod app;
mod chat;
mod hand_over;
mod log;
mod rooms;
mod session;

/// Bytes of the largest message of a client: a text of the largest size, escaped.
const MESSAGE_SIZE_MAX: usize = 16 << 10;

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9006".to_owned());
    let (rooms, sessions) = (Arc::new(Rooms::default()), Arc::new(Sessions::default()));
    // Nobody comes but by the application: it listens nowhere.
    let server = Server::listen_on([], config())?;
    let handle = server.handle();
    let app = App { sessions: Arc::clone(&sessions), handle: handle.clone() };
    let engine = thread::Builder::new().name("engine".to_owned()).spawn(move || {
        server.run(|_worker| Chat { rooms: Arc::clone(&rooms), sessions: Arc::clone(&sessions) })
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(serve(&address, app));
    // Those that chat are told, each by a close frame.
    handle.stop();
    engine.join().map_err(|_| "the engine has panicked")??;
    served
}

/// Serves pages until a signal comes.
async fn serve(address: &str, app: App) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(address).await?;
    eprintln!("listening on http://{}", listener.local_addr()?);
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stop = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    axum::serve(listener, app::routes(app)).with_graceful_shutdown(stop).await?;
    Ok(())
}

fn config() -> Config {
    let limits = Limits {
        message_size_max: MESSAGE_SIZE_MAX,
        frame_size_max: MESSAGE_SIZE_MAX,
        ..Limits::default()
    };
    // The application has the other cores.
    Config { workers: 1, pin_workers: false, limits, ..Config::default() }
}
