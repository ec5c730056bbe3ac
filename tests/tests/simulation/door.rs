//! How many requests may be answered, counted token by token.

use std::time::Duration;

use ringwire::Config;

/// The bucket of a server that limits the rate of requests, or none.
pub(crate) struct Door {
    interval: Duration,
    /// Time worth as many tokens as it may have.
    all: Duration,
    /// Time worth as many as it has.
    tokens: Duration,
    now: Duration,
    /// Requests that the handler was asked about until now.
    asked: u64,
}

impl Door {
    pub(crate) fn new(config: &Config) -> Self {
        let interval = Self::interval(config);
        let all = interval.saturating_mul(config.handshake_burst);
        Self { interval, all, tokens: all, now: Duration::ZERO, asked: 0 }
    }

    /// In which a token comes. Where there is no limit they need no time.
    pub(crate) fn interval(config: &Config) -> Duration {
        let rate = config.handshake_rate;
        rate.map_or(Duration::ZERO, |rate| Duration::from_nanos(1_000_000_000 / u64::from(rate)))
    }

    /// Requests that a bucket which is full lets through at once.
    pub(crate) fn at_once(config: &Config) -> usize {
        let burst = usize::try_from(config.handshake_burst).unwrap();
        if config.handshake_rate.is_some() { burst } else { usize::MAX }
    }

    /// A turn has ended, at this time, and so many were asked about by then.
    pub(crate) fn check(&mut self, now: Duration, asked: u64) {
        self.tokens = self.all.min(self.tokens + (now - self.now));
        let spent = self.interval * u32::try_from(asked - self.asked).unwrap();
        let left = self.tokens.checked_sub(spent);
        self.tokens = left.expect("more requests are answered than tokens have come");
        (self.now, self.asked) = (now, asked);
    }
}
