//! On a `tokio` runtime: the worker keeps its own driver, and sleeps where the runtime does.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::{Part, Ready, serve};
use crate::driver::epoll::Epoll;
use crate::driver::uring::Uring;
use crate::driver::{Driver, Readiness, ladder};
use crate::error::{Error, HostError};
use crate::handler::Handler;
use crate::probe::DriverKind;
use crate::seat::Seat;
use crate::server::Server;

impl Server {
    /// Serves until [`Handle::stop`](crate::Handle::stop), as a task of the calling thread: the
    /// server has one worker. `factory` is called once, with 0, for its handler.
    ///
    /// See [`host`](crate::host) for how the worker and the runtime share the thread. When the
    /// future is dropped, the worker ends at once, and its connections with it.
    ///
    /// ```
    /// # use ringwire::{Config, Connection, Handler, Message, Server};
    /// # struct Echo;
    /// # impl Handler for Echo {
    /// #     type State = ();
    /// #     fn message(&mut self, connection: &mut Connection<'_, ()>, message: Message<'_>) {
    /// #         connection.send(&message);
    /// #     }
    /// # }
    /// let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    /// let server = Server::bind("127.0.0.1:0", Config { workers: 1, ..Config::default() })?;
    /// let handle = server.handle();
    /// tokio::task::LocalSet::new().block_on(&runtime, async {
    ///     let hosted = tokio::task::spawn_local(server.host_on_tokio(|_worker| Echo));
    ///     // Whatever else the program does.
    ///     tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    ///     handle.stop();
    ///     hosted.await
    /// })??;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Host`], [`Error::IoUring`] and [`Error::Epoll`] before anything is served,
    /// [`Error::Ring`] after.
    ///
    /// # Panics
    /// Where the runtime has neither its I/O nor its time enabled, as tokio's own sockets and
    /// timers do. A handler's panic is the task's.
    pub async fn host_on_tokio<H: Handler>(
        self,
        factory: impl FnOnce(usize) -> H,
    ) -> Result<(), Error> {
        self.only_part()?.host_on_tokio(factory).await
    }
}

impl Part {
    /// Serves this part until [`Handle::stop`](crate::Handle::stop), as a task of the calling
    /// thread: as [`Server::host_on_tokio`]. `factory` is called once, with the part's number.
    ///
    /// # Errors
    /// As [`Server::host_on_tokio`].
    ///
    /// # Panics
    /// As [`Server::host_on_tokio`].
    pub async fn host_on_tokio<H: Handler>(
        self,
        factory: impl FnOnce(usize) -> H,
    ) -> Result<(), Error> {
        let Self { mut seat, end } = self;
        // Dropped last.
        let _end = end;
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(Error::Host(HostError::NoRuntime));
        }
        let (pool, listening) = (seat.pool(), seat.listening.take());
        match seat.handle.probe().kind() {
            DriverKind::Epoll => {
                let driver = Epoll::new(listening, pool).map_err(Error::Epoll)?;
                serve_ready(seat, driver, factory).await
            }
            _ => {
                let driver = Uring::hosted(listening, pool);
                let driver = driver
                    .map_err(|(step, source)| Error::IoUring(ladder::refusal(step, source)))?;
                serve_ready(seat, driver, factory).await
            }
        }
    }
}

/// Serves with a driver whose descriptor is readable when it has something.
async fn serve_ready<D: Driver + AsRawFd, H: Handler>(
    seat: Seat,
    driver: D,
    factory: impl FnOnce(usize) -> H,
) -> Result<(), Error> {
    let readiness = Readiness::new(&driver).map_err(Error::Ring)?;
    serve(seat, driver, factory, Arc::default(), readiness).await
}

impl Ready for Readiness {
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(context)
    }
}
