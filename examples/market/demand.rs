//! Whether quotes are wanted in an encoding: somebody is connected for it, or was a moment ago.
//!
//! ```text
//!             open                 close, the last            LINGER
//!   Nobody ─────────▶ Connected ──────────────────▶ Left ───────────────▶ Nobody
//!     refresh             ▲ open, close              │
//!                         └──────────────────────────┘ open
//! ```
//!
//! To begin with an encoding costs a quote of every instrument. Because it goes on for a while when
//! all have left, clients that come and go cannot have that done again and again.

use std::time::Duration;

/// What there is to an encoding. Times are since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Demand {
    /// Nothing is published in it, and what has been retained is old.
    #[default]
    Nobody,
    /// So many are connected, at least one.
    Connected(usize),
    /// The last one left at this time. It is published all the same.
    Left(Duration),
}

/// How long it goes on without anybody.
pub(crate) const LINGER: Duration = Duration::from_secs(2);

impl Demand {
    /// Somebody has connected. Says whether the last values are to be published anew.
    pub(crate) const fn open(&mut self) -> bool {
        let (next, is_refreshed) = match *self {
            Self::Nobody => (Self::Connected(1), true),
            Self::Connected(count) => (Self::Connected(count + 1), false),
            Self::Left(_) => (Self::Connected(1), false),
        };
        *self = next;
        is_refreshed
    }

    /// Somebody who was connected has left.
    pub(crate) const fn close(&mut self, now: Duration) {
        *self = match *self {
            Self::Nobody => Self::Nobody,
            Self::Connected(0 | 1) => Self::Left(now),
            Self::Connected(count) => Self::Connected(count - 1),
            Self::Left(since) => Self::Left(since),
        };
    }

    /// Time has passed.
    pub(crate) fn pass(&mut self, now: Duration) {
        *self = match *self {
            Self::Left(since) if now.saturating_sub(since) >= LINGER => Self::Nobody,
            Self::Nobody | Self::Connected(_) | Self::Left(_) => *self,
        };
    }

    /// Whether quotes are to be published in it.
    pub(crate) const fn is_some(&self) -> bool {
        match self {
            Self::Nobody => false,
            Self::Connected(_) | Self::Left(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(7);
    const BEFORE: Duration = Duration::from_secs(6);

    /// What becomes of each state by an event.
    fn all(event: impl Fn(&mut Demand)) -> [Demand; 5] {
        let long_ago = Duration::from_secs(5);
        let states = [
            Demand::Nobody,
            Demand::Connected(1),
            Demand::Connected(2),
            Demand::Left(BEFORE),
            Demand::Left(long_ago),
        ];
        states.map(|mut state| {
            event(&mut state);
            state
        })
    }

    #[test]
    fn every_event_in_every_state() {
        use Demand::*;
        let long_ago = Duration::from_secs(5);
        let opened = all(|demand| _ = demand.open());
        assert_eq!(opened, [Connected(1), Connected(2), Connected(3), Connected(1), Connected(1)]);
        let closed = all(|demand| demand.close(NOW));
        assert_eq!(closed, [Nobody, Left(NOW), Connected(1), Left(BEFORE), Left(long_ago)]);
        let passed = all(|demand| demand.pass(NOW));
        assert_eq!(passed, [Nobody, Connected(1), Connected(2), Left(BEFORE), Nobody]);
    }

    #[test]
    fn only_the_first_has_last_values_made() {
        let mut demand = Demand::default();
        assert!(!demand.is_some());
        assert!(demand.open() && !demand.open());
        demand.close(NOW);
        demand.close(NOW);
        // It goes on, and who comes back finds what is new.
        assert!(demand.is_some() && !demand.open());
        demand.close(NOW);
        demand.pass(NOW + LINGER);
        assert!(!demand.is_some() && demand.open());
    }
}
