//! Whether what a peer sends is handed over.
//!
//! ```text
//!            pause                resume, close
//!   Running ───────▶ Paused ──────────────────────▶ Resuming
//!      ▲               ▲                             │   │
//!      │               └──────────── pause ──────────┘   │
//!      └──────────── what was held is handed over ───────┘
//! ```

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// What arrives is handed over.
    Running,
    /// The handler wants nothing. The receive is cancelled, what it had brought is held.
    Paused,
    /// The handler takes more, what is held first.
    Resuming,
}

/// What happens to a connection's flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Pause,
    Resume,
    /// Nothing is held any more.
    Released,
}

impl Flow {
    /// What follows from `step`.
    pub(crate) const fn on(self, step: Step) -> Self {
        match (self, step) {
            (Self::Running | Self::Paused | Self::Resuming, Step::Pause) => Self::Paused,
            (Self::Paused | Self::Resuming, Step::Resume) => Self::Resuming,
            (Self::Running, Step::Resume | Step::Released) => Self::Running,
            (Self::Resuming, Step::Released) => Self::Running,
            // It was paused again while what is held was handed over.
            (Self::Paused, Step::Released) => Self::Paused,
        }
    }

    /// Whether what arrives is handed over.
    pub(crate) const fn is_running(self) -> bool {
        matches!(self, Self::Running)
    }
}

#[cfg(test)]
mod tests {
    use super::Flow::{Paused, Resuming, Running};
    use super::Step;

    #[test]
    fn every_step_in_every_state() {
        let steps = [Step::Pause, Step::Resume, Step::Released];
        for (state, expected) in [
            (Running, [Paused, Running, Running]),
            (Paused, [Paused, Resuming, Paused]),
            (Resuming, [Paused, Resuming, Running]),
        ] {
            assert_eq!(steps.map(|step| state.on(step)), expected, "{state:?}");
        }
    }
}
