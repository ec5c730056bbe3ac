//! Time as the loop sees it, and the deadlines of its connections.

mod stamp;
mod time;
mod wheel;

pub(crate) use stamp::{DURATION_MAX, Stamp};
pub(crate) use time::Time;
pub(crate) use wheel::Wheel;

#[cfg(test)]
mod tests;
