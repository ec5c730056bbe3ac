//! The steps in which a ring is set up.

/// The step of the set-up that the system refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "without rings there is no second")
)]
pub(crate) enum Step {
    /// `io_uring_setup`.
    Ring,
    /// Registration of the ring of receive buffers.
    Buffers,
    /// The trial: a multishot receive on a socket pair.
    Trial,
    /// The event descriptor.
    Descriptors,
}
