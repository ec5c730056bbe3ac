//! One task, done by several.

use std::fmt;

/// One way to do a task.
pub struct Job {
    /// Whose it is.
    pub name: &'static str,
    run: Box<dyn FnMut(u64)>,
}

impl Job {
    /// `once` does the task once. What it works on must not be known to the compiler.
    pub fn new(name: &'static str, mut once: impl FnMut() + 'static) -> Self {
        Self { name, run: Box::new(move |count| (0..count).for_each(|_| once())) }
    }

    /// Does the task `count` times.
    pub fn run(&mut self, count: u64) {
        (self.run)(count);
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Job").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The same task, done by several.
#[derive(Debug)]
pub struct Contest {
    /// The task, such as `unmask`.
    pub kernel: String,
    /// Its size, and what else tells it from others.
    pub case: String,
    /// Bytes that one run of it works on.
    pub size: usize,
    /// Ours, and then the others'.
    pub jobs: Vec<Job>,
}
