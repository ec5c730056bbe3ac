//! Where the tests' servers run: on threads of their own, or in other runtimes.

use ringwire::{Error, Handler, Server};

/// Whether the tests' servers use the ring of `tokio-uring`: it is not the engine that enters it.
#[must_use]
pub fn is_in_tokio_uring() -> bool {
    std::env::var("RINGWIRE_TEST_HOST").is_ok_and(|host| host == "tokio-uring")
}

/// Serves until the server has ended, where the variable `RINGWIRE_TEST_HOST` says: in `tokio` or
/// in `tokio-uring`, each part on a thread, and otherwise on threads of the server's own.
pub(crate) fn run<H: Handler>(
    server: Server,
    factory: impl Fn(usize) -> H + Send + Sync,
    ready: impl FnOnce(),
) -> Result<(), Error> {
    match std::env::var("RINGWIRE_TEST_HOST").as_deref() {
        #[cfg(feature = "hosts")]
        Ok("tokio") => hosted::run(server, factory, ready, hosted::tokio),
        #[cfg(feature = "hosts")]
        Ok("tokio-uring") => hosted::run(server, factory, ready, hosted::tokio_uring),
        Ok(host) => panic!("this was built without a host {host:?}"),
        Err(_) => server.run_with(factory, ready),
    }
}

#[cfg(feature = "hosts")]
mod hosted {
    use std::thread;

    use ringwire::{Error, Handler, Part, Server};

    pub(super) fn run<H: Handler, F: Fn(usize) -> H + Send + Sync>(
        server: Server,
        factory: F,
        ready: impl FnOnce(),
        host: impl Fn(Part, &F) -> Result<(), Error> + Send + Sync,
    ) -> Result<(), Error> {
        let (factory, host) = (&factory, &host);
        thread::scope(|scope| {
            let parts = server.parts().into_iter();
            let spawn = |part: Part| {
                let name = format!("ringwire-{}", part.number());
                let thread = thread::Builder::new().name(name);
                thread.spawn_scoped(scope, move || host(part, factory)).expect("a thread starts")
            };
            let threads: Vec<_> = parts.map(spawn).collect();
            // Peers wait in the backlog until all of them serve.
            ready();
            let ended = threads.into_iter().map(|thread| thread.join());
            ended
                .map(|ended| ended.unwrap_or(Err(Error::HandlerPanicked)))
                .fold(Ok(()), Result::and)
        })
    }

    pub(super) fn tokio<H: Handler>(
        part: Part,
        factory: &impl Fn(usize) -> H,
    ) -> Result<(), Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime starts");
        tokio::task::LocalSet::new().block_on(&runtime, part.host_on_tokio(factory))
    }

    pub(super) fn tokio_uring<H: Handler>(
        part: Part,
        factory: &impl Fn(usize) -> H,
    ) -> Result<(), Error> {
        tokio_uring::start(part.host_on_tokio_uring(factory))
    }
}
