//! What a worker is started with, and the one place that knows which driver it has.

use std::sync::Arc;

use crate::admission::Admission;
use crate::config::Settings;
use crate::driver::epoll::Epoll;
use crate::driver::uring::Uring;
use crate::driver::{BufferPool, Driver, Listening, ladder};
use crate::error::Error;
use crate::handle::Handle;
use crate::handler::Handler;
use crate::probe::DriverKind;
use crate::worker::{Outside, Worker};
use crate::{affinity, trace};

/// One worker's place in a server.
#[derive(Debug)]
pub(crate) struct Seat {
    /// From 0, and one of those that the handle reaches.
    pub(crate) number: usize,
    /// What it accepts from, if it does.
    pub(crate) listening: Option<Listening>,
    pub(crate) settings: Settings,
    pub(crate) admission: Arc<Admission>,
    pub(crate) handle: Handle,
}

impl Seat {
    /// Serves until the server is stopped, on the calling thread. `started` is called once it can.
    pub(crate) fn serve<H: Handler>(
        mut self,
        factory: impl Fn(usize) -> H,
        started: impl FnOnce(),
    ) -> Result<(), Error> {
        if let Some(core) = self.settings.cores.get(self.number) {
            affinity::pin(*core);
        }
        let (pool, listening) = (self.pool(), self.listening.take());
        match self.handle.probe().kind() {
            DriverKind::Epoll => {
                let driver = Epoll::new(listening, pool).map_err(Error::Epoll)?;
                self.run(driver, factory, started)
            }
            _ => {
                let driver = Uring::new(listening, pool);
                let mut driver = driver
                    .map_err(|(step, source)| Error::IoUring(ladder::refusal(step, source)))?;
                if let Some(time) = self.settings.config.busy_poll
                    && let Err(error) = driver.poll_cards(time)
                {
                    trace::ring_polls_not(self.name(), &error);
                }
                self.run(driver, factory, started)
            }
        }
    }

    fn run<D: Driver, H: Handler>(
        self,
        driver: D,
        factory: impl Fn(usize) -> H,
        started: impl FnOnce(),
    ) -> Result<(), Error> {
        let Some(mut worker) = self.worker(driver, factory) else { return Ok(()) };
        started();
        worker.run().map_err(Error::Ring)
    }

    /// The receive buffers that its driver is to have.
    pub(crate) fn pool(&self) -> BufferPool {
        let config = &self.settings.config;
        BufferPool { count: config.buffers, size: config.buffer_size }
    }

    /// The worker, on this driver.
    pub(crate) fn worker<D: Driver, H: Handler>(
        self,
        driver: D,
        factory: impl FnOnce(usize) -> H,
    ) -> Option<Worker<D, H>> {
        let (name, Self { number, settings, admission, handle, .. }) = (self.name(), self);
        let mailbox = handle.mailboxes.get(number).cloned()?;
        let board = handle.boards.get(number).cloned()?;
        let stop = Arc::clone(&handle.stop);
        let outside = Outside { mailbox, board, stop, admission, handle };
        Some(Worker::new(driver, factory(number), settings, name, outside))
    }

    /// There are at most 256 workers.
    fn name(&self) -> u8 {
        u8::try_from(self.number).unwrap_or(u8::MAX)
    }
}
