//! Whether what a peer sends is handed over.
//!
//! ```text
//!            pause                resume, close
//!   Running ───────▶ Paused ──────────────────────▶ Resuming
//!      ▲               ▲                             │   │
//!      │               └──────────── pause ──────────┘   │
//!      └──────────── what was held is handed over ───────┘
//! ```
//!
//! A connection that takes chunks and is backlogged is `Full` in place of `Paused`, until it has
//! drained. One whose decompressor has more when its share of a turn is spent is `Resuming`.

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// What arrives is handed over.
    Running,
    /// The handler wants nothing. The receive is cancelled, what it had brought is held.
    Paused,
    /// The handler has taken a chunk, and there is no room for what it answers to the next one.
    Full,
    /// The handler takes more, what is held first.
    Resuming,
}

/// What happens to a connection's flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Pause,
    Resume,
    /// A chunk was handed over, and its connection is backlogged.
    Fill,
    /// It is not any more.
    Drain,
    /// Its share of the turn is spent while the decompressor has more.
    Wait,
    /// Nothing is held any more.
    Released,
}

impl Flow {
    /// What follows from `step`.
    pub(crate) const fn on(self, step: Step) -> Self {
        match (self, step) {
            (Self::Running | Self::Paused | Self::Full | Self::Resuming, Step::Pause) => {
                Self::Paused
            }
            (Self::Paused | Self::Resuming, Step::Resume) => Self::Resuming,
            (Self::Running, Step::Resume | Step::Drain | Step::Released) => Self::Running,
            (Self::Resuming, Step::Released) => Self::Running,
            (Self::Running | Self::Full | Self::Resuming, Step::Fill) => Self::Full,
            (Self::Full, Step::Drain) => Self::Resuming,
            (Self::Running, Step::Wait) => Self::Resuming,
            (Self::Resuming, Step::Drain | Step::Wait) => Self::Resuming,
            (Self::Full, Step::Resume | Step::Wait | Step::Released) => Self::Full,
            // It was paused again while what is held was handed over.
            (Self::Paused, Step::Fill | Step::Drain | Step::Wait | Step::Released) => Self::Paused,
        }
    }

    /// Whether what arrives is handed over.
    pub(crate) const fn is_running(self) -> bool {
        matches!(self, Self::Running)
    }
}

#[cfg(test)]
mod tests {
    use super::Flow::{Full, Paused, Resuming, Running};
    use super::Step;

    #[test]
    fn every_step_in_every_state() {
        let steps =
            [Step::Pause, Step::Resume, Step::Fill, Step::Drain, Step::Wait, Step::Released];
        for (state, expected) in [
            (Running, [Paused, Running, Full, Running, Resuming, Running]),
            (Paused, [Paused, Resuming, Paused, Paused, Paused, Paused]),
            (Full, [Paused, Full, Full, Resuming, Full, Full]),
            (Resuming, [Paused, Resuming, Full, Resuming, Resuming, Running]),
        ] {
            assert_eq!(steps.map(|step| state.on(step)), expected, "{state:?}");
        }
    }
}
