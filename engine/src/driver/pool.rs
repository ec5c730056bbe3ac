//! What receive buffers a driver is to have.

/// The size and number of the receive buffers of one driver.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BufferPool {
    /// A power of two, at most 2^15.
    pub(crate) count: u16,
    /// Bytes of each.
    pub(crate) size: usize,
}
