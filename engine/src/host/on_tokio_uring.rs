//! On a `tokio-uring` runtime: the worker's operations are in the runtime's ring.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::{Part, Ready, serve};
use crate::driver::tokio_uring::TokioUring;
use crate::error::{Error, HostError};
use crate::handler::Handler;
use crate::server::Server;
use crate::signal::Signal;

impl Server {
    /// Serves until [`Handle::stop`](crate::Handle::stop), as a task of the calling thread, in the
    /// ring of its `tokio-uring` runtime: the server has one worker. `factory` is called once, with
    /// 0, for its handler.
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
    /// let server = Server::bind("127.0.0.1:0", Config { workers: 1, ..Config::default() })?;
    /// let handle = server.handle();
    /// tokio_uring::start(async {
    ///     let hosted = tokio_uring::spawn(server.host_on_tokio_uring(|_worker| Echo));
    ///     // Whatever else the program does.
    ///     tokio_uring::no_op().await?;
    ///     handle.stop();
    ///     hosted.await??;
    ///     Ok::<(), Box<dyn std::error::Error>>(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Host`], [`Error::Ring`] where there is no descriptor left.
    ///
    /// # Panics
    /// Outside of a `tokio-uring` runtime, on a thread of another `tokio` runtime. A handler's
    /// panic is the task's.
    pub async fn host_on_tokio_uring<H: Handler>(
        self,
        factory: impl FnOnce(usize) -> H,
    ) -> Result<(), Error> {
        self.only_part()?.host_on_tokio_uring(factory).await
    }
}

impl Part {
    /// Serves this part until [`Handle::stop`](crate::Handle::stop), as a task of the calling
    /// thread: as [`Server::host_on_tokio_uring`]. `factory` is called once, with the part's
    /// number.
    ///
    /// # Errors
    /// As [`Server::host_on_tokio_uring`].
    ///
    /// # Panics
    /// As [`Server::host_on_tokio_uring`].
    pub async fn host_on_tokio_uring<H: Handler>(
        self,
        factory: impl FnOnce(usize) -> H,
    ) -> Result<(), Error> {
        let Self { mut seat, end } = self;
        // Dropped last.
        let _end = end;
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(Error::Host(HostError::NoRuntime));
        }
        let signal = Arc::new(Signal::default());
        let (pool, listening) = (seat.pool(), seat.listening.take());
        let driver = TokioUring::new(listening, pool, Arc::clone(&signal)).map_err(Error::Ring)?;
        serve(seat, driver, factory, signal, Signalled).await
    }
}

/// All that completes is told by the signal.
struct Signalled;

impl Ready for Signalled {
    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}
