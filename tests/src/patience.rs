//! Waits, and the end of every wait.

use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for what must come at once, on a machine that is busy.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until it `is_so`.
///
/// # Panics
/// If it does not come to that in time.
pub fn wait_until(is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "it does not come to that");
        thread::sleep(Duration::from_millis(2));
    }
}
