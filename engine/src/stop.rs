//! How a server is to end.

use std::time::Duration;

use ringwire_protocol::{Close, Misuse};

use crate::config::Config;

/// A stop: what the peers are told, and when. [`Handle::stop_with`](crate::Handle::stop_with) asks
/// for it.
///
/// ```
/// use std::time::Duration;
/// use ringwire::{Config, Server, Stop};
///
/// let server = Server::bind("127.0.0.1:0", Config { workers: 1, ..Config::default() })?;
/// let stop = Stop {
///     code: 1012,
///     reason: "back in a minute".into(),
///     spread: Duration::from_secs(20),
///     ..Stop::default()
/// };
/// assert_eq!(server.handle().stop_with(stop), Ok(()));
/// # Ok::<(), ringwire::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The code of the close frames. Default 1001, "going away".
    pub code: u16,
    /// Their reason, at most 123 bytes. Default none.
    pub reason: String,
    /// The close frames are sent one after another over this long, at moments of chance, so that
    /// the clients do not come back to another server all at once. Default that of
    /// [`Config::stop_spread`].
    pub spread: Duration,
    /// How long the closing handshakes may take after the last close frame. Then what is left is
    /// ended. Default that of [`Config::stop_timeout`].
    pub timeout: Duration,
}

impl Stop {
    /// What a server does that is only told to stop.
    pub(crate) fn of(config: &Config) -> Self {
        let (spread, timeout) = (config.stop_spread, config.stop_timeout);
        Self { code: 1001, reason: String::new(), spread, timeout }
    }

    /// Whether the close frame can be sent.
    pub(crate) fn check(&self) -> Result<(), Misuse> {
        self.close().check()
    }

    /// What a peer is told.
    pub(crate) fn close(&self) -> Close<'_> {
        Close { code: Some(self.code), reason: &self.reason }
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self::of(&Config::default())
    }
}
