//! The end of every wait.

use std::time::Duration;

/// How long a test waits for what must come at once, on a machine that is busy.
pub const PATIENCE: Duration = Duration::from_secs(10);
