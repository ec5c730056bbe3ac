//! A clock that any thread may read: for measuring, since all else takes the time of its turn.

use std::time::Instant;

#[cfg(feature = "simulation")]
use std::sync::Arc;
#[cfg(feature = "simulation")]
use std::sync::atomic::{AtomicU64, Ordering};

use crate::timer::Time;

/// The time since it was made, the same on all threads.
#[derive(Clone, Debug)]
pub(crate) enum Clock {
    System(Instant),
    /// What the simulated ring says.
    #[cfg(feature = "simulation")]
    Simulated(Arc<AtomicU64>),
}

impl Clock {
    /// The machine's, which a process reads without a system call.
    pub(crate) fn system() -> Self {
        Self::System(Instant::now())
    }

    pub(crate) fn read(&self) -> Time {
        match self {
            Self::System(start) => Time::ZERO.after(start.elapsed()),
            #[cfg(feature = "simulation")]
            Self::Simulated(nanos) => Time::from_nanos(nanos.load(Ordering::Relaxed)),
        }
    }
}
